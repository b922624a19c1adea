package decide

import (
	"math"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// enforce makes a change: the only place where a phase changes.
func (l *lane) enforce(c change, guards []route.GuardResult) {
	s := &l.state.Routes[c.index]
	d := l.decision(c)
	d.Enforced, d.Guards = true, guards
	l.priceChange(&d, c)
	if c.verdict == route.VerdictDemote {
		l.demote(s, c)
	} else {
		l.promote(s, c)
	}
	s.Since, s.Hold, s.Shadow = l.now, nil, ""
	s.Proposal, s.ExpiresAt = "", time.Time{}
	s.Clocks = nil
	l.changed, l.moved = s.Route, true
	if d.From != route.Recovering || c.verdict == route.VerdictDemote {
		l.state.Changes = append(l.state.Changes, l.now)
	}
	l.records = append(l.records, record{decision: d, state: s})
}

// demote puts a route out, for longer with each relapse.
func (l *lane) demote(s *route.State, c change) {
	relapsed := s.Phase == route.Recovering || !s.PromotedAt.IsZero() && l.now.Sub(s.PromotedAt) <= c.rule.HoldDown.Decay
	if relapsed {
		s.Relapses++
	} else {
		s.Relapses = 0
	}
	s.HoldUntil = l.now.Add(holdDown(c.rule.HoldDown, s.Relapses))
	if s.Phase != route.Recovering || s.Accused == (route.Accused{}) {
		s.Accused = l.signals[c.index].Suspect
	}
	if !holds(s, c.rule.Name) {
		s.Rules = append(s.Rules, c.rule.Name)
	}
	s.Phase, s.Step = route.Demoted, 0
}

// holdDown is Base × Factor^relapses, up to Max.
func holdDown(h policy.HoldDown, relapses int) time.Duration {
	d := float64(h.Base) * math.Pow(h.Factor, float64(relapses))
	return time.Duration(math.Min(d, float64(h.Max)))
}

// promote takes a route one step of the ramp on, or back to active at its end.
func (l *lane) promote(s *route.State, c change) {
	s.Phase, s.Step = c.to, c.step
	if c.to == route.Active {
		s.Rules, s.Accused, s.PromotedAt, s.HoldUntil = nil, route.Accused{}, l.now, time.Time{}
	}
}
