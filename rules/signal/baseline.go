package signal

import (
	"fmt"
	"math"
	"slices"
	"time"

	"signalbox/rules/route"
)

// What a baseline must rest on before it is used.
const (
	messagesToAct  = 500 // mature messages; fewer are cold: the next wider pool is asked
	deliveredToAct = 100 // of them that came back delivered: without, nothing is known of how receipts come
)

// baselineHalfLife is how long it takes for half of what a baseline has learned to fade.
const baselineHalfLife = 3 * 24 * time.Hour

// Learned is what a baseline knows: mature messages and their ends, faded by age, beside what was told from outside.
// Two of them pool by addition. It is plain data, so that it can be stored.
type Learned struct {
	At        time.Time        `json:"at"` // up to when Faded counts are faded
	Submitted float64          `json:"submitted"`
	Failed    float64          `json:"failed"`
	Converted float64          `json:"converted"`
	Delivered [buckets]float64 `json:"delivered"` // by receipt age, edges as of receiptAges
	ConvAges  [buckets]float64 `json:"conv_ages"` // conversions by age, edges as of conversionAges
	// Together is how far messages of one campaign share their fate.
	Together together `json:"together,omitzero"`

	Told    *route.Baseline `json:"told,omitempty"`
	ToldNow float64         `json:"told_now,omitempty"` // messages that Told still weighs
}

const buckets = fields - fieldDelivered

// conversionAges are the upper edges, in seconds, of the ages that conversions are learned by.
var conversionAges = [...]float64{5, 10, 20, 30, 45, 60, 120, 300}

func (l *Learned) fade(to time.Time) {
	if l.At.IsZero() {
		l.At = to
	}
	if !to.After(l.At) {
		return
	}
	f := math.Exp2(-float64(to.Sub(l.At)) / float64(baselineHalfLife))
	l.At = to
	l.Submitted *= f
	l.Failed *= f
	l.Converted *= f
	l.ToldNow *= f
	l.Together.fade(f)
	for i := range l.Delivered {
		l.Delivered[i] *= f
		l.ConvAges[i] *= f
	}
}

// learn adds the mature cohort of one minute. One in which more ended than was submitted is a sign of messages that were
// counted twice or not at all, and teaches nothing. It reports whether it learned.
func (l *Learned) learn(at time.Time, c *Counts) bool {
	if ended := c.delivered() + float64(c[fieldFailed]); ended > float64(c[fieldSubmitted]) {
		return false
	}
	l.fade(at)
	l.Submitted += float64(c[fieldSubmitted])
	l.Failed += float64(c[fieldFailed])
	l.Converted += float64(c[fieldConverted])
	for i := range l.Delivered {
		l.Delivered[i] += float64(c[fieldDelivered+i])
	}
	return true
}

// tell replaces what is known by what an observation says, of which it keeps a copy. It says nothing of how messages go
// together: that stays.
func (l *Learned) tell(at time.Time, b *route.Baseline) {
	told := *b
	told.Ages, told.CDF, told.ConversionCDF = slices.Clone(b.Ages), slices.Clone(b.CDF), slices.Clone(b.ConversionCDF)
	*l = Learned{At: at, Told: &told, ToldNow: b.Messages, Together: l.Together}
}

// check returns what is wrong with a baseline that was stored, or nil.
func (l *Learned) check() error {
	for _, v := range append(append([]float64{l.Submitted, l.Failed, l.Converted, l.ToldNow}, l.Delivered[:]...), l.ConvAges[:]...) {
		if !(v >= 0 && v <= route.MaxBaselineMessages) {
			return fmt.Errorf("want counts from 0 to %v, got %v", route.MaxBaselineMessages, v)
		}
	}
	if err := l.Together.check(); err != nil {
		return err
	}
	if l.Told == nil {
		return nil
	}
	return l.Told.Check()
}

// merge pools o into l; both must be faded to the same moment.
func (l *Learned) merge(o *Learned) {
	l.Submitted += o.Submitted
	l.Failed += o.Failed
	l.Converted += o.Converted
	for i := range l.Delivered {
		l.Delivered[i] += o.Delivered[i]
		l.ConvAges[i] += o.ConvAges[i]
	}
	if o.Told != nil && o.ToldNow > 0 {
		l.Told = mean(l.Told, l.ToldNow, o.Told, o.ToldNow)
		l.ToldNow += o.ToldNow
	}
}

// mean is the mean of two told baselines, weighed by their messages; a may be nil.
func mean(a *route.Baseline, ma float64, b *route.Baseline, mb float64) *route.Baseline {
	if a == nil {
		return b
	}
	w := ma / (ma + mb)
	c := *a
	c.Delivered = w*a.Delivered + (1-w)*b.Delivered
	c.Failed = w*a.Failed + (1-w)*b.Failed
	c.Conversion = w*a.Conversion + (1-w)*b.Conversion
	c.CDF = blend(newCurve(b.Ages, b.CDF), newCurve(a.Ages, a.CDF), w).shares
	switch {
	case len(b.ConversionCDF) == 0:
	case len(a.ConversionCDF) == 0:
		c.ConversionCDF = onto(a.Ages, newCurve(b.Ages, b.ConversionCDF))
	default:
		c.ConversionCDF = blend(newCurve(b.Ages, b.ConversionCDF), newCurve(a.Ages, a.ConversionCDF), w).shares
	}
	return &c
}

// onto are the shares of a curve by other ages.
func onto(ages []float64, c curve) []float64 {
	shares := make([]float64, len(ages))
	for i, a := range ages {
		shares[i] = c.at(a)
	}
	return shares
}

