package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
)

func gen(n uint64) route.Generation { return route.Generation{Epoch: 1, Number: n} }

func tableOf(n uint64) *route.Table {
	since := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	reason := &route.Because{Rule: "receipts-collapse", Decision: "1-43-1", Text: "delivery 0.41–0.58 of 212 messages, baseline 0.94"}
	return &route.Table{Generation: gen(n), PublishedAt: since, Policy: "git:3f2a91c", Lanes: []route.LaneTable{
		{Class: "otp", Network: "GB", Mode: route.Propose, RetryAfter: route.Duration(20 * time.Second), Routes: []route.Entry{
			{Route: "bolt-uk", Share: 9900, Phase: route.Active, Price: "0.0330 EUR"},
			{Route: "core-uk", Share: 0, Phase: route.Active, Price: "0.0410 EUR"},
			{Route: "dent-uk", Share: 0, Phase: route.Active, Admin: route.AdminDrained},
			{Route: "acme-uk", Share: 100, Phase: route.Demoted, Since: &since, Reason: reason},
		}},
		{Class: "*", Network: "*", Mode: route.Act, Routes: []route.Entry{
			{Route: "acme-uk", Share: 5000, Phase: route.Active},
			{Route: "bolt-uk", Share: 5000, Phase: route.Active},
		}},
		{Class: "bulk", Network: "FR", Mode: route.Act, Routes: []route.Entry{{Route: "bolt-uk", Share: 10000, Phase: route.Active}}},
	}}
}

func encode(t *route.Table) *Published {
	p := &Published{Table: t}
	p.Plain, _ = json.Marshal(t)
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(p.Plain)
	w.Close()
	p.Gzip = buf.Bytes()
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	p.Zstd = e.EncodeAll(p.Plain, nil)
	return p
}

// fakeTables publishes in a test.
type fakeTables struct {
	mu      sync.Mutex // guards the others
	now     *Published
	changed chan struct{}
	entered chan struct{} // where it is not nil, each Wait sends to it first
}

func (f *fakeTables) publish(p *Published) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = p
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

func (f *fakeTables) Table() *Published {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeTables) Wait(ctx context.Context, have route.Generation, d time.Duration) *Published {
	f.mu.Lock()
	changed, now := f.changed, f.now
	f.mu.Unlock()
	if f.entered != nil {
		f.entered <- struct{}{}
	}
	if now.Table.Generation != have {
		return now
	}
	select {
	case <-changed:
	case <-ctx.Done():
	case <-time.After(d):
	}
	return f.Table()
}

func (f *fakeTables) Filtered(c route.Class, n route.Network) *Published {
	t := *f.Table().Table
	t.Lanes = nil
	for _, l := range f.Table().Table.Lanes {
		if (c == "" || l.Class == c) && (n == "" || l.Network == n) {
			t.Lanes = append(t.Lanes, l)
		}
	}
	if t.Lanes == nil {
		return nil
	}
	return encode(&t)
}

// fakes is a source for everything else.
type fakes struct {
	decisions []route.Decision
	asked     Query
	senders   map[string]Sender
	watches   []route.Watch
	full      error
	journal   error
	reload    error
	files     []policy.File
	since     time.Time
	plan      error
	tried     string
	try       error
	operators *fakeOperators
	feed      *fakeFeed
	prices    PriceQuery
	stopping  error
	attempts  []Attempt
	missing   error
	by        route.ID
}

func (f *fakes) Prices(_ context.Context, q PriceQuery) (any, error) {
	f.prices = q
	return map[string]string{"since": "2026-11-25"}, f.stopping
}

func (f *fakes) Find(_ string, by route.ID) ([]Attempt, any, error) {
	f.by = by
	return f.attempts, map[string]int{"kept": 3}, f.missing
}

func (f *fakes) Report() any { return map[string][]string{"receivers": {"pager"}} }

func (f *fakes) Try(_ context.Context, receiver string) (any, error) {
	f.tried = receiver
	return []string{"200 OK"}, f.try
}

func (f *fakes) Watches() []route.Watch { return f.watches }

func (f *fakes) PutWatches(_ string, w []route.Watch) error {
	f.watches = append(f.watches, w...)
	return f.full
}

