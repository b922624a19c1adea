package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// seen are the signals of every lane as they are now.
func (s *story) seen() Seen {
	var seen Seen
	for i := range s.policy.Lanes {
		l := &s.policy.Lanes[i]
		seen.Signals = append(seen.Signals, s.signals(l.Lane, slices.Sorted(slices.Values(l.Order)))...)
	}
	return seen
}

func (s *story) explain(id route.ID) Explanation {
	s.t.Helper()
	seen := s.seen()
	e, ok := Explain(s.policy, s.world, seen, otpGB, id)
	if !ok {
		s.t.Fatalf("got no explanation of %s", id)
	}
	return e
}

func TestExplainSaysWhereARouteIsAndWhatMovesIt(t *testing.T) {
	const why = "of 240 messages since 09:59:05 whose receipts should be back, 60 came back delivered and 20 failed; at most 42% will, baseline 95%"
	for _, c := range []struct {
		name       string
		story      func(*testing.T) *story
		text, next string
	}{
		{"never moved", func(t *testing.T) *story { s := plain.begin(t); s.round(); return s },
			"active since the policy was loaded; no rule has moved it", "it stays active until a rule's condition is true"},
		{"cannot be judged", func(t *testing.T) *story { s := plain.begin(t); s.look("a", away).round(); return s },
			"active since the policy was loaded; no rule has moved it",
			"it stays active until a rule's condition is true; receipts: delivery is unknown: no event and no heartbeat from s1 for more than 25s"},
		{"held", func(t *testing.T) *story {
			s := site{guards: corroborating}.begin(t)
			s.look("a", silent).round()
			return s
		},
			"active since the policy was loaded; no rule has moved it",
			"receipts asks for it to be demoted, which corroborate holds: receipts are missing, and there are no conversions and no handset probes to bear it out; what frees it: conversions or handset probes failing too, or receipts that say failed, or 40s more of silence"},
		{"its time runs", func(t *testing.T) *story {
			s := site{rules: waitingRule}.begin(t)
			s.look("a", unbound).round()
			return s
		},
			"active since the policy was loaded; no rule has moved it", "bind asks for it to be demoted if its condition stays true for 10s more"},
		{"only observed", func(t *testing.T) *story {
			s := inMode("observe", "", "").begin(t)
			s.look("a", failing).round()
			return s
		},
			"active since the policy was loaded; no rule has moved it", "receipts asks for it to be demoted; it is only observed"},
		{"proposed", func(t *testing.T) *story {
			s := inMode("propose", "", "").begin(t)
			s.look("a", failing).round()
			return s
		},
			"active since the policy was loaded; no rule has moved it", "a person may approve the proposal 1-1-1 until 10:15:05"},
		{"in its hold-down", func(t *testing.T) *story { return demoted(t, plain, failing) },
			"demoted since 10:00:05 by receipts: " + why,
			"it comes back once 10:05:05 has passed and receipts allows it (delivery.recovered >= 4.6, now false) and no rule asks for it to be demoted"},
		{"nearly back", func(t *testing.T) *story {
			s := demoted(t, plain, failing)
			s.look("a", well).rounds(10 * time.Minute)
			return s
		}, "demoted since 10:00:05 by receipts: " + why, "it comes back once receipts allows it (delivery.recovered >= 4.6, now false)"},
		{"on a step", func(t *testing.T) *story { return recovering(t, plain) },
			"on its way back since 10:05:05: step 1 of 3 of its way back, 5% of its traffic: 226 of the last 240 messages came back delivered, more than 1000 times likelier if the route is well than if it were as bad as when it was demoted",
			"it goes on once 10:07:05 has passed"},
		{"back", func(t *testing.T) *story {
			s := demoted(t, plain, unbound)
			s.look("a", well).rounds(3 * time.Minute)
			return s
		}, `active since 10:02:05: back to its full place: probe["bind"].successes is 3 (>= 3)`, "it stays active until a rule's condition is true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := c.story(t).explain("a")
			if e.Text != c.text || e.Next != c.next {
				t.Errorf("got  %s\nwant %s\ngot  %s\nwant %s", e.Text, c.text, e.Next, c.next)
			}
		})
	}
}

func TestExplainShowsEveryRuleAndGuard(t *testing.T) {
	s := demoted(t, plain, failing)
	e := s.explain("a")
	if len(e.Rules) != 2 || !e.Rules[0].Holds || e.Rules[1].Holds || e.Rules[0].Demote.Truth != "true" || e.Rules[1].Demote.Truth != "false" || e.Rules[1].Promote.Truth != "true" {
		t.Errorf("got rules %+v", e.Rules)
	}
	if e.Decision != s.journal[0].ID || e.Entry.Share != 100 || e.Entry.Phase != route.Demoted || e.Signals.Route != "a" || !e.At.Equal(s.now) || e.Policy != s.policy.Revision {
		t.Errorf("got %+v", e)
	}
	if len(e.Guards) != 1 || e.Guards[0].Guard != guardHoldDown || e.Guards[0].Result != hold {
		t.Errorf("got guards %+v, want the hold-down", e.Guards)
	}
	if b := s.explain("b"); len(b.Guards) != len(guardOrder) {
		t.Errorf("got guards %+v, want the answers to a demotion", b.Guards)
	}
}

