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
	troubled int64  // tick of the last judgement, of a route that is out, that found trouble; 0 for none
}

// Judge returns the signals of the routes of a lane, in the order of the inquiries.
func (b *Book) Judge(lane route.Lane, asks []route.Inquiry, now time.Time) []route.Signals {
	for len(b.subjects) < len(asks) {
		b.subjects = append(b.subjects, &subject{})
	}
	subjects := b.subjects[:len(asks)]
	for i, ask := range asks {
		b.prepare(subjects[i], lane, ask, now)
	}
	out := make([]route.Signals, len(asks))
	for i, s := range subjects {
		out[i] = s.signals(lane, now)
		if s.cause == "" && s.accusing() {
			out[i].Peers = peersOf(s, subjects)
			out[i].Second = s.second(lane)
		}
	}
	return out
}

// prepare gathers the cells of a route and scans them.
func (b *Book) prepare(s *subject, lane route.Lane, ask route.Inquiry, now time.Time) {
	s.ask, s.account, s.keys = ask, b.account(ask.Route), b.byLane[place{lane, ask.Route}]
	s.found, s.loss, s.cause = finding{rung: -1, share: -1}, conversionFinding{rung: -1}, ""
	s.windows = s.windows[:0]
	s.reading = s.account.clock.read(now)
	if s.reading.cause != "" {
		s.cause, s.tracks = s.reading.cause, s.tracks[:0]
		return
	}
	s.tick = tickOf(s.reading.at)
	cut := ceilTick(s.reading.cut)
	if after := ceilTick(ask.After); after > cut {
		cut = after
	}
	suspect := ask.Accused != route.Accused{}
	s.fill(b, cut, suspect)
	s.windows = prefixes(s.windows, s.tracks)
	s.found = scan(s.windows)
	s.loss = scanConversions(s.tracks)
	s.accuse(suspect)
	if suspect {
		b.remember(s, place{lane, ask.Route})
	}
}

// remember notes the trouble of a route that is out, so that one quiet moment does not make it look recovered.
func (b *Book) remember(s *subject, p place) {
	if s.found.evidence >= peaceNats || s.loss.evidence >= peaceNats {
		b.troubled[p] = s.tick
	}
	s.troubled = b.troubled[p]
}

// fill makes the tracks of all keys that have a baseline.
func (s *subject) fill(b *Book, cut int64, suspect bool) {
	cold, n := 0, 0
	for _, k := range s.keys {
		k.advance(b, s.tick)
		k.refresh(b, s.tick, suspect || k.suspected(s.tick-1, s.tick))
		if k.normal == nil {
			cold++
			continue
		}
		if n == len(s.tracks) {
			s.tracks = append(s.tracks, track{})
		}
		t := &s.tracks[n]
		t.normal = k.normal
		t.cells = k.fill(t.cells, s.tick, cut, b.waits[k.id.Class])
		n++
	}
	s.tracks = s.tracks[:n]
	switch {
	case len(s.keys) == 0:
		s.cause = "no messages yet"
	case n == 0:
		s.cause = s.coldCause()
	}
}

func (s *subject) coldCause() string {
	most := 0.0
	for _, k := range s.keys {
		most = math.Max(most, k.learned.messages())
	}
	return fmt.Sprintf("the baseline is cold: it rests on %.0f of the %d mature messages that it takes to act", most, messagesToAct)
}

