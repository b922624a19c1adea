package signal

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"sort"
	"time"

	"signalbox/rules/route"
)

// key is all that is kept of one route, class and network.
type key struct {
	id      route.Key
	ring    ring
	learned Learned
	crowds  *crowds   // of its place
	arrived *arrivals // nil while it has too few messages
	answers answers
	suspect stretches // when it was suspect or out; what was sent then is not learned
	lasting stretches // when it was out, or in trouble for longer than a campaign is; nor is how messages go together
	trouble span      // the newest trouble while it was not out
	normal  *normal   // nil while it is cold
	terms   Terms     // of its class
	timing  *timing   // how long its receipts take; nil until one came or it is judged
	factor  float64   // today's pace: how much slower than normal its receipts may be
	phase   uint8     // seconds by which its minutes begin earlier than those of the clock
	stamp   int64     // minute that normal and factor were made in; 0 where they are to be made anew
	live    bool      // its lane knows that it has messages
	changed bool      // its baseline has, since the last Changed
}

// span is a stretch of ticks, both ends in it.
type span struct{ from, to int64 }

// stretches are some spans, newest last. As those that lie within ten minutes of each other are one, so many of them reach
// back further than what may still be learned.
type stretches []span

const maxSpans = 8

// hold reports whether one of the stretches has some of the ticks from..to.
func (s stretches) hold(from, to int64) bool {
	for _, x := range s {
		if from <= x.to && to >= x.from {
			return true
		}
	}
	return false
}

// add adds the ticks from..to, extending the last span where they touch.
func (s *stretches) add(from, to int64) {
	if n := len(*s); n > 0 {
		if last := &(*s)[n-1]; from <= last.to+ticksPerTen {
			last.from, last.to = min(last.from, from), max(last.to, to)
			return
		}
	}
	if len(*s) == maxSpans {
		copy(*s, (*s)[1:])
		*s = (*s)[:maxSpans-1]
	}
	*s = append(*s, span{from, to})
}

// advance moves the ring's head to a tick and learns what matures by it.
func (k *key) advance(b *Book, tick int64) {
	if tick <= k.ring.head {
		return
	}
	k.ring.advance(tick, func(minute int64, c *Counts) {
		if k.learnTogether(minute, c) {
			b.change(k, k.learned.At)
		}
		if k.suspected(minute*ticksPerMid, minute*ticksPerMid+ticksPerMid-1) {
			return
		}
		was := k.learned.At
		if k.learned.learn(timeOf((minute+1)*ticksPerMid), c) {
			b.change(k, was)
		}
	})
}

// reach moves the ring to the tick that is judged. A ring that is far ahead of it was led there by a clock that has been
// set back since: nothing in it can be dated.
func (k *key) reach(b *Book, tick int64) {
	if k.ring.head-tick >= fineSlots {
		k.ring, k.answers, k.suspect, k.lasting, k.trouble, k.timing = newRing(tick), answers{}, nil, nil, span{}, nil
	}
	k.advance(b, tick)
}

func (k *key) suspected(from, to int64) bool { return k.suspect.hold(from, to) }

// accuse marks the ticks from..to as suspect.
func (k *key) accuse(from, to int64) { k.suspect.add(from, to) }

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
		was := k.learned.At
		k.learned.tell(o.Time, o.Baseline)
		k.normal, k.stamp = nil, 0
		b.change(k, was)
	}
}

// Carried are the baselines that the keys of their own have learned or were told so far, in the form that observations
// tell them in and in the order of their keys: for a recording, whose beginning they explain. Those that rest on too
// little to act on are among them.
func (b *Book) Carried() []route.Observation {
	var out []route.Observation
	for _, k := range b.roll.sorted() {
		if known := k.learned.carried(); known != nil {
			out = append(out, route.Observation{Kind: route.KindBaseline, Time: k.learned.At, Route: k.id.Route, Class: k.id.Class, Network: k.id.Network, Baseline: known})
		}
	}
	return out
}

// Carry sets a baseline that Carried gave, unless its key has learned or was told another.
func (b *Book) Carry(o *route.Observation) {
	if k := b.keys[o.Key()]; k == nil || k.learned.messages() == 0 {
		b.tell(o)
	}
}

// Stored is the baseline of one key in the form that it is kept in between two runs.
type Stored struct {
	Key  route.Key
	Data []byte // JSON of Learned
}

// change notes that the baseline of a key, which was of another moment, has changed.
func (b *Book) change(k *key, was time.Time) {
	b.newest.moved(k, was)
	if !k.changed {
		k.changed, b.changed = true, append(b.changed, k)
	}
}

// changedPerRound is how many baselines Changed returns at most: those of all keys change at the same second of a minute, and
// nothing is lost when some are stored a few rounds later.
const changedPerRound = 2_000

// Changed returns baselines that changed since they were last returned, in the order of their keys: all of them, or, where
// they are very many, those that changed first.
func (b *Book) Changed() []Stored {
	var out []Stored
	n := min(len(b.changed), changedPerRound)
	for _, k := range b.changed[:n] {
		k.changed = false
		if b.keys[k.id] != k {
			continue // forgotten since
		}
		data, err := json.Marshal(&k.learned)
		if err == nil { // finite numbers always marshal
			out = append(out, Stored{k.id, data})
		}
	}
	sort.Slice(out, func(i, j int) bool { return lessKey(out[i].Key, out[j].Key) })
	b.changed = slices.Delete(b.changed, 0, n)
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
			was := k.learned.At
			k.learned, k.normal, k.stamp = l, nil, 0
			b.newest.moved(k, was)
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
	var now pools
	now.fill(b.roll.sorted(), 0)
	for _, k := range b.roll.sorted() {
		kb := KeyBaseline{Key: k.id}
		if n := now.normal(k); n != nil {
			kb.Source, kb.Baseline = n.source, n.export()
		}
		out = append(out, kb)
	}
	return out
}

// refresh brings the key's baseline and pace up to date once a minute of the judge's clock, which shows so many seconds;
// tick is how far the key is judged. The minutes of keys begin at different seconds, so that no round has all the work. A
// suspect key keeps what it had, so that an incident does not become the normal it is measured by.
func (k *key) refresh(b *Book, now, tick int64, suspect bool) {
	minute := floorDiv(now+int64(k.phase), 60)
	if k.stamp == minute || suspect && k.normal != nil && k.stamp != 0 {
		return
	}
	k.stamp = minute
	n := b.normal(k, floorDiv(now, 60))
	if n == nil {
		k.normal = nil
		return
	}
	factor := k.pace(n, tick)
	if k.normal == nil || !same(k.normal, n) || k.factor != factor {
		k.normal, k.factor = n, factor
	}
}

// phaseOf spreads keys over the ticks of a minute.
func phaseOf(id route.Key) uint8 {
	h := fnv.New32a()
	for _, name := range [...]string{string(id.Route), string(id.Class), string(id.Network)} {
		_, _ = io.WriteString(h, name) // a hash takes everything
	}
	return uint8(h.Sum32() % (60 / tickSeconds) * tickSeconds)
}

// same reports whether two baselines are the same one: nothing was learned or told between them.
func same(a, b *normal) bool {
	return a.source == b.source && a.messages == b.messages && a.delivered == b.delivered && a.arrival == b.arrival && a.conversion == b.conversion
}
