// Package http looks at a route through its provider's HTTP API: a request made from templates, with an expectation on
// status, body and time. Where it sends a message, it waits for what comes back like any prober that does.
package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/theory/jsonpath"

	"signalbox/probes"
	"signalbox/rules/route"
)

// Options are what a Prober asks and expects. URL, Headers and Body are templates (text/template) over .Number, .Text, .Token
// and .From of the message, where one is sent, and .Secret by name; the function json writes a value as JSON.
type Options struct {
	Route   route.ID
	Method  string // default GET
	URL     string
	Headers map[string]string
	Body    string
	Secrets map[string]string
	TLS     *tls.Config   // nil: the system's
	Timeout time.Duration // of the answer, body included; 0 is 10 s

	Status []int         // that are expected; none: 200 to 299
	JSON   string        // JSONPath (RFC 9535) that must find something in the answer; "" asks nothing
	Equals string        // what it must find; "" is anything
	Within time.Duration // an answer that takes longer is a failure; 0: Timeout

	// MessageID is a JSONPath of the id that the answer gives the message; "" where no receipt is waited for.
	MessageID string
	Errand    *probes.ErrandOptions // nil: no message is sent
}

// Bounds of an answer and of pauses.
const (
	maxAnswer   = 1 << 20
	pauseLeast  = time.Second
	pauseMost   = time.Hour
	pauseUsual  = time.Minute
	refusedMost = 3 // answers 401 in a row, after which the credentials are not tried again
)

// Prober is a probes.Prober over HTTP.
type Prober struct {
	o         Options
	url, body *template.Template
	headers   map[string]*template.Template
	json, id  *jsonpath.Path // nil where not asked for
	errand    *probes.Errand // nil where nothing is sent
	client    *nethttp.Client
	transport *nethttp.Transport
	refused   int // answers 401 in a row
}

// New checks the options. It reaches no network.
func New(o Options) (*Prober, error) {
	if o.Method == "" {
		o.Method = nethttp.MethodGet
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	p := &Prober{o: o, headers: map[string]*template.Template{}}
	err := errors.Join(p.parse(), p.paths())
	if err == nil && o.Errand != nil {
		o.Errand.Route = o.Route
		p.errand, err = probes.NewErrand(*o.Errand)
	}
	if err == nil {
		_, err = p.request(context.Background(), probes.Message{Number: probes.Number{Digits: "0"}}) // what the templates ask for is there
	}
	if err != nil {
		return nil, fmt.Errorf("http of %s: %w", o.Route, err)
	}
	p.transport = &nethttp.Transport{ // no proxy: what is looked at is the way that senders go
		DialContext:         (&net.Dialer{}).DialContext,
		TLSClientConfig:     o.TLS,
		TLSHandshakeTimeout: o.Timeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     90 * time.Second,
	}
	p.client = &nethttp.Client{Transport: p.transport, CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error { return nethttp.ErrUseLastResponse }}
	return p, nil
}

// parse reads the templates.
func (p *Prober) parse() (err error) {
	read := func(name, text string) *template.Template {
		t, wrong := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"json": asJSON}).Parse(text)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: want a template: %w", name, wrong))
		}
		return t
	}
	p.url, p.body = read("url", p.o.URL), read("body", p.o.Body)
	for name, text := range p.o.Headers {
		p.headers[name] = read("header "+name, text)
	}
	return err
}

func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// paths reads the JSONPaths.
func (p *Prober) paths() (err error) {
	read := func(name, text string) *jsonpath.Path {
		if text == "" {
			return nil
		}
		path, wrong := jsonpath.Parse(text)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: want a JSONPath such as $.state, got %q: %w", name, text, wrong))
		}
		return path
	}
	p.json, p.id = read("json", p.o.JSON), read("message_id", p.o.MessageID)
	if p.o.Errand != nil && p.o.Errand.ReceiptTimeout > 0 && p.id == nil && err == nil {
		err = errors.New("message_id: want a JSONPath of the id in the answer, by which the receipt is known")
	}
	return err
}

