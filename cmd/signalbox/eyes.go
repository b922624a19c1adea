package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"signalbox/probes"
	"signalbox/probes/inbound"
	"signalbox/probes/receipts"
	"signalbox/probes/settings"
	"signalbox/rules/route"
)

// eyesOptions are how a daemon looks at routes.
type eyesOptions struct {
	file    string // settings; "" looks at nothing
	data    string // folder of what was spent of budgets
	vantage string // "" is the controller's own machine
	logger  *slog.Logger
	sink    func(ctx context.Context, batch []route.Observation) error
	known   func(route.ID) bool     // whether the policy has a route; nil: nobody knows
	suggest func(route.ID) route.ID // the route that was probably meant, "" where none is near; nil: nobody knows
	absent  func(settings.Problem)  // told of secrets that are not there, where the rest is only to be tried; nil: they are needed
}

func addProbes(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "probes.file", "", "settings that say how to look at routes: probes, webhooks' keys, collectors")
	_ = c.MarkFlagFilename("probes.file", "yml", "yaml") // the flag is there
}

// eyes look at routes as their settings say, and at others from the next reload on.
type eyes struct {
	o       eyesOptions
	box     *probes.Mailbox
	ledger  *probes.Ledger
	metrics *probes.Metrics
	hooks   *receipts.Handler // nil: nobody serves /receipts, as at a vantage point
	inbound *inbound.Handler  // nil: nobody serves /inbound
	reload  chan *sight

	mu  sync.Mutex // guards the rest
	now *sight     // in force; nil where there are no settings
	far map[string]farWatches
}

// farWatches are how the probes of another vantage point stand.
type farWatches struct {
	at      time.Time // when it said so
	watches []route.Watch
}

// vantagesMost is how many other places may tell how their probes stand, and vantageAge after how long one that tells
// nothing any more is forgotten.
const (
	vantagesMost = 64
	vantageAge   = time.Hour
)

// newEyes reads the settings; nil where there are none.
func newEyes(o eyesOptions, registry prometheus.Registerer) (*eyes, error) {
	e := &eyes{o: o, box: probes.NewMailbox(), reload: make(chan *sight, 1), far: map[string]farWatches{}}
	if o.file == "" {
		return e, nil
	}
	var err error
	if e.metrics, err = probes.NewMetrics(registry); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return nil, wrong("--data names a folder that can be written", err)
	}
	if e.ledger, err = probes.OpenLedger(filepath.Join(o.data, "probes.json")); err != nil {
		return nil, err
	}
	if o.vantage == "" {
		if e.inbound, err = inbound.New(inbound.Options{Message: e.box.Message, Registerer: registry}); err != nil {
			return nil, err
		}
	}
	first, err := e.read()
	if err != nil {
		return nil, wrong("signalbox check --probes.file "+o.file+" tries them again", refusedSettings(err))
	}
	e.listen(first)
	e.use(first)
	o.logger.Info("settings of probes loaded", "file", o.file)
	return e, nil
}

// refusedSettings says of settings that cannot be used how many problems they have.
func refusedSettings(err error) error {
	var found settings.Problems
	if errors.As(err, &found) {
		return fmt.Errorf("the settings of probes have %s:\n%w", plural(len(found), "problem"), err)
	}
	return err
}

// serve lets the settings say by which keys providers' webhooks are taken. It is called before run.
func (e *eyes) serve(hooks *receipts.Handler) {
	e.hooks = hooks
	if now := e.current(); now != nil {
		e.listen(now)
	}
}

// inboundHandler is what serves /inbound/{name}; nil where there are no settings.
func (e *eyes) inboundHandler() http.Handler {
	if e.inbound == nil {
		return nil
	}
	return e.inbound
}

// read reads the settings, and everything that they name. Nothing is changed by it; nil where there are none.
func (e *eyes) read() (*sight, error) {
	if e.o.file == "" {
		return nil, nil
	}
	s, err := settings.Load(e.o.file)
	if err != nil {
		return nil, err
	}
	return e.build(s)
}

