//go:build integration

// Package senders_test runs the clients of this folder against the published vectors, a real signalbox, and a server that
// lies.
package senders_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signalbox/controller/sender"
)

// languages are the clients: how each is started, and what has to be there.
var languages = map[string][]string{
	"python": {"/usr/bin/env", "python3", "sender.py"},
	"node":   {"/usr/bin/env", "node", "sender.mjs"},
	"shell":  {"/bin/sh", "sender.sh"},
}

func TestVectors(t *testing.T) {
	for name, program := range languages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command(program[0], append(program[1:], "vectors", "../../controller/sender/testdata/vectors.json")...).CombinedOutput()
			if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), ": 0 wrong") {
				t.Errorf("got %v:\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// A client follows a real signalbox, is seen by it and reports to it; it keeps its table over a server that lies, one that
// fails, one that was killed and its own restart; and comes along again.
func TestAgainstSignalbox(t *testing.T) {
	s := startSite(t)
	for _, name := range []string{"python", "node", "shell"} {
		t.Run(name, func(t *testing.T) {
			c := &client{site: s, program: languages[name], dir: t.TempDir(), name: name + "-1"}
			c.follows(t)
			c.reports(t)
			c.keepsItsTable(t)
			c.comesBack(t)
		})
	}
}

// client is a client in one of the languages, with the files of its own.
type client struct {
	site    *site
	program []string
	dir     string
	name    string
	watch   *process
}

// command is the client with a command.
func (c *client) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program[0], append(slices.Clone(c.program[1:]), args...)...)
	cmd.Env = append(os.Environ(), "SIGNALBOX_SERVERS="+c.site.url+" "+c.site.dead, "SIGNALBOX_NAME="+c.name, "SIGNALBOX_TABLE="+c.table(),
		"SIGNALBOX_KEYS="+c.site.public, "SIGNALBOX_SPOOL="+filepath.Join(c.dir, "events"), "SIGNALBOX_WAIT=2", "SIGNALBOX_BACKOFF=1")
	return cmd
}

func (c *client) table() string { return filepath.Join(c.dir, "table.txt") }

// picks is the route of each of a few messages, by the file that the client keeps.
func (c *client) picks(t *testing.T) (routes []string) {
	t.Helper()
	for i := range 4 {
		routes = append(routes, c.pick(t, fmt.Sprintf("m-%d", i)))
	}
	return routes
}

func (c *client) pick(t *testing.T, key string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := c.command("pick", "otp", "234-15", key)
	cmd.Stderr = &said
	out, err := cmd.Output()
	var got struct{ Route string }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Route == "" || said.Len() > 0 {
		t.Fatalf("pick %s: got %v, %s, said %s", key, err, out, &said)
	}
	return got.Route
}

// runs reports whether signalbox knows that the client runs the table in force.
func (c *client) runs(t *testing.T) bool {
	t.Helper()
	var all struct {
		Generation string
		Senders    []struct{ Name, Runs, Standing string }
	}
	read(t, c.site.url+"/api/v1/senders", &all)
	for _, s := range all.Senders {
		if s.Name == c.name {
			return s.Runs == all.Generation && s.Standing == "current"
		}
	}
	return false
}

// follows starts the client, and changes the policy under it.
func (c *client) follows(t *testing.T) {
	t.Helper()
	if out, err := c.command("pick", "otp", "234-15", "m-1").CombinedOutput(); err == nil || !strings.Contains(string(out), "no table yet") {
		t.Errorf("before the first table: got %v %s, want no table yet", err, out)
	}
	c.watch = start(t, c.command("watch"))
	await(t, c.name+" runs the first table", func() bool { return c.runs(t) })
	c.site.change(t)
	await(t, c.name+" runs the next table", func() bool { return c.runs(t) })
	for i, got := range c.picks(t) {
		var want struct{ Route string }
		read(t, c.site.url+"/routes/lookup?"+url.Values{"class": {"otp"}, "network": {"234-15"}, "key": {fmt.Sprintf("m-%d", i)}}.Encode(), &want)
		if got != want.Route {
			t.Errorf("m-%d: got %s, signalbox says %s", i, got, want.Route)
		}
	}
	if out, err := c.command("pick", "bulk", "FR", "m-1").CombinedOutput(); err == nil || !strings.Contains(string(out), "no lane serves bulk/FR") {
		t.Errorf("no lane: got %v %s", err, out)
	}
}

// events are a submit and its receipt, and a line that nobody can use.
func (c *client) events(id string) string {
	return fmt.Sprintf(`{"type":"submit","time":%[1]q,"id":%[2]q,"route":"acme-uk","class":"otp","network":"234-15","result":"accepted"}
{"type":"receipt","time":%[1]q,"id":%[2]q,"route":"acme-uk","status":"delivered"}
{"type":"receipt","time":"never","id":%[2]q,"route":"acme-uk","status":"delivered"}
`, now(), c.name+id)
}

