package signal

import "math"

// The delay safety factor, pace: how much slower than learned the receipts of healthy messages may be today.
const (
	paceUnknown  = 1.5  // while too few receipts tell
	paceMaximum  = 2.0  // slower than this is a finding, not a pace
	paceMargin   = 1.05 // over what the last hour shows
	paceReceipts = 200  // that must tell
	paceNats     = 3.0  // a pace is believed possible while its likelihood is so close to the best

	// Receipts up to 60 s tell the pace; later ones say more about retries than about speed.
	paceEdges = 6
)

const (
	ringHour     = 3600 / tickSeconds
	settledTicks = 300 / tickSeconds
)

// paces are those tried: 0.5 to about 2, in steps of 3.6 %.
var paces = func() (p [40]float64) {
	for i := range p {
		p[i] = 0.5 * math.Pow(1.036, float64(i))
	}
	return p
}()

// pace is the delay safety factor for now: what the receipts of the last hour, those of the last five minutes left out,
// still allow, with a margin; paceUnknown while there are too few.
func (k *key) pace(n *normal, tick int64) float64 {
	seen, told := k.ring.early(tick-ringHour, tick-settledTicks), 0.0
	for _, d := range seen {
		told += d
	}
	if told < paceReceipts {
		return paceUnknown
	}
	slowest, ok := slowestPace(&n.receipts, &seen)
	if !ok {
		return paceUnknown
	}
	return clamp(slowest*paceMargin, 1, paceMaximum)
}

// early are the delivered receipts, by age up to the paceEdges-th edge, of the messages submitted in the ticks from..to.
func (r *ring) early(from, to int64) (seen [paceEdges]float64) {
	for tick := from; tick < to && !r.empty(); {
		s, width := r.slot(tick), int64(1)
		if s >= midOffset {
			width = ticksPerMid - mod(tick, ticksPerMid)
		}
		if s >= 0 && s < coarseOffset {
			c := r.at(s)
			for i := range seen {
				seen[i] += float64(c[fieldDelivered+i])
			}
		}
		tick += width
	}
	return seen
}

// slowestPace is the slowest pace whose likelihood, given receipts by age, is within paceNats of the best one. It is not
// ok where the curve has nothing at these ages.
func slowestPace(f *curve, seen *[paceEdges]float64) (pace float64, ok bool) {
	var fit [len(paces)]float64
	best := math.Inf(-1)
	for i, p := range paces {
		fit[i] = paceLikelihood(f, seen, p)
		best = max(best, fit[i])
	}
	for i := len(paces) - 1; i >= 0; i-- {
		if fit[i] >= best-paceNats {
			return paces[i], !math.IsInf(best, -1)
		}
	}
	return 0, false
}

// paceLikelihood is the log likelihood of the receipts' ages, given that they came by the last edge; -Inf where none can.
func paceLikelihood(f *curve, seen *[paceEdges]float64, pace float64) float64 {
	total := f.at(receiptAges[paceEdges-1] / pace)
	if !(total > 0) {
		return math.Inf(-1)
	}
	sum, before := 0.0, 0.0
	for i, n := range seen {
		share := f.at(receiptAges[i] / pace)
		if n > 0 {
			sum += n * math.Log(max((share-before)/total, 1e-9))
		}
		before = share
	}
	return sum
}
