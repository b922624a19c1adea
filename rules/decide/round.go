// Package decide turns signals into decisions: it runs the clocks of rules, moves routes from phase to phase, asks the
// guards about the state that a change would leave, and draws up the table. It is pure: the same policy, state and
// signals at the same moment give the same decisions in the same order.
package decide

import (
	"strconv"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Outcome is what one round of judging led to.
type Outcome struct {
	World     route.World
	Decisions []route.Decision
	Table     *route.Table    // the new table, nil where senders are to see what they see
	Signals   []route.Signals // as judged, lane by lane in the order of the policy, routes by id
	Changed   bool            // whether World differs in what must outlive a restart
}

// Options bound what rounds may do.
type Options struct {
	// Mode is the most that may be done with any verdict; route.Act where it is empty.
	Mode route.Mode
	// Hold makes the round judge and record nothing but the clocks, because the time cannot be trusted just now.
	Hold bool
}

// Round judges every lane once, at now: it asks the book for signals, decides, and returns the state that follows. The
// world given is not changed. A round before the last one changes nothing.
func Round(p *policy.Policy, b *signal.Book, w route.World, now time.Time, o Options) Outcome {
	if !now.After(w.At) && !w.At.IsZero() {
		return Outcome{World: w}
	}
	r := &round{policy: p, now: now, gap: now.Sub(w.At), options: o}
	next := w
	next.At = now
	next.Lanes = make([]route.LaneState, len(w.Lanes))
	for i := range w.Lanes {
		next.Lanes[i] = cloneLane(&w.Lanes[i])
		r.judge(b, &next.Lanes[i])
	}
	return r.finish(w, next)
}

// round is the work of one round.
type round struct {
	policy  *policy.Policy
	now     time.Time
	gap     time.Duration // since the round before
	options Options
	signals []route.Signals
	records []record
	dirty   bool // something that must outlive a restart has changed
	moved   bool // a phase, a step or a share has changed
}

// record is a decision that has no id yet, and the state that is to remember it.
type record struct {
	decision route.Decision
	state    *route.State // nil where the decision changed none
	proposal bool
}

func cloneLane(l *route.LaneState) route.LaneState {
	c := *l
	c.Routes = make([]route.State, len(l.Routes))
	for i, s := range l.Routes {
		s.Clocks = append([]route.Clock(nil), s.Clocks...)
		s.Rules = append([]string(nil), s.Rules...)
		if s.Hold != nil {
			hold := *s.Hold
			hold.Told = append([]string(nil), hold.Told...)
			s.Hold = &hold
		}
		c.Routes[i] = s
	}
	c.Changes = append([]time.Time(nil), l.Changes...)
	return c
}

// maxPeace is the longest time without trouble that is asked of a route before it can count as recovered.
const maxPeace = 5 * time.Minute

// Inquiries are what a round asks the book about a lane. A route that is out must show as long a peace as the hold-down
// of its rules, up to maxPeace.
func Inquiries(p *policy.Policy, l *route.LaneState) []route.Inquiry {
	asks := make([]route.Inquiry, len(l.Routes))
	for i := range l.Routes {
		s := &l.Routes[i]
		asks[i] = route.Inquiry{Route: s.Route, After: s.Since}
		if s.Phase != route.Active {
			asks[i].Accused, asks[i].Peace = s.Accused, peace(p, s)
		}
	}
	return asks
}

func peace(p *policy.Policy, s *route.State) time.Duration {
	longest := time.Duration(0)
	for i := range p.Rules {
		if holds(s, p.Rules[i].Name) {
			longest = max(longest, p.Rules[i].HoldDown.Base)
		}
	}
	return min(longest, maxPeace)
}

// judge decides for one lane.
func (r *round) judge(b *signal.Book, state *route.LaneState) {
	signals := b.Judge(state.Lane, Inquiries(r.policy, state), r.now)
	r.signals = append(r.signals, signals...)
	pl := r.policy.Lane(state.Lane)
	if pl == nil {
		return
	}
	l := &lane{round: r, policy: pl, state: state, signals: signals, rules: r.policy.RulesFor(state.Lane), class: class(r.policy, state.Lane.Class)}
	l.decide()
}

func class(p *policy.Policy, name route.Class) *policy.Class {
	if c := p.Class(name); c != nil {
		return c
	}
	return p.Class(route.AnyClass)
}

// finish numbers the decisions and draws up the table where something moved.
func (r *round) finish(was, next route.World) Outcome {
	out := Outcome{Signals: r.signals}
	if r.moved {
		next.Generation, next.Ordinal = successor(was.Generation), 0
	}
	for i := range r.records {
		out.Decisions = append(out.Decisions, r.number(&r.records[i], &next))
	}
	if r.moved {
		t := Table(r.policy, next, r.now)
		out.Table = &t
	}
	out.World, out.Changed = next, r.dirty || r.moved || len(out.Decisions) > 0
	return out
}

func successor(g route.Generation) route.Generation {
	if g.Epoch == 0 {
		g.Epoch = 1
	}
	return g.Next()
}

// number gives a decision its id, and the id to the state that it led to.
func (r *round) number(rec *record, w *route.World) route.Decision {
	w.Ordinal++
	d := rec.decision
	d.ID = w.Generation.String() + "-" + strconv.FormatUint(w.Ordinal, 10)
	d.Generation, d.Policy, d.Time = w.Generation, r.policy.Revision, r.now
	if rec.state != nil {
		if rec.proposal {
			rec.state.Proposal = d.ID
		} else {
			rec.state.Decision, rec.state.Text = d.ID, d.Text
		}
	}
	return d
}
