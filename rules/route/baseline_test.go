package route

import (
	"math"
	"strings"
	"testing"
)

func good() Baseline {
	return Baseline{Delivered: .95, Failed: .025, Conversion: .8, Ages: []float64{5, 30, 300}, CDF: []float64{.5, .9, 1}, ConversionCDF: []float64{0, .5, 1}, Messages: 5000}
}

func TestBaselineCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		claim string
		want  string // part of the error; "" is none
		edit  func(*Baseline)
	}{
		{"a good one", "", func(*Baseline) {}},
		{"no conversions", "", func(b *Baseline) { b.Conversion, b.ConversionCDF = 0, nil }},
		{"no messages", "", func(b *Baseline) { b.Messages = 0 }},
		{"everything delivered", "", func(b *Baseline) { b.Delivered, b.Failed = 1, 0 }},
		{"a flat distribution", "", func(b *Baseline) { b.CDF = []float64{.9, .9, .9} }},
		{"nothing delivered", "delivered: want a share above 0", func(b *Baseline) { b.Delivered = 0 }},
		{"delivered NaN", "delivered: want a share", func(b *Baseline) { b.Delivered = nan }},
		{"delivered in percent", "delivered: want a share", func(b *Baseline) { b.Delivered = 95 }},
		{"failed below 0", "failed: want a share", func(b *Baseline) { b.Failed = -.1 }},
		{"failed infinite", "failed: want a share", func(b *Baseline) { b.Failed = inf }},
		{"conversion NaN", "conversion: want a share", func(b *Baseline) { b.Conversion = nan }},
		{"more ends than messages", "delivered + failed", func(b *Baseline) { b.Failed = .2 }},
		{"messages NaN", "messages: want", func(b *Baseline) { b.Messages = nan }},
		{"messages infinite", "messages: want", func(b *Baseline) { b.Messages = inf }},
		{"messages beyond all bounds", "messages: want", func(b *Baseline) { b.Messages = 1e300 }},
		{"messages below 0", "messages: want", func(b *Baseline) { b.Messages = -1 }},
		{"no ages", "ages: want 2 to 256", func(b *Baseline) { b.Ages, b.CDF, b.ConversionCDF = nil, nil, nil }},
		{"too many ages", "ages: want 2 to 256", func(b *Baseline) { b.Ages = make([]float64, 257) }},
		{"ages out of order", "ages[1]: want more than 5", func(b *Baseline) { b.Ages = []float64{5, 4, 300} }},
		{"an age twice", "ages[1]: want more than 5", func(b *Baseline) { b.Ages = []float64{5, 5, 300} }},
		{"age 0", "ages[0]: want more than 0", func(b *Baseline) { b.Ages = []float64{0, 4, 300} }},
		{"age NaN", "ages[1]", func(b *Baseline) { b.Ages = []float64{5, nan, 300} }},
		{"age infinite", "ages[2]", func(b *Baseline) { b.Ages = []float64{5, 30, inf} }},
		{"a shorter distribution", "cdf: want as many values as ages (3), got 2", func(b *Baseline) { b.CDF = b.CDF[:2] }},
		{"a falling distribution", "cdf[1]: want a share from 0.5", func(b *Baseline) { b.CDF = []float64{.5, .4, 1} }},
		{"a share NaN", "cdf[0]", func(b *Baseline) { b.CDF = []float64{nan, .4, 1} }},
		{"a share above 1", "cdf[2]", func(b *Baseline) { b.CDF = []float64{.5, .9, 1.1} }},
		{"a distribution of nothing", "above 0 at the last age", func(b *Baseline) { b.CDF = []float64{0, 0, 0} }},
		{"a shorter distribution of conversions", "conversion_cdf: want as many", func(b *Baseline) { b.ConversionCDF = b.ConversionCDF[:1] }},
		{"a falling distribution of conversions", "conversion_cdf[2]", func(b *Baseline) { b.ConversionCDF = []float64{0, .5, .4} }},
	} {
		b := good()
		c.edit(&b)
		switch err := b.Check(); {
		case err == nil && c.want != "":
			t.Errorf("%s: got no error", c.claim)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.claim, err, c.want)
		}
	}
}
