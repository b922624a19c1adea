package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"signalbox/probes/ingest"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// documents are the project's own texts, by their path below the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			docs[strings.TrimPrefix(path, root+"/")] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if docs["README.md"] == "" {
		t.Fatal("no README.md found")
	}
	return docs
}

func TestNoDocumentIsUnfinished(t *testing.T) {
	for path, text := range documents(t) {
		for _, mark := range []string{"@@", "TODO", "FIXME", "TBD"} {
			if strings.Contains(text, mark) {
				t.Errorf("%s still says %s", path, mark)
			}
		}
	}
}

// blocks are the fenced blocks of a language in a text.
func blocks(text, language string) []string {
	var out []string
	for _, part := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		out = append(out, block+"\n")
	}
	return out
}

func TestEveryPolicyInTheDocsParses(t *testing.T) {
	n := 0
	for path, text := range documents(t) {
		for _, block := range blocks(text, "yaml") {
			if !strings.Contains(block, "version: 1") {
				continue // a fragment
			}
			n++
			if _, err := policy.Parse([]policy.File{{Name: path, Data: []byte(block)}}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if n == 0 {
		t.Error("no policy found in any document")
	}
}

func TestEveryPolicyOfTheExamplesParses(t *testing.T) {
	folders, err := filepath.Glob(root + "/examples/*/policy")
	if err != nil || len(folders) == 0 {
		t.Fatalf("found no examples (%v)", err)
	}
	for _, folder := range folders {
		if _, err := loadPolicy(folder); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryObservationInTheDocsIsTaken(t *testing.T) {
	n := 0
	for path, text := range documents(t) {
		for _, block := range blocks(text, "json") {
			d := ingest.NewDecoder(strings.NewReader(block), ingest.DecoderOptions{})
			for {
				var o route.Observation
				_, err := d.Next(&o)
				if errors.Is(err, io.EOF) {
					break
				}
				if n++; err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no observation found in any document")
	}
}

// command matches a line of an indented block, or of a shell block, that calls signalbox.
var command = regexp.MustCompile(`^(?:    |\$ )?(?:signalbox|go run \./cmd/signalbox|\./signalbox) (.*)$`)

func TestEveryCommandInTheDocsExists(t *testing.T) {
	n := 0
	for path, text := range documents(t) {
		for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
			match := command.FindStringSubmatch(scan.Text())
			if match == nil || !strings.HasPrefix(scan.Text(), "    ") && !strings.HasPrefix(scan.Text(), "$ ") {
				continue
			}
			n++
			words, _, _ := strings.Cut(match[1], " #")
			if err := parses(shellWords(words)); err != nil {
				t.Errorf("%s: %q: %v", path, strings.TrimSpace(scan.Text()), err)
			}
		}
	}
	if n < 5 {
		t.Errorf("found %d commands in the documents: the test misses them", n)
	}
}

// shellWord matches a word of a command, with the texts in quotes that it has.
var shellWord = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)

func shellWords(line string) []string {
	words := shellWord.FindAllString(line, -1)
	for i, w := range words {
		words[i] = strings.NewReplacer(`"`, "", "'", "").Replace(w)
	}
	return words
}

// parses reports whether the words are a command with flags and arguments that it takes.
func parses(words []string) error {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "&" || w == "\\" })
	cmd, rest, err := newRoot(io.Discard, io.Discard).Find(words)
	if err != nil {
		return err
	}
	if !cmd.Runnable() {
		return errors.New("no such command")
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// metric matches the name of one of our metrics.
var metric = regexp.MustCompile(`signalbox_[a-z_]+`)

func TestEveryMetricInTheDocsIsExposed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.yml")
	if err := os.WriteFile(path, []byte(blocks(documents(t)["README.md"], "yaml")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "probes.yml")
	writeText(t, settings, probing(map[string]string{"acme-uk": deadAddress(t)}))
	logger, err := newLogger(io.Discard, "error", "logfmt")
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(daemonOptions{policy: path, data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act, logger: logger, probes: settings, recording: recordingOptions{dir: filepath.Join(dir, "recording")}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	looking, stop := context.WithCancel(t.Context()) // probes have metrics of their own while they look
	ended := make(chan error, 1)
	go func() { ended <- d.eyes.run(looking) }()
	defer func() { stop(); <-ended }()
	exposed := ""
	for end := time.Now().Add(5 * time.Second); !strings.Contains(exposed, "signalbox_probe_stopped") && time.Now().Before(end); {
		exposed = string(scrape(t, d)) + exposedByGit(t, d.o)
	}
	for path, text := range documents(t) {
		for _, name := range metric.FindAllString(text, -1) {
			if !strings.Contains(exposed, "# TYPE "+name+" ") {
				t.Errorf("%s names the metric %s: /metrics does not have it", path, name)
			}
		}
	}
}

// exposedByGit is what /metrics answers of a policy in a repository, which nobody asks here.
func exposedByGit(t *testing.T, o daemonOptions) string {
	t.Helper()
	r := prometheus.NewRegistry()
	o.git.url = "file:///nowhere"
	if _, err := newRepo(o, func(context.Context) error { return nil }, r); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}

// scrape is what /metrics answers.
func scrape(t *testing.T, d *daemon) []byte {
	t.Helper()
	rec := httptest.NewRecorder()
	d.server.Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("GET /metrics: got %d", rec.Code)
	}
	return rec.Body.Bytes()
}
