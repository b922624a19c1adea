package signal

import (
	"fmt"
	"math"
	"time"

	"signalbox/rules/route"
)

// suspectNats of evidence, and a key stops learning.
const suspectNats = 6.0

// subject is one route of the lane that is being judged.
type subject struct {
	ask      route.Inquiry
	place    place
	account  *account
	keys     []*key
	tracks   []track
	windows  []sums
	spans    []since
	reading  reading
	heard    time.Time // how far the route's sources have got
	tick     int64
	found    finding
	loss     conversionFinding
	late     lateFinding   // receipts that are not in time
	outside  lateFinding   // deliveries that are not within what the class allows
	cut      int64         // first tick whose messages count
	silent   time.Duration // since the last conversion of the class
	belated  int64         // as troubled, for receipts that are late
	row      int           // of the class's volumes
	cause    string        // why delivery cannot be judged
	summed   int           // number of rungs in sum; 0 for none
	sum      window        // of the rungs that were last asked for
	troubled int64         // tick of the last judgement, of a route that is out, that found trouble; 0 for none
}

// Judge returns the signals of routes, in the order of the inquiries, by the messages of a scope.
func (b *Book) Judge(scope route.Scope, asks []route.Inquiry, now time.Time) []route.Signals {
	b.sweep(now)
	for len(b.subjects) < len(asks) {
		b.subjects = append(b.subjects, &subject{})
	}
	subjects := b.subjects[:len(asks)]
	v := b.volumeOf(b.classOf(scope.Lane, asks))
	v.turn(now)
	out := make([]route.Signals, len(asks))
	for i, ask := range asks {
		b.prepare(subjects[i], scope, ask, v, now)
		subjects[i].signals(&out[i], scope, now) // while its cells are in the caches, which do not hold those of a big lane
	}
	for i, s := range subjects {
		if b.settle(s, v) {
			out[i] = route.Signals{}
			s.signals(&out[i], scope, now)
		}
	}
	for i, s := range subjects {
		if s.cause == "" && s.accusing() {
			out[i].Peers = peersOf(i, subjects)
			out[i].Second = s.second(scope.Probed())
		}
	}
	for i := range subjects {
		b.beside(i, subjects, out)
	}
	return out
}

// prepare gathers the cells of a route and scans them.
func (b *Book) prepare(s *subject, scope route.Scope, ask route.Inquiry, v *volumes, now time.Time) {
	s.ask, s.place, s.account = ask, place{scope.Key(), ask.Route, scope.Wide}, b.account(ask.Route)
	s.keys = b.keysOf(scope, &ask)
	s.found, s.loss, s.cause = finding{rung: -1, share: -1}, conversionFinding{rung: -1}, ""
	s.late, s.outside = lateFinding{rung: -1}, lateFinding{rung: -1}
	s.windows, s.tracks, s.spans = s.windows[:0], s.tracks[:0], s.spans[:0]
	s.summed, s.sum, s.belated, s.troubled = 0, window{}, 0, 0
	t := s.account.read(b.version, now)
	s.reading, s.heard = t.reading, t.last
	out := ask.Accused != route.Accused{}
	if s.reading.cause != "" {
		s.cause = s.reading.cause
		s.unread(out)
		return
	}
	s.tick = tickOf(s.reading.at)
	s.cut = s.cutTick(now)
	s.silent = s.silence(v)
	s.fill(b, s.cut, now, out)
	s.windows = prefixes(s.windows, s.tracks)
	s.found = scan(s.windows)
	s.spans = spans(s.spans, s.tracks)
	s.findLate()
	if s.reading.conversion == "" && !s.convertible() {
		s.reading.conversion = "no conversion has come back on the route yet"
	}
	if s.reading.conversion == "" {
		s.loss = scanConversions(s.tracks)
		s.row = v.row(ask.Route)
		if !scope.Wide && scope.Network == "" { // each message once
			s.weigh(v)
		}
	}
}

