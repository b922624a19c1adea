package signal

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"signalbox/rules/route"
)

// key is all that is kept of one route, class and network.
type key struct {
	id      route.Key
	ring    ring
	learned Learned
	answers answers
	suspect [8]span // when it was suspect or out, newest last; what was sent then is not learned
	paced   *paced  // its receipt curve at today's pace
	exact   *paced  // its receipt curve as learned
	convert *paced  // its conversion curve as learned; nil where conversions are not reported
	normal  *normal // nil while it is cold
	terms   Terms   // of its class
	timing  *timing // how long its receipts take; nil until one came or it is judged
	stamp   int64   // minute that normal and paced were made in; 0 where they are to be made anew
}

// span is a stretch of ticks, both ends in it; the zero span is none. As spans that lie within ten minutes of each other
// are one, eight of them reach back further than what may still be learned.
type span struct{ from, to int64 }

// advance moves the ring's head to a tick and learns what matures by it.
func (k *key) advance(b *Book, tick int64) {
	if tick <= k.ring.head {
		return
	}
	k.ring.advance(tick, func(minute int64, c *Counts) {
		if k.suspected(minute*ticksPerMid, minute*ticksPerMid+ticksPerMid-1) {
			return
		}
		if k.learned.learn(timeOf((minute+1)*ticksPerMid), c) {
			b.changed[k.id] = true
		}
	})
}

// reach moves the ring to the tick that is judged. A ring that is far ahead of it was led there by a clock that has been
// set back since: nothing in it can be dated.
func (k *key) reach(b *Book, tick int64) {
	if k.ring.head-tick >= fineSlots {
		k.ring, k.answers, k.suspect, k.timing = newRing(tick), answers{}, [len(k.suspect)]span{}, nil
	}
	k.advance(b, tick)
}

func (k *key) suspected(from, to int64) bool {
	for _, s := range k.suspect {
		if s.to != 0 && from <= s.to && to >= s.from {
			return true
		}
	}
	return false
}

// accuse marks the ticks from..to as suspect, extending the last span where they touch.
func (k *key) accuse(from, to int64) {
	last := &k.suspect[len(k.suspect)-1]
	if last.to != 0 && from <= last.to+ticksPerTen {
		last.from, last.to = min(last.from, from), max(last.to, to)
		return
	}
	copy(k.suspect[:], k.suspect[1:])
	*last = span{from, to}
}

// learnConversion counts the age of a conversion; suspect messages teach nothing.
func (k *key) learnConversion(age float64, submitted int64) {
	if !k.suspected(submitted, submitted) {
		k.learned.ConvAges[edge(conversionAges[:], age)]++
	}
}

// tell sets a baseline from an observation.
func (b *Book) tell(o *route.Observation) {
	if o.Baseline == nil || o.Baseline.Check() != nil {
		return
	}
	a := b.reported(o.Route)
	if a == nil {
		return
	}
	if k := b.key(a, o.Key(), o.Time); k != nil {
		k.learned.tell(o.Time, o.Baseline)
		k.normal, k.stamp = nil, 0
		b.changed[k.id] = true
	}
}

// Stored is the baseline of one key in the form that it is kept in between two runs.
type Stored struct {
	Key  route.Key
	Data []byte // JSON of Learned
}

// Changed returns the baselines that changed since the last call, in the order of their keys.
func (b *Book) Changed() []Stored {
	var out []Stored
	for id := range b.changed {
		k := b.keys[id]
		if k == nil {
			continue // forgotten since
		}
		data, err := json.Marshal(&k.learned)
		if err == nil { // finite numbers always marshal
			out = append(out, Stored{id, data})
		}
	}
	sort.Slice(out, func(i, j int) bool { return lessKey(out[i].Key, out[j].Key) })
	clear(b.changed)
	return out
}

