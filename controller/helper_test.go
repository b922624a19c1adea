package controller

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

const testPolicy = `
version: 1
routes:
  acme: {provider: acme, networks: [GB], trickle: 2%}
  bolt: {provider: bolt, networks: [GB]}
classes:
  otp: {mode: act, within: 30s}
lanes:
  - {class: otp, network: GB, order: [acme, bolt]}
rules:
  - name: receipts-collapse
    class: [otp]
    demote: {when: delivery.evidence >= 12 && delivery.messages >= 5, for: 10s}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 100%], step: 30s}
    hold_down: {base: 1m, factor: 2, max: 10m, decay: 1h}
guards:
  settle: 10s
  velocity: {changes: 100, in: 1m}
`

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// quiet is a logger that says nothing.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// openStore opens a store in a folder of the test.
func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newController makes a controller over a store, under the test policy.
func newController(t testing.TB, s Store) *Controller {
	t.Helper()
	c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Load: func() (*policy.Policy, error) { return parse(t, testPolicy), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world plays carriers: what they are sent in each five seconds of simulated time, and what comes back when.
type world struct {
	rand    *rand.Rand
	now     time.Time
	rate    int // messages per route and round
	dead    map[route.ID]bool
	pending []route.Observation // receipts to come, unordered
}

func newWorld(seed uint64, at time.Time) *world {
	return &world{rand: rand.New(rand.NewPCG(seed, 1)), now: at, rate: 20, dead: map[route.ID]bool{}}
}

// baselines tell what is normal of these carriers.
func (w *world) baselines() []route.Observation {
	ages, cdf := []float64{}, []float64{}
	for a := 0.5; a <= 64; a *= math.Sqrt2 {
		ages = append(ages, a)
		cdf = append(cdf, 0.5*math.Erfc(-math.Log(a/3)/0.5/math.Sqrt2))
	}
	var out []route.Observation
	for _, id := range []route.ID{"acme", "bolt"} {
		out = append(out, route.Observation{Kind: route.KindBaseline, Time: w.now, Route: id, Class: "otp", Network: "234-15",
			Baseline: &route.Baseline{Delivered: 0.95, Failed: 0.025, Ages: ages, CDF: cdf, Messages: 5000}})
	}
	return out
}

// step plays the five seconds up to the next tick.
func (w *world) step() []route.Observation {
	end := w.now.Add(5 * time.Second)
	var out []route.Observation
	for _, id := range []route.ID{"acme", "bolt"} {
		for i := range w.rate {
			at := w.now.Add(time.Duration(i) * 5 * time.Second / time.Duration(w.rate))
			o := route.Observation{Kind: route.KindSubmit, Time: at, Route: id, Class: "otp", Network: "234-15", Source: "gw"}
			out = append(out, o)
			w.answer(o)
		}
	}
	rest := w.pending[:0]
	for _, r := range w.pending {
		if r.Time.After(end) {
			rest = append(rest, r)
		} else {
			out = append(out, r)
		}
	}
	w.pending = rest
	out = append(out, route.Observation{Kind: route.KindHeartbeat, Time: end, Source: "gw", Routes: []route.ID{"acme", "bolt"}})
	w.now = end
	return out
}

func (w *world) answer(o route.Observation) {
	draw := w.rand.Float64()
	if w.dead[o.Route] || draw > 0.975 {
		return
	}
	r := o
	r.Kind, r.Final, r.Submitted, r.Status = route.KindReceipt, true, o.Time, route.StatusDelivered
	if draw > 0.95 {
		r.Status = route.StatusFailed
	}
	r.Time = o.Time.Add(time.Duration(3 * math.Exp(0.5*w.rand.NormFloat64()) * float64(time.Second)))
	w.pending = append(w.pending, r)
}

// play lets a controller observe and judge the next five seconds.
func (w *world) play(c *Controller) {
	c.observe(w.step(), w.now)
	c.round(w.now)
}

// shown is the table in force in one line.
func shown(c *Controller) string {
	p := c.o.Model.Table()
	if p == nil {
		return "none"
	}
	text := p.Table.Generation.String()
	for _, l := range p.Table.Lanes {
		for _, e := range l.Routes {
			text += fmt.Sprintf(" %s:%s:%d", e.Route, e.Phase, e.Share)
		}
	}
	return text
}

// flaky is a store that can be told to fail.
type flaky struct {
	*store.Store
	mu  sync.Mutex // guards err
	err error
}

var errDiskFull = errors.New("no space left on device")

func (f *flaky) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) Commit(c store.Change) error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil && !errors.Is(err, store.ErrUnsure) {
		return err
	}
	return errors.Join(err, f.Store.Commit(c))
}
