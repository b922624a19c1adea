package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

// Bind says what a session is for.
type Bind uint8

// The binds. A transmitter is the default because it takes no receipts: an SMSC may send a receipt over any session of
// the account that can receive, and a prober must not take those of others.
const (
	Transmitter Bind = iota
	Receiver
	Transceiver
)

var bindNames = [...]string{"transmitter", "receiver", "transceiver"}

// String is the bind as it is written in a configuration.
func (b Bind) String() string {
	if int(b) >= len(bindNames) {
		return fmt.Sprintf("bind %d", b)
	}
	return bindNames[b]
}

// Options is how to reach a peer and who to be there.
type Options struct {
	Addr string // host:port
	// TLS asks for TLS. Where it names no server, the host of Addr is expected. Nil is plain TCP.
	TLS        *tls.Config
	SystemID   string // at most 64 octets, though the protocol says 15
	Password   string // at most 64 octets, though the protocol says 8
	SystemType string // at most 12 octets
	Bind       Bind

	// DialTimeout bounds Dial as a whole, beside the context; 0 is 30 s.
	DialTimeout time.Duration
	// PhaseTimeout bounds each of its phases; 0 is DialTimeout.
	PhaseTimeout time.Duration
	// StallTimeout is how long one write, or a frame of the peer that has begun, may take; 0 is 10 s.
	StallTimeout time.Duration
	// DeliveryBuffer is how many deliveries may wait to be read; 0 is 256.
	DeliveryBuffer int
}

func (o Options) withDefaults() (Options, error) {
	o.DialTimeout = orDefault(o.DialTimeout, 30*time.Second)
	o.PhaseTimeout = orDefault(o.PhaseTimeout, o.DialTimeout)
	o.StallTimeout = orDefault(o.StallTimeout, 10*time.Second)
	o.DeliveryBuffer = orDefault(o.DeliveryBuffer, 256)
	if o.DialTimeout < 0 || o.PhaseTimeout < 0 || o.StallTimeout < 0 || o.DeliveryBuffer < 0 {
		return o, fmt.Errorf("%w: timeouts and buffer: want none below zero", ErrInvalid)
	}
	if int(o.Bind) >= len(bindNames) {
		return o, fmt.Errorf("%w: bind: want transmitter, receiver or transceiver, got %s", ErrInvalid, o.Bind)
	}
	return o, errors.Join(
		checkCString("system_id", o.SystemID, 64),
		checkCString("password", o.Password, 64),
		checkCString("system_type", o.SystemType, 12),
	)
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Phase is a step of Dial.
type Phase string

// The steps of Dial, in their order.
const (
	PhaseTCP  Phase = "tcp"
	PhaseTLS  Phase = "tls"
	PhaseBind Phase = "bind"
)

// PhaseError says at which step Dial failed, and how long each took, the failed one included. Status is the peer's reason
// where it refused the bind, and StatusOK where it refused nothing: no route to it, no answer, no valid certificate.
type PhaseError struct {
	Phase  Phase
	Status Status
	Timing Timing
	Err    error
}

// Error names the phase and the cause.
func (e *PhaseError) Error() string { return fmt.Sprintf("%s: %v", e.Phase, e.Err) }

// Unwrap is the cause: a Status where the peer refused the bind.
func (e *PhaseError) Unwrap() error { return e.Err }

func phaseError(phase Phase, timing Timing, err error) *PhaseError {
	e := &PhaseError{Phase: phase, Timing: timing, Err: err}
	errors.As(err, &e.Status)
	return e
}

// Dial connects and binds. An error of the peer or of the network is a *PhaseError; options that cannot work give
// ErrInvalid and reach no network.
func Dial(ctx context.Context, o Options) (*Session, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	var timing Timing
	raw, err := timed(ctx, o, &timing.TCP, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", o.Addr)
	})
	if err != nil {
		return nil, phaseError(PhaseTCP, timing, err)
	}
	conn := raw
	if o.TLS != nil {
		conn, err = timed(ctx, o, &timing.TLS, func(ctx context.Context) (net.Conn, error) { return secure(ctx, raw, o) })
	}
	if err != nil {
		raw.Close()
		return nil, phaseError(PhaseTLS, timing, err)
	}
	s := newSession(raw, conn, o)
	_, err = timed(ctx, o, &timing.Bind, func(ctx context.Context) (frame, error) { return s.request(ctx, bindID(o.Bind), o.encodeBind) })
	if err != nil {
		s.Close()
		return nil, phaseError(PhaseBind, timing, err)
	}
	s.timing = timing
	return s, nil
}

// timed runs a phase within its bound and stores how long it took.
func timed[T any](ctx context.Context, o Options, took *time.Duration, phase func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, o.PhaseTimeout)
	defer cancel()
	start := time.Now()
	v, err := phase(ctx)
	*took = time.Since(start)
	return v, err
}

// secure puts TLS over raw.
func secure(ctx context.Context, raw net.Conn, o Options) (net.Conn, error) {
	config := o.TLS.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(o.Addr)
		if err != nil {
			return nil, err
		}
		config.ServerName = host
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return conn, nil
}

func bindID(b Bind) pdu.ID {
	return [...]pdu.ID{pdu.BindTransmitterID, pdu.BindReceiverID, pdu.BindTransceiverID}[b]
}

func (o Options) encodeBind(seq uint32) ([]byte, error) {
	p := newBindPDU(o.Bind)
	err := setFields(p.Fields(), []fieldValue{
		{pdufield.SystemID, o.SystemID},
		{pdufield.Password, o.Password},
		{pdufield.SystemType, o.SystemType},
		{pdufield.InterfaceVersion, uint8(0x34)},
	})
	if err != nil {
		return nil, err
	}
	return encodePDU(p, seq)
}

func newBindPDU(b Bind) pdu.Body {
	switch b {
	case Receiver:
		return pdu.NewBindReceiver()
	case Transceiver:
		return pdu.NewBindTransceiver()
	}
	return pdu.NewBindTransmitter()
}
