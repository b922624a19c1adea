package smpp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"signalbox/probes"
	"signalbox/rules/route"
)

// LinkOptions are what a Link looks with.
type LinkOptions struct {
	Route route.ID
	// Session is how to reach the SMSC. Its Bind must be Transmitter unless DedicatedAccount is set: an SMSC hands receipts
	// to any session of the account that can receive, so that a prober which shares the senders' account would take theirs.
	Session Options
	// DedicatedAccount says that nobody else uses the account, so that the session may receive.
	DedicatedAccount bool
	// EnquireTimeout is how long an enquire_link may take; 0 is 5 s.
	EnquireTimeout time.Duration

	Receipts ReceiptParser // how to read the receipts that come to the session
	IDs      IDs           // how their ids spell those of the responses
	Arrivals Arrivals      // who is told of what comes to the session; nil: nobody
}

// Arrivals is told of what comes to a session that receives.
type Arrivals interface {
	// Arrived tells of a receipt, and reports whether a probe waits for it.
	Arrived(r route.ID, messageID string, got probes.Return) bool
	// Message tells of a message that a test phone got, and reports whether a probe waits for it. Of the text nothing is
	// to be kept.
	Message(from, text string, at time.Time) bool
}

// Link keeps the one long-lived bind of a route, and looks at it step by step: TCP, TLS, bind, enquire_link. SMSCs bound
// how many sessions an account may have, so it binds once and asks that session from then on; a look after the session has
// ended binds anew.
//
// A session that answers enquire_link is bound, and counts as a bind that succeeded. A step that is not reached says
// nothing.
type Link struct {
	o LinkOptions

	looking sync.Mutex // held for the time of a look or of closing, so that there is never a second session

	mu      sync.Mutex // guards the rest
	session *Session   // nil where there is none
	drained chan struct{}
	refused int // binds refused in a row because the account is bound already
	spelt   spellings
}

// Bounds of the pause after "already bound".
const (
	boundPause    = 30 * time.Second
	boundPauseMax = 30 * time.Minute
)

// NewLink checks the options. It reaches no network.
func NewLink(o LinkOptions) (*Link, error) {
	if _, err := o.Session.withDefaults(); err != nil {
		return nil, fmt.Errorf("smpp of %s: %w", o.Route, err)
	}
	if o.Session.Bind != Transmitter && !o.DedicatedAccount {
		return nil, fmt.Errorf("smpp of %s: bind: want transmitter, or dedicated_account: true, got %s: an SMSC may send the receipts of other sessions of the account to it, and they would be lost", o.Route, o.Session.Bind)
	}
	o.EnquireTimeout = orDefault(o.EnquireTimeout, 5*time.Second)
	return &Link{o: o, spelt: spellings{ids: o.IDs}}, nil
}

// Probe looks at the link.
func (l *Link) Probe(ctx context.Context) (probes.Look, error) {
	l.looking.Lock()
	defer l.looking.Unlock()
	log := probes.Begin(l.o.Route, "", "smpp", time.Now())
	s := l.bound()
	if s != nil && s.Err() != nil {
		log.Note("session", 0, causeOf(s.Err()), "the session had ended: "+s.Err().Error())
		l.drop(s)
		s = nil
	}
	if s == nil {
		var err error
		if s, err = l.bind(ctx, log); s == nil {
			return log.Look(), errors.Join(err, probes.Canceled(ctx))
		}
	} else {
		log.OK("bind", time.Now(), 0, "the session is "+age(s)+" old")
	}
	l.enquire(ctx, log, s)
	l.hint(log)
	return log.Look(), probes.Canceled(ctx)
}

func age(s *Session) string { return time.Since(s.began).Round(time.Second).String() }

// bind makes a session, step by step; nil where a step failed. An error says that it failed for a reason of ours.
func (l *Link) bind(ctx context.Context, log *probes.Log) (*Session, error) {
	s, err := Dial(ctx, l.o.Session)
	var failed *PhaseError
	if err != nil && !errors.As(err, &failed) {
		log.Note(string(PhaseTCP), 0, "", err.Error())
		return nil, nil
	}
	if probes.Ours(err) {
		return nil, err
	}
	if probes.Canceled(ctx) != nil {
		if s != nil {
			s.Close()
		}
		return nil, nil
	}
	now := time.Now()
	reached := func(p Phase, took time.Duration, said string) bool {
		if failed != nil && failed.Phase == p {
			l.failed(log, failed, took, now)
			return false
		}
		log.OK(string(p), now, took, said)
		return true
	}
	t := timingOf(s, failed)
	if !reached(PhaseTCP, t.TCP, "connected") || l.o.Session.TLS != nil && !reached(PhaseTLS, t.TLS, "the certificate is good") ||
		!reached(PhaseBind, t.Bind, "bound as "+l.o.Session.Bind.String()) {
		return nil, nil
	}
	l.hold(s)
	return s, nil
}

