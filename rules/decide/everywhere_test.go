package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

var bulkGB = route.Lane{Class: "bulk", Network: "GB"}

// everywhere judges routes by the messages of all lanes, of which it has two.
var everywhere = site{
	classes: `
  otp: {mode: act}
  bulk: {mode: act}`,
	lanes: `
  - {class: otp, network: GB, order: [a, b]}
  - {class: bulk, network: GB, order: [b, a, c]}`,
	rules: `
  - name: all
    class: ["*"]
    per: route
    demote: {when: delivery.evidence >= 12.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 100%], step: 2m}
    hold_down: {base: 5m}`,
	guards: fmt.Sprintf(quick, 1),
}

func TestARuleOverAllLanesMovesARouteInEachOfThemAtOnce(t *testing.T) {
	s := everywhere.begin(t)
	s.wide["a"] = failing
	ds := s.round()
	wantReasons(t, ds, "a RuleMatched", "a RuleMatched")
	if ds[0].Lane != otpGB || ds[1].Lane != bulkGB || ds[0].Generation != ds[1].Generation {
		t.Errorf("got %s in %s and %s in %s, want one generation", ds[0].Generation, ds[0].Lane, ds[1].Generation, ds[1].Lane)
	}
	s.wantRow(otpGB, "b 9900, a 100 demoted")
	s.wantRow(bulkGB, "b 9900, c 0, a 100 demoted")
	s.wide["a"] = returned
	none(t, s.look("a", failing).rounds(5*time.Minute - signal.Tick)[2:]) // what it looks like in one lane counts for nothing
	wantReasons(t, s.round(), "a RuleCleared", "a RuleCleared")
	wantReasons(t, s.rounds(2*time.Minute), "a RuleCleared", "a RuleCleared")
	s.wantRow(otpGB, "a 10000, b 0")
	s.wantRow(bulkGB, "b 10000, a 0, c 0")
}

func TestARuleOverAllLanesMovesARouteAlsoWhereItIsIdle(t *testing.T) {
	s := everywhere.begin(t)
	s.idle = []place{{bulkGB, "a"}}
	s.wide["a"] = failing
	wantReasons(t, s.round(), "a RuleMatched", "a RuleMatched")
	s.wantRow(bulkGB, "b 9900, c 0, a 100 demoted")
}

func TestEachLaneAsksItsOwnGuardsAboutARuleOverAllLanes(t *testing.T) {
	alone := everywhere
	alone.lanes = `
  - {class: otp, network: GB, order: [a]}
  - {class: bulk, network: GB, order: [b, a, c]}`
	s := alone.begin(t)
	s.wide["a"] = failing
	ds := s.round()
	wantReasons(t, ds, "a GuardHeld", "a RuleMatched")
	if g := answer(t, ds[0], guardMinActive); ds[0].Lane != otpGB || g.Result != hold {
		t.Errorf("got %+v, want it held where it is the last", ds[0])
	}
	s.wantRow(otpGB, "a 10000")
}

func TestARuleOverAllLanesIsExplainedByWhatItSaw(t *testing.T) {
	s := everywhere.begin(t)
	s.wide["a"] = failing
	s.round()
	e, ok := Explain(s.policy, s.world, Seen{Signals: s.last.Signals, Wide: s.last.Wide}, otpGB, "a")
	if !ok || e.Rules[0].Demote.Truth != "true" {
		t.Errorf("got %+v, want the rule judged by all lanes", e.Rules)
	}
}

// senders is a policy in which c may not be a fallback for otp in GB.
func senders(lanes, guards string) site {
	s := plain
	s.routes = strings.Replace(plain.routes, "price: {GB: 0.0360 EUR}", "price: {GB: 0.0360 EUR}, senders: {otp: [FR]}", 1)
	s.lanes, s.guards = "\n  - {class: otp, network: GB, "+lanes+"}", guards
	return s
}

func TestARouteWithoutRegisteredSendersIsNobodysFallback(t *testing.T) {
	for _, c := range []struct{ name, lanes, want, after string }{
		{"last in order", "order: [a, b, c]", "a 10000, b 0, c 0 demoted unregistered", "b 9900, a 100 demoted, c 0 demoted unregistered"},
		{"before another in order", "order: [a, c, b]", "a 10000, b 0, c 0 demoted unregistered", "b 9900, a 100 demoted, c 0 demoted unregistered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := senders(c.lanes, fmt.Sprintf(quick, 1)).begin(t)
			s.wantRow(otpGB, c.want)
			last := s.table.Lanes[0].Routes[2]
			if last.Route != "c" || last.Reason == nil || last.Reason.Text != "its sender IDs are not registered for otp in GB" {
				t.Errorf("got %+v, want it to say why", last)
			}
			s.look("a", failing).round()
			s.wantRow(otpGB, c.after)
			s.look("b", failing).rounds(time.Hour)
			s.wantRow(otpGB, c.after) // c does not count for min_active
			e := s.explain("c")
			if !strings.HasPrefix(e.Text, "its sender IDs are not registered for otp in GB; ") || e.Entry.Admin != route.AdminUnregistered {
				t.Errorf("got %q of %+v", e.Text, e.Entry)
			}
		})
	}
}

