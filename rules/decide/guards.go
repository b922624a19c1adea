package decide

import (
	"fmt"
	"time"

	"signalbox/rules/route"
)

// The guards, in the order in which they are asked. Each judges the state that the change would leave. All are asked,
// so that the journal shows every answer; the first that holds is the one that holds.
const (
	guardMinActive   = "min_active"
	guardCommonCause = "common_cause"
	guardCorroborate = "corroborate"
	guardVelocity    = "velocity"
	guardSettle      = "settle"
	guardInFlight    = "in_flight"
)

// guardHoldDown stands in place of the guards while a route's hold-down lasts.
const guardHoldDown = "hold_down"

// The answers of a guard.
const (
	pass = "pass"
	hold = "hold"
)

var guardOrder = [...]string{guardMinActive, guardCommonCause, guardCorroborate, guardVelocity, guardSettle, guardInFlight}

// guards asks every guard about a change.
func (l *lane) guards(c change) []route.GuardResult {
	answers := make([]route.GuardResult, 0, len(guardOrder))
	for _, name := range guardOrder {
		answers = append(answers, l.ask(name, c))
	}
	return answers
}

// ask asks one guard about a change.
func (l *lane) ask(name string, c change) route.GuardResult {
	var a route.GuardResult
	switch name {
	case guardMinActive:
		a = l.minActive(c)
	case guardCommonCause:
		a = l.commonCause(c)
	case guardCorroborate:
		a = l.corroborate(c)
	case guardVelocity:
		a = l.velocity(c)
	case guardSettle:
		a = l.settle(c)
	case guardInFlight:
		a = l.inFlight(c)
	}
	a.Guard = name
	return a
}

func passes(format string, args ...any) route.GuardResult {
	return route.GuardResult{Result: pass, Why: fmt.Sprintf(format, args...)}
}

func holdsBack(frees, format string, args ...any) route.GuardResult {
	return route.GuardResult{Result: hold, Frees: frees, Why: fmt.Sprintf(format, args...)}
}

// minActive never lets the last routes go that carry the lane by right.
func (l *lane) minActive(c change) route.GuardResult {
	if c.verdict != route.VerdictDemote || l.state.Routes[c.index].Phase != route.Active {
		return passes("no active route goes")
	}
	left, least := l.active()-1, max(1, l.round.policy.Guards.MinActive)
	if left < least {
		return holdsBack("another route of the lane becoming active", "%s would stay active, and at least %d must", count(left, "route"), least)
	}
	return passes("%s would stay active", count(left, "route"))
}

// continues reports whether the change goes on with one that is under way, or takes it back. Neither waits for others.
func (l *lane) continues(c change) bool {
	return l.state.Routes[c.index].Phase == route.Recovering
}

// velocity bounds the changes of the lane in a time.
func (l *lane) velocity(c change) route.GuardResult {
	if l.continues(c) {
		return passes("its way back was counted at the first step")
	}
	g := l.round.policy.Guards.Velocity
	recent := 0
	var first time.Time
	for _, at := range l.state.Changes {
		if at.After(l.now.Add(-g.In)) {
			if recent++; recent == 1 {
				first = at
			}
		}
	}
	if recent >= g.Changes {
		return holdsBack("no further change of the lane until "+l.clock(first.Add(g.In)), "%s in the last %s, and at most %d may be", count(recent, "change"), route.Duration(g.In), g.Changes)
	}
	return passes("%s in the last %s", count(recent, "change"), route.Duration(g.In))
}

// settle lets a lane rest after a change, so that the next one is judged on what the last one led to.
func (l *lane) settle(c change) route.GuardResult {
	if len(l.state.Changes) == 0 || l.continues(c) {
		return passes("nothing to settle")
	}
	g := l.round.policy.Guards.Settle
	since := l.now.Sub(l.state.Changes[len(l.state.Changes)-1])
	if since < g {
		return holdsBack(brief(g-since)+" more without a change", "the lane changed %s ago and rests for %s", brief(since), route.Duration(g))
	}
	return passes("the lane changed %s ago", brief(since))
}

// inFlight lets one change at a time into a lane: none beside another of the same round, and no second route onto its
// way back while a first is on it. A route may be demoted while another comes back: the lane must not wait for a ramp.
func (l *lane) inFlight(c change) route.GuardResult {
	if l.changed != "" {
		return holdsBack("the next round", "%s has just changed", l.changed)
	}
	for i := range l.state.Routes {
		s := &l.state.Routes[i]
		if i != c.index && s.Phase == route.Recovering && c.verdict == route.VerdictPromote {
			return holdsBack(string(s.Route)+" becoming active or demoted", "%s is on its way back", s.Route)
		}
	}
	return passes("no other change is under way")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
