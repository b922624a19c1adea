package decide

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Adopt fits the state to a policy, at its first load and at each reload: lanes and routes that stay keep their phase,
// clocks and hold-down; new ones start active; those that are gone are forgotten. A route that was demoted by a rule that
// is gone comes back by small steps once its hold-down is over. The table is new wherever senders would see something
// else, and where one policy replaced another, a decision tells of each lane that looks different, came or went.
func Adopt(p *policy.Policy, w route.World, last *route.Table, now time.Time) Outcome {
	next := w
	next.Policy, next.Lanes = p.Revision, nil
	for i := range p.Lanes {
		next.Lanes = append(next.Lanes, adoptLane(p, i, &w))
	}
	if next.Policy == w.Policy && last != nil && reflect.DeepEqual(next.Lanes, w.Lanes) {
		return Outcome{World: w}
	}
	r := &round{policy: p, now: now.Round(0).UTC()}
	out := Outcome{Changed: true}
	t := Table(p, next, r.now)
	if last == nil || !reflect.DeepEqual(t.Lanes, last.Lanes) || t.Policy != last.Policy {
		next.Generation, next.Ordinal = successor(w.Generation), 0
		t.Generation = next.Generation
		out.Table = &t
	}
	if last != nil {
		r.tellChanges(last, &t)
	}
	out.Decisions = r.number(&next)
	out.World = next
	return out
}

// adoptLane is the state of the policy's lane at index i. A lane that is new takes over what is remembered of its routes
// where its messages went before, and one that takes over the messages of an MCC-MNC what its lane remembered.
func adoptLane(p *policy.Policy, i int, w *route.World) route.LaneState {
	l := &p.Lanes[i]
	next := route.LaneState{Lane: l.Lane}
	was := w.Lane(l.Lane)
	if was != nil {
		next.Changes, next.Routes = was.Changes, stay(l, was.Routes)
	} else if was = servedBy(w, l.Lane); was != nil {
		next.Routes = inherit(l, was)
	}
	var networks []route.NetworkState
	if was != nil {
		networks = append(networks, was.Networks...)
	}
	for k := range w.Lanes {
		if gone := &w.Lanes[k]; gone.Lane.Class == l.Class && p.Lane(gone.Lane) == nil {
			networks = append(append(networks, gone.Networks...), route.NetworkState{Network: gone.Lane.Network, Routes: gone.Routes})
		}
	}
	next.Networks = within(p, l, networks)
	return next
}

// within are those of the networks that a lane serves among others, each once, with the routes that it has.
func within(p *policy.Policy, l *policy.Lane, networks []route.NetworkState) []route.NetworkState {
	var out []route.NetworkState
	for _, on := range networks {
		routes := stay(l, on.Routes)
		at, there := slices.BinarySearchFunc(out, on.Network, func(s route.NetworkState, n route.Network) int { return cmp.Compare(s.Network, n) })
		if routes != nil && !there && isWithin(p, l, on.Network) {
			out = slices.Insert(out, at, route.NetworkState{Network: on.Network, Routes: routes})
		}
	}
	return out
}

// servedBy is the lane that the messages of a new one went by, or nil.
func servedBy(w *route.World, l route.Lane) *route.LaneState {
	keys := make([]route.Lane, len(w.Lanes))
	for i := range keys {
		keys[i] = w.Lanes[i].Lane
	}
	if at := route.Find(keys, l.Class, l.Network); at >= 0 {
		return &w.Lanes[at]
	}
	return nil
}

// inherit are the states of the routes of a new lane as they were where its messages went: in the lane, and on its network
// where that was judged apart. A proposal stays where it was made.
func inherit(l *policy.Lane, from *route.LaneState) []route.State {
	out := stay(l, from.Routes)
	for i := range out {
		out[i].Proposal, out[i].ProposedBy, out[i].ProposedTo, out[i].ExpiresAt = "", "", "", time.Time{}
	}
	on := from.Network(l.Network)
	if on == nil {
		return out
	}
	for _, s := range stay(l, on.Routes) {
		at, there := slices.BinarySearchFunc(out, s.Route, func(x route.State, id route.ID) int { return cmp.Compare(x.Route, id) })
		if there {
			out[at] = merged(&out[at], &s)
		} else {
			out = slices.Insert(out, at, s)
		}
	}
	return out
}

