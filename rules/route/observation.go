package route

import "time"

// Kind says what an observation is about.
type Kind uint8

// The kinds of observation; the zero value is none of them.
const (
	_                 Kind = iota
	KindSubmit             // a message handed to a route
	KindReceipt            // a delivery receipt that came back
	KindConversion         // proof that the person got the message
	KindProbe              // the result of a synthetic probe
	KindHeartbeat          // a source says that it is alive, and for which routes
	KindBaseline           // what is normal for a key, told from outside
	KindWithdrawn          // an accepted message was refused after all, by nobody's illness: it no longer counts as submitted
	KindLost               // an open message was forgotten before its receipt came: its cohort can no longer be judged
	KindDuplicate          // an observation that had been counted before; it counts nowhere, and does not show that its source is alive
	KindEarly              // a receipt or conversion came before its submit and waits for it; it counts when that comes
	KindUnmatched          // a receipt or conversion whose submit was never seen
	KindContradiction      // a second final status that differs from the first
)

// Result is what became of a submit.
type Result uint8

// The results of a submit.
const (
	Accepted Result = iota
	Refused
	TimedOut
)

// Status is what a receipt says of its message.
type Status uint8

// The states of a message; only those from Delivered on are final.
const (
	StatusUnknown Status = iota
	StatusEnroute
	StatusAccepted
	StatusDelivered
	StatusFailed
	StatusExpired
	StatusRejected
)

var statusNames = [...]string{"unknown", "enroute", "accepted", "delivered", "failed", "expired", "rejected"}

// Final reports whether no other status is expected to follow.
func (s Status) Final() bool { return s >= StatusDelivered }

// String is the status in the words of the HTTP interface.
func (s Status) String() string { return statusNames[s] }

// ParseStatus reads a status in the words of the HTTP interface; ok is false for any other word.
func ParseStatus(word string) (s Status, ok bool) {
	for i, name := range statusNames {
		if name == word {
			return Status(i), true
		}
	}
	return 0, false
}

// Fault says whose fault a refused submit is. Only FaultRoute counts against the route.
type Fault uint8

// The faults of a refused submit.
const (
	FaultRoute    Fault = iota // the route: system error, bind lost, no route
	FaultCapacity              // too much at once: throttled or queue full; never illness
	FaultMessage               // the message itself: its address or its parameters
	FaultConfig                // our account: credentials or system type
)

var faultNames = [...]string{"route", "capacity", "message", "config"}

// String is the fault in the words of a recording.
func (f Fault) String() string { return faultNames[f] }

// ParseFault reads a fault in the words of a recording; ok is false for any other word.
func ParseFault(word string) (f Fault, ok bool) {
	for i, name := range faultNames {
		if name == word {
			return Fault(i), true
		}
	}
	return 0, false
}

// Observation is one fact. Which fields are set depends on Kind. After joining, a receipt or conversion carries the key
// and the submit time of its message, so nothing that judges needs to remember messages.
type Observation struct {
	Kind      Kind
	Result    Result        // submit
	Status    Status        // receipt
	Fault     Fault         // submit that was refused
	OK        bool          // probe
	Final     bool          // receipt: set by joining on the first final status of its message, which is the one that counts
	Waited    bool          // receipt, conversion: it was KindEarly before its submit came
	Undated   bool          // receipt: it came from a counter, so that nobody knows which message it is of, and Submitted is a guess
	Time      time.Time     // when it happened, on the source's clock
	Submitted time.Time     // receipt, conversion, lost: when its message was submitted
	Sent      time.Time     // probe: when it was sent, zero where not told
	Latency   time.Duration // submit: to the response; probe: to the result
	Source    string        // the instance that saw it; "" is anonymous
	Route     ID
	Class     Class
	Network   Network    // probe: "" where the probe concerns every network
	Used      Generation // submit: of the table that the sender says it used; zero where it does not
	Message   string     // message id; valid only until the observation has been joined
	Hash      uint64     // of route and message id, set by joining; 0 where it has none
	Code      string     // the carrier's error code, as it came
	Probe     string     // probe: tcp, bind, enquire, submit, receipt, handset, http
	Routes    []ID       // heartbeat: the routes that the source reports for
	Baseline  *Baseline
}

// Key is the key that the observation counts for.
func (o *Observation) Key() Key { return Key{o.Route, o.Class, o.Network} }
