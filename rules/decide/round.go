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

// Outcome is what one round of judging, or a change of policy, led to.
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
	// Hold makes the round run the clocks of rules and nothing else, because the time cannot be trusted just now.
	Hold bool
	// Force changes the signals of a route before they are decided on, as stories do; nil changes none.
	Force func(*route.Signals)
}

// Round judges every lane once, at now: it asks the book for signals, decides, and returns the state that follows. The
// world given is not changed. A round at or before the last one changes nothing.
func Round(p *policy.Policy, b *signal.Book, w route.World, now time.Time, o Options) Outcome {
	return judge(p, w, now, o, func(l *route.LaneState) []route.Signals {
		signals := b.Judge(l.Lane, Inquiries(p, l), now)
		for i := range signals {
			if o.Force != nil {
				o.Force(&signals[i])
			}
		}
		return signals
	})
}

// judge is Round on whatever tells the signals of a lane's routes, by id.
func judge(p *policy.Policy, w route.World, now time.Time, o Options, ask func(*route.LaneState) []route.Signals) Outcome {
	if !now.After(w.At) {
		return Outcome{World: w}
	}
	r := &round{policy: p, now: now.Round(0).UTC(), options: o}
	r.signals = make([]route.Signals, 0, routes(w.Lanes))
	next := w
	next.At, next.Lanes = r.now, make([]route.LaneState, len(w.Lanes))
	for i := range w.Lanes {
		next.Lanes[i] = cloneLane(&w.Lanes[i])
		signals := ask(&next.Lanes[i])
		r.signals = append(r.signals, signals...)
		if pl := r.lanePolicy(i, next.Lanes[i].Lane); pl != nil {
			r.lane(pl, &next.Lanes[i], signals).decide()
		}
	}
	return r.finish(next)
}

func routes(lanes []route.LaneState) int {
	n := 0
	for i := range lanes {
		n += len(lanes[i].Routes)
	}
	return n
}

// round is the work of one round.
type round struct {
	policy  *policy.Policy
	now     time.Time
	options Options
	signals []route.Signals
	records []record
	rules   []classRules // looked up once for all lanes of a class
	envs    []policy.Env // of the lane that is judged: what conditions see of each route
	truths  []truths     // of the lane that is judged: one for each rule of a route, route by route
	dirty   bool         // something that must outlive a restart has changed
	moved   bool         // a phase, a step or a share has changed
}

type classRules struct {
	class route.Class
	rules []*policy.Rule
}

// lanePolicy finds the lane of a policy that the state at index i belongs to: the one at the same index, as a rule.
func (r *round) lanePolicy(i int, key route.Lane) *policy.Lane {
	if i < len(r.policy.Lanes) && r.policy.Lanes[i].Lane == key {
		return &r.policy.Lanes[i]
	}
	return r.policy.Lane(key)
}

// rulesFor are the rules that judge a lane, in the order of the policy.
func (r *round) rulesFor(key route.Lane) []*policy.Rule {
	for i := range r.rules {
		if r.rules[i].class == key.Class {
			return r.rules[i].rules
		}
	}
	rules := r.policy.RulesFor(key)
	r.rules = append(r.rules, classRules{key.Class, rules})
	return rules
}

// cloneLane copies all of a lane that a round may change.
func cloneLane(l *route.LaneState) route.LaneState {
	c := *l
	c.Routes = make([]route.State, len(l.Routes))
	for i, s := range l.Routes {
		s.Clocks = append([]route.Clock(nil), s.Clocks...)
		s.Rules = append([]string(nil), s.Rules...)
		s.Told = append([]route.Told(nil), s.Told...)
		if s.Hold != nil {
			hold := *s.Hold
			s.Hold = &hold
		}
		c.Routes[i] = s
	}
	c.Changes = append([]time.Time(nil), l.Changes...)
	return c
}

// record is a decision that has no id yet, and the state that is to remember it.
type record struct {
	decision route.Decision
	state    *route.State // nil where no state remembers it
	proposal bool         // whether it waits for a person
}

// note records a decision that no state remembers.
func (r *round) note(d route.Decision) {
	r.records, r.dirty = append(r.records, record{decision: d}), true
}

// finish numbers the decisions and draws up the table where something moved.
func (r *round) finish(next route.World) Outcome {
	if r.moved {
		next.Generation, next.Ordinal = successor(next.Generation), 0
	}
	out := Outcome{Signals: r.signals, Decisions: r.number(&next), Changed: r.dirty || r.moved}
	if r.moved {
		t := Table(r.policy, next, r.now)
		out.Table = &t
	}
	out.World = next
	return out
}

// successor is the generation after g; the first of all is 1-1.
func successor(g route.Generation) route.Generation {
	if g.Epoch == 0 {
		g.Epoch = 1
	}
	return g.Next()
}

// number gives each decision its id, and the id to the state that it led to.
func (r *round) number(w *route.World) []route.Decision {
	var out []route.Decision
	for i := range r.records {
		rec := &r.records[i]
		w.Ordinal++
		d := rec.decision
		d.ID = w.Generation.String() + "-" + strconv.FormatUint(w.Ordinal, 10)
		d.Generation, d.Policy, d.Time = w.Generation, r.policy.Revision, r.now
		switch {
		case rec.state == nil:
		case rec.proposal:
			rec.state.Proposal = d.ID
		default:
			rec.state.Decision, rec.state.Text = d.ID, d.Text
		}
		out = append(out, d)
	}
	return out
}
