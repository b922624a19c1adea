package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// fakeOperators obeys every order unless it is told to fail.
type fakeOperators struct {
	given   []route.Order
	shown   []route.Order
	err     error
	in      []route.Override
	waiting []decide.Waiting
}

func (f *fakeOperators) Order(_ context.Context, o route.Order) (Ordered, error) {
	f.given = append(f.given, o)
	return Ordered{Done: true, Generation: gen(43), Decisions: []route.Decision{{ID: "1-43-1"}}}, f.err
}

func (f *fakeOperators) Preview(o route.Order) (Ordered, error) {
	f.shown = append(f.shown, o)
	return Ordered{Generation: gen(42)}, f.err
}

func (f *fakeOperators) Overrides() []route.Override { return f.in }
func (f *fakeOperators) Proposals() []decide.Waiting { return f.waiting }

const asJSON = "Content-Type: application/json"

func TestAnOverrideIsPutInForce(t *testing.T) {
	w := newWorld(t)
	rec := w.do("POST", "/api/v1/overrides", `{"kind":"drain","class":"otp","network":"GB","route":"acme-uk","actor":" ann ","reason":"maintenance","for":"2h","accept":["min_active"],"replaces":"1-40-1"}`, asJSON, `If-Match: "1-42"`)
	if rec.Code != 201 || rec.Header().Get("ETag") != `"1-43"` || !strings.HasPrefix(rec.Body.String(), `{"done":true,"generation":"1-43","decisions":[{"id":"1-43-1"`) || !strings.Contains(rec.Body.String(), `"lanes":[]`) {
		t.Fatalf("got %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	o := w.operators.given[0]
	if o.Actor != "ann" || o.Reason != "maintenance" || o.Saw != gen(42) || o.Replaces != "1-40-1" || fmt.Sprint(o.Accept) != "[min_active]" {
		t.Errorf("got %+v", o)
	}
	if x := o.Override; x.Kind != route.Drain || x.Class != "otp" || x.Network != "GB" || x.Route != "acme-uk" || time.Until(x.Until) < time.Hour || time.Until(x.Until) > 2*time.Hour {
		t.Errorf("got %+v", x)
	}
	rec = w.do("POST", "/api/v1/overrides?dry_run=true", `{"kind":"freeze","class":"*","network":"*","changes":"promotions","actor":"ann","reason":"x","no_end":true}`, asJSON)
	if rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), `{"done":false,"generation":"1-42"`) || len(w.operators.given) != 1 || !w.operators.shown[0].Override.Until.IsZero() || w.operators.shown[0].Override.Changes != "promotions" {
		t.Errorf("shown: got %d %s, %+v", rec.Code, rec.Body, w.operators)
	}
}

