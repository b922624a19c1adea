package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// run brings the clocks of route i up to now: one for each rule and verdict that can move it from where it is.
func (l *lane) run(i int) {
	s := &l.state.Routes[i]
	env := l.env(i)
	clocks := make([]route.Clock, 0, len(s.Clocks))
	for _, rule := range l.rules {
		clocks = l.tick(clocks, s, env, rule, route.VerdictDemote, rule.Demote.When)
		if holds(s, rule.Name) {
			clocks = l.tick(clocks, s, env, rule, route.VerdictPromote, rule.Promote.When)
		}
	}
	s.Clocks = clocks
}

// tick appends the clock of one condition. Time counts while the condition is known and true at both ends of it; an
// unknown condition stops the clock and leaves what it shows; a false one ends it.
func (l *lane) tick(clocks []route.Clock, s *route.State, env *policy.Env, rule *policy.Rule, v route.Verdict, when *policy.Condition) []route.Clock {
	was := find(s.Clocks, rule.Name, v)
	switch when.Eval(env) {
	case policy.False:
		if was != nil {
			l.dirty = true
		}
		return clocks
	case policy.Unknown:
		if was == nil {
			return clocks
		}
		c := *was
		l.dirty = l.dirty || c.True
		c.True, c.At = false, l.now
		return append(clocks, c)
	}
	c := route.Clock{Rule: rule.Name, Verdict: v, At: l.now, True: true}
	if was != nil {
		c.Held = was.Held
		if was.True {
			c.Held += route.Duration(l.counted(was.At))
		}
	}
	l.dirty = l.dirty || l.timed(rule, v)
	return append(clocks, c)
}

// counted is the time since a moment, as far as it was watched: a gap between rounds does not count.
func (l *lane) counted(since time.Time) time.Duration {
	return max(0, min(l.now.Sub(since), 2*signal.Tick))
}

// timed reports whether a rule waits for a clock, which then has to be durable.
func (l *lane) timed(rule *policy.Rule, v route.Verdict) bool {
	if v == route.VerdictDemote {
		return rule.Demote.For > 0
	}
	return rule.Promote.For > 0
}

func find(clocks []route.Clock, rule string, v route.Verdict) *route.Clock {
	for i := range clocks {
		if clocks[i].Rule == rule && clocks[i].Verdict == v {
			return &clocks[i]
		}
	}
	return nil
}

// due reports whether a rule's condition is known and true now and has been for as long as the rule wants.
func (l *lane) due(i int, rule *policy.Rule, v route.Verdict) bool {
	c := find(l.state.Routes[i].Clocks, rule.Name, v)
	if c == nil || !c.True {
		return false
	}
	if v == route.VerdictDemote {
		return c.Held.D() >= rule.Demote.For
	}
	return c.Held.D() >= rule.Promote.For
}

// blind names the first rule of route i whose demotion cannot be judged, and the cause.
func (l *lane) blind(i int) (rule, cause string) {
	env := l.env(i)
	for _, r := range l.rules {
		if r.Demote.When.Eval(env) == policy.Unknown {
			return r.Name, l.cause(i, r)
		}
	}
	return "", ""
}

// cause is why the signals that a rule reads are not known.
func (l *lane) cause(i int, r *policy.Rule) string {
	s := &l.signals[i]
	for _, q := range []struct {
		name string
		route.Quality
	}{{"delivery", s.Delivery.Quality}, {"conversion", s.Conversion.Quality}, {"submit", s.Submit.Quality}, {"open", s.Open.Quality}} {
		if r.Demote.When.Reads(q.name) && !q.Known {
			return q.name + " is unknown: " + q.Cause
		}
	}
	return "no probe result yet"
}
