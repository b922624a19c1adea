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

// Wherever a walk along a curve stands and wherever it is asked to go, it says what one says that begins anew.
func TestIntegralEqualsItselfFromTheBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCurve(t)
		w := integral{curve: &c}
		for range rapid.IntRange(1, 20).Draw(t, "asked") {
			age := rapid.OneOf(rapid.Float64Range(-1, 4000), rapid.SampledFrom(c.ages)).Draw(t, "age")
			share, want := locate(&c, age)
			if got := w.to(age); got != want {
				t.Fatalf("to %v: got %v, want %v", age, got, want)
			}
			if got := c.at(age); got != share {
				t.Fatalf("at %v: got %v, want %v", age, got, share)
			}
		}
		from, width := rapid.Float64Range(0, 4000).Draw(t, "from"), rapid.Float64Range(1, 600).Draw(t, "width")
		before := w.to(from)
		if got, want := (w.to(from+width)-before)/width, numericMean(&c, from, width); math.Abs(got-want) > 1e-4 {
			t.Fatalf("mean of %v over %v+%v: got %v, want %v", c, from, width, got, want)
		}
	})
}

// What a cohort of some width and age is expected to have brought is the mean of the slowed curve over its ages, whatever
// cohorts were asked for before: to the last bit what a curve says that is asked for nothing else.
func TestPacedSharesEqualTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, factor := anyCurve(t), rapid.Float64Range(.5, 2).Draw(t, "factor")
		p := newPaced(&c, factor)
		age := int64(0)
		for _, width := range []int64{1, ticksPerMid, ticksPerTen} {
			age = age / width
			for range rapid.IntRange(1, 40).Draw(t, "cohorts") {
				seconds := float64(width) * (tickSeconds / factor)
				from := float64(age) * seconds
				_, before := locate(&c, from)
				_, after := locate(&c, from+seconds)
				got, want := p.share(age, float64(width)), float64(float32((after-before)/seconds))
				if got != want {
					t.Fatalf("cohort of %d ticks, %d widths old: got %v, want %v", width, age, got, want)
				}
				if mean := numericMean(&c, float64(age*width)*tickSeconds/factor, seconds); math.Abs(got-mean) > 1e-4 {
					t.Fatalf("cohort of %d ticks, %d widths old: got %v, want %v", width, age, got, mean)
				}
				age += rapid.SampledFrom([]int64{1, 1, 1, 2, 5}).Draw(t, "older")
			}
			age *= width
		}
	})
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
