// Package signal judges routes from observations: it keeps the cohorts of submitted messages, learns what is normal, and
// estimates for each route in each lane how many of its messages will end delivered, with the evidence that this is
// worse than normal. It is pure: the moment is an argument, and the same observations give the same signals.
package signal

import (
	"sort"
	"time"

	"signalbox/rules/route"
)

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
	byLane   map[place][]*key // by network
	routes   map[route.ID]*account
	sources  map[string]*source
	changed  map[route.Key]bool // baselines changed since the last Changed
	pools    map[pool]*normal   // baselines of pools of keys, as of the minute poolsAt
	poolsAt  int64
	troubled map[place]int64 // tick of the last trouble of routes that are out
	subjects []*subject      // reused from lane to lane
	stats    Stats
}

// Stats count what was observed and could not be used.
type Stats struct {
	Overflow uint64 // observations of keys beyond MaxKeys
	Late     uint64 // submits that came too late to be judged
	Old      uint64 // receipts and conversions of cohorts that are no longer held
	Lost     uint64 // open messages that were forgotten
	Keys     int    // keys held
}

// place is one route in one lane.
type place struct {
	lane  route.Lane
	route route.ID
}

// account is what is known of a route beside its messages.
type account struct {
	clock  clock
	probes map[probeKey]*probeLog
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
	b.byLane = map[place][]*key{}
	for _, k := range b.sortedKeys() {
		b.place(k)
	}
}

func (b *Book) sortedKeys() []*key {
	all := make([]*key, 0, len(b.keys))
	for _, k := range b.keys {
		all = append(all, k)
	}
	sort.Slice(all, func(i, j int) bool { return lessKey(all[i].id, all[j].id) })
	return all
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

// place files the key under the lane that serves it, keeping the keys of a place in order.
func (b *Book) place(k *key) {
	i := route.Find(b.lanes, k.id.Class, k.id.Network)
	if i < 0 {
		return
	}
	p := place{b.lanes[i], k.id.Route}
	at := sort.Search(len(b.byLane[p]), func(i int) bool { return !lessKey(b.byLane[p][i].id, k.id) })
	list := append(b.byLane[p], nil)
	copy(list[at+1:], list[at:])
	list[at] = k
	b.byLane[p] = list
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
		b.account(o.Route).probe(o)
	case route.KindBaseline:
		b.tell(o)
	case route.KindLost:
		b.lost(o)
	default:
		b.message(o, now)
	}
}

func (b *Book) account(id route.ID) *account {
	a := b.routes[id]
	if a == nil {
		a = &account{}
		b.routes[id] = a
	}
	return a
}

func (b *Book) source(name string) *source {
	s := b.sources[name]
	if s == nil {
		s = &source{}
		b.sources[name] = s
	}
	return s
}

func (b *Book) heartbeat(o *route.Observation, now time.Time) {
	if len(b.sources) >= b.maxKeys && b.sources[o.Source] == nil {
		b.stats.Overflow++
		return
	}
	s := b.source(o.Source)
	s.heard(o.Time, now)
	for _, id := range o.Routes {
		b.account(id).clock.link(o.Source, s)
	}
}

// message counts a submit, receipt or conversion, or one that is not to be counted but shows that its source is alive.
func (b *Book) message(o *route.Observation, now time.Time) {
	a := b.account(o.Route)
	s, l := b.reporter(a, o)
	switch o.Kind {
	case route.KindSubmit:
		if a.clock.submit(s, o.Time, now) {
			b.submit(o)
		} else {
			b.stats.Late++
		}
	case route.KindReceipt, route.KindConversion:
		a.clock.receipt(s, l, o.Time, now)
		b.answer(o)
	case route.KindDuplicate:
		return // a repeated file must not move its source's clock
	}
	s.heard(o.Time, now)
}

// reporter is the source of an observation, and what it means to the route: the one that the observation names, else the
// only one that names the route in its heartbeats, else the route's own nameless one.
func (b *Book) reporter(a *account, o *route.Observation) (*source, *link) {
	if o.Source != "" && (len(b.sources) < b.maxKeys || b.sources[o.Source] != nil) {
		s := b.source(o.Source)
		return s, a.clock.link(o.Source, s)
	}
	if o.Source == "" && len(a.clock.sources) == 1 {
		for _, l := range a.clock.sources {
			return l.source, l
		}
	}
	return &a.clock.own, nil
}

// Hear lets the source of o get as far as o.Time, without counting o. Whoever judges at a moment that o lies behind calls
// it first, so that the judgement knows how far its source has got.
func (b *Book) Hear(o *route.Observation, now time.Time) {
	switch o.Kind {
	case route.KindHeartbeat:
		b.heartbeat(o, now)
	case route.KindSubmit, route.KindReceipt, route.KindConversion:
		s, _ := b.reporter(b.account(o.Route), o)
		s.heard(o.Time, now)
	}
}

func (b *Book) submit(o *route.Observation) {
	k := b.key(o.Key(), o.Time)
	if k == nil {
		return
	}
	tick := tickOf(o.Time)
	k.advance(b, tick)
	k.answers.note(o)
	if o.Result == route.Refused && o.Fault != route.FaultRoute {
		if o.Fault == route.FaultCapacity {
			k.ring.bump(tick, fieldThrottled)
		}
		return
	}
	k.ring.bump(tick, fieldSubmitted)
	if o.Result == route.Refused {
		k.ring.bump(tick, fieldFailed)
	}
}

// answer counts a receipt or conversion into the cohort of its submit.
func (b *Book) answer(o *route.Observation) {
	if o.Kind == route.KindReceipt && !o.Final {
		return
	}
	k := b.key(o.Key(), o.Submitted)
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
	if !k.ring.bump(tickOf(o.Submitted), field) {
		b.stats.Old++
	}
	if field == fieldConverted {
		k.learnConversion(age, o.Time)
	}
}

// lost notes that a message was forgotten before its receipt came: its cohort would look silent without being so.
func (b *Book) lost(o *route.Observation) {
	b.stats.Lost++
	b.account(o.Route).clock.skip(o.Submitted.Add(Tick))
}

func (b *Book) key(id route.Key, at time.Time) *key {
	k := b.keys[id]
	if k != nil {
		return k
	}
	if len(b.keys) >= b.maxKeys {
		b.stats.Overflow++
		return nil
	}
	k = &key{id: id, ring: newRing(tickOf(at))}
	b.keys[id] = k
	b.place(k)
	return k
}

// tickOf is the tick that a moment lies in, in ticks since the Unix epoch.
func tickOf(t time.Time) int64 { return floorDiv(t.Unix(), tickSeconds) }

func timeOf(tick int64) time.Time { return time.Unix(tick*tickSeconds, 0).UTC() }
