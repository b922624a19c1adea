package promql

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// Counters tell how many messages were submitted and how many receipts came, and not which receipt is of which message. The
// estimators judge cohorts of submits, so each receipt has to be given to one. The receipts of a moment are shared out among
// all messages that still lack one of those that are usual for them, as a server does that works on all it has at once. Their
// ages are then exponential, with a mean of what waits over what comes.
//
//   - A route that swallows messages serves nobody: what was sent since then stays without receipts, which is silence.
//   - A route that loses a part serves less than comes in: everybody waits longer and longer, which is silence too.
//   - Traffic and receipts that fluctuate move the ages of all that wait by a little, to and fro, which is learned as normal.
//     Giving receipts to the messages of a fixed time before would make each second with fewer of them look like a loss.
//
// How long a receipt takes is not known from counters: two routes of which one is slower look alike. The mean is held near a
// delay that is told, and the receipts are marked as undated, so that latency and within stay unknown.

// slot is how finely a step of the counters is spread: a tick of the estimators.
const slot = 5 * time.Second

// Bounds of the queue.
const (
	longest   = 5 * time.Minute // messages older than this are no longer waited for
	halfLife  = time.Hour       // of the usual share of answers
	rateLife  = time.Minute     // of the rate of receipts
	shareFrom = 100.0           // messages before the share is more than a guess
	// pull is how long it takes to bring the mean age back to the delay, and the quotas by which it does are bounded.
	pull     = 5 * time.Minute
	pullLow  = 0.3
	pullHigh = 1.2
)

// queue gives the receipts of one route, class and network to its messages.
type queue struct {
	delay    time.Duration // the mean age that is told
	cohorts  []cohort      // oldest first
	settled  float64       // messages that are old enough to have been answered, faded
	answered float64       // receipts, faded
	rate     float64       // receipts, faded quickly
	faded    time.Time
	carry    float64 // of the usual share, what was less than one receipt
	// from is the moment from which messages are told. The receipts of those before belong to nobody known at first, and would
	// make the first ones look answered too soon.
	from time.Time
}

// cohort is the messages of one moment.
type cohort struct {
	at       time.Time
	sent     int
	usual    int // receipts that are usual for them
	answered int
}

func (c *cohort) lacks() int { return max(0, c.usual-c.answered) }

// submit puts messages of a moment into the queue.
func (q *queue) submit(at time.Time, n int) {
	q.carry += float64(n) * q.share() * q.pulled()
	usual := min(n, int(q.carry))
	q.carry = min(q.carry-float64(usual), 1)
	q.cohorts = append(q.cohorts, cohort{at: at, sent: n, usual: usual})
}

// share is the usual share of messages that are answered, 0..1; 1 while too little is known.
func (q *queue) share() float64 {
	if q.settled < shareFrom {
		return 1
	}
	return min(1, q.answered/q.settled)
}

// pulled is by how much less, or more, is asked for new messages, so that those that wait come to wait for the delay.
func (q *queue) pulled() float64 {
	waiting := 0
	for i := range q.cohorts {
		waiting += q.cohorts[i].lacks()
	}
	perSecond := q.rate * math.Ln2 / rateLife.Seconds()
	if waiting == 0 || perSecond == 0 {
		return 1
	}
	over := float64(waiting)/perSecond - q.delay.Seconds()
	return min(max(1-over/pull.Seconds(), pullLow), pullHigh)
}

// fade lets what was long ago count less, and gives up on messages that are too old.
func (q *queue) fade(now time.Time) {
	if !q.faded.IsZero() {
		gone := now.Sub(q.faded).Seconds()
		f := math.Exp2(-gone / halfLife.Seconds())
		q.settled, q.answered = q.settled*f, q.answered*f
		q.rate *= math.Exp2(-gone / rateLife.Seconds())
	}
	q.faded = now
	for len(q.cohorts) > 0 && now.Sub(q.cohorts[0].at) > longest {
		q.settled += float64(q.cohorts[0].sent)
		q.cohorts = q.cohorts[1:]
	}
}

// answer gives n receipts that came at a moment to messages that were sent before it, and returns when each was. What is more
// than all messages goes to the moment itself.
func (q *queue) answer(at time.Time, n int) []time.Time {
	q.answered, q.rate = q.answered+float64(n), q.rate+float64(n)
	given := q.among(n, make([]time.Time, 0, n), (*cohort).lacks)
	given = q.among(n-len(given), given, func(c *cohort) int { return c.sent - c.answered })
	for len(given) < n {
		given = append(given, at)
	}
	return given
}

// among shares n receipts out over the cohorts, in proportion to what each lacks and never beyond it.
func (q *queue) among(n int, given []time.Time, lacks func(*cohort) int) []time.Time {
	waiting := 0
	for i := range q.cohorts {
		waiting += lacks(&q.cohorts[i])
	}
	if n = min(n, waiting); n <= 0 {
		return given
	}
	passed, done := 0, 0
	for i := range q.cohorts {
		c := &q.cohorts[i]
		passed += lacks(c)
		for ; done < passed*n/waiting; done++ {
			c.answered++
			given = append(given, c.at)
		}
	}
	return given
}

// step is what the counters of one key have grown by between two moments.
type step struct {
	from, to  time.Time
	submitted int
	refused   int
	throttled int
	delivered int
	failed    int
}

// most bounds the messages of a step: more are no traffic of one route.
const most = 200_000

// total is how many observations a step makes.
func (s *step) total() int { return s.submitted + s.refused + s.throttled + s.delivered + s.failed }

// observations spreads a step over its time, tick by tick, and gives each receipt to a message.
func (q *queue) observations(k route.Key, source string, s *step) []route.Observation {
	out := make([]route.Observation, 0, s.total())
	slots := max(1, int(s.to.Sub(s.from)/slot))
	width := s.to.Sub(s.from) / time.Duration(slots)
	share := func(total, i int) int { return total*(i+1)/slots - total*i/slots }
	for i := range slots {
		at := s.from.Add(width*time.Duration(i) + width/2)
		q.fade(at)
		base := route.Observation{Time: at, Source: source, Route: k.Route, Class: k.Class, Network: k.Network}
		add := func(n int, o route.Observation) {
			if at.Before(q.from) {
				return
			}
			for range n {
				out = append(out, o)
			}
		}
		submit, refused, throttled := base, base, base
		submit.Kind, submit.Result = route.KindSubmit, route.Accepted
		refused.Kind, refused.Result, refused.Fault = route.KindSubmit, route.Refused, route.FaultRoute
		throttled.Kind, throttled.Result, throttled.Fault = route.KindSubmit, route.Refused, route.FaultCapacity
		n := share(s.submitted, i)
		add(n, submit)
		add(share(s.refused, i), refused)
		add(share(s.throttled, i), throttled)
		if n > 0 {
			q.submit(at, n)
		}
		receipt := base
		receipt.Kind, receipt.Final, receipt.Undated = route.KindReceipt, true, true
		delivered, failed := share(s.delivered, i), share(s.failed, i)
		times := q.answer(at, delivered+failed)
		for n := range delivered + failed {
			receipt.Status = route.StatusDelivered
			if n*failed/(delivered+failed) != (n+1)*failed/(delivered+failed) { // the failed ones evenly among the others
				receipt.Status = route.StatusFailed
			}
			if receipt.Submitted = times[n]; !receipt.Submitted.Before(q.from) {
				out = append(out, receipt)
			}
		}
	}
	return out
}