// Close lets go of the kept connection.
func (p *Prober) Close(context.Context) error {
	p.transport.CloseIdleConnections()
	return nil
}

// Probe asks once.
func (p *Prober) Probe(ctx context.Context) (probes.Look, error) {
	var message probes.Message
	if p.errand != nil {
		var err error
		if message, err = p.errand.Write(time.Now()); err != nil {
			return probes.Look{}, err
		}
	}
	log := probes.Begin(p.o.Route, message.Number.Network, "http", time.Now())
	if p.errand != nil {
		p.errand.Overdue(log)
	}
	over := p.sending()
	sent := time.Now()
	a, err := p.ask(ctx, log, message)
	id := p.took(a)
	over()
	switch {
	case probes.Canceled(ctx) != nil:
		return log.Look(), ctx.Err()
	case probes.Ours(err):
		return log.Look(), errors.New("no connection could be made from here: " + cause(err)) // the error would repeat the URL
	case err != nil:
		log.Failed("http", time.Now(), time.Since(sent), causeOf(err), saidOf(err, p.o.Timeout))
		return log.Look(), nil
	}
	if p.judge(log, a) && p.errand != nil {
		p.sent(ctx, log, a, id, message, sent)
	}
	return log.Look(), probes.Canceled(ctx)
}

// causeOf is probes.Cause, which cannot know the one error that net/http gives no type: a server without TLS.
func causeOf(err error) string {
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return "tls"
	}
	return probes.Cause(err)
}

// cause is the innermost error, which names no address.
func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// sending says that a message is about to be handed over, where one is.
func (p *Prober) sending() (over func()) {
	if p.errand == nil {
		return func() {}
	}
	return p.o.Errand.Returns.Sending(p.o.Route)
}

// saidOf says why there was no answer, without the URL, which may hold a secret.
func saidOf(err error, timeout time.Duration) string {
	switch cause := causeOf(err); cause {
	case "timeout":
		return fmt.Sprintf("no answer in %s", route.Duration(timeout))
	case "refused":
		return "nobody listens at the address"
	case "closed":
		return "the server hung up"
	case "error":
		return "the answer is no HTTP"
	default:
		return "no connection: " + cause
	}
}

// answer is what came.
type answer struct {
	status int
	header nethttp.Header
	body   []byte
	took   time.Duration
}

// ask sends the request and reads the answer.
func (p *Prober) ask(ctx context.Context, log *probes.Log, message probes.Message) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	request, err := p.request(traced(ctx, log), message)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	return &answer{response.StatusCode, response.Header, body, time.Since(start)}, nil
}

// request makes the request of a message; none is sent where there is no errand.
func (p *Prober) request(ctx context.Context, m probes.Message) (*nethttp.Request, error) {
	data := map[string]any{"Number": m.Number.Digits, "Text": m.Text, "Token": m.Token, "From": "", "Secret": p.o.Secrets}
	if p.o.Errand != nil {
		data["From"] = p.o.Errand.From
	}
	var err error
	fill := func(t *template.Template) string {
		var b strings.Builder
		if wrong := t.Execute(&b, data); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: want values that are there: %w", t.Name(), wrong))
		}
		return b.String()
	}
	url, body := fill(p.url), fill(p.body)
	headers := nethttp.Header{}
	for name, t := range p.headers {
		headers.Set(name, fill(t))
	}
	if err != nil {
		return nil, err
	}
	request, err := nethttp.NewRequestWithContext(ctx, p.o.Method, url, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("url: want one that can be asked for") // the error would repeat it, and it may hold a secret
	}
	request.Header = headers
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "signalbox")
	}
	return request, nil
}

