package route

import "time"

// ProvenBetter is the log likelihood, in nats, of a route having another's trouble, at and below which it is proven to be
// better: it is a hundred times likelier to be healthy.
const ProvenBetter = -4.6

// Within judges the share of messages that were delivered within the time that their class allows. Only messages that are
// at least so old count.
type Within struct {
	Quality
	Ratio    float64   `json:"ratio"`    // share delivered in time, 0..1
	Low      float64   `json:"low"`      // the 99.7 % interval of Ratio, 0..1
	High     float64   `json:"high"`     // its other end
	Baseline float64   `json:"baseline"` // what is normal: the share delivered at the baseline, by its ages
	Messages float64   `json:"messages"` // messages of the window
	Evidence float64   `json:"evidence"` // nats of the worst window against the baseline less its tolerance
	Limit    Duration  `json:"limit"`    // what the class allows
	Since    time.Time `json:"since,omitzero"`
}

// Latency judges how long receipts take, from submit to receipt. A percentile that cannot be told yet is zero, and unknown
// to conditions.
type Latency struct {
	Quality
	P50         Duration `json:"p50,omitempty"`
	P95         Duration `json:"p95,omitempty"`
	P99         Duration `json:"p99,omitempty"`
	BaselineP95 Duration `json:"baseline_p95,omitempty"`
	// Evidence is the nats of the worst window against receipts being as quick as usual, less a tolerance: too few
	// messages had theirs within Horizon. A message without any counts as late.
	Evidence float64 `json:"evidence"`
	// Lateness is the part of Evidence that receipts which came late prove by themselves, were none missing. The rest
	// may be silence. All of Evidence rests on receipts alone: it does not show that messages are late.
	Lateness  float64   `json:"lateness"`
	Recovered float64   `json:"recovered"` // nats for usual receipts against those at demotion; 0 where it is not demoted for lateness
	Horizon   Duration  `json:"horizon"`   // the age by which the receipts of the window are asked for
	OnTime    float64   `json:"on_time"`   // share of the window's messages that were answered within Horizon, 0..1
	Usual     float64   `json:"usual"`     // what is normal of OnTime
	Messages  float64   `json:"messages"`  // messages of the window, all at least as old as Horizon
	Since     time.Time `json:"since,omitzero"`
	// Troubled is when a route that is out for lateness last showed it. Zero where there is peace.
	Troubled time.Time `json:"troubled,omitzero"`
}

// Punctual is the signal as it would be had no receipt been late or missing: what is left of it where lateness is put
// aside, as while another channel is asked.
func (l Latency) Punctual() Latency {
	l.Evidence, l.Lateness = 0, 0
	l.P50, l.P95, l.P99 = 0, l.BaselineP95, 0
	l.OnTime = max(l.OnTime, l.Usual)
	return l
}

// Punctual is the signal as it would be had no receipt been late or missing.
func (w Within) Punctual() Within {
	w.Evidence = 0
	w.Ratio, w.Low, w.High = max(w.Ratio, w.Baseline), max(w.Low, w.Baseline), max(w.High, w.Baseline)
	return w
}

// Median is the median of a number over the lane's other routes that have it; it means something where Routes is not 0.
type Median[T any] struct {
	Value  T     `json:"value"`
	Routes int64 `json:"routes"`
}

// Known reports whether any other route has the number.
func (m Median[T]) Known() bool { return m.Routes > 0 }

// Others is how the lane's other routes do with messages of the same time.
type Others struct {
	Delivery   Median[float64]  `json:"delivery"`   // of their shares that will end delivered, 0..1
	Within     Median[float64]  `json:"within"`     // of their shares delivered in time, 0..1
	Latency    Median[Duration] `json:"latency"`    // of their 95th percentiles
	Conversion Median[float64]  `json:"conversion"` // of their shares that convert, 0..1
	// Better counts those proven better on the same cohorts, of the Compared that had messages in them. It is 0 of 0 while
	// there is no evidence to compare by.
	Better   int64 `json:"better"`
	Compared int64 `json:"compared"`
}

// Score sums a route up for people.
type Score struct {
	Quality
	Value  float64     `json:"value"`           // 0..100: the mean of Parts, by their weights
	Weight float64     `json:"weight"`          // of all Parts together, 0..1; what is missing is not known
	Parts  []ScorePart `json:"parts,omitempty"` // those that are known
}

// ScorePart is one part of a score.
type ScorePart struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"` // 0..1; all that a score can have weigh 1 together
	Value  float64 `json:"value"`  // 0..100
}
