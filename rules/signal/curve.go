package signal

import (
	"math"
	"sort"
)

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

// paced is a curve slowed down by a factor, with the mean shares of cohorts ready: first those of cohorts of one tick
// whose youngest messages are 0, 1, 2 … ticks old, then those of a minute by minutes, then those of ten by ten. Of the
// wider ones the younger age counts, so that nothing is expected too early.
type paced struct {
	curve  *curve
	factor float64
	shares [pacedTen + ringSpan/ticksPerTen + 2]float32
}

const (
	pacedMinute = fineSlots + 1
	pacedTen    = pacedMinute + midSlots + fineSlots/ticksPerMid + 2
)

// of makes p what a curve that is not empty and does not change has at a pace.
func (p *paced) of(c *curve, factor float64) {
	if p.curve == c && p.factor == factor {
		return
	}
	p.curve, p.factor = c, factor
	spread(p.shares[:pacedMinute], c, 1, factor)
	spread(p.shares[pacedMinute:pacedTen], c, ticksPerMid, factor)
	spread(p.shares[pacedTen:], c, ticksPerTen, factor)
}

// spread fills in the mean shares of cohorts of width ticks whose youngest messages are 0, 1, 2 … widths old: what the
// integral of the curve grows by from the beginning of each to its end. It is done for every judgement, so it walks along
// the curve once.
func spread(into []float32, c *curve, width, factor float64) {
	width *= tickSeconds / factor
	each := 1 / width
	last, most := c.ages[len(c.ages)-1], float32(c.shares[len(c.ages)-1])
	end, area := 0.0, 0.0
	knot, from, share, sum := 0, 0.0, 0.0, 0.0 // the knot ahead, and what has been passed: age, share and integral
	to, run, slope := c.ahead(0, 0, 0)
	for i := range into {
		begin, before := float64(i)*width, area
		switch {
		case begin >= last:
			into[i] = most
			continue
		case begin == end: // or it is the last bit that differs
		case begin > from && begin <= to:
			before = sum + (begin-from)*(share+slope*(begin-from)/2)
		default:
			before = c.integral(begin)
		}
		end = begin + width
		for end > to {
			next := c.shares[knot]
			sum += run * (next + share) / 2
			knot, from, share = knot+1, to, next
			to, run, slope = c.ahead(knot, from, share)
		}
		area = sum + (end-from)*(share+slope*(end-from)/2)
		into[i] = float32((area - before) * each)
	}
}

// ahead is the age of a knot, by how much it exceeds that of the one before it, and the slope between them. Beyond the last
// knot the share stays what it is.
func (c *curve) ahead(knot int, age, share float64) (next, run, slope float64) {
	if knot == len(c.ages) {
		return math.Inf(1), 1, 0
	}
	run = c.ages[knot] - age
	return c.ages[knot], run, (c.shares[knot] - share) / run
}

// integral is the integral of the shares up to an age of 0 or more seconds.
func (c *curve) integral(age float64) float64 {
	from, share, sum := 0.0, 0.0, 0.0
	for i, to := range c.ages {
		if age <= to {
			return sum + (age-from)*(share+(share+(c.shares[i]-share)*(age-from)/(to-from)))/2
		}
		sum += (to - from) * (c.shares[i] + share) / 2
		from, share = to, c.shares[i]
	}
	return sum + (age-from)*share
}

// mean is the mean share over the ages from..from+width seconds. The curve is not empty.
func (c *curve) mean(from, width float64) float64 {
	from = math.Max(from, 0)
	return (c.integral(from+width) - c.integral(from)) / width
}

// pacedIndex is where the share of a cohort of width ticks stands whose youngest message is age ticks old. A negative age
// counts as 0, one beyond the table as its last.
func pacedIndex(age, width int64) int {
	age = max(age, 0)
	switch width {
	case 1:
		return int(min(age, fineSlots))
	case ticksPerMid:
		return pacedMinute + int(min(age/ticksPerMid, pacedTen-pacedMinute-1))
	}
	return pacedTen + int(min(age/ticksPerTen, ringSpan/ticksPerTen+1))
}

// age is the youngest age, in seconds, by which a share has come; the last knot where it never has. The curve is not
// empty.
func (c *curve) age(share float64) float64 {
	i := sort.Search(len(c.shares), func(i int) bool { return c.shares[i] >= share })
	if i == len(c.shares) {
		return c.ages[i-1]
	}
	a0, s0 := 0.0, 0.0
	if i > 0 {
		a0, s0 = c.ages[i-1], c.shares[i-1]
	}
	if !(c.shares[i] > s0) {
		return c.ages[i]
	}
	return a0 + (c.ages[i]-a0)*(share-s0)/(c.shares[i]-s0)
}