func TestOrdersThatCannotBeRead(t *testing.T) {
	const good = `"kind":"drain","class":"otp","network":"GB","route":"acme-uk","actor":"ann","reason":"x"`
	for name, c := range map[string]struct {
		query, body string
		headers     []string
		status      int
		kind        string
		parameter   string
	}{
		"no end":                  {"", `{` + good + `}`, nil, 400, "bad-parameter", "for"},
		"two ends":                {"", `{` + good + `,"for":"1h","no_end":true}`, nil, 400, "bad-parameter", "for"},
		"an end of no form":       {"", `{` + good + `,"for":"soon"}`, nil, 400, "bad-parameter", "for"},
		"an end of no time":       {"", `{` + good + `,"for":"0s"}`, nil, 400, "bad-parameter", "for"},
		"a field that is unknown": {"", `{` + good + `,"for":"1h","colour":"red"}`, nil, 400, "bad-parameter", "body"},
		"no JSON":                 {"", `drain`, nil, 400, "bad-parameter", "body"},
		"two of them":             {"", `{` + good + `,"for":"1h"}{}`, nil, 400, "bad-parameter", "body"},
		"too large":               {"", `{` + good + `,"for":"1h"` + strings.Repeat(" ", maxOrder) + `}`, nil, 413, "too-large", ""},
		"a long reason":           {"", `{"reason":"` + strings.Repeat("x", maxReason+1) + `","for":"1h"}`, nil, 400, "bad-parameter", "reason"},
		"a reason that steers":    {"", `{"reason":"a\u009b2J","for":"1h"}`, nil, 400, "bad-parameter", "reason"},
		"a reason of two lines":   {"", `{"reason":"a\nb","for":"1h"}`, nil, 400, "bad-parameter", "reason"},
		"a long actor":            {"", `{"actor":"` + strings.Repeat("x", maxName+1) + `","for":"1h"}`, nil, 400, "bad-parameter", "actor"},
		"many guards":             {"", `{"for":"1h","accept":[` + strings.Repeat(`"a",`, 16) + `"a"]}`, nil, 400, "bad-parameter", "accept"},
		"a table of no form":      {"", `{` + good + `,"for":"1h"}`, []string{`If-Match: "x"`}, 400, "bad-parameter", "If-Match"},
		"a dry run of no form":    {"?dry_run=1", `{` + good + `,"for":"1h"}`, nil, 400, "bad-parameter", "dry_run"},
		"a form":                  {"", `kind=drain`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported-media-type", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			headers := c.headers
			if c.status != 415 {
				headers = append(headers, asJSON)
			}
			if p := wantProblem(t, w.do("POST", "/api/v1/overrides"+c.query, c.body, headers...), c.status, c.kind); p.Parameter != c.parameter {
				t.Errorf("got %q (%s), want %q", p.Parameter, p.Detail, c.parameter)
			}
			if len(w.operators.given)+len(w.operators.shown) != 0 {
				t.Errorf("got it given: %+v", w.operators)
			}
		})
	}
}

// notStored is an order that the disk did not take.
type notStored struct{}

func (notStored) Error() string   { return "the order could not be stored" }
func (notStored) NotStored() bool { return true }

