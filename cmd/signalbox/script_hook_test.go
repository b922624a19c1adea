package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptHook is the webhook of a script.
type scriptHook struct {
	mu    sync.Mutex // guards calls
	calls []hooked
}

func (h *scriptHook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is cut off has no valid signature
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, hooked{r.Header.Clone(), body})
}

// told reports whether a call with a valid signature had a text in it.
func (h *scriptHook) told(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if ok, err := c.valid(); err == nil && ok && strings.Contains(string(c.body), text) {
			return true
		}
	}
	return false
}

func serveHook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: serve-hook")
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(ts.Getenv("HOOK"), "http://"))
	ts.Check(err)
	server, ended := &http.Server{Handler: ts.Value("hook").(*scriptHook)}, make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }() // it ends with Close
	ts.Defer(func() { server.Close(); <-ended })
}

// pollUntil asks again and again, as nothing tells.
func pollUntil(ts *testscript.TestScript, what string, ok func() bool) {
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s: not in time", what)
		}
	}
}

func waitTold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wait-told TEXT")
	}
	pollUntil(ts, args[0], func() bool { return ts.Value("hook").(*scriptHook).told(args[0]) })
}

func waitAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wait-api PATH TEXT")
	}
	pollUntil(ts, args[1], func() bool {
		resp, err := http.Get(ts.Getenv("SIGNALBOX_SERVER") + args[0])
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), args[1])
	})
}