// merged is what is left of a route's states in a lane and on a network of it, where both become one: what keeps it out
// further, and where both do, for as long as either and for the rules of both.
func merged(lane, network *route.State) route.State {
	first, second := lane, network
	if further(network, lane) || farOut(lane.Phase) == 0 {
		first, second = network, lane
	}
	out := clone(first)
	if farOut(second.Phase) == 0 {
		return out
	}
	out.HoldUntil = later(first.HoldUntil, second.HoldUntil)
	for _, rule := range second.Rules {
		if !holds(&out, rule) {
			out.Rules = append(out.Rules, rule)
		}
	}
	accuse(&out.Accused, second.Accused)
	return out
}

// stay are the states of routes that a lane still has; nil where there is none.
func stay(l *policy.Lane, states []route.State) []route.State {
	var out []route.State
	for i := range states {
		if l.Has(states[i].Route) {
			out = append(out, states[i])
		}
	}
	return out
}

// tellChanges records how a policy changed the table: first the lanes that it has, in its order, then those that it has
// no more, in the order of the old one.
func (r *round) tellChanges(was, is *route.Table) {
	by := "policy " + is.Policy + " replaced " + was.Policy
	for i := range is.Lanes {
		l := &is.Lanes[i]
		switch old := rowOf(was, l.Lane()); {
		case old == nil:
			r.changed(l, by+" and brought this lane: "+describe(l))
		case !reflect.DeepEqual(old, l):
			r.changed(l, by+": now "+describe(l))
		}
	}
	for i := range was.Lanes {
		if l := &was.Lanes[i]; rowOf(is, l.Lane()) == nil {
			r.changed(l, by+" and has no such lane any more; "+heir(is, l))
		}
	}
}

func rowOf(t *route.Table, key route.Lane) *route.LaneTable {
	for i := range t.Lanes {
		if t.Lanes[i].Lane() == key {
			return &t.Lanes[i]
		}
	}
	return nil
}

// changed records a change of a lane that no rule asked for, under its first route.
func (r *round) changed(l *route.LaneTable, text string) {
	first := &l.Routes[0]
	r.note(route.Decision{
		Lane: l.Lane(), Route: first.Route, From: first.Phase, To: first.Phase, Verdict: route.VerdictNothing, Mode: l.Mode,
		Enforced: true, Reason: route.PolicyChanged, Text: text,
		Inputs: []route.Input{}, Guards: []route.GuardResult{}, Alternatives: []route.Alternative{},
	})
}

// heir says which lane serves the messages of one that is gone.
func heir(t *route.Table, gone *route.LaneTable) string {
	if i := t.Lookup(gone.Class, gone.Network); i >= 0 {
		return "its messages go by lane " + t.Lanes[i].Lane().String() + ": " + describe(&t.Lanes[i])
	}
	return "no lane serves all of its messages now"
}

// describe is a lane of a table in a line.
func describe(l *route.LaneTable) string {
	parts := make([]string, len(l.Routes))
	for i, e := range l.Routes {
		parts[i] = string(e.Route) + " " + strings.Join(words(e), " ")
	}
	return strings.Join(parts, ", ")
}

func words(e route.Entry) []string {
	var out []string
	if e.Phase != route.Active {
		out = append(out, string(e.Phase))
	}
	if e.Admin != "" {
		out = append(out, string(e.Admin))
	}
	if e.Share > 0 || e.Phase != route.Active {
		return append(out, shareText(e.Share))
	}
	return append(out, "standby")
}
