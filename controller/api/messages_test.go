package api

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func TestPricesAreAskedForWithBounds(t *testing.T) {
	w := newWorld(t)
	if rec := w.get("/api/v1/prices"); rec.Code != 200 || rec.Body.String() != `{"since":"2026-11-25"}`+"\n" {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if ago := time.Since(w.prices.Since); ago < pricesSince || ago > pricesSince+time.Minute {
		t.Errorf("got prices since %s ago, want a week", ago)
	}
	w.get("/api/v1/prices?since=2026-11-23T10:00:00Z&class=otp&network=GB")
	if q := w.prices; !q.Since.Equal(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)) || q.Class != "otp" || q.Network != "GB" {
		t.Errorf("got %+v", q)
	}
	for parameter, query := range map[string]string{"since": "since=yesterday", "network": "network=234_15", "class": "class=otp&class=bulk"} {
		wantParameter(t, w.get("/api/v1/prices?"+query), parameter)
	}
	w.stopping = errors.New("stopping")
	if rec := w.get("/api/v1/prices"); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("got %d while it stops", rec.Code)
	}
}

func wantParameter(t *testing.T, rec *httptest.ResponseRecorder, parameter string) {
	t.Helper()
	var p problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != 400 || p.Parameter != parameter {
		t.Errorf("got %d %s, want 400 for %s", rec.Code, rec.Body, parameter)
	}
}

// shaped is the journal of a lane: acme was demoted, core was looked at, bolt came to carry the lane.
func shaped() []route.Decision {
	at := func(n uint64, id string, r route.ID, network route.Network, enforced bool) route.Decision {
		return route.Decision{ID: id, Generation: gen(n), Route: r, Lane: route.Lane{Class: "otp", Network: network}, Enforced: enforced, From: route.Active, To: route.Demoted, Rule: "collapse"}
	}
	return []route.Decision{at(44, "1-44-1", "bolt", "GB", true), at(43, "1-43-3", "core", "GB", false), at(43, "1-43-2", "core", "FR", true), at(43, "1-43-1", "acme", "GB", true), at(42, "1-42-1", "bolt", "GB", true), at(41, "1-41-1", "bolt", "GB", true)}
}

func TestTheWayOfAMessageHasTheDecisionsBehindIt(t *testing.T) {
	w := newWorld(t)
	w.decisions = shaped()
	used := gen(43)
	w.attempts = []Attempt{{Route: "bolt", Class: "otp", Network: "234-15", Result: "accepted", Generation: &used,
		Table: &Standing{Generation: used, Lane: route.Lane{Class: "otp", Network: "GB"}, Entry: &route.Entry{Route: "bolt", Share: 10000}}},
		{Route: "bolt", Table: &Standing{NotKept: "no table has been published yet"}}, {Route: "bolt"}}
	rec := w.get("/api/v1/messages/m%2F1?route=bolt")
	var got struct {
		ID       string
		Attempts []struct{ Decisions []struct{ ID string } }
		Window   map[string]int
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if got.ID != "m/1" || w.by != "bolt" || got.Window["kept"] != 3 || len(got.Attempts) != 3 {
		t.Fatalf("got %s", rec.Body)
	}
	if d := got.Attempts[0].Decisions; len(d) != 2 || d[0].ID != "1-43-1" || d[1].ID != "1-42-1" {
		t.Errorf("got decisions %v, want the last one of the lane and the last one of the route, not after generation 1-43", d)
	}
	if d := got.Attempts[1].Decisions; d == nil || len(d) != 0 || len(got.Attempts[2].Decisions) != 0 {
		t.Errorf("got decisions %v of a table that is not kept", d)
	}
}

// An operator drains a route in every class, as signalbox drain does by itself, and somebody freezes the lane after that.
func TestTheWayOfAMessageHasTheOrderBehindIt(t *testing.T) {
	w := newWorld(t)
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ordered := func(id string, n uint64, at time.Time, r route.ID, l route.Lane, kind route.OverrideKind) route.Decision {
		return route.Decision{ID: id, Generation: gen(n), Time: at, Route: r, Lane: l, Enforced: true, Reason: route.OverrideSet, Override: &route.Override{ID: id, Kind: kind}}
	}
	every, gb := route.Lane{Class: "*", Network: "*"}, route.Lane{Class: "otp", Network: "GB"}
	w.decisions = []route.Decision{
		ordered("1-43-2", 43, noon.Add(time.Minute), "", gb, route.Freeze),
		ordered("1-43-1", 43, noon, "acme", every, route.Drain),
		{ID: "1-42-1", Generation: gen(42), Time: noon.Add(-time.Hour), Route: "bolt", Lane: gb, Enforced: true},
	}
	w.attempts = []Attempt{{Route: "bolt", Class: "otp", Network: "234-15", Table: &Standing{Generation: gen(43), Published: noon.Add(time.Minute), Lane: gb}}}
	var got struct {
		Attempts []struct{ Decisions []struct{ ID string } }
	}
	if rec := w.get("/api/v1/messages/m-1"); json.Unmarshal(rec.Body.Bytes(), &got) != nil || len(got.Attempts) != 1 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if d := got.Attempts[0].Decisions; len(d) != 2 || d[0].ID != "1-43-1" || d[1].ID != "1-42-1" {
		t.Errorf("got decisions %v, want the drain, and the last one about bolt; a freeze moves nothing", d)
	}
}

func TestMessagesThatCannotBeTold(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"+447700900123", strings.Repeat("x", 257)} {
		wantParameter(t, w.get("/api/v1/messages/"+id), "id")
	}
	if rec := w.get("/api/v1/messages/+447700900123"); !strings.Contains(rec.Body.String(), "only their hashes are kept") {
		t.Errorf("got %s for a phone number", rec.Body)
	}
	wantParameter(t, w.get("/api/v1/messages/m-1?route=a&route=b"), "route")
	w.missing = errors.New("no message with this id has come since noon")
	if rec := w.get("/api/v1/messages/m-1"); rec.Code != 404 || !strings.Contains(rec.Body.String(), "no-message") || !strings.Contains(rec.Body.String(), "since noon") {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	w.missing, w.attempts, w.journal = nil, []Attempt{{Table: &Standing{}}}, errors.New("disk")
	if rec := w.get("/api/v1/messages/m-1"); rec.Code != 500 {
		t.Errorf("got %d where the journal cannot be read", rec.Code)
	}
}