func TestExplainKnowsOnlyWhatThereIs(t *testing.T) {
	s := plain.begin(t)
	for _, c := range []struct {
		lane route.Lane
		id   route.ID
	}{{route.Lane{Class: "bulk", Network: "GB"}, "a"}, {otpGB, "z"}} {
		if e, ok := Explain(s.policy, s.world, Seen{}, c.lane, c.id); ok {
			t.Errorf("got %+v, want nothing for %s in %s", e, c.id, c.lane)
		}
	}
	e, ok := Explain(s.policy, s.world, Seen{}, otpGB, "a")
	if !ok || e.Signals.Delivery.Cause != "not judged yet" || e.Rules[0].Demote.Truth != "unknown" {
		t.Errorf("before the first round: got %+v", e)
	}
}

func TestExplainChangesNothing(t *testing.T) {
	s := recovering(t, plain)
	was := encode(s.world)
	s.explain("a")
	if got := encode(s.world); got != was {
		t.Errorf("got %s, want %s", got, was)
	}
}

// consistent fails where an explanation says something else than the state.
func consistent(t tester, s *story, seen Seen) {
	t.Helper()
	for _, l := range s.world.Lanes {
		for _, st := range everyState(s.policy, &l) {
			e, ok := Explain(s.policy, s.world, seen, l.Lane, st.Route)
			if !ok {
				t.Fatalf("got no explanation of %s in %s", st.Route, l.Lane)
			}
			if got := contradiction(s, &e, &st); got != "" {
				t.Fatalf("%s in %s: %s\ntext: %s\nnext: %s\nguards: %+v\nstate: %s", st.Route, l.Lane, got, e.Text, e.Next, e.Guards, encode(st))
			}
		}
		for _, on := range l.Networks {
			for i := range on.Routes {
				consistentOn(t, s, seen, route.Lane{Class: l.Lane.Class, Network: on.Network}, &on.Routes[i])
			}
		}
	}
}

// consistentOn is the same of a route on one network.
func consistentOn(t tester, s *story, seen Seen, key route.Lane, st *route.State) {
	t.Helper()
	e, ok := Explain(s.policy, s.world, seen, key, st.Route)
	row := rowAt(s.table, key)
	at := slices.IndexFunc(row.Routes, func(x route.Entry) bool { return x.Route == st.Route })
	if !ok || e.Lane != key || encode(e.State) != encode(st) || at < 0 {
		t.Fatalf("%s on %s: got %t, %s in %s; want %s", st.Route, key, ok, encode(e.State), e.Lane, encode(st))
	}
	shown := row.Routes[at]
	if row.Lane() == key && encode(shown) != encode(e.Entry) || shown.Admin != e.Entry.Admin || shown.Phase != e.Entry.Phase || e.Next == "" {
		t.Fatalf("%s on %s: got entry %s, want %s; next: %q", st.Route, key, encode(e.Entry), encode(shown), e.Next)
	}
	begins := map[route.Phase]string{route.Active: "active", route.Recovering: "on its way back", route.Demoted: "demoted"}
	if shown.Admin != route.AdminUnregistered && !strings.Contains(e.Text, begins[shown.Phase]) {
		t.Fatalf("%s on %s: got %q, want it %s", st.Route, key, e.Text, shown.Phase)
	}
}

func contradiction(s *story, e *Explanation, st *route.State) string {
	begins := map[route.Phase]string{route.Active: "active", route.Recovering: "on its way back", route.Demoted: "demoted since"}
	holding := st.Hold != nil && st.Hold.Seen.Equal(s.world.At)
	holds := false
	for _, g := range e.Guards {
		holds = holds || g.Result == hold
	}
	entry := entryOf(s.table, e.Lane, e.Route)
	switch {
	case encode(e.State) != encode(st):
		return "another state"
	case !strings.Contains(e.Text, begins[st.Phase]):
		return "another phase"
	case e.Next == "":
		return "nothing about what comes next"
	case holding && (!holds || !strings.Contains(e.Next, st.Hold.Guard)):
		return "the hold is not explained"
	case st.Phase == route.Demoted && !holding && st.ProposedBy == "" && s.world.At.Before(st.HoldUntil) && !strings.Contains(e.Next, "has passed"):
		return "the hold-down is not explained"
	case encode(e.Entry) != encode(entry):
		return "another entry than the table has"
	}
	for _, r := range e.Rules {
		if r.Holds != strings.Contains(" "+strings.Join(st.Rules, " ")+" ", " "+r.Rule+" ") {
			return "another rule holds it"
		}
	}
	return ""
}

func entryOf(t *route.Table, key route.Lane, id route.ID) route.Entry {
	for _, l := range t.Lanes {
		for _, e := range l.Routes {
			if l.Lane() == key && e.Route == id {
				return e
			}
		}
	}
	return route.Entry{}
}
