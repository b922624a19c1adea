package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

// maxBody bounds the body of a call. Providers that send batches stay far below it.
const maxBody = 1 << 20

// Options are what a Handler works with.
type Options struct {
	// Take joins the observations and hands them on. It may change them; their Message is the message id, and must not
	// be kept. An error means that they cannot be taken now: the provider is answered 503 and will call again.
	Take func(ctx context.Context, observations []route.Observation) error

	Formats []Format            // that it begins with; default: all that the package has, without keys
	Routes  map[string]route.ID // routes by the provider's connector or SMSC id; an id that is absent is the route's own

	Known   func(route.ID) bool     // whether the policy has the route; nil: every one
	Suggest func(route.ID) route.ID // the route that was probably meant, "" where none is near; nil: none

	Now      func() time.Time // default time.Now
	MaxAhead time.Duration    // how far a receipt may be ahead of Now; default 60s

	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Handler serves /receipts/{format}.
type Handler struct {
	o       Options
	metrics *metrics
	set     atomic.Pointer[Set]
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	if o.Take == nil {
		return nil, errors.New("receipts options: want Take")
	}
	if o.MaxAhead < 0 {
		return nil, fmt.Errorf("receipts options: want MaxAhead of 0 or more, got %v", o.MaxAhead)
	}
	if o.MaxAhead == 0 {
		o.MaxAhead = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Formats == nil {
		o.Formats = All(nil, nil)
	}
	set, err := NewSet(o.Formats, o.Routes)
	if err != nil {
		return nil, fmt.Errorf("receipts options: %w", err)
	}
	h := &Handler{o: o}
	if h.metrics, err = newMetrics(o.Registerer, set.formats); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	h.set.Store(set)
	return h, nil
}

// Use lets calls that begin from now on be read by another set. One that is under way is read to its end by the set that it
// began with, so that no call falls between the two.
func (h *Handler) Use(s *Set) { h.set.Store(s) }

// Signed reports whether calls to a path prove by themselves where they come from: the format has keys, and refuses all
// that they do not fit.
func (h *Handler) Signed(url *url.URL) bool { return h.set.Load().formats[path.Base(url.Path)].Signed }

// ServeHTTP reads a call in the format that the last part of the path names. Receipts that came before are taken with
// 200 like new ones.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, set := path.Base(r.URL.Path), h.set.Load()
	f, ok := set.formats[name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(set.formats)), ", ")
		writeProblem(w, http.StatusNotFound, fmt.Sprintf("format: want %s, got %q", known, short(name)))
		return
	}
	outcome, status, detail := h.serve(w, r, set, f)
	h.metrics.calls.WithLabelValues(f.Name, outcome).Inc()
	if outcome != outcomeTaken {
		writeProblem(w, status, detail)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, f.Answer)
}

// serve takes a call; status and detail are for the outcomes that are problems.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, set *Set, f Format) (outcome string, status int, detail string) {
	if !slices.Contains(f.Methods, r.Method) {
		allowed := strings.Join(f.Methods, ", ")
		w.Header().Set("Allow", allowed)
		return outcomeMalformed, http.StatusMethodNotAllowed, fmt.Sprintf("want %s, got %s", allowed, r.Method)
	}
	observations, err := h.read(w, r, set, f)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return outcomeMalformed, http.StatusRequestEntityTooLarge, fmt.Sprintf("body: want at most %d bytes, got more", maxBody)
	case errors.Is(err, errUnchecked):
		return outcomeBusy, http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, ErrSignature):
		return outcomeForbidden, http.StatusForbidden, err.Error()
	case err != nil:
		return outcomeMalformed, http.StatusBadRequest, err.Error()
	}
	if len(observations) > 0 {
		if err := h.o.Take(r.Context(), observations); err != nil {
			return outcomeBusy, http.StatusServiceUnavailable, err.Error()
		}
	}
	return outcomeTaken, http.StatusOK, ""
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request, set *Set, f Format) ([]route.Observation, error) {
	now := h.o.Now()
	c, err := call(w, r, now)
	if err != nil {
		return nil, err
	}
	c.Route = set.route
	if f.Check != nil {
		if err := f.Check(r.Context(), c); err != nil {
			return nil, err
		}
	}
	observations, err := f.Read(c)
	if err != nil {
		return nil, err
	}
	for i := range observations {
		if err := h.check(&observations[i], now); err != nil {
			return nil, err
		}
	}
	return observations, nil
}

func call(w http.ResponseWriter, r *http.Request, now time.Time) (*Call, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("query: want it URL-encoded, got %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	form, posted := query, url.Values{}
	if isForm(r.Header) {
		if posted, err = url.ParseQuery(string(body)); err != nil {
			return nil, fmt.Errorf("body: want it URL-encoded, got %w", err)
		}
		form = maps.Clone(posted)
		for name, values := range query {
			form[name] = append(slices.Clip(form[name]), values...)
		}
	}
	address := *r.URL
	address.Host = r.Host
	return &Call{Method: r.Method, URL: &address, Header: r.Header, Query: query, Body: body, Form: form, Posted: posted, Now: now}, nil
}

func isForm(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// writeProblem answers by RFC 9457; the client may be gone by now, which is no one's concern here.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
}
