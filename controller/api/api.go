// Package api is what signalbox says to the world over HTTP: the table for senders, the read interface for people and
// programs, and the mounts of what takes observations in. openapi.yaml describes all of it.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"signalbox/rules/route"

	"github.com/prometheus/client_golang/prometheus"
)

// Options says what there is to serve. Paths whose source is nil do not exist.
type Options struct {
	Tables    Tables // required
	Lanes     Lanes
	Journal   Journal
	Explainer Explainer
	Senders   Senders
	Reloader  Reloader
	Policy    Policy
	Planner   Planner
	Probes    Probes
	Alerts    Alerts
	Operators Operators
	Feed      Feed
	Signer    Signer // of tables; nil: they are not signed
	Prices    Prices
	Messages  Messages

	Events   http.Handler // POST /events
	Receipts http.Handler // GET and POST /receipts/{format}
	Inbound  http.Handler // GET and POST /inbound/{name}
	Metrics  http.Handler // GET /metrics

	// Doors say who calls; nil: everybody may do everything. Proven are calls to Receipts and Inbound that those check by
	// a signature or a secret of their own, so that no token is wanted; nil: none.
	Doors  Doors
	Proven func(r *http.Request) bool
	Audit  Audit // nil: calls are counted and not kept

	Ready      func() error // nil: ready as soon as there is a table
	Registerer prometheus.Registerer
	Logger     *slog.Logger // nil: slog.Default()
}

type api struct {
	Options
	metrics *metrics
	pages   pages
	mux     *http.ServeMux
	table   http.Handler // what mux has at /routes, which is asked for most
	long    http.Handler // of URLs that are too long
	see     []string     // the paths that exist
	streams streams
}

