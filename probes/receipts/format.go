// Package receipts takes delivery receipts in the providers' own formats, as their webhooks send them, and turns them
// into observations. A format is one file: a Format that reads a Call.
package receipts

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"signalbox/rules/route"
)

// Format is one provider's way of telling receipts.
type Format struct {
	Name    string   // the last part of the path: /receipts/{name}
	Methods []string // that the provider uses, such as GET and POST
	Answer  string   // body of the 200 that the provider expects; usually empty

	// Read turns a call into observations. It is a pure function. A receipt that says nothing of use gives none and no
	// error. Read fills in what the call says; the handler checks routes, names and times. It never puts a phone number or
	// a text into an observation. Errors say what was wanted, such as: status: want a number, got "x". A signature that
	// does not hold is ErrSignature.
	Read func(c *Call) ([]route.Observation, error)

	// Signed formats refuse every call that does not prove where it comes from.
	Signed bool

	// Check, where it is not nil, says before Read whether the call may be read at all. It may reach the network.
	Check func(ctx context.Context, c *Call) error
}

// ErrSignature is a call whose signature is missing or wrong.
var ErrSignature = errors.New("signature: want a valid one")

// Call is one request as a Format sees it.
type Call struct {
	Method string
	URL    *url.URL // as the request had it
	Header http.Header
	Query  url.Values // of the URL
	Body   []byte     // raw, for signatures; at most 1 MiB
	Form   url.Values // of the URL, and of the body where it is a form; the body goes first
	Posted url.Values // of the body, where it is a form
	Now    time.Time  // when the call came

	// Route is the route of a connector or SMSC by its provider's id: from the map in the configuration, else the id
	// itself.
	Route func(connector string) route.ID
}

// All are the formats of the package, with the keys of each by its name. fetch gets what AWS refers to; nil: aws is not among
// them.
func All(keys map[string]Keys, fetch Fetch) []Format {
	all := []Format{Infobip(keys["infobip"]), Jasmin(keys["jasmin"]), Kannel(keys["kannel"]), MessageBird(keys["messagebird"]), Plivo(keys["plivo"]),
		Sinch(keys["sinch"]), Telnyx(keys["telnyx"]), Twilio(keys["twilio"]), Vonage(keys["vonage"])}
	for i := range all {
		all[i].Signed = !keys[all[i].Name].none()
	}
	if fetch != nil {
		all = append(all, AWS(keys["aws"], fetch, nil))
	}
	return all
}
