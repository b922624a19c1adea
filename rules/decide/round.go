// Package decide turns signals into decisions: it runs the clocks of rules, moves routes from phase to phase, asks the
// guards about the state that a change would leave, and draws up the table. It is pure: the same policy, state and
// signals at the same moment give the same decisions in the same order.
package decide

import (
	"slices"
	"strconv"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Outcome is what one round of judging, or a change of policy, led to.
type Outcome struct {
	World     route.World
	Decisions []route.Decision
	Table     *route.Table    // the new table, nil where senders are to see what they see
	Signals   []route.Signals // as judged, lane by lane in the order of the policy and then its networks, routes by id
	Wide      []route.Signals // of routes over all lanes, by the lane whose rules ask for it
	Changed   bool            // whether World differs in what must outlive a restart
}

// Options bound what rounds may do.
type Options struct {
	// Mode is the most that may be done with any verdict; route.Act where it is empty.
	Mode route.Mode
	// Hold makes the round run the clocks of rules and nothing else, because the time cannot be trusted just now.
	Hold bool
}

// Round judges every lane once, at now: it asks the source for signals, decides, and returns the state that follows. The
// world given is not changed. A round at or before the last one changes nothing. What nothing tells of, and nothing is
// remembered of, costs next to nothing.
func Round(p *policy.Policy, source Source, w route.World, now time.Time, o Options) Outcome {
	if !now.After(w.At) {
		return Outcome{World: w}
	}
	r := newRound(p, source, w, now, o)
	next := w
	next.At, next.Lanes = r.now, slices.Clone(w.Lanes)
	r.overrides = r.endOverrides(&next)
	families := r.families(next.Lanes)
	r.rates = rates(families)
	for _, f := range families {
		if f != nil {
			f.decide()
		}
	}
	return r.finish(next, families)
}

func newRound(p *policy.Policy, source Source, w route.World, now time.Time, o Options) *round {
	r := &round{policy: p, source: source, overrides: w.Overrides, now: now.Round(0).UTC(), options: o, registers: registers(p)}
	if source != nil {
		r.probed = source.Probed()
	}
	return r
}

// families gathers and judges the lanes, each at its index; nil where there is nothing to judge.
func (r *round) families(lanes []route.LaneState) []*family {
	out := make([]*family, len(lanes))
	for i := range lanes {
		if pl := r.lanePolicy(i, lanes[i].Lane); pl != nil {
			out[i] = r.family(pl, &lanes[i])
		}
	}
	return out
}

// rates are the submits a second of each route over all lanes.
func rates(families []*family) map[route.ID]float64 {
	out := map[route.ID]float64{}
	for _, f := range families {
		if f == nil {
			continue
		}
		for i := range f.own.signals {
			out[f.own.states[i].Route] += f.own.signals[i].Rate
		}
	}
	return out
}

// round is the work of one round.
type round struct {
	policy    *policy.Policy
	source    Source
	overrides []route.Override
	probed    []route.ID // routes that probes have told of
	registers bool       // whether the policy says where sender IDs are registered
	anywhere  []route.ID // routes that have messages in any lane; nil before somebody asks
	now       time.Time
	options   Options
	rates     map[route.ID]float64 // submits a second over all lanes
	records   []record
	rules     []classRules // looked up once for all lanes of a class
	dirty     bool         // something that must outlive a restart has changed
	moved     bool         // a phase, a step, a share or an override has changed
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

// record is a decision that has no id yet, and the state that is to remember it.
type record struct {
	decision route.Decision
	state    *route.State    // nil where no state remembers it
	proposal bool            // whether it waits for a person
	order    *route.Override // the operator's order that it sets
}

// note records a decision that no state remembers.
func (r *round) note(d route.Decision) {
	r.records, r.dirty = append(r.records, record{decision: d}), true
}

// finish numbers the decisions, takes over the states, and draws up the table where something moved.
func (r *round) finish(next route.World, families []*family) Outcome {
	if r.moved {
		next.Generation, next.Ordinal = successor(next.Generation), 0
	}
	out := Outcome{Decisions: r.number(&next), Changed: r.dirty || r.moved}
	if families != nil {
		out.Signals = make([]route.Signals, 0, judged(families))
	}
	for i, f := range families {
		if f != nil {
			next.Lanes[i] = f.after()
			out.Signals = append(out.Signals, f.own.signals...)
			out.Wide = append(out.Wide, f.own.wide...)
			for _, l := range f.networks {
				out.Signals = append(out.Signals, l.signals...)
			}
		}
	}
	if r.moved {
		t := Table(r.policy, next, r.now)
		out.Table = &t
	}
	out.World = next
	return out
}

// judged is how many routes were judged, in lanes and on networks.
func judged(families []*family) int {
	n := 0
	for _, f := range families {
		if f == nil {
			continue
		}
		for _, l := range f.rows() {
			n += len(l.signals)
		}
	}
	return n
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
		case rec.order != nil:
			rec.order.ID = d.ID
			order := *rec.order
			d.Override = &order
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
