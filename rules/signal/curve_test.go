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

func TestCurveMeanEqualsNumericIntegration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCurve(t)
		from, width := rapid.Float64Range(0, 4000).Draw(t, "from"), rapid.Float64Range(1, 600).Draw(t, "width")
		if got, want := c.mean(from, width), numericMean(&c, from, width); math.Abs(got-want) > 1e-4 {
			t.Fatalf("mean of %v over %v+%v: got %v, want %v", c, from, width, got, want)
		}
	})
}

// What a cohort of some width and age is expected to have brought is the mean of the slowed curve over its ages: exactly
// where it is one tick wide, and never more where it is wider.
func TestPacedSharesEqualNumericIntegration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, factor := anyCurve(t), rapid.Float64Range(.5, 2).Draw(t, "factor")
		p := newPaced(&c, factor)
		age := rapid.Int64Range(0, ringSpan).Draw(t, "age")
		for _, width := range []int64{1, ticksPerMid, ticksPerTen} {
			got := float64(p.shares[pacedIndex(age, width)])
			want := numericMean(&c, float64(age)*tickSeconds/factor, float64(width)*tickSeconds/factor)
			if width == 1 && age > fineSlots {
				continue // such cohorts are not one tick wide
			}
			if got > want+1e-4 {
				t.Fatalf("cohort of %d ticks, %d old: got %v, more than %v", width, age, got, want)
			}
			if age%width == 0 && age < 70*ticksPerMid && math.Abs(got-want) > 1e-4 {
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
	c := histogramCurve(receiptAges[:], []float64{10, 20, 30, 10, 10, 5, 5, 5, 5})
	for age, want := range map[float64]float64{2: .1, 5: .3, 10: .6, 300: .95, 3600: 1, 9999: 1} {
		if got := c.at(age); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: got %v, want %v", age, got, want)
		}
	}
	if c := histogramCurve(receiptAges[:], make([]float64, buckets)); !c.empty() {
		t.Errorf("nothing learned gave %v", c)
	}
	if len(receiptAges) != buckets-1 || len(conversionAges) != buckets-1 {
		t.Error("the edges do not fit the counts")
	}
}
