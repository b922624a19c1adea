package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

func newHandler(t testing.TB, o Options) *Handler {
	t.Helper()
	if o.Take == nil {
		o.Take = func(context.Context, []route.Observation) error { return nil }
	}
	o.Now = func() time.Time { return now }
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type answer struct {
	code   int
	body   string
	detail string
	header http.Header
}

func do(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := answer{code: w.Code, body: w.Body.String(), header: w.Header()}
	if a.code == http.StatusOK {
		return a
	}
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Type == "" || p.Title == "" || p.Status != a.code || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %s, want a problem with type, title and status", a.body)
	}
	a.detail = p.Detail
	return a
}

func get(t testing.TB, h http.Handler, url string) answer {
	return do(t, h, httptest.NewRequest(http.MethodGet, url, nil))
}

func postForm(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/receipts/kannel?route=acme-uk&id=query", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

func TestHandlerTakesCalls(t *testing.T) {
	var got []route.Observation
	h := newHandler(t, Options{
		Take:   func(_ context.Context, list []route.Observation) error { got = append(got, list...); return nil },
		Routes: map[string]route.ID{"smsc-7": "acme-uk"},
	})
	for name, r := range map[string]*http.Request{
		"GET":                   httptest.NewRequest(http.MethodGet, "/receipts/kannel?"+query().Encode(), nil),
		"route by the map":      httptest.NewRequest(http.MethodGet, "/receipts/kannel?"+query("route", "smsc-7").Encode(), nil),
		"POST, the body first":  postForm(query("route", "-").Encode()),
		"again, as Kannel does": httptest.NewRequest(http.MethodGet, "/receipts/kannel?"+query().Encode(), nil),
	} {
		got = nil
		if a := do(t, h, r); a.code != 200 || a.body != "" {
			t.Errorf("%s: got %d %q, want 200 and nothing", name, a.code, a.body)
		}
		if len(got) != 1 || got[0].Route != "acme-uk" || got[0].Message != "m-1" || got[0].Status != route.StatusDelivered {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestHandlerProblems(t *testing.T) {
	busy := newHandler(t, Options{Take: func(context.Context, []route.Observation) error { return errors.New("queue is full") }})
	h := newHandler(t, Options{})
	good := "/receipts/kannel?" + query().Encode()
	for name, c := range map[string]struct {
		h      *Handler
		r      *http.Request
		code   int
		detail string
	}{
		"unknown format": {h, httptest.NewRequest("GET", "/receipts/kanel", nil), 404, `format: want infobip, jasmin, kannel, messagebird, plivo, sinch, telnyx, twilio, vonage, got "kanel"`},
		"no format":      {h, httptest.NewRequest("GET", "/receipts/", nil), 404, `format: want infobip, jasmin, kannel, messagebird, plivo, sinch, telnyx, twilio, vonage, got "receipts"`},
		"other method":   {h, httptest.NewRequest("PUT", good, nil), 405, `want GET, POST, got PUT`},
		"bad query":      {h, httptest.NewRequest("GET", "/receipts/kannel?id=%zz", nil), 400, `query: want it URL-encoded, got invalid URL escape "%zz"`},
		"bad form":       {h, postForm("id=%zz"), 400, `body: want it URL-encoded, got invalid URL escape "%zz"`},
		"large form":     {h, postForm(strings.Repeat("x", maxBody+1)), 413, `body: want at most 1048576 bytes, got more`},
		"no room":        {busy, httptest.NewRequest("GET", good, nil), 503, `queue is full`},
	} {
		a := do(t, c.h, c.r)
		if a.code != c.code || a.detail != c.detail {
			t.Errorf("%s: got %d %s, want %d %s", name, a.code, a.detail, c.code, c.detail)
		}
		if (a.code == 503) != (a.header.Get("Retry-After") != "") || (a.code == 405) != (a.header.Get("Allow") != "") {
			t.Errorf("%s: got headers %v", name, a.header)
		}
	}
}

// A format of another provider: a signature over the raw body, several receipts in one call, an answer of its own.
func TestFormatsOfOtherShapes(t *testing.T) {
	other := Format{Name: "other", Methods: []string{http.MethodPost}, Answer: "ACK", Read: func(c *Call) ([]route.Observation, error) {
		if c.Header.Get("Signature") != "of "+string(c.Body) {
			return nil, ErrSignature
		}
		var list []route.Observation
		for _, id := range strings.Fields(string(c.Body)) {
			list = append(list, route.Observation{Kind: route.KindReceipt, Status: route.StatusDelivered, Time: c.Now, Route: c.Route(c.Query.Get("route")), Message: id})
		}
		return list, nil
	}}
	var got []route.Observation
	reg := prometheus.NewPedanticRegistry()
	h := newHandler(t, Options{Formats: []Format{Kannel(Keys{}), other}, Registerer: reg,
		Take: func(_ context.Context, list []route.Observation) error { got = append(got, list...); return nil }})
	call := func(body, signature string) answer {
		r := httptest.NewRequest(http.MethodPost, "/receipts/other?route=a", strings.NewReader(body))
		r.Header.Set("Signature", signature)
		return do(t, h, r)
	}
	if a := call("m-1 m-2", "of m-1 m-2"); a.code != 200 || a.body != "ACK" || len(got) != 2 {
		t.Errorf("got %d %q and %+v", a.code, a.body, got)
	}
	if a := call("", "of "); a.code != 200 || len(got) != 2 {
		t.Errorf("got %d for a call that says nothing, want 200", a.code)
	}
	if a := call("m-1", "of m-2"); a.code != http.StatusForbidden {
		t.Errorf("got %d for a bad signature, want 403", a.code)
	}
	checkCalls(t, reg, map[string]float64{"other taken": 2, "other forbidden": 1, "other busy": 0, "other malformed": 0,
		"kannel taken": 0, "kannel forbidden": 0, "kannel busy": 0, "kannel malformed": 0})
}

func checkCalls(t *testing.T, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "signalbox_receipts_calls_total" {
		t.Fatalf("got %v %v", families, err)
	}
	for _, m := range families[0].Metric {
		name := m.Label[0].GetValue() + " " + m.Label[1].GetValue()
		if n, ok := want[name]; !ok || m.Counter.GetValue() != n {
			t.Errorf("%s: got %v, want %v", name, m.Counter.GetValue(), n)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("got none of %v", want)
	}
}

func TestNewRefusesImpossibleOptions(t *testing.T) {
	take := func(context.Context, []route.Observation) error { return nil }
	for name, o := range map[string]Options{
		"nothing to take it": {},
		"negative":           {Take: take, MaxAhead: -1},
		"twice the same":     {Take: take, Formats: []Format{Kannel(Keys{}), Kannel(Keys{})}},
		"no reader":          {Take: take, Formats: []Format{{Name: "x"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Over a real connection, as Kannel calls.
func TestHandlerOverHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/receipts/{format}", newHandler(t, Options{}))
	server := httptest.NewServer(mux)
	defer server.Close()
	resp, err := http.Get(server.URL + "/receipts/kannel?" + query().Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || len(body) != 0 || err != nil {
		t.Errorf("got %d %q %v", resp.StatusCode, body, err)
	}
}

// A call is read to its end by the keys and routes that it began with, however they change meanwhile.
func TestHandlerReadsACallByOneSet(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	slow := Kannel(Keys{Secrets: []string{"old"}})
	slow.Check = func(context.Context, *Call) error {
		close(entered)
		<-goOn
		return nil
	}
	var got []route.ID
	h := newHandler(t, Options{Formats: []Format{slow}, Routes: map[string]route.ID{"smsc-7": "before"}, Take: func(_ context.Context, list []route.Observation) error {
		for i := range list {
			got = append(got, list[i].Route)
		}
		return nil
	}})
	q := query()
	q.Del("route")
	q.Set("smsc", "smsc-7")
	under := make(chan answer)
	go func() { under <- get(t, h, "/receipts/kannel?key=old&"+q.Encode()) }()
	<-entered
	next, err := NewSet([]Format{Kannel(Keys{Secrets: []string{"new"}})}, map[string]route.ID{"smsc-7": "after"})
	if err != nil {
		t.Fatal(err)
	}
	h.Use(next)
	if a := get(t, h, "/receipts/kannel?key=old&"+q.Encode()); a.code != http.StatusForbidden {
		t.Errorf("the old key: got %d %s, want 403", a.code, a.detail)
	}
	close(goOn)
	if a := <-under; a.code != http.StatusOK {
		t.Errorf("under way: got %d %s", a.code, a.detail)
	}
	if a := get(t, h, "/receipts/kannel?key=new&"+q.Encode()); a.code != http.StatusOK {
		t.Errorf("the new key: got %d %s", a.code, a.detail)
	}
	if len(got) != 2 || got[0] != "before" || got[1] != "after" {
		t.Errorf("got %v, want before and after", got)
	}
}
