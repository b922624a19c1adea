package decide

import (
	"fmt"
	"sort"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// standing is where one route stands in a row of the table: in a lane, or on one network of it.
type standing struct {
	id    route.ID
	phase route.Phase
	admin route.Admin
	state *route.State // what moved it there: the network's where that keeps it further out, else the lane's; nil where nothing did
	by    string       // of an admin state: why
	set   string       // and the decision that set it
}

// usable reports whether the route carries the lane by right.
func (s *standing) usable() bool {
	return s.phase == route.Active && (s.admin == route.AdminAuto || s.admin == route.AdminPinned)
}

// trials reports whether the route may get a share while it is not active.
func (s *standing) trials() bool {
	return s.phase != route.Active && (s.admin == route.AdminAuto || s.admin == route.AdminPinned)
}

// remembered tells what is remembered of a route: in the lane, and on the network that is asked about. Either is nil
// where nothing is.
type remembered func(route.ID) (lane, network *route.State)

// inWorld is what a lane's state remembers, for the lane or for one network of it.
func inWorld(l *route.LaneState, network route.Network) remembered {
	if network == l.Lane.Network {
		return func(id route.ID) (*route.State, *route.State) { return l.State(id), nil }
	}
	return func(id route.ID) (*route.State, *route.State) { return l.State(id), l.On(network, id) }
}

// row is how the routes of a lane stand, in the order of the policy. The key is the lane's, or that of a network of it.
func row(p *policy.Policy, pl *policy.Lane, key route.Lane, overrides []route.Override, of remembered) []standing {
	out := make([]standing, len(pl.Order))
	for i, id := range pl.Order {
		out[i] = stands(p, key, overrides, of, id)
	}
	return out
}

// stands is how one route stands in a row.
func stands(p *policy.Policy, key route.Lane, overrides []route.Override, of remembered, id route.ID) standing {
	lane, network := of(id)
	s := standing{id: id, phase: route.Active, admin: route.AdminAuto}
	s.stand(lane)
	if network != nil && further(network, lane) {
		s.stand(network)
	}
	if r := p.Route(id); r != nil && !r.Registered(key.Class, key.Network) {
		s.admin, s.by = route.AdminUnregistered, fmt.Sprintf("its sender IDs are not registered for %s in %s", key.Class, key.Network)
	}
	for i := range overrides {
		s.order(&overrides[i])
	}
	return s
}

// further reports whether a route is further out on a network than in the lane. Of two ways back the shorter stretch counts.
func further(network, lane *route.State) bool {
	if lane == nil {
		return farOut(network.Phase) > 0
	}
	if on, in := farOut(network.Phase), farOut(lane.Phase); on != in {
		return on > in
	}
	return network.Phase == route.Recovering && network.Step < lane.Step
}

// farOut is how far out a phase is; 0 is active.
func farOut(p route.Phase) int {
	switch p {
	case route.Recovering:
		return 1
	case route.Demoted:
		return 2
	}
	return 0
}

// stand takes over what is remembered.
func (s *standing) stand(state *route.State) {
	if state == nil || state.Blank() {
		return
	}
	s.state = state
	if state.Phase != "" {
		s.phase = state.Phase
	}
}

// order applies an override that covers the row. A drain goes before a pin, and both before the policy's word.
func (s *standing) order(o *route.Override) {
	if o.Route != s.id {
		return
	}
	switch {
	case o.Kind == route.Drain:
		s.admin = route.AdminDrained
	case o.Kind == route.Pin && s.admin == route.AdminAuto:
		s.admin = route.AdminPinned
	default:
		return
	}
	s.by, s.set = o.Text(stamp), o.ID
}

// covering are the overrides about a lane, or a network of one.
func covering(all []route.Override, key route.Lane) []route.Override {
	var out []route.Override
	for i := range all {
		if all[i].Covers(key) {
			out = append(out, all[i])
		}
	}
	return out
}

// inOrder is the order to try: those that carry the lane by right first, then those on their way back, then the demoted,
// then those that may not be used at all, each in the order of the policy.
func inOrder(row []standing) []standing {
	order := append([]standing(nil), row...)
	sort.SliceStable(order, func(i, j int) bool { return order[i].rank() < order[j].rank() })
	return order
}

func (s *standing) rank() int {
	switch {
	case s.admin == route.AdminUnregistered:
		return 4
	case s.admin == route.AdminDrained:
		return 3
	case s.phase == route.Demoted:
		return 2
	case s.phase == route.Recovering:
		return 1
	}
	return 0
}

func countUsable(row []standing) int {
	n := 0
	for i := range row {
		if row[i].usable() {
			n++
		}
	}
	return n
}
