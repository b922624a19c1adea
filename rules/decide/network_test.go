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

// thereRule judges each network by itself, with the looks of receiptsRule.
const thereRule = `
  - name: there
    class: ["*"]
    per: network
    demote: {when: delivery.evidence >= 12.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 25%, 100%], step: 2m}
    hold_down: {base: 5m, factor: 2, max: 15m, decay: 1h}`

var (
	otp15 = route.Lane{Class: "otp", Network: "234-15"}
	otp30 = route.Lane{Class: "otp", Network: "234-30"}
)

// abroad is plain with a rule for each network beside those for the lane.
func abroad() site { return site{rules: thereRule + receiptsRule + bindRule} }

// beginAbroad is a story of messages to two networks.
func (s site) beginAbroad(t tester) *story {
	t.Helper()
	st := s.begin(t)
	st.apart = []route.Network{"234-15", "234-30"}
	return st
}

// there lets a route look otherwise in one lane, or on one network.
func (s *story) there(key route.Lane, id route.ID, l look) *story {
	s.on[place{key, id}] = l
	return s
}

// row is a row of the table in force, in short: "b 9900, a 100 demoted"; "" where there is none.
func (s *story) row(key route.Lane) string {
	var parts []string
	for _, l := range s.table.Lanes {
		if l.Lane() != key {
			continue
		}
		if len(parts) > 0 {
			s.t.Fatalf("got two rows of %s", key)
		}
		for _, e := range l.Routes {
			part := fmt.Sprintf("%s %d", e.Route, e.Share)
			if e.Phase != route.Active {
				part += " " + string(e.Phase)
			}
			if e.Admin != "" {
				part += " " + string(e.Admin)
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func (s *story) wantRow(key route.Lane, want string) {
	s.t.Helper()
	if got := s.row(key); got != want {
		s.t.Fatalf("at %s: row %s: got %q, want %q\n%s", s.now.Format("15:04:05"), key, got, want, tail(s.journal))
	}
}

// retold fails where the journal since a world leads to another table than the one in force.
func (s *story) retold(from route.World, journal []route.Decision) {
	s.t.Helper()
	told := Retell(s.policy, from, journal)
	got, want := Table(s.policy, told, s.now).Lanes, Table(s.policy, s.world, s.now).Lanes
	if encode(got) != encode(want) {
		s.t.Fatalf("the journal tells another table:\ngot  %s\nwant %s\n%s", encode(got), encode(want), tail(journal))
	}
}

// outThere is a story in which a has just been demoted on 234-15 alone.
func outThere(t tester, s site) *story {
	t.Helper()
	st := s.beginAbroad(t)
	st.there(otp15, "a", failing).round()
	if d := only(t, st.last.Decisions); !d.Enforced || d.Lane != otp15 || d.Rule != "there" {
		t.Fatalf("got %+v, want a demoted on 234-15", d)
	}
	return st
}

func TestARouteThatFailsOnOneNetworkGoesThereAloneAndComesBackByItsRamp(t *testing.T) {
	s := abroad().beginAbroad(t)
	first := s.world
	s.wantRow(otp15, "")
	lane := s.row(otpGB)
	d := only(t, s.there(otp15, "a", failing).round())
	if d.Lane != otp15 || d.Route != "a" || d.Rule != "there" || d.Reason != route.RuleMatched || d.From != route.Active || d.To != route.Demoted {
		t.Fatalf("got %+v, want a demoted on 234-15", d)
	}
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.wantRow(otpGB, lane)
	s.wantRow(otp30, "")
	for _, e := range s.table.Lanes[1].Routes {
		if e.Route == "a" && (e.Reason == nil || e.Reason.Rule != "there" || e.Reason.Decision != d.ID || e.Reason.Text != d.Text || !e.Since.Equal(s.now)) {
			t.Errorf("got reason %+v, want what decision %s says", e.Reason, d.ID)
		}
	}
	wantReasons(t, s.there(otp15, "a", returned).rounds(5*time.Minute-signal.Tick), "a HoldDown")
	for _, want := range []string{"b 9500, c 0, a 500 recovering", "b 7500, c 0, a 2500 recovering", ""} {
		d := only(t, s.round())
		if d.Lane != otp15 || d.Reason != route.RuleCleared {
			t.Fatalf("got %+v, want a step of a on 234-15", d)
		}
		s.wantRow(otp15, want)
		s.wantRow(otpGB, lane)
		none(t, s.rounds(2*time.Minute-signal.Tick))
	}
	s.retold(first, s.journal)
}

func TestALaneIsNotJudgedByMessagesToNetworksWhereTheRouteIsOut(t *testing.T) {
	s := outThere(t, abroad())
	for _, q := range s.inquiries() {
		want := []route.Network(nil)
		if q.Route == "a" {
			want = []route.Network{"234-15"}
		}
		if !slices.Equal(q.Without, want) {
			t.Errorf("got the lane asking of %s without %q, want %q", q.Route, q.Without, want)
		}
		if q.Route == "c" {
			break // those of the lane come first
		}
	}
}

func TestMinActiveCountsTheNetworksOfALane(t *testing.T) {
	two := abroad()
	two.lanes = `
  - {class: otp, network: GB, order: [a, b]}`
	two.guards = fmt.Sprintf(quick, 1)
	s := outThere(t, two)
	s.there(otp15, "a", well)
	d := only(t, s.look("b", unbound).round())
	g := answer(t, d, guardMinActive)
	if d.Enforced || g.Result != hold || g.Why != "0 routes would stay active on 234-15, and at least 1 must" || g.Frees == "" {
		t.Fatalf("got %+v, want b held: a is out on 234-15", d)
	}
	none(t, s.there(otp30, "b", failing).round()[:0])
	s.wantRow(otp15, "b 9900, a 100 demoted")

	last := two.beginAbroad(t)
	last.there(otp15, "a", failing).round()
	last.there(otp15, "b", failing).rounds(time.Hour)
	last.wantRow(otp15, "b 9900, a 100 demoted")
}

func TestMinActiveCountsNetworksThatOnlyAnOrderIsAbout(t *testing.T) {
	two := site{lanes: `
  - {class: otp, network: GB, order: [a, b]}`, guards: fmt.Sprintf(quick, 1)}
	s := two.begin(t)
	s.order(route.Override{Kind: route.Drain, Class: "otp", Network: "234-15", Route: "b"})
	d := only(t, s.look("a", failing).round())
	if g := answer(t, d, guardMinActive); d.Enforced || g.Result != hold || !strings.Contains(g.Why, "on 234-15") {
		t.Errorf("got %+v, want a held: b is drained on 234-15", d)
	}
	s.wantRow(otp15, "a 10000, b 0 drained")
}

func TestARouteMayBeOutInALaneAndOnANetworkAtOnce(t *testing.T) {
	free := abroad()
	free.guards = fmt.Sprintf(quick, 1)
	s := outThere(t, free)
	first := s.world
	from := len(s.journal)
	s.there(otp15, "a", well).look("a", unbound).round()
	s.wantRow(otpGB, "b 9900, c 0, a 100 demoted")
	s.wantRow(otp15, "")
	s.look("a", returned).there(otp15, "a", failing).rounds(10 * time.Minute)
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.there(otp15, "a", returned).rounds(10 * time.Minute)
	s.wantRow(otp15, "")
	s.retold(first, s.journal[from:])
}

func TestARouteThatIsOutOnANetworkGetsNoneOfItsLanesRampThere(t *testing.T) {
	free := abroad()
	free.guards = fmt.Sprintf(quick, 1)
	s := recovering(t, free)
	s.apart = []route.Network{"234-15"}
	s.wantRow(otpGB, "b 9500, c 0, a 500 recovering")
	d := only(t, s.there(otp15, "a", failing).round())
	if d.Lane != otp15 || !d.Enforced {
		t.Fatalf("got %+v, want a out on 234-15 while it comes back in the lane", d)
	}
	s.wantRow(otpGB, "b 9500, c 0, a 500 recovering")
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.rounds(2 * time.Minute)
	s.wantRow(otpGB, "b 7500, c 0, a 2500 recovering")
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
}

func TestANetworkOnItsRampDoesNotKeepItsRouteOutOfTheLane(t *testing.T) {
	free := abroad()
	free.guards = fmt.Sprintf(quick, 1)
	s := outThere(t, free)
	s.there(otp15, "a", returned).rounds(5 * time.Minute)
	s.wantRow(otp15, "b 9500, c 0, a 500 recovering")
	s.there(otp15, "a", well) // nothing proves it there any more
	s.look("a", unbound).round()
	s.wantRow(otp15, "") // out in the lane, and so there
	s.look("a", returned).rounds(10 * time.Minute)
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	s.wantRow(otp15, "b 9500, c 0, a 500 recovering")
}

func TestTheChangesOfALaneAndItsNetworksAreBoundedTogether(t *testing.T) {
	for _, c := range []struct {
		name, guards string
		guard        string
		reason       route.Reason
	}{
		{"settle", `{settle: 1m, velocity: {changes: 9, in: 10m}}`, guardSettle, route.Settling},
		{"velocity", `{settle: 0s, velocity: {changes: 1, in: 10m}}`, guardVelocity, route.GuardHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := abroad()
			from.guards = c.guards
			for _, second := range []route.Lane{otpGB, otp30} {
				s := outThere(t, from)
				s.there(otp15, "a", well)
				d := only(t, s.there(second, "b", failing).round())
				g := answer(t, d, c.guard)
				if d.Lane != second || d.Reason != c.reason || g.Result != hold || g.Frees == "" {
					t.Errorf("got %+v, want a change in %s held by the one on 234-15", d, second)
				}
			}
		})
	}
}

func TestOneChangeInARoundOfALaneAndItsNetworks(t *testing.T) {
	free := abroad()
	free.guards = fmt.Sprintf(quick, 1)
	s := free.beginAbroad(t)
	s.there(otp15, "a", failing).there(otp30, "b", failing).there(otpGB, "c", failing)
	ds := s.round()
	wantReasons(t, ds, "a RuleMatched", "b InFlight", "c InFlight")
	if ds[0].Lane != otp15 || ds[1].Lane != otp30 || ds[2].Lane != otpGB {
		t.Errorf("got lanes %s, %s and %s; want the networks first", ds[0].Lane, ds[1].Lane, ds[2].Lane)
	}
	wantReasons(t, s.round(), "b RuleMatched")
	wantReasons(t, s.round(), "c RuleMatched")
}

func TestOneRouteOnItsWayBackInALaneAndItsNetworks(t *testing.T) {
	free := abroad()
	free.guards = fmt.Sprintf(quick, 1)
	s := outThere(t, free)
	s.there(otp30, "b", failing).round()
	s.there(otp15, "a", returned).there(otp30, "b", returned).rounds(6 * time.Minute)
	s.wantRow(otp15, "b 9500, c 0, a 500 recovering")
	s.wantRow(otp30, "a 9800, c 0, b 200 demoted")
	if h := s.world.Lane(otpGB).On("234-30", "b").Hold; h == nil || h.Reason != route.InFlight || h.Why != "a is on its way back on 234-15" {
		t.Errorf("got %+v, want b held by a", h)
	}
}

func TestExplainTellsOfANetwork(t *testing.T) {
	s := outThere(t, abroad())
	seen := Seen{Signals: s.last.Signals, Wide: s.last.Wide}
	e, ok := Explain(s.policy, s.world, seen, otp15, "a")
	if !ok || e.Lane != otp15 || e.Entry.Phase != route.Demoted || e.State.Phase != route.Demoted || !strings.HasPrefix(e.Text, "demoted since 10:00:05 by there: ") ||
		len(e.Rules) != 1 || e.Rules[0].Rule != "there" || !strings.Contains(e.Next, "10:05:05") {
		t.Fatalf("got %+v", e)
	}
	e, ok = Explain(s.policy, s.world, seen, otpGB, "a")
	if !ok || e.Entry.Phase != route.Active || e.Text != "active since the policy was loaded; no rule has moved it" || len(e.Rules) != 2 {
		t.Errorf("got %+v, want a active in the lane", e)
	}
	if e, ok = Explain(s.policy, s.world, seen, route.Lane{Class: "otp", Network: "234-10"}, "a"); !ok || e.Lane != otpGB {
		t.Errorf("got %+v, want the lane of a network that is not judged apart", e)
	}
}

func TestExplainOfANetworkSaysWhatTheLaneDid(t *testing.T) {
	s := abroad().beginAbroad(t)
	s.look("a", unbound).round()
	e, ok := Explain(s.policy, s.world, Seen{Signals: s.last.Signals, Wide: s.last.Wide}, otp15, "a")
	if want := "demoted in the lane since 10:00:05 by bind: "; !ok || e.Entry.Phase != route.Demoted || !strings.HasPrefix(e.Text, want) {
		t.Errorf("got %s, %q; want %q", e.Entry.Phase, e.Text, want)
	}
}

func TestWhatIsRememberedOfANetworkIsNoPartOfItsRowUnlessItIsOutThere(t *testing.T) {
	waiting := abroad()
	waiting.rules = strings.Replace(thereRule, ">= 12.0}", ">= 12.0, for: 1m}", 1) + bindRule
	waiting.guards = fmt.Sprintf(quick, 1)
	s := waiting.beginAbroad(t)
	s.look("b", unbound).round()
	s.look("b", well).rounds(5 * time.Minute) // b came back in the lane, so its row says since when
	s.there(otp15, "a", failing).rounds(2 * time.Minute)
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	for _, l := range []look{failing, well, failing, well} {
		s.there(otp15, "b", l).round() // its clock runs, and stops
		if got, want := encode(s.table.Lanes), encode(Table(s.policy, s.world, s.now).Lanes); got != want {
			t.Fatalf("the table in force is not that of the state:\ngot  %s\nwant %s", got, want)
		}
	}
}

func TestANetworkThatSendersAreRegisteredForAlwaysHasItsRow(t *testing.T) {
	s := senders("order: [a, b, c]", fmt.Sprintf(quick, 1))
	s.routes = strings.Replace(s.routes, "[FR]", "[FR, 234-15]", 1)
	st := s.begin(t)
	for _, l := range []look{well, silent, well, failing} {
		st.look("b", l).rounds(10 * time.Second)
		if !strings.Contains(st.row(otp15), "c 0") || strings.Contains(st.row(otp15), "unregistered") {
			t.Errorf("got row %q, want c a fallback there", st.row(otp15))
		}
	}
	st.wantRow(otpGB, "a 9800, b 200 demoted, c 0 demoted unregistered")
}

func TestOnlyAnOrderMakesNoRuleJudgeANetwork(t *testing.T) {
	s := abroad().begin(t) // no messages to any network that is told apart
	s.order(route.Override{Kind: route.Drain, Network: "234-15", Route: "c"})
	none(t, s.there(otp15, "a", failing).rounds(time.Minute))
	s.wantRow(otp15, "a 10000, b 0, c 0 drained")
}
