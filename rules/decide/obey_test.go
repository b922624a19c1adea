package decide

import (
	"errors"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// obey gives an order as an operator does, between two rounds.
func (s *story) obey(o route.Order) (Outcome, error) {
	s.t.Helper()
	before := encode(s.world)
	out, err := Obey(s.policy, s.world, Seen{Signals: s.last.Signals, Wide: s.last.Wide}, o, s.now)
	if after := encode(s.world); after != before {
		s.t.Fatalf("an order changed the world given:\nwas %s\nis  %s", before, after)
	}
	if err == nil {
		s.take(out)
	}
	return out, err
}

func drainOf(id route.ID) route.Order {
	return route.Order{Actor: "ann", Reason: "maintenance", Override: &route.Override{Kind: route.Drain, Class: "otp", Network: "GB", Route: id}}
}

func TestAnOrderIsOneThing(t *testing.T) {
	s := plain.begin(t)
	both := drainOf("a")
	both.Proposal = "1-1-1"
	for _, o := range []route.Order{{}, {Actor: "ann"}, both, {End: "1-1-1", Proposal: "1-1-1"}} {
		if _, err := s.obey(o); err == nil || !strings.HasPrefix(err.Error(), "order: want one of") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestAnOrderNamesTheTableThatItSaw(t *testing.T) {
	s := plain.begin(t)
	late := drainOf("b")
	late.Saw = s.world.Generation
	if _, err := s.obey(drainOf("a")); err != nil {
		t.Fatal(err)
	}
	_, err := s.obey(late)
	var stale *Stale
	if !errors.As(err, &stale) || stale.Saw != late.Saw || stale.Is != s.world.Generation {
		t.Fatalf("got %v, want it refused: the other operator came first", err)
	}
	late.Saw = s.world.Generation
	if _, err := s.obey(late); err != nil {
		t.Errorf("looked at again: got %v", err)
	}
}

func TestAnOrderInForceIsNotReplacedByAccident(t *testing.T) {
	s := plain.begin(t)
	out, err := s.obey(drainOf("a"))
	if err != nil {
		t.Fatal(err)
	}
	first := only(t, out.Decisions).ID
	again := drainOf("a")
	again.Actor = "bob"
	_, err = s.obey(again)
	var conflict *Conflict
	if !errors.As(err, &conflict) || conflict.With != first || !strings.Contains(conflict.Text, "drained by ann: maintenance") {
		t.Fatalf("got %v, want the order of ann named", err)
	}
	again.Replaces = "1-9-9"
	if _, err = s.obey(again); !errors.As(err, &conflict) {
		t.Errorf("got %v for the place of another order", err)
	}
	again.Replaces = first
	if out, err = s.obey(again); err != nil || len(s.world.Overrides) != 1 || s.world.Overrides[0].Actor != "bob" {
		t.Fatalf("got %v, %+v, want bob's in its place", err, s.world.Overrides)
	}
	if got, want := only(t, out.Decisions).Text, "drained by bob: maintenance; in place of "+first+", drained by ann: maintenance"; got != want {
		t.Errorf("the journal says %q, want %q: the end of ann's order is as visible as any", got, want)
	}
	other := drainOf("b")
	other.Replaces = s.world.Overrides[0].ID
	if _, err = s.obey(other); !errors.As(err, &conflict) || !strings.HasPrefix(conflict.Text, "no such override") {
		t.Errorf("got %v for an order that is about another route", err)
	}
}

func TestAnOrderEndsOnce(t *testing.T) {
	s := plain.begin(t)
	out, _ := s.obey(drainOf("a"))
	end := route.Order{End: only(t, out.Decisions).ID, Actor: "bob", Reason: "it is well"}
	out, err := s.obey(end)
	if err != nil || only(t, out.Decisions).Text != "ended by bob (it is well): drained by ann: maintenance" {
		t.Fatalf("got %v, %+v", err, out.Decisions)
	}
	var conflict *Conflict
	if _, err := s.obey(end); !errors.As(err, &conflict) || conflict.With != end.End {
		t.Errorf("the second time: got %v", err)
	}
	if _, err := s.obey(route.Order{End: end.End}); err == nil || errors.As(err, &conflict) {
		t.Errorf("without an actor: got %v, want what is wrong with the order", err)
	}
}

func TestTheLastRouteIsDrainedOnlyInAsManyWords(t *testing.T) {
	s := plain.begin(t)
	for _, id := range []route.ID{"a", "b"} {
		if _, err := s.obey(drainOf(id)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.obey(drainOf("c"))
	var refused *Refused
	if !errors.As(err, &refused) || refused.Guard != guardMinActive || refused.Frees == "" {
		t.Fatalf("got %v, want min_active", err)
	}
	for _, accept := range [][]string{{"capacity"}, {"*"}, {"MIN_ACTIVE"}} {
		o := drainOf("c")
		o.Accept = accept
		if _, err := s.obey(o); !errors.As(err, &refused) {
			t.Errorf("%v: got %v, want it refused still", accept, err)
		}
	}
	o := drainOf("c")
	o.Accept = []string{guardMinActive}
	if _, err := s.obey(o); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAnApprovalPassesOverTheGuardsThatItNames(t *testing.T) {
	s, p := proposed(t)
	s.world.Lane(otpGB).Changes = []time.Time{s.now}
	s.order(route.Override{Kind: route.Pin, Route: "a"})
	o := route.Order{Proposal: p.ID, Approve: true, Actor: "ann"}
	var refused *Refused
	for _, c := range []struct {
		accept []string
		by     string
	}{{nil, guardPinned}, {[]string{guardSettle}, guardPinned}, {[]string{guardPinned}, guardSettle}} {
		o.Accept = c.accept
		if _, err := s.obey(o); !errors.As(err, &refused) || refused.Guard != c.by {
			t.Errorf("%v: got %v, want it refused by %s", c.accept, err, c.by)
		}
	}
	o.Accept = []string{guardSettle, guardPinned}
	if out, err := s.obey(o); err != nil || only(t, out.Decisions).Reason != route.Approved {
		t.Errorf("got %v", err)
	}
	var conflict *Conflict
	if _, err := s.obey(o); !errors.As(err, &conflict) {
		t.Errorf("the second one: got %v, want only one to win", err)
	}
}

func TestProposalsAreThoseThatWait(t *testing.T) {
	s, p := proposed(t)
	all := Proposals(s.world, s.now)
	if len(all) != 1 || all[0].ID != p.ID || all[0].Route != "a" || all[0].Lane != otpGB || all[0].To != route.Demoted || all[0].Rule != "receipts" || !all[0].ExpiresAt.Equal(s.now.Add(15*time.Minute)) {
		t.Errorf("got %+v", all)
	}
	if late := Proposals(s.world, s.now.Add(15*time.Minute)); late == nil || len(late) != 0 {
		t.Errorf("got %+v when their time is up, want an empty list", late)
	}
}

func TestEffectsAreWhatSendersSee(t *testing.T) {
	s := plain.begin(t)
	was := s.world
	out, err := s.obey(drainOf("a"))
	if err != nil {
		t.Fatal(err)
	}
	lanes := Effects(s.policy, was, out, s.now)
	if len(lanes) != 1 || lanes[0].Lane != otpGB || len(lanes[0].Routes) != 3 {
		t.Fatalf("got %+v", lanes)
	}
	for _, r := range lanes[0].Routes {
		if r.Route == "b" && (r.Was.Share != 0 || r.Is.Share != route.FullShare) {
			t.Errorf("got %+v, want b to get all", r)
		}
	}
	freeze := route.Order{Actor: "ann", Reason: "x", Override: &route.Override{Kind: route.Freeze, Class: "otp", Network: "GB"}}
	was = s.world
	out, err = s.obey(freeze)
	if lanes := Effects(s.policy, was, out, s.now); err != nil || lanes == nil || len(lanes) != 0 {
		t.Errorf("got %v, %+v of a freeze", err, lanes)
	}
}

func TestADrainIsWarnedOf(t *testing.T) {
	narrow := site{routes: `
  a: {provider: pa, networks: [GB], capacity: 50/s, price: {GB: 0.0300 EUR}}
  b: {provider: pb, networks: [GB], capacity: 2/s, price: {GB: 0.0600 EUR}}
  c: {provider: pc, networks: [GB], capacity: 1/s, price: {GB: 0.0700 EUR}}`,
		guards: `{capacity: hold, price_rise: {limit: 50%, then: propose}, max_demoted: 50%}`}
	s := narrow.begin(t)
	s.look("a", look{rate: 20}).look("b", look{rate: -1}).look("c", look{rate: -1}).round()
	seen := Seen{Signals: s.last.Signals, Wide: s.last.Wide}
	got := map[string]string{}
	for _, w := range Warnings(s.policy, s.world, seen, drainOf("a"), s.now) {
		got[w.Guard] = w.Why
		if w.Lane != otpGB || w.Result == pass {
			t.Errorf("got %+v", w)
		}
	}
	if !strings.Contains(got[guardCapacity], "room for 3.0/s") || got[guardPriceRise] == "" || got[guardMaxDemoted] != "" {
		t.Errorf("got %v, want capacity and price_rise", got)
	}
	if w := Warnings(s.policy, s.world, seen, drainOf("c"), s.now); len(w) != 0 {
		t.Errorf("got %+v of a standby", w)
	}
	pin := drainOf("a")
	pin.Override.Kind = route.Pin
	if w := Warnings(s.policy, s.world, seen, pin, s.now); w != nil {
		t.Errorf("got %+v of a pin", w)
	}
}
