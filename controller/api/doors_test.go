package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// porter is Doors in a test: the bearer token is "NAME ROLE".
type porter struct{ asked int }

func (p *porter) Admit(r *http.Request) (Caller, error) {
	p.asked++
	h := r.Header["Authorization"]
	if len(h) == 0 {
		return Caller{}, &turned{reason: "missing", ways: []string{"Bearer"}}
	}
	switch name, role, _ := strings.Cut(strings.TrimPrefix(h[0], "Bearer "), " "); name {
	case "fast":
		return Caller{}, &turned{reason: "rate", after: 1500 * time.Millisecond}
	case "odd":
		return Caller{}, errors.New("an error of another kind")
	default:
		return Caller{Name: name, Role: role}, nil
	}
}

type turned struct {
	reason string
	ways   []string
	after  time.Duration
}

func (t *turned) Error() string        { return "want a token" }
func (t *turned) Reason() string       { return t.reason }
func (t *turned) Challenges() []string { return t.ways }
func (t *turned) After() time.Duration { return t.after }

// book is Audit in a test.
type book struct{ calls []Call }

func (b *book) Keep(c Call) { b.calls = append(b.calls, c) }

// guardedWorld is a world with doors. Webhooks of the format twilio prove themselves, and 403 is what they answer.
func guardedWorld(t testing.TB, change func(*Options)) (*world, *book) {
	t.Helper()
	w, b := newWorld(t), &book{}
	o := w.options()
	w.registry = prometheus.NewRegistry()
	o.Registerer, o.Doors, o.Audit = w.registry, &porter{}, b
	o.Proven = func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/twilio") }
	if change != nil {
		change(&o)
	}
	var err error
	if w.handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	return w, b
}

const asOperator = "Authorization: Bearer ann operator"

func TestEveryEndpointSaysWhoMayCallIt(t *testing.T) {
	for _, e := range newWorld(t).handler.(*api).endpoints() {
		if needs[e.method+" "+e.path] == 0 {
			t.Errorf("%s %s has no roles", e.method, e.path)
		}
	}
	_, err := doorOf("/new", map[string]http.HandlerFunc{"GET": nil})
	if err == nil || !strings.Contains(err.Error(), "GET /new") {
		t.Errorf("got %v of an endpoint without roles, want it named", err)
	}
}

func TestRolesAreNoLadder(t *testing.T) {
	for _, tc := range []struct {
		roles roles
		want  string
	}{{0, ""}, {roleAdmin, "admin"}, {orders, "operator or admin"}, {known, "sender, source, viewer, operator or admin"}} {
		if got := tc.roles.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	for _, word := range []string{"", "root", "Admin", "admin "} {
		if roleOf(word) != 0 {
			t.Errorf("%q is a role", word)
		}
	}
}

func TestThoseWhoAreTurnedAwayLearnWhy(t *testing.T) {
	w, _ := guardedWorld(t, nil)
	rec := w.get("/routes")
	wantProblem(t, rec, 401, "unauthenticated")
	if h := rec.Header(); h.Get("WWW-Authenticate") != "Bearer" || h.Get("Signalbox-Generation") != "" {
		t.Errorf("got %v, want how to say who one is, and no generation", h)
	}
	rec = w.get("/routes", "Authorization: Bearer fast")
	wantProblem(t, rec, 429, "too-many-requests")
	if got := rec.Header().Get("Retry-After"); got != "2" {
		t.Errorf("got Retry-After %q, want 2", got)
	}
	wantProblem(t, w.get("/routes", "Authorization: Bearer odd"), 401, "unauthenticated")
	p := wantProblem(t, w.do("POST", "/-/reload", "", asOperator), 403, "forbidden")
	if p.Detail != "want the role admin, got ann of role operator" {
		t.Errorf("got %q", p.Detail)
	}
	p = wantProblem(t, w.do("PUT", "/senders/gw-2", `{"generation":"1-42","applied":true}`, "Authorization: Bearer gw-1 sender"), 403, "forbidden")
	if p.Detail != "name: want gw-1, which the token is bound to, got gw-2" || len(w.senders) != 0 {
		t.Errorf("got %q", p.Detail)
	}
	for reason, want := range map[string]float64{"missing": 1, "rate": 1, "unknown": 1, "role": 1, "name": 1} {
		if got := w.metric(t, "signalbox_http_refused_total", "reason="+reason); got != want {
			t.Errorf("%s: counted %v, want %v", reason, got, want)
		}
	}
}

func TestHandlersKnowWhoCalls(t *testing.T) {
	var caller Caller
	var known bool
	source := ""
	w, _ := guardedWorld(t, func(o *Options) {
		o.Events = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			caller, known = callerOf(r)
			source = SourceOf(r)
		})
		o.Metrics = o.Events
	})
	w.do("POST", "/events", "", "Authorization: Bearer gw-1 source")
	if !known || caller != (Caller{"gw-1", "source"}) || source != "gw-1" {
		t.Errorf("got %+v, %q, want gw-1", caller, source)
	}
	w.get("/metrics", asOperator)
	if caller.Name != "ann" || source != "" {
		t.Errorf("got %+v, %q, want ann, who is no source", caller, source)
	}
	if c, ok := callerOf(httptest.NewRequest("GET", "/", nil)); ok || c != (Caller{}) {
		t.Errorf("got %+v where nobody was asked", c)
	}
}

