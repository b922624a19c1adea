package smpp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/probes"
	"signalbox/rules/route"
)

// MessageOptions are what Messages sends with.
type MessageOptions struct {
	Link    *Link           // over whose session; the ladder up to enquire_link is its own
	Numbers []probes.Number // test numbers, in turn
	From    string          // sender ID: letters and digits, a number, or a number with +
	Text    string          // holds {token}, in whose place each message gets a word of its own
	Returns probes.Returns  // where what comes back is waited for
	// Spend takes one message to a network out of the budgets; after an error nothing is sent.
	Spend func(now time.Time, n route.Network) error

	SubmitTimeout  time.Duration // how long the response may take; 0 is 10 s
	ReceiptTimeout time.Duration // how long the final receipt may take; 0: receipts are not asked for
	HandsetTimeout time.Duration // how long the message may take to the test phone; 0: nobody looks at the phone
}

// token is what stands in a text for the word that marks a message.
const tokenPlace = "{token}"

// throttledPause is how long no message is sent after the SMSC said that it was too much.
const throttledPause = time.Minute

// Messages sends a message to a test number and waits for what comes back: the response, the final receipt, and the message
// as the phone shows it. Each is an observation; one that is not asked for, or not reached, is none.
type Messages struct {
	o       MessageOptions
	numbers *probes.Numbers
	waited  string // id of the message whose receipt did not come in time; "" for none
	sent    time.Time
}

// NewMessages checks the options.
func NewMessages(o MessageOptions) (*Messages, error) {
	if o.Link == nil || o.Returns == nil || o.Spend == nil {
		return nil, errors.New("message probe: want Link, Returns and Spend")
	}
	id := o.Link.o.Route
	numbers, err := probes.NewNumbers(o.Numbers)
	if err != nil {
		return nil, fmt.Errorf("message probe of %s: %w", id, err)
	}
	if strings.Count(o.Text, tokenPlace) != 1 {
		return nil, fmt.Errorf("message probe of %s: text: want %s in it once, got %q", id, tokenPlace, o.Text)
	}
	octets, _ := EncodeText(strings.Replace(o.Text, tokenPlace, probes.NewToken(), 1))
	if most := oneMessage(octets, o.Text); len(octets) > most {
		return nil, fmt.Errorf("message probe of %s: text: want at most %d octets with its token, which is one message, got %d", id, most, len(octets))
	}
	if o.Link.o.Session.Bind == Receiver {
		return nil, fmt.Errorf("message probe of %s: want a bind that may submit, got %s", id, Receiver)
	}
	o.SubmitTimeout = orDefault(o.SubmitTimeout, 10*time.Second)
	return &Messages{o: o, numbers: numbers}, nil
}

// oneMessage is how many octets, as EncodeText gives them, fit one message: 160 characters of the GSM alphabet, 70 of UCS-2.
func oneMessage(octets []byte, text string) int {
	if _, coding := EncodeText(text); coding != 0 {
		return 140
	}
	return 160
}

// Close does nothing: the session is the Link's.
func (m *Messages) Close(context.Context) error { return nil }

// Probe sends one message. Without a session, a budget or a number there is nothing to look at, which is an error.
func (m *Messages) Probe(ctx context.Context) (probes.Look, error) {
	s := m.o.Link.bound()
	if s == nil || s.Err() != nil {
		return probes.Look{}, errors.New("no session: the link's own probe says why")
	}
	number := m.numbers.Next()
	if err := m.o.Spend(time.Now(), number.Network); err != nil {
		return probes.Look{}, err
	}
	log := probes.Begin(m.o.Link.o.Route, number.Network, "smpp-message", time.Now())
	m.overdue(log)
	token := probes.NewToken()
	text := strings.Replace(m.o.Text, tokenPlace, token, 1)
	if m.o.HandsetTimeout > 0 {
		m.o.Returns.Expect(token, text)
	}
	id, sent, ok := m.submit(ctx, log, s, number, text)
	if ok && ctx.Err() == nil {
		m.await(ctx, log, id, token, sent)
	}
	return log.Look(), canceled(ctx)
}

// canceled is the error of a context that ended from outside; running out of time is an answer.
func canceled(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return nil
}

// submit hands the message in.
func (m *Messages) submit(ctx context.Context, log *probes.Log, s *Session, number probes.Number, text string) (id string, sent time.Time, ok bool) {
	over := m.o.Returns.Sending(m.o.Link.o.Route)
	defer over()
	octets, coding := EncodeText(text)
	message := ShortMessage{Source: AddressOf(m.o.From), Dest: AddressOf("+" + number.Digits), Text: octets, DataCoding: coding}
	if m.o.ReceiptTimeout > 0 {
		message.Register = RegisterFinal
	}
	within, cancel := context.WithTimeout(ctx, m.o.SubmitTimeout)
	defer cancel()
	sent = time.Now()
	id, err := s.Submit(within, message)
	now := time.Now()
	took := now.Sub(sent)
	if err == nil {
		log.OK("submit", now, took, "accepted")
		m.o.Link.submitted(id)
		return m.o.Link.o.IDs.Response(id), sent, true
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		m.refused(log, err, now, took)
	}
	return "", sent, false
}