// take lets settings that were read come into force: webhooks at once, so that a key that was taken back opens nothing from
// now on, and probes as soon as those that look now have said goodbye. It is called by one goroutine at a time.
func (e *eyes) take(s *sight) {
	if s == nil {
		return
	}
	e.listen(s)
	select {
	case <-e.reload: // an older one that nobody has taken yet
	default:
	}
	e.reload <- s
}

// run looks until ctx is done.
func (e *eyes) run(ctx context.Context) error {
	if e.o.file == "" {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		e.warn()
		looking, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- e.current().schedule.Run(looking) }()
		var next *sight
		select {
		case <-ctx.Done():
		case next = <-e.reload:
		}
		stop()
		if err := <-done; err != nil {
			return err
		}
		if next != nil {
			e.use(next)
			e.o.logger.Info("settings of probes loaded", "file", e.o.file)
		}
	}
	return nil
}

func (e *eyes) current() *sight {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// listen brings the settings of webhooks into force, which cannot fail any more. A call that is under way goes on by the
// keys that it began with.
func (e *eyes) listen(s *sight) {
	if e.hooks != nil {
		e.hooks.Use(s.receipts)
	}
	if e.inbound != nil {
		e.inbound.Use(s.inbound)
	}
}

// use brings the probes of settings into force, which cannot fail any more: whatever could has been done by reading them.
func (e *eyes) use(s *sight) {
	e.ledger.SetBudgets(budgetOf(s.settings.Budget), s.budgets)
	spell := map[route.ID]func(string) string{}
	for id, ids := range s.spelt {
		spell[id] = ids.Receipt
	}
	e.box.Spellings(spell)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != nil {
		s.schedule.Follow(e.now.schedule)
	}
	e.now = s
}

// warn names routes that the policy does not have: what is seen of them counts nowhere.
func (e *eyes) warn() {
	if e.o.known == nil || e.o.suggest == nil {
		return
	}
	for id := range e.current().settings.Routes {
		if !e.o.known(id) {
			reason := "what is seen of it counts nowhere"
			if near := e.o.suggest(id); near != "" {
				reason += fmt.Sprintf("; did you mean %q?", near)
			}
			e.o.logger.Warn("probe of a route that the policy does not have", "route", id, "file", e.o.file, "reason", reason)
		}
	}
}

// Watches are how all probes stand.
func (e *eyes) Watches() []route.Watch {
	var out []route.Watch
	if s := e.current(); s != nil {
		out = s.schedule.Status()
	}
	e.mu.Lock()
	for _, far := range e.far {
		out = append(out, far.watches...)
	}
	e.mu.Unlock()
	slices.SortStableFunc(out, func(a, b route.Watch) int {
		return strings.Compare(string(a.Route)+"\x00"+a.Way+"\x00"+a.Vantage, string(b.Route)+"\x00"+b.Way+"\x00"+b.Vantage)
	})
	return out
}

// watchesOf are those of one route.
func (e *eyes) watchesOf(id route.ID) []route.Watch {
	return slices.DeleteFunc(e.Watches(), func(w route.Watch) bool { return w.Route != id })
}

// PutWatches takes how the probes of another place stand.
func (e *eyes) PutWatches(vantage string, watches []route.Watch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(e.far, func(_ string, f farWatches) bool { return now.Sub(f.at) > vantageAge })
	if _, known := e.far[vantage]; !known && len(e.far) >= vantagesMost {
		return fmt.Errorf("want at most %d vantage points", vantagesMost)
	}
	e.far[vantage] = farWatches{now, watches}
	return nil
}

// tlsOf makes what the settings say of TLS; nil for none.
func tlsOf(t *settings.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: want certificates in PEM, got none in %s", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// slack is what a look may take beyond the bounds of its steps.
const slack = 2 * time.Second