func TestOrdersThatAreRefusedSayWhatToDo(t *testing.T) {
	const drain = `{"kind":"drain","class":"otp","network":"GB","route":"acme-uk","actor":"ann","reason":"x","for":"1h"}`
	guard := func(name string) error {
		return &decide.Refused{GuardResult: route.GuardResult{Guard: name, Why: "no route would stay", Frees: "another one"}}
	}
	for name, c := range map[string]struct {
		method, path, body string
		err                error
		status             int
		kind, holds        string
		check              func(problem) bool
	}{
		"by a guard": {"POST", "/api/v1/overrides", drain, guard("min_active"), 409, "guard-refused", "min_active: no route would stay",
			func(p problem) bool {
				return p.Guard == "min_active" && p.Frees == "another one" && p.Override == `"accept":["min_active"]`
			}},
		"by a guard that nobody passes over": {"POST", "/api/v1/proposals/1-43-1/approve", `{"actor":"ann"}`, guard("min_active"), 409, "guard-refused", "",
			func(p problem) bool { return p.Override == "" }},
		"by one that an approval passes over": {"POST", "/api/v1/proposals/1-43-1/approve", `{"actor":"ann"}`, guard("settle"), 409, "guard-refused", "",
			func(p problem) bool { return p.Override == `"accept":["settle"]` }},
		"on an old table":       {"POST", "/api/v1/overrides", drain, &decide.Stale{Saw: gen(41), Is: gen(42)}, 412, "stale", "look again", nil},
		"where one is there":    {"POST", "/api/v1/overrides", drain, &decide.Conflict{With: "1-40-1", Text: "override 1-40-1 is in force"}, 409, "conflict", "1-40-1", func(p problem) bool { return p.With == "1-40-1" }},
		"the end of none":       {"DELETE", "/api/v1/overrides/1-9-9?actor=ann", "", &decide.Conflict{With: "1-9-9", Text: "no override 1-9-9 is in force"}, 404, "not-found", "1-9-9", nil},
		"for a bad field":       {"POST", "/api/v1/overrides", drain, errors.New(`route: want a route of the policy, got "acme-uk"`), 400, "bad-parameter", "want a route", func(p problem) bool { return p.Parameter == "route" }},
		"by the disk":           {"POST", "/api/v1/overrides", drain, notStored{}, 503, "not-stored", "could not be stored", nil},
		"as signalbox stops":    {"POST", "/api/v1/overrides", drain, fmt.Errorf("reload: %w", context.Canceled), 503, "stopped", "", nil},
		"as it was answered":    {"POST", "/api/v1/proposals/1-43-3/reject", `{"actor":"bob"}`, &decide.Conflict{With: "1-43-3", Text: "no proposal 1-43-3 waits"}, 409, "conflict", "it was approved by ann at 10:00:07 (1-44-1)", nil},
		"a proposal of no kind": {"POST", "/api/v1/proposals/x/reject", `{"actor":"bob"}`, &decide.Conflict{With: "x", Text: "no proposal x waits"}, 409, "conflict", "no proposal x waits", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ann, at := "ann", time.Date(2026, 11, 23, 10, 0, 7, 0, time.UTC)
			w.decisions = []route.Decision{{ID: "1-44-1", Reason: route.Approved, Actor: &ann, Time: at, Route: "acme-uk"}, {ID: "1-43-3", Reason: route.Proposed, Route: "acme-uk"}}
			w.operators.err = c.err
			p := wantProblem(t, w.do(c.method, c.path, c.body, asJSON), c.status, c.kind)
			if !strings.Contains(p.Detail, c.holds) || c.check != nil && !c.check(p) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestOverridesInForce(t *testing.T) {
	w := newWorld(t)
	if rec := w.get("/api/v1/overrides"); strings.TrimSpace(rec.Body.String()) != `{"generation":"1-42","overrides":[]}` {
		t.Errorf("got %s", rec.Body)
	}
	w.operators.in = []route.Override{{ID: "1-40-1", Kind: route.Drain, Route: "acme-uk"}}
	if rec := w.get("/api/v1/overrides"); !strings.Contains(rec.Body.String(), `"overrides":[{"id":"1-40-1","kind":"drain"`) {
		t.Errorf("got %s", rec.Body)
	}
	if rec := w.do("DELETE", "/api/v1/overrides/1-40-1?actor=ann&reason=over", ""); rec.Code != 200 {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if o := w.operators.given[0]; o.End != "1-40-1" || o.Actor != "ann" || o.Reason != "over" {
		t.Errorf("got %+v", o)
	}
}

func TestProposalsSayWhatApprovingThemWouldDo(t *testing.T) {
	w := newWorld(t)
	w.operators.waiting = []decide.Waiting{{ID: "1-43-2", Route: "acme-uk", To: route.Demoted}}
	rec := w.get("/api/v1/proposals")
	var got struct {
		Proposals []struct {
			ID       string
			Decision *route.Decision
			Now      *Ordered
			Refused  *refusal
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || len(got.Proposals) != 1 {
		t.Fatalf("got %s, %v", rec.Body, err)
	}
	if p := got.Proposals[0]; p.ID != "1-43-2" || p.Decision == nil || p.Now == nil || p.Now.Done || p.Refused != nil || len(w.operators.given) != 0 {
		t.Errorf("got %s", rec.Body)
	}
	w.operators.err = &decide.Refused{GuardResult: route.GuardResult{Guard: "settle", Why: "the lane changed", Frees: "time"}}
	if rec := w.get("/api/v1/proposals"); !strings.Contains(rec.Body.String(), `"refused":{"guard":"settle","why":"the lane changed","frees":"time"}`) {
		t.Errorf("got %s", rec.Body)
	}
	w.operators.err = nil
	rec = w.do("POST", "/api/v1/proposals/1-43-2/approve", `{"actor":"ann","reason":"seen","accept":["settle"]}`, asJSON)
	if o := w.operators.given[0]; rec.Code != 200 || o.Proposal != "1-43-2" || !o.Approve || o.Actor != "ann" || fmt.Sprint(o.Accept) != "[settle]" {
		t.Errorf("got %d %+v", rec.Code, o)
	}
	w.do("POST", "/api/v1/proposals/1-43-2/reject", `{"actor":"ann"}`, asJSON)
	if o := w.operators.given[1]; o.Approve || o.Proposal != "1-43-2" {
		t.Errorf("got %+v", o)
	}
}
