package route

import (
	"fmt"
	"math"
)

// Baseline is what is normal for a key: which share of its messages ends delivered, failed and converted, and how old
// their receipts and conversions are when they come.
type Baseline struct {
	Delivered  float64 `json:"delivered"`            // share of submits that end delivered, 0..1
	Failed     float64 `json:"failed"`               // share of submits that end failed by a receipt, 0..1
	Conversion float64 `json:"conversion,omitempty"` // share of delivered messages that convert, 0..1; 0 where conversions are not reported

	Ages          []float64 `json:"ages"`                     // seconds, growing
	CDF           []float64 `json:"cdf"`                      // CDF[i]: share of receipts no older than Ages[i], 0..1, not falling
	ConversionCDF []float64 `json:"conversion_cdf,omitempty"` // the same of conversions; empty where they are not reported

	Messages float64 `json:"messages"` // how many mature messages it rests on
}

// Bounds of a baseline told from outside.
const (
	MaxBaselineMessages = 1e12
	maxAges             = 256
)

// Check returns what is wrong with the baseline, in the words of the HTTP interface, or nil.
func (b *Baseline) Check() error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"delivered", b.Delivered}, {"failed", b.Failed}, {"conversion", b.Conversion}} {
		if !(f.value >= 0 && f.value <= 1) {
			return fmt.Errorf("%s: want a share from 0 to 1, got %v", f.name, f.value)
		}
	}
	switch {
	case !(b.Delivered > 0):
		return fmt.Errorf("delivered: want a share above 0, got %v", b.Delivered)
	case b.Delivered+b.Failed > 1+1e-9:
		return fmt.Errorf("delivered + failed: want at most 1, got %v", b.Delivered+b.Failed)
	case !(b.Messages >= 0 && b.Messages <= MaxBaselineMessages):
		return fmt.Errorf("messages: want a number from 0 to %v, got %v", MaxBaselineMessages, b.Messages)
	case len(b.Ages) < 2 || len(b.Ages) > maxAges:
		return fmt.Errorf("ages: want 2 to %d ages in seconds, got %d", maxAges, len(b.Ages))
	case len(b.ConversionCDF) > 0 && len(b.ConversionCDF) != len(b.Ages):
		return fmt.Errorf("conversion_cdf: want as many values as ages (%d), got %d", len(b.Ages), len(b.ConversionCDF))
	}
	if err := checkCDF("cdf", b.Ages, b.CDF); err != nil {
		return err
	}
	if len(b.ConversionCDF) > 0 {
		return checkCDF("conversion_cdf", b.Ages, b.ConversionCDF)
	}
	return nil
}

func checkCDF(name string, ages, cdf []float64) error {
	if len(cdf) != len(ages) {
		return fmt.Errorf("%s: want as many values as ages (%d), got %d", name, len(ages), len(cdf))
	}
	lastAge, last := 0.0, 0.0
	for i := range cdf {
		if !(ages[i] > lastAge) || math.IsInf(ages[i], 0) {
			return fmt.Errorf("ages[%d]: want more than %v seconds, got %v", i, lastAge, ages[i])
		}
		if !(cdf[i] >= last && cdf[i] <= 1) {
			return fmt.Errorf("%s[%d]: want a share from %v to 1, got %v", name, i, last, cdf[i])
		}
		lastAge, last = ages[i], cdf[i]
	}
	if !(last > 0) {
		return fmt.Errorf("%s: want a share above 0 at the last age, got %v", name, last)
	}
	return nil
}
