// Package inbound takes the messages that come back: those to test numbers, which a virtual number's provider or a phone
// with a forwarding app posts to a webhook. They are the only proof that a message arrived, whatever its receipt says. The
// text is compared with what was sent and dropped.
package inbound

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/theory/jsonpath"
)

// maxBody bounds a call.
const maxBody = 256 << 10

// Format is how one sender of such calls writes them. From, To and Text are JSONPaths where they begin with $, and names of
// form fields otherwise.
type Format struct {
	Name   string // the last part of the path: /inbound/{name}
	Secret string // that the call has as a bearer token, or as ?key=
	From   string
	To     string // "" does not look at it
	Text   string
}

// Options are what a Handler works with.
type Options struct {
	Set *Set // that it begins with; nil: one without webhooks
	// Message tells of a message, and reports whether a probe waits for it.
	Message    func(from, text string, at time.Time) bool
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Handler serves /inbound/{name}.
type Handler struct {
	o     Options
	calls *prometheus.CounterVec
	set   atomic.Pointer[Set]
}

// Set is by what a Handler reads calls. It does not change.
type Set struct {
	formats map[string]*reader
	test    func(digits string) bool
}

// NewSet checks formats, each of which has a name of its own. test reports whether a number, as digits, is a test number:
// messages to others are not looked at; nil: every one is.
func NewSet(formats []Format, test func(digits string) bool) (*Set, error) {
	s := &Set{formats: make(map[string]*reader, len(formats)), test: test}
	for _, f := range formats {
		r, err := newReader(f)
		if err != nil {
			return nil, fmt.Errorf("inbound %s: %w", f.Name, err)
		}
		s.formats[f.Name] = r
	}
	return s, nil
}

// reader is a Format, read.
type reader struct {
	Format
	secret         [sha256.Size]byte
	from, to, text func(body any, form url.Values) string
}

// The outcomes of calls.
const (
	awaited   = "awaited"   // a probe waited for it
	stranger  = "stranger"  // no probe does, or it went to another number
	forbidden = "forbidden" // without the secret
	malformed = "malformed" // not as the format says
)

// New checks the options.
func New(o Options) (*Handler, error) {
	if o.Message == nil {
		return nil, errors.New("inbound options: want Message")
	}
	h := &Handler{o: o, calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signalbox_inbound_messages_total", Help: "Calls that tell of messages to test numbers, by what became of them."}, []string{"outcome"})}
	for _, outcome := range [...]string{awaited, stranger, forbidden, malformed} {
		h.calls.WithLabelValues(outcome)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(h.calls); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	if o.Set == nil {
		o.Set = &Set{}
	}
	h.set.Store(o.Set)
	return h, nil
}

// Use lets calls that begin from now on be read by another set.
func (h *Handler) Use(s *Set) { h.set.Store(s) }

func newReader(f Format) (*reader, error) {
	if f.Name == "" || f.Secret == "" || f.From == "" || f.Text == "" {
		return nil, errors.New("want a name, a secret, from and text")
	}
	r := &reader{Format: f, secret: sha256.Sum256([]byte(f.Secret))}
	var err error
	field := func(name, where string) func(any, url.Values) string {
		if where == "" || !strings.HasPrefix(where, "$") {
			return func(_ any, form url.Values) string { return form.Get(where) }
		}
		p, wrong := jsonpath.Parse(where)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: want a JSONPath such as $.text, got %q: %w", name, where, wrong))
			return nil
		}
		return func(body any, _ url.Values) string { return first(p, body) }
	}
	r.from, r.to, r.text = field("from", f.From), field("to", f.To), field("text", f.Text)
	return r, err
}

// first is the first text or number that a path finds.
func first(p *jsonpath.Path, body any) string {
	if body == nil {
		return ""
	}
	for _, found := range p.Select(body) {
		switch x := found.(type) {
		case string:
			return x
		case json.Number:
			return x.String()
		}
	}
	return ""
}

// Signed reports whether calls to a path have to bring a secret; those to no webhook need not.
func (h *Handler) Signed(url *url.URL) bool { return h.set.Load().formats[path.Base(url.Path)] != nil }

// ServeHTTP takes one message. What is nobody's is answered like what is a probe's, so that a provider does not repeat it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := h.set.Load()
	f := set.formats[path.Base(r.URL.Path)]
	if f == nil {
		http.Error(w, "no such inbound webhook", http.StatusNotFound)
		return
	}
	outcome, status, detail := h.serve(w, r, set, f)
	h.calls.WithLabelValues(outcome).Inc()
	if status != http.StatusOK {
		http.Error(w, detail, status)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, set *Set, f *reader) (outcome string, status int, detail string) {
	if !f.allowed(r) {
		return forbidden, http.StatusForbidden, "want the secret as a bearer token or as key= in the query"
	}
	body, form, err := read(w, r)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return malformed, http.StatusRequestEntityTooLarge, fmt.Sprintf("body: want at most %d bytes, got more", maxBody)
	case err != nil:
		return malformed, http.StatusBadRequest, err.Error()
	}
	from, to, text := f.from(body, form), f.to(body, form), f.text(body, form)
	switch {
	case text == "":
		return malformed, http.StatusBadRequest, fmt.Sprintf("text: want it at %s, got nothing", f.Text)
	case f.To != "" && set.test != nil && !set.test(digits(to)):
		return stranger, http.StatusOK, ""
	case h.o.Message(from, text, time.Now()):
		return awaited, http.StatusOK, ""
	}
	return stranger, http.StatusOK, ""
}

// allowed compares secrets in a time that does not depend on them.
func (f *reader) allowed(r *http.Request) bool {
	given := r.URL.Query().Get("key")
	if bearer, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); is {
		given = bearer
	}
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], f.secret[:]) == 1
}

// read is the body as JSON, nil where it is none, and the fields of query and form.
func read(w http.ResponseWriter, r *http.Request) (body any, form url.Values, err error) {
	form = r.URL.Query()
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, nil, fmt.Errorf("want GET or POST, got %s", r.Method)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, nil, err
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what cannot be read is taken for JSON
	if media == "application/x-www-form-urlencoded" {
		posted, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, nil, errors.New("body: want it URL-encoded")
		}
		for name, values := range posted {
			form[name] = append(values, form[name]...)
		}
		return nil, form, nil
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, form, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&body); err != nil {
		return nil, nil, errors.New("body: want JSON, or a form with its content type")
	}
	return body, form, nil
}

// digits are those of a number.
func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
}