// refused notes a submit that was not accepted, by whose fault.
func (m *Messages) refused(log *probes.Log, err error, now time.Time, took time.Duration) {
	var status Status
	code := causeOf(err)
	switch {
	case errors.Is(err, ErrInvalid):
		log.Note("submit", took, "", err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("submit", now, took, code, fmt.Sprintf("no response in %s", m.o.SubmitTimeout))
	case !errors.As(err, &status):
		log.Failed("submit", now, took, code, "the session ended: "+err.Error())
	case status.Class() == ClassCapacity:
		log.Note("submit", took, code, "refused: "+status.String()+": too much at once, which is no illness")
		log.Pause(throttledPause)
	case status.Class() == ClassMessageFault:
		log.Note("submit", took, code, "refused: "+status.String()+": the message is wrong, not the route")
		log.Hint("mend from, text or the test number: the SMSC does not take them")
	case status.Class() == ClassConfigFault:
		log.Note("submit", took, code, "refused: "+status.String()+": the account is wrong, not the route")
		log.Hint("ask the carrier what the account may do")
	default:
		log.Failed("submit", now, took, code, "refused: "+status.String())
	}
}

// await waits for the receipt and for the phone, whichever comes first.
func (m *Messages) await(ctx context.Context, log *probes.Log, id, token string, sent time.Time) {
	type answer struct {
		probes.Return
		err error
	}
	phone := make(chan answer, 1)
	until, stop := context.WithDeadline(ctx, sent.Add(m.o.HandsetTimeout))
	defer stop()
	if m.o.HandsetTimeout > 0 {
		go func() {
			r, err := m.o.Returns.Handset(until, token)
			phone <- answer{r, err}
		}()
	}
	if m.o.ReceiptTimeout > 0 {
		within, cancel := context.WithDeadline(ctx, sent.Add(m.o.ReceiptTimeout))
		r, err := m.o.Returns.Receipt(within, m.o.Link.o.Route, id)
		cancel()
		m.receipt(ctx, log, id, sent, r, err)
	}
	if m.o.HandsetTimeout > 0 {
		a := <-phone
		m.handset(ctx, log, sent, a.Return, a.err)
	}
}

func (m *Messages) receipt(ctx context.Context, log *probes.Log, id string, sent time.Time, r probes.Return, err error) {
	now := time.Now()
	switch {
	case err == nil && r.Status == route.StatusDelivered:
		log.OK("receipt", r.At, r.At.Sub(sent), "delivered")
	case err == nil:
		log.Failed("receipt", r.At, r.At.Sub(sent), code(r.Code, r.Status.String()), "the receipt says "+r.Status.String())
	case errors.Is(ctx.Err(), context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("receipt", now, now.Sub(sent), "missing", fmt.Sprintf("no receipt in %s", m.o.ReceiptTimeout))
		m.waited, m.sent = id, sent
	default:
		log.Note("receipt", now.Sub(sent), "", err.Error())
	}
}

// code is the carrier's, where it is short enough to be one, else a word.
func code(carriers, word string) string {
	if carriers == "" || len(carriers) > 16 {
		return word
	}
	return carriers
}

func (m *Messages) handset(ctx context.Context, log *probes.Log, sent time.Time, r probes.Return, err error) {
	now := time.Now()
	switch {
	case err == nil:
		log.OK("handset", r.At, r.At.Sub(sent), shownAs(r, m.o.From))
	case errors.Is(ctx.Err(), context.Canceled):
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("handset", now, now.Sub(sent), "missing", fmt.Sprintf("not on the test phone in %s", m.o.HandsetTimeout))
	default:
		log.Note("handset", now.Sub(sent), "", err.Error())
	}
}

// shownAs says how a message looked on the phone.
func shownAs(r probes.Return, from string) string {
	said := "arrived, from " + r.Sender
	if from != "" && !strings.EqualFold(probes.Masked(from), r.Sender) {
		said += ", which is not the sender ID that was asked for"
	}
	if !r.Intact {
		said += "; the text was changed on the way"
	}
	return said
}

// overdue notes what came of the message before, whose receipt was late.
func (m *Messages) overdue(log *probes.Log) {
	if m.waited == "" {
		return
	}
	if r, came := m.o.Returns.Overdue(m.o.Link.o.Route, m.waited); came {
		log.Note("late", r.At.Sub(m.sent), "late", fmt.Sprintf("the receipt of the message before came late, after %s: %s", r.At.Sub(m.sent).Round(time.Millisecond), r.Status))
	}
	m.waited = ""
}
