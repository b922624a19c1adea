package decide

import (
	"fmt"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Reply is what a person says to a proposal.
type Reply struct {
	Proposal string // the id of the decision that proposed
	Approve  bool
	Actor    string   // who says so
	Reason   string   // and why; may be empty
	Force    bool     // approve although guards other than min_active hold the change now
	Accept   []string // the same of these guards only, by name
}

// Answer approves or rejects a proposal, on the signals of the last round. An approved change is asked of the guards
// again, as the lane may have changed since: where one holds it, the error is a *Refused. The world given is not changed.
func Answer(p *policy.Policy, w route.World, seen Seen, a Reply, now time.Time) (Outcome, error) {
	if a.Actor == "" {
		return Outcome{}, fmt.Errorf("actor: want the name of who answers, got nothing")
	}
	seen.lanes = p.LaneKeys()
	r := newRound(p, seen, w, now, Options{})
	next := w
	next.Lanes = slices.Clone(w.Lanes)
	families := r.families(next.Lanes)
	r.rates = rates(families)
	for _, f := range families {
		if f == nil {
			continue
		}
		for _, l := range f.rows() {
			if i := slices.IndexFunc(l.states, func(s route.State) bool {
				return s.ProposedBy != "" && s.Proposal == a.Proposal && r.now.Before(s.ExpiresAt)
			}); i >= 0 {
				if err := l.answerProposal(i, a); err != nil {
					return Outcome{}, err
				}
				return r.finish(next, families), nil
			}
		}
	}
	return Outcome{}, fmt.Errorf("want the id of a proposal that waits, got %q", a.Proposal)
}

// answerProposal does what a person says to the proposal on route i.
func (l *lane) answerProposal(i int, a Reply) error {
	for _, r := range l.rows() {
		r.prepare()
	}
	s := &l.states[i]
	if !a.Approve {
		l.reject(s, a)
		return nil
	}
	c, ok := l.proposed(i)
	if !ok {
		return fmt.Errorf("want a rule of the policy in force, got the proposal of %q, which it has no more", s.ProposedBy)
	}
	c.mode, c.actor = route.Act, a.Actor
	asked := l.put(c)
	if g := asked.refuses(&a); g != nil {
		return &Refused{*g}
	}
	asked.mode = route.Act
	l.enforce(&asked, []*policy.Rule{c.rule})
	return nil
}

// refuses is the first guard that holds what a person approves and that the person does not pass over; nil where none is.
// Nobody passes over min_active.
func (a *ask) refuses(by *Reply) *route.GuardResult {
	for i := range a.guards {
		g := &a.guards[i]
		if g.Result == hold && (g.Guard == guardMinActive || !by.Force && !slices.Contains(by.Accept, g.Guard)) {
			return g
		}
	}
	return nil
}

// proposed is the change that the proposal on route i is about.
func (l *lane) proposed(i int) (c change, ok bool) {
	s := &l.states[i]
	if s.ProposedTo != route.Demoted {
		c, _ = l.promotion(i)
		return c, s.Phase != route.Active
	}
	at := slices.IndexFunc(l.rules, func(r *policy.Rule) bool { return r.Name == s.ProposedBy })
	if at < 0 {
		return change{}, false
	}
	c = l.demotion(i, l.rules[at])
	if !l.demands(i, at) {
		c.lapsed = s.Proposal
	}
	return c, true
}

// reject ends a proposal because a person said no. It is not asked again in the same episode.
func (l *lane) reject(s *route.State, a Reply) {
	d := l.remark(s, route.VerdictNothing, route.Rejected, s.ProposedBy)
	d.Mode, d.Actor, d.Text = route.Propose, person(a.Actor), "the proposal "+s.Proposal+" was rejected by "+a.Actor
	if a.Reason != "" {
		d.Text += ": " + a.Reason
	}
	l.note(d)
	s.Proposal, s.ProposedBy, s.ProposedTo, s.ExpiresAt = "", "", "", time.Time{}
}
