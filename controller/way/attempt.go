package way

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// Attempt is one submit of a message, and what came back for it. It is an alias, so that those who serve it can declare the
// same fields instead of importing this package.
type Attempt = struct {
	Route      route.ID          `json:"route"`
	Class      route.Class       `json:"class"`
	Network    route.Network     `json:"network"`
	Time       time.Time         `json:"time"`                // of the submit, by the sender's clock
	Result     string            `json:"result"`              // accepted, refused, timeout or withdrawn; "unseen" where it is known from its receipts alone
	Code       string            `json:"code,omitempty"`      // that it was refused with
	Fault      string            `json:"fault,omitempty"`     // whose fault the refusal was: route, capacity, message or config
	Latency    *route.Duration   `json:"latency"`             // to the answer; null where it was not told
	Generation *route.Generation `json:"generation"`          // of the table that the sender said it used; null where it did not say
	Table      *Standing         `json:"table"`               // what that table said of the route; null where no lane served the message
	Receipts   []Answer          `json:"receipts"`            // by the moment they came
	Converted  *Answer           `json:"conversion"`          // proof that the person got it; null where none came
	Forgotten  bool              `json:"forgotten,omitempty"` // what joins receipts to messages let go of it before its final status: later ones are missing here
}

// Answer is a receipt or a conversion.
type Answer = struct {
	Status string         `json:"status"` // of the receipt; converted for a conversion
	Time   time.Time      `json:"time"`
	Age    route.Duration `json:"age"`              // since the submit
	Code   string         `json:"code,omitempty"`   // the carrier's
	Counts bool           `json:"counts,omitempty"` // the first final status, which is the one that counts
}

var resultNames = [...]string{"accepted", "refused", "timeout"}

// attempt is a record for those who ask, without what the table said.
func (w *Way) attempt(r *record) Attempt {
	key := w.keys.uses[r.key].key
	a := Attempt{Route: key.Route, Class: key.Class, Network: key.Network, Time: time.Unix(0, r.submitted).UTC(),
		Result: resultOf(r), Code: w.codes.texts[r.code], Receipts: w.receipts(r), Forgotten: r.flags&flagForgotten != 0}
	if a.Result == "refused" || a.Result == "withdrawn" {
		a.Fault = r.fault.String()
	}
	if r.latency > 0 {
		d := route.Duration(time.Duration(r.latency-1) * latencyUnit)
		a.Latency = &d
	}
	if r.epoch|r.number != 0 {
		a.Generation = &route.Generation{Epoch: uint64(r.epoch), Number: uint64(r.number)}
	}
	if r.flags&(1<<converted) != 0 {
		x := r.told(converted, "converted")
		a.Converted = &x
	}
	return a
}

func resultOf(r *record) string {
	switch {
	case r.flags&flagSubmitted == 0:
		return "unseen"
	case r.flags&flagWithdrawn != 0:
		return "withdrawn"
	}
	return resultNames[r.result]
}

func (w *Way) receipts(r *record) []Answer {
	out := []Answer{}
	for s := route.StatusUnknown; s <= route.StatusRejected; s++ {
		if r.flags&(1<<s) == 0 {
			continue
		}
		x := r.told(int(s), s.String())
		x.Counts = s.Final() && s == r.counts
		if s == r.coded {
			x.Code = w.codes.texts[r.answered]
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Answer) int { return a.Time.Compare(b.Time) })
	return out
}

func (r *record) told(at int, status string) Answer {
	age := time.Duration(r.ages[at]) * time.Millisecond
	return Answer{Status: status, Time: time.Unix(0, r.submitted).UTC().Add(age), Age: route.Duration(age)}
}