func (f *fakes) Lanes() []LaneRow {
	return []LaneRow{{Class: "otp", Network: "*", Routes: []RouteRow{{Route: "acme-uk"}}}}
}

func (f *fakes) Lane(l route.Lane) (LaneRow, bool) {
	return f.Lanes()[0], l == route.Lane{Class: "otp", Network: "*"}
}

func (f *fakes) Decisions(q Query) ([]route.Decision, string, error) {
	f.asked = q
	found := slices.DeleteFunc(slices.Clone(f.decisions), func(d route.Decision) bool { return q.Class != "" && d.Lane.Class != "" && d.Lane.Class != q.Class })
	if len(found) > q.Limit {
		return found[:q.Limit], found[q.Limit-1].ID, f.journal
	}
	return found, "", f.journal
}

func (f *fakes) Decision(id string) (route.Decision, bool, error) {
	for _, d := range f.decisions {
		if d.ID == id {
			return d, true, nil
		}
	}
	return route.Decision{}, false, nil
}

func (f *fakes) Explain(r route.ID, l route.Lane) (any, bool) {
	return map[string]string{"route": string(r), "lane": l.String()}, r == "acme-uk" && l == route.Lane{Class: "otp", Network: "GB"}
}

func (f *fakes) PutSender(s Sender) error {
	if f.full == nil {
		f.senders[s.Name] = s
	}
	return f.full
}

func (f *fakes) Standings(time.Time) (all []Sender) {
	for _, s := range f.senders {
		all = append(all, s)
	}
	return all
}

func (f *fakes) Reload(context.Context) error { return f.reload }

func (f *fakes) Plan(ctx context.Context, files []policy.File, since time.Time) (any, error) {
	if f.plan == context.Canceled {
		<-ctx.Done()
	}
	f.files, f.since = files, since
	return map[string]int{"files": len(files)}, f.plan
}

func (f *fakes) Status() PolicyStatus { return PolicyStatus{Revision: "git:3f2a91c"} }

// world is an api with sources for everything, warm with generation 1-42.
type world struct {
	*fakes
	tables   *fakeTables
	registry *prometheus.Registry
	log      *bytes.Buffer
	handler  http.Handler
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{fakes: &fakes{senders: map[string]Sender{}, operators: &fakeOperators{}, feed: &fakeFeed{}}, tables: &fakeTables{}, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	w.tables.publish(encode(tableOf(42)))
	for i := range 3 {
		w.decisions = append(w.decisions, route.Decision{ID: fmt.Sprintf("1-43-%d", 3-i), Route: "acme-uk"})
	}
	w.handler = w.build(t)
	return w
}

func (w *world) options() Options {
	mount := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "mounted "+r.URL.Path) })
	return Options{
		Tables: w.tables, Lanes: w.fakes, Journal: w.fakes, Explainer: w.fakes, Senders: w.fakes, Reloader: w.fakes, Policy: w.fakes, Planner: w.fakes, Probes: w.fakes, Operators: w.operators, Feed: w.feed, Alerts: w.fakes, Prices: w.fakes, Messages: w.fakes,
		Events: mount, Receipts: mount, Inbound: mount, Metrics: mount,
		Registerer: w.registry, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
}

func (w *world) build(t testing.TB) http.Handler {
	t.Helper()
	h, err := New(w.options())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// do sends a request; headers are "Name: value".
func (w *world) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

func (w *world) get(target string, headers ...string) *httptest.ResponseRecorder {
	return w.do("GET", target, "", headers...)
}

// metric is the value of a gauge or counter, or how often a histogram observed; labels are "name=value" and choose one.
func (w *world) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			if f.GetName() == name && strings.Join(has, " ") == strings.Join(labels, " ") {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// wantProblem checks that the answer is a whole problem, and returns it.
func wantProblem(t *testing.T, rec *httptest.ResponseRecorder, status int, kind string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatalf("got %d %q, want a problem: %v", rec.Code, rec.Body, err)
	}
	if rec.Code != status || p.Status != status || p.Type != problemURN+kind || p.Title == "" || p.Instance == "" ||
		rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %+v as %q, want %d %s", rec.Code, p, rec.Header().Get("Content-Type"), status, kind)
	}
	return p
}

func TestNewNeedsTables(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("got no error")
	}
}
