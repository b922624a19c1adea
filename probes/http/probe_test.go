package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"signalbox/probes"
	"signalbox/rules/route"
)

// brief is the bound of answers that never come.
const brief = 200 * time.Millisecond

func serve(t *testing.T, h nethttp.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func prober(t *testing.T, o Options) *Prober {
	t.Helper()
	o.Route = "nova"
	if o.Timeout == 0 {
		o.Timeout = brief
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func look(t *testing.T, p *Prober) probes.Look {
	t.Helper()
	got, err := p.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told is what a look observed, with ! and the code where it failed.
func told(l probes.Look) string {
	var words []string
	for _, o := range l.Observations {
		if o.OK {
			words = append(words, o.Probe)
		} else {
			words = append(words, o.Probe+"! "+o.Code)
		}
	}
	return strings.Join(words, ", ")
}

func answering(status int, body string, headers ...string) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Each way in which an API can fail has its code, and what is not the route's fault is no observation.
func TestProbeTellsWhatTheAnswerWasLike(t *testing.T) {
	for name, c := range map[string]struct {
		handler nethttp.HandlerFunc
		o       Options
		want    string
		pause   time.Duration
	}{
		"as expected":            {handler: answering(204, ""), want: "http"},
		"another status":         {handler: answering(200, ""), o: Options{Status: []int{204}}, want: "http! 200"},
		"a status of ours":       {handler: answering(404, ""), o: Options{Status: []int{404}}, want: "http"},
		"a server error":         {handler: answering(503, ""), want: "http! 503"},
		"a redirect":             {handler: answering(302, "", "Location", "/elsewhere"), want: "http! 302"},
		"the body says ok":       {handler: answering(200, `{"a":[{"state":"ok"}]}`), o: Options{JSON: "$.a[0].state", Equals: "ok"}, want: "http"},
		"a number in the body":   {handler: answering(200, `{"credit":12.50}`), o: Options{JSON: "$.credit", Equals: "12.50"}, want: "http"},
		"the body says down":     {handler: answering(200, `{"state":"down"}`), o: Options{JSON: "$.state", Equals: "ok"}, want: "http! body"},
		"the body lacks it":      {handler: answering(200, `{}`), o: Options{JSON: "$.state"}, want: "http! body"},
		"the body is no JSON":    {handler: answering(200, `<html>`), o: Options{JSON: "$.state"}, want: "http! body"},
		"a huge body":            {handler: answering(200, strings.Repeat("x", maxAnswer+1)), want: "http! long"},
		"too slow":               {handler: slowly(60 * time.Millisecond), o: Options{Within: 20 * time.Millisecond}, want: "http! slow"},
		"no answer":              {handler: slowly(3 * brief), want: "http! timeout"},
		"half an answer":         {handler: halfway, want: "http! timeout"},
		"hung up":                {handler: func(nethttp.ResponseWriter, *nethttp.Request) { panic(nethttp.ErrAbortHandler) }, want: "http! closed"},
		"too many requests":      {handler: answering(429, "", "Retry-After", "120"), want: "", pause: 2 * time.Minute},
		"too many, for ever":     {handler: answering(429, "", "Retry-After", "99999999"), want: "", pause: pauseMost},
		"too many, nobody knows": {handler: answering(429, ""), want: "", pause: pauseUsual},
		"unauthorized":           {handler: answering(401, ""), want: "", pause: pauseUsual},
		"forbidden":              {handler: answering(403, ""), want: "", pause: pauseUsual},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.o
			o.URL = serve(t, c.handler)
			got := look(t, prober(t, o))
			if told(got) != c.want || got.Pause != c.pause || got.Stop != "" {
				t.Errorf("got %q, pause %s, stop %q (%+v), want %q and %s", told(got), got.Pause, got.Stop, got.Transcript, c.want, c.pause)
			}
		})
	}
}

func slowly(d time.Duration) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

func halfway(w nethttp.ResponseWriter, r *nethttp.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "half")
	w.(nethttp.Flusher).Flush()
	<-r.Context().Done()
}

func TestProbeTellsWhyThereIsNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	secure := httptest.NewTLSServer(answering(200, ""))
	t.Cleanup(secure.Close)
	for url, want := range map[string]string{
		"http://" + dead:       "http! refused",
		"http://nova.invalid/": "http! dns",
		secure.URL:             "http! certificate",
		"https" + serve(t, answering(200, ""))[4:]: "http! tls",
	} {
		if got := told(look(t, prober(t, Options{URL: url}))); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
	p := prober(t, Options{URL: secure.URL, TLS: secure.Client().Transport.(*nethttp.Transport).TLSClientConfig})
	got := look(t, p)
	var steps []string
	for _, s := range got.Transcript.Steps {
		steps = append(steps, s.Name)
	}
	if strings.Join(steps, " ") != "tcp tls http" {
		t.Errorf("got steps %v, want tcp tls http", steps)
	}
	if again := look(t, p); len(again.Transcript.Steps) != 1 {
		t.Errorf("got %+v, want the connection to be kept", again.Transcript.Steps)
	}
}

func TestProbeStopsAfterCredentialsWereRefusedInARow(t *testing.T) {
	status := 401
	p := prober(t, Options{URL: serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(status) })})
	for i, c := range []struct {
		status int
		stops  bool
	}{{401, false}, {401, false}, {200, false}, {401, false}, {401, false}, {401, true}} {
		status = c.status
		if got := look(t, p); (got.Stop != "") != c.stops {
			t.Errorf("look %d: got stop %q", i, got.Stop)
		}
	}
}

