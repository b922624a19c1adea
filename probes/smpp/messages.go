package smpp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/probes"
)

// MessageOptions are what Messages sends with.
type MessageOptions struct {
	Link   *Link                // over whose session; the ladder up to enquire_link is its own
	Errand probes.ErrandOptions // Route is the Link's
	// SubmitTimeout is how long the response may take; 0 is 10 s.
	SubmitTimeout time.Duration
}

// throttledPause is how long no message is sent after the SMSC said that it was too much.
const throttledPause = time.Minute

// Messages sends a message to a test number and waits for what comes back: the response, the final receipt, and the message
// as the phone shows it. Each is an observation; one that is not asked for, or not reached, is none.
type Messages struct {
	o      MessageOptions
	errand *probes.Errand
}

// NewMessages checks the options.
func NewMessages(o MessageOptions) (*Messages, error) {
	if o.Link == nil {
		return nil, errors.New("message probe: want Link")
	}
	o.Errand.Route = o.Link.o.Route
	errand, err := probes.NewErrand(o.Errand)
	if err != nil {
		return nil, err
	}
	text := strings.Replace(o.Errand.Text, probes.TokenPlace, probes.NewToken(), 1)
	octets, coding := EncodeText(text)
	if most := oneMessage(coding); len(octets) > most {
		return nil, fmt.Errorf("message probe of %s: text: want at most %d octets with its token, which is one message, got %d", o.Errand.Route, most, len(octets))
	}
	if o.Link.o.Session.Bind == Receiver {
		return nil, fmt.Errorf("message probe of %s: want a bind that may submit, got %s", o.Errand.Route, Receiver)
	}
	o.SubmitTimeout = orDefault(o.SubmitTimeout, 10*time.Second)
	return &Messages{o: o, errand: errand}, nil
}

// oneMessage is how many octets, as EncodeText gives them, fit one message: 160 characters of the GSM alphabet, 70 of UCS-2.
func oneMessage(coding byte) int {
	if coding != 0 {
		return 140
	}
	return 160
}

// Close does nothing: the session is the Link's.
func (m *Messages) Close(context.Context) error { return nil }

// Probe sends one message. Without a session or a budget there is nothing to look at, which is an error.
func (m *Messages) Probe(ctx context.Context) (probes.Look, error) {
	s := m.o.Link.bound()
	if s == nil || s.Err() != nil {
		return probes.Look{}, errors.New("no session: the link's own probe says why")
	}
	message, err := m.errand.Write(time.Now())
	if err != nil {
		return probes.Look{}, err
	}
	log := probes.Begin(m.o.Errand.Route, message.Number.Network, "smpp-message", time.Now())
	m.errand.Overdue(log)
	if id, sent, ok := m.submit(ctx, log, s, message); ok && ctx.Err() == nil {
		m.errand.Await(ctx, log, id, message, sent)
	}
	return log.Look(), probes.Canceled(ctx)
}

// submit hands the message in.
func (m *Messages) submit(ctx context.Context, log *probes.Log, s *Session, message probes.Message) (id string, sent time.Time, ok bool) {
	over := m.o.Errand.Returns.Sending(m.o.Errand.Route)
	defer over()
	octets, coding := EncodeText(message.Text)
	short := ShortMessage{Source: AddressOf(m.o.Errand.From), Dest: AddressOf("+" + message.Number.Digits), Text: octets, DataCoding: coding}
	if m.o.Errand.ReceiptTimeout > 0 {
		short.Register = RegisterFinal
	}
	within, cancel := context.WithTimeout(ctx, m.o.SubmitTimeout)
	defer cancel()
	sent = time.Now()
	id, err := s.Submit(within, short)
	now := time.Now()
	took := now.Sub(sent)
	if err == nil {
		log.OK("submit", now, took, "accepted")
		m.o.Link.submitted(id)
		id = m.o.Link.o.IDs.Response(id)
		m.o.Errand.Returns.Sent(m.o.Errand.Route, id)
		return id, sent, true
	}
	if probes.Canceled(ctx) == nil {
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
