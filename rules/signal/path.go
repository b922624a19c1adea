package signal

import "math"

// The path of receipts. Where the receipts of new messages are missing, either the messages are lost or what brings
// receipts is broken. The latter would stop the receipts of earlier messages too, which are still coming in when the
// trouble begins: as long as they come as usual, the path works, and the silence is the route's. Only a sender that ceases
// to ask for receipts looks the same; it does so on all of its routes.

// arrivalTicks is how far back arrivals are remembered: two minutes, in which the receipts of earlier messages thin out.
const arrivalTicks = 24

// pathLeast is how many messages a key must have in a minute before arrivals are counted: with fewer, those of earlier
// messages are too few in the time that matters to tell anything.
const pathLeast = 10

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

// arrive counts a receipt that came in a tick, of a message submitted in another.
func (k *key) arrive(at, submitted int64) {
	if k.arrived == nil {
		if k.crowds == nil || k.crowds.sent < pathLeast || k.ring.recent(k.ring.head-ticksPerMid+1, k.ring.head+1) < pathLeast {
			return
		}
		k.arrived = &arrivals{}
	}
	k.arrived.note(at, submitted)
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

// due adds how many receipts are usual in each tick from one on, of messages of the key submitted before that one, and of
// the rest.
func (k *key) due(from int64, earlier, rest []arrived) {
	var exact paced
	exact.of(&k.normal.receipts, 1)
	for of := from + int64(len(rest)) - 1; of > k.ring.head-fineSlots && !k.ring.empty(); of-- {
		n := float64(k.ring.recent(of, of+1)) * k.normal.arrival
		if n == 0 {
			continue
		}
		for i := range rest {
			age := from + int64(i) - of
			switch {
			case age < 0:
			case of < from:
				earlier[i].usual += n * exact.within(age)
			default:
				rest[i].usual += n * exact.within(age)
			}
		}
	}
}

// within is the share of receipts that come while their messages get from so many ticks old to one more.
func (p *paced) within(age int64) float64 {
	share := float64(p.shares[pacedIndex(age, 1)])
	if age > 0 {
		share -= float64(p.shares[pacedIndex(age-1, 1)])
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
	if s.found.silence < suspectNats {
		return 0
	}
	from := s.startOf(s.found.rung)
	if s.tick-from > arrivalTicks || ceilTick(s.reading.cut) > from-fineSlots/2 {
		return 0
	}
	share := s.suspect().Arrival
	earlier, rest := s.arriving(from)
	var newest arrived
	later, swallowed := 0.0, 0.0 // by a moment that wanders back: what earlier messages say after it, and new ones before it
	for i := range rest {
		swallowed -= rest[i].nats(share)
	}
	least, asked := swallowed, math.Inf(1)
	for i := len(rest) - 1; i >= 0; i-- {
		later += earlier[i].nats(share)
		swallowed += rest[i].nats(share)
		least = min(least, later+swallowed)
		newest.came += earlier[i].came
		newest.usual += earlier[i].usual
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

// nats is the log likelihood of receipts coming as usual against a share of them.
func (a arrived) nats(share float64) float64 {
	return a.came*math.Log(1/share) - a.usual*(1-share)
}

// arriving is what came in each tick from one on, of messages submitted before that one, and of the rest.
func (s *subject) arriving(from int64) (earlier, rest []arrived) {
	n := s.tick - from
	earlier, rest = make([]arrived, n), make([]arrived, n)
	for _, k := range s.keys {
		if k.normal == nil || k.arrived == nil {
			continue
		}
		k.due(from, earlier, rest)
		for i := range rest {
			e, r := k.arrived.split(from+int64(i), from)
			earlier[i].came += e
			rest[i].came += r
		}
	}
	return earlier, rest
}
