package signal

import (
	"fmt"
	"math"
)

// How far messages of one campaign share their fate is learned, like what is normal, from minutes that are mature: from
// those above the usual number, in which there may be a campaign too small to be a crowd. What counts is the worst of
// them that the route came out of: the mean would be that of the many campaigns to good lists, and a list of dead
// numbers once a day would stay as suspicious as the first one.

// together is the correlation within a minute above the usual, faded by age, of what is asked of messages. 0 is
// independent.
type together struct {
	Status     float64 `json:"status,omitempty"`     // of what receipts say
	Arrival    float64 `json:"arrival,omitempty"`    // of whether they have come
	Conversion float64 `json:"conversion,omitempty"` // of whether messages convert
}

// mostTogether is the correlation of a crowd, and the most that is believed of less.
const mostTogether = 1.0 / crowdCounts

// clearlyTogether is by how many standard errors a minute must fall below what is tolerated to teach anything.
// Independent messages do not; and what falls by less is no proof alone (4²/2 = 8 nats of 12).
const clearlyTogether = 4

// learn adds to a correlation a minute in which so many of n went well, when a share of them is tolerated: the intraclass
// correlation that makes its shortfall one standard error (as of the beta-binomial). One in which not even half of the
// tolerated went well is an incident, and teaches nothing.
func learn(correlation *float64, n, well, share float64) {
	short, variance := n*share-well, n*share*(1-share)
	if well >= n*share/2 && short > clearlyTogether*math.Sqrt(variance) && n > 1 {
		*correlation = max(*correlation, min(mostTogether, (short*short/variance-1)/(n-1)))
	}
}

func (t *together) fade(f float64) {
	t.Status *= f
	t.Arrival *= f
	t.Conversion *= f
}

// check returns what is wrong with what was stored, or nil.
func (t *together) check() error {
	for _, v := range [...]float64{t.Status, t.Arrival, t.Conversion} {
		if !(v >= 0 && v <= mostTogether) {
			return fmt.Errorf("want correlations from 0 to %.3f, got %v", mostTogether, v)
		}
	}
	return nil
}

// counts is for how much a message counts in a minute of n: 1 / (1 + (n−1)ρ).
func counts(n, correlation float64) float64 { return 1 / (1 + max(0, n-1)*correlation) }

// togetherAge, in seconds, is the age by which a minute's receipts are asked whether they came: most have, and a campaign
// that clogs the carrier's queue shows. It is the edge of receiptAges before which togetherEdges count.
const (
	togetherAge   = 60
	togetherEdges = 6
)

// learnTogether learns from the mature cohort of a minute, unless the route was out when it began, or in trouble for
// longer than a campaign is. It reports whether it learned.
func (k *key) learnTogether(minute int64, c *Counts) bool {
	n, first := k.normal, minute*ticksPerMid
	if n == nil || !k.crowds.swells(minute) || k.lasting.hold(first, first) {
		return false
	}
	submitted, failed := float64(c[fieldSubmitted]), float64(c[fieldFailed])
	answered := failed
	for i := range togetherEdges {
		answered += float64(c[fieldDelivered+i])
	}
	t, was := &k.learned.Together, k.learned.Together
	learn(&t.Status, c.delivered()+failed, c.delivered(), (1-Tolerance)*n.status)
	learn(&t.Arrival, submitted, answered, (1-Tolerance)*n.arrival*n.receipts.at(togetherAge))
	if n.conversion > 0 {
		learn(&t.Conversion, submitted, float64(c[fieldConverted]), (1-conversionTolerance)*n.conversion)
	}
	return *t != was
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
