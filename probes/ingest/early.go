package ingest

import "signalbox/rules/route"

// early holds the receipts and conversions that came before their submit, in the order in which they came.
type early struct {
	max            int
	n              int
	oldest, newest *wait
	first          map[uint64]*wait // the first of each message
}

// wait is one of them.
type wait struct {
	o          route.Observation // without its Message, which does not last
	hash       uint64
	since      int64 // event time, in Unix nanoseconds
	prev, next *wait // by the time they came
	same       *wait // the next of the same message
}

// has reports whether o waits already; a message has at most one of each status and one conversion here.
func (l *early) has(o *route.Observation, h uint64) bool {
	for w := l.first[h]; w != nil; w = w.same {
		if w.o.Kind == o.Kind && w.o.Status == o.Status {
			return true
		}
	}
	return false
}

func (l *early) add(o *route.Observation, h uint64, now int64) {
	w := &wait{o: *o, hash: h, since: now, prev: l.newest}
	w.o.Message = ""
	if l.newest != nil {
		l.newest.next = w
	} else {
		l.oldest = w
	}
	l.newest = w
	l.n++
	if l.first == nil {
		l.first = make(map[uint64]*wait)
	}
	last := l.first[h]
	if last == nil {
		l.first[h] = w
		return
	}
	for last.same != nil {
		last = last.same
	}
	last.same = w
}

// pop removes the oldest, which is also the first of its message; there is one.
func (l *early) pop() *wait {
	w := l.oldest
	l.unlink(w)
	if w.same != nil {
		l.first[w.hash] = w.same
	} else {
		delete(l.first, w.hash)
	}
	w.same = nil
	return w
}

// release removes all of a message and returns them, linked by same.
func (l *early) release(h uint64) *wait {
	if l.n == 0 {
		return nil
	}
	first := l.first[h]
	if first != nil {
		delete(l.first, h)
	}
	for w := first; w != nil; w = w.same {
		l.unlink(w)
	}
	return first
}

func (l *early) unlink(w *wait) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.oldest = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.newest = w.prev
	}
	w.prev, w.next = nil, nil
	l.n--
}
