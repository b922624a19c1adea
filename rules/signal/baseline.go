package signal

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// What a baseline must rest on before it is used, in mature messages.
const (
	messagesToAct   = 500  // fewer are cold: the next wider pool is asked
	messagesToTrust = 2000 // enough that the sampling error of the share is far below the tolerance
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
	Told      *route.Baseline  `json:"told,omitempty"`
	ToldNow   float64          `json:"told_now,omitempty"` // messages that Told still weighs
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
	for i := range l.Delivered {
		l.Delivered[i] *= f
		l.ConvAges[i] *= f
	}
}

// learn adds the mature cohort of one minute.
func (l *Learned) learn(at time.Time, c *Counts) {
	l.fade(at)
	l.Submitted += float64(c[fieldSubmitted])
	l.Failed += float64(c[fieldFailed])
	l.Converted += float64(c[fieldConverted])
	for i := range l.Delivered {
		l.Delivered[i] += float64(c[fieldDelivered+i])
	}
}

// tell replaces what is known by what an observation says.
func (l *Learned) tell(at time.Time, b *route.Baseline) {
	*l = Learned{At: at, Told: b, ToldNow: b.Messages}
}

// merge pools o into l.
func (l *Learned) merge(o *Learned) {
	l.Submitted += o.Submitted
	l.Failed += o.Failed
	l.Converted += o.Converted
	for i := range l.Delivered {
		l.Delivered[i] += o.Delivered[i]
		l.ConvAges[i] += o.ConvAges[i]
	}
	if o.Told != nil && o.ToldNow > l.ToldNow {
		l.Told = o.Told
	}
	l.ToldNow += o.ToldNow
}

// messages is how many mature messages the baseline rests on.
func (l *Learned) messages() float64 { return l.Submitted + l.ToldNow }

// normal is a baseline ready to judge with.
type normal struct {
	delivered   float64 // share of submits that end delivered
	arrival     float64 // share of submits that get a final receipt
	status      float64 // share of final receipts that say delivered
	conversion  float64 // share of submits that convert; 0 where conversions are not reported
	messages    float64
	receipts    curve
	conversions curve
	source      string // whose it is: "own", "pool of the class on the network", "pool of the class"
}

// normal is what the baseline says, or nil while it rests on fewer than messagesToAct messages.
func (l *Learned) normal() *normal {
	total := l.messages()
	if total < messagesToAct {
		return nil
	}
	n := &normal{messages: total}
	delivered, failed, perDelivered := 0.0, 0.0, 0.0
	if l.Submitted > 0 {
		sum := 0.0
		for _, d := range l.Delivered {
			sum += d
		}
		w := l.Submitted / total
		delivered, failed = w*sum/l.Submitted, w*l.Failed/l.Submitted
		perDelivered = w * l.Converted / math.Max(sum, 1)
	}
	if l.Told != nil {
		w := l.ToldNow / total
		delivered += w * l.Told.Delivered
		failed += w * l.Told.Failed
		perDelivered += w * l.Told.Conversion
	}
	n.delivered = clamp(delivered, 0.01, 0.999)
	n.arrival = clamp(n.delivered+failed, n.delivered+0.0005, 0.9995)
	n.status = n.delivered / n.arrival
	n.conversion = clamp(n.delivered*perDelivered, 0, 0.995)
	n.receipts = l.receiptCurve(total)
	n.conversions = l.conversionCurve(total)
	if len(n.conversions.ages) == 0 {
		n.conversion = 0
	}
	return n
}

// receiptCurve blends the ages learned with the ages told, by their messages.
func (l *Learned) receiptCurve(total float64) curve {
	learned := histogramCurve(receiptAges[:], l.Delivered[:])
	if l.Told == nil {
		return learned
	}
	return blend(learned, curve{l.Told.Ages, l.Told.CDF}, l.ToldNow/total)
}

func (l *Learned) conversionCurve(total float64) curve {
	learned := histogramCurve(conversionAges[:], l.ConvAges[:])
	if l.Told == nil || len(l.Told.ConversionCDF) == 0 {
		return learned
	}
	return blend(learned, curve{l.Told.Ages, l.Told.ConversionCDF}, l.ToldNow/total)
}

// histogramCurve turns counts by age into a distribution. What is older than the last edge is taken to have come within
// an hour, which is when cohorts mature.
func histogramCurve(edges, counts []float64) curve {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	if total <= 0 {
		return curve{}
	}
	c := curve{}
	sum := 0.0
	for i, edge := range edges {
		sum += counts[i]
		c.ages = append(c.ages, edge)
		c.shares = append(c.shares, sum/total)
	}
	c.ages = append(c.ages, 3600)
	c.shares = append(c.shares, 1)
	return c
}

// blend is a curve on the knots of told: told by weight w, learned by the rest.
func blend(learned, told curve, w float64) curve {
	if len(learned.ages) == 0 {
		return told
	}
	c := curve{ages: told.ages, shares: make([]float64, len(told.ages))}
	for i, age := range told.ages {
		c.shares[i] = w*told.shares[i] + (1-w)*learned.at(age)
	}
	return c
}

// export is the baseline in the form that observations tell it in.
func (n *normal) export() route.Baseline {
	b := route.Baseline{Delivered: n.delivered, Failed: n.arrival - n.delivered, Conversion: n.conversion / n.delivered,
		Ages: n.receipts.ages, CDF: n.receipts.shares, Messages: n.messages}
	if n.conversion > 0 {
		b.ConversionCDF = make([]float64, len(b.Ages))
		for i, a := range b.Ages {
			b.ConversionCDF[i] = n.conversions.at(a)
		}
	}
	return b
}

func clamp(v, low, high float64) float64 { return math.Max(low, math.Min(high, v)) }
