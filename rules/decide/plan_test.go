package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// plan plans another policy over the state and the signals as they are, and looks whether the state was left alone.
func (s *story) plan(to site) Planned {
	s.t.Helper()
	var seen Seen
	for i := range s.policy.Lanes {
		l := &s.policy.Lanes[i]
		seen.Signals = append(seen.Signals, s.signals(l.Lane, slices.Sorted(slices.Values(l.Order)))...)
	}
	return s.planSeen(to, seen)
}

func (s *story) planSeen(to site, seen Seen) Planned {
	s.t.Helper()
	before := encode(s.world)
	p := Plan(s.policy, to.parse(s.t), s.world, seen, s.now.Add(signal.Tick), s.options)
	if encode(s.world) != before {
		s.t.Fatalf("planning changed the state")
	}
	return p
}

// brief is a plan in words.
func (p *Planned) brief() string {
	var out []string
	for _, l := range p.Lanes {
		text := l.Lane.String() + " " + l.Change
		for _, r := range l.Routes {
			text += fmt.Sprintf(" %s:%s>%s", r.Route, r.Was.brief(), r.Is.brief())
		}
		out = append(out, text)
	}
	for _, v := range p.Verdicts {
		out = append(out, fmt.Sprintf("%s %s %s:%s>%s", v.Lane, v.Route, v.Rule, v.Was, v.Is))
	}
	for _, m := range p.Next {
		out = append(out, fmt.Sprintf("%s: %s %s %s>%s %s", m.By, m.Decision.Lane, m.Decision.Route, m.Decision.From, m.Decision.To, m.Decision.Reason))
	}
	return strings.Join(out, "; ")
}

func (p *PlannedPlace) brief() string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d/%s", p.Try, p.Share, p.Phase)
}

