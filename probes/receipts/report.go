package receipts

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/rules/route"
)

// The callback URL that a provider is given is the sender's own, and may say what the provider's call does not:
//
//	/receipts/{format}?route=nova&class=otp&network=234-15&submitted=UNIXSECONDS&count=sent
//
//	route      the route; a format that knows its connector or account may do without
//	class      the traffic class; with network and submitted it lets a receipt count without remembering its message
//	network    MCC-MNC, country or *
//	submitted  when the message was handed over, in Unix seconds
//	count      sent: the provider's word that a message is on its way counts as its submit, where nobody else reports
//	           submits. It needs class and network. Receipts alone have no denominator.
//
// Times are those at which calls come: those in the calls have no zone, or minutes only, or another clock.

// report makes the observation of what one call, or a part of it, says of a message.
func (c *Call) report(id string, status route.Status, code string) (route.Observation, error) {
	o := route.Observation{Kind: route.KindReceipt, Route: c.Route(c.Query.Get("route")), Message: id, Status: status, Time: c.Now}
	if status != route.StatusDelivered {
		o.Code = shortCode(code)
	}
	o.Class, o.Network = route.Class(c.Query.Get("class")), route.Network(c.Query.Get("network"))
	var err error
	if o.Submitted, err = unixTime(c, "submitted"); err != nil {
		return o, err
	}
	if c.Query.Get("count") == "sent" && (status == route.StatusEnroute || status == route.StatusAccepted) {
		o.Kind, o.Result, o.Status, o.Code = route.KindSubmit, route.Accepted, route.StatusUnknown, ""
		if !o.Submitted.IsZero() {
			o.Time, o.Submitted = o.Submitted, time.Time{}
		}
		return o, nil
	}
	if o.Class == "" || o.Network == "" || o.Submitted.IsZero() {
		o.Class, o.Network, o.Submitted = "", "", time.Time{}
	}
	return o, nil
}

// one is report for calls that tell of one message.
func (c *Call) one(id string, status route.Status, code string) ([]route.Observation, error) {
	o, err := c.report(id, status, code)
	if err != nil {
		return nil, err
	}
	return []route.Observation{o}, nil
}

// shortCode bounds what is kept of an error code to the size and the letters of one.
func shortCode(code string) string {
	if len(code) > maxCode || strings.Trim(code, "0") == "" {
		return ""
	}
	for i := range len(code) {
		b := code[i]
		if !(b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b == '-' || b == '_' || b == '.') {
			return ""
		}
	}
	if strings.Trim(code, "0123456789") == "" && len(code) > 6 {
		return "" // so many digits could be a phone number
	}
	return code
}

// words are what the status words of a provider, in lower case, mean.
type words map[string]route.Status

// status is what a word means. One that is not known, as a provider may have new ones, says nothing.
func (w words) status(word string) route.Status { return w[strings.ToLower(word)] }

// readJSON reads the body of a call.
func readJSON(c *Call, into any) error {
	if err := json.Unmarshal(c.Body, into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("body: %s: want %s, got %s", kind.Field, kind.Type, kind.Value)
		}
		return errors.New("body: want JSON")
	}
	return nil
}

// text is a JSON string or number, as text: providers send codes as both.
type text string

// UnmarshalJSON reads either.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*t = text(n)
	return nil
}

// missing says that a call lacks what names its message or its state.
func missing(field, got string) error {
	return fmt.Errorf("%s: want it, got %q", field, short(got))
}
