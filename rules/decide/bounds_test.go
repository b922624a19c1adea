package decide

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func TestMaxDemotedBoundsHowMuchOfALaneIsOut(t *testing.T) {
	for _, c := range []struct {
		order string
		limit string
		want  int // routes that may be out
		why   string
	}{
		{"[a]", "100%", 0, ""}, // min_active holds it
		{"[a]", "50%", 0, "1 of 1 routes would be out, and at most 0 may be"},
		{"[a, b]", "10%", 1, ""}, // one of two always may
		{"[a, b, c]", "50%", 1, "2 of 3 routes would be out, and at most 1 may be"},
		{"[a, b, c]", "66%", 1, "2 of 3 routes would be out, and at most 1 may be"},
		{"[a, b, c]", "67%", 2, ""},
		{"[a, b, c, d]", "50%", 2, "3 of 4 routes would be out, and at most 2 may be"},
		{"[a, b, c, d]", "49%", 1, "2 of 4 routes would be out, and at most 1 may be"},
	} {
		t.Run(c.order+" "+c.limit, func(t *testing.T) {
			s := site{routes: plain.routes + "\n  d: {provider: pd, networks: [GB]}", lanes: "\n  - {class: otp, network: GB, order: " + c.order + "}",
				guards: strings.Replace(fmt.Sprintf(quick, 1), "{", "{max_demoted: "+c.limit+", ", 1)}.begin(t)
			for _, id := range []route.ID{"a", "b", "c", "d"} {
				s.look(id, failing)
			}
			out := 0
			var held *route.GuardResult
			for _, d := range s.rounds(time.Hour) {
				if d.Enforced {
					out++
				} else if g := answer(t, d, guardMaxDemoted); g.Result == hold && d.Reason != route.InFlight {
					held = &g
				}
			}
			if out != c.want {
				t.Errorf("got %d out, want %d\n%s", out, c.want, tail(s.journal))
			}
			if c.why != "" && (held == nil || held.Why != c.why || held.Frees != "a demoted route of the lane coming back") {
				t.Errorf("got %+v, want %q", held, c.why)
			}
		})
	}
}

// roomy is a policy of routes with capacities, whose changes wait for nothing else.
func roomy(lanes, guard string, capacities ...string) site {
	s := site{lanes: lanes, classes: plain.classes + "\n  bulk: {mode: act}", guards: strings.Replace(fmt.Sprintf(quick, 1), "{", "{capacity: "+guard+", ", 1)}
	for i, c := range capacities {
		s.routes += fmt.Sprintf("\n  %c: {provider: p%d, networks: [GB], trickle: 1%%", 'a'+i, i)
		if c != "" {
			s.routes += ", capacity: " + c
		}
		s.routes += "}"
	}
	return s
}

const threeInOrder = "\n  - {class: otp, network: GB, order: [a, b, c]}"

