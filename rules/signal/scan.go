package signal

import (
	"math"

	"signalbox/rules/route"
)

// The likelihood scan. A healthy route brings the receipt of a message by age a with probability G·F(a), where G is the
// share of messages that get a final receipt and F the distribution of the receipts' ages, and a receipt says delivered
// with probability κ. The likelihood of what has come back falls apart into two factors: whether receipts arrive
// (silence), and what those that arrive say (failure). For every window of the ladder, the scan takes the log likelihood
// of the best worse state against a state that is worse than normal by no more than the tolerance, and of all windows
// the one in which the sum is largest. It is a generalised likelihood ratio over submission cohorts, censored at now.

// Tolerance is how much worse than its baseline a route may be, as a share of it, before evidence gathers against it.
const Tolerance = 0.03

// conversionTolerance is the same of conversions, which people's habits move more than routes do.
const conversionTolerance = 0.15

// arrivals and conversions that are tried as worse states, as shares of normal.
var (
	silenceShares    = [...]float64{.94, .88, .80, .65, .40, .10}
	conversionShares = [...]float64{.80, .70, .55, .40, .25, .10}
)

const (
	shares = len(silenceShares)
	// recoveryNats for normal in a younger window take back what an older one says: the trouble is over.
	recoveryNats = 4.6
	// peaceNats against a route that is out are trouble, after which there must be peace before it counts as recovered.
	peaceNats = 6.0
	// floorReceipts must be back before a route counts as recovered.
	floorReceipts = 5
)

// track is the cells of one key, with the normal they are judged by.
type track struct {
	cells  []cell
	normal *normal
	timing *timing            // nil where there are no messages
	aims   *[horizons]horizon // its horizons; nil too
	since  float64            // conversions due since the last one of the class
}

// sums are what a window holds, over all keys of a place.
type sums struct {
	silence   [shares]float64 // nats of each worse arrival against the tolerated one
	delivered float64
	failed    float64
	usual     float64 // receipts that would say delivered at the baseline's share
}

// finding is what a scan found: the window with most evidence, and the state it points to.
type finding struct {
	rung     int // of the ladder; -1 where no window speaks against the route
	evidence float64
	silence  float64
	failure  float64
	failures float64 // the most evidence that failures alone give in any window
	share    int     // index of the arrival that the silence points to; -1 for none
}

// same reports whether a window holds no more than another.
func (s *sums) same(shorter *sums) bool {
	return s.delivered == shorter.delivered && s.failed == shorter.failed && s.silence == shorter.silence
}

// status is the share of receipts that say delivered at the baseline, over the window.
func (s *sums) status() float64 {
	if r := s.delivered + s.failed; r > 0 {
		return s.usual / r
	}
	return 1
}

// failure is the evidence of what receipts say: R·kl(D/R ‖ x·κ).
func (s *sums) failure(x float64) float64 {
	r := s.delivered + s.failed
	if r == 0 {
		return 0
	}
	share, normal := s.delivered/r, x*s.usual/r
	if share >= normal {
		return 0
	}
	return r * klBernoulli(share, normal)
}

// klBernoulli is the Kullback-Leibler divergence of Bernoulli(u) from Bernoulli(v), in nats.
func klBernoulli(u, v float64) float64 {
	sum := 0.0
	if u > 0 {
		sum += u * math.Log(u/v)
	}
	if u < 1 {
		sum += (1 - u) * math.Log((1-u)/(1-v))
	}
	return sum
}

// add adds the cell of a key.
func (s *sums) add(c *cell, n *normal) {
	if c.open > 0 && c.due > 0 {
		tolerated := 1 / (1 - (1-Tolerance)*c.due)
		for i, share := range silenceShares {
			s.silence[i] += c.open * math.Log((1-share*c.due)*tolerated)
		}
	}
	if c.answered > 0 {
		for i := range s.silence {
			s.silence[i] += c.answered * logShares[i]
		}
	}
	s.delivered += c.delivered
	s.failed += c.failed
	s.usual += (c.delivered + c.failed) * n.status
}

// logShares are the logarithms of the tried arrivals over the tolerated one.
var logShares = func() (l [shares]float64) {
	for i, s := range silenceShares {
		l[i] = math.Log(s / (1 - Tolerance))
	}
	return l
}()

