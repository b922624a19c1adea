package route

import "time"

// Quality is what every signal says of itself. A signal that is not known has a cause and no numbers.
type Quality struct {
	Known bool     `json:"known"`
	Cause string   `json:"cause,omitempty"` // why it is not known: a sentence without a full stop
	Age   Duration `json:"age"`             // how far the newest observation behind it is from the moment of judging
}

// Delivery judges the share of messages that will end delivered, from cohorts whose receipts may still be to come.
type Delivery struct {
	Quality
	Ratio     float64   `json:"ratio"`          // estimated share that will end delivered, 0..1
	Low       float64   `json:"low"`            // the interval of Ratio, 0..1
	High      float64   `json:"high"`           // its other end
	Baseline  float64   `json:"baseline"`       // what is normal, 0..1
	Messages  float64   `json:"messages"`       // messages of the window whose final status should be back
	Evidence  float64   `json:"evidence"`       // nats against the baseline less its tolerance: Silence + Failure
	Silence   float64   `json:"silence"`        // the part from receipts that should be back and are not
	Failure   float64   `json:"failure"`        // the part from failures, receipts and refused submits
	Failures  float64   `json:"failures"`       // the most evidence that failures alone give, in whatever window
	Recovered float64   `json:"recovered"`      // nats for healthy against the state at demotion; 0 where it is not demoted
	Since     time.Time `json:"since,omitzero"` // where the window with most evidence begins
	// Troubled is when a route that is out last showed trouble; there must be peace from then on. Zero where there is.
	Troubled  time.Time `json:"troubled,omitzero"`
	Delivered float64   `json:"delivered"` // messages of the window that came back delivered
	Failed    float64   `json:"failed"`    // messages of the window that failed
}

// Conversion judges the share of messages that people proved to have got.
type Conversion struct {
	Quality
	Ratio     float64   `json:"ratio"`
	Low       float64   `json:"low"`
	High      float64   `json:"high"`
	Baseline  float64   `json:"baseline"`
	Messages  float64   `json:"messages"`  // messages of the window whose conversion should be back
	Evidence  float64   `json:"evidence"`  // nats against the baseline less its tolerance
	Recovered float64   `json:"recovered"` // as of Delivery
	Since     time.Time `json:"since,omitzero"`
	Converted float64   `json:"converted"` // messages of the window that converted
}

// Submit describes what routes answer to submits, over the last minutes.
type Submit struct {
	Quality
	Refused   float64  `json:"refused"`   // share refused by the route's fault, 0..1
	Throttled float64  `json:"throttled"` // share refused because it was too much at once, 0..1
	Timeouts  float64  `json:"timeouts"`  // share not answered, 0..1
	P95       Duration `json:"p95"`       // 95th percentile of the time to the answer
	Messages  float64  `json:"messages"`
}

// Open describes the messages still without a final status.
type Open struct {
	Quality
	OldestP95 Duration `json:"oldest_p95"` // 95th percentile of their age
	Messages  float64  `json:"messages"`
}

// Probe describes the last results of one kind of probe.
type Probe struct {
	Quality
	OK        float64  `json:"ok"`               // share of the last ten that succeeded, 0..1
	Failures  int64    `json:"failures"`         // in a row, up to now
	Successes int64    `json:"successes"`        // in a row, up to now
	P95       Duration `json:"p95"`              // of the last ten that succeeded
	Places    int64    `json:"places,omitempty"` // from so many places with news, of which most must agree; 0: there is one
}

// Peer compares another route of the lane with this one, each time over the window in which this one looks worst. The
// numbers are log likelihoods, in nats, of the peer having the same trouble against the peer being healthy: negative
// means proven better on the same cohorts, positive means it suffers too, near 0 means nobody can tell.
type Peer struct {
	Route      ID      `json:"route"`
	Known      bool    `json:"known"`      // whether it had messages in that time
	Delivery   float64 `json:"delivery"`   // by its receipts; 0 where this one's are not accused
	Latency    float64 `json:"latency"`    // by how long its receipts take; 0 where this one's are not accused
	Conversion float64 `json:"conversion"` // by its conversions; 0 where this one's are not accused
}