// A webhook that proves itself needs no token; one that does not prove it is counted and kept.
func TestWebhooksMayProveThemselves(t *testing.T) {
	status := http.StatusOK
	doors := &porter{}
	w, b := guardedWorld(t, func(o *Options) {
		o.Doors = doors
		o.Receipts = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) })
	})
	if rec := w.do("POST", "/receipts/twilio", ""); rec.Code != 200 || doors.asked != 0 {
		t.Errorf("got %d, asked %d times", rec.Code, doors.asked)
	}
	status = http.StatusForbidden
	w.do("POST", "/receipts/twilio", "")
	if len(b.calls) != 1 || b.calls[0].Refused != reasonSignature || w.metric(t, "signalbox_http_refused_total", "reason=signature") != 1 {
		t.Errorf("got %+v, want one without a signature", b.calls)
	}
	if rec := w.do("POST", "/receipts/kannel", ""); rec.Code != 401 {
		t.Errorf("a format without keys: got %d, want 401", rec.Code)
	}
	if rec := w.get("/senders/twilio"); rec.Code != 401 {
		t.Errorf("another path: got %d, want 401", rec.Code)
	}
}

// An operator who asks for a message by the phone number of its receiver is told that there are none, and it is not kept.
func TestAuditKeepsNoPhoneNumber(t *testing.T) {
	w, b := guardedWorld(t, nil)
	for _, path := range []string{"/api/v1/messages/+447700900123", "/api/v1/messages/%2B447700900123", "/nothing/+447700900123/else"} {
		w.get(path, asOperator)
		w.get(path)
	}
	for i, want := range []string{"/api/v1/messages/+4…", "/api/v1/messages/+4…", "/nothing/+4…/else"} {
		if got := b.calls[2*i]; got.Path != want || b.calls[2*i+1].Path != want {
			t.Errorf("got %q, want %q", got.Path, want)
		}
	}
	w.get("/api/v1/messages/m+1", asOperator)
	if got := b.calls[len(b.calls)-1].Path; got != "/api/v1/messages/m+1" {
		t.Errorf("got %q of an id that is none", got)
	}
}

