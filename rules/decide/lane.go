package decide

import (
	"fmt"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// lane is the judging of one lane in one round.
type lane struct {
	*round
	policy  *policy.Lane
	class   *policy.Class
	rules   []*policy.Rule
	state   *route.LaneState
	signals []route.Signals // by id, as state.Routes
	changed route.ID        // the route that changed in this round
}

// change is a step that a rule asks for.
type change struct {
	index   int // of the route in state.Routes
	rule    *policy.Rule
	verdict route.Verdict
	to      route.Phase
	step    int
	reason  route.Reason
	mode    route.Mode
}

func (l *lane) decide() {
	for i := range l.state.Routes {
		l.expire(i)
		l.run(i)
		l.unknown(i)
	}
	if l.options.Hold {
		return
	}
	for i := range l.state.Routes {
		l.demotions(i)
	}
	for i := range l.state.Routes {
		l.promotions(i)
	}
	l.forget()
}

// env is what the conditions of a rule see of route i.
func (l *lane) env(i int) *policy.Env {
	s := &l.state.Routes[i]
	return &policy.Env{
		Signals: &l.signals[i],
		Route:   l.round.policy.Route(s.Route),
		State:   policy.Facts{Phase: s.Phase, PhaseAge: age(s.Since, l.now), Relapses: s.Relapses, Active: l.active()},
	}
}

func age(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

// active is the number of routes that carry the lane by right.
func (l *lane) active() int {
	n := 0
	for i := range l.state.Routes {
		if l.state.Routes[i].Phase == route.Active {
			n++
		}
	}
	return n
}

// demotions handles the rules that ask for route i to be demoted: the first of them, in the order of the policy, and
// those that a route already out must be let back by too.
func (l *lane) demotions(i int) {
	s := &l.state.Routes[i]
	asked := false
	for _, rule := range l.rules {
		if !l.due(i, rule, route.VerdictDemote) {
			continue
		}
		if s.Phase == route.Demoted {
			l.join(i, rule)
			continue
		}
		if !asked {
			l.attempt(change{index: i, rule: rule, verdict: route.VerdictDemote, to: route.Demoted, reason: route.RuleMatched, mode: rule.Mode})
		}
		asked = true
	}
	if !asked {
		l.calm(i, route.VerdictDemote)
	}
}

// join adds a rule to those that hold a demoted route out.
func (l *lane) join(i int, rule *policy.Rule) {
	s := &l.state.Routes[i]
	for _, name := range s.Rules {
		if name == rule.Name {
			return
		}
	}
	if l.mode(rule.Mode) != route.Act {
		return
	}
	s.Rules = append(s.Rules, rule.Name)
	suspect := l.signals[i].Suspect
	for _, f := range []struct{ have, seen *float64 }{{&s.Accused.Arrival, &suspect.Arrival}, {&s.Accused.Delivered, &suspect.Delivered}, {&s.Accused.Conversion, &suspect.Conversion}} {
		if *f.have == 0 {
			*f.have = *f.seen
		}
	}
	d := l.decision(change{index: i, rule: rule, verdict: route.VerdictDemote, to: route.Demoted, reason: route.RuleMatched})
	d.Enforced, d.Text = true, "already demoted; it will also have to satisfy "+rule.Name+": "+d.Text
	l.records = append(l.records, record{decision: d})
}

// promotions handles the way back of route i, one step at a time.
func (l *lane) promotions(i int) {
	s := &l.state.Routes[i]
	if s.Phase == route.Active {
		return
	}
	rule, cleared := l.cleared(i)
	if !cleared || s.Phase == route.Recovering && l.now.Before(s.Since.Add(rule.Promote.Step)) {
		l.calm(i, route.VerdictPromote)
		return
	}
	c := change{index: i, rule: rule, verdict: route.VerdictPromote, to: route.Recovering, reason: route.RuleCleared, mode: promoteMode(rule)}
	if s.Phase == route.Recovering {
		c.step = s.Step + 1
	}
	if ramp := rule.Promote.Ramp; c.step >= len(ramp) || ramp[c.step] >= route.FullShare {
		c.to, c.step = route.Active, 0
	}
	l.attempt(c)
}

// promoteMode is the mode of a rule's promotions, which may differ from that of its demotions.
func promoteMode(rule *policy.Rule) route.Mode {
	if rule.Promote.Mode != "" {
		return rule.Promote.Mode
	}
	return rule.Mode
}

// cleared reports whether every rule that demoted the route lets it back, and the first of them in the order of the
// policy. A rule that the policy no longer has holds nothing.
func (l *lane) cleared(i int) (*policy.Rule, bool) {
	s := &l.state.Routes[i]
	var first *policy.Rule
	for _, rule := range l.rules {
		if !holds(s, rule.Name) {
			continue
		}
		if first == nil {
			first = rule
		}
		if !l.due(i, rule, route.VerdictPromote) {
			return rule, false
		}
	}
	if first == nil {
		first = &policy.Rule{Name: "no rule", Promote: policy.Clause{Ramp: []int{route.FullShare}}}
	}
	return first, true
}

func holds(s *route.State, rule string) bool {
	for _, name := range s.Rules {
		if name == rule {
			return true
		}
	}
	return false
}

// attempt makes a change, or records why it is not made.
func (l *lane) attempt(c change) {
	s := &l.state.Routes[c.index]
	if c.verdict == route.VerdictPromote && s.Phase == route.Demoted && l.now.Before(s.HoldUntil) {
		why := fmt.Sprintf("hold-down until %s", clockTime(s.HoldUntil))
		l.hold(c, route.HoldDown, route.GuardResult{Guard: "hold_down", Result: hold, Why: why, Frees: "the end of the hold-down"}, nil)
		return
	}
	guards := l.guards(c)
	if last := guards[len(guards)-1]; last.Result == hold {
		l.hold(c, heldReason(last.Guard), last, guards)
		return
	}
	switch l.mode(c.mode) {
	case route.Act:
		l.enforce(c, guards)
	case route.Propose:
		l.propose(c, guards)
	default:
		l.shadow(c, guards)
	}
}

func heldReason(guard string) route.Reason {
	switch guard {
	case guardSettle:
		return route.Settling
	case guardInFlight:
		return route.InFlight
	}
	return route.GuardHeld
}

// mode is the most careful of the modes of the lane's class, of the rule, and of the whole process.
func (l *lane) mode(rule route.Mode) route.Mode {
	mode := route.Act
	for _, m := range []route.Mode{l.class.Mode, rule, l.options.Mode} {
		if m != "" && careful(m) < careful(mode) {
			mode = m
		}
	}
	return mode
}

func careful(m route.Mode) int {
	switch m {
	case route.Act:
		return 2
	case route.Propose:
		return 1
	}
	return 0
}

// How long a change may go unasked for.
const (
	pauseEnds   = 2 * signal.Tick // without its waiting starting anew
	episodeEnds = 5 * time.Minute // without the journal being told again of the guards that hold it
)

// hold remembers a change that is held back, and tells the journal of each guard once in an episode.
func (l *lane) hold(c change, reason route.Reason, by route.GuardResult, guards []route.GuardResult) {
	s := &l.state.Routes[c.index]
	if h := s.Hold; h == nil || h.Rule != c.rule.Name || h.Verdict != c.verdict {
		s.Hold = &route.Hold{Rule: c.rule.Name, Verdict: c.verdict, Since: l.now, Told: []string{}}
	} else if l.now.Sub(h.Seen) > pauseEnds {
		h.Since = l.now
	}
	h := s.Hold
	h.Guard, h.Reason, h.Seen, h.Why, h.Frees = by.Guard, reason, l.now, by.Why, by.Frees
	l.dirty = true
	if slices.Contains(h.Told, by.Guard) {
		return
	}
	h.Told = append(h.Told, by.Guard)
	d := l.decision(c)
	d.Reason, d.Text, d.Guards = reason, fmt.Sprintf("%s held: %s", c.verdict, by.Why), guards
	if guards == nil {
		d.Guards = []route.GuardResult{by}
	}
	l.records = append(l.records, record{decision: d})
}

// calm ends what a verdict had started on route i, once it has not been given for a while.
func (l *lane) calm(i int, v route.Verdict) {
	s := &l.state.Routes[i]
	if s.Hold != nil && s.Hold.Verdict == v && l.now.Sub(s.Hold.Seen) > episodeEnds {
		s.Hold, l.dirty = nil, true
	}
	if v == route.VerdictDemote && s.Phase != route.Demoted || v == route.VerdictPromote {
		if s.Shadow != "" {
			s.Shadow, l.dirty = "", true
		}
	}
}

// shadow records, once for each episode, what would have been done.
func (l *lane) shadow(c change, guards []route.GuardResult) {
	s := &l.state.Routes[c.index]
	if s.Shadow == c.rule.Name {
		return
	}
	s.Shadow, s.Hold, l.dirty = c.rule.Name, nil, true
	d := l.decision(c)
	d.Reason, d.Guards = route.ShadowOnly, guards
	l.records = append(l.records, record{decision: d})
}

// propose asks a person, once for each episode.
func (l *lane) propose(c change, guards []route.GuardResult) {
	s := &l.state.Routes[c.index]
	if s.Shadow == c.rule.Name {
		return
	}
	s.Shadow, s.Hold, l.dirty = c.rule.Name, nil, true
	s.ExpiresAt = l.now.Add(l.policy.Approval)
	d := l.decision(c)
	d.Reason, d.Guards = route.Proposed, guards
	d.Text = fmt.Sprintf("proposed until %s: %s", clockTime(s.ExpiresAt), d.Text)
	l.records = append(l.records, record{decision: d, state: s, proposal: true})
}

// expire ends a proposal that nobody answered.
func (l *lane) expire(i int) {
	s := &l.state.Routes[i]
	if s.Proposal == "" || l.now.Before(s.ExpiresAt) {
		return
	}
	l.records = append(l.records, record{decision: route.Decision{
		Lane: l.state.Lane, Route: s.Route, From: s.Phase, To: s.Phase, Verdict: route.VerdictNothing, Mode: route.Propose,
		Rule: s.Shadow, Reason: route.Expired, Text: "proposal " + s.Proposal + " expired; nothing was changed",
		Inputs: []route.Input{}, Guards: []route.GuardResult{}, Alternatives: []route.Alternative{},
	}})
	s.Proposal, s.ExpiresAt, l.dirty = "", time.Time{}, true
}

// unknown tells the journal, once, of a route whose rules cannot be judged for too long.
func (l *lane) unknown(i int) {
	s := &l.state.Routes[i]
	rule, cause := l.blind(i)
	switch {
	case rule == "":
		if !s.Unknown.IsZero() {
			s.Unknown, s.UnknownFor, s.Alerted, l.dirty = time.Time{}, "", false, true
		}
		return
	case s.Unknown.IsZero():
		s.Unknown, l.dirty = l.now, true
	}
	s.UnknownFor = rule + ": " + cause
	if s.Alerted || l.now.Sub(s.Unknown) < l.policy.UnknownAfter {
		return
	}
	s.Alerted, l.dirty = true, true
	l.records = append(l.records, record{decision: route.Decision{
		Lane: l.state.Lane, Route: s.Route, From: s.Phase, To: s.Phase, Verdict: route.VerdictUnknown, Mode: l.mode(""),
		Rule: rule, Reason: route.Unknown, Text: "cannot be judged since " + clockTime(s.Unknown) + ": " + cause,
		Inputs: []route.Input{}, Guards: []route.GuardResult{}, Alternatives: []route.Alternative{},
	}})
}

// forget drops changes that the velocity guard no longer looks at.
func (l *lane) forget() {
	from := l.now.Add(-max(l.round.policy.Guards.Velocity.In, l.round.policy.Guards.Settle))
	kept := l.state.Changes[:0]
	for _, at := range l.state.Changes {
		if at.After(from) {
			kept = append(kept, at)
		}
	}
	l.state.Changes = kept
}
