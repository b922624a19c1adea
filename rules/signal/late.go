package signal

import (
	"math"
	"time"
)

// Whether receipts come in time. At a fixed horizon T nothing is censored: of the messages that are at least T old, each
// has either had its receipt within T or not. Too few in time is evidence, of n messages n·kl(share ‖ least) nats, where
// the least share is that of a route slower and worse than its baseline by no more than the tolerances. Of all windows
// of the ladder and both horizons the worst counts, as in the scan of deliveries.

// lateTolerance is how much slower than its baseline a route may be before evidence gathers against it.
const lateTolerance = 1.5

// horizonShare of the usual receipts are back by the first horizon: early enough to notice soon, and where one that is
// several times slower differs most from one that is as slow as is tolerated.
const horizonShare = 0.75

// The horizons: an age at which receipts are counted anyhow, chosen by the baseline, and what the class allows.
const (
	byBaseline = iota
	byClass
	horizons
)

// horizon is an age by which the receipts of one key are asked for.
type horizon struct {
	limit     time.Duration
	due       int64   // age in ticks from which cohorts count; 0 where the horizon is not used
	answered  float64 // share of messages usually answered by it
	delivered float64 // share of messages usually delivered by it
	prompt    float64 // share of receipts that come by it on a route as slow as is tolerated
	arrival   float64 // share of messages usually answered at all
	whole     float64 // share of messages usually delivered at all
}

// timing is what is kept of a key beside its cohorts to judge how long its receipts take.
type timing struct {
	within   time.Duration // what fieldInTime counts by
	from     int64         // first tick whose cohorts count by it
	samples  samples
	of       *normal // what the horizons are made of
	wait     time.Duration
	edge     int // of receiptAges: how many of them are within the first horizon
	horizons [horizons]horizon
}

// timed is the key's timing for a class that allows within. After a change of it only new cohorts count.
func (k *key) timed(within time.Duration) *timing {
	switch {
	case k.timing == nil: // none of its messages has been delivered yet
		k.timing = &timing{within: within, from: math.MinInt64}
	case k.timing.within != within:
		*k.timing = timing{within: within, from: k.ring.head + 1}
	}
	return k.timing
}

// took counts how long the receipt of a delivered message took.
func (k *key) took(tick int64, age float64) {
	within := k.terms.Within
	g := k.timed(within)
	if within > 0 && age <= within.Seconds() {
		k.ring.bump(tick, fieldInTime)
	}
	g.samples.note(tick, age, sampleTicks(within))
}

// aim makes the horizons of a key that has a baseline and messages. Messages younger than wait do not count.
func (k *key) aim(wait time.Duration) {
	if k.ring.empty() {
		return
	}
	g := k.timed(k.terms.Within)
	if g.of == k.normal && g.wait == wait {
		return
	}
	g.of, g.wait = k.normal, wait
	g.edge = 1
	for g.edge < len(receiptAges) && k.normal.receipts.at(receiptAges[g.edge-1]) < horizonShare {
		g.edge++
	}
	g.horizons = [horizons]horizon{
		byBaseline: newHorizon(k.normal, seconds(receiptAges[g.edge-1]), wait),
		byClass:    newHorizon(k.normal, k.terms.Within, wait),
	}
}

func newHorizon(n *normal, limit, wait time.Duration) horizon {
	due := ceilDiv(int64(max(limit, min(wait, longestWait))), int64(Tick))
	if limit == 0 || due > ringSpan-2*ticksPerTen {
		return horizon{limit: limit}
	}
	usual, slow := n.receipts.at(limit.Seconds()), n.receipts.at(limit.Seconds()/lateTolerance)
	return horizon{
		limit: limit, due: due,
		answered: n.arrival * usual, delivered: n.delivered * usual,
		prompt: slow, arrival: n.arrival, whole: n.delivered,
	}
}

// longestWait bounds deadlines, so that the longest is more ticks than any ring holds and still a number of ticks.
const longestWait = (ringSpan + 1) * Tick

// timely is what of a cell's messages is judged by one horizon.
type timely struct {
	sent   float64 // messages as old as the horizon
	early  float64 // delivered within it
	late   float64 // delivered after it
	failed float64
}

// time adds the cohort of a slot, whose youngest message is age ticks old.
func (f *filling) time(c *cell, s int, start, age int64, weight float64) {
	g := f.timing
	if g == nil {
		return
	}
	first, second := g.horizons[byBaseline].due, g.horizons[byClass].due
	if first > 0 && age >= first {
		c.timely[byBaseline].add(&f.tally, s, f.tally.early[s], weight)
	}
	if second > 0 && age >= second && start >= g.from {
		c.timely[byClass].add(&f.tally, s, f.tally.inTime[s], weight)
	}
}