// Second is what channels other than receipts say of the window in which the receipts look worst.
type Second struct {
	// Conversion is the log likelihood, in nats, of the messages being lost as the receipts say against their being
	// delivered as usual, from the conversions of the same cohorts. It means something where ConversionKnown.
	Conversion      float64 `json:"conversion"`
	ConversionKnown bool    `json:"conversion_known"`
	// Path is the log likelihood, in nats, of the path that brings receipts working as usual against its being broken as the
	// silence says, from the receipts of messages that were submitted before; 0 where nothing can be said.
	Path         float64 `json:"path"`
	ProbesOK     int64   `json:"probes_ok"`     // message probes sent in the window that arrived in time
	ProbesFailed int64   `json:"probes_failed"` // and that did not
}

// Signals is all that is judged of one route in one lane at one moment.
type Signals struct {
	Lane       Lane             `json:"lane"` // or, with an MCC-MNC of it, one network of a lane
	Route      ID               `json:"route"`
	At         time.Time        `json:"at"`
	Rate       float64          `json:"rate"` // submits a second over the last minute
	Delivery   Delivery         `json:"delivery"`
	Within     Within           `json:"within"`
	Latency    Latency          `json:"latency"`
	Conversion Conversion       `json:"conversion"`
	Submit     Submit           `json:"submit"`
	Open       Open             `json:"open"`
	Probes     map[string]Probe `json:"probe,omitempty"` // by kind
	Peers      []Peer           `json:"peers,omitempty"` // the lane's other routes, by id; only while there is evidence
	Others     Others           `json:"others"`
	Second     Second           `json:"second"`
	Score      Score            `json:"score"`
	Suspect    Accused          `json:"suspect,omitzero"` // the bad state that the evidence points to
}

// Accused is the state of a route that a demotion was based on; recovery is measured against it. Shares are of normal:
// 1 is as the baseline, 0.1 a tenth of it.
type Accused struct {
	Arrival    float64 `json:"arrival,omitempty"`    // share of the usual receipts that still arrive; 0 is not accused
	Delivered  float64 `json:"delivered,omitempty"`  // share of receipts that say delivered, 0..1; 0 is not accused
	Latency    float64 `json:"latency,omitempty"`    // share of the receipts that usually come in time which still do; 0 is not accused
	Conversion float64 `json:"conversion,omitempty"` // share of the usual conversions; 0 is not accused
}

// Scope says of which messages signals are asked for.
type Scope struct {
	Lane    Lane    // the lane
	Network Network // only those to this MCC-MNC of the lane; "" is all of them
	Wide    bool    // those of all lanes instead
}

// Key is the lane, or the network of it, that signals of the scope are of.
func (s Scope) Key() Lane {
	if s.Network != "" {
		return Lane{s.Lane.Class, s.Network}
	}
	return s.Lane
}

// Probed is the lane that a probe has to concern for its result to be one of the scope.
func (s Scope) Probed() Lane {
	if s.Wide {
		return Lane{AnyClass, AnyNetwork}
	}
	return s.Key()
}

// Inquiry asks for the signals of one route in one lane.
type Inquiry struct {
	Route ID
	// Without are networks whose messages are left out, because the route is out there already.
	Without []Network
	// Refusals is the moment from which refused submits and receipts that say failed count. The zero time is no limit.
	Refusals time.Time
	// After is the moment from which messages count as evidence of trouble: the route's last change of phase or ramp
	// step. The zero time is no limit.
	After   time.Time
	Accused Accused // of a demoted or recovering route: what it has to recover from
	// Peace is how long a demoted or recovering route must have shown no trouble before it can count as recovered.
	Peace time.Duration
}