func TestARouteWithoutRegisteredSendersCountsForNoGuard(t *testing.T) {
	s := senders("order: [a, c, b]", `{settle: 0s, max_demoted: 50%, price_rise: {limit: 50%, then: hold}}`).begin(t)
	d := only(t, s.look("a", failing).round())
	if g := answer(t, d, guardMinActive); g.Why != "1 route would stay active" {
		t.Errorf("got %+v, want c left out", g)
	}
	if g := answer(t, d, guardMaxDemoted); g.Result != pass || g.Why != "1 of 2 routes would be out, and up to 1 may be" {
		t.Errorf("got %+v, want c left out", g)
	}
	if g := answer(t, d, guardPriceRise); g.Why != "a message would cost 0.0330 EUR instead of 0.0300 EUR, +10.0%" {
		t.Errorf("got %+v, want the price of b", g)
	}
	if got := d.Alternatives; got[0].Route != "b" || got[1].Route != "c" || !strings.HasPrefix(got[1].Why, "its sender IDs are not registered for otp in GB") {
		t.Errorf("got %+v", got)
	}
}

func TestARouteRegisteredForOneNetworkIsAFallbackThereAlone(t *testing.T) {
	s := plain
	s.routes = strings.Replace(plain.routes, "price: {GB: 0.0330 EUR}", "price: {GB: 0.0330 EUR}, senders: {otp: [234-15]}", 1)
	s.rules = abroad().rules
	s.guards = fmt.Sprintf(quick, 1)
	st := outThere(t, s)
	st.wantRow(otpGB, "a 10000, c 0, b 0 demoted unregistered")
	st.wantRow(otp15, "b 9900, c 0, a 100 demoted")
}

func TestWhatNothingTellsOfHasNoStateAndNoDecision(t *testing.T) {
	s := site{rules: receiptsRule}.begin(t)
	s.idle = []place{{otpGB, "b"}, {otpGB, "c"}}
	s.look("b", failing).look("c", away)
	none(t, s.rounds(time.Hour))
	if got := s.world.Lane(otpGB); got.Routes != nil || got.Networks != nil || s.last.Changed {
		t.Errorf("got %s, want nothing remembered", encode(got))
	}
	if len(s.last.Signals) != 1 || s.last.Signals[0].Route != "a" {
		t.Errorf("got %d routes judged, want the one that carries the lane", len(s.last.Signals))
	}
	d := only(t, s.look("a", failing).round())
	if got := d.Alternatives; got[0].Route != "b" || got[0].Why != "next in order, not known: nothing has been heard of it" {
		t.Errorf("got %+v", got)
	}
	if got := s.world.Lane(otpGB).Routes; len(got) != 1 || got[0].Route != "a" {
		t.Errorf("got %s, want only what happened", encode(got))
	}
	s.wantRow(otpGB, "b 9900, c 0, a 100 demoted")
}

func TestARouteThatCarriesTheLaneAndIsNotHeardOfIsToldOf(t *testing.T) {
	s := site{rules: receiptsRule}.begin(t)
	s.idle = []place{{otpGB, "a"}, {otpGB, "b"}, {otpGB, "c"}}
	s.look("a", away)
	wantReasons(t, s.rounds(5*time.Minute), "a Unknown")
}

func TestARuleThatCanBeTrueOfAnUnheardRouteStillJudgesIt(t *testing.T) {
	for _, c := range []struct{ name, when string }{
		{"by what the policy says of it", `route.provider == "pb"`},
		{"by the state it is in", `route.id == "b" && state.phase == "active"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{guards: fmt.Sprintf(quick, 1), rules: `
  - name: known
    class: ["*"]
    demote: {when: '` + c.when + `'}
    promote: {when: delivery.recovered >= 4.6}`}.begin(t)
			s.idle = []place{{otpGB, "a"}, {otpGB, "b"}, {otpGB, "c"}}
			wantReasons(t, s.rounds(time.Minute), "b RuleMatched")
		})
	}
}

func TestARouteThatIsRememberedIsJudgedAlthoughNothingTellsOfIt(t *testing.T) {
	s := demoted(t, plain, unbound)
	s.idle = []place{{otpGB, "a"}, {otpGB, "b"}, {otpGB, "c"}}
	s.look("a", well).rounds(10 * time.Minute)
	s.phase("a", route.Active)
	if !slices.ContainsFunc(s.journal, func(d route.Decision) bool { return d.Reason == route.RuleCleared }) {
		t.Errorf("got no way back:\n%s", tail(s.journal))
	}
}
