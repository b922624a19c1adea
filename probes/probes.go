// Package probes looks at routes. A Prober looks once at one route, a Collector reads once what another system counted;
// the Schedule repeats both. Each way of looking has a folder of its own below this one, which imports this package for
// its words and nothing else of ours but rules/route.
package probes

import (
	"context"
	"time"

	"signalbox/rules/route"
)

// Prober looks at one route, once. It is called by one goroutine at a time, and may keep a connection between its calls.
type Prober interface {
	// Probe looks, within ctx. A route that fails is a Look that says so; err is for "I could not look", which says nothing
	// of the route: no budget left, a missing file, ctx cancelled from outside.
	Probe(ctx context.Context) (Look, error)
	// Close lets go of what is kept, politely: an SMPP session is unbound. Probe is not called after it.
	Close(ctx context.Context) error
}

// Look is what a Prober saw.
type Look struct {
	Observations []route.Observation // of kind probe, one for each step that has a result
	Transcript   route.Transcript

	// Pause asks not to look again for so long, because looking more often would do harm: the peer says that the account is
	// bound already, or throttles. Zero asks for nothing.
	Pause time.Duration
	// Stop asks not to look again until the configuration is loaded anew, and says why: credentials that were refused are
	// not to be tried again, because accounts get locked. "" asks for nothing.
	Stop string
}

// Collector reads, once, what another system knows of routes.
type Collector interface {
	// Collect returns what is new since the last call. What could not be read in full gives no observation, so that the
	// signals become unknown by age, and an error that says why; both may be returned, for a source that answers for some
	// routes only.
	Collect(ctx context.Context) ([]route.Observation, error)
}

// Returns is where a prober waits for what comes back of the messages that it sent: receipts by webhook or from the
// senders' events, and messages as a handset shows them.
type Returns interface {
	// Sending says that a message is about to be submitted on a route; over says that its submit is done.
	Sending(r route.ID) (over func())
	// Sent says that a route took a message of ours, by the id of its receipts. It comes before over, so that no receipt
	// falls between the two, and also where nobody waits for the receipt, which is ours all the same.
	Sent(r route.ID, messageID string)
	// Receipt waits for the first final receipt of a message that a route took. A receipt that came up to a minute before
	// the call is found too, because it may overtake the response that names its message. It returns ctx.Err() where none
	// came.
	Receipt(ctx context.Context, r route.ID, messageID string) (Return, error)
	// Overdue is what came after Receipt had given up, within a quarter of an hour.
	Overdue(r route.ID, messageID string) (Return, bool)
	// Expect says what text is about to be sent, with the token in it that marks it.
	Expect(token, text string)
	// Handset waits for the message whose text holds the token that Expect named.
	Handset(ctx context.Context, token string) (Return, error)
}

// Return is what came back.
type Return struct {
	At     time.Time    // when it came here
	Status route.Status // receipt
	Code   string       // receipt: the carrier's error code
	Sender string       // handset: the sender ID as it was shown; a phone number is cut to its last three digits
	Intact bool         // handset: the text arrived as it was sent
}
