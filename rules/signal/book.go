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
const DefaultMaxKeys = 500_000

// Options of a Book. Zero fields mean the documented defaults.
type Options struct {
	MaxKeys int // routes × classes × networks remembered; default DefaultMaxKeys
}

// Book keeps the cohorts, clocks, probes and baselines of all routes. It is not safe for use by several goroutines.
type Book struct {
	maxKeys  int
	lanes    []route.Lane
	terms    map[route.Class]Terms
	volumes  map[route.Class]*volumes // of conversions, by class
	keys     map[route.Key]*key
	roll     roll             // the same in order
	byLane   map[place][]*key // by network
	crowds   map[place]*crowds
	live     map[route.Lane]*live
	serving  map[pool]int // indices of lanes by the class and network that they were found for
	routes   map[route.ID]*account
	sources  map[string]*source
	swept    time.Time  // when what is no longer needed was last forgotten
	sweeping *route.Key // the key from which the sweep goes on; nil where it is done
	round    time.Time  // of the last judgement
	room     int        // keys that pools may still sum up in that round
	changed  []*key     // keys whose baselines changed since the last Changed
	pools    pools
	newest   newest
	troubled map[place]int64 // tick of the last trouble of routes that are out
	belated  map[place]int64 // the same of receipts that are late
	subjects []*subject      // reused from lane to lane
	values   []float64       // the same
	filling  filling
	stats    Stats
	version  uint64 // grows with whatever may change the time of a route
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
		terms:    map[route.Class]Terms{},
		volumes:  map[route.Class]*volumes{},
		keys:     map[route.Key]*key{},
		byLane:   map[place][]*key{},
		crowds:   map[place]*crowds{},
		live:     map[route.Lane]*live{},
		serving:  map[pool]int{},
		routes:   map[route.ID]*account{},
		sources:  map[string]*source{},
		troubled: map[place]int64{},
		belated:  map[place]int64{},
	}
}

// Terms are what a class asks of its messages.
type Terms struct {
	Deadline time.Duration // how young an unanswered message may be without counting as silence
	Within   time.Duration // in which a message should arrive; 0 is not said
}

// SetLanes says which lanes there are, so that each key counts in the lane that serves it, and what their classes ask.
// Cohorts are kept.
func (b *Book) SetLanes(lanes []route.Lane, terms map[route.Class]Terms) {
	b.lanes, b.terms = lanes, terms
	for _, v := range b.volumes {
		v.rows = nil
		clear(v.index)
	}
	b.byLane, b.live, b.serving = map[place][]*key{}, map[route.Lane]*live{}, map[pool]int{}
	was := b.crowds
	b.crowds = map[place]*crowds{}
	for p, c := range was {
		if slices.Contains(lanes, p.lane) {
			b.crowds[p] = c
		}
	}
	for _, k := range b.roll.sorted() {
		k.terms = b.termsOf(k.id.Class)
		b.place(k)
		if k.live {
			b.enliven(k)
		}
	}
}

// termsOf are what a class asks: its own terms, else those of every class.
func (b *Book) termsOf(c route.Class) Terms {
	if t, ok := b.terms[c]; ok {
		return t
	}
	return b.terms[route.AnyClass]
}

// serves is the index of the lane that serves a class and network, or -1 where none does.
func (b *Book) serves(c route.Class, n route.Network) int {
	i, known := b.serving[pool{c, n}]
	if !known {
		if i = route.Find(b.lanes, c, n); i >= 0 {
			b.serving[pool{c, n}] = i
		}
	}
	return i
}

// placeOf is the place whose lane serves the key.
func (b *Book) placeOf(k *key) (place, bool) {
	i := b.serves(k.id.Class, k.id.Network)
	if i < 0 {
		return place{}, false
	}
	return place{lane: b.lanes[i], route: k.id.Route}, true
}

// place files the key under the lane that serves it, keeping the keys of a place in order.
func (b *Book) place(k *key) {
	p, ok := b.placeOf(k)
	if !ok {
		k.crowds = &crowds{}
		return
	}
	if b.crowds[p] == nil {
		b.crowds[p] = &crowds{}
	}
	k.crowds = b.crowds[p]
	list := b.byLane[p]
	at := sort.Search(len(list), func(i int) bool { return !lessKey(list[i].id, k.id) })
	b.byLane[p] = slices.Insert(list, at, k)
}

// Stats are the counts since the Book was made.
func (b *Book) Stats() Stats {
	s := b.stats
	s.Keys = len(b.keys)
	return s
}

// Observe counts one joined observation at the moment now. It keeps nothing of o but its values.
func (b *Book) Observe(o *route.Observation, now time.Time) {
	b.version++
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
		if l != nil {
			l.submits = true
		}
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
	b.version++
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
	if o.Result != route.Refused || o.Fault == route.FaultRoute {
		k.crowds.note(tick)
	}
	b.stir(k)
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
	b.stir(k)
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
	b.stir(k)
	if field >= fieldDelivered {
		k.took(tick, age)
	}
	if field == fieldConverted {
		k.learnConversion(age, tick)
		b.volumeOf(k.id.Class).heard(o.Time)
		a.proof = true
	} else {
		a.proven, a.undated = true, o.Undated
		k.arrive(tickOf(o.Time), tick)
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
	if len(b.lanes) > 0 && b.serves(id.Class, id.Network) < 0 {
		b.stats.Unserved++
		return nil
	}
	if len(b.keys) >= b.maxKeys {
		b.stats.Overflow++
		return nil
	}
	k = &key{id: id, ring: newRing(tickOf(at)), terms: b.termsOf(id.Class), phase: phaseOf(id)}
	b.keys[id] = k
	b.roll.add(k)
	a.add(k)
	b.place(k)
	return k
}

// tickOf is the tick that a moment lies in, in ticks since the Unix epoch.
func tickOf(t time.Time) int64 { return floorDiv(t.Unix(), tickSeconds) }

func timeOf(tick int64) time.Time { return time.Unix(tick*tickSeconds, 0).UTC() }
