// Package signal judges routes from observations: it keeps the cohorts of submitted messages, learns what is normal, and
// estimates for each route in each lane how many of its messages will end delivered, with the evidence that this is
// worse than normal. It is pure: the moment is an argument, and the same observations give the same signals.
package signal

import (
	"slices"
	"sort"
	"time"

	"signalbox/rules/route"
)

// Memory is how long cohorts are kept after their submits.
const Memory = ringSpan * Tick

// Tick is how often routes are judged, and the width of the youngest cohorts.
const Tick = tickSeconds * time.Second

// DefaultMaxKeys bounds the keys of a Book.
const DefaultMaxKeys = 100_000

// Options of a Book. Zero fields mean the documented defaults.
type Options struct {
	MaxKeys int // routes × classes × networks remembered; default DefaultMaxKeys
}

// Book keeps the cohorts, clocks, probes and baselines of all routes. It is not safe for use by several goroutines.
type Book struct {
	maxKeys  int
	lanes    []route.Lane
	waits    map[route.Class]time.Duration // receipt deadlines
	keys     map[route.Key]*key
	sorted   []*key           // the same in order; nil where keys came or went since
	byLane   map[place][]*key // by network
	rosters  map[route.Lane]*roster
	routes   map[route.ID]*account
	sources  map[string]*source
	swept    time.Time          // when what is no longer needed was last forgotten
	changed  map[route.Key]bool // baselines changed since the last Changed
	pools    map[pool]*normal   // baselines of pools of keys, as of the minute poolsAt
	poolsAt  int64              // in minutes since the Unix epoch
	troubled map[place]int64    // tick of the last trouble of routes that are out
	subjects []*subject         // reused from lane to lane
	stats    Stats
}

// Stats count what was observed and could not be used.
type Stats struct {
	Overflow uint64 // observations of keys, routes or sources beyond MaxKeys
	Unserved uint64 // observations of a class or network that no lane serves
	Late     uint64 // submits that came too late to be judged
	Old      uint64 // receipts and conversions of cohorts that are no longer held
	Lost     uint64 // open messages that were forgotten
	Keys     int    // keys held
}

// place is one route in one lane, or on one network of it, or in all lanes.
type place struct {
	lane  route.Lane
	route route.ID
	wide  bool
}

// New returns an empty Book.
func New(o Options) *Book {
	if o.MaxKeys <= 0 {
		o.MaxKeys = DefaultMaxKeys
	}
	return &Book{
		maxKeys:  o.MaxKeys,
		waits:    map[route.Class]time.Duration{},
		keys:     map[route.Key]*key{},
		byLane:   map[place][]*key{},
		rosters:  map[route.Lane]*roster{},
		routes:   map[route.ID]*account{},
		sources:  map[string]*source{},
		changed:  map[route.Key]bool{},
		troubled: map[place]int64{},
	}
}

// SetLanes says which lanes there are, so that each key counts in the lane that serves it, and how young an unanswered
// message of a class may be without counting as silence. Cohorts are kept.
func (b *Book) SetLanes(lanes []route.Lane, deadlines map[route.Class]time.Duration) {
	b.lanes, b.waits = lanes, deadlines
	b.byLane, b.rosters = map[place][]*key{}, map[route.Lane]*roster{}
	for _, k := range b.sortedKeys() {
		b.place(k)
	}
}

// deadline is how young an unanswered message of a class may be without counting as silence.
func (b *Book) deadline(c route.Class) time.Duration {
	if d, ok := b.waits[c]; ok {
		return d
	}
	return b.waits[route.AnyClass]
}

func (b *Book) sortedKeys() []*key {
	if b.sorted == nil {
		b.sorted = make([]*key, 0, len(b.keys))
		for _, k := range b.keys {
			b.sorted = append(b.sorted, k)
		}
		sort.Slice(b.sorted, func(i, j int) bool { return lessKey(b.sorted[i].id, b.sorted[j].id) })
	}
	return b.sorted
}

func lessKey(a, b route.Key) bool {
	if a.Route != b.Route {
		return a.Route < b.Route
	}
	if a.Class != b.Class {
		return a.Class < b.Class
	}
	return a.Network < b.Network
}

// placeOf is the place whose lane serves the key.
func (b *Book) placeOf(k *key) (place, bool) {
	i := route.Find(b.lanes, k.id.Class, k.id.Network)
	if i < 0 {
		return place{}, false
	}
	return place{lane: b.lanes[i], route: k.id.Route}, true
}

// place files the key under the lane that serves it, keeping the keys of a place in order.
func (b *Book) place(k *key) {
	p, ok := b.placeOf(k)
	if !ok {
		return
	}
	list := b.byLane[p]
	at := sort.Search(len(list), func(i int) bool { return !lessKey(list[i].id, k.id) })
	b.byLane[p] = slices.Insert(list, at, k)
	b.enrol(p, k)
}

// Stats are the counts since the Book was made.
func (b *Book) Stats() Stats {
	s := b.stats
	s.Keys = len(b.keys)
	return s
}

// Observe counts one joined observation at the moment now. It keeps nothing of o but its values.
func (b *Book) Observe(o *route.Observation, now time.Time) {
	switch o.Kind {
	case route.KindHeartbeat:
		b.heartbeat(o, now)
	case route.KindProbe:
		if a := b.reported(o.Route); a != nil {
			a.probe(o, now)
		}
	case route.KindBaseline:
		b.tell(o)
	case route.KindLost:
		b.lost(o)
	case route.KindDuplicate: // a repeated file must not move its source's clock
	default:
		b.message(o, now)
	}
}