// nobodys says that senders told of no message.
func nobodys(*route.Observation) bool { return false }

var phone = probes.Number{Digits: "447700900001", Network: "234-15"}

func TestProbeSendsAndWaitsForWhatComesBack(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		back   func(m *probes.Mailbox, text string)
		want   string
		pause  bool
	}{
		"delivered and seen": {201, `{"messages":[{"id":"p-1"}]}`, func(m *probes.Mailbox, text string) {
			m.Own(&route.Observation{Kind: route.KindReceipt, Route: "nova", Message: "p-1", Status: route.StatusDelivered}, nobodys)
			m.Message("Probe", text, time.Now())
		}, "http, submit, receipt, handset", false},
		"a forged receipt": {201, `{"messages":[{"id":"p-1"}]}`, func(m *probes.Mailbox, _ string) {
			m.Own(&route.Observation{Kind: route.KindReceipt, Route: "nova", Message: "p-1", Status: route.StatusDelivered}, nobodys)
		}, "http, submit, receipt, handset! missing", false},
		"nothing comes back":      {201, `{"messages":[{"id":"p-1"}]}`, nil, "http, submit, receipt! missing, handset! missing", false},
		"no id":                   {201, `{"messages":[]}`, nil, "http, submit! body", false},
		"a server error":          {500, ``, nil, "submit! 500", false},
		"a request that is wrong": {422, ``, nil, "", false},
		"too many requests":       {429, ``, nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := probes.NewMailbox()
			url := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("Authorization") != "Bearer k3y" || !strings.HasPrefix(string(body), `{"to":"447700900001","text":"Test \"`) {
					t.Errorf("got %s with %v", body, r.Header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
				if c.back != nil {
					var text string
					_, _ = fmt.Sscanf(string(body), `{"to":"447700900001","text":%q`, &text)
					c.back(box, text)
				}
			})
			p := prober(t, Options{
				Method: "POST", URL: url, Body: `{"to":{{json .Number}},"text":{{json .Text}}}`,
				Headers: map[string]string{"Authorization": "Bearer {{.Secret.key}}"}, Secrets: map[string]string{"key": "k3y"}, MessageID: "$.messages[0].id",
				Errand: &probes.ErrandOptions{Numbers: []probes.Number{phone}, From: "Probe", Text: `Test "{token}"`, Returns: box,
					Spend: func(time.Time, route.Network) error { return nil }, ReceiptTimeout: brief, HandsetTimeout: brief},
			})
			got := look(t, p)
			if told(got) != c.want || (got.Pause > 0) != c.pause {
				t.Errorf("got %s, pause %s (%+v), want %s", told(got), got.Pause, got.Transcript, c.want)
			}
		})
	}
}

