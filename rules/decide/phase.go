package decide

import (
	"math"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// enforce makes a change: the only place where a phase changes. The rules are those that asked for it together.
func (l *lane) enforce(a *ask, rules []*policy.Rule) {
	s := &l.states[a.index]
	d := l.decision(a)
	d.Enforced, d.PriceChange = true, l.priceChange(a.change)
	if a.actor != "" {
		s.Proposal, s.ProposedBy, s.ProposedTo, s.ExpiresAt = "", "", "", time.Time{}
	}
	l.lapse(s, "the route was "+moved(a.change)+" in the meantime")
	if d.From != route.Recovering || a.verdict == route.VerdictDemote {
		l.changes = append(slices.Clone(l.changes), l.now)
	}
	if a.verdict == route.VerdictDemote {
		d.Text += andAlso(rules[1:])
		demote(s, rules, suspect(l.seen(a.index, rules[0]), rules[0].Demote.When), l.now)
	} else {
		promote(s, a.to, a.step, l.now)
	}
	s.Since, s.Clocks, s.Hold, s.Told = l.now, nil, nil, nil
	d.Step, d.Holds = s.Step, slices.Clone(s.Rules)
	l.changed, l.moved = s.Route, true
	l.shift()
	l.records = append(l.records, record{decision: d, state: s})
}

// demote puts a route out, for longer with each relapse. The rules are those that asked for it, the first of which
// counts.
func demote(s *route.State, rules []*policy.Rule, suspect route.Accused, now time.Time) {
	if relapsed(s, rules[0].HoldDown, now) {
		s.Relapses++
	} else {
		s.Relapses = 0
	}
	earlier := s.Rules
	if s.Phase == route.Active {
		earlier, s.Accused = nil, route.Accused{}
	}
	s.Rules, s.HoldUntil = nil, time.Time{}
	for _, rule := range rules {
		s.Rules = append(s.Rules, rule.Name)
		s.HoldUntil = later(s.HoldUntil, now.Add(holdDown(rule.HoldDown, s.Relapses)))
	}
	for _, name := range earlier {
		if !holds(s, name) {
			s.Rules = append(s.Rules, name)
		}
	}
	accuse(&s.Accused, suspect)
	s.Phase, s.Step = route.Demoted, 0
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// relapsed reports whether a demotion now comes soon after the last promotion, or before its end.
func relapsed(s *route.State, h policy.HoldDown, now time.Time) bool {
	return s.Phase == route.Recovering || !s.PromotedAt.IsZero() && now.Sub(s.PromotedAt) <= h.Decay
}

// holdDown is Base × Factor^relapses, up to Max.
func holdDown(h policy.HoldDown, relapses int) time.Duration {
	if h.Base <= 0 {
		return 0
	}
	if d := float64(h.Base) * math.Pow(h.Factor, float64(relapses)); d < float64(h.Max) {
		return time.Duration(d)
	}
	return h.Max
}

// suspect is the state that a demotion accuses a route of: the one that the scan points to, or, where a rule judged by
// other numbers than its evidence, what these say.
func suspect(s *route.Signals, when *policy.Condition) route.Accused {
	a := s.Suspect
	found := a.Arrival > 0 || a.Delivered > 0 || a.Conversion > 0
	if d := &s.Delivery; !found && when.Reads("delivery") && d.Known && d.Baseline > 0 {
		a.Arrival = between(0.02, d.Ratio/d.Baseline, 0.94)
	}
	if c := &s.Conversion; !found && when.Reads("conversion") && c.Known && c.Baseline > 0 {
		a.Conversion = between(0.02, c.Ratio/c.Baseline, 0.85)
	}
	if a.Latency == 0 && readsTimes(when) {
		a.Latency = slowness(s)
	}
	return a
}

// slowness is the share of the receipts usual in time that still came so, as far as it is known; 0 elsewhere.
func slowness(s *route.Signals) float64 {
	if l := &s.Latency; l.Known && l.Usual > 0 && l.OnTime < l.Usual {
		return between(0.02, l.OnTime/l.Usual, 0.94)
	}
	if w := &s.Within; w.Known && w.Baseline > 0 {
		return between(0.02, w.Ratio/w.Baseline, 0.94)
	}
	return 0
}

func between(low, x, high float64) float64 { return math.Max(low, math.Min(high, x)) }

// accuse adds to what a route has to recover from what it is suspected of beside.
func accuse(a *route.Accused, suspect route.Accused) {
	for _, part := range [...]struct {
		of *float64
		by float64
	}{{&a.Arrival, suspect.Arrival}, {&a.Delivered, suspect.Delivered}, {&a.Latency, suspect.Latency}, {&a.Conversion, suspect.Conversion}} {
		if *part.of == 0 {
			*part.of = part.by
		}
	}
}

// promote takes a route one step of the ramp on, or back to active at its end.
func promote(s *route.State, to route.Phase, step int, now time.Time) {
	s.Phase, s.Step = to, step
	if to == route.Active {
		s.Rules, s.Accused, s.PromotedAt, s.HoldUntil = nil, route.Accused{}, now, time.Time{}
	}
}

// join adds a rule to those that keep a demoted route out, where what it says of the route stands beside the other
// routes and channels. Senders see nothing of it.
func (l *lane) join(i int, rule *policy.Rule) {
	s := &l.states[i]
	c := l.demotion(i, rule)
	if holds(s, rule.Name) || c.mode != route.Act {
		return
	}
	a := ask{change: c, guards: []route.GuardResult{l.ask(guardCommonCause, c), l.ask(guardCorroborate, c)}}
	if slices.ContainsFunc(a.guards, func(g route.GuardResult) bool { return g.Result == hold }) {
		return
	}
	d := l.decision(&a)
	d.Enforced, d.Text = true, "already demoted; now "+rule.Name+" keeps it out too: "+d.Text
	s.Rules = append(s.Rules, rule.Name)
	d.Holds = slices.Clone(s.Rules)
	accuse(&s.Accused, l.seen(i, rule).Suspect)
	l.note(d)
}
