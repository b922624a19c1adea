package route

import "time"

// Verdict is what a rule says of a route.
type Verdict string

// The verdicts; the empty one is VerdictNothing.
const (
	VerdictNothing Verdict = "nothing"
	VerdictDemote  Verdict = "demote"
	VerdictPromote Verdict = "promote"
	VerdictUnknown Verdict = "unknown"
)

// Mode says what may be done with a verdict. Of several, the most careful wins.
type Mode string

// The modes, from the most careful on.
const (
	Observe Mode = "observe" // recorded, not enforced
	Propose Mode = "propose" // waits for a person
	Act     Mode = "act"
)

// Reason says in one word why a decision was made, or why a change was not.
type Reason string

// The reasons.
const (
	RuleMatched   Reason = "RuleMatched"
	RuleCleared   Reason = "RuleCleared"
	GuardHeld     Reason = "GuardHeld"
	Proposed      Reason = "Proposed"
	Approved      Reason = "Approved"
	Rejected      Reason = "Rejected"
	Expired       Reason = "Expired"
	ShadowOnly    Reason = "ShadowOnly"
	HoldDown      Reason = "HoldDown"
	Settling      Reason = "Settling"
	InFlight      Reason = "InFlight"
	Frozen        Reason = "Frozen"
	Unknown       Reason = "Unknown"
	LowEvidence   Reason = "LowEvidence"
	OverrideSet   Reason = "OverrideSet"
	OverrideEnded Reason = "OverrideEnded"
	PolicyChanged Reason = "PolicyChanged"
	LeaderChanged Reason = "LeaderChanged"
	Restored      Reason = "Restored"
)

// Input is one part of the condition that decided.
type Input struct {
	Signal    string   `json:"signal"`              // such as delivery.evidence
	Value     any      `json:"value"`               // a number, text or truth; null where it is not known
	Threshold any      `json:"threshold,omitempty"` // what it was compared with
	Operator  string   `json:"operator,omitempty"`  // how: ">="
	Messages  float64  `json:"messages"`            // how many messages the signal rests on
	Age       Duration `json:"age"`
}

// GuardResult is the answer of one guard.
type GuardResult struct {
	Guard  string `json:"guard"`
	Result string `json:"result"` // pass, hold or lower
	Why    string `json:"why"`
	Frees  string `json:"frees,omitempty"` // what would free it, where it holds
}

// Alternative is another route of the lane and what it is good for.
type Alternative struct {
	Route ID     `json:"route"`
	Why   string `json:"why"`
}

// Decision is one change, or one change that was not made, with all that it was made from.
type Decision struct {
	ID           string        `json:"id"` // generation and ordinal, such as 1-43-1
	Time         time.Time     `json:"time"`
	Generation   Generation    `json:"generation"`
	Policy       string        `json:"policy"` // revision
	Lane         Lane          `json:"lane"`
	Route        ID            `json:"route"`
	From         Phase         `json:"from"`
	To           Phase         `json:"to"` // where the verdict leads; the route went there only if Enforced
	Verdict      Verdict       `json:"verdict"`
	Mode         Mode          `json:"mode"`
	Enforced     bool          `json:"enforced"`
	Rule         string        `json:"rule"`
	Reason       Reason        `json:"reason"`
	Text         string        `json:"text"`
	Inputs       []Input       `json:"inputs"`
	Guards       []GuardResult `json:"guards"`
	Alternatives []Alternative `json:"alternatives"`
	Traffic      string        `json:"traffic"`            // the route's submits a second in the lane, such as 12.4/s
	PriceChange  string        `json:"price_change"`       // of the next message against the last one, such as +5.8%
	Actor        *string       `json:"actor"`              // the person, where one decided
	Step         int           `json:"step,omitempty"`     // of the ramp, where To is recovering: index from 0
	Holds        []string      `json:"holds,omitempty"`    // the rules that keep the route out after an enforced change
	Override     *Override     `json:"override,omitempty"` // the operator's order that came into force or ended
	Cost         *Cost         `json:"cost,omitempty"`     // of the changes that it ended; known to those who counted messages
}
