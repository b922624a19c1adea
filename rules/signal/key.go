package signal

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"time"

	"signalbox/rules/route"
)

// key is all that is kept of one route, class and network.
type key struct {
	id      route.Key
	ring    *ring
	learned Learned
	answers answers
	suspect [4]span // when it was suspect or demoted, newest last; what was sent then is not learned
	paced   *paced  // its receipt curve at today's pace
	exact   *paced  // its receipt curve as learned
	convert *paced  // its conversion curve as learned
	normal  *normal
	own     bool  // normal rests on the key's own messages
	stamp   int64 // minute that normal and paced were made in
}

// span is a stretch of ticks, both ends in it.
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
		k.learned.learn(timeOf((minute+1)*ticksPerMid), c)
		b.changed[k.id] = true
	})
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
func (k *key) learnConversion(age float64, at time.Time) {
	tick := tickOf(at) - int64(age)/tickSeconds
	if !k.suspected(tick, tick) {
		k.learned.fade(at)
		k.learned.ConvAges[sort.SearchFloat64s(conversionAges[:], age)]++
	}
}

// tell sets a baseline from an observation.
func (b *Book) tell(o *route.Observation) {
	if k := b.key(o.Key(), o.Time); k != nil {
		k.learned.tell(o.Time, o.Baseline)
		k.stamp = 0
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
		data, err := json.Marshal(&b.keys[id].learned)
		if err == nil { // finite numbers always marshal
			out = append(out, Stored{id, data})
		}
	}
	sort.Slice(out, func(i, j int) bool { return lessKey(out[i].Key, out[j].Key) })
	clear(b.changed)
	return out
}

// Restore sets baselines that an earlier run stored.
func (b *Book) Restore(stored []Stored) error {
	for _, s := range stored {
		var l Learned
		if err := json.Unmarshal(s.Data, &l); err != nil {
			return fmt.Errorf("restore baseline of %s %s %s: %w", s.Key.Route, s.Key.Class, s.Key.Network, err)
		}
		if k := b.key(s.Key, l.At); k != nil {
			k.learned = l
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

// normal is the baseline to judge a key by: its own, else that of its class on its network over all routes, else that of
// its class.
func (b *Book) normal(k *key, minute int64) *normal {
	if n := k.learned.normal(); n != nil {
		n.source = "own"
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
	sums := map[pool]*Learned{}
	for _, k := range b.sortedKeys() {
		for _, p := range []pool{{k.id.Class, k.id.Network}, {class: k.id.Class}} {
			if sums[p] == nil {
				sums[p] = &Learned{}
			}
			sums[p].merge(&k.learned)
		}
	}
	b.pools, b.poolsAt = map[pool]*normal{}, minute
	for p, sum := range sums {
		if n := sum.normal(); n != nil {
			n.source = "pool of the class"
			if p.network != "" {
				n.source += " on the network"
			}
			b.pools[p] = n
		}
	}
}

// The delay safety factor: how much slower than learned the receipts of healthy messages may be today.
const (
	paceUnknown  = 1.5  // while too few receipts tell
	paceMaximum  = 2.0  // slower than this is a finding, not a pace
	paceMargin   = 1.05 // over what the last hour shows
	paceReceipts = 200  // that must tell
	paceNats     = 3.0  // a pace is believed possible while its likelihood is so close to the best
)

// refresh brings the key's baseline and pace up to the minute of a tick. A suspect key keeps what it had, so that an
// incident does not become the normal it is measured by.
func (k *key) refresh(b *Book, tick int64, suspect bool) {
	minute := floorDiv(tick, ticksPerMid)
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
	if k.normal != nil && k.paced != nil && same(k.normal, n) && k.paced.factor == factor {
		return
	}
	k.normal = n
	k.exact, k.paced = newPaced(&n.receipts, 1), newPaced(&n.receipts, factor)
	k.convert = nil
	if n.conversion > 0 {
		k.convert = newPaced(&n.conversions, 1)
	}
}

// same reports whether two baselines are the same one: nothing was learned between them.
func same(a, b *normal) bool { return a.source == b.source && a.messages == b.messages }

// pace is the delay safety factor for now: what the receipts of the last hour, those of the last five minutes left out,
// still allow, with a margin; paceUnknown while there are too few.
func (k *key) pace(n *normal, tick int64) float64 {
	var seen Counts
	for t := tick - ringHour; t < tick-settledTicks; {
		s := k.ring.slot(t)
		width := int64(1)
		if s >= midOffset {
			width = ticksPerMid - mod(t, ticksPerMid)
		}
		if s >= 0 && s < coarseOffset {
			c := k.ring.at(s)
			seen.add(&c)
		}
		t += width
	}
	if seen.delivered() < paceReceipts {
		return paceUnknown
	}
	return clamp(slowest(&n.receipts, &seen)*paceMargin, 1, paceMaximum)
}

const (
	ringHour     = 3600 / tickSeconds
	settledTicks = 300 / tickSeconds
)

// slowest is the slowest pace whose likelihood, given receipts by age, is within paceNats of the best one.
func slowest(f *curve, seen *Counts) float64 {
	const steps = 40
	var fit [steps]float64
	best := math.Inf(-1)
	for i := range fit {
		fit[i] = paceLikelihood(f, seen, paceAt(i))
		best = math.Max(best, fit[i])
	}
	for i := steps - 1; i > 0; i-- {
		if fit[i] >= best-paceNats {
			return paceAt(i)
		}
	}
	return paceAt(0)
}

// paceAt are the paces tried: 0.5 to about 2, in steps of 3.6 %.
func paceAt(i int) float64 { return 0.5 * math.Pow(1.036, float64(i)) }

func paceLikelihood(f *curve, seen *Counts, pace float64) float64 {
	// Receipts up to 60 s tell the pace; later ones say more about retries than about speed.
	const last = 6
	total := f.at(receiptAges[last-1] / pace)
	sum, before := 0.0, 0.0
	for i := range last {
		share := f.at(receiptAges[i] / pace)
		if n := float64(seen[fieldDelivered+i]); n > 0 {
			sum += n * math.Log(math.Max((share-before)/total, 1e-9))
		}
		before = share
	}
	return sum
}