func timingOf(s *Session, failed *PhaseError) Timing {
	if failed != nil {
		return failed.Timing
	}
	return s.Timing()
}

// failed notes the phase at which a bind failed, by whose fault it did.
func (l *Link) failed(log *probes.Log, e *PhaseError, took time.Duration, now time.Time) {
	probe, code, said := string(e.Phase), causeOf(e.Err), e.Err.Error()
	switch {
	case e.Status == StatusOK:
		log.Failed(probe, now, took, code, phaseSaid(e.Phase, code, said))
	case e.Status == StatusAlreadyBound:
		pause := l.pause()
		log.Note(probe, took, code, "refused: the account is bound already as often as it may be, which says nothing of the route")
		log.Pause(pause)
		log.Hint(fmt.Sprintf("give the prober an account of its own, or let the SMSC end its old sessions; the next try is in %s", pause))
	case e.Status.Class() == ClassCapacity:
		log.Note(probe, took, code, "refused: too much at once, which is no illness")
		log.Pause(boundPause)
	case e.Status.Class() == ClassConfigFault:
		log.Note(probe, took, code, "refused: "+e.Status.String()+": the account is wrong, not the route")
		log.Stop("the SMSC refuses the account: " + e.Status.Error())
		log.Hint("mend system_id, password and system_type, and reload; nothing is tried until then, as accounts get locked")
	default:
		log.Failed(probe, now, took, code, "refused: "+e.Status.String())
	}
	if e.Status != StatusAlreadyBound {
		l.mu.Lock()
		l.refused = 0
		l.mu.Unlock()
	}
}

// pause is how long to wait after "already bound": longer each time in a row.
func (l *Link) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = min(l.refused+1, 16)
	return min(boundPause<<(l.refused-1), boundPauseMax)
}

// enquire asks the session whether it lives. One that does not answer is let go of.
func (l *Link) enquire(ctx context.Context, log *probes.Log, s *Session) {
	asked, cancel := context.WithTimeout(ctx, l.o.EnquireTimeout)
	defer cancel()
	start := time.Now()
	rtt, err := s.Enquire(asked)
	now := time.Now()
	switch {
	case err == nil:
		log.OK("enquire", now, rtt, "answered")
	case probes.Canceled(ctx) != nil:
	case errors.Is(err, context.DeadlineExceeded):
		log.Failed("enquire", now, now.Sub(start), "timeout", fmt.Sprintf("no answer in %s", l.o.EnquireTimeout))
		l.drop(s)
	default:
		log.Failed("enquire", now, now.Sub(start), causeOf(err), err.Error())
		if s.Err() != nil {
			l.drop(s)
		}
	}
}

// hint says when the receipts that came would belong to the prober's messages under another spelling of their ids.
func (l *Link) hint(log *probes.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ids, n := l.spelt.better(); n > 0 {
		log.Hint(fmt.Sprintf("%d receipts that belong to no message would belong to one with message_id: %s; it is %s", n, ids, l.o.IDs))
	}
}

// bound is the session, nil where there is none.
func (l *Link) bound() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// hold keeps a session and listens to it.
func (l *Link) hold(s *Session) {
	drained := make(chan struct{})
	l.mu.Lock()
	l.session, l.drained, l.refused = s, drained, 0
	l.mu.Unlock()
	go func() {
		defer close(drained)
		for d := range s.Deliveries() {
			l.arrive(d)
		}
	}()
}

// drop lets go of a session at once.
func (l *Link) drop(s *Session) {
	s.Close()
	l.mu.Lock()
	drained := l.drained
	if l.session == s {
		l.session, l.drained = nil, nil
	}
	l.mu.Unlock()
	if drained != nil {
		<-drained
	}
}

// arrive hands on what came to the session.
func (l *Link) arrive(d Delivery) {
	if l.o.Arrivals == nil {
		return
	}
	r, err := l.o.Receipts.Parse(d)
	if err != nil {
		l.o.Arrivals.Message(d.Source.Number, d.text(), d.Received)
		return
	}
	status, known := route.ParseStatus(string(r.State))
	if !known || !r.Final {
		return
	}
	if !l.o.Arrivals.Arrived(l.o.Route, r.ID, probes.Return{At: d.Received, Status: status, Code: r.Err}) {
		l.stray(r.ID)
	}
}

// stray notes the id of a receipt that belongs to nobody.
func (l *Link) stray(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spelt.stray(id)
}

// submitted notes the id that a response gave.
func (l *Link) submitted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spelt.response(id)
}

// Close unbinds. A look that is under way ends first.
func (l *Link) Close(ctx context.Context) error {
	l.looking.Lock()
	defer l.looking.Unlock()
	s := l.bound()
	if s == nil {
		return nil
	}
	err := s.Unbind(ctx)
	l.drop(s)
	if err != nil {
		return fmt.Errorf("smpp of %s: %w", l.o.Route, err)
	}
	return nil
}
