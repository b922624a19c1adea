package policy

import (
	"math"
	"slices"
	"time"

	"signalbox/rules/route"
)

// Fault is one way in which a route goes bad, of those that detection was measured for.
type Fault int

// The faults.
const (
	BlackHole   Fault = iota // it accepts everything and brings nothing back
	LossSilent               // of 95 % it delivers 70, and nothing is heard of the rest
	LossFailing              // of 95 % it delivers 70, and receipts say that the rest failed
	Refused                  // it refuses every submit
	Faults                   // how many of them there are

	// ProbeFails is a carrier that answers no probe; what its messages show was not measured.
	ProbeFails = Faults
)

// String is the fault in words.
func (f Fault) String() string {
	return [...]string{"black hole", "95% to 70%, silent", "95% to 70%, failing", "submits refused", "probes fail"}[f]
}

// Gauge is a signal for which it was measured how fast it passes thresholds after a fault, and how often on a healthy
// route.
type Gauge struct {
	Signal     string    // as an author writes it
	Below      bool      // it accuses a route where it is small
	Thresholds []float64 // from the most easily passed on
	waits      bool      // silence counts in it, once the class's receipt_deadline is over
	ideal      bool      // the simulated route has less of it than any real one, so that false alarms cannot be told
	read       func(*route.Signals) (float64, route.Quality)
}

// Read is the value of the signal, a duration in seconds; known is false where there is none.
func (g *Gauge) Read(s *route.Signals) (v float64, known bool) {
	v, q := g.read(s)
	return v, q.Known && !math.IsNaN(v)
}

// Crosses reports whether a value accuses the route at a threshold.
func (g *Gauge) Crosses(v, threshold float64) bool {
	if g.Below {
		return v <= threshold
	}
	return v >= threshold
}

var (
	natsGrid  = []float64{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 25, 30, 40}
	shareGrid = []float64{0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05}
	partGrid  = []float64{0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1}
	ageGrid   = []float64{15, 30, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600}
)

// Gauges are all that was measured, in the order of the table.
var Gauges = []Gauge{
	{"delivery.evidence", false, natsGrid, true, false, ofDelivery(func(d *route.Delivery) float64 { return d.Evidence })},
	{"delivery.silence", false, natsGrid, true, false, ofDelivery(func(d *route.Delivery) float64 { return d.Silence })},
	{"delivery.failure", false, natsGrid, false, false, ofDelivery(func(d *route.Delivery) float64 { return d.Failure })},
	{"delivery.ratio", true, shareGrid, true, false, ofDelivery(func(d *route.Delivery) float64 { return d.Ratio })},
	{"delivery.high", true, shareGrid, true, false, ofDelivery(func(d *route.Delivery) float64 { return d.High })},
	{"conversion.evidence", false, natsGrid, false, false, ofConversion(func(c *route.Conversion) float64 { return c.Evidence })},
	{"conversion.ratio", true, shareGrid, false, false, ofConversion(func(c *route.Conversion) float64 { return c.Ratio })},
	{"conversion.high", true, shareGrid, false, false, ofConversion(func(c *route.Conversion) float64 { return c.High })},
	{"submit.refused", false, partGrid, false, true, func(s *route.Signals) (float64, route.Quality) { return s.Submit.Refused, s.Submit.Quality }},
	{"open.oldest_p95", false, ageGrid, false, false, func(s *route.Signals) (float64, route.Quality) { return s.Open.OldestP95.D().Seconds(), s.Open.Quality }},
}

func ofDelivery(get func(*route.Delivery) float64) func(*route.Signals) (float64, route.Quality) {
	return func(s *route.Signals) (float64, route.Quality) { return get(&s.Delivery), s.Delivery.Quality }
}

func ofConversion(get func(*route.Conversion) float64) func(*route.Signals) (float64, route.Quality) {
	return func(s *route.Signals) (float64, route.Quality) { return get(&s.Conversion), s.Conversion.Quality }
}

// Rates are the messages a second for which detection was measured.
var Rates = []float64{1.0 / 60, 0.2, 1, 10}

// Watched is how long a route was watched after a fault, by rate.
var Watched = []time.Duration{4 * time.Hour, 2 * time.Hour, time.Hour, 20 * time.Minute}

// Lasting is how long a signal was beyond a threshold without a break, for which it was counted how often it happens on
// a healthy route.
var Lasting = []time.Duration{0, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}

// HealthyBlock is the time in which a healthy route is counted once at most.
const HealthyBlock = 30 * time.Minute

// Holding is what the table holds of one threshold of a gauge.
type Holding struct {
	Alarms, Months int        // half-hours of a healthy route in which it was passed, and of how many months
	Delays         [][][2]int // median and 95th percentile in seconds, -1 for never, by fault and rate
}

// Held is what the table holds of a gauge at one of its thresholds.
func Held(gauge int, threshold float64) Holding {
	k := slices.Index(Gauges[gauge].Thresholds, threshold)
	out := Holding{Alarms: measuredAlarms[gauge][0][k], Months: measuredMonths}
	for _, rates := range measuredDelays[gauge] {
		var row [][2]int
		for _, delays := range rates {
			row = append(row, delays[k])
		}
		out.Delays = append(out.Delays, row)
	}
	return out
}