func TestPlansOfPolicies(t *testing.T) {
	with := func(change func(*site)) site {
		s := plain
		change(&s)
		return s
	}
	sensitive := with(func(s *site) { s.rules = strings.Replace(plain.rules, "evidence >= 12.0", "evidence >= 6.0", 1) })
	for _, c := range []struct {
		name  string
		looks map[route.ID]look
		to    site
		want  string
	}{
		{"the same", nil, plain, ""},
		{"another order", nil, with(func(s *site) { s.lanes = "\n  - {class: otp, network: GB, order: [b, a, c]}" }),
			"otp/GB changes b:2/0/active>1/10000/active a:1/10000/active>2/0/active c:3/0/active>3/0/active"},
		{"a route goes, another comes", nil, with(func(s *site) {
			s.routes = plain.routes + "\n  d: {provider: pd, networks: [GB]}"
			s.lanes = "\n  - {class: otp, network: GB, order: [a, b, d]}"
		}), "otp/GB changes a:1/10000/active>1/10000/active b:2/0/active>2/0/active d:->3/0/active c:3/0/active>-"},
		{"a lane goes, another comes", nil, with(func(s *site) { s.lanes = "\n  - {class: otp, network: 234-15, order: [a]}" }),
			"otp/234-15 comes a:->1/10000/active; otp/GB goes a:1/10000/active>- b:2/0/active>- c:3/0/active>-"},
		{"only the mode", nil, with(func(s *site) {
			s.classes = "\n  otp: {mode: observe, retry_after: 20s, unknown_after: 2m, approval: 15m}"
		}),
			"otp/GB changes a:1/10000/active>1/10000/active b:2/0/active>2/0/active c:3/0/active>3/0/active"},
		{"a price is no change", nil, with(func(s *site) { s.routes = strings.Replace(plain.routes, "0.0300", "0.0100", 1) }), ""},
		{"a lower threshold", map[route.ID]look{"a": {failure: 8, peers: -9, bind: -3}}, sensitive,
			"otp/GB a receipts:false>true; candidate: otp/GB a active>demoted RuleMatched"},
		{"a lower threshold, where all suffer", map[route.ID]look{"a": {failure: 8, peers: 9, bind: -3}, "b": {failure: 8, peers: 9, bind: -3}, "c": {failure: 8, peers: 9, bind: -3}}, sensitive,
			"otp/GB a receipts:false>true; otp/GB b receipts:false>true; otp/GB c receipts:false>true; candidate: otp/GB a active>demoted GuardHeld; candidate: otp/GB b active>demoted GuardHeld; candidate: otp/GB c active>demoted GuardHeld"},
		{"a rule that is new and quiet", nil, with(func(s *site) { s.rules = plain.rules + conversionsRule }), ""},
		{"a rule that is new and true", map[route.ID]look{"a": {lost: 20, peers: -9, bind: -3}}, with(func(s *site) { s.rules = plain.rules + conversionsRule }),
			"otp/GB a conversions:>true; candidate: otp/GB a active>demoted RuleMatched"},
	} {
		st := plain.begin(t)
		for id, l := range c.looks {
			st.look(id, l)
		}
		st.round()
		p := st.plan(c.to)
		if got := p.brief(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
		if p.Changes() != (c.want != "") {
			t.Errorf("%s: got changes %v", c.name, p.Changes())
		}
	}
}

func TestAPlanSaysWhatNoLongerHappens(t *testing.T) {
	st := plain.begin(t)
	st.round()
	st.look("a", unbound)
	quiet := plain
	quiet.rules = receiptsRule
	p := st.plan(quiet)
	if want := "otp/GB a bind:true>; policy: otp/GB a active>demoted RuleMatched"; p.brief() != want {
		t.Errorf("got %s, want %s", p.brief(), want)
	}
}

// TestAPlanIsWhatComes puts the candidate in force and judges a round: the table and the moves are those of the plan.
func TestAPlanIsWhatComes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from, to := drawSite(rt), drawSite(rt)
		st := from.begin(rt)
		for range rapid.IntRange(1, 20).Draw(rt, "rounds") {
			for _, id := range []route.ID{"a", "b", "c", "d"} {
				st.look(id, rapid.SampledFrom(looks).Draw(rt, "look"))
			}
			st.round()
		}
		seen := Seen{Signals: st.last.Signals, Wide: st.last.Wide}
		if same := st.planSeen(from, seen); same.Changes() {
			rt.Fatalf("the policy in force would change %s", same.brief())
		}
		was := st.table.Lanes
		p := st.planSeen(to, seen)
		o := st.reload(to)
		for _, l := range p.Lanes {
			checkPlanned(rt, &l, rowOf(&route.Table{Lanes: was}, l.Lane), rowOf(st.table, l.Lane))
		}
		for i := range st.table.Lanes {
			l := &st.table.Lanes[i]
			old := rowOf(&route.Table{Lanes: was}, l.Lane())
			told := slices.ContainsFunc(p.Lanes, func(x PlannedLane) bool { return x.Lane == l.Lane() })
			if differs := old == nil || encode(plannedRoutes(nil, old)) != encode(plannedRoutes(nil, l)) || *terms(old) != *terms(l); differs != told {
				rt.Fatalf("lane %s differs %v, told %v: %s", l.Lane(), differs, told, encode(o.Decisions))
			}
		}
		next := Round(st.policy, seen, st.world, st.now.Add(signal.Tick), st.options)
		for i := range next.Decisions {
			d := &next.Decisions[i]
			if d.Verdict != route.VerdictDemote && d.Verdict != route.VerdictPromote {
				continue
			}
			if !slices.ContainsFunc(p.Next, func(m PlannedMove) bool { return m.By != OnlyInForce && alike(&m.Decision, d) }) {
				rt.Fatalf("got %s, which the plan did not say: %s", encode(d), p.brief())
			}
		}
		for _, m := range p.Next {
			made := slices.ContainsFunc(next.Decisions, func(d route.Decision) bool { return alike(&d, &m.Decision) })
			if m.By != OnlyInForce && m.Decision.Enforced && !made {
				rt.Fatalf("the plan said %s, which did not come", encode(m.Decision))
			}
		}
	})
}

func checkPlanned(rt *rapid.T, l *PlannedLane, was, is *route.LaneTable) {
	want := map[string]bool{LaneComes: was == nil && is != nil, LaneGoes: was != nil && is == nil, LaneChanges: was != nil && is != nil}
	if !want[l.Change] {
		rt.Fatalf("lane %s %s, but was there %v and is %v", l.Lane, l.Change, was != nil, is != nil)
	}
	for _, r := range l.Routes {
		for _, side := range []struct {
			place *PlannedPlace
			table *route.LaneTable
		}{{r.Was, was}, {r.Is, is}} {
			if side.place == nil {
				continue
			}
			if e := side.table.Routes[side.place.Try-1]; e.Route != r.Route || e.Share != side.place.Share || e.Phase != side.place.Phase || (e.Admin == route.AdminDrained) != (side.place.Admin == route.AdminDrained) {
				rt.Fatalf("lane %s: got %s at %s, want %+v", l.Lane, r.Route, side.place.brief(), e)
			}
		}
	}
}