func (c *client) report(lines string) (said string, err error) {
	cmd := c.command("report")
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// reports hands events over.
func (c *client) reports(t *testing.T) {
	t.Helper()
	before := c.site.metric(t, `signalbox_events_total{type="receipt"}`)
	said, err := c.report(c.events("a"))
	if err != nil || !strings.Contains(said, "event refused: time: want a time of RFC 3339 or Unix seconds") {
		t.Errorf("report: got %v, said %s", err, said)
	}
	if got := c.site.metric(t, `signalbox_events_total{type="receipt"}`) - before; got != 1 {
		t.Errorf("signalbox counts %v receipts more, want 1", got)
	}
}

// keepsItsTable kills signalbox and puts in its place whatever could go wrong.
func (c *client) keepsItsTable(t *testing.T) {
	t.Helper()
	want, kept := c.picks(t), c.bytes(t)
	c.site.kill(t)
	liar := c.site.lie(t)
	for _, l := range []lie{
		{"rolled back", http.StatusOK, table("1-1", true), true, "it is older than "},
		{"empty", http.StatusOK, table("9-1", false), true, "it has no lanes"},
		{"not signed", http.StatusOK, table("9-2", true), false, "it is not signed by a key that is known here"},
		{"cut off", http.StatusOK, table("9-3", true)[:50], true, "it is no table"},
		{"not warm", http.StatusServiceUnavailable, "", false, ""},
	} {
		liar.tell(l)
		await(t, "the client asks the server that is "+l.name, func() bool { return liar.asked() > 0 })
		await(t, fmt.Sprintf("it says of the one that is %s: %s", l.name, l.why), func() bool { return l.why == "" || liar.heard(c.name, l.why) })
		if got := c.picks(t); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v as before", l.name, got, want)
		}
	}
	liar.stop()
	await(t, "the client says that all are away", func() bool { return c.watch.said("away: ") })
	if said, err := c.report(c.events("b")); err == nil || !strings.Contains(said, "events not taken") {
		t.Errorf("report to nobody: got %v, said %s", err, said)
	}
	if got := c.picks(t); !slices.Equal(got, want) || !bytes.Equal(c.bytes(t), kept) {
		t.Errorf("with nobody there: got %v, want %v and the same file", got, want)
	}
	c.watch.stop()
}

func (c *client) bytes(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(c.table())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// comesBack starts everything anew: the client from its own file, which the client in Go can read too.
func (c *client) comesBack(t *testing.T) {
	t.Helper()
	other, err := sender.New(sender.Options{Name: "go", Servers: []string{c.site.url}, File: c.table(), Keys: c.site.keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil || other.Table() == nil {
		t.Fatalf("the client in Go has %v (%v) of the kept table", other, err)
	}
	for i, got := range c.picks(t) {
		if ch, err := other.Pick("otp", "234-15", fmt.Sprintf("m-%d", i)); err != nil || ch.Route != got {
			t.Errorf("m-%d: got %s, the client in Go says %s (%v)", i, got, ch.Route, err)
		}
	}
	damaged := c.bytes(t)
	c.site.startBox(t)
	c.watch = start(t, c.command("watch"))
	await(t, c.name+" is seen again", func() bool { return c.runs(t) })
	before := c.site.metric(t, `signalbox_events_total{type="receipt"}`)
	if said, err := c.report(""); err != nil {
		t.Errorf("report what waited: got %v, said %s", err, said)
	}
	if got := c.site.metric(t, `signalbox_events_total{type="receipt"}`) - before; got != 1 {
		t.Errorf("signalbox counts %v receipts of those that waited, want 1", got)
	}
	c.watch.stop()
	damaged[len(damaged)-5] ^= 1
	if err := os.WriteFile(c.table(), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.command("pick", "otp", "234-15", "m-1").CombinedOutput(); err == nil || !strings.Contains(string(out), "is not used: ") || !strings.Contains(string(out), "it is damaged") {
		t.Errorf("a damaged file: got %v %s", err, out)
	}
}

// table is a table with a lane, or without any.
func table(generation string, full bool) string {
	lane := `{"class":"otp","network":"*","mode":"act","retry_after":"20s","routes":[{"route":"evil","share":10000,"phase":"active"}]}`
	if !full {
		lane = ""
	}
	return `{"generation":"` + generation + `","published_at":"2026-11-23T10:00:00Z","policy":"p","lanes":[` + lane + `]}`
}

// sign is the header that signalbox would send.
func sign(key ed25519.PrivateKey, body string) string {
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return "ed25519;keyid=" + hex.EncodeToString(sum[:8]) + ";sig=" + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(body)))
}

// read decodes what a URL answers.
func read(t *testing.T, from string, into any) {
	t.Helper()
	if err := json.Unmarshal(get(t, from), into); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, from string) []byte {
	t.Helper()
	resp, err := http.Get(from)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: got %s %s", from, resp.Status, body))
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}
