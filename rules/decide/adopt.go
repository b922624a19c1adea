package decide

import (
	"reflect"
	"sort"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Adopt fits the state to a policy, at its first load and at each reload: lanes and routes that stay keep their phase,
// clocks and hold-down; new ones start active; those that are gone are forgotten. A route that was demoted by a rule that
// is gone returns by the way of every promotion. The table is new wherever senders would see something else.
func Adopt(p *policy.Policy, w route.World, last *route.Table, now time.Time) Outcome {
	next := w
	next.Policy, next.Lanes = p.Revision, nil
	for i := range p.Lanes {
		next.Lanes = append(next.Lanes, adoptLane(&p.Lanes[i], w.Lane(p.Lanes[i].Lane)))
	}
	if next.Policy == w.Policy && last != nil && reflect.DeepEqual(next.Lanes, w.Lanes) {
		return Outcome{World: w}
	}
	out := Outcome{Changed: true}
	t := Table(p, next, now)
	if last == nil || !reflect.DeepEqual(t.Lanes, last.Lanes) || t.Policy != last.Policy {
		next.Generation, next.Ordinal = successor(w.Generation), 0
		t.Generation = next.Generation
		out.Table = &t
	}
	out.World = next
	return out
}

func adoptLane(l *policy.Lane, was *route.LaneState) route.LaneState {
	next := route.LaneState{Lane: l.Lane}
	if was != nil {
		next.Changes = was.Changes
	}
	for _, id := range l.Order {
		s := route.State{Route: id, Phase: route.Active}
		if was != nil {
			if old := was.State(id); old != nil {
				s = *old
			}
		}
		next.Routes = append(next.Routes, s)
	}
	sort.Slice(next.Routes, func(i, j int) bool { return next.Routes[i].Route < next.Routes[j].Route })
	return next
}
