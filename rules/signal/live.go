package signal

import (
	"slices"

	"signalbox/rules/route"
)

// live is which routes of a lane have messages that can still be judged. It is kept up as messages come, and as sweeps
// find that the last ones have gone, so that a round needs to look at no others.
type live struct {
	routes   []route.ID            // sorted
	keys     []int                 // of each, that have messages
	networks map[route.Network]int // the MCC-MNCs within the lane, with the number of such keys
}

// Live are the routes that have messages in a lane that can still be judged, sorted, and perhaps some whose last ones have
// just gone. The slice is the book's own, good until the next observation or judgement.
func (b *Book) Live(lane route.Lane) []route.ID {
	if l := b.live[lane]; l != nil {
		return l.routes
	}
	return nil
}

// stir notes that a key has messages.
func (b *Book) stir(k *key) {
	if !k.live {
		k.live = true
		b.enliven(k)
	}
}

func (b *Book) enliven(k *key) {
	p, ok := b.placeOf(k)
	if !ok {
		return
	}
	l := b.live[p.lane]
	if l == nil {
		l = &live{networks: map[route.Network]int{}}
		b.live[p.lane] = l
	}
	at, there := slices.BinarySearch(l.routes, p.route)
	if !there {
		l.routes, l.keys = slices.Insert(l.routes, at, p.route), slices.Insert(l.keys, at, 0)
	}
	l.keys[at]++
	if within(p.lane, k.id.Network) {
		l.networks[k.id.Network]++
	}
}

// still notes that a key has no messages any more.
func (b *Book) still(k *key) {
	if !k.live {
		return
	}
	k.live = false
	p, ok := b.placeOf(k)
	if !ok {
		return
	}
	l := b.live[p.lane]
	at, _ := slices.BinarySearch(l.routes, p.route)
	if l.keys[at]--; l.keys[at] == 0 {
		l.routes, l.keys = slices.Delete(l.routes, at, at+1), slices.Delete(l.keys, at, at+1)
	}
	if within(p.lane, k.id.Network) {
		if l.networks[k.id.Network]--; l.networks[k.id.Network] <= 0 {
			delete(l.networks, k.id.Network)
		}
	}
}