func (b *Book) heartbeat(o *route.Observation, now time.Time) {
	s := b.source(o.Source)
	if s == nil {
		return
	}
	s.heard(o.Time, now)
	for _, id := range o.Routes {
		if a := b.reported(id); a != nil {
			a.clock.link(o.Source, s)
		}
	}
}

// message counts a submit, receipt or conversion, or one that is not to be counted but shows that its source is alive.
func (b *Book) message(o *route.Observation, now time.Time) {
	a := b.reported(o.Route)
	if a == nil {
		return
	}
	if a.clock.began.IsZero() {
		a.clock.began = now
	}
	s, l := b.reporter(a, o)
	switch o.Kind {
	case route.KindSubmit:
		b.submit(a, o, a.clock.submit(s, o.Time, now), now)
	case route.KindReceipt, route.KindConversion:
		a.clock.receipt(s, l, o, now)
		b.answer(a, o)
	case route.KindEarly:
		a.clock.astray.note(now, astrayMemory, true)
	case route.KindUnmatched:
		a.clock.unmatched.note(now, unmatchedMemory, true)
	case route.KindWithdrawn:
		b.withdraw(o)
	}
	s.heard(o.Time, now)
}

// Hear lets the source of o get as far as o.Time, without counting o. Whoever judges at a moment that o lies behind calls
// it first, so that the judgement knows how far its source has got.
func (b *Book) Hear(o *route.Observation, now time.Time) {
	switch o.Kind {
	case route.KindHeartbeat:
		b.heartbeat(o, now)
	case route.KindSubmit, route.KindReceipt, route.KindConversion:
		if a := b.reported(o.Route); a != nil {
			s, _ := b.reporter(a, o)
			s.heard(o.Time, now)
		}
	}
}

// submit counts a submit that came in time to be judged; of one that came late only that it did, so that nothing is
// learned from cohorts that are not whole.
func (b *Book) submit(a *account, o *route.Observation, inTime bool, now time.Time) {
	tick := tickOf(o.Time)
	if !inTime {
		b.stats.Late++
		if k := b.keys[o.Key()]; k != nil && a.clock.late.above(now, lateMemory, learnLeft) {
			k.accuse(tick, tick)
		}
		return
	}
	k := b.key(a, o.Key(), o.Time)
	if k == nil {
		return
	}
	k.advance(b, tick)
	k.answers.note(o)
	switch {
	case o.Result != route.Refused:
		k.ring.bump(tick, fieldSubmitted)
	case o.Fault == route.FaultRoute:
		k.ring.bump(tick, fieldSubmitted)
		k.ring.bump(tick, fieldFailed)
	case o.Fault == route.FaultCapacity:
		k.ring.bump(tick, fieldThrottled)
	}
}

// withdraw takes a submit out of its cohort that was refused after all, by nobody's illness.
func (b *Book) withdraw(o *route.Observation) {
	k := b.keys[o.Key()]
	if k == nil {
		return
	}
	k.answers.correct(o)
	k.ring.drop(tickOf(o.Submitted), fieldSubmitted)
	if o.Fault == route.FaultCapacity {
		k.ring.bump(tickOf(o.Submitted), fieldThrottled)
	}
}

// answer counts a receipt or conversion into the cohort of its submit.
func (b *Book) answer(a *account, o *route.Observation) {
	if o.Kind == route.KindReceipt && !o.Final {
		return
	}
	k := b.key(a, o.Key(), o.Submitted)
	if k == nil {
		return
	}
	age := o.Time.Sub(o.Submitted).Seconds()
	field := fieldFailed
	switch {
	case o.Kind == route.KindConversion:
		field = fieldConverted
	case o.Status == route.StatusDelivered:
		field = ageField(age)
	}
	tick := tickOf(o.Submitted)
	if o.Submitted.Sub(o.Time) <= earlyAllowed {
		k.advance(b, tick) // an answer may be told before the first submit of its tick
	}
	if !k.ring.bump(tick, field) {
		b.stats.Old++
		return
	}
	if field == fieldConverted {
		k.learnConversion(age, tick)
		a.proof = true
	} else {
		a.proven = true
	}
}

// lost notes that a message was forgotten before its receipt came: its cohort looks silent without being so.
func (b *Book) lost(o *route.Observation) {
	b.stats.Lost++
	a := b.routes[o.Route]
	if a == nil {
		return
	}
	a.clock.skip(o.Submitted.Add(Tick), "messages", forgotten)
	if k := b.keys[o.Key()]; k != nil {
		k.accuse(tickOf(o.Submitted), tickOf(o.Submitted))
	}
}

func (b *Book) key(a *account, id route.Key, at time.Time) *key {
	k := b.keys[id]
	if k != nil {
		return k
	}
	if len(b.lanes) > 0 && route.Find(b.lanes, id.Class, id.Network) < 0 {
		b.stats.Unserved++
		return nil
	}
	if len(b.keys) >= b.maxKeys {
		b.stats.Overflow++
		return nil
	}
	k = &key{id: id, ring: newRing(tickOf(at))}
	b.keys[id], b.sorted = k, nil
	a.add(k)
	b.place(k)
	return k
}

// tickOf is the tick that a moment lies in, in ticks since the Unix epoch.
func tickOf(t time.Time) int64 { return floorDiv(t.Unix(), tickSeconds) }

func timeOf(tick int64) time.Time { return time.Unix(tick*tickSeconds, 0).UTC() }
