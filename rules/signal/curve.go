package signal

import "sort"

// curve is a cumulative distribution of ages, linear between its knots: which share of what will come has come by an age.
type curve struct {
	ages   []float64 // seconds, growing
	shares []float64 // 0..1, not falling
}

// newCurve keeps both slices.
func newCurve(ages, shares []float64) curve { return curve{ages, shares} }

func (c *curve) empty() bool { return len(c.ages) == 0 }

// at is the share by an age in seconds: 0 before age 0, the last share beyond the last knot. The curve is not empty.
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

// integral walks along a curve that is not empty and adds up the shares that it passes. The zero value, with a curve,
// stands at age 0.
type integral struct {
	curve *curve
	knot  int     // the first one that is not passed
	age   float64 // of the last one passed
	share float64
	area  float64 // integral of the shares up to there
}

// to is the integral of the shares up to an age in seconds. It is quick where ages grow from call to call.
func (w *integral) to(age float64) float64 {
	if !(age > 0) {
		return 0
	}
	if w.knot > 0 && !(age > w.age) {
		*w = integral{curve: w.curve}
	}
	c := w.curve
	for w.knot < len(c.ages) && c.ages[w.knot] < age {
		a, s := c.ages[w.knot], c.shares[w.knot]
		w.area += (a - w.age) * (s + w.share) / 2
		w.age, w.share, w.knot = a, s, w.knot+1
	}
	share := w.share
	if w.knot == len(c.ages) {
		return w.area + share*(age-w.age)
	}
	share += (c.shares[w.knot] - share) * (age - w.age) / (c.ages[w.knot] - w.age)
	return w.area + (age-w.age)*(w.share+share)/2
}

// paced tells the mean shares of a curve slowed down by a factor, cohort by cohort: of cohorts whose ages are first 0, 1,
// 2 … ticks, then minutes, then ten minutes. It is asked from the youngest to the oldest.
type paced struct {
	integral integral
	factor   float64
	width    float64 // of the cohorts, in ticks
	seconds  float64 // the same in seconds of the curve
	until    float64 // age and integral where the last cohort that was asked for ends
	area     float64
}

func newPaced(c *curve, factor float64) paced {
	return paced{integral: integral{curve: c}, factor: factor}
}

// share is the mean share of a cohort of width ticks whose youngest message is age widths old. Of those of a minute or more
// the younger age counts, so that nothing is expected too early.
func (p *paced) share(age int64, width float64) float64 {
	if p.width != width {
		p.width, p.seconds = width, width*(tickSeconds/p.factor)
	}
	from := float64(age) * p.seconds
	before := p.area
	if from != p.until {
		before = p.integral.to(from)
	}
	p.until = from + p.seconds
	p.area = p.integral.to(p.until)
	return float64(float32((p.area - before) / p.seconds))
}

// pacedWidths is the greatest age, in their own widths, that cohorts of width ticks are asked for; older ones count as old.
func pacedWidths(width int64) int64 {
	switch width {
	case 1:
		return fineSlots
	case ticksPerMid:
		return midSlots + fineSlots/ticksPerMid + 1
	}
	return ringSpan/ticksPerTen + 1
}