// settle doubts the conversions of a route, once those of the others are known, and notes what is wrong with it. It
// reports whether its signals are other ones then.
func (b *Book) settle(s *subject, v *volumes) (changed bool) {
	if s.reading.cause != "" {
		return false
	}
	if s.reading.conversion == "" {
		s.doubt(s.odd(v))
		changed = s.reading.conversion != ""
	}
	out := s.ask.Accused != route.Accused{}
	s.accuse(out)
	if out {
		b.remember(s, s.place)
	} else if len(b.troubled)+len(b.belated) > 0 {
		delete(b.troubled, s.place)
		delete(b.belated, s.place)
	}
	return changed || out
}

// convertible reports whether conversions are known to come back on the route: where they never have, nobody knows whether
// anybody reports them.
func (s *subject) convertible() bool {
	for _, k := range s.keys {
		if k.learned.Converted > 0 {
			return true
		}
	}
	return s.account.proof
}

// cutTick is the first tick whose messages count. The inquiry's moment is one of our clock: where the route's is ahead,
// it lies as far ahead there.
func (s *subject) cutTick(now time.Time) int64 {
	cut := ceilTick(s.reading.cut)
	if s.ask.After.IsZero() {
		return cut
	}
	return max(cut, ceilTick(s.ask.After.Add(max(0, s.reading.at.Sub(now)))))
}

// unread keeps what comes in while nothing can be judged out of what is learned, where it cannot be dated or the route
// is out.
func (s *subject) unread(out bool) {
	if !out && !s.reading.confused {
		return
	}
	for _, k := range s.keys {
		k.accuse(k.ring.head, k.ring.head)
	}
}

// remember notes the trouble of a route that is out, so that one quiet moment does not make it look recovered. It dates
// from the newest messages that it accuses, not from when it was seen: a window goes on accusing while it holds old ones.
func (b *Book) remember(s *subject, p place) {
	if s.found.evidence >= peaceNats {
		b.troubled[p] = max(b.troubled[p], s.tick-calm(s.windows, &s.found))
	}
	if s.loss.evidence >= peaceNats {
		b.troubled[p] = max(b.troubled[p], s.tick-s.loss.calm)
	}
	s.troubled = min(b.troubled[p], s.tick)
	if s.late.evidence >= peaceNats && s.ask.Accused.Latency > 0 {
		b.belated[p] = max(b.belated[p], s.tick-s.late.calm)
	}
	s.belated = min(b.belated[p], s.tick)
}

// fill makes the tracks of all keys that have a baseline.
func (s *subject) fill(b *Book, cut int64, now time.Time, out bool) {
	n := 0
	refusals := ceilTick(s.ask.Refusals)
	for _, k := range s.keys {
		if s.ask.Refusals.After(now) {
			k.accuse(s.tick, s.tick) // what fails while it speaks against nobody is not learned as normal either
		}
		k.reach(b, s.tick)
		k.refresh(b, now.Unix(), s.tick, out || k.suspected(s.tick-1, s.tick))
		if k.normal == nil {
			continue
		}
		if n == cap(s.tracks) {
			s.tracks = append(s.tracks[:n], track{})
		}
		s.tracks = s.tracks[:n+1]
		t := &s.tracks[n]
		t.normal = k.normal
		wait := s.deadline(k)
		k.aim(wait)
		t.timing, t.aims = k.timing, nil
		if t.timing != nil {
			t.aims = &t.timing.horizons
		}
		t.cells = k.fill(&b.filling, t.cells, s.tick, cut, refusals, wait)
		t.since = b.filling.convertsSince(k, s.tick, int64(s.silent/Tick))
		n++
	}
	switch {
	case len(s.keys) == 0:
		s.cause = "no messages yet"
	case n == 0:
		s.cause = s.coldCause()
	}
}

