package scenario

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// Health is how a route treats the messages handed to it. Shares are from 0 to 1. The zero Health is a black hole, which
// accepts everything and brings nothing back; start from Healthy.
type Health struct {
	Delivered float64 // share of the accepted messages that reach their phones
	Failed    float64 // share of the accepted that a receipt says failed; of the rest nothing ever comes
	Refused   float64 // share of submits refused by the route's fault
	Throttled float64 // share of submits refused because it is too much at once
	Timeouts  float64 // share of submits that nobody answers; the messages are lost
	// Conversion is the share of the delivered messages that convert; 0 where nobody reports conversions.
	Conversion float64
	Forged     bool          // receipts say delivered at once, whatever becomes of the messages
	Delay      DelayCurve    // from submit to receipt
	Silenced   bool          // receipts get lost on their way; the messages do not
	Batch      time.Duration // the carrier sends receipts in batches, every so often; 0 is at once
	Latency    time.Duration // from a submit to its answer
}

// Healthy is a route on which all is well: of 1000 messages 950 are delivered and 25 fail, half of the receipts are back
// within 5 s, 95 of 100 within 42 s. Nobody reports conversions.
func Healthy() Health {
	return Health{Delivered: 0.95, Failed: 0.025, Delay: UsualDelay(), Latency: 80 * time.Millisecond}
}

// DelayCurve is a mixture of log-normal delays, slowed down by a factor.
type DelayCurve struct {
	Parts  []Delay
	Factor float64 // 0 is 1
}

// Delay is one part of a mixture.
type Delay struct {
	Weight float64
	Median time.Duration
	Sigma  float64 // of the logarithm
}

// UsualDelay is how late the receipts of a route usually are: most within seconds, some after a retry, a few hours later,
// when a phone is switched on again.
func UsualDelay() DelayCurve {
	return DelayCurve{Parts: []Delay{{0.88, 4500 * time.Millisecond, 0.75}, {0.10, 28 * time.Second, 0.9}, {0.02, time.Hour, 1.3}}}
}

// slower is the curve by another factor.
func (d DelayCurve) slower(factor float64) DelayCurve {
	d.Factor = d.factor() * factor
	return d
}

func (d DelayCurve) factor() float64 {
	if d.Factor > 0 {
		return d.Factor
	}
	return 1
}

// quantile is the delay at u of the mixture, taken part after part. It is rounded to milliseconds, so that machines which
// differ in the last bits of a logarithm agree on it.
func (d DelayCurve) quantile(u float64) time.Duration {
	total := 0.0
	for _, p := range d.Parts {
		total += p.Weight
	}
	u *= total
	for i, p := range d.Parts {
		if u < p.Weight || i == len(d.Parts)-1 {
			z := normal(math.Min(math.Max(u/p.Weight, 1e-9), 1-1e-9))
			seconds := p.Median.Seconds() * d.factor() * math.Exp(p.Sigma*z)
			return time.Duration(math.Round(seconds*1000)) * time.Millisecond
		}
		u -= p.Weight
	}
	return 0
}

// share is the share of delays up to an age.
func (d DelayCurve) share(age time.Duration) float64 {
	total, sum := 0.0, 0.0
	for _, p := range d.Parts {
		total += p.Weight
		sum += p.Weight * 0.5 * math.Erfc(-math.Log(age.Seconds()/p.Median.Seconds()/d.factor())/p.Sigma/math.Sqrt2)
	}
	if !(total > 0) {
		return 1
	}
	return sum / total
}

// outcome is what becomes of one submit.
type outcome int

// The outcomes of a submit, as of the fields of Health.
const (
	outDelivered outcome = iota
	outFailed
	outSilent
	outRefused
	outThrottled
	outTimeout
	outcomes
)

// shares are the shares of the outcomes; dead is a message to a number that does not exist. They sum to 1.
func (h *Health) shares(dead bool) (s [outcomes]float64) {
	s[outRefused], s[outThrottled], s[outTimeout] = h.Refused, h.Throttled, h.Timeouts
	accepted := math.Max(0, 1-h.Refused-h.Throttled-h.Timeouts)
	s[outDelivered], s[outFailed] = accepted*h.Delivered, accepted*h.Failed
	if dead {
		s[outDelivered], s[outFailed] = 0, accepted*math.Min(1, h.Delivered+h.Failed)
	}
	s[outSilent] = math.Max(0, accepted-s[outDelivered]-s[outFailed])
	return s
}

// Baseline is the truth about a healthy route, in the form that observations tell it in. Conversions come a while after
// the message, as of Sim.
func (h *Health) Baseline(messages float64) *route.Baseline {
	b := &route.Baseline{Delivered: h.Delivered, Failed: h.Failed, Conversion: h.Conversion, Messages: messages}
	for _, age := range baselineAges {
		at := seconds(age)
		b.Ages = append(b.Ages, age)
		b.CDF = append(b.CDF, h.batched(at))
		if h.Conversion > 0 {
			b.ConversionCDF = append(b.ConversionCDF, h.Delay.share(max(at-conversionAfter, time.Millisecond)))
		}
	}
	return b
}

// batched is the share of receipts that are back by an age: messages come at any time between two batches.
func (h *Health) batched(age time.Duration) float64 {
	if h.Batch <= 0 {
		return h.Delay.share(age)
	}
	const steps = 32
	sum := 0.0
	for i := range steps {
		waits := time.Duration((float64(i) + 0.5) / steps * float64(h.Batch))
		if age > waits {
			sum += h.Delay.share(age - waits)
		}
	}
	return sum / steps
}

var baselineAges = [...]float64{.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 7200}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
