package decide

import (
	"fmt"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// The guards, in the order in which they are asked. Each judges the state that the change would leave. All are asked,
// so that the journal shows every answer; the first that holds is the one that holds.
const (
	guardMinActive   = "min_active"
	guardCommonCause = "common_cause"
	guardCorroborate = "corroborate"
	guardMaxDemoted  = "max_demoted"
	guardVelocity    = "velocity"
	guardSettle      = "settle"
	guardInFlight    = "in_flight"
	guardCapacity    = "capacity"
	guardPriceRise   = "price_rise"
	guardWindows     = "windows"
)

// What stands before the guards, and is asked where it applies: operators' orders, and the time a demoted route is out.
const (
	guardPinned   = "pinned"
	guardFrozen   = "frozen"
	guardHoldDown = "hold_down"
)

// The answers of a guard.
const (
	pass  = "pass"
	hold  = "hold"
	lower = "lower" // a person has to approve it
)

var guardOrder = [...]string{guardMinActive, guardCommonCause, guardCorroborate, guardMaxDemoted, guardVelocity, guardSettle, guardInFlight,
	guardCapacity, guardPriceRise, guardWindows}

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
	case guardMaxDemoted:
		a = l.maxDemoted(c)
	case guardVelocity:
		a = l.velocity(c)
	case guardSettle:
		a = l.settle(c)
	case guardInFlight:
		a = l.inFlight(c)
	case guardCapacity:
		a = l.capacity(c)
	case guardPriceRise:
		a = l.priceRise(c)
	case guardWindows:
		a = l.inWindow(c)
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

// orLower is a guard's answer that holds a change, or lowers it to a proposal where the policy says so.
func orLower(g route.GuardResult, then policy.Then) route.GuardResult {
	if then == policy.ThenPropose {
		g.Result, g.Frees = lower, "a person who approves it, or "+g.Frees
	}
	return g
}

// affected are the rows that a change of this one bears on: the row itself, and of a lane also its networks.
func (l *lane) affected() []*lane {
	if l.within != nil {
		return []*lane{l}
	}
	return l.rows()
}

// minActive never lets the last routes go that carry the lane, or one of its networks, by right.
func (l *lane) minActive(c change) route.GuardResult {
	if c.verdict != route.VerdictDemote {
		return passes("no active route goes")
	}
	id, least := l.states[c.index].Route, max(1, l.round.policy.Guards.MinActive)
	worst, where := -1, l
	for _, r := range l.affected() {
		row := r.row()
		at := slices.IndexFunc(row, func(s standing) bool { return s.id == id })
		if at < 0 || !row[at].usable() {
			continue
		}
		if left := countUsable(row) - 1; worst < 0 || left < worst {
			worst, where = left, r
		}
	}
	switch {
	case worst < 0:
		return passes("no active route goes")
	case worst < least:
		return holdsBack("another route of the lane becoming active", "%s would stay active%s, and at least %d must", count(worst, "route"), l.onNetwork(where), least)
	}
	return passes("%s would stay active", count(worst, "route"))
}

// onNetwork says where in the family, where that is not here.
func (l *lane) onNetwork(where *lane) string {
	switch {
	case where == l:
		return ""
	case where.within == nil:
		return " in the lane"
	}
	return " on " + string(where.key.Network)
}

// maxDemoted bounds how much of a lane may be out at once. One route may always be where two are active.
func (l *lane) maxDemoted(c change) route.GuardResult {
	limit := l.round.policy.Guards.MaxDemoted
	switch {
	case limit == 0:
		return passes("the policy sets no bound")
	case c.verdict != route.VerdictDemote || l.phase(c.index) != route.Active:
		return passes("no active route goes")
	}
	now := l.row()
	out, all := 1, 0
	for i := range now {
		if now[i].admin == route.AdminUnregistered {
			continue
		}
		all++
		if now[i].phase != route.Active {
			out++
		}
	}
	most := limit * all / route.FullShare
	if countUsable(now) >= 2 {
		most = max(most, 1)
	}
	if out > most {
		return holdsBack("a demoted route of the lane coming back", "%d of %d routes would be out, and at most %d may be", out, all, most)
	}
	return passes("%d of %d routes would be out, and up to %d may be", out, all, most)
}

// continues reports whether the change goes on with one that is under way, or takes it back. Neither waits for others.
func (l *lane) continues(c change) bool {
	return l.states[c.index].Phase == route.Recovering
}

// velocity bounds the changes of the lane in a time.
func (l *lane) velocity(c change) route.GuardResult {
	if l.continues(c) {
		return passes("its way back was counted at the first step")
	}
	g := l.round.policy.Guards.Velocity
	recent := 0
	var first time.Time
	for _, at := range l.changes {
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
	if len(l.changes) == 0 || l.continues(c) {
		return passes("nothing to settle")
	}
	g := l.round.policy.Guards.Settle
	since := l.now.Sub(l.changes[len(l.changes)-1])
	if since < g {
		return holdsBack(brief(g-since)+" more without a change", "the lane changed %s ago and rests for %s", brief(since), route.Duration(g))
	}
	return passes("the lane changed %s ago", brief(since))
}

// inFlight lets one change at a time into a lane: none beside another of the same round, and no second route onto its
// way back while a first is on it. A route may be demoted while another comes back: the lane must not wait for a ramp.
// One that is on its way back on a network, but out in the lane, gets nothing of it there: nobody waits for that. Where a
// reload brought two ways back together, both go on.
func (l *lane) inFlight(c change) route.GuardResult {
	if l.changed != "" {
		return holdsBack("the next round", "%s has just changed", l.changed)
	}
	if c.verdict != route.VerdictPromote || l.continues(c) {
		return passes("no other change is under way")
	}
	for _, r := range l.rows() {
		for i := range r.states {
			s := &r.states[i]
			if s.Route != l.states[c.index].Route && s.Phase == route.Recovering && r.phase(i) == route.Recovering {
				return holdsBack(string(s.Route)+" becoming active or demoted", "%s is on its way back%s", s.Route, l.onNetwork(r))
			}
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