// deadline is how young an unanswered message of the key may be without counting as silence. Where no receipt has ever
// come back on the route, nobody knows whether it brings any: silence says nothing then.
func (s *subject) deadline(k *key) time.Duration {
	if k.normal.source != own && !s.account.proven {
		return math.MaxInt64
	}
	return k.terms.Deadline
}

func (s *subject) coldCause() string {
	most := &s.keys[0].learned
	for _, k := range s.keys {
		if k.learned.messages() > most.messages() {
			most = &k.learned
		}
	}
	if most.messages() >= messagesToAct {
		return fmt.Sprintf("the baseline is cold: of %.0f mature messages %.0f came back delivered, and it takes %d", most.messages(), most.returned(), deliveredToAct)
	}
	return fmt.Sprintf("the baseline is cold: it rests on %.0f of the %d mature messages that it takes to act", most.messages(), messagesToAct)
}

// accuse keeps suspect messages, and those of a route that is out, from being learned.
func (s *subject) accuse(out bool) {
	from := s.tick
	switch {
	case s.found.evidence >= suspectNats:
		from = s.startOf(s.found.rung)
	case s.loss.evidence >= suspectNats:
		from = s.startOf(s.loss.rung)
	case !out:
		return
	}
	for _, k := range s.keys {
		k.accuse(from, s.tick)
		if out {
			k.lasting.add(s.tick, s.tick)
		} else {
			k.suffer(s.tick)
		}
	}
}

// startOf is the first tick of the window that ends at a rung.
func (s *subject) startOf(rung int) int64 {
	start := s.tick
	for i := range s.tracks {
		if n := len(s.tracks[i].cells); n > 0 {
			start = min(start, s.tracks[i].cells[min(rung, n-1)].from)
		}
	}
	return start
}

// accusing reports whether there is enough evidence to ask peers and other channels about it.
func (s *subject) accusing() bool {
	return s.found.evidence >= 1 || s.loss.evidence >= 1 || s.late.evidence >= lateSuspected
}

// suspect is the state that the worst window points to.
func (s *subject) suspect() route.Accused {
	var a route.Accused
	if rung := s.found.rung; rung >= 0 && s.found.evidence >= 1 {
		w := &s.windows[rung]
		if s.found.silence >= 1 {
			seen := s.over(rung)
			a.Arrival = clamp(seen.answered/math.Max(seen.usual, 1e-9), 0.02, 0.94)
		}
		if s.found.failure >= 1 {
			a.Delivered = clamp(w.delivered/math.Max(w.delivered+w.failed, 1), 0.01, 0.97*w.status())
		}
	}
	a.Latency = s.lateSuspect()
	if s.loss.evidence >= 1 {
		a.Conversion = s.loss.share
	}
	return a
}

// recovered is the evidence for normal against the state at demotion: of all windows since, the one that favours normal
// most, provided that enough receipts are back in it and that there was peace; and the rung that this window ends at.
func (s *subject) recovered() (best float64, ends int) {
	a := s.ask.Accused
	if a.Arrival == 0 && a.Delivered == 0 || s.disturbed() {
		return 0, 0
	}
	trouble := accuse(a)
	nats, answered := 0.0, 0.0
	for rung := range longest(s.tracks) {
		for i := range s.tracks {
			t := &s.tracks[i]
			if rung >= len(t.cells) {
				continue
			}
			nats -= trouble.against(&t.cells[rung], t.normal, t.cells[rung].dueExact)
			answered += t.cells[rung].answered
		}
		if answered >= floorReceipts && nats > best {
			best, ends = nats, rung
		}
	}
	return best, ends
}

// disturbed reports whether there was trouble at any judgement within the peace that is asked for.
func (s *subject) disturbed() bool {
	return s.troubled != 0 && s.tick-s.troubled < int64(s.ask.Peace/Tick)
}

// ceilTick is the first tick that begins at or after a moment; before all others for the zero time.
func ceilTick(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64 / 2
	}
	tick := tickOf(t)
	if t.Unix() > tick*tickSeconds || t.Nanosecond() > 0 {
		tick++
	}
	return tick
}
