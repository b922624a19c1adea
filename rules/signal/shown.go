package signal

import (
	"fmt"
	"math"
	"time"

	"signalbox/rules/route"
)

// intervalZ is the half width of the intervals shown, in standard errors: 99.7 %.
const intervalZ = 3.0

// signals puts together all that is judged of the route.
func (s *subject) signals(into *route.Signals, scope route.Scope, now time.Time) {
	q := route.Quality{Known: s.cause == "", Cause: s.cause}
	if at := s.heard; !at.IsZero() {
		q.Age = route.Duration(max(0, now.Sub(at)))
	}
	into.Lane, into.Route, into.At = scope.Key(), s.ask.Route, now
	into.Probes = s.account.probeSignals(scope.Probed(), now)
	s.delivery(&into.Delivery, q)
	s.within(&into.Within, q)
	s.latency(&into.Latency, q)
	into.Conversion = s.conversion(q)
	into.Submit = submits(s.keys, s.reading.heard, s.ask.Refusals, route.Quality{Known: s.reading.cause == "", Cause: s.reading.cause, Age: q.Age})
	into.Open = s.open(q)
	into.Rate = s.rate()
	into.Suspect = s.suspect()
	score(&into.Score, into)
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
			w.seenDelivered += c.seenDelivered
			w.seenFailed += c.seenFailed
			w.seenConverted += c.seenConverted
			w.seenReach += c.seenReach
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
	d.Delivered, d.Failed, d.Messages = w.seenDelivered, w.seenFailed, w.mature
	d.Baseline = w.normal / w.submitted
	d.Ratio, d.Low, d.High = interval(w.delivered, w.expected, w.squares)
	most := clamp(1-w.seenFailed/w.submitted, 0, 1) // what has failed will not be delivered
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

func (s *subject) open(q route.Quality) route.Open {
	o := route.Open{Quality: q}
	if !q.Known {
		return o
	}
	var byRung [rungs]float64
	for i := range s.tracks {
		for rung := range s.tracks[i].cells {
			if c := &s.tracks[i].cells[rung]; ladder[rung] <= ringHour {
				byRung[rung] += max(0, c.submitted-c.seenDelivered-c.seenFailed)
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
