package signal

import (
	"slices"
	"sort"

	"signalbox/rules/route"
)

// roster is who has messages in a lane.
type roster struct {
	routes   []route.ID            // that have keys there, sorted
	networks map[route.Network]int // the MCC-MNCs within the lane, and how many keys are theirs
}

// enrol notes a key under the lane that serves it.
func (b *Book) enrol(p place, k *key) {
	r := b.rosters[p.lane]
	if r == nil {
		r = &roster{networks: map[route.Network]int{}}
		b.rosters[p.lane] = r
	}
	if at, there := slices.BinarySearch(r.routes, p.route); !there {
		r.routes = slices.Insert(r.routes, at, p.route)
	}
	if within(p.lane, k.id.Network) {
		r.networks[k.id.Network]++
	}
}

// strike takes a key out again that its place has lost.
func (b *Book) strike(p place, k *key) {
	r := b.rosters[p.lane]
	if r == nil {
		return
	}
	if len(b.byLane[p]) == 0 {
		delete(b.byLane, p)
		if at, there := slices.BinarySearch(r.routes, p.route); there {
			r.routes = slices.Delete(r.routes, at, at+1)
		}
	}
	if within(p.lane, k.id.Network) {
		if r.networks[k.id.Network]--; r.networks[k.id.Network] <= 0 {
			delete(r.networks, k.id.Network)
		}
	}
}

// within reports whether a network is an MCC-MNC that a lane serves among others.
func within(l route.Lane, n route.Network) bool {
	return n != l.Network && n != route.AnyNetwork && n.Country() != n
}

// Live are the routes that have messages in a lane that can still be judged, sorted.
func (b *Book) Live(lane route.Lane) []route.ID {
	r := b.rosters[lane]
	if r == nil {
		return nil
	}
	out := make([]route.ID, 0, len(r.routes))
	for _, id := range r.routes {
		if slices.ContainsFunc(b.byLane[place{lane: lane, route: id}], func(k *key) bool { return !k.ring.empty() }) {
			out = append(out, id)
		}
	}
	return out
}

// Probed are the routes that probes have told of, sorted.
func (b *Book) Probed() []route.ID {
	var out []route.ID
	for id, a := range b.routes {
		if len(a.probes) > 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Networks are the MCC-MNCs within a lane that messages went to, sorted.
func (b *Book) Networks(lane route.Lane) []route.Network {
	r := b.rosters[lane]
	if r == nil {
		return nil
	}
	out := make([]route.Network, 0, len(r.networks))
	for n := range r.networks {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// keysOf are the keys of a route whose messages an inquiry is about.
func (b *Book) keysOf(scope route.Scope, ask *route.Inquiry) []*key {
	all := b.byLane[place{lane: scope.Lane, route: ask.Route}]
	if scope.Wide {
		all = b.account(ask.Route).keys
	}
	if scope.Network == "" && len(ask.Without) == 0 {
		return all
	}
	var out []*key
	for _, k := range all {
		if (scope.Network == "" || k.id.Network == scope.Network) && !slices.Contains(ask.Without, k.id.Network) {
			out = append(out, k)
		}
	}
	return out
}

func (a *account) add(k *key) {
	at := sort.Search(len(a.keys), func(i int) bool { return !lessKey(a.keys[i].id, k.id) })
	a.keys = slices.Insert(a.keys, at, k)
}

func (a *account) remove(k *key) {
	if at := slices.Index(a.keys, k); at >= 0 {
		a.keys = slices.Delete(a.keys, at, at+1)
	}
}
