package signal

import (
	"slices"
	"sort"

	"signalbox/rules/route"
)

// within reports whether a network is an MCC-MNC that a lane serves among others.
func within(l route.Lane, n route.Network) bool {
	return n != l.Network && n != route.AnyNetwork && n.Country() != n
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

// Networks are the MCC-MNCs within a lane that have messages which can still be judged, sorted.
func (b *Book) Networks(lane route.Lane) []route.Network {
	l := b.live[lane]
	if l == nil {
		return nil
	}
	out := make([]route.Network, 0, len(l.networks))
	for n := range l.networks {
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