// While a receipt is waited for, nobody else's are kept for it: only those that overtake the answer are.
func TestProbeIsNotSendingWhileItWaits(t *testing.T) {
	box := probes.NewMailbox()
	p := prober(t, Options{URL: serve(t, answering(200, `{"id":"p-1"}`)), MessageID: "$.id", Errand: &probes.ErrandOptions{Numbers: []probes.Number{phone}, Text: "{token}", Returns: &counting{Mailbox: box},
		Spend: func(time.Time, route.Network) error { return nil }, ReceiptTimeout: brief}})
	if got := told(look(t, p)); got != "http, submit, receipt! missing" {
		t.Errorf("got %s", got)
	}
}

// counting fails a wait that begins before the submit is over.
type counting struct {
	*probes.Mailbox
	sending int
}

func (c *counting) Sending(r route.ID) func() {
	c.sending++
	over := c.Mailbox.Sending(r)
	return func() { c.sending--; over() }
}

func (c *counting) Receipt(ctx context.Context, r route.ID, id string) (probes.Return, error) {
	if c.sending != 0 {
		return probes.Return{}, errors.New("it is sending still")
	}
	return c.Mailbox.Receipt(ctx, r, id)
}

func TestProbeSendsNothingBeyondItsBudget(t *testing.T) {
	p := prober(t, Options{URL: serve(t, func(nethttp.ResponseWriter, *nethttp.Request) { t.Error("it was sent") }), Errand: &probes.ErrandOptions{
		Numbers: []probes.Number{phone}, Text: "{token}", Returns: probes.NewMailbox(), Spend: func(time.Time, route.Network) error { return probes.ErrBudget }}})
	if _, err := p.Probe(t.Context()); !errors.Is(err, probes.ErrBudget) {
		t.Errorf("got %v, want %v", err, probes.ErrBudget)
	}
}

// A proxy of the environment is not used, and no secret of a URL is told.
func TestProbeKeepsToItsOwn(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if got := told(look(t, prober(t, Options{URL: serve(t, answering(200, ""))}))); got != "http" {
		t.Errorf("got %s", got)
	}
	got := look(t, prober(t, Options{URL: "http://nova.invalid/?key={{.Secret.key}}", Secrets: map[string]string{"key": "hunter2"}}))
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "hunter2") {
		t.Errorf("it tells the secret: %s", text)
	}
}

func TestProbeLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		server := httptest.NewServer(answering(200, ""))
		p, err := New(Options{Route: "nova", URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		look(t, p)
		_ = p.Close(context.Background())
		server.Close()
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got %d goroutines, want %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for want, o := range map[string]Options{
		"url: want a template":       {URL: "http://x/{{.Nope"},
		"body: want values":          {URL: "http://x/", Body: "{{.Nope}}"},
		"header Authorization: want": {URL: "http://x/", Headers: map[string]string{"Authorization": "{{.Secret.none}}"}},
		"json: want a JSONPath":      {URL: "http://x/", JSON: "state"},
		"url: want one that can be":  {URL: "http://x y/"},
		"message_id: want":           {URL: "http://x/", Errand: &probes.ErrandOptions{ReceiptTimeout: 1}},
		"want Returns and Spend":     {URL: "http://x/", Errand: &probes.ErrandOptions{}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{`{"state":"ok"}`, `{"state":[1,true]}`, `[`, `{"state":1e400}`, "\xff"} {
		f.Add("$.state", []byte(s))
		f.Add("$..*", []byte(s))
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		p, err := New(Options{Route: "nova", URL: "http://x/", JSON: path})
		if err != nil || p.json == nil {
			return
		}
		_, _ = find(p.json, body) // it must come back
	})
}
