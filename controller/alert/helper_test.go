package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"signalbox/controller/store"
	"signalbox/rules/route"
)

// secretText is the secret of the specification's example.
const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// pipes is a network in memory, so that a test's time may be fake.
type pipes struct {
	mu    sync.Mutex // guards hosts
	hosts map[string]chan net.Conn
}

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	host := p.hosts[address]
	p.mu.Unlock()
	if host == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case host <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipeListener is one host of the network.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// serve runs a host until the returned function stops it.
func (p *pipes) serve(address string, h http.Handler) (stop func()) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	p.mu.Lock()
	p.hosts[address] = l.conns
	p.mu.Unlock()
	server, ended := &http.Server{Handler: h}, make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }() // it ends with Close
	return func() {
		p.mu.Lock()
		delete(p.hosts, address)
		p.mu.Unlock()
		server.Close()
		<-ended
	}
}

// got is one request that a receiver had.
type got struct {
	at      time.Time
	headers http.Header
	body    []byte
}

// receiver keeps what it is told and answers as it is told to; by default with 200.
type receiver struct {
	mu     sync.Mutex // guards what follows
	had    []got
	answer func(w http.ResponseWriter, r *http.Request)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body) // what is cut off is no JSON
	r.mu.Lock()
	r.had = append(r.had, got{time.Now(), req.Header.Clone(), body})
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

func (r *receiver) answers(h func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.had)
}

// ids are the ids of the events that it was told, in order.
func (r *receiver) ids() []string {
	ids := []string{}
	for _, g := range r.all() {
		var e struct{ ID string }
		_ = json.Unmarshal(g.body, &e) // what is none has no id
		ids = append(ids, e.ID)
	}
	return ids
}

func status(code int, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// fragile is an outbox whose disk can be full.
type fragile struct {
	*store.Store
	mu   sync.Mutex // guards full
	full bool
}

var errFull = errors.New("no space left on device")

func (f *fragile) fill(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

func (f *fragile) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return errFull
	}
	return nil
}

func (f *fragile) Announce(letters []Letter, notes []Note) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Announce(letters, notes)
}

func (f *fragile) Delivered(to string, upTo uint64) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Store.Delivered(to, upTo)
}

// site is alerts over a real outbox and a network in memory, with one webhook named pager at pager:80.
type site struct {
	t        testing.TB
	dir      string
	net      *pipes // nil: the real one
	box      *fragile
	pager    *receiver
	alerts   *Alerts
	registry *prometheus.Registry
	log      *locked
	stop     func()

	mu      sync.Mutex // guards scene and lagging
	scene   Scene
	lagging []Sender
}

const onePager = `
version: 1
webhooks:
  - {name: pager, url: "http://pager:80/hook", secret_file: secret}
`

func newSite(t testing.TB, settings string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), net: &pipes{hosts: map[string]chan net.Conn{}}, pager: &receiver{}}
	s.write("secret", secretText+"\n")
	s.open()
	t.Cleanup(func() { s.box.Close() })
	t.Cleanup(s.net.serve("pager:80", s.pager))
	s.start(settings)
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *site) write(name, text string) (path string) {
	s.t.Helper()
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *site) open() {
	box, err := store.Open(store.Options{Path: filepath.Join(s.dir, "state.db"), NoSync: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.box = &fragile{Store: box}
}

func (s *site) setup(settings string) *Setup {
	s.t.Helper()
	setup, err := Load(s.write("alerts.yml", settings))
	if err != nil {
		s.t.Fatal(err)
	}
	return setup
}

// start begins to tell; stop ends it.
func (s *site) start(settings string) {
	s.t.Helper()
	s.log, s.registry = &locked{}, prometheus.NewRegistry()
	o := Options{Setup: s.setup(settings), Outbox: s.box, Look: s.look, Senders: s, Registerer: s.registry, Logger: slog.New(slog.NewTextHandler(s.log, nil))}
	if s.net != nil {
		o.Dial = s.net.dial
	}
	var err error
	s.alerts, err = New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.alerts.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// locked is a log that several goroutines write.
type locked struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (s *site) look() Scene {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scene
}

// Lagging implements Senders.
func (s *site) Lagging(time.Time) []Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lagging
}

func (s *site) set(edit func(*Scene)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(&s.scene)
}

// decide makes decisions durable as a commit does, and says so.
func (s *site) decide(decisions ...route.Decision) {
	s.t.Helper()
	if err := s.box.Store.Announce(s.alerts.Announce(decisions), nil); err != nil {
		s.t.Fatal(err)
	}
	s.alerts.Wake()
}

// demotion is the decision 1-n-1, of now.
func demotion(n int) route.Decision {
	return route.Decision{ID: fmt.Sprintf("1-%d-1", n), Time: time.Now().UTC(), Generation: route.Generation{Epoch: 1, Number: uint64(n)}, Policy: "git:3f2a91c",
		Lane: route.Lane{Class: "otp", Network: "GB"}, Route: "acme-uk", From: route.Active, To: route.Demoted, Verdict: route.VerdictDemote, Mode: route.Act,
		Enforced: true, Rule: "receipts-collapse", Reason: route.RuleMatched, Text: "of 58 messages since 09:59:40 none came back"}
}

func (s *site) wantIDs(want ...string) {
	s.t.Helper()
	if got := s.pager.ids(); !slices.Equal(got, want) {
		s.t.Errorf("the pager was told %v, want %v", got, want)
	}
}

func (s *site) wantWaiting(want int) {
	s.t.Helper()
	w, err := s.box.Waiting("pager")
	if err != nil || w.Count != want {
		s.t.Errorf("got %d letters that wait (%v), want %d", w.Count, err, want)
	}
}

func (s *site) wantLogged(want string) {
	s.t.Helper()
	if !strings.Contains(s.log.String(), want) {
		s.t.Errorf("the log has no %q:\n%s", want, s.log)
	}
}

func (s *site) wantCounted(result string, want float64) {
	s.t.Helper()
	if got := testutil.ToFloat64(s.alerts.metrics.deliveries.WithLabelValues("pager", result)); got != want {
		s.t.Errorf("deliveries %s: got %v, want %v", result, got, want)
	}
}
