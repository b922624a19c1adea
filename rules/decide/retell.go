package decide

import (
	"cmp"
	"slices"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Retell is what senders see of a world after the decisions that followed it under the same policy, oldest first: phases,
// ramp steps, operators' orders, and what brought each about. What only rounds need, such as hold-downs, is not told by
// the journal and stays as it was.
func Retell(p *policy.Policy, w route.World, journal []route.Decision) route.World {
	lanes := slices.Clone(w.Lanes)
	for i := range lanes {
		lanes[i].Routes, lanes[i].Networks = slices.Clone(lanes[i].Routes), slices.Clone(lanes[i].Networks)
		for k := range lanes[i].Networks {
			lanes[i].Networks[k].Routes = slices.Clone(lanes[i].Networks[k].Routes)
		}
	}
	w.Lanes, w.Overrides = lanes, slices.Clone(w.Overrides)
	for i := range journal {
		d := &journal[i]
		w.Generation = d.Generation
		switch {
		case d.Override != nil:
			retellOrder(&w, d)
		case d.Enforced && d.Verdict != route.VerdictNothing && d.Verdict != route.VerdictUnknown:
			retellChange(p, &w, d)
		}
	}
	return w
}

func retellOrder(w *route.World, d *route.Decision) {
	w.Overrides = slices.DeleteFunc(w.Overrides, func(o route.Override) bool {
		return o.ID == d.Override.ID || d.Reason == route.OverrideSet && d.Override.Replaces(&o)
	})
	if d.Reason == route.OverrideSet {
		w.Overrides = append(w.Overrides, *d.Override)
	}
}

// retellChange moves a route as a decision says.
func retellChange(p *policy.Policy, w *route.World, d *route.Decision) {
	at := route.Find(p.LaneKeys(), d.Lane.Class, d.Lane.Network)
	if at < 0 {
		return
	}
	key := p.Lanes[at].Lane
	l := w.Lane(key)
	if l == nil {
		return
	}
	states := &l.Routes
	if d.Lane != key {
		states = &onNetwork(l, d.Lane.Network).Routes
	}
	i, there := slices.BinarySearchFunc(*states, d.Route, func(s route.State, id route.ID) int { return cmp.Compare(s.Route, id) })
	if !there {
		*states = slices.Insert(*states, i, route.Fresh(d.Route))
	}
	s := &(*states)[i]
	s.Rules = slices.Clone(d.Holds)
	if d.From == d.To && d.To == route.Demoted {
		return // another rule keeps it out too
	}
	s.Phase, s.Step, s.Since, s.Decision, s.Text = d.To, d.Step, d.Time, d.ID, d.Text
}

// onNetwork is what is remembered of a network of the lane, made where there is nothing yet.
func onNetwork(l *route.LaneState, n route.Network) *route.NetworkState {
	i, there := slices.BinarySearchFunc(l.Networks, n, func(s route.NetworkState, n route.Network) int { return cmp.Compare(s.Network, n) })
	if !there {
		l.Networks = slices.Insert(l.Networks, i, route.NetworkState{Network: n})
	}
	return &l.Networks[i]
}
