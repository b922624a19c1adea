package api

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// measured counts and times the requests of one path, and survives their panics.
type measured struct {
	api       *api
	name      string
	next      http.Handler
	door      door
	took      prometheus.Observer
	waited    prometheus.Observer // of requests that waited for a table; nil where none does
	full      prometheus.Counter  // GET 200
	unchanged prometheus.Counter  // GET 304
}

func (a *api) measure(name string, next http.Handler, d door) http.Handler {
	m := &measured{api: a, name: name, next: next, door: d, took: a.metrics.duration.WithLabelValues(name)}
	m.full = a.metrics.requests.WithLabelValues(name, "200", "GET")
	if name == "routes" {
		m.unchanged = a.metrics.requests.WithLabelValues(name, "304", "GET")
		m.waited = a.metrics.duration.WithLabelValues(name + "_wait")
	}
	return m
}

func (m *measured) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := recorders.Get().(*recorder)
	rec.ResponseWriter = w
	defer m.finish(rec, r, time.Now())
	if m.foreign(rec, r) {
		return
	}
	if m.api.Doors != nil {
		var in bool
		if r, in = m.enter(rec, r); !in {
			return
		}
	}
	m.next.ServeHTTP(rec, r)
}

// finish is deferred, so that it can recover.
func (m *measured) finish(rec *recorder, r *http.Request, start time.Time) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		cut := rec.sent()
		m.panicked(rec, r, p)
		p = nil
		if cut {
			p = http.ErrAbortHandler // half an answer is none: the client has to see that it was cut
		}
	}
	m.count(rec, r, time.Since(start))
	m.audit(rec, r)
	*rec = recorder{}
	recorders.Put(rec)
	if p != nil {
		panic(p)
	}
}

func (m *measured) panicked(rec *recorder, r *http.Request, p any) {
	m.api.metrics.panics.Inc()
	m.api.Logger.Error("request panicked", "err", fmt.Errorf("%s %s: %v\n%s", methodLabel(r.Method), m.name, p, debug.Stack()))
	if !rec.sent() {
		h := rec.Header()
		generation, known := h["Signalbox-Generation"]
		clear(h)
		if known {
			h["Signalbox-Generation"] = generation
		}
		m.api.fail(rec, r, problem{Type: "internal", Status: http.StatusInternalServerError, Detail: "the log of signalbox says why"})
	}
}

func (m *measured) count(rec *recorder, r *http.Request, took time.Duration) {
	switch code := rec.status(); {
	case r.Method == "GET" && code == http.StatusOK:
		m.full.Inc()
	case r.Method == "GET" && code == http.StatusNotModified && m.unchanged != nil:
		m.unchanged.Inc()
	default:
		m.api.metrics.requests.WithLabelValues(m.name, strconv.Itoa(code), methodLabel(r.Method)).Inc()
	}
	if rec.waited && m.waited != nil {
		m.waited.Observe(took.Seconds())
		return
	}
	m.took.Observe(took.Seconds())
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code    int    // 0: nothing was sent yet
	waited  bool   // set by a handler that waited for a table
	caller  Caller // zero where nobody was asked
	refused string // why the door did not let it in
	proven  bool   // that it has to prove itself
}

var recorders = sync.Pool{New: func() any { return new(recorder) }}

// WriteHeader remembers the final status.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= 200 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write sends the status 200 first where none was sent.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush sends what is buffered, where the writer can.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		if r.code == 0 {
			r.code = http.StatusOK
		}
		f.Flush()
	}
}

func (r *recorder) sent() bool { return r.code != 0 }

// status is what the client saw; a handler that sends nothing sends 200.
func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}