func TestCapacityLetsNoDemotionPassThatTheRestCannotCarry(t *testing.T) {
	bulk := "\n  - {class: bulk, network: GB, order: [c, b]}"
	two := "\n  - {class: otp, network: GB, order: [a, b]}"
	for _, c := range []struct {
		name       string
		lanes      string
		capacities []string
		guard      string
		want       string // the answer
		why, frees string
	}{
		{"the others have room", threeInOrder, []string{"10/s", "6/s", "6/s"}, "hold", pass, "the lane carries 12.0/s, and the remaining routes have room for 12.0/s", ""},
		{"they have not", threeInOrder, []string{"50/s", "6/s", "5/s"}, "hold", hold, "the lane carries 12.0/s, and the remaining routes have room for 11.0/s", "the lane falling under 11.0/s, or a route with room for it becoming active"},
		{"a person may decide", threeInOrder, []string{"50/s", "6/s", "5/s"}, "propose", lower, "the lane carries 12.0/s, and the remaining routes have room for 11.0/s", "a person who approves it, or the lane falling under 11.0/s, or a route with room for it becoming active"},
		{"what they carry in other lanes is not there", threeInOrder + bulk, []string{"50/s", "10/s", "10/s"}, "hold", pass, "the lane carries 12.0/s, and the remaining routes have room for 12.0/s", ""},
		{"nor beyond what they can", threeInOrder + bulk, []string{"50/s", "9/s", "3/s"}, "hold", hold, "the lane carries 12.0/s, and the remaining routes have room for 5.0/s", "the lane falling under 5.0/s, or a route with room for it becoming active"},
		{"of one nobody knows", threeInOrder, []string{"50/s", "1/s", ""}, "hold", pass, "the policy does not say what c can carry", ""},
		{"in a lane of two", two, []string{"50/s", "7/s"}, "hold", hold, "the lane carries 8.0/s, and the remaining routes have room for 7.0/s", "the lane falling under 7.0/s, or a route with room for it becoming active"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := roomy(c.lanes, c.guard, c.capacities...).begin(t)
			d := only(t, s.there(otpGB, "a", failing).round())
			if g := answer(t, d, guardCapacity); g.Result != c.want || g.Why != c.why || g.Frees != c.frees {
				t.Errorf("got %+v\nwant %s: %s; %s", g, c.want, c.why, c.frees)
			}
			if d.Enforced != (c.want == pass) || (d.Reason == route.Proposed) != (c.want == lower) {
				t.Errorf("got %s, enforced %t", d.Reason, d.Enforced)
			}
		})
	}
}

func TestCapacityIsFreedByLessTraffic(t *testing.T) {
	s := roomy(threeInOrder, "hold", "50/s", "6/s", "5/s").begin(t)
	wantReasons(t, s.look("a", failing).rounds(time.Minute), "a GuardHeld")
	less := failing
	less.rate = 3
	wantReasons(t, s.look("a", less).round(), "a RuleMatched")
}

func TestCapacityDoesNotCountRoutesThatCarryNothing(t *testing.T) {
	s := roomy(threeInOrder, "hold", "50/s", "6/s", "100/s").begin(t)
	s.order(route.Override{Kind: route.Drain, Route: "c"})
	d := only(t, s.look("a", failing).round())
	if g := answer(t, d, guardCapacity); g.Result != hold || g.Why != "the lane carries 12.0/s, and the remaining routes have room for 6.0/s" {
		t.Errorf("got %+v, want the drained one left out", g)
	}
}

func TestCapacityAsksOfAPromotionWhetherTheRouteHasRoomForItsShare(t *testing.T) {
	s := roomy(threeInOrder, "hold", "10/s", "50/s", "50/s").begin(t)
	s.look("a", failing).round()
	ds := s.look("a", returned).rounds(20 * time.Minute)
	last := ds[len(ds)-1]
	if g := answer(t, last, guardCapacity); last.Enforced || last.To != route.Active || g.Result != hold ||
		g.Why != "a would get 12.0/s, and has room for 10.0/s" || g.Frees != "a having room for it" {
		t.Errorf("got %+v, want its last step held", last)
	}
	s.phase("a", route.Recovering)
	s.wantRow(otpGB, "b 7500, c 0, a 2500 recovering")
	less := returned
	less.rate = 1
	wantReasons(t, s.look("a", less).round(), "a RuleCleared")
}

func TestCapacityIsAskedOnANetworkByItsOwnTraffic(t *testing.T) {
	from := roomy(threeInOrder, "hold", "50/s", "6/s", "5/s")
	from.rules = thereRule
	s := from.beginAbroad(t)
	little := look{bind: -3, peers: -9, rate: 1}
	sick := failing
	sick.rate = 1
	s.there(otp15, "b", little).there(otp15, "c", little)
	d := only(t, s.there(otp15, "a", sick).round())
	// b and c carry 4/s each in the lane, of which 1/s goes to this network.
	if g := answer(t, d, guardCapacity); g.Why != "the lane carries 3.0/s, and the remaining routes have room for 5.0/s" || !d.Enforced {
		t.Errorf("got %+v", g)
	}
}

