package signal

import "math"

// The path of receipts. Where the receipts of new messages are missing, either the messages are lost or what brings
// receipts is broken. The latter would stop the receipts of earlier messages too, which are still coming in when the
// trouble begins: as long as they come as usual, the path works, and the silence is the route's. Only a sender that ceases
// to ask for receipts looks the same; it does so on all of its routes.

// arrivalTicks is how far back arrivals are remembered: two minutes, in which the receipts of earlier messages thin out.
const arrivalTicks = 24

// arrivals counts the final receipts of a key that came in each of the last ticks, by the age of their messages.
type arrivals struct {
	head   int64 // the newest tick
	counts [arrivalTicks][arrivalTicks + 1]uint16
}

// note counts a receipt that came in a tick, of a message submitted in another.
func (a *arrivals) note(at, submitted int64) {
	if at-a.head >= arrivalTicks || a.head-at > ringSpan {
		*a = arrivals{head: at}
	}
	for a.head < at {
		a.head++
		a.counts[mod(a.head, arrivalTicks)] = [arrivalTicks + 1]uint16{}
	}
	if at <= a.head-arrivalTicks {
		return
	}
	if n := &a.counts[mod(at, arrivalTicks)][max(0, min(at-submitted, arrivalTicks))]; *n < math.MaxUint16 {
		*n++
	}
}

// split is how many receipts came in a tick of messages submitted before another, and how many of the rest.
func (a *arrivals) split(tick, submitted int64) (earlier, rest float64) {
	if tick <= a.head-arrivalTicks || tick > a.head {
		return 0, 0
	}
	for age, n := range a.counts[mod(tick, arrivalTicks)] {
		if int64(age) > tick-submitted {
			earlier += float64(n)
		} else {
			rest += float64(n)
		}
	}
	return earlier, rest
}

// due is how many receipts are usual in a tick of messages submitted before another, and of the rest.
func (k *key) due(tick, submitted int64) (earlier, rest float64) {
	for of := tick; of > k.ring.head-fineSlots && !k.ring.empty(); of-- {
		s := k.ring.slot(of)
		if s < 0 || s >= midOffset {
			continue
		}
		n := float64(k.ring.tally(s).submitted) * k.normal.arrival * k.came(tick-of)
		if of < submitted {
			earlier += n
		} else {
			rest += n
		}
	}
	return earlier, rest
}

// came is the share of receipts that come when their messages are so many ticks old.
func (k *key) came(age int64) float64 {
	share := float64(k.exact.shares[pacedIndex(age, 1)])
	if age > 0 {
		share -= float64(k.exact.shares[pacedIndex(age-1, 1)])
	}
	return share
}

// newestReceipts is how many receipts of earlier messages should have come in the newest ticks, which are asked by
// themselves whether they still come: with none of them, chance is left with one in twenty.
const newestReceipts = 3

// path is the log likelihood, in nats, of the route having swallowed the messages of the worst window, while the path of
// receipts works, against the path having broken at some moment in the window, the one that explains most: before it,
// receipts of the window's messages would have come as usual, and after it those of earlier messages as rarely as the
// silence says. Nor may the newest ticks say otherwise: a carrier that sends receipts in batches may have sent one when
// the window had just begun. It is 0 where nothing can be said, as where the window is long.
func (s *subject) path() float64 {
	from := s.startOf(s.found.rung)
	if s.found.silence < suspectNats || s.tick-from > arrivalTicks || ceilTick(s.reading.cut) > from-fineSlots/2 {
		return 0
	}
	share := s.suspect().Arrival
	var newest arrived
	later, swallowed := 0.0, 0.0 // by a moment that wanders back: what earlier messages say after it, and new ones before it
	for tick := from; tick < s.tick; tick++ {
		_, rest := s.arriving(tick, from)
		swallowed -= rest.nats(share)
	}
	least, asked := swallowed, math.Inf(1)
	for tick := s.tick - 1; tick >= from; tick-- {
		earlier, rest := s.arriving(tick, from)
		later += earlier.nats(share)
		swallowed += rest.nats(share)
		least = min(least, later+swallowed)
		newest = newest.plus(earlier)
		if newest.usual >= newestReceipts && math.IsInf(asked, 1) {
			asked = newest.nats(share)
		}
	}
	if math.IsInf(asked, 1) {
		return 0
	}
	return min(least, asked)
}

// arrived is how many receipts came, and how many are usual.
type arrived struct{ came, usual float64 }

func (a arrived) plus(b arrived) arrived { return arrived{a.came + b.came, a.usual + b.usual} }

// nats is the log likelihood of receipts coming as usual against a share of them.
func (a arrived) nats(share float64) float64 {
	return a.came*math.Log(1/share) - a.usual*(1-share)
}

// arriving is what came in a tick of messages submitted before another, and of the rest.
func (s *subject) arriving(tick, submitted int64) (earlier, rest arrived) {
	for _, k := range s.keys {
		if k.normal == nil || k.arrived == nil {
			continue
		}
		e, r := k.arrived.split(tick, submitted)
		earlier.came, rest.came = earlier.came+e, rest.came+r
		e, r = k.due(tick, submitted)
		earlier.usual, rest.usual = earlier.usual+e, rest.usual+r
	}
	return earlier, rest
}
