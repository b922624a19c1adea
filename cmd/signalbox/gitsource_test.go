package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// gitOrigin is a repository of a policy, made by git itself.
type gitOrigin struct {
	t   *testing.T
	dir string
}

func newGitOrigin(t *testing.T) *gitOrigin {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	o := &gitOrigin{t, filepath.Join(t.TempDir(), "origin")}
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main")
	return o
}

func (o *gitOrigin) git(args ...string) string {
	o.t.Helper()
	out, ok := git(o.dir, append([]string{"-c", "user.name=ada", "-c", "user.email=ada@example.org"}, args...)...)
	if !ok {
		o.t.Fatalf("git %v failed: %s", args, out)
	}
	return out
}

// commit commits the policy and returns the revision that it must have.
func (o *gitOrigin) commit(text string) string {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, "policy.json"), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	o.git("add", "policy.json")
	o.git("commit", "-q", "-m", "policy")
	return "git:" + o.git("rev-parse", "--short=12", "HEAD")
}

// runDaemon runs a daemon that follows the origin, and returns what stops it.
func (o *gitOrigin) runDaemon(data string, interval time.Duration) (d *daemon, stop func()) {
	o.t.Helper()
	logger, err := newLogger(io.Discard, "error", "logfmt")
	if err != nil {
		o.t.Fatal(err)
	}
	d, err = newDaemon(daemonOptions{git: gitOptions{url: "file://" + o.dir, interval: interval}, data: data, listen: "127.0.0.1:0", mode: route.Act, logger: logger})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	return d, func() {
		cancel()
		if err := <-ended; err != nil {
			o.t.Errorf("run: %v", err)
		}
	}
}

// ask asks a daemon and decodes its answer.
func ask[T any](t *testing.T, d *daemon, method, path string, status int) (answer T) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.address()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: got %s, %s and %v, want %d", method, path, resp.Status, body, err, status)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

type tableAnswer struct{ Generation, Policy string }

type policyAnswer struct {
	Revision string
	Source   struct {
		Commit        string `json:"commit"`
		RefusedCommit string `json:"refused_commit"`
		LastError     string `json:"last_error"`
	}
}

func TestTheDaemonFollowsARepository(t *testing.T) {
	o := newGitOrigin(t)
	data := filepath.Join(t.TempDir(), "data")
	first := o.commit(lawsPolicy)
	d, stop := o.runDaemon(data, time.Second)
	if got := ask[tableAnswer](t, d, "GET", "/routes", 200); got.Policy != first {
		t.Errorf("got %+v, want a table of %s", got, first)
	}

	second := o.commit(strings.Replace(lawsPolicy, `"order":["A","B"]`, `"order":["B","A"]`, 1))
	if got := ask[tableAnswer](t, d, "GET", "/routes?index=1&wait=30s", 200); got.Policy != second || got.Generation != "1-2" {
		t.Errorf("got %+v, want table 1-2 of %s, which nobody was told of", got, second)
	}

	bad := o.commit(strings.Replace(lawsPolicy, `"order":["A","B"]`, `"order":["A","X"]`, 1))
	ask[struct{}](t, d, "POST", "/-/reload", 422)
	ofOld := func(what, refused string) policyAnswer {
		t.Helper()
		if got := ask[tableAnswer](t, d, "GET", "/routes", 200); got.Policy != second || got.Generation != "1-2" {
			t.Errorf("%s: got %+v, want table 1-2 of %s", what, got, second)
		}
		p := ask[policyAnswer](t, d, "GET", "/api/v1/policy", 200)
		if p.Revision != second || !strings.HasPrefix("git:"+p.Source.Commit, second) || !strings.HasPrefix("git:"+p.Source.RefusedCommit, refused) {
			t.Errorf("%s: got %+v, want %s in force and %q refused", what, p, second, refused)
		}
		return p
	}
	ofOld("a bad commit", bad)

	if err := os.Rename(o.dir, o.dir+".away"); err != nil {
		t.Fatal(err)
	}
	ask[struct{}](t, d, "POST", "/-/reload", 422)
	if p := ofOld("the repository away", bad); !strings.Contains(p.Source.LastError, "no repository is there") {
		t.Errorf("got %+v, want it to say that the repository is away", p)
	}
	if n := sample(t, d, "signalbox_policy_git_fetch_errors_total"); n < 1 {
		t.Errorf("got %v errors, want one at least", n)
	}
	if at := sample(t, d, "signalbox_policy_git_last_success_timestamp_seconds"); time.Since(time.Unix(int64(at), 0)) > time.Hour {
		t.Errorf("got %v as the last success, want some seconds ago", at)
	}
	stop()

	d, stop = o.runDaemon(data, time.Minute)
	defer stop()
	ofOld("a restart without the repository", "git:")
}

// sample is the value of a metric without labels.
func sample(t *testing.T, d *daemon, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(scrape(t, d))
	if m == nil {
		t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
