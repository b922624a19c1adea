package ingest

import (
	"sync"
	"time"

	"signalbox/rules/route"
)

// entry is what is remembered of a message. There are millions of them: keep it at 32 bytes and free of pointers, which
// the garbage collector would follow.
type entry struct {
	hash      uint64
	submitted int64  // Unix nanoseconds
	born      uint32 // event time at which it was first heard of, in Unix seconds; grows along the ring
	key       uint32 // in shard.keys
	seen      uint8  // bit s: a receipt of status s came
	flags     uint8
}

const (
	flagSubmitted uint8 = 1 << iota // a submit was counted
	flagAccepted                    // one that was accepted
	flagFinal                       // the final status was counted
	flagConverted                   // a conversion was counted
)

// open reports whether a final status is still expected. A refused message gets none, one that timed out may or may not,
// and one that is known from its receipts alone comes with all that they need.
func (e *entry) open() bool { return e.flags&(flagAccepted|flagFinal) == flagAccepted }

// shard is one part of a Joiner.
type shard struct {
	mu    sync.Mutex // guards everything below but the two bounds called max
	max   int
	ring  ring
	index index
	keys  keys
	early early
	stats JoinerStats
	_     [64]byte // its neighbour's mutex belongs on another cache line
}

const second = int64(time.Second)

// outcome is what follows from an observation besides itself.
type outcome struct {
	held     bool  // the observation waits, as a copy
	lost     lost  // the message that was forgotten to make room
	dropped  *wait // the one that waited longest and was given up to make room
	released *wait // those that waited for this submit, in order, linked by same
}

func (s *shard) join(o *route.Observation, h uint64, now int64) outcome {
	e := s.find(h)
	switch {
	case o.Kind == route.KindSubmit:
		return s.submit(e, o, h, now)
	case e != nil:
		s.count(e, o)
		return outcome{}
	case o.Submitted.IsZero():
		return s.wait(o, h, now)
	}
	e, l := s.remember(h, o.Key(), o.Submitted.UnixNano(), now)
	s.count(e, o)
	return outcome{lost: l}
}

func (s *shard) submit(e *entry, o *route.Observation, h uint64, now int64) (out outcome) {
	accepted := o.Result == route.Accepted
	switch {
	case e == nil:
		e, out.lost = s.remember(h, o.Key(), o.Time.UnixNano(), now)
	case e.flags&(flagAccepted|flagFinal) == flagAccepted && o.Result == route.Refused && o.Time.UnixNano() > e.submitted-second:
		s.refuse(e, o)
		return out
	case e.flags&flagSubmitted != 0 && (!accepted || e.flags&flagAccepted != 0 || oneAttempt(e, o)):
		s.duplicate(o)
		return out
	}
	s.change(e, func() {
		e.flags |= flagSubmitted
		e.submitted = o.Time.UnixNano()
		if accepted {
			e.flags |= flagAccepted
		}
	})
	out.released = s.early.release(h)
	for w := out.released; w != nil; w = w.same {
		w.o.Waited = true
		s.count(e, &w.o)
	}
	return out
}

// refuse ends a message that a gateway accepted and its carrier then refused: as a failure where that is the route's
// fault, and as if it had never been submitted where it is not.
func (s *shard) refuse(e *entry, o *route.Observation) {
	k := s.keys.of(e.key)
	o.Class, o.Network, o.Submitted = k.Class, k.Network, fromNano(e.submitted)
	o.Kind = route.KindWithdrawn
	if o.Fault == route.FaultRoute {
		o.Kind, o.Status, o.Final = route.KindReceipt, route.StatusRejected, true
	}
	s.change(e, func() { e.flags |= flagFinal })
}

// oneAttempt reports whether a submit tells of the same attempt as the one that is remembered, seen from elsewhere: a
// gateway and its sender agree on when a message was handed over to the second.
func oneAttempt(e *entry, o *route.Observation) bool {
	apart := o.Time.UnixNano() - e.submitted
	return apart > -second && apart < second
}

// count fills in a receipt or a conversion from its message and says what it counts as.
func (s *shard) count(e *entry, o *route.Observation) {
	k := s.keys.of(e.key)
	o.Class, o.Network, o.Submitted = k.Class, k.Network, fromNano(e.submitted)
	if o.Kind == route.KindConversion {
		if e.flags&flagConverted != 0 {
			s.duplicate(o)
		}
		e.flags |= flagConverted
		return
	}
	s.countStatus(e, o)
}

func (s *shard) countStatus(e *entry, o *route.Observation) {
	seen := e.seen
	e.seen |= bit(o.Status)
	switch {
	case seen&bit(o.Status) != 0:
		s.duplicate(o)
	case !o.Status.Final():
		if seen != 0 && o.Status < highest(seen) {
			s.duplicate(o)
		}
	case e.flags&flagFinal != 0:
		o.Kind = route.KindContradiction
		s.stats.Contradictions++
	default:
		s.change(e, func() { e.flags |= flagFinal })
		o.Final = true
	}
}

func (s *shard) duplicate(o *route.Observation) {
	o.Kind = route.KindDuplicate
	s.stats.Duplicates++
}

// change keeps the count of open messages over a change of an entry.
func (s *shard) change(e *entry, do func()) {
	if e.open() {
		s.stats.Open--
	}
	do()
	if e.open() {
		s.stats.Open++
	}
}

func (s *shard) find(h uint64) *entry {
	if seq, ok := s.index.find(h, &s.ring); ok {
		return s.ring.at(seq)
	}
	return nil
}

// remember makes an entry, and forgets the oldest where there is no room.
func (s *shard) remember(h uint64, k route.Key, submitted, now int64) (*entry, lost) {
	var l lost
	if s.ring.len() >= s.max {
		l = s.forget()
	}
	seq := s.ring.push(entry{hash: h, submitted: submitted, born: uint32(now / 1e9), key: s.keys.take(k)})
	s.index.insert(h, seq)
	return s.ring.at(seq), l
}

// forget removes the oldest entry.
func (s *shard) forget() lost {
	e := *s.ring.at(s.ring.first)
	s.index.remove(e.hash, s.ring.first)
	s.ring.pop()
	l := lost{key: s.keys.of(e.key), hash: e.hash, submitted: e.submitted, open: e.open()}
	s.keys.release(e.key)
	if l.open {
		s.stats.Open--
		s.stats.Evicted++
	}
	return l
}

// wait keeps a receipt or conversion until its submit comes. One that waits already is a duplicate.
func (s *shard) wait(o *route.Observation, h uint64, now int64) outcome {
	if s.early.has(o, h) {
		s.duplicate(o)
		return outcome{}
	}
	out := outcome{held: true}
	if s.early.n >= s.early.max {
		out.dropped = s.unmatched()
	}
	s.early.add(o, h, now)
	return out
}

// unmatched gives up the one that has waited longest.
func (s *shard) unmatched() *wait {
	w := s.early.pop()
	w.o.Kind = route.KindUnmatched
	s.stats.Unmatched++
	return w
}

// sweep forgets the messages older than maxAge seconds, and gives up what has waited since before the moment waited.
func (s *shard) sweep(now, maxAge, waited int64) (open []lost, unmatched []*wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ring.len() > 0 && int64(s.ring.at(s.ring.first).born)+maxAge < now/1e9 {
		if l := s.forget(); l.open {
			open = append(open, l)
		}
	}
	for s.early.oldest != nil && s.early.oldest.since <= waited {
		unmatched = append(unmatched, s.unmatched())
	}
	return open, unmatched
}
