package signal

import "sort"

// curve is a cumulative distribution of ages: which share of what will come has come by an age.
type curve struct {
	ages   []float64 // seconds, growing
	shares []float64 // 0..1, not falling
}

// at is the share by an age in seconds: linear between the knots, 0 before age 0, the last share beyond the last knot.
func (c *curve) at(age float64) float64 {
	if !(age > 0) {
		return 0
	}
	i := sort.SearchFloat64s(c.ages, age)
	if i == len(c.ages) {
		return c.shares[i-1]
	}
	a0, s0 := 0.0, 0.0
	if i > 0 {
		a0, s0 = c.ages[i-1], c.shares[i-1]
	}
	return s0 + (c.shares[i]-s0)*(age-a0)/(c.ages[i]-a0)
}

// over is the mean share over the ages from..from+width seconds, by Simpson's rule.
func (c *curve) over(from, width float64) float64 {
	return (c.at(from) + 4*c.at(from+width/2) + c.at(from+width)) / 6
}

// paced is a curve slowed down by a factor, with the shares of the fine cohorts ready: fine[a] is the mean share of a
// cohort whose youngest message is a ticks old.
type paced struct {
	curve  *curve
	factor float64
	fine   [fineSlots + 1]float32
}

func newPaced(c *curve, factor float64) *paced {
	p := &paced{curve: c, factor: factor}
	for a := range p.fine {
		p.fine[a] = float32(p.over(float64(a)*tickSeconds, tickSeconds))
	}
	return p
}

func (p *paced) over(from, width float64) float64 {
	return p.curve.over(from/p.factor, width/p.factor)
}