// messages is how many mature messages the baseline rests on.
func (l *Learned) messages() float64 { return l.Submitted + l.ToldNow }

// normal is a baseline ready to judge with.
type normal struct {
	delivered   float64 // share of submits that end delivered
	arrival     float64 // share of submits that get a final receipt
	status      float64 // share of final receipts that say delivered
	logStatus   float64 // its logarithm
	logRest     float64 // the logarithm of the rest
	conversion  float64 // share of submits that convert; 0 where conversions are not reported
	messages    float64
	receipts    curve
	conversions curve
	source      string // whose it is: "own", "pool of the class on the network", "pool of the class"
}

// returned is how many of its messages came back delivered.
func (l *Learned) returned() float64 {
	sum := 0.0
	for _, d := range l.Delivered {
		sum += d
	}
	if l.Told != nil {
		sum += l.ToldNow * l.Told.Delivered
	}
	return sum
}

// acts reports whether the baseline rests on enough to judge by.
func (l *Learned) acts() bool { return l.messages() >= messagesToAct && l.returned() >= deliveredToAct }

// normal is what the baseline says, or nil while it rests on too little.
func (l *Learned) normal(source string) *normal {
	if !l.acts() {
		return nil
	}
	total := l.messages()
	delivered, failed, converted := l.returned(), l.Failed, l.Converted
	if l.Told != nil {
		failed += l.ToldNow * l.Told.Failed
		converted += l.ToldNow * l.Told.Delivered * l.Told.Conversion
	}
	n := &normal{messages: total, source: source}
	n.delivered = clamp(delivered/total, 0.01, 0.999)
	n.arrival = clamp(n.delivered+failed/total, n.delivered+0.0005, 0.9995)
	n.status = n.delivered / n.arrival
	n.logStatus, n.logRest = math.Log(n.status), math.Log(1-n.status)
	n.receipts = l.receiptCurve(total)
	if n.conversions = l.conversionCurve(total); !n.conversions.empty() {
		n.conversion = clamp(converted/total, 0, 0.995)
	}
	return n
}

// carried is what the baseline knows in the form that observations tell it in, or nil where that is nothing.
func (l *Learned) carried() *route.Baseline {
	total, delivered := l.messages(), l.returned()
	if !(total > 0 && delivered > 0) {
		return nil
	}
	failed, converted := l.Failed, l.Converted
	if l.Told != nil {
		failed += l.ToldNow * l.Told.Failed
		converted += l.ToldNow * l.Told.Delivered * l.Told.Conversion
	}
	receipts, conversions := l.receiptCurve(total), l.conversionCurve(total)
	b := &route.Baseline{Delivered: delivered / total, Failed: failed / total, Ages: receipts.ages, CDF: rising(receipts.shares), Messages: total}
	if !conversions.empty() {
		b.Conversion = min(1, converted/delivered)
		b.ConversionCDF = rising(onto(b.Ages, conversions))
	}
	if b.Check() != nil {
		return nil // such as of messages that all came back and failed besides
	}
	return b
}

// rising is a copy of shares that never falls and never exceeds 1, which rounding may have made them do.
func rising(shares []float64) []float64 {
	out, last := make([]float64, len(shares)), 0.0
	for i, s := range shares {
		last = min(1, max(last, s))
		out[i] = last
	}
	return out
}

// receiptCurve blends the ages learned with the ages told, by their messages.
func (l *Learned) receiptCurve(total float64) curve {
	learned := histogramCurve(receiptKnots, l.Delivered[:])
	if l.Told == nil {
		return learned
	}
	return blend(learned, newCurve(l.Told.Ages, l.Told.CDF), l.ToldNow/total)
}

// conversionCurve is the same of conversions; it is empty where they are not reported.
func (l *Learned) conversionCurve(total float64) curve {
	learned := histogramCurve(conversionKnots, l.ConvAges[:])
	if l.Told == nil || len(l.Told.ConversionCDF) == 0 {
		return learned
	}
	return blend(learned, newCurve(l.Told.Ages, l.Told.ConversionCDF), l.ToldNow/total)
}

// The knots of curves that are learned: the edges that their ages are counted by, and an hour, by which what is older than
// the last edge is taken to have come, because that is when cohorts mature. All such curves share them.
var receiptKnots, conversionKnots = append(receiptAges[:], 3600), append(conversionAges[:], 3600)

// histogramCurve turns counts by age, the last of them of ages beyond the edges, into a distribution; it is empty where
// there are none.
func histogramCurve(knots, counts []float64) curve {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	if !(total > 0) {
		return curve{}
	}
	shares, sum := make([]float64, len(knots)), 0.0
	for i, n := range counts[:len(knots)-1] {
		sum += n
		shares[i] = sum / total
	}
	shares[len(knots)-1] = 1
	return newCurve(knots, shares)
}

// blend is a curve on the knots of told: told by weight w, learned by the rest.
func blend(learned, told curve, w float64) curve {
	if learned.empty() {
		return told
	}
	shares := make([]float64, len(told.ages))
	for i, age := range told.ages {
		shares[i] = w*told.shares[i] + (1-w)*learned.at(age)
	}
	return newCurve(told.ages, shares)
}

// export is the baseline in the form that observations tell it in.
func (n *normal) export() route.Baseline {
	b := route.Baseline{Delivered: n.delivered, Failed: n.arrival - n.delivered, Conversion: n.conversion / n.delivered,
		Ages: n.receipts.ages, CDF: n.receipts.shares, Messages: n.messages}
	if n.conversion > 0 {
		b.ConversionCDF = onto(b.Ages, n.conversions)
	}
	return b
}

func clamp(v, low, high float64) float64 { return math.Max(low, math.Min(high, v)) }
