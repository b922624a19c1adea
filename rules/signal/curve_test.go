package signal

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func anyCurve(t *rapid.T) curve {
	n := rapid.IntRange(2, 12).Draw(t, "knots")
	ages, shares := make([]float64, n), make([]float64, n)
	age, share := 0.0, 0.0
	for i := range ages {
		age += rapid.Float64Range(0.1, 300).Draw(t, "step")
		share += (1 - share) * rapid.Float64Range(0, 1).Draw(t, "rise")
		ages[i], shares[i] = age, share
	}
	return newCurve(ages, shares)
}

// numericMean is the mean of a curve by ten thousand midpoints.
func numericMean(c *curve, from, width float64) float64 {
	const n = 10_000
	sum := 0.0
	for i := range n {
		sum += c.at(from + width*(float64(i)+.5)/n)
	}
	return sum / n
}

func TestCurve(t *testing.T) {
	c := newCurve([]float64{2, 10, 20}, []float64{.2, .6, .9})
	for age, want := range map[float64]float64{-5: 0, 0: 0, 1: .1, 2: .2, 6: .4, 10: .6, 15: .75, 20: .9, 1e9: .9} {
		if got := c.at(age); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: got %v, want %v", age, got, want)
		}
	}
	if got := c.at(math.NaN()); got != 0 {
		t.Errorf("at NaN: got %v", got)
	}
}

// locate is the share of a curve by an age, and the integral of the shares up to it, from the beginning.
func locate(c *curve, age float64) (share, area float64) {
	if !(age > 0) {
		return 0, 0
	}
	a0, s0, area := 0.0, 0.0, 0.0
	for i, a := range c.ages {
		if a >= age {
			share = s0 + (c.shares[i]-s0)*(age-a0)/(a-a0)
			return share, area + (age-a0)*(s0+share)/2
		}
		area += (a - a0) * (c.shares[i] + s0) / 2
		a0, s0 = a, c.shares[i]
	}
	return s0, area + s0*(age-a0)
}

func TestIntegralEqualsTheNumericOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCurve(t)
		age := rapid.OneOf(rapid.Float64Range(0, 4000), rapid.SampledFrom(c.ages)).Draw(t, "age")
		share, want := locate(&c, age)
		if got := c.integral(age); got != want {
			t.Fatalf("to %v: got %v, want %v", age, got, want)
		}
		if got := c.at(age); got != share {
			t.Fatalf("at %v: got %v, want %v", age, got, share)
		}
		width := rapid.Float64Range(1, 600).Draw(t, "width")
		if got, want := (c.integral(age+width)-c.integral(age))/width, numericMean(&c, age, width); math.Abs(got-want) > 1e-4 {
			t.Fatalf("mean of %v over %v+%v: got %v, want %v", c, age, width, got, want)
		}
	})
}

// What a cohort of some width and age is expected to have brought is the mean of the slowed curve over its ages: exactly
// where it is one tick wide, and never more where it is wider; and to the last bit what the formula says that looks at this
// cohort alone.
func TestPacedSharesEqualTheFormula(t *testing.T) {
	var p paced // as in a filling, used again and again
	rapid.Check(t, func(t *rapid.T) {
		c, factor := anyCurve(t), rapid.Float64Range(.5, 2).Draw(t, "factor")
		p.of(&c, factor)
		age := rapid.Int64Range(0, ringSpan).Draw(t, "age")
		for _, width := range []int64{1, ticksPerMid, ticksPerTen} {
			if width == 1 && age > fineSlots || age > 70*ticksPerMid && width == ticksPerMid {
				continue // such cohorts are wider
			}
			got := float64(p.shares[pacedIndex(age, width)])
			seconds := float64(width) * (tickSeconds / factor)
			from := float64(age/width) * seconds
			_, before := locate(&c, from)
			_, after := locate(&c, from+seconds)
			if want := float64(float32((after - before) / seconds)); got != want && !(from >= c.ages[len(c.ages)-1] && math.Abs(got-want) < 1e-7) {
				t.Fatalf("cohort of %d ticks, %d old: got %v, want %v", width, age, got, want)
			}
			want := numericMean(&c, float64(age)*tickSeconds/factor, seconds)
			if got > want+1e-4 || age%width == 0 && math.Abs(got-want) > 1e-4 {
				t.Fatalf("cohort of %d ticks, %d old: got %v, want %v", width, age, got, want)
			}
		}
	})
}

func TestPacedIndexStaysInTheTable(t *testing.T) {
	var p paced
	for age := int64(-100); age < 2*ringSpan; age++ {
		for _, width := range []int64{1, ticksPerMid, ticksPerTen} {
			if i := pacedIndex(age, width); i < 0 || i >= len(p.shares) {
				t.Fatalf("cohort of %d ticks, %d old: index %d", width, age, i)
			}
		}
	}
	if pacedIndex(fineSlots, 1) >= pacedIndex(0, ticksPerMid) || pacedIndex(2000, ticksPerMid) >= pacedIndex(0, ticksPerTen) {
		t.Error("the tables overlap")
	}
}

func TestHistogramCurve(t *testing.T) {
	c := histogramCurve(receiptKnots, []float64{10, 20, 30, 10, 10, 5, 5, 5, 5})
	for age, want := range map[float64]float64{2: .1, 5: .3, 10: .6, 300: .95, 3600: 1, 9999: 1} {
		if got := c.at(age); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: got %v, want %v", age, got, want)
		}
	}
	if c := histogramCurve(receiptKnots, make([]float64, buckets)); !c.empty() {
		t.Errorf("nothing learned gave %v", c)
	}
	if len(receiptKnots) != buckets || len(conversionKnots) != buckets {
		t.Error("the edges do not fit the counts")
	}
}