// judge says what an answer tells of the route, and reports whether it is as expected.
func (p *Prober) judge(log *probes.Log, a *answer) bool {
	code, now := strconv.Itoa(a.status), time.Now()
	if a.status != nethttp.StatusUnauthorized {
		p.refused = 0
	}
	switch {
	case p.expected(a.status):
	case a.status == nethttp.StatusTooManyRequests:
		log.Note("http", a.took, code, "too many requests, which is no illness")
		log.Pause(retryAfter(a.header, now))
		return false
	case a.status == nethttp.StatusUnauthorized:
		p.unauthorized(log, a, code)
		return false
	case a.status == nethttp.StatusForbidden:
		log.Note("http", a.took, code, "forbidden: the account is wrong, not the route")
		log.Pause(pauseUsual)
		log.Hint("ask the provider what the account may do, and from which addresses")
		return false
	case p.errand != nil && a.status >= 400 && a.status < 500:
		log.Note("submit", a.took, code, "refused: the request is wrong, not the route")
		log.Hint("mend url, headers, body, from or the test number: the provider does not take them")
		return false
	default:
		log.Failed(p.kind(), now, a.took, code, "the server answers "+code)
		return false
	}
	if why, word := p.lacks(a); why != "" {
		log.Failed("http", now, a.took, word, why)
		return false
	}
	log.OK("http", now, a.took, "the server answers "+code)
	return true
}

// kind is the probe that an answer of the server's fault speaks of.
func (p *Prober) kind() string {
	if p.errand != nil {
		return "submit"
	}
	return "http"
}

func (p *Prober) expected(status int) bool {
	if len(p.o.Status) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(p.o.Status, status)
}

// unauthorized notes credentials that were refused; some times in a row, and they are not tried again.
func (p *Prober) unauthorized(log *probes.Log, a *answer, code string) {
	log.Note("http", a.took, code, "unauthorized: the credentials are wrong, not the route")
	log.Pause(pauseUsual)
	log.Hint("mend the credentials and reload")
	if p.refused++; p.refused >= refusedMost {
		log.Stop(fmt.Sprintf("the provider refused the credentials %d times in a row", p.refused))
	}
}

// retryAfter is how long a server asks to be left alone (RFC 9110, section 10.2.3).
func retryAfter(h nethttp.Header, now time.Time) time.Duration {
	d := pauseUsual
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		d = time.Duration(min(max(seconds, 0), 1<<20)) * time.Second
	} else if at, err := nethttp.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, pauseLeast), pauseMost)
}

// lacks says what an answer with an expected status lacks; "" where nothing.
func (p *Prober) lacks(a *answer) (why, code string) {
	if len(a.body) > maxAnswer {
		return fmt.Sprintf("the answer is longer than %d bytes", maxAnswer), "long"
	}
	if p.o.Within > 0 && a.took > p.o.Within {
		return fmt.Sprintf("the answer took %s, longer than %s", route.Duration(a.took.Round(time.Millisecond)), route.Duration(p.o.Within)), "slow"
	}
	if p.json == nil {
		return "", ""
	}
	found, ok := find(p.json, a.body)
	switch {
	case !ok:
		return "the answer has no " + p.o.JSON, "body"
	case p.o.Equals != "" && found != p.o.Equals:
		return fmt.Sprintf("%s of the answer is not %q", p.o.JSON, p.o.Equals), "body"
	}
	return "", ""
}

// find is the first scalar at a path in JSON, as text.
func find(path *jsonpath.Path, body []byte) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", false
	}
	for _, found := range path.Select(v) {
		switch x := found.(type) {
		case string:
			return x, true
		case json.Number:
			return x.String(), true
		case bool:
			return strconv.FormatBool(x), true
		}
	}
	return "", false
}

// took is the id that an answer gives the message, which is known as ours from then on; "" where it gives none.
func (p *Prober) took(a *answer) string {
	if a == nil || p.errand == nil || p.id == nil {
		return ""
	}
	id, _ := find(p.id, a.body)
	if id != "" {
		p.o.Errand.Returns.Sent(p.o.Route, id)
	}
	return id
}

// sent goes on with a message that the provider took.
func (p *Prober) sent(ctx context.Context, log *probes.Log, a *answer, id string, m probes.Message, sent time.Time) {
	if p.id != nil && id == "" {
		log.Failed("submit", time.Now(), a.took, "body", "the answer has no "+p.o.MessageID+", which is the message's id")
		return
	}
	log.OK("submit", time.Now(), a.took, "accepted")
	p.errand.Await(ctx, log, id, m, sent)
}
