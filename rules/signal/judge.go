package signal

import (
	"fmt"
	"math"
	"time"

	"signalbox/rules/route"
)

// suspectNats of evidence, and a key stops learning.
const suspectNats = 6.0

// intervalZ is the half width of the intervals shown, in standard errors: 99.7 %.
const intervalZ = 3.0

// subject is one route of the lane that is being judged.
type subject struct {
	ask      route.Inquiry
	account  *account
	keys     []*key
	tracks   []track
	windows  []sums
	reading  reading
	tick     int64
	found    finding
	loss     conversionFinding
	cause    string // why delivery cannot be judged
	summed   int    // number of rungs in sum; 0 for none
	sum      window // of the rungs that were last asked for
	troubled int64  // tick of the last judgement, of a route that is out, that found trouble; 0 for none
}

// Judge returns the signals of the routes of a lane, in the order of the inquiries.
func (b *Book) Judge(lane route.Lane, asks []route.Inquiry, now time.Time) []route.Signals {
	b.sweep(now)
	for len(b.subjects) < len(asks) {
		b.subjects = append(b.subjects, &subject{})
	}
	subjects := b.subjects[:len(asks)]
	for i, ask := range asks {
		b.prepare(subjects[i], lane, ask, now)
	}
	out := make([]route.Signals, len(asks))
	for i, s := range subjects {
		s.signals(&out[i], lane, now)
		if s.cause == "" && s.accusing() {
			out[i].Peers = peersOf(s, subjects)
			out[i].Second = s.second(lane)
		}
	}
	return out
}

