package decide

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// episodeEnds is how long a verdict may go ungiven before the journal is told of it anew.
const episodeEnds = 5 * time.Minute

// What the journal is told of a verdict that changed nothing, where no guard held it.
const (
	toldObserved = "observe"
	toldProposed = "propose"
)

// tell reports whether the journal is to be told: it is told of each matter once in an episode.
func (l *lane) tell(a *ask, what string) bool {
	s := &l.states[a.index]
	l.dirty = true
	for i := range s.Told {
		if t := &s.Told[i]; t.Rule == a.rule.Name && t.Verdict == a.verdict && t.What == what {
			fresh := l.now.Sub(t.Seen) > episodeEnds
			t.Seen = l.now
			return fresh
		}
	}
	s.Told = append(s.Told, route.Told{Rule: a.rule.Name, Verdict: a.verdict, What: what, Seen: l.now})
	return true
}

// tellHeld tells the journal of the guard that holds a change.
func (l *lane) tellHeld(a *ask) {
	if !l.tell(a, a.held.Guard) {
		return
	}
	d := l.decision(a)
	d.Reason, d.Text = heldReason(a.held.Guard), "not "+moved(a.change)+", "+a.held.Guard+": "+a.held.Why+"; what asks for it: "+d.Text
	l.note(d)
}

func heldReason(guard string) route.Reason {
	switch guard {
	case guardHoldDown:
		return route.HoldDown
	case guardSettle:
		return route.Settling
	case guardInFlight:
		return route.InFlight
	case guardFrozen, guardWindows:
		return route.Frozen
	}
	return route.GuardHeld
}

// foremost is the one of two changes held on a route that is shown and waits: the one in the bolder mode, then the one
// that has been waiting, then the first.
func (l *lane) foremost(a, b *ask) *ask {
	switch {
	case a == nil || careful(b.mode) > careful(a.mode):
		return b
	case careful(b.mode) == careful(a.mode) && l.waits(b.change) && !l.waits(a.change):
		return b
	}
	return a
}

// waits reports whether it is this change that has been held on its route up to now.
func (l *lane) waits(c change) bool {
	h := l.states[c.index].Hold
	return h != nil && h.Rule == c.rule.Name && h.Verdict == c.verdict && l.now.Sub(h.Seen) <= pauseEnds
}

// waited is how long the change has been asked for and held without a pause. One that a person is asked about has had all
// the time that guards take.
func (l *lane) waited(c change) time.Duration {
	if s := &l.states[c.index]; s.ProposedBy == c.rule.Name && (s.ProposedTo == route.Demoted) == (c.verdict == route.VerdictDemote) {
		return math.MaxInt64
	}
	if !l.waits(c) {
		return 0
	}
	return l.now.Sub(l.states[c.index].Hold.Since)
}

// hold remembers a change that is held back.
func (l *lane) hold(a *ask) {
	s := &l.states[a.index]
	if s.Hold != nil && s.Hold.Seen.Equal(l.now) {
		return // a demotion that is held goes before a promotion that is
	}
	since := l.now
	if l.waits(a.change) {
		since = s.Hold.Since
	}
	s.Hold = &route.Hold{Rule: a.rule.Name, Verdict: a.verdict, Guard: a.held.Guard, Reason: heldReason(a.held.Guard), Since: since, Seen: l.now, Why: a.held.Why, Frees: a.held.Frees}
	l.dirty = true
}

// shadow records what would have been done.
func (l *lane) shadow(a *ask) {
	if !l.tell(a, toldObserved) {
		return
	}
	d := l.decision(a)
	d.Reason, d.Text = route.ShadowOnly, "would be "+moved(a.change)+", but is only observed: "+d.Text
	l.note(d)
}

// propose asks a person: one question at a time for each route.
func (l *lane) propose(a *ask) {
	s := &l.states[a.index]
	if !l.tell(a, toldProposed) || s.ProposedBy != "" {
		return
	}
	s.ProposedBy, s.ProposedTo, s.ExpiresAt = a.rule.Name, a.to, l.now.Add(l.policy.Approval)
	d := l.decision(a)
	d.Reason, d.Text = route.Proposed, "to be "+moved(a.change)+" if a person approves by "+l.clock(s.ExpiresAt)+": "+d.Text
	d.PriceChange = l.priceChange(a.change)
	l.records = append(l.records, record{decision: d, state: s, proposal: true})
	l.dirty = true
}

// expire ends a proposal that nobody answered.
func (l *lane) expire(i int) {
	if s := &l.states[i]; s.ProposedBy != "" && !l.now.Before(s.ExpiresAt) {
		l.lapse(s, "nobody answered in time, nothing was changed")
	}
}

// lapse ends a proposal that waits, if there is one.
func (l *lane) lapse(s *route.State, why string) {
	if s.ProposedBy == "" {
		return
	}
	d := l.remark(s, route.VerdictNothing, route.Expired, s.ProposedBy)
	d.Mode, d.Text = route.Propose, "the proposal "+s.Proposal+" is over: "+why
	l.note(d)
	s.Proposal, s.ProposedBy, s.ProposedTo, s.ExpiresAt = "", "", "", time.Time{}
}