// priced is a policy of three routes at these prices for GB.
func priced(lanes, guard string, prices ...string) site {
	s := site{lanes: lanes, guards: strings.Replace(fmt.Sprintf(quick, 1), "{", "{price_rise: "+guard+", ", 1)}
	for i, p := range prices {
		s.routes += fmt.Sprintf("\n  %c: {provider: p%d, networks: [GB], trickle: 1%%", 'a'+i, i)
		if p != "" {
			s.routes += ", price: {GB: " + p + "}"
		}
		s.routes += "}"
	}
	return s
}

func TestPriceRiseBoundsWhatAMessageCosts(t *testing.T) {
	shares := "\n  - {class: otp, network: GB, share: {a: 50, b: 30, c: 20}}"
	two := "\n  - {class: otp, network: GB, order: [a, b]}"
	for _, c := range []struct {
		name   string
		lanes  string
		guard  string
		prices []string
		out    route.ID
		want   string
		why    string
	}{
		{"up to the limit", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", "0.0450 EUR"}, "a", pass, "a message would cost 0.0450 EUR instead of 0.0300 EUR, +50.0%"},
		{"beyond it", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", "0.0451 EUR"}, "a", hold, "a message would cost 0.0451 EUR instead of 0.0300 EUR, +50.3%, and at most 50% is allowed"},
		{"asks a person unless told otherwise", two, "{limit: 50%}", []string{"0.0300 EUR", "0.0451 EUR"}, "a", lower, "a message would cost 0.0451 EUR instead of 0.0300 EUR, +50.3%, and at most 50% is allowed"},
		{"a cheaper one", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", "0.0200 EUR"}, "a", pass, "a message would cost 0.0200 EUR instead of 0.0300 EUR, -33.3%"},
		{"a standby that goes", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", "0.0900 EUR"}, "b", pass, "the same routes carry the lane"},
		{"no price before", two, "{limit: 50%, then: hold}", []string{"", "0.0900 EUR"}, "a", pass, "what a message costs before or after is not known"},
		{"no price after", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", ""}, "a", pass, "what a message costs before or after is not known"},
		{"another currency", two, "{limit: 50%, then: hold}", []string{"0.0300 EUR", "0.9000 USD"}, "a", pass, "what a message costs before or after is not known"},
		{"what was free", two, "{limit: 50%, then: hold}", []string{"0 EUR", "0.0300 EUR"}, "a", hold, "a message would cost 0.0300 EUR instead of 0 EUR, and at most 50% is allowed"},
		{"stays free", two, "{limit: 50%, then: hold}", []string{"0 EUR", "0.000 EUR"}, "a", pass, "a message would cost 0.000 EUR instead of 0 EUR"},
		{"by the weights of a lane of three", shares, "{limit: 50%, then: hold}", []string{"0.01 EUR", "0.02 EUR", "0.04 EUR"}, "a", pass, "a message would cost 0.028 EUR instead of 0.019 EUR, +47.4%"},
		{"unknown where one of the weights is", shares, "{limit: 50%, then: hold}", []string{"0.01 EUR", "0.02 EUR", ""}, "a", pass, "what a message costs before or after is not known"},
		{"known where that one goes", shares, "{limit: 50%, then: hold}", []string{"0.01 EUR", "0.02 EUR", ""}, "c", pass, "what a message costs before or after is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := priced(c.lanes, c.guard, c.prices...).begin(t)
			d := only(t, s.look(c.out, failing).round())
			g := answer(t, d, guardPriceRise)
			if g.Result != c.want || g.Why != c.why || (g.Frees == "") != (c.want == pass) {
				t.Errorf("got %+v\nwant %s: %s", g, c.want, c.why)
			}
			if c.want == lower && (d.Reason != route.Proposed || g.Frees != "a person who approves it, or a cheaper route of the lane becoming active") {
				t.Errorf("got %s, %q", d.Reason, g.Frees)
			}
		})
	}
}

func TestPriceRiseIsAskedOfPromotionsToo(t *testing.T) {
	s := priced("\n  - {class: otp, network: GB, order: [a, b]}", "{limit: 50%, then: hold}", "0.0900 EUR", "0.0300 EUR").begin(t)
	s.look("a", failing).round()
	ds := s.look("a", returned).rounds(20 * time.Minute)
	last := ds[len(ds)-1]
	if g := answer(t, last, guardPriceRise); last.Enforced || last.To != route.Active || g.Result != hold {
		t.Errorf("got %+v, want the way back to the dear one held at its end", last)
	}
}

// windowed is plain with one window, whose changes wait for nothing else.
func windowed(window string) site {
	return site{windows: "\n  - {name: w, zone: Europe/London, " + window + "}", guards: fmt.Sprintf(quick, 1), routes: strings.ReplaceAll(plain.routes, "[GB]", "[GB, FR]")}
}

func TestAWindowFreezesItsKindOfChangeWhileItIsOpen(t *testing.T) {
	for _, c := range []struct {
		name              string
		window            string
		demotes, promotes bool
	}{
		{"promotions", `freeze: promotions, from: "10:00", to: "11:00"`, true, false},
		{"demotions", `freeze: demotions, from: "10:00", to: "11:00"`, false, true},
		{"changes", `freeze: changes, from: "10:00", to: "11:00"`, false, false},
		{"of another class", `class: [bulk], freeze: changes, from: "10:00", to: "11:00"`, true, true},
		{"of another network", `network: [FR], freeze: changes, from: "10:00", to: "11:00"`, true, true},
		{"that is closed", `freeze: changes, from: "11:00", to: "12:00"`, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := windowed(c.window)
			from.classes, from.lanes = plain.classes+"\n  bulk: {mode: act}", plain.lanes+"\n  - {class: bulk, network: FR, order: [b]}"
			before := from
			before.windows = ""
			s := demoted(t, before, failing)
			s.look("a", well).rounds(6 * time.Minute)
			s.reload(from)
			for _, x := range []struct {
				id     route.ID
				look   look
				passes bool
				kind   string
			}{{"a", returned, c.promotes, "promotions"}, {"b", failing, c.demotes, "demotions"}} {
				ds := s.look(x.id, x.look).rounds(10 * time.Second)
				if len(ds) == 0 || ds[0].Enforced != x.passes {
					t.Fatalf("%s: got\n%s", x.kind, tail(ds))
				}
				g := answer(t, ds[0], guardWindows)
				if !x.passes && (ds[0].Reason != route.Frozen || g.Result != hold || !strings.HasPrefix(g.Why, "the window w freezes ") || g.Frees != "the window w closing at 2026-11-23 11:00 GMT") {
					t.Errorf("%s: got %+v", x.kind, g)
				}
			}
		})
	}
}

func TestAChangeThatAWindowHoldsIsMadeOnceItCloses(t *testing.T) {
	s := windowed(`freeze: demotions, from: "09:00", to: "10:05"`).begin(t)
	wantReasons(t, s.look("a", failing).rounds(5*time.Minute-signal.Tick), "a Frozen")
	wantReasons(t, s.round(), "a RuleMatched")
}

func TestRefusalsThatAWindowIgnoresAreNotAskedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		window string
		want   time.Time // from which they count, in the round after ten o'clock
	}{
		{"while it is open", `ignore: refusals, from: "09:00", to: "11:00"`, began.Add(2 * signal.Tick)},
		{"once it has closed", `ignore: refusals, from: "09:00", to: "10:00"`, began},
		{"outside of hours", `ignore: refusals, outside: {from: "09:30", to: "21:00"}`, began.Add(-30 * time.Minute)},
		{"long after", `ignore: refusals, from: "23:00", to: "23:30"`, time.Time{}},
		{"of another class", `class: [bulk], ignore: refusals, from: "09:00", to: "11:00"`, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := windowed(c.window)
			from.classes = plain.classes + "\n  bulk: {mode: act}"
			s := from.begin(t)
			for _, q := range s.inquiries() {
				if !q.Refusals.Equal(c.want) {
					t.Errorf("%s: got refusals from %s, want %s", q.Route, q.Refusals, c.want)
				}
			}
		})
	}
}
