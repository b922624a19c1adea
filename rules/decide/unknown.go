package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// watch tells the journal, once, of a route that a rule cannot judge for too long.
func (l *lane) watch(i int) {
	if l.within != nil {
		return // its lane tells
	}
	s := &l.states[i]
	rule := l.blind(i)
	if rule == nil {
		if !s.Unknown.IsZero() {
			s.Unknown, s.UnknownFor, s.Alerted, l.dirty = time.Time{}, "", false, true
		}
		return
	}
	if s.Unknown.IsZero() {
		s.Unknown, l.dirty = l.now, true
	}
	cause, reason := l.cause(i, rule)
	s.UnknownFor = rule.Name + ": " + cause
	if s.Alerted || l.now.Sub(s.Unknown) < l.policy.UnknownAfter || reason == route.LowEvidence && l.standsBy(i) {
		return
	}
	s.Alerted = true
	d := l.remark(s, route.VerdictUnknown, reason, rule.Name)
	d.Mode, d.Text = l.mode(rule.Mode), "cannot be judged since "+l.clock(s.Unknown)+": "+cause
	l.note(d)
}

// standsBy reports whether route i waits behind an active one under an order, or may not be used: that it has no messages
// is as it should be.
func (l *lane) standsBy(i int) bool {
	s := l.standing(i)
	if !s.usable() && s.phase == route.Active {
		return true
	}
	if l.policy.Shares != nil || s.phase != route.Active {
		return false
	}
	for _, other := range l.row() {
		if other.usable() {
			return other.id != s.id
		}
	}
	return false
}

// blind is the first rule that cannot judge route i, here or by its messages to all networks; nil where all can.
func (l *lane) blind(i int) *policy.Rule {
	for k, rule := range l.rules {
		if l.truth(i, k).demote == policy.Unknown {
			return rule
		}
	}
	for _, rule := range l.elsewhere {
		if rule.Demote.When.Eval(&l.envs[i]) == policy.Unknown {
			return rule
		}
	}
	return nil
}

// cause is why a rule cannot judge route i: its sources are not heard, or what they tell is too little.
func (l *lane) cause(i int, rule *policy.Rule) (string, route.Reason) {
	s := l.seen(i, rule)
	reason := route.LowEvidence
	if unheard(s) {
		reason = route.Unknown
	}
	for _, q := range [...]struct {
		name string
		*route.Quality
	}{{"delivery", &s.Delivery.Quality}, {"within", &s.Within.Quality}, {"latency", &s.Latency.Quality}, {"conversion", &s.Conversion.Quality},
		{"submit", &s.Submit.Quality}, {"open", &s.Open.Quality}, {"score", &s.Score.Quality}} {
		if !q.Known && rule.Demote.When.Reads(q.name) {
			return q.name + " is unknown: " + q.Cause, reason
		}
	}
	if rule.Demote.When.Reads("peers") {
		return "no other route of the lane has messages of the same time to compare with", route.LowEvidence
	}
	if !rule.Demote.When.Reads("probe") {
		return "too few messages yet to tell all that its condition reads", route.LowEvidence
	}
	return "no result of its probe yet", route.LowEvidence
}

// unheard reports whether the sources of a route cannot be relied on now: then nothing they tell of is known, for one
// and the same cause.
func unheard(s *route.Signals) bool {
	return !s.Delivery.Known && !s.Submit.Known && s.Delivery.Cause == s.Submit.Cause
}