// most is the largest silence and the arrival it points to; 0 and -1 where none is positive.
func (s *sums) most() (nats float64, share int) {
	share = -1
	for i, v := range s.silence {
		if v > nats {
			nats, share = v, i
		}
	}
	return nats, share
}

// prefixes sums the cells of all tracks rung by rung: the i-th is the window of the rungs 0..i.
func prefixes(into []sums, tracks []track) []sums {
	into = into[:0]
	var sum sums
	for rung := range longest(tracks) {
		for i := range tracks {
			if rung < len(tracks[i].cells) {
				sum.add(&tracks[i].cells[rung], tracks[i].normal)
			}
		}
		into = append(into, sum)
	}
	return into
}

func longest(tracks []track) int {
	n := 0
	for i := range tracks {
		n = max(n, len(tracks[i].cells))
	}
	return n
}

// scan looks for the window with most evidence. Windows of which the youngest part shows recovery are passed over.
func scan(windows []sums) finding {
	best := finding{rung: -1, share: -1}
	for rung := range windows {
		w := &windows[rung]
		if rung > 0 && w.same(&windows[rung-1]) {
			continue // nothing was sent between the two
		}
		f := finding{rung: rung, failure: w.failure(1 - Tolerance)}
		f.silence, f.share = w.most()
		f.evidence = f.silence + f.failure
		if f.evidence <= 0.5 || f.evidence <= best.evidence && f.failure <= best.failures || recovered(windows[:rung], w, &f) {
			continue
		}
		failures := math.Max(best.failures, f.failure)
		if f.evidence > best.evidence {
			best = f
		}
		best.failures = failures
	}
	return best
}

// calm is how many of the newest ticks favour normal over the silence that f accuses the route of: the youngest window
// that speaks most for it.
func calm(windows []sums, f *finding) int64 {
	if f.share < 0 {
		return 0
	}
	best, ticks := 0.0, int64(0)
	for rung := range windows[:f.rung] {
		if nats := windows[rung].silence[f.share]; nats < best {
			best, ticks = nats, ladder[rung]
		}
	}
	return ticks
}

// recovered reports whether a younger window favours normal over the state that f accuses the route of.
func recovered(younger []sums, w *sums, f *finding) bool {
	if f.evidence < recoveryNats {
		return false
	}
	status := w.status()
	accused := clamp(w.delivered/math.Max(w.delivered+w.failed, 1), 0.01, 0.99*status)
	up, down := math.Log(status/accused), math.Log((1-status)/(1-accused))
	for rung := range younger {
		y, nats := &younger[rung], 0.0
		if f.share >= 0 {
			nats -= y.silence[f.share]
		}
		if f.failure > 0 {
			nats += y.delivered*up + y.failed*down
		}
		if nats >= recoveryNats {
			return true
		}
	}
	return false
}

// accusation is a state that a route is accused of, ready to be weighed against normal.
type accusation struct {
	arrival, logArrival float64 // share of the usual receipts; 1 is not accused
	status              float64 // share of receipts that say delivered; 0 is not accused
	logStatus, logRest  float64
}

func accuse(a route.Accused) accusation {
	c := accusation{arrival: 1, status: a.Delivered, logStatus: math.Log(a.Delivered), logRest: math.Log(1 - a.Delivered)}
	if a.Arrival > 0 {
		c.arrival, c.logArrival = a.Arrival, math.Log(a.Arrival)
	}
	return c
}

// against is the log likelihood, in nats, of the state against normal for a cell of one key; due is the share of the open
// messages' usual receipts that should be back.
func (a *accusation) against(c *cell, n *normal, due float64) float64 {
	nats := 0.0
	if a.arrival < 1 {
		if c.open > 0 && due > 0 {
			nats += c.open * math.Log((1-a.arrival*due)/(1-due))
		}
		nats += c.answered * a.logArrival
	}
	if a.status > 0 && a.status < n.status && c.delivered+c.failed > 0 {
		nats += c.delivered*(a.logStatus-n.logStatus) + c.failed*(a.logRest-n.logRest)
	}
	return nats
}

// conversionRatio is the same of conversions arriving at a share of normal against another share.
func conversionRatio(c *cell, share, against float64) float64 {
	nats := 0.0
	if c.unconverted > 0 && c.convDue > 0 {
		nats += c.unconverted * (math.Log(1-share*c.convDue) - math.Log(1-against*c.convDue))
	}
	if c.converted > 0 {
		nats += c.converted * math.Log(share/against)
	}
	return nats
}
