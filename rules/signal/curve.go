package signal

import "sort"

// curve is a cumulative distribution of ages, linear between its knots: which share of what will come has come by an age.
type curve struct {
	ages   []float64 // seconds, growing
	shares []float64 // 0..1, not falling
	areas  []float64 // areas[i]: integral of the shares up to ages[i]
}

// newCurve keeps both slices.
func newCurve(ages, shares []float64) curve {
	c := curve{ages: ages, shares: shares, areas: make([]float64, len(ages))}
	age, share, area := 0.0, 0.0, 0.0
	for i := range ages {
		area += (ages[i] - age) * (shares[i] + share) / 2
		age, share, c.areas[i] = ages[i], shares[i], area
	}
	return c
}

func (c *curve) empty() bool { return len(c.ages) == 0 }

// at is the share by an age in seconds: 0 before age 0, the last share beyond the last knot. The curve is not empty.
func (c *curve) at(age float64) float64 {
	share, _ := c.locate(age)
	return share
}

// mean is the mean share over the ages from..from+width seconds. The curve is not empty.
func (c *curve) mean(from, width float64) float64 {
	_, before := c.locate(from)
	_, after := c.locate(from + width)
	return (after - before) / width
}

// locate is the share by an age, and the integral of the shares up to it.
func (c *curve) locate(age float64) (share, area float64) {
	if !(age > 0) {
		return 0, 0
	}
	i := sort.SearchFloat64s(c.ages, age)
	if i == len(c.ages) {
		share = c.shares[i-1]
		return share, c.areas[i-1] + share*(age-c.ages[i-1])
	}
	a0, s0, area := 0.0, 0.0, 0.0
	if i > 0 {
		a0, s0, area = c.ages[i-1], c.shares[i-1], c.areas[i-1]
	}
	share = s0 + (c.shares[i]-s0)*(age-a0)/(c.ages[i]-a0)
	return share, area + (age-a0)*(s0+share)/2
}

// paced is a curve slowed down by a factor, with the mean shares of cohorts ready: first those of cohorts of one tick
// whose youngest messages are 0, 1, 2 … ticks old, then those of a minute by minutes, then those of ten by ten. Of the
// wider ones the younger age counts, so that nothing is expected too early.
type paced struct {
	factor float64
	shares [pacedTen + ringSpan/ticksPerTen + 2]float32
}

const (
	pacedMinute = fineSlots + 1
	pacedTen    = pacedMinute + midSlots + fineSlots/ticksPerMid + 2
)

func newPaced(c *curve, factor float64) *paced {
	p := &paced{factor: factor}
	spread(p.shares[:pacedMinute], c, 1, factor)
	spread(p.shares[pacedMinute:pacedTen], c, ticksPerMid, factor)
	spread(p.shares[pacedTen:], c, ticksPerTen, factor)
	return p
}

// spread fills in the mean shares of cohorts of width ticks whose youngest messages are 0, 1, 2 … widths old.
func spread(into []float32, c *curve, width, factor float64) {
	width *= tickSeconds / factor
	for i := range into {
		into[i] = float32(c.mean(float64(i)*width, width))
	}
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
