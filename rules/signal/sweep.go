package signal

import "time"

// What is no longer needed is forgotten now and then, so that names which come and go do not add up.
const (
	sweepEvery  = 10 * time.Minute
	probesAfter = 24 * time.Hour // a probe without results for so long
	keysAfter   = 24 * time.Hour // a key without messages for so long, and without a baseline to act on
)

// sweep forgets sources that are no longer expected, probes and keys that have become idle, and routes of which nothing
// is left.
func (b *Book) sweep(now time.Time) {
	if gap := now.Sub(b.swept); gap >= 0 && gap < sweepEvery {
		return
	}
	b.swept = now
	for id, k := range b.keys {
		if k.idle(now) {
			b.forget(k)
			delete(b.keys, id)
		}
	}
	for id, a := range b.routes {
		a.clock.forget(now)
		for p, l := range a.probes {
			if now.Sub(l.last[0].at) > probesAfter {
				delete(a.probes, p)
			}
		}
		if len(a.keys) == 0 && len(a.clock.links) == 0 && len(a.probes) == 0 && now.Sub(a.clock.own.moved) > forgottenAfter {
			delete(b.routes, id)
		}
	}
	for name, s := range b.sources {
		if now.Sub(s.moved) > forgottenAfter {
			delete(b.sources, name)
		}
	}
}

// idle reports whether nothing is lost when the key is forgotten.
func (k *key) idle(now time.Time) bool {
	return k.ring.empty() && now.Sub(timeOf(k.ring.last)) > keysAfter && now.Sub(k.learned.At) > keysAfter && k.learned.normal(own) == nil
}

// forget takes a key out of its lane and its route.
func (b *Book) forget(k *key) {
	b.sorted = nil
	delete(b.changed, k.id)
	if a := b.routes[k.id.Route]; a != nil {
		a.remove(k)
	}
	p, ok := b.placeOf(k)
	if !ok {
		return
	}
	list := b.byLane[p]
	for i := range list {
		if list[i] == k {
			b.byLane[p] = append(list[:i:i], list[i+1:]...)
			b.strike(p, k)
			return
		}
	}
}
