package sender

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Event is one thing that happened to a message. There is no place in it for the message's text or its number.
type Event struct {
	Type    string // submit, receipt or conversion
	Time    time.Time
	ID      string // of the message, 1 to 256 bytes; no phone number
	Route   string
	Class   string // of submits; of the others only together with Network and SubmitTime, where the submit was not reported
	Network string

	Result     string        // of a submit: accepted, refused or timeout
	Status     string        // of a receipt: delivered, failed, expired, rejected, accepted, enroute or unknown
	Code       string        // of a submit or a receipt, as the carrier writes it; at most 32 bytes
	Latency    time.Duration // of a submit: until its answer
	SubmitTime time.Time
	Generation Generation // of the table that the route was picked by
}

// line is an event as signalbox reads it.
type line struct {
	Type       string      `json:"type"`
	Time       time.Time   `json:"time"`
	ID         string      `json:"id,omitempty"`
	Route      string      `json:"route,omitempty"`
	Class      string      `json:"class,omitempty"`
	Network    string      `json:"network,omitempty"`
	Result     string      `json:"result,omitempty"`
	Status     string      `json:"status,omitempty"`
	Code       string      `json:"code,omitempty"`
	Latency    float64     `json:"latency,omitempty"` // seconds
	SubmitTime time.Time   `json:"submit_time,omitzero"`
	Generation *Generation `json:"generation,omitempty"`
	Source     string      `json:"source,omitempty"`
	Routes     []string    `json:"routes,omitempty"`
}

// Report hands an event over to be sent, and never waits. A zero Time is now. Where the spool is full the oldest events
// make room: a submit that signalbox never hears of accuses nobody, a receipt that it misses would. The error is what is
// wrong with the event.
func (c *Client) Report(e Event) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	l := line{Type: e.Type, Time: e.Time.UTC(), ID: e.ID, Route: e.Route, Class: e.Class, Network: e.Network, Result: e.Result,
		Status: e.Status, Code: e.Code, Latency: max(0, e.Latency.Seconds()), SubmitTime: e.SubmitTime.UTC(), Source: c.o.Name}
	if e.SubmitTime.IsZero() {
		l.SubmitTime = time.Time{}
	}
	if e.Generation != (Generation{}) {
		l.Generation = &e.Generation
	}
	text, err := json.Marshal(&l)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	c.spool.add(append(text, '\n'))
	return nil
}

func (e *Event) check() error {
	switch {
	case e.ID == "" || len(e.ID) > 256:
		return fmt.Errorf("id: want 1 to 256 bytes, got %d", len(e.ID))
	case e.Route == "":
		return errors.New("route: want the route that the message went by, got none")
	case len(e.Code) > 32:
		return fmt.Errorf("code: want at most 32 bytes, got %d", len(e.Code))
	case e.Type == "submit":
		return e.checkSubmit()
	case e.Type == "receipt" && !oneOf(e.Status, "delivered", "failed", "expired", "rejected", "accepted", "enroute", "unknown"):
		return fmt.Errorf("status: want delivered, failed, expired, rejected, accepted, enroute or unknown, got %.40q", e.Status)
	case !oneOf(e.Type, "receipt", "conversion"):
		return fmt.Errorf("type: want submit, receipt or conversion, got %.40q", e.Type)
	case (e.Class != "") != (e.Network != "") || (e.Class != "") != !e.SubmitTime.IsZero():
		return errors.New("want Class, Network and SubmitTime together, or none of them")
	}
	return nil
}

func (e *Event) checkSubmit() error {
	switch {
	case e.Class == "" || e.Network == "":
		return errors.New("want Class and Network of a submit")
	case !oneOf(e.Result, "accepted", "refused", "timeout"):
		return fmt.Errorf("result: want accepted, refused or timeout, got %.40q", e.Result)
	}
	return nil
}

func oneOf(s string, all ...string) bool {
	for _, a := range all {
		if s == a {
			return true
		}
	}
	return false
}