// prepare gathers the cells of a route and scans them.
func (b *Book) prepare(s *subject, lane route.Lane, ask route.Inquiry, now time.Time) {
	p := place{lane, ask.Route}
	s.ask, s.account, s.keys = ask, b.account(ask.Route), b.byLane[p]
	s.found, s.loss, s.cause = finding{rung: -1, share: -1}, conversionFinding{rung: -1}, ""
	s.windows, s.tracks = s.windows[:0], s.tracks[:0]
	s.summed, s.sum = 0, window{}
	s.reading = s.account.clock.read(now)
	out := ask.Accused != route.Accused{}
	if s.reading.cause != "" {
		s.cause = s.reading.cause
		s.unread(out)
		return
	}
	s.tick = tickOf(s.reading.at)
	s.fill(b, s.cutTick(now), now, out)
	s.windows = prefixes(s.windows, s.tracks)
	s.found = scan(s.windows)
	if s.reading.conversion == "" && !s.convertible() {
		s.reading.conversion = "no conversion has come back on the route yet"
	}
	if s.reading.conversion == "" {
		s.loss = scanConversions(s.tracks)
	}
	s.accuse(out)
	if out {
		b.remember(s, p)
	} else {
		delete(b.troubled, p)
	}
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

// remember notes the trouble of a route that is out, so that one quiet moment does not make it look recovered.
func (b *Book) remember(s *subject, p place) {
	if s.found.evidence >= peaceNats || s.loss.evidence >= peaceNats {
		b.troubled[p] = s.tick
	}
	s.troubled = min(b.troubled[p], s.tick)
}

// fill makes the tracks of all keys that have a baseline.
func (s *subject) fill(b *Book, cut int64, now time.Time, out bool) {
	minute, n := floorDiv(now.Unix(), 60), 0
	for _, k := range s.keys {
		k.reach(b, s.tick)
		k.refresh(b, minute, s.tick, out || k.suspected(s.tick-1, s.tick))
		if k.normal == nil {
			continue
		}
		if n == cap(s.tracks) {
			s.tracks = append(s.tracks[:n], track{})
		}
		s.tracks = s.tracks[:n+1]
		t := &s.tracks[n]
		t.normal = k.normal
		t.cells = k.fill(t.cells, s.tick, cut, s.deadline(b, k))
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
func (s *subject) deadline(b *Book, k *key) time.Duration {
	if k.normal.source != own && !s.account.proven {
		return math.MaxInt64
	}
	return b.deadline(k.id.Class)
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
func (s *subject) accusing() bool { return s.found.evidence >= 1 || s.loss.evidence >= 1 }

// signals puts together all that is judged of the route.
func (s *subject) signals(into *route.Signals, lane route.Lane, now time.Time) {
	q := route.Quality{Known: s.cause == "", Cause: s.cause}
	if at := s.lastHeard(); !at.IsZero() {
		q.Age = route.Duration(max(0, now.Sub(at)))
	}
	into.Lane, into.Route, into.At = lane, s.ask.Route, now
	into.Probes = s.account.probeSignals(lane, now)
	s.delivery(&into.Delivery, q)
	into.Conversion = s.conversion(q)
	into.Submit = submits(s.keys, s.reading.heard, route.Quality{Known: s.reading.cause == "", Cause: s.reading.cause, Age: q.Age})
	into.Open = s.open(q)
	into.Rate = s.rate()
	into.Suspect = s.suspect()
}

// lastHeard is how far the route's sources have got on their own clock.
func (s *subject) lastHeard() time.Time {
	at := s.account.clock.own.watermark
	for _, l := range s.account.clock.links {
		if l.source.watermark.After(at) {
			at = l.source.watermark
		}
	}
	return at
}

// window is what the cells of all keys hold up to one rung.
type window struct {
	cell
	normal          float64 // messages that would end delivered at the baseline
	normalConverted float64 // messages that would convert at the baseline
}

// over sums the cells of the rungs 0..rung over all tracks; means are left out.
func (s *subject) over(rung int) window {
	w := &s.sum
	if s.summed == rung+1 {
		return *w
	}
	*w, s.summed = window{}, rung+1
	for i := range s.tracks {
		t := &s.tracks[i]
		before := w.submitted
		for r := range min(rung+1, len(t.cells)) {
			c := &t.cells[r]
			w.submitted += c.submitted
			w.delivered += c.delivered
			w.failed += c.failed
			w.answered += c.answered
			w.usual += c.usual
			w.expected += c.expected
			w.squares += c.squares
			w.mature += c.mature
			w.converted += c.converted
			w.reach += c.reach
			w.reachSq += c.reachSq
		}
		w.normal += (w.submitted - before) * t.normal.delivered
		w.normalConverted += (w.submitted - before) * t.normal.conversion
	}
	return *w
}

// shown is the window to show: the accusing one, else the shortest of at least two minutes with 50 messages due. Of a
// route that is out, where what counts is how it does now, it is never the accusing one.
func (s *subject) shown(accusing int) int {
	if accusing >= 0 && s.ask.Accused == (route.Accused{}) {
		return accusing
	}
	due, last := 0.0, longest(s.tracks)-1
	for rung := 0; rung <= last; rung++ {
		for i := range s.tracks {
			if rung < len(s.tracks[i].cells) {
				due += s.tracks[i].cells[rung].expected
			}
		}
		if due >= 50 && ladder[rung] >= 24 {
			return rung
		}
	}
	return last
}

func (s *subject) delivery(d *route.Delivery, q route.Quality) {
	d.Quality = q
	if !q.Known {
		return
	}
	recovered, since := s.recovered()
	rung := s.shown(s.found.rung)
	if recovered > 0 {
		rung = since
	}
	w := s.over(rung)
	if w.submitted == 0 || !s.busy() {
		d.Quality = route.Quality{Cause: s.emptyCause(), Age: q.Age}
		return
	}
	d.Delivered, d.Failed, d.Messages = w.delivered, w.failed, w.mature
	d.Baseline = w.normal / w.submitted
	d.Ratio, d.Low, d.High = interval(w.delivered, w.expected, w.squares)
	most := clamp(1-w.failed/w.submitted, 0, 1) // what has failed will not be delivered
	d.Ratio, d.Low, d.High = min(d.Ratio, most), min(d.Low, most), min(d.High, most)
	d.Evidence, d.Silence, d.Failure, d.Failures = s.found.evidence, s.found.silence, s.found.failure, s.found.failures
	d.Since = timeOf(s.startOf(rung))
	d.Recovered = recovered
	if s.disturbed() {
		d.Troubled = timeOf(s.troubled)
	}
}

// busy reports whether messages were submitted up to quietRung.
func (s *subject) busy() bool {
	for i := range s.tracks {
		for r := range min(quietRung+1, len(s.tracks[i].cells)) {
			if s.tracks[i].cells[r].submitted > 0 {
				return true
			}
		}
	}
	return false
}

// quietRung is the window in which there must be messages for there to be anything to judge: of a route that nobody
// submits to any more, nothing is known.
var quietRung = rungOf(15*60/tickSeconds-1, 0)

// emptyCause says why there are no messages to judge.
func (s *subject) emptyCause() string {
	if s.reading.cutBy == "" || s.over(len(ladder)-1).submitted > 0 {
		return "no messages of late"
	}
	return fmt.Sprintf("no messages since %s, when %s", s.reading.cut.UTC().Format(time.TimeOnly), s.reading.cutBy)
}

// interval is the score interval of a share p when count was seen and each of several messages had come with chance p·F:
// it solves (count − p·ΣF)² = z²·(p·ΣF − p²·ΣF²), after E. B. Wilson (1927) for chances that differ.
func interval(count, sum, squares float64) (ratio, low, high float64) {
	if !(sum > 0) {
		return 0, 0, 1
	}
	const z2 = intervalZ * intervalZ
	a, b, c := sum*sum+z2*squares, 2*count*sum+z2*sum, count*count
	root := math.Sqrt(math.Max(0, b*b-4*a*c))
	return math.Min(1, count/sum), clamp((b-root)/(2*a), 0, 1), clamp((b+root)/(2*a), 0, 1)
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

func (s *subject) open(q route.Quality) route.Open {
	o := route.Open{Quality: q}
	if !q.Known {
		return o
	}
	var byRung [rungs]float64
	for i := range s.tracks {
		for rung := range s.tracks[i].cells {
			if c := &s.tracks[i].cells[rung]; ladder[rung] <= ringHour {
				byRung[rung] += max(0, c.submitted-c.delivered-c.failed)
			}
		}
	}
	for _, n := range byRung {
		o.Messages += n
	}
	sum := 0.0
	for rung, n := range byRung {
		if sum += n; o.Messages > 0 && sum >= 0.95*o.Messages {
			o.OldestP95 = route.Duration(time.Duration(ladder[rung]) * Tick)
			break
		}
	}
	return o
}

// rate is the submits a second over the last minute that was heard of, whether or not they can be judged.
func (s *subject) rate() float64 {
	if s.reading.cause != "" {
		return 0
	}
	n := uint64(0)
	for _, k := range s.keys {
		n += k.ring.recent(s.tick-60/tickSeconds, s.tick)
	}
	return float64(n) / 60
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
