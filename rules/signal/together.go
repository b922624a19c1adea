package signal

import (
	"fmt"
	"math"
)

// How far messages of one minute share their fate is learned, like what is normal, from minutes that are mature: by how
// much those that fell below what is tolerated did so more than chance allows. Independent messages show none of it, and
// count as they are.

// correlations are those of messages of one minute, by its size; 0 is independent. A crowd needs none.
type correlations [crowd]float64

// weight is for how much a message counts in a minute of n: 1 / (1 + (n−1)ρ).
func (r *correlations) weight(s size, n float64) float64 {
	if r[s] == 0 || n <= 1 {
		return 1
	}
	return 1 / (1 + (n-1)*r[s])
}

// Together is what has been learned of correlations, by the size of a minute: a moment estimator of the intraclass
// correlation of a beta-binomial (J. C. Kleinman, 1973) that sees only what lies below the tolerated share.
type Together [crowd]struct {
	Excess float64 `json:"excess"` // squared shortfalls beyond those of independent messages, never below 0
	Scale  float64 `json:"scale"`  // what Excess would be if all messages of each minute shared one fate
}

// learn adds a minute in which so many of n went well, when share of them is tolerated. One in which not even half of
// that did is an incident, and teaches nothing.
func (t *Together) learn(s size, n, well, share float64) {
	if s == crowd || n < 2 || well < n*share/2 {
		return
	}
	short, chance := max(0, n*share-well), n*share*(1-share)
	t[s].Excess = max(0, t[s].Excess+short*short-chance)
	t[s].Scale += n * (n - 1) * share * (1 - share)
}

func (t *Together) fade(f float64) {
	for s := range t {
		t[s].Excess *= f
		t[s].Scale *= f
	}
}

// check returns what is wrong with what was stored, or nil.
func (t *Together) check() error {
	for s := range t {
		if !(t[s].Excess >= 0 && t[s].Scale >= 0 && t[s].Scale <= math.MaxFloat64) || t[s].Excess > 0 && t[s].Scale == 0 {
			return fmt.Errorf("want correlations of an excess and a scale from 0, got %v and %v", t[s].Excess, t[s].Scale)
		}
	}
	return nil
}

// correlations are what has been learned, at most those of a crowd.
func (t *Together) correlations() (r correlations) {
	for s := range t {
		if t[s].Excess > 0 {
			r[s] = min(t[s].Excess/t[s].Scale, 1.0/crowdCounts)
		}
	}
	return r
}

// togetherPart is the age in seconds, and its place among receiptAges, by which a minute's receipts are asked whether
// they came: most have, and a campaign that clogs the carrier's queue shows.
const (
	togetherAge  = 60
	togetherPart = 6
)

// learnTogether learns from the mature cohort of a minute, unless it is from a longer time of trouble: what lasts is the
// route's, not a campaign's.
func (k *key) learnTogether(minute int64, c *Counts) {
	n := k.normal
	if n == nil || !k.crowds.held(minute) || k.lasting.hold(minute*ticksPerMid, (minute+1)*ticksPerMid-1) {
		return
	}
	s, submitted, failed := k.crowds.sizeOf(minute), float64(c[fieldSubmitted]), float64(c[fieldFailed])
	answered := failed
	for i := range togetherPart {
		answered += float64(c[fieldDelivered+i])
	}
	l := &k.learned
	l.Status.learn(s, c.delivered()+failed, c.delivered(), (1-Tolerance)*n.status)
	l.Arrival.learn(s, submitted, answered, (1-Tolerance)*n.arrival*n.receipts.at(togetherAge))
	if n.conversion > 0 {
		l.Conversion.learn(s, submitted, float64(c[fieldConverted]), (1-conversionTolerance)*n.conversion)
	}
}

// lastingTicks is how long trouble lasts that is no campaign's: half an hour.
const lastingTicks = 30 * ticksPerMid

// suffer notes trouble at a tick while the route was not out.
func (k *key) suffer(tick int64) {
	if k.trouble.to == 0 || tick > k.trouble.to+ticksPerTen {
		k.trouble.from = tick
	}
	if k.trouble.to = tick; tick-k.trouble.from > lastingTicks {
		k.lasting.add(k.trouble.from, tick)
	}
}
