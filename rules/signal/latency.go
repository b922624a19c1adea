package signal

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// What percentiles must rest on.
const (
	receiptsForP95 = 20
	receiptsForP99 = 100
)

// lateSuspected is the evidence of lateness from which others are asked about it: less is there often on a healthy route.
const lateSuspected = 3.0

// findLate looks at whether receipts come in time: in time for the baseline, and for the class.
func (s *subject) findLate() {
	if s.reading.timing != "" {
		for i := range s.spans {
			s.spans[i].at = [horizons]punctuality{}
		}
		return
	}
	s.late = scanLate(s.spans, byBaseline, answeredInTime)
	if other := scanLate(s.spans, byClass, answeredInTime); other.evidence > s.late.evidence {
		s.late = other
	}
	s.outside = scanLate(s.spans, byClass, deliveredInTime)
}

// lateSuspect is the share of the receipts usual in time that the worst window still has; 0 where nothing speaks against it.
func (s *subject) lateSuspect() float64 {
	if s.late.evidence < lateSuspected {
		return 0
	}
	p := &s.spans[s.late.rung].at[s.late.horizon]
	return clamp((p.early+p.failed)/math.Max(p.answered, 1e-9), 0.02, 0.94)
}

// latency is the signal of how long receipts take.
func (s *subject) latency(l *route.Latency, q route.Quality) {
	l.Quality = q
	if !q.Known {
		return
	}
	if cause := s.untimed(byBaseline); cause != "" {
		l.Quality = route.Quality{Cause: cause, Age: q.Age}
		return
	}
	h, rung := byBaseline, s.shownLate(&s.late, byBaseline)
	if rung == s.late.rung {
		h = s.late.horizon
	}
	p := &s.spans[rung].at[h]
	l.Evidence, l.Messages, l.Since = s.late.evidence, p.sent, timeOf(s.spans[rung].from)
	l.OnTime, l.Usual = clamp((p.early+p.failed)/p.sent, 0, 1), p.answered/p.sent
	l.Horizon = route.Duration(s.limit(h))
	if s.late.rung >= 0 {
		l.Lateness = s.proven()
	}
	l.Recovered = s.punctualNow()
	if s.delayed() {
		l.Troubled = timeOf(s.belated)
	}
	s.percentiles(l)
}

// proven is the evidence of lateness among the messages that have been answered: what missing receipts say is left out.
func (s *subject) proven() float64 {
	p := &s.spans[s.late.rung].at[s.late.horizon]
	answered := p.early + p.late + p.failed
	return min(lateness(p.early+p.failed, p.prompt, answered), s.late.evidence)
}

// untimed says why nothing can be said about a horizon, or nothing.
func (s *subject) untimed(h int) string {
	last := len(s.spans) - 1
	switch {
	case s.reading.timing != "":
		return s.reading.timing
	case last < 0 || s.spans[last].submitted == 0 || !s.busy():
		return s.emptyCause()
	case s.limit(h) > 0 && s.spans[last].at[h].sent > 0:
		return ""
	}
	for i := range s.tracks {
		t := &s.tracks[i]
		switch {
		case t.aims == nil:
		case t.aims[h].due > 0:
			return "no message is old enough yet: it takes " + route.Duration(time.Duration(t.aims[h].due)*Tick).String()
		case !s.account.proven:
			return "no receipt has come back on the route yet"
		case t.aims[h].limit > 0:
			return "the class allows " + route.Duration(t.aims[h].limit).String() + ", which is longer than messages are kept"
		}
	}
	return "the class does not say within which time a message should arrive"
}

// limit is the longest of the tracks' horizons, or 0.
func (s *subject) limit(h int) (longest time.Duration) {
	for i := range s.tracks {
		if t := &s.tracks[i]; t.aims != nil && t.aims[h].due > 0 {
			longest = max(longest, t.aims[h].limit)
		}
	}
	return longest
}

