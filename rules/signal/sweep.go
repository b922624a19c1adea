package signal

import (
	"time"

	"signalbox/rules/route"
)

// What is no longer needed is forgotten now and then, so that names which come and go do not add up.
const (
	sweepEvery  = 10 * time.Minute
	probesAfter = 24 * time.Hour // a probe without results for so long
	keysAfter   = 24 * time.Hour // a key without messages for so long, and without a baseline to act on
)

// sweptPerRound is how many keys are looked at in one round: where there are more, a sweep takes several.
const sweptPerRound = 5_000

// sweep forgets sources that are no longer expected, probes and keys that have become idle, and routes of which nothing
// is left.
func (b *Book) sweep(now time.Time) {
	if now.Equal(b.round) {
		return
	}
	b.round, b.room = now, poolsPerRound
	if b.sweeping == nil {
		if gap := now.Sub(b.swept); gap >= 0 && gap < sweepEvery {
			return
		}
		b.swept, b.sweeping = now, &route.Key{}
	}
	if b.sweepKeys(now) {
		b.sweeping = nil
		b.sweepRoutes(now)
	}
}

// sweepKeys goes on with the keys, and reports whether it has come to the last.
func (b *Book) sweepKeys(now time.Time) bool {
	keys := b.roll.sorted()
	from := seek(keys, b.sweeping)
	to := min(len(keys), from+sweptPerRound)
	if to < len(keys) {
		*b.sweeping = keys[to].id
	}
	gone := false
	for _, k := range keys[from:to] {
		b.shed(k, now)
		if k.idle(now) {
			b.forget(k)
			gone = true
		}
	}
	last := to == len(keys)
	if gone {
		b.roll.remove(from, to, func(k *key) bool { return b.keys[k.id] != k })
	}
	return last
}

// shed gives back what the key takes and no longer needs.
func (b *Book) shed(k *key, now time.Time) {
	if !k.ring.empty() && now.Sub(timeOf(k.ring.last)) > keysAfter && b.deserted(k.id.Route, now) {
		k.advance(b, tickOf(now)) // no clock will
	}
	k.ring.slim()
	if !k.ring.empty() || !k.answers.shed(now) {
		return
	}
	b.still(k)
	k.arrived = nil
	k.crowds.forget(tickOf(now))
	k.timing = nil
	if n := len(k.suspect); n > 0 && now.Sub(timeOf(k.suspect[n-1].to)) > keysAfter {
		k.suspect = nil
	}
	if n := len(k.lasting); n > 0 && now.Sub(timeOf(k.lasting[n-1].to)) > keysAfter {
		k.lasting = nil
	}
	if len(k.suspect) == 0 && floorDiv(now.Unix(), 60)-k.stamp > int64(forgottenAfter/time.Minute) { // nobody judges it
		k.normal, k.stamp = nil, 0
	}
}

// deserted reports whether nothing has told the time of a route for so long that nobody is expected to.
func (b *Book) deserted(id route.ID, now time.Time) bool {
	a := b.routes[id]
	return a == nil || len(a.clock.links) == 0 && now.Sub(a.clock.own.moved) > forgottenAfter
}

func (b *Book) sweepRoutes(now time.Time) {
	b.version++
	for id, a := range b.routes {
		a.clock.forget(now)
		a.forgetProbes(now)
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
	return k.ring.empty() && now.Sub(timeOf(k.ring.last)) > keysAfter && now.Sub(k.learned.At) > keysAfter && !k.learned.acts()
}

// forget takes a key out of its lane and its route.
func (b *Book) forget(k *key) {
	b.still(k)
	b.newest.gone(k)
	delete(b.keys, k.id)
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
			if len(list) == 1 {
				delete(b.byLane, p)
				delete(b.crowds, p)
			}
			return
		}
	}
}