// Restore sets baselines that an earlier run stored. After an error, those that stood before the wrong one are set.
func (b *Book) Restore(stored []Stored) error {
	for _, s := range stored {
		var l Learned
		err := json.Unmarshal(s.Data, &l)
		if err == nil {
			err = l.check()
		}
		if err != nil {
			return fmt.Errorf("restore baseline of %s %s %s: %w", s.Key.Route, s.Key.Class, s.Key.Network, err)
		}
		a := b.reported(s.Key.Route)
		if a == nil {
			continue
		}
		if k := b.key(a, s.Key, l.At); k != nil {
			k.learned, k.normal, k.stamp = l, nil, 0
		}
	}
	return nil
}

// KeyBaseline is the baseline in use for one key.
type KeyBaseline struct {
	Key      route.Key      `json:"key"`
	Source   string         `json:"source"` // own, or the pool it comes from; "" is cold
	Baseline route.Baseline `json:"baseline"`
}

// Baselines are the baselines in use, in the order of their keys.
func (b *Book) Baselines() []KeyBaseline {
	out := make([]KeyBaseline, 0, len(b.keys))
	b.pools = nil
	for _, k := range b.sortedKeys() {
		kb := KeyBaseline{Key: k.id}
		if n := b.normal(k, 0); n != nil {
			kb.Source, kb.Baseline = n.source, n.export()
		}
		out = append(out, kb)
	}
	return out
}

// Where a baseline comes from.
const (
	own         = "own"
	poolNetwork = "pool of the class on the network"
	poolClass   = "pool of the class"
)

// normal is the baseline to judge a key by: its own, else that of its class on its network over all routes, else that of
// its class; nil where none of them rests on enough.
func (b *Book) normal(k *key, minute int64) *normal {
	if n := k.learned.normal(own); n != nil {
		return n
	}
	b.fillPools(minute)
	if n := b.pools[pool{k.id.Class, k.id.Network}]; n != nil {
		return n
	}
	return b.pools[pool{class: k.id.Class}]
}

// pool names the keys that share a baseline: a class on a network, or, with no network, a class.
type pool struct {
	class   route.Class
	network route.Network
}

// fillPools sums the baselines of all keys, once for each minute in which somebody asks.
func (b *Book) fillPools(minute int64) {
	if b.pools != nil && b.poolsAt == minute {
		return
	}
	newest := time.Time{}
	for _, k := range b.keys {
		if k.learned.At.After(newest) {
			newest = k.learned.At
		}
	}
	sums := map[pool]*Learned{}
	for _, k := range b.sortedKeys() {
		if k.learned.messages() == 0 {
			continue
		}
		l := k.learned
		l.fade(newest)
		for _, p := range []pool{{k.id.Class, k.id.Network}, {class: k.id.Class}} {
			if sums[p] == nil {
				sums[p] = &Learned{}
			}
			sums[p].merge(&l)
		}
	}
	b.pools, b.poolsAt = map[pool]*normal{}, minute
	for p, sum := range sums {
		source := poolClass
		if p.network != "" {
			source = poolNetwork
		}
		if n := sum.normal(source); n != nil {
			b.pools[p] = n
		}
	}
}

// refresh brings the key's baseline and pace up to a minute, in minutes of the judge's clock; tick is how far the key is
// judged. A suspect key keeps what it had, so that an incident does not become the normal it is measured by.
func (k *key) refresh(b *Book, minute, tick int64, suspect bool) {
	if k.stamp == minute || suspect && k.normal != nil && k.stamp != 0 {
		return
	}
	k.stamp = minute
	n := b.normal(k, minute)
	if n == nil {
		k.normal = nil
		return
	}
	factor := k.pace(n, tick)
	if k.normal != nil && same(k.normal, n) && k.paced.factor == factor {
		return
	}
	k.normal = n
	k.exact, k.paced = newPaced(&n.receipts, 1), newPaced(&n.receipts, factor)
	k.convert = nil
	if n.conversion > 0 {
		k.convert = newPaced(&n.conversions, 1)
	}
}

// same reports whether two baselines are the same one: nothing was learned or told between them.
func same(a, b *normal) bool {
	return a.source == b.source && a.messages == b.messages && a.delivered == b.delivered && a.arrival == b.arrival && a.conversion == b.conversion
}
