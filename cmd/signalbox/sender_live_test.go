package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/controller/sender"
	"signalbox/rules/route"
)

// startDaemon runs a real daemon that signs its tables, until stop is called or the test ends.
func startDaemon(t *testing.T, o daemonOptions) (d *daemon, stop func()) {
	t.Helper()
	d, err := newDaemon(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	stop = func() {
		if cancel != nil {
			cancel()
			cancel = nil
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return d, stop
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, poll := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 30 s", what)
		case <-poll.C:
		}
	}
}

// TestASenderAndADaemon: the client that is published follows a real daemon over a change of its policy, is seen by it,
// reports to it, and goes on without it.
func TestASenderAndADaemon(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "table.key")
	writeText(t, key, privatePEM(t, testKey("one")))
	policy := filepath.Join(dir, "policy.yml")
	text := blocks(documents(t)["README.md"], "yaml")[0]
	writeText(t, policy, text)
	logger, err := newLogger(t.Output(), "error", "logfmt")
	if err != nil {
		t.Fatal(err)
	}
	d, stop := startDaemon(t, daemonOptions{policy: policy, data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act, logger: logger, signingKey: key})
	server := "http://" + d.address()

	o := sender.Options{Name: "gw-1", Servers: []string{server, "http://" + deadAddress(t)}, File: filepath.Join(dir, "table.txt"),
		Keys: []ed25519.PublicKey{testKey("one").Public().(ed25519.PublicKey)}, Logger: logger}
	c := runSender(t, o)
	stranger := o
	stranger.Name, stranger.File, stranger.Keys = "gw-2", "", []ed25519.PublicKey{testKey("two").Public().(ed25519.PublicKey)}
	other := runSender(t, stranger)
	eventually(t, "the first table", func() bool { return c.Table() != nil })
	first := c.Table().Generation

	writeText(t, policy, strings.Replace(text, "retry_after: 20s", "retry_after: 45s", 1))
	if err := d.reloader.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next table", func() bool { return c.Table().Generation.Newer(first) })
	eventually(t, "both are seen", func() bool {
		return standing(t, server, "gw-1") == "current" && standing(t, server, "gw-2") == "refused"
	})
	// Its last poll may have been of the server that is not there.
	eventually(t, "a sender with another key says why", func() bool { return other.Status().Refused == "it is not signed by a key that is known here" })
	if other.Table() != nil {
		t.Errorf("a sender with another key: got %+v, want no table", other.Status())
	}

	lane := c.Table().Lanes[0]
	ch, err := c.Pick(lane.Class, "234-15", "m-1")
	if err != nil || ch.RetryAfter != 45*time.Second {
		t.Fatalf("pick: got %+v (%v), want it to be tried again after 45 s", ch, err)
	}
	for _, e := range []sender.Event{
		{Type: "submit", ID: "m-1", Route: ch.Route, Class: lane.Class, Network: "234-15", Result: "accepted", Generation: ch.Generation},
		{Type: "receipt", ID: "m-1", Route: ch.Route, Status: "delivered"}, {Type: "receipt", ID: "m-2", Route: "nobodys", Status: "delivered"},
	} {
		if err := c.Report(e); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the events", func() bool { s := c.Status(); return s.Sent == 2 && s.EventsRefused == 1 })
	if got := string(scrape(t, d)); !strings.Contains(got, `signalbox_events_total{type="receipt"} 1`) || !strings.Contains(got, `signalbox_senders{state="refused"} 1`) {
		t.Errorf("metrics: got\n%s", got)
	}

	held := c.Table()
	stop()
	eventually(t, "it is seen to be away", func() bool { return c.Status().Err != "" })
	if again, err := c.Pick(lane.Class, "234-15", "m-1"); err != nil || again.Route != ch.Route || c.Table() != held {
		t.Errorf("without the daemon: got %+v (%v), want %+v", again, err, ch)
	}
	fresh, err := sender.New(o)
	if err != nil || fresh.Table() == nil || fresh.Table().Generation != held.Generation {
		t.Errorf("a new process: got %v (%v), want the table that was kept", fresh.Table(), err)
	}
}

// runSender runs a client until the test ends.
func runSender(t *testing.T, o sender.Options) *sender.Client {
	t.Helper()
	c, err := sender.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

// standing is how a server says that a sender stands.
func standing(t *testing.T, server, name string) string {
	t.Helper()
	resp, err := http.Get(server + "/api/v1/senders")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all sendersAnswer
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Senders {
		if s.Name == name {
			return s.Standing
		}
	}
	return ""
}

// A key that others may read is said.
func TestASigningKeyThatOthersMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.key")
	writeText(t, path, privatePEM(t, testKey("one")))
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o644: true} {
		var log strings.Builder
		logger, err := newLogger(&log, "info", "logfmt")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if s, err := openSigner(path, logger); err != nil || s == nil {
			t.Fatalf("got %v, %v", s, err)
		}
		if got := strings.Contains(log.String(), "signing key readable by others"); got != want || !strings.Contains(log.String(), "keyid=") {
			t.Errorf("%o: got %s, want the warning: %t", mode, log.String(), want)
		}
	}
}
