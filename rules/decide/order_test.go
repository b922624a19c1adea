package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func TestAPinnedRouteNeverMovesAndWhatWouldHaveBeenIsTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  func(tester) *story
		then  look
		phase route.Phase
		would route.Phase
	}{
		{"an active one is not demoted", func(t tester) *story { return plain.begin(t) }, failing, route.Active, route.Demoted},
		{"a demoted one does not come back", func(t tester) *story {
			s := demoted(t, plain, failing)
			s.look("a", well).rounds(6 * time.Minute)
			return s
		}, returned, route.Demoted, route.Recovering},
		{"one on its ramp takes no step", func(t tester) *story { return recovering(t, plain) }, returned, route.Recovering, route.Recovering},
		{"nor does it go from there", func(t tester) *story { return recovering(t, plain) }, failing, route.Recovering, route.Demoted},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.from(t)
			s.order(route.Override{Kind: route.Pin, Route: "a"})
			was := s.row(otpGB)
			ds := s.look("a", c.then).rounds(time.Hour)
			s.phase("a", c.phase)
			s.wantRow(otpGB, was)
			if len(ds) == 0 {
				t.Fatal("got no word of what would have been")
			}
			for _, d := range ds {
				if g := answer(t, d, guardPinned); d.Enforced || d.Route != "a" || d.To != c.would || g.Result != hold || g.Frees != "the end of the pin" || g.Why != "it is pinned by ann: maintenance" {
					t.Errorf("got %+v, want the change to %s that the pin holds", d, c.would)
				}
			}
			if !strings.Contains(was, "pinned") {
				t.Errorf("got row %q, want the pin shown", was)
			}
		})
	}
}

func TestThePinOfOneNetworkHoldsItsLaneToo(t *testing.T) {
	s := plain.begin(t)
	d := s.order(route.Override{Kind: route.Pin, Network: "234-15", Route: "a"})
	s.wantRow(otp15, "a 10000 pinned, b 0, c 0")
	held := only(t, s.look("a", failing).rounds(time.Hour))
	if g := answer(t, held, guardPinned); held.Lane != otpGB || g.Result != hold || g.Why != "it is on 234-15 pinned by ann: maintenance" {
		t.Errorf("got %+v", held)
	}
	s.ends(d.ID)
	s.wantRow(otp15, "")
	s.round()
	s.phase("a", route.Demoted)
}

func TestAFreezeHoldsItsKindOfChange(t *testing.T) {
	for _, c := range []struct {
		changes                string
		demotes, promotes      bool
		network                route.Network
		name, why, whyPromoted string
	}{
		{name: "demotions", changes: "demotions", promotes: true, why: "the lane's demotions are frozen by ann: maintenance"},
		{name: "promotions", changes: "promotions", demotes: true, whyPromoted: "the lane's promotions are frozen by ann: maintenance"},
		{name: "changes", changes: "changes", why: "the lane's changes are frozen by ann: maintenance", whyPromoted: "the lane's changes are frozen by ann: maintenance"},
		{name: "all where nothing is said", why: "the lane's changes are frozen by ann: maintenance", whyPromoted: "the lane's changes are frozen by ann: maintenance"},
		{name: "of one network hold its lane's too", network: "234-15", changes: "demotions", promotes: true, why: "the lane's demotions on 234-15 are frozen by ann: maintenance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := demoted(t, plain, failing)
			s.look("a", well).rounds(6 * time.Minute)
			table := encode(s.table)
			s.order(route.Override{Kind: route.Freeze, Changes: c.changes, Network: c.network})
			if c.network == "" && encode(s.table) != table {
				t.Error("got another table by a freeze, which moves nothing")
			}
			check := func(ds []route.Decision, id route.ID, passes bool, why string) {
				t.Helper()
				at := slices.IndexFunc(ds, func(d route.Decision) bool { return d.Route == id })
				if at < 0 || ds[at].Enforced != passes {
					t.Fatalf("%s: got %s, want it to pass: %t", id, tail(ds), passes)
				}
				if g := ds[at].Guards[0]; !passes && (g.Guard != guardFrozen || g.Why != why || g.Frees != "the end of the freeze" || ds[at].Reason != route.Frozen) {
					t.Errorf("%s: got %s %+v, want %q", id, ds[at].Reason, g, why)
				}
			}
			check(s.look("b", failing).round(), "b", c.demotes, c.why)
			s.look("b", well).rounds(2 * time.Minute)
			check(s.look("a", returned).rounds(11*time.Minute), "a", c.promotes, c.whyPromoted)
		})
	}
}