// The audit has who was refused and what operators did, without queries, and nothing of others.
func TestAuditKeepsTheCallsThatMatter(t *testing.T) {
	w, b := guardedWorld(t, func(o *Options) {
		o.Planner = nil
		o.Metrics = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set(decisionHeader, "1-44-1") })
	})
	w.get("/routes", "Authorization: Bearer gw-1 sender")
	w.get("/-/healthy")
	w.get("/api/v1/lanes", "Authorization: Bearer vi viewer")
	if len(b.calls) != 0 {
		t.Fatalf("got %+v of calls that nobody asks about", b.calls)
	}
	w.get("/metrics?token=secret", asOperator)
	w.do("POST", "/-/reload", "", "Authorization: Bearer root admin")
	w.get("/routes?token=secret")
	if len(b.calls) != 3 {
		t.Fatalf("got %+v, want three calls", b.calls)
	}
	for i, want := range []Call{
		{Caller: "ann", Role: "operator", Method: "GET", Path: "/metrics", Status: 200, Decision: "1-44-1"},
		{Caller: "root", Role: "admin", Method: "POST", Path: "/-/reload", Status: 200},
		{Method: "GET", Path: "/routes", Status: 401, Refused: "missing"},
	} {
		got := b.calls[i]
		if got.At.IsZero() || got.Remote == "" {
			t.Errorf("got %+v, want when and from where", got)
		}
		if got.At, got.Remote = want.At, ""; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// An order has the name of who calls, whatever it says itself, and the audit has the decision that it led to.
func TestAnOrderHasTheNameOfItsToken(t *testing.T) {
	w, b := guardedWorld(t, nil)
	const order = `{"kind":"drain","class":"otp","network":"GB","route":"acme-uk","actor":"somebody else","reason":"maintenance","for":"2h"}`
	if rec := w.do("POST", "/api/v1/overrides", order, asOperator, asJSON); rec.Code != 201 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if got := w.operators.given[0].Actor; got != "ann" {
		t.Errorf("got an order of %q, want ann's", got)
	}
	if len(b.calls) != 1 || b.calls[0].Decision != "1-43-1" || b.calls[0].Caller != "ann" {
		t.Errorf("kept %+v, want ann's call and its decision", b.calls)
	}
	wantProblem(t, w.do("POST", "/api/v1/overrides", order, "Authorization: Bearer vi viewer", asJSON), 403, "forbidden")
	if len(w.operators.given) != 1 {
		t.Error("an order of a viewer was given")
	}
}

// Another site cannot have a person's browser give orders, with doors or without.
func TestBrowsersGiveNoOrdersForOtherSites(t *testing.T) {
	for _, open := range []bool{true, false} {
		w, b := guardedWorld(t, func(o *Options) {
			if open {
				o.Doors = nil
			}
		})
		as := "Authorization: Bearer root admin"
		for header, want := range map[string]int{"Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403, "Origin: https://evil.example": 403,
			"Sec-Fetch-Site: same-origin": 200, "Origin: http://example.com": 200, "Accept: */*": 200} {
			if rec := w.do("POST", "/-/reload", "", as, header); rec.Code != want {
				t.Errorf("open %t, %s: got %d, want %d", open, header, rec.Code, want)
			}
		}
		if rec := w.get("/api/v1/lanes", as, "Sec-Fetch-Site: cross-site"); rec.Code != 200 {
			t.Errorf("a read: got %d, want 200", rec.Code)
		}
		if len(b.calls) < 6 || w.metric(t, "signalbox_http_refused_total", "reason=origin") != 3 {
			t.Errorf("open %t: kept %d calls, want those that were refused too", open, len(b.calls))
		}
	}
}

// Without doors, what only operators and admins may do elsewhere is kept too.
func TestAuditOfAnOpenSignalbox(t *testing.T) {
	w, b := guardedWorld(t, func(o *Options) { o.Doors = nil })
	w.get("/api/v1/lanes")
	w.do("POST", "/-/reload", "")
	if len(b.calls) != 1 || b.calls[0].Path != "/-/reload" {
		t.Errorf("got %+v, want the reload", b.calls)
	}
}

func TestServingTheTableBehindDoorsAllocatesNothing(t *testing.T) {
	w, _ := guardedWorld(t, nil)
	r := httptest.NewRequest("GET", "/routes", nil)
	r.Header = http.Header{"Authorization": {"Bearer gw-1 sender"}, "If-None-Match": {`"1-42"`}}
	d := &discard{h: http.Header{}}
	got := testing.AllocsPerRun(100, func() {
		clear(d.h)
		w.handler.ServeHTTP(d, r)
	})
	if got > 1 { // the race detector makes pools forget
		t.Errorf("got %.0f allocations, want none", got)
	}
}

func BenchmarkUnchangedBehindDoors(b *testing.B) {
	w, _ := guardedWorld(b, nil)
	r := httptest.NewRequest("GET", "/routes", nil)
	r.Header = http.Header{"Authorization": {"Bearer gw-1 sender"}, "If-None-Match": {`"1-42"`}}
	d := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(d.h)
		w.handler.ServeHTTP(d, r)
	}
}
