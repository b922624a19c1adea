package signal

import "math"

// The path of receipts. Where the receipts of new messages are missing, either the messages are lost or what brings
// receipts is broken. The latter would stop the receipts of earlier messages too, which are still coming in when the
// trouble begins: as long as they come as usual, the path works, and the silence is the route's.

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

// earlier is how many receipts came in the ticks from..to of messages submitted before a tick, which is not after from.
func (a *arrivals) earlier(submitted, from, to int64) float64 {
	n := 0
	for tick := max(from, a.head-arrivalTicks+1); tick < min(to, a.head+1); tick++ {
		for _, count := range a.counts[mod(tick, arrivalTicks)][tick-submitted+1:] {
			n += int(count)
		}
	}
	return float64(n)
}

// expects is how many receipts of messages submitted before a tick are usual in the ticks from..to.
func (k *key) expects(submitted, from, to int64) float64 {
	sum := 0.0
	for tick := submitted - 1; tick > k.ring.head-fineSlots && !k.ring.empty(); tick-- {
		s := k.ring.slot(tick)
		if s < 0 {
			continue
		}
		if n := k.ring.tally(s).submitted; n > 0 {
			sum += float64(n) * float64(k.exact.shares[pacedIndex(to-tick-1, 1)]-k.exact.shares[pacedIndex(from-tick-1, 1)])
		}
	}
	return sum * k.normal.arrival
}

// newestReceipts is how many receipts of earlier messages should have come in the newest ticks that are asked whether
// they still come: with none of them, chance is left with one in twenty.
const newestReceipts = 3

// path is the log likelihood, in nats, of receipts coming as usual against their coming as rarely as the silence of the
// worst window says, from those of the messages before it. The newest of them must not say otherwise: a carrier that
// sends receipts in batches may have sent one when the window had just begun. It is 0 where nothing can be said, as
// where the window is long.
func (s *subject) path() float64 {
	from := s.startOf(s.found.rung)
	if s.found.silence < 1 || s.tick-from > arrivalTicks || ceilTick(s.reading.cut) > from-fineSlots/2 {
		return 0
	}
	share, came, usual := s.suspect().Arrival, 0.0, 0.0
	nats := func() float64 { return came*math.Log(1/share) - usual*(1-share) }
	asked := false
	for tick := s.tick - 1; tick >= from; tick-- {
		c, u := s.arriving(from, tick)
		came, usual = came+c, usual+u
		if !asked && usual >= newestReceipts {
			if asked = true; nats() < 0 {
				return nats()
			}
		}
	}
	if !asked {
		return 0
	}
	return nats()
}

// arriving is how many receipts of messages submitted before a tick came in another, and how many are usual.
func (s *subject) arriving(submitted, in int64) (came, usual float64) {
	for _, k := range s.keys {
		if k.normal != nil && k.arrived != nil {
			came += k.arrived.earlier(submitted, in, in+1)
			usual += k.expects(submitted, in, in+1)
		}
	}
	return came, usual
}