// accuse keeps suspect messages out of what is learned.
func (s *subject) accuse(suspect bool) {
	from := s.tick
	switch {
	case s.found.evidence >= suspectNats:
		from = s.startOf(s.found.rung)
	case s.loss.evidence >= suspectNats:
		from = s.startOf(s.loss.rung)
	case !suspect:
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
func (s *subject) signals(lane route.Lane, now time.Time) route.Signals {
	q := route.Quality{Known: s.cause == "", Cause: s.cause}
	if at := s.lastHeard(); !at.IsZero() {
		q.Age = route.Duration(max(0, now.Sub(at)))
	}
	out := route.Signals{Lane: lane, Route: s.ask.Route, At: now, Probes: s.account.probeSignals(lane, now)}
	out.Delivery = s.delivery(q)
	out.Conversion = s.conversion(q)
	out.Submit = submits(s.keys, s.lastHeard(), route.Quality{Known: s.reading.cause == "", Cause: s.reading.cause, Age: q.Age})
	out.Open = s.open(q)
	out.Rate = s.rate()
	out.Suspect = s.suspect()
	return out
}

// lastHeard is how far the route's sources have got on their own clock.
func (s *subject) lastHeard() time.Time {
	at := s.account.clock.own.watermark
	for _, l := range s.account.clock.sources {
		if l.source.watermark.After(at) {
			at = l.source.watermark
		}
	}
	return at
}

// total sums a field of the cells of the rungs 0..rung over all tracks.
func (s *subject) total(rung int, field func(*cell, *normal) float64) float64 {
	sum := 0.0
	for i := range s.tracks {
		t := &s.tracks[i]
		for r := range min(rung+1, len(t.cells)) {
			sum += field(&t.cells[r], t.normal)
		}
	}
	return sum
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

func (s *subject) delivery(q route.Quality) route.Delivery {
	d := route.Delivery{Quality: q}
	if !q.Known {
		return d
	}
	rung := s.shown(s.found.rung)
	submitted := s.total(rung, func(c *cell, _ *normal) float64 { return c.submitted })
	if submitted == 0 {
		d.Quality = route.Quality{Cause: "no messages in the window", Age: q.Age}
		return d
	}
	d.Delivered = s.total(rung, func(c *cell, _ *normal) float64 { return c.delivered })
	d.Failed = s.total(rung, func(c *cell, _ *normal) float64 { return c.failed })
	d.Messages = s.total(rung, func(c *cell, _ *normal) float64 { return c.mature })
	d.Baseline = s.total(rung, func(c *cell, n *normal) float64 { return c.submitted * n.delivered }) / submitted
	expected := s.total(rung, func(c *cell, _ *normal) float64 { return c.expected })
	squares := s.total(rung, func(c *cell, _ *normal) float64 { return c.squares })
	d.Ratio, d.Low, d.High = interval(d.Delivered, expected, squares)
	d.Evidence, d.Silence, d.Failure, d.Failures = s.found.evidence, s.found.silence, s.found.failure, s.found.failures
	d.Since = timeOf(s.startOf(rung))
	d.Recovered = s.recovered()
	return d
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
			answered := s.total(rung, func(c *cell, _ *normal) float64 { return c.answered })
			usual := s.total(rung, func(c *cell, _ *normal) float64 { return c.usual })
			a.Arrival = clamp(answered/math.Max(usual, 1e-9), 0.02, 0.94)
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
// most, provided that enough receipts are back in it and that there was peace.
func (s *subject) recovered() float64 {
	a := s.ask.Accused
	if a.Arrival == 0 && a.Delivered == 0 || s.disturbed() {
		return 0
	}
	arrival := arrivalOf(a)
	best, nats, answered := 0.0, 0.0, 0.0
	for rung := range longest(s.tracks) {
		for i := range s.tracks {
			t := &s.tracks[i]
			if rung >= len(t.cells) {
				continue
			}
			nats -= accusedRatio(&t.cells[rung], t.normal, arrival, a.Delivered, t.cells[rung].dueExact)
			answered += t.cells[rung].answered
		}
		if answered >= floorReceipts {
			best = math.Max(best, nats)
		}
	}
	return best
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
	var byRung [128]float64
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

// rate is the submits a second over the last minute that was heard of.
func (s *subject) rate() float64 {
	n := 0.0
	for i := range s.tracks {
		for rung := range min(12, len(s.tracks[i].cells)) {
			n += s.tracks[i].cells[rung].submitted
		}
	}
	return n / 60
}

func ceilTick(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64 / 2
	}
	return floorDiv(t.Unix()+tickSeconds-1, tickSeconds)
}
