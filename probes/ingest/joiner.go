package ingest

import (
	"errors"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"signalbox/rules/route"
)

// JoinerOptions are the bounds of a Joiner; zero fields mean the default.
type JoinerOptions struct {
	MaxMessages int           // messages remembered, open and closed; default 2,000,000
	MaxAge      time.Duration // of event time that a message is remembered for; default 24h
	HoldEarly   time.Duration // of event time that a receipt waits for its submit; default 60s
	MaxEarly    int           // receipts that may wait; default 100,000
}

// JoinerStats counts what a Joiner holds and what it has done.
type JoinerStats struct {
	Remembered     int    // messages in memory
	Open           int    // those of them that were accepted and have no final status
	Early          int    // receipts and conversions waiting for their submit
	Evicted        uint64 // open messages forgotten; each gave a KindLost
	Duplicates     uint64
	Unmatched      uint64
	Contradictions uint64
}

// Joiner gives every receipt and conversion the key and the submit time of its message, and lets each count once.
//
// Messages are known by a 64-bit hash of route and id and are remembered in the order in which they came, in as many
// shards as pays; the bounds hold for each shard's even part of them. Time is event time: the latest time of any
// observation seen, so the same observations by one caller give the same answers, however fast they come. What is due by
// time is looked for once in a second of it.
//
// Observations must have times from 1970 to 2105, as a Decoder's have. A Joiner may be used by many goroutines.
type Joiner struct {
	shards []shard
	maxAge int64        // seconds
	hold   int64        // nanoseconds
	clock  atomic.Int64 // the latest event time seen, in Unix nanoseconds, rounded down to clockStep
	sweep  atomic.Int64 // the event time of the next sweep
}

const (
	maxShards    = 64
	minShardSize = 1024 // messages; below, the shards' parts would be too uneven
	sweepEvery   = int64(time.Second)
	// clockStep keeps callers in parallel from writing the clock with every observation.
	clockStep = int64(10 * time.Millisecond)
)

// NewJoiner returns a joiner that remembers nothing yet.
func NewJoiner(o JoinerOptions) (*Joiner, error) {
	if o.MaxMessages < 0 || o.MaxAge < 0 || o.HoldEarly < 0 || o.MaxEarly < 0 {
		return nil, errors.New("joiner options: want no negative bounds")
	}
	o = o.withDefaults()
	n := 1
	for n < maxShards && o.MaxMessages/(2*n) >= minShardSize {
		n *= 2
	}
	j := &Joiner{shards: make([]shard, n), maxAge: int64(o.MaxAge / time.Second), hold: int64(o.HoldEarly)}
	for i := range j.shards {
		j.shards[i].max = max(1, o.MaxMessages/n)
		j.shards[i].early.max = max(1, o.MaxEarly/n)
	}
	return j, nil
}

func (o JoinerOptions) withDefaults() JoinerOptions {
	if o.MaxMessages == 0 {
		o.MaxMessages = 2_000_000
	}
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.HoldEarly == 0 {
		o.HoldEarly = time.Minute
	}
	if o.MaxEarly == 0 {
		o.MaxEarly = 100_000
	}
	return o
}

// Join hands to emit what follows from o: nothing where o has to wait, o itself with its key and submit time, and
// whatever became due or matched by it. It changes o. What emit is given is valid until emit returns, and emit is called
// without a lock held.
//
// A submit counts once, and once more where the first was refused or timed out and this one, a second later or more, was
// accepted: then the message was tried again. One that was accepted and is then refused was refused by the carrier behind
// a gateway: that counts as a final failure by the route's fault, and is KindWithdrawn by anybody else's. A receipt counts once for each status; one that falls behind what is known is KindDuplicate,
// the first final one has Final set, a different final one after it is KindContradiction. A conversion counts once. A
// receipt or conversion with Submitted set needs no submit; one without is KindEarly while it waits for it, and counts
// when the submit comes or is KindUnmatched in the end.
// An accepted message that is forgotten before its final status gives KindLost. Other kinds pass through.
func (j *Joiner) Join(o *route.Observation, emit func(*route.Observation)) {
	now := j.advance(o.Time.UnixNano())
	if at := j.sweep.Load(); now >= at && j.sweep.CompareAndSwap(at, now+sweepEvery) {
		j.sweepAll(now, emit)
	}
	switch o.Kind {
	case route.KindSubmit, route.KindReceipt, route.KindConversion:
		j.join(o, now, emit)
	default:
		emit(o)
	}
}

