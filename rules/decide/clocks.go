package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// pauseEnds is the longest time between two rounds that counts as watched, for the clocks of rules and for what waits
// on a guard.
const pauseEnds = 2 * signal.Tick

// run brings the clocks of route i up to now: one for each rule and verdict that can move it from where it is.
func (l *lane) run(i int) {
	s := &l.states[i]
	var clocks []route.Clock
	for k, rule := range l.rules {
		t := l.truth(i, k)
		clocks = l.tick(clocks, s, rule.Name, route.VerdictDemote, t.demote, rule.Demote.For)
		if holds(s, rule.Name) {
			clocks = l.tick(clocks, s, rule.Name, route.VerdictPromote, t.promote, rule.Promote.For)
		}
	}
	s.Clocks = clocks
}

// tick appends the clock of one condition. Time counts while the condition is known and true at both ends of it; an
// unknown condition stops the clock and leaves what it shows; a false one ends it.
func (l *lane) tick(clocks []route.Clock, s *route.State, rule string, v route.Verdict, truth policy.Truth, wanted time.Duration) []route.Clock {
	was := findClock(s.Clocks, rule, v)
	switch {
	case truth == policy.False || truth == policy.Unknown && was == nil:
		l.dirty = l.dirty || was != nil
		return clocks
	case truth == policy.Unknown:
		c := *was
		l.dirty = l.dirty || c.True
		c.True, c.At = false, l.now
		return append(clocks, c)
	}
	c := route.Clock{Rule: rule, Verdict: v, At: l.now, True: true}
	if was != nil {
		c.Held = was.Held
		if was.True {
			c.Held += route.Duration(l.watched(was.At))
		}
	}
	l.dirty = l.dirty || wanted > 0 // somebody waits for it, so it has to be durable
	return append(clocks, c)
}

// watched is the time since a moment, or nothing where nobody watched for longer than a pause.
func (l *lane) watched(since time.Time) time.Duration {
	if gap := l.now.Sub(since); gap > 0 && gap <= pauseEnds {
		return gap
	}
	return 0
}

func findClock(clocks []route.Clock, rule string, v route.Verdict) *route.Clock {
	for i := range clocks {
		if clocks[i].Rule == rule && clocks[i].Verdict == v {
			return &clocks[i]
		}
	}
	return nil
}

// demands reports whether rule k asks for route i to be demoted: its condition is known and true, and has been for as
// long as the rule wants. A route on its way back has no such time to lose.
func (l *lane) demands(i, k int) bool {
	if l.truth(i, k).demote != policy.True {
		return false
	}
	s, rule := &l.states[i], l.rules[k]
	return s.Phase == route.Recovering || l.lasted(s, rule.Name, route.VerdictDemote, rule.Demote.For)
}

// allows reports whether rule k lets route i go a step back towards active.
func (l *lane) allows(i, k int) bool {
	rule := l.rules[k]
	return l.truth(i, k).promote == policy.True &&
		l.lasted(&l.states[i], rule.Name, route.VerdictPromote, rule.Promote.For)
}

func (l *lane) lasted(s *route.State, rule string, v route.Verdict, wanted time.Duration) bool {
	if wanted <= 0 {
		return true
	}
	c := findClock(s.Clocks, rule, v)
	return c != nil && c.Held.D() >= wanted
}