func TestAnOrderEndsAtItsMoment(t *testing.T) {
	s := plain.begin(t)
	until := s.now.Add(time.Minute)
	d := s.order(route.Override{Kind: route.Drain, Route: "a", Until: until})
	if d.Text != "drained by ann until 2026-11-23 10:01:00: maintenance" {
		t.Errorf("got %q", d.Text)
	}
	none(t, s.rounds(time.Minute-signal.Tick))
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained")
	over := only(t, s.round())
	if !s.now.Equal(until) || over.Reason != route.OverrideEnded || over.Actor != nil || over.Text != "its time is up: "+d.Text || over.Override.ID != d.ID {
		t.Errorf("at %s: got %+v", s.now, over)
	}
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	if s.world.Overrides != nil {
		t.Errorf("got %+v in force", s.world.Overrides)
	}
	none(t, s.rounds(time.Hour))
}

func TestAnOrderWhoseTimeIsUpWhileNobodyWatchedEndsInTheNextRound(t *testing.T) {
	s := plain.begin(t)
	s.order(route.Override{Kind: route.Drain, Route: "a", Until: s.now.Add(time.Minute)})
	s.jump(time.Hour)
	s.world = decode(t, encode(s.world))
	wantReasons(t, s.round(), "a OverrideEnded")
	s.wantRow(otpGB, "a 10000, b 0, c 0")
}

func TestNoOrderEndsWhileTheClockIsNotTrusted(t *testing.T) {
	s := plain.begin(t)
	s.order(route.Override{Kind: route.Drain, Route: "a", Until: s.now.Add(time.Minute)})
	s.options.Hold = true
	none(t, s.rounds(5*time.Minute))
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained")
	s.options.Hold = false
	wantReasons(t, s.round(), "a OverrideEnded")
}

func TestAClockThatWasSetMovesNoEndOfAnOrder(t *testing.T) {
	s := plain.begin(t)
	until := s.now.Add(time.Minute)
	s.order(route.Override{Kind: route.Drain, Route: "a", Until: until})
	if got := Shift(s.world, time.Hour).Overrides[0].Until; !got.Equal(until) {
		t.Errorf("got %s, want %s as its operator said", got, until)
	}
}

func TestAnOrderReplacesTheEarlierOneOfItsKindOnTheSameLanes(t *testing.T) {
	s := plain.begin(t)
	first := s.world
	s.order(route.Override{Kind: route.Drain, Route: "a"})
	s.order(route.Override{Kind: route.Drain, Route: "a", Actor: "bob", Reason: "longer", Until: s.now.Add(time.Hour)})
	s.order(route.Override{Kind: route.Drain, Route: "a", Class: "*"}) // other lanes: beside it
	s.order(route.Override{Kind: route.Pin, Route: "a"})
	var got []string
	for _, o := range s.world.Overrides {
		got = append(got, string(o.Kind)+" "+string(o.Class)+" "+o.Actor+" "+o.ID)
	}
	if want := []string{"drain otp bob 1-3-1", "drain * ann 1-4-1", "pin otp ann 1-5-1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained") // a drain goes before a pin
	s.ends("1-3-1")
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained")
	s.ends("1-4-1")
	s.wantRow(otpGB, "a 10000 pinned, b 0, c 0")
	s.retold(first, s.journal)
}

func TestAnOrderOnEveryClassIsAboutEachLaneOfIts(t *testing.T) {
	s := site{classes: plain.classes + "\n  bulk: {mode: act}", lanes: plain.lanes + `
  - {class: bulk, network: GB, share: {a: 50, c: 50}}
  - {class: otp, network: 234-15, order: [b, a]}`}.begin(t)
	s.order(route.Override{Kind: route.Drain, Class: "*", Network: "*", Route: "a"})
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained")
	s.wantRow(route.Lane{Class: "bulk", Network: "GB"}, "c 10000, a 0 drained")
	s.wantRow(otp15, "b 10000, a 0 drained")
}

func TestAnOrderOnANetworkIsAboutTheLaneThatServesIt(t *testing.T) {
	s := site{lanes: plain.lanes + `
  - {class: otp, network: 234-15, order: [b, a]}`}.begin(t)
	s.order(route.Override{Kind: route.Drain, Network: "234-15", Route: "b"})
	s.wantRow(otp15, "a 10000, b 0 drained")
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	s.order(route.Override{Kind: route.Drain, Network: "234-30", Route: "a"})
	s.wantRow(otp30, "b 10000, c 0, a 0 drained")
	s.wantRow(otpGB, "a 10000, b 0, c 0")
	if len(s.table.Lanes) != 3 {
		t.Errorf("got %d rows, want one for each lane and one for 234-30", len(s.table.Lanes))
	}
}

func TestARestartKeepsOrders(t *testing.T) {
	s := plain.begin(t)
	s.order(route.Override{Kind: route.Drain, Route: "a", Until: s.now.Add(time.Hour)})
	s.order(route.Override{Kind: route.Freeze})
	was := encode(s.table)
	s.world = decode(t, encode(s.world))
	none(t, s.look("b", failing).rounds(10 * time.Second)[1:])
	if encode(s.table) != was {
		t.Errorf("got another table after a restart:\n%s", tail(s.journal))
	}
}