// advance moves the clock forward to t, never back, and returns it.
func (j *Joiner) advance(t int64) int64 {
	t -= t % clockStep
	for {
		now := j.clock.Load()
		if t <= now {
			return now
		}
		if j.clock.CompareAndSwap(now, t) {
			return t
		}
	}
}

func (j *Joiner) join(o *route.Observation, now int64, emit func(*route.Observation)) {
	h := identity(o.Route, o.Message)
	o.Hash = h
	s := &j.shards[h&uint64(len(j.shards)-1)]
	s.mu.Lock()
	out := s.join(o, h, now)
	s.mu.Unlock()
	if out.lost.open {
		emit(out.lost.observation(now))
	}
	if out.dropped != nil {
		emit(&out.dropped.o)
	}
	if out.held {
		o.Kind = route.KindEarly // what waits is a copy
	}
	emit(o)
	for e := out.released; e != nil; e = e.same {
		emit(&e.o)
	}
}

// Knows reports whether an observation is of a message that senders told of: whose submit is remembered, or that says itself
// when it was submitted.
func (j *Joiner) Knows(o *route.Observation) bool {
	if !o.Submitted.IsZero() {
		return true
	}
	h := identity(o.Route, o.Message)
	s := &j.shards[h&uint64(len(j.shards)-1)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(h) != nil
}

// sweepAll forgets what is too old in every shard.
func (j *Joiner) sweepAll(now int64, emit func(*route.Observation)) {
	for i := range j.shards {
		lost, unmatched := j.shards[i].sweep(now, j.maxAge, now-j.hold)
		for k := range lost {
			emit(lost[k].observation(now))
		}
		for _, e := range unmatched {
			emit(&e.o)
		}
	}
}

// Stats adds up the shards' counts; shards that are busy meanwhile may be counted a little apart.
func (j *Joiner) Stats() JoinerStats {
	var sum JoinerStats
	for i := range j.shards {
		s := &j.shards[i]
		s.mu.Lock()
		n := s.stats
		n.Remembered = s.ring.len()
		n.Early = s.early.n
		s.mu.Unlock()
		sum.add(n)
	}
	return sum
}

func (a *JoinerStats) add(b JoinerStats) {
	a.Remembered += b.Remembered
	a.Open += b.Open
	a.Early += b.Early
	a.Evicted += b.Evicted
	a.Duplicates += b.Duplicates
	a.Unmatched += b.Unmatched
	a.Contradictions += b.Contradictions
}

// identity is how a message is known: ids are unique only within a route.
func identity(r route.ID, message string) uint64 { return MessageHash(message) ^ RouteHash(r) }

// MessageHash is the part of an observation's hash that comes from the message's id: the hash is MessageHash ^ RouteHash, so
// that whoever has it and the route knows the same message on another route again.
func MessageHash(id string) uint64 { return xxhash.Sum64String(id) }

// RouteHash is the part of an observation's hash that comes from its route.
func RouteHash(r route.ID) uint64 { return bits.RotateLeft64(xxhash.Sum64String(string(r)), 32) }

// lost is an entry that was forgotten.
type lost struct {
	key       route.Key
	hash      uint64
	submitted int64
	open      bool // whether it was still open; nobody misses the others
}

func (l *lost) observation(now int64) *route.Observation {
	return &route.Observation{
		Kind: route.KindLost, Time: fromNano(now), Submitted: fromNano(l.submitted),
		Route: l.key.Route, Class: l.key.Class, Network: l.key.Network, Hash: l.hash,
	}
}

func fromNano(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// bit is the bit of a status in entry.seen.
func bit(s route.Status) uint8 { return 1 << s }

// highest is the highest status whose bit is set; seen is not 0.
func highest(seen uint8) route.Status { return route.Status(bits.Len8(seen) - 1) }