// shownLate is the window to show of a horizon: the accusing one, else the shortest that has 50 messages over two minutes.
// Of a route that is out it is never the accusing one.
func (s *subject) shownLate(f *lateFinding, h int) int {
	if f.evidence >= lateSuspected && s.ask.Accused == (route.Accused{}) {
		return f.rung
	}
	first := -1
	for rung := range s.spans {
		sent := s.spans[rung].at[h].sent
		if sent > 0 && first < 0 {
			first = rung
		}
		if sent >= 50 && ladder[rung]-ladder[first] >= 24 {
			return rung
		}
	}
	return len(s.spans) - 1
}

// punctualNow is the evidence for usual receipts against the share in time at demotion: of all windows since, the one
// that favours them most, and of both horizons the one that does so less.
func (s *subject) punctualNow() float64 {
	share := s.ask.Accused.Latency
	if share == 0 || s.delayed() {
		return 0
	}
	least := math.Inf(1)
	for h := range horizons {
		if s.limit(h) > 0 {
			least = math.Min(least, s.punctualAt(h, share))
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

func (s *subject) punctualAt(h int, share float64) (best float64) {
	for rung := range s.spans {
		p := &s.spans[rung].at[h]
		if p.early+p.late+p.failed < floorReceipts {
			continue
		}
		usual := p.answered / p.sent
		best = math.Max(best, binomialRatio(min(p.early+p.failed, p.sent), p.sent, usual, share*usual))
	}
	return best
}

// delayed reports whether receipts were late at any judgement within the peace that is asked for.
func (s *subject) delayed() bool {
	return s.belated != 0 && s.tick-s.belated < int64(s.ask.Peace/Tick)
}

// percentiles fills in those of receipts of messages that are old enough for nearly all to have come. What is still to
// come is reckoned in by the baseline; a percentile that lies in it is left out.
func (s *subject) percentiles(l *route.Latency) {
	var sum sketch
	total, usual, weight := 0.0, 0.0, 0.0
	for i := range s.tracks {
		t := &s.tracks[i]
		if t.timing == nil {
			continue
		}
		settled, end := t.timing.samples.settled(s.tick, s.cut, sampleTicks(t.timing.within))
		if settled == nil {
			continue
		}
		settled.addTo(&sum)
		n := float64(settled.count)
		width := float64(end-settled.from) * tickSeconds
		total += n / math.Max(t.normal.receipts.mean(float64(s.tick-end)*tickSeconds, width), 0.05)
		usual, weight = usual+n*t.normal.receipts.age(0.95), weight+n
	}
	if weight == 0 {
		l.BaselineP95 = s.usualP95()
		return
	}
	l.BaselineP95 = route.Duration(seconds(usual / weight))
	if weight >= receiptsForP95 {
		l.P50, l.P95 = route.Duration(sum.age(.50*total)), route.Duration(sum.age(.95*total))
	}
	if weight >= receiptsForP99 {
		l.P99 = route.Duration(sum.age(.99 * total))
	}
}

// usualP95 is the mean of the tracks' usual 95th percentiles.
func (s *subject) usualP95() route.Duration {
	sum := 0.0
	for i := range s.tracks {
		sum += s.tracks[i].normal.receipts.age(0.95)
	}
	return route.Duration(seconds(sum / float64(max(1, len(s.tracks)))))
}

// lateAgainst is the log likelihood, in nats, of a share of the usual receipts in time against all of them, for the
// messages from a tick on.
func (s *subject) lateAgainst(from int64, h int, share float64) float64 {
	var sum punctuality
	if s.reading.timing != "" {
		return 0
	}
	for i := range s.tracks {
		t := &s.tracks[i]
		for rung := range t.cells {
			if t.aims != nil && t.cells[rung].from >= from {
				sum.add(&t.cells[rung].timely[h], &t.aims[h])
			}
		}
	}
	if !(sum.sent > 0) {
		return 0
	}
	usual := sum.answered / sum.sent
	return binomialRatio(min(sum.early+sum.failed, sum.sent), sum.sent, share*usual, usual)
}
