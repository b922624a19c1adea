package scenario

import (
	"hash/fnv"
	"math"
)

// chance decides what a simulated world leaves open. Seeded, it draws at random, the same each time. Steady, it leaves
// nothing to chance: what is picked follows its shares as closely as whole numbers can, and what is drawn covers its
// range evenly.
type chance struct {
	state  uint64 // of splitmix64
	steady bool
}

// newChance is the chance of one part of a world, independent of that of the others. Seed 0 is steady.
func newChance(seed uint64, part string) chance {
	h := fnv.New64a()
	_, _ = h.Write([]byte(part))
	return chance{state: seed ^ h.Sum64(), steady: seed == 0}
}

// next is the next number of splitmix64 (G. L. Steele, D. Lea, C. H. Flood, 2014).
func (c *chance) next() uint64 {
	c.state += 0x9e3779b97f4a7c15
	z := c.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is uniform in the open interval from 0 to 1. Steady, a row of calls with one counter covers it evenly, by the
// multiples of the golden ratio.
func (c *chance) unit(counter *uint64) float64 {
	if c.steady {
		*counter++
		_, u := math.Modf(float64(*counter) * (math.Phi - 1))
		return math.Max(u, 1e-9)
	}
	return (float64(c.next()>>11) + 0.5) / (1 << 53)
}

// wait is the time to the next of several events that come at a rate a second, in seconds: exponential, or steady.
func (c *chance) wait(rate float64) float64 {
	if c.steady {
		return 1 / rate
	}
	return -math.Log(c.unit(nil)) / rate
}

// owed is what the outcomes of one pick have been promised so far and did not get.
type owed [outcomes]float64

// pick is one of several outcomes by their shares, which sum to 1.
func (c *chance) pick(shares *[outcomes]float64, o *owed) outcome {
	if c.steady {
		return o.most(shares)
	}
	u := c.unit(nil)
	for i, share := range shares {
		if u -= share; u < 0 {
			return outcome(i)
		}
	}
	return outcomes - 1
}

// most is the outcome that is owed most once each has been promised its share.
func (o *owed) most(shares *[outcomes]float64) outcome {
	best := 0
	for i := range o {
		o[i] += shares[i]
		if o[i] > o[best]+1e-9 {
			best = i
		}
	}
	o[best]--
	return outcome(best)
}

// happens reports whether something does that has a share. Steady, owed counts what it has been promised.
func (c *chance) happens(share float64, owed *float64) bool {
	if !c.steady {
		return c.unit(nil) < share
	}
	if *owed += share; *owed < 1-1e-9 {
		return false
	}
	*owed--
	return true
}

// normal is the standard normal quantile of u.
func normal(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }
