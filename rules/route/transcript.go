package route

import "time"

// Transcript is what one look at a route did, step by step, for people who ask why a probe says what it says. It holds no
// secret, no message text and no phone number.
type Transcript struct {
	Route   ID        `json:"route"`
	Network Network   `json:"network,omitempty"` // "" where the look concerns every network
	Way     string    `json:"way"`               // how it looked: smpp, http
	Vantage string    `json:"vantage,omitempty"` // from where; "" is the controller's own machine
	Time    time.Time `json:"time"`              // when it began, on the clock of who looked
	Steps   []Step    `json:"steps"`             // in the order in which they were taken; at most MaxSteps
	Hint    string    `json:"hint,omitempty"`    // what to do about it, where that is known
}

// MaxSteps bounds the steps of a Transcript.
const MaxSteps = 32

// Step is one step of a look.
type Step struct {
	Name string   `json:"name"` // tcp, tls, bind, enquire, submit, receipt, handset, http; session, late: what became of the one before
	OK   bool     `json:"ok"`
	Took Duration `json:"took"`
	Code string   `json:"code,omitempty"` // the peer's own word for it, such as 0x0000000d
	Said string   `json:"said,omitempty"` // what happened, in words: "bind refused: ESME_RBINDFAIL"
}

// Watch is how one probe of a route stands.
type Watch struct {
	Route   ID          `json:"route"`
	Way     string      `json:"way"` // smpp, smpp-message, http
	Vantage string      `json:"vantage,omitempty"`
	Every   Duration    `json:"every"`
	Next    time.Time   `json:"next,omitzero"`     // when it looks again
	Stopped string      `json:"stopped,omitempty"` // why it does not
	Error   string      `json:"error,omitempty"`   // why it could not look the last time
	Last    *Transcript `json:"last,omitempty"`    // nil until it has looked
}
