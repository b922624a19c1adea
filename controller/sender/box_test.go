package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// box is a signalbox, or several, on a network of the test's own, so that time may be the test's own too. What a real
// one says is tested in cmd/signalbox.
type box struct {
	mu      sync.Mutex // guards what follows
	by      map[string]*replica
	asked   []ask
	events  []string
	changed chan struct{}
}

// replica is one of the servers.
type replica struct {
	table  string // its body; "" is not warm
	sign   string
	waits  bool
	down   bool
	status int // of polls, where it is not 0
	events int // status of /events, where it is not 0
	words  int // status of /senders/, where it is not 0
	most   int // lines that it takes at once, where it is not 0
}

// ask is a request as it came.
type ask struct {
	at     time.Time
	method string
	host   string
	path   string
	body   string
	header http.Header
}

func newBox(hosts ...string) *box {
	b := &box{by: map[string]*replica{}, changed: make(chan struct{})}
	for _, h := range hosts {
		b.by[h] = &replica{waits: true}
	}
	return b
}

// set changes a replica and wakes those who wait.
func (b *box) set(host string, change func(*replica)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b.by[host])
	close(b.changed)
	b.changed = make(chan struct{})
}

// RoundTrip lets the box answer.
func (b *box) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	b.mu.Lock()
	b.asked = append(b.asked, ask{time.Now(), r.Method, r.URL.Host, r.URL.RequestURI(), string(body), r.Header})
	s := b.by[r.URL.Host]
	down := s == nil || s.down
	b.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	rec := httptest.NewRecorder()
	switch r.URL.Path {
	case "/routes":
		b.routes(rec, r, s)
	case "/events":
		b.take(rec, s, string(body))
	default:
		b.mu.Lock()
		status := max(s.words, http.StatusNoContent)
		b.mu.Unlock()
		rec.WriteHeader(status)
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

func (b *box) routes(w http.ResponseWriter, r *http.Request, s *replica) {
	b.mu.Lock()
	changed, held := b.changed, r.Header.Get("If-None-Match") == s.etag()
	waits := s.waits && s.status == 0
	b.mu.Unlock()
	if held && waits && r.Header.Get("Prefer") != "" {
		d, _ := time.ParseDuration(strings.TrimPrefix(r.Header.Get("Prefer"), "wait=") + "s")
		select {
		case <-changed:
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.status != 0:
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(s.status)
	case s.table == "":
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("If-None-Match") == s.etag():
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("Signalbox-Signature", s.sign)
		io.WriteString(w, s.table)
	}
}

func (s *replica) etag() string {
	var t struct{ Generation string }
	_ = json.Unmarshal([]byte(s.table), &t)
	return `"` + t.Generation + `"`
}

func (b *box) take(w http.ResponseWriter, s *replica, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(body), "\n")
	switch {
	case s.events != 0:
		w.WriteHeader(s.events)
		return
	case s.most != 0 && len(lines) > s.most:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	refused := []map[string]any{}
	for i, l := range lines {
		if strings.Contains(l, "bad-route") {
			refused = append(refused, map[string]any{"line": i + 1, "why": "route: want a route of the policy"})
			continue
		}
		b.events = append(b.events, l)
	}
	json.NewEncoder(w).Encode(map[string]any{"accepted": len(lines) - len(refused), "refused": refused, "refused_total": len(refused)})
}

// all are the requests of a method and the beginning of a path.
func (b *box) all(method, path string) (out []ask) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.asked {
		if a.method == method && strings.HasPrefix(a.path, path) {
			out = append(out, a)
		}
	}
	return out
}

// words are what the sender said, without the same again.
func (b *box) words() (out []string) {
	for _, a := range b.all("PUT", "/senders/") {
		if w := a.host + " " + a.body; len(out) == 0 || out[len(out)-1] != w {
			out = append(out, w)
		}
	}
	return out
}

// taken are the events that came, without heartbeats.
func (b *box) taken() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.events {
		if !strings.Contains(l, "heartbeat") {
			out = append(out, l)
		}
	}
	return out
}

// start runs a client against the box, until stop is called or the test ends. The log is what it said.
func (b *box) start(t *testing.T, o Options) (c *Client, log *syncBuffer, stop func()) {
	t.Helper()
	log = &syncBuffer{}
	o.client = &http.Client{Transport: b}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	if o.Servers == nil {
		for host := range b.by {
			o.Servers = append(o.Servers, "http://"+host)
		}
	}
	c = newClient(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-ended }) }
	t.Cleanup(stop)
	return c, log, stop
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