// New returns the handler of everything that o has a source for.
func New(o Options) (http.Handler, error) {
	if o.Tables == nil {
		return nil, errors.New("new api: want tables, got none")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Ready == nil {
		o.Ready = func() error { return ready(o.Tables) }
	}
	a := &api{Options: o, metrics: newMetrics(o.Registerer), mux: http.NewServeMux()}
	a.pages.signer = o.Signer
	if o.Senders != nil {
		o.Registerer.MustRegister(newSendersCollector(o.Senders))
	}
	if err := a.register(); err != nil {
		return nil, err
	}
	return a, nil
}

func ready(t Tables) error {
	if t.Table() == nil {
		return errors.New("no table has been published yet")
	}
	return nil
}

// endpoint is one method on one path.
type endpoint struct {
	method, path string
	name         string // the label handler in metrics; the same for all methods of a path
	handler      http.HandlerFunc
}

// endpoints are all that exist here. The description in openapi.yaml has the same ones.
func (a *api) endpoints() []endpoint {
	all := []endpoint{
		{"GET", "/routes", "routes", a.getTable},
		{"GET", "/routes/lookup", "lookup", a.getLookup},
		{"GET", "/api/v1/openapi.yaml", "openapi", a.getOpenAPI},
		{"GET", "/-/healthy", "healthy", a.getHealthy},
		{"GET", "/-/ready", "ready", a.getReady},
	}
	add := func(exists bool, e ...endpoint) {
		if exists {
			all = append(all, e...)
		}
	}
	add(a.Senders != nil,
		endpoint{"PUT", "/senders/{name}", "sender", a.putSender},
		endpoint{"GET", "/api/v1/senders", "senders", a.getSenders})
	add(a.Lanes != nil,
		endpoint{"GET", "/api/v1/lanes", "lanes", a.getLanes},
		endpoint{"GET", "/api/v1/lanes/{class}/{network}", "lane", a.getLane})
	add(a.Journal != nil,
		endpoint{"GET", "/api/v1/decisions", "decisions", a.getDecisions},
		endpoint{"GET", "/api/v1/decisions/{id}", "decision", a.getDecision})
	add(a.Operators != nil,
		endpoint{"GET", "/api/v1/overrides", "overrides", a.getOverrides},
		endpoint{"POST", "/api/v1/overrides", "overrides", a.postOverride},
		endpoint{"DELETE", "/api/v1/overrides/{id}", "override", a.deleteOverride},
		endpoint{"GET", "/api/v1/proposals", "proposals", a.getProposals},
		endpoint{"POST", "/api/v1/proposals/{id}/approve", "approve", a.postApproval},
		endpoint{"POST", "/api/v1/proposals/{id}/reject", "reject", a.postRejection})
	add(a.Feed != nil, endpoint{"GET", "/api/v1/stream", "stream", a.getStream})
	add(a.Prices != nil, endpoint{"GET", "/api/v1/prices", "prices", a.getPrices})
	add(a.Messages != nil, endpoint{"GET", "/api/v1/messages/{id}", "message", a.getMessage})
	add(a.Explainer != nil, endpoint{"GET", "/api/v1/explain", "explain", a.getExplain})
	add(a.Probes != nil,
		endpoint{"GET", "/api/v1/probes", "probes", a.getProbes},
		endpoint{"PUT", "/api/v1/probes/{vantage}", "vantage", a.putProbes})
	add(a.Alerts != nil,
		endpoint{"GET", "/api/v1/alerts", "alerts", a.getAlerts},
		endpoint{"POST", "/api/v1/alerts/test", "alerts_test", a.postAlertsTest})
	add(a.Policy != nil, endpoint{"GET", "/api/v1/policy", "policy", a.getPolicy})
	add(a.Planner != nil, endpoint{"POST", "/api/v1/policy/plan", "plan", a.postPlan})
	add(a.Reloader != nil, endpoint{"POST", "/-/reload", "reload", a.postReload})
	return append(all, a.mounts()...)
}

func (a *api) mounts() (all []endpoint) {
	add := func(h http.Handler, path, name string, methods ...string) {
		if h != nil {
			for _, m := range methods {
				all = append(all, endpoint{m, path, name, h.ServeHTTP})
			}
		}
	}
	add(a.Events, "/events", "events", "POST")
	add(a.Receipts, "/receipts/{format}", "receipts", "GET", "POST")
	add(a.Inbound, "/inbound/{name}", "inbound", "GET", "POST")
	add(a.Options.Metrics, "/metrics", "metrics", "GET")
	return all
}

// register puts all endpoints of a path behind one pattern, so that a wrong method is answered here.
func (a *api) register() error {
	byPath := map[string]*methods{}
	for _, e := range a.endpoints() {
		m := byPath[e.path]
		if m == nil {
			m = &methods{api: a, name: e.name, by: map[string]http.HandlerFunc{}}
			byPath[e.path] = m
			a.see = append(a.see, e.path)
		}
		m.by[e.method] = e.handler
		if e.method == "GET" {
			m.by["HEAD"] = e.handler
		}
	}
	for path, m := range byPath {
		m.finish()
		d, err := doorOf(path, m.by)
		if err != nil {
			return err
		}
		h := a.measure(m.name, m, d)
		a.mux.Handle(path, h)
		if path == "/routes" {
			a.table = h
		}
	}
	a.long = a.measure("unknown", http.HandlerFunc(a.tooLong), door{})
	a.mux.Handle("/", a.measure("unknown", http.HandlerFunc(a.unknown), door{}))
	return nil
}

// maxURL bounds what follows the method in a request line, in bytes.
const maxURL = 8 << 10

// ServeHTTP answers everything. The paths are those of endpoints.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := a.Tables.Table(); p != nil {
		w.Header()["Signalbox-Generation"] = a.pages.of(p).generation
	}
	switch {
	case len(r.RequestURI) > maxURL:
		a.long.ServeHTTP(w, r)
	case r.URL.Path == "/routes":
		a.table.ServeHTTP(w, r)
	default:
		a.mux.ServeHTTP(w, r)
	}
}

// current is the generation in force; zero before the first table.
func (a *api) current() (g route.Generation) {
	if p := a.Tables.Table(); p != nil {
		g = p.Table.Generation
	}
	return g
}

// drainKey is the key in a request's context of the context that ends when the server begins to shut down.
type drainKey struct{}

// untilDrain returns ctx, but ending also when the server begins to shut down.
func untilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	drain, ok := ctx.Value(drainKey{}).(context.Context)
	if !ok {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(drain, cancel)
	return ctx, func() { stop(); cancel() }
}
