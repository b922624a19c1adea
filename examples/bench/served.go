package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/controller"
	"signalbox/controller/api"
	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/rules/policy"
)

// served is the part of the daemon that senders see: the loop over a store on disk, the read model and the HTTP server.
type served struct {
	control  *controller.Controller
	model    *state.Model
	commits  *commits
	registry *prometheus.Registry
	listener net.Listener
	server   *http.Server
	ran      sync.WaitGroup
	stop     context.CancelFunc
	changes  int
	dir      string
}

// commits is a store that remembers when its last commit was durable.
type commits struct {
	*store.Store
	mu   sync.Mutex // guards last
	last time.Time
}

// Commit is the store's.
func (c *commits) Commit(change store.Change) error {
	err := c.Store.Commit(change)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	return err
}

// serve starts all of it, on an address of its own, with a table of 20 lanes of five routes each.
func serve() (s *served, err error) {
	s = &served{registry: prometheus.NewRegistry(), model: state.New()}
	if s.dir, err = os.MkdirTemp("", "signalbox-bench-"); err != nil {
		return nil, err
	}
	disk, err := store.Open(store.Options{Path: filepath.Join(s.dir, "state.db")})
	if err != nil {
		return nil, err
	}
	s.commits = &commits{Store: disk}
	quiet := slog.New(slog.DiscardHandler)
	if s.control, err = controller.New(controller.Options{Store: s.commits, Model: s.model, Load: s.load, Logger: quiet, Registerer: s.registry}); err != nil {
		return nil, err
	}
	handler, err := api.New(api.Options{Tables: s.model, Senders: s.model, Ready: s.control.Ready, Registerer: s.registry, Logger: quiet})
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.server = api.Server(handler)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.ran.Go(func() { _ = s.control.Run(ctx) })
	s.ran.Go(func() { _ = s.server.Serve(s.listener) })
	return s, nil
}

// load is a policy that is another one each time, so that each reload publishes another table.
func (s *served) load() (*policy.Policy, error) {
	s.changes++
	var b strings.Builder
	b.WriteString("version: 1\nroutes:\n")
	for r := range 5 {
		fmt.Fprintf(&b, "  carrier-%d-premium: {provider: carrier-%d, networks: [\"*\"], price: {\"*\": 0.03%d EUR}}\n", r, r, r)
	}
	fmt.Fprintf(&b, "classes:\n  otp: {mode: act, within: 30s, retry_after: %ds}\nlanes:\n", 10+s.changes%50)
	for n := range 20 {
		fmt.Fprintf(&b, "  - {class: otp, network: 234-%02d, share: {carrier-0-premium: 40, carrier-1-premium: 30, carrier-2-premium: 20, carrier-3-premium: 9, carrier-4-premium: 1}}\n", n)
	}
	return policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(b.String())}})
}

// change publishes another table, and returns when it was durable.
func (s *served) change() (time.Time, error) {
	if err := s.control.Reload(context.Background()); err != nil {
		return time.Time{}, err
	}
	s.commits.mu.Lock()
	defer s.commits.mu.Unlock()
	return s.commits.last, nil
}

// gauge is the value of a metric without labels.
func (s *served) gauge(name string) (float64, error) {
	families, err := s.registry.Gather()
	if err != nil {
		return 0, err
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue(), nil
		}
	}
	return 0, errors.New("no metric " + name)
}

// close ends all of it.
func (s *served) close() error {
	err := s.server.Close()
	s.stop()
	s.ran.Wait()
	return errors.Join(err, s.commits.Close(), os.RemoveAll(s.dir))
}

// serveUntilEOF serves until its standard input ends, for a process of its own: it prints its address and the folder
// with the table, as a static server would have it.
func serveUntilEOF(in io.Reader, out io.Writer, bare bool) error {
	s, err := serve()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "routes"), s.model.Table().Plain, 0o644); err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if bare {
		s.server.Handler = bareHandler(s.model.Table())
	}
	fmt.Fprintln(out, s.listener.Addr(), s.dir)
	_, _ = io.Copy(io.Discard, in) // until whoever started this closes it
	return s.close()
}

// bareHandler is the least that net/http can do for the same answers.
func bareHandler(p *state.Published) http.Handler {
	etag := `"` + p.Table.Generation.String() + `"`
	length := []string{fmt.Sprint(len(p.Plain))}
	tag, kind := []string{etag}, []string{"application/json"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Etag"] = tag
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h["Content-Length"], h["Content-Type"] = length, kind
		_, _ = w.Write(p.Plain) // an error means that the client has gone
	})
}