// add adds the cohort of a slot, of which so many came early; weight is for how much each of its messages counts.
func (t *timely) add(n *tally, s int, early uint32, weight float64) {
	delivered, failed := n.delivered[s], n.failed[s]
	t.sent += weight * float64(max(n.submitted[s], delivered+failed))
	t.early += weight * float64(early)
	t.late += weight * float64(delivered-min(early, delivered))
	t.failed += weight * float64(failed)
}

// punctuality is what a window holds of the messages as old as one horizon, over all keys of a place.
type punctuality struct {
	timely
	answered  float64 // of sent, usually answered by the horizon
	delivered float64 // of sent, usually delivered by it
	least     float64 // of sent, answered by it on a route that is as slow and as bad as is tolerated
	fewest    float64 // of sent, delivered by it on such a route
	prompt    float64 // of the answered ones, answered by it on such a route
}

func (p *punctuality) add(t *timely, h *horizon) {
	if !(t.sent > 0) {
		return
	}
	p.sent += t.sent
	p.early += t.early
	p.late += t.late
	p.failed += t.failed
	p.answered += t.sent * h.answered
	p.delivered += t.sent * h.delivered
	p.least += t.sent * (1 - Tolerance) * h.arrival * h.prompt
	p.fewest += t.sent * (1 - Tolerance) * h.whole * h.prompt
	p.prompt += (t.early + t.late + t.failed) * h.prompt
}

// since is what a window holds from its first tick on, over all keys of a place.
type since struct {
	from      int64 // its first tick
	delivered float64
	expected  float64
	submitted float64
	converted float64
	reach     float64
	promised  float64
	doubted   bool // whether its conversions are not to be trusted
	at        [horizons]punctuality
}

// spans sums the cells of all tracks rung by rung, as prefixes does.
func spans(into []since, tracks []track) []since {
	into = into[:0]
	sum := since{from: math.MaxInt64}
	for rung := range longest(tracks) {
		for i := range tracks {
			if t := &tracks[i]; rung < len(t.cells) {
				sum.add(&t.cells[rung], t.aims)
			}
		}
		into = append(into, sum)
	}
	return into
}

func (s *since) add(c *cell, aims *[horizons]horizon) {
	s.from = min(s.from, c.from)
	s.delivered += c.delivered
	s.expected += c.expected
	s.submitted += c.submitted
	s.converted += c.seenConverted
	s.reach += c.seenReach
	s.promised += c.promised
	if aims != nil {
		for h := range s.at {
			s.at[h].add(&c.timely[h], &aims[h])
		}
	}
}

// question is what is asked of messages at a horizon.
type question uint8

const (
	answeredInTime  question = iota // a failure is an answer, whenever it came
	deliveredInTime                 // a failure is none
)

// seen is how many messages of a window are as the question asks, and how many are at least.
func (p *punctuality) seen(q question) (count, least float64) {
	if q == answeredInTime {
		return min(p.early+p.failed, p.sent), p.least
	}
	return min(p.early, p.sent), p.fewest
}

// lateness is the evidence of a window: n·kl(share ‖ least) nats where the share is below the least.
func lateness(count, least, sent float64) float64 {
	if !(sent > 0) || count >= least {
		return 0
	}
	return sent * klBernoulli(count/sent, least/sent)
}

// lateFinding is the window and horizon with most evidence.
type lateFinding struct {
	rung     int // -1 where no window speaks against the route
	horizon  int
	evidence float64
	calm     int64 // ticks, the newest, that favour normal
}

// scanLate looks for it. Windows of which the youngest part shows recovery are passed over.
func scanLate(windows []since, h int, q question) lateFinding {
	best := lateFinding{rung: -1, horizon: h}
	for rung := range windows {
		p := &windows[rung].at[h]
		if rung > 0 && p.sent == windows[rung-1].at[h].sent {
			continue // nothing was sent between the two
		}
		count, least := p.seen(q)
		nats := lateness(count, least, p.sent)
		if nats <= 0.5 || nats <= best.evidence {
			continue
		}
		again, calm := punctualAgain(windows[:rung], h, q, count/p.sent)
		if nats < recoveryNats || again < recoveryNats {
			best = lateFinding{rung, h, nats, calm}
		}
	}
	return best
}

// punctualAgain is how much the younger window that favours normal most does so over the accused share, in nats, and how
// many ticks it reaches back.
func punctualAgain(younger []since, h int, q question, accused float64) (best float64, ticks int64) {
	for rung := range younger {
		p := &younger[rung].at[h]
		if count, least := p.seen(q); p.sent > 0 && count > 0 {
			if nats := binomialRatio(count, p.sent, least/p.sent, accused); nats > best {
				best, ticks = nats, ladder[rung]
			}
		}
	}
	return best, ticks
}

// binomialRatio is the log likelihood, in nats, of count among sent at share a against share b.
func binomialRatio(count, sent, a, b float64) float64 {
	a, b = clamp(a, 1e-6, 1-1e-6), clamp(b, 1e-6, 1-1e-6)
	return count*math.Log(a/b) + (sent-count)*math.Log((1-a)/(1-b))
}