func TestAReloadKeepsOrders(t *testing.T) {
	s := plain.begin(t)
	s.order(route.Override{Kind: route.Drain, Route: "a"})
	other := plain
	other.lanes = "\n  - {class: otp, network: GB, order: [a, c]}"
	s.reload(other)
	s.wantRow(otpGB, "c 10000, a 0 drained")
	gone := plain
	gone.lanes = "\n  - {class: otp, network: GB, order: [b, c]}"
	gone.routes = strings.Replace(plain.routes, "\n  a: {provider: pa, networks: [GB], price: {GB: 0.0300 EUR}, trickle: 1%}", "", 1)
	s.reload(gone)
	s.wantRow(otpGB, "b 10000, c 0")
	s.reload(plain)
	s.wantRow(otpGB, "b 10000, c 0, a 0 drained")
}

func TestAWrongOrderSaysWhatIsWanted(t *testing.T) {
	at := began.Add(time.Minute)
	for _, c := range []struct {
		name string
		o    route.Override
		want string
	}{
		{"no kind", route.Override{Route: "a"}, `kind: want pin, drain or freeze, got ""`},
		{"another kind", route.Override{Kind: "drian", Route: "a"}, `kind: want pin, drain or freeze, got "drian"`},
		{"no network", route.Override{Kind: route.Pin, Network: "uk", Route: "a"}, `network: want a network such as "234-15", a country such as "GB", or "*", got "uk"`},
		{"a blank actor", route.Override{Kind: route.Pin, Route: "a", Actor: " "}, "actor: want the name of who orders it, got nothing"},
		{"a blank reason", route.Override{Kind: route.Pin, Route: "a", Reason: "\t"}, "reason: want why it is ordered, got nothing"},
		{"an end that is past", route.Override{Kind: route.Pin, Route: "a", Until: began}, "until: want a moment after 2026-11-23 10:00:00, got 2026-11-23 10:00:00"},
		{"a route that is none", route.Override{Kind: route.Drain, Route: "aa", Until: at}, `route: want a route of the policy, got "aa" (did you mean "a"?)`},
		{"no route", route.Override{Kind: route.Drain}, `route: want a route of the policy, got ""`},
		{"a lane that is none", route.Override{Kind: route.Drain, Route: "a", Network: "FR"}, `route: want a route of a lane in otp/FR, got "a", which is in none`},
		{"a class that is none", route.Override{Kind: route.Drain, Route: "a", Class: "bulk"}, `route: want a route of a lane in bulk/GB, got "a", which is in none`},
		{"a route that is in no such lane", route.Override{Kind: route.Drain, Route: "d"}, `route: want a route of a lane in otp/GB, got "d", which is in none`},
		{"a freeze of a route", route.Override{Kind: route.Freeze, Route: "a"}, `route: want nothing, as a freeze is about every route of a lane, got "a"`},
		{"a freeze of what is no change", route.Override{Kind: route.Freeze, Changes: "everything"}, `changes: want promotions, demotions or changes, got "everything"`},
		{"a freeze of no lane", route.Override{Kind: route.Freeze, Network: "FR"}, "network: want a lane of the policy in otp/FR, got none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{routes: plain.routes + "\n  d: {provider: pd, networks: [GB]}"}.begin(t)
			for _, force := range []bool{false, true} {
				if _, err := s.tryOrder(c.o, force); err == nil || err.Error() != c.want {
					t.Errorf("forced %t: got %v\nwant %s", force, err, c.want)
				}
			}
		})
	}
	everywhere := site{routes: strings.ReplaceAll(plain.routes, "[GB]", `["*"]`), lanes: "\n  - {class: otp, network: \"*\", order: [a, b]}"}.begin(t)
	for kind, want := range map[route.OverrideKind]string{
		route.Freeze: "network: want a lane of the policy in otp/GB, got none",
		route.Drain:  `route: want a route of a lane in otp/GB, got "a", which is in none`,
	} {
		o := route.Override{Kind: kind}
		if kind == route.Drain {
			o.Route = "a"
		}
		if _, err := everywhere.tryOrder(o, true); err == nil || err.Error() != want {
			t.Errorf("a country of a lane of everywhere: got %v, want %s", err, want)
		}
	}
	s := plain.begin(t)
	if _, err := Override(s.policy, s.world, route.Override{Kind: route.Pin, Network: "GB", Route: "a", Actor: "ann", Reason: "x"}, s.now, false); err == nil || err.Error() != `class: want a class, or "*" for every class, got nothing` {
		t.Errorf("got %v", err)
	}
	if _, err := EndOverride(s.policy, s.world, "1-9-9", "ann", "", s.now); err == nil || err.Error() != `want the id of an override in force, got "1-9-9"` {
		t.Errorf("got %v", err)
	}
	d := s.order(route.Override{Kind: route.Pin, Route: "a"})
	if _, err := EndOverride(s.policy, s.world, d.ID, "", "", s.now); err == nil || err.Error() != "actor: want the name of who ends it, got nothing" {
		t.Errorf("got %v", err)
	}
}
