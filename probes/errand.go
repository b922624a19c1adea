package probes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/rules/route"
)

// ErrandOptions are what an Errand sends with.
type ErrandOptions struct {
	Route   route.ID
	Numbers []Number // test numbers, in turn
	From    string   // sender ID
	Text    string   // holds TokenPlace once
	Returns Returns  // where what comes back is waited for
	// Spend takes one message to a network out of the budgets; after an error nothing is sent.
	Spend func(now time.Time, n route.Network) error

	ReceiptTimeout time.Duration // how long the final receipt may take; 0: none is asked for
	HandsetTimeout time.Duration // how long the message may take to the test phone; 0: nobody looks at the phone
}

// TokenPlace stands in a text for the word that marks a message.
const TokenPlace = "{token}"

// Errand is what probers that send messages have in common: which number, within which budget, with which word in the
// text, and what comes back. It is not safe for use by several goroutines.
type Errand struct {
	o       ErrandOptions
	numbers *Numbers
	waited  string // id of the message whose receipt did not come in time; "" for none
	sent    time.Time
}

// NewErrand checks the options.
func NewErrand(o ErrandOptions) (*Errand, error) {
	if o.Returns == nil || o.Spend == nil {
		return nil, fmt.Errorf("message probe of %s: want Returns and Spend", o.Route)
	}
	numbers, err := NewNumbers(o.Numbers)
	if err != nil {
		return nil, fmt.Errorf("message probe of %s: %w", o.Route, err)
	}
	if strings.Count(o.Text, TokenPlace) != 1 {
		return nil, fmt.Errorf("message probe of %s: text: want %s in it once", o.Route, TokenPlace)
	}
	return &Errand{o: o, numbers: numbers}, nil
}

// Message is one message to a test number.
type Message struct {
	Number Number
	Token  string
	Text   string
}

// Write makes the next message, and takes it out of the budgets. After an error nothing may be sent.
func (e *Errand) Write(now time.Time) (Message, error) {
	number := e.numbers.Next()
	if err := e.o.Spend(now, number.Network); err != nil {
		return Message{}, err
	}
	token := NewToken()
	m := Message{number, token, strings.Replace(e.o.Text, TokenPlace, token, 1)}
	if e.o.HandsetTimeout > 0 {
		e.o.Returns.Expect(token, m.Text)
	}
	return m, nil
}

// Await waits for the receipt of a message that was sent, by the id that the route gave it, and for the phone, and logs
// what came. ctx bounds both.
func (e *Errand) Await(ctx context.Context, log *Log, id string, m Message, sent time.Time) {
	type answer struct {
		Return
		err error
	}
	phone := make(chan answer, 1)
	until, stop := context.WithDeadline(ctx, sent.Add(e.o.HandsetTimeout))
	defer stop()
	if e.o.HandsetTimeout > 0 {
		go func() {
			r, err := e.o.Returns.Handset(until, m.Token)
			phone <- answer{r, err}
		}()
	}
	if e.o.ReceiptTimeout > 0 {
		within, cancel := context.WithDeadline(ctx, sent.Add(e.o.ReceiptTimeout))
		r, err := e.o.Returns.Receipt(within, e.o.Route, id)
		cancel()
		e.receipt(ctx, log, id, sent, r, err)
	}
	if e.o.HandsetTimeout > 0 {
		a := <-phone
		e.handset(ctx, log, sent, a.Return, a.err)
	}
}

func (e *Errand) receipt(ctx context.Context, log *Log, id string, sent time.Time, r Return, err error) {
	now := time.Now()
	switch {
	case err == nil && r.Status == route.StatusDelivered:
		log.OK("receipt", r.At, r.At.Sub(sent), "delivered")
	case err == nil:
		log.Failed("receipt", r.At, r.At.Sub(sent), codeOr(r.Code, r.Status.String()), "the receipt says "+r.Status.String())
	case errors.Is(ctx.Err(), context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("receipt", now, now.Sub(sent), "missing", fmt.Sprintf("no receipt in %s", route.Duration(e.o.ReceiptTimeout)))
		e.waited, e.sent = id, sent
	default:
		log.Note("receipt", now.Sub(sent), "", err.Error())
	}
}

// codeOr is the carrier's code, where it is short enough to be one, else a word.
func codeOr(code, word string) string {
	if code == "" || len(code) > 16 {
		return word
	}
	return code
}

func (e *Errand) handset(ctx context.Context, log *Log, sent time.Time, r Return, err error) {
	now := time.Now()
	switch {
	case err == nil:
		log.OK("handset", r.At, r.At.Sub(sent), shownAs(r, e.o.From))
	case errors.Is(ctx.Err(), context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("handset", now, now.Sub(sent), "missing", fmt.Sprintf("not on the test phone in %s", route.Duration(e.o.HandsetTimeout)))
	default:
		log.Note("handset", now.Sub(sent), "", err.Error())
	}
}

// shownAs says how a message looked on the phone.
func shownAs(r Return, from string) string {
	said := "arrived, from " + r.Sender
	if from != "" && !strings.EqualFold(Masked(from), r.Sender) {
		said += ", which is not the sender ID that was asked for"
	}
	if !r.Intact {
		said += "; the text was changed on the way"
	}
	return said
}

// Overdue notes what came of the message before, whose receipt was late.
func (e *Errand) Overdue(log *Log) {
	if e.waited == "" {
		return
	}
	if r, came := e.o.Returns.Overdue(e.o.Route, e.waited); came {
		took := r.At.Sub(e.sent)
		log.Note("late", took, "late", fmt.Sprintf("the receipt of the message before came late, after %s: %s", route.Duration(took.Round(time.Millisecond)), r.Status))
	}
	e.waited = ""
}

// Canceled is the error of a context that ended from outside; one that ran out of time has been an answer.
func Canceled(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return nil
}
