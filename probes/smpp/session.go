// Package smpp is the client side of SMPP 3.4 as a prober needs it: each phase bounded by a context and told apart from
// the others, enquire_link on demand with its round trip, odd peers survived and counted, and nothing done behind the
// caller's back: no reconnecting, no keep-alive.
//
// The codec for requests is go-smpp's; the session is our own, because one that stalls where its peer stalls cannot
// judge the peer.
package smpp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// The ends of a session, as Err gives them.
var (
	ErrClosed      = errors.New("session closed")
	ErrPeerUnbound = errors.New("peer unbound the session")
)

// ErrNacked says that the peer answered with generic_nack: it did not understand the request. The Status goes with it.
var ErrNacked = errors.New("generic_nack")

// maxSeq is the last sequence number that the protocol allows; zero is none.
const maxSeq = 0x7FFFFFFF

// outBuffer is how many frames may wait for the writer before senders wait too.
const outBuffer = 64

// Session is one bound connection. It does not come back once it has ended: dial again. All methods are safe for
// concurrent use.
type Session struct {
	raw        net.Conn
	conn       net.Conn // raw, or TLS over it
	stall      time.Duration
	timing     Timing
	began      time.Time
	out        chan outgoing
	deliveries chan Delivery
	done       chan struct{}
	loops      sync.WaitGroup
	stats      counters

	leaving atomic.Bool // we have said goodbye, so that the peer may hang up

	mu      sync.Mutex // guards seq, pending and err
	seq     uint32     // the last one given out; 0 to maxSeq
	pending map[uint32]pendingRequest
	err     error // set once, before done is closed
}

// outgoing is a frame for the writer; where last is set, the session ends with it once the frame is written, or could
// not be.
type outgoing struct {
	octets []byte
	last   error
}

// pendingRequest waits for the response id. Its entry is deleted before answer, which has room for one, is sent to: so
// a second response with the same number cannot block the reader.
type pendingRequest struct {
	id     pdu.ID
	answer chan frame
}

// Stats counts what was odd about the peer since the session began.
type Stats struct {
	Dropped   uint64 // deliveries acknowledged but thrown away, because nobody read Deliveries
	Unmatched uint64 // responses that no request waits for: late, duplicated, or out of nowhere
	Unknown   uint64 // requests that were answered with generic_nack
	Malformed uint64 // deliveries whose mandatory fields could not be read
}

type counters struct{ dropped, unmatched, unknown, malformed atomic.Uint64 }

// Timing is how long the phases of Dial took.
type Timing struct{ TCP, TLS, Bind time.Duration }

func newSession(raw, conn net.Conn, o Options) *Session {
	s := &Session{
		raw:        raw,
		conn:       conn,
		stall:      o.StallTimeout,
		began:      time.Now(),
		out:        make(chan outgoing, outBuffer),
		deliveries: make(chan Delivery, o.DeliveryBuffer),
		done:       make(chan struct{}),
		pending:    map[uint32]pendingRequest{},
	}
	s.loops.Go(s.readLoop)
	s.loops.Go(s.writeLoop)
	return s
}

// Deliveries gives what the peer delivers, which has been acknowledged already. The channel is closed when the session
// has ended. What does not fit in it is dropped and counted.
func (s *Session) Deliveries() <-chan Delivery { return s.deliveries }

// Done is closed when the session has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil while the session lives, and then ErrClosed, ErrPeerUnbound or what went wrong.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Timing is how long the phases of Dial took.
func (s *Session) Timing() Timing { return s.timing }

// Stats is what was odd about the peer so far.
func (s *Session) Stats() Stats {
	return Stats{
		Dropped:   s.stats.dropped.Load(),
		Unmatched: s.stats.unmatched.Load(),
		Unknown:   s.stats.unknown.Load(),
		Malformed: s.stats.malformed.Load(),
	}
}

// Enquire sends an enquire_link and waits for its response. The round trip is meaningful only when err is nil.
func (s *Session) Enquire(ctx context.Context) (rtt time.Duration, err error) {
	start := time.Now()
	_, err = s.request(ctx, pdu.EnquireLinkID, func(seq uint32) ([]byte, error) {
		return encodeFrame(pdu.EnquireLinkID, StatusOK, seq), nil
	})
	if err != nil {
		return 0, fmt.Errorf("enquire_link: %w", err)
	}
	return time.Since(start), nil
}

// Submit sends m and waits for the message id that the peer gives it; "" where it gives none. A refusal is a Status; a message that could not
// be sent as it is gives ErrInvalid. After any other error, the peer may have accepted the message nevertheless.
func (s *Session) Submit(ctx context.Context, m ShortMessage) (messageID string, err error) {
	if err := m.validate(); err != nil {
		return "", fmt.Errorf("submit_sm: %w", err)
	}
	f, err := s.request(ctx, pdu.SubmitSMID, m.encode)
	if err != nil {
		return "", fmt.Errorf("submit_sm: %w", err)
	}
	return submittedID(f), nil
}

// Unbind says goodbye, waits for the answer and closes. The session has ended whatever the error, which is about the
// goodbye only.
func (s *Session) Unbind(ctx context.Context) error {
	s.leaving.Store(true)
	_, err := s.request(ctx, pdu.UnbindID, func(seq uint32) ([]byte, error) {
		return encodeFrame(pdu.UnbindID, StatusOK, seq), nil
	})
	if err == nil {
		s.end(ErrClosed, s.conn)
	}
	s.Close()
	if err != nil {
		return fmt.Errorf("unbind: %w", err)
	}
	return nil
}

// Close ends the session at once, without an unbind, and returns when its goroutines are gone. Closing again is harmless.
func (s *Session) Close() error {
	s.end(ErrClosed, s.raw)
	s.loops.Wait()
	return nil
}

// end ends the session for the first err it is given, and closes conn. Only Unbind closes the TLS layer, for its
// farewell may wait seconds for a peer that does not read.
func (s *Session) end(err error, conn net.Conn) {
	if s.leaving.Load() && errors.Is(err, io.EOF) {
		err = ErrClosed
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
	s.mu.Unlock()
	conn.Close()
}

// request sends what encode gives and waits for its response with status zero.
func (s *Session) request(ctx context.Context, id pdu.ID, encode func(seq uint32) ([]byte, error)) (frame, error) {
	f, err := s.exchange(ctx, id, encode)
	switch {
	case err != nil:
		return frame{}, err
	case f.id == pdu.GenericNACKID:
		return frame{}, fmt.Errorf("%w: %w", ErrNacked, f.status)
	case f.status != StatusOK:
		return frame{}, f.status
	}
	return f, nil
}

func (s *Session) exchange(ctx context.Context, id pdu.ID, encode func(seq uint32) ([]byte, error)) (frame, error) {
	seq, answer := s.expect(id | responseBit)
	octets, err := encode(seq)
	if err == nil {
		err = s.send(ctx, outgoing{octets: octets})
	}
	if err == nil {
		select {
		case f := <-answer:
			return f, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-s.done:
			err = s.Err()
		}
	}
	s.forget(seq)
	select { // a response and the end of the connection may come together, and the end win the race
	case f := <-answer:
		return f, nil
	default:
		return frame{}, err
	}
}

func (s *Session) expect(response pdu.ID) (uint32, <-chan frame) {
	answer := make(chan frame, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for taken := true; taken; _, taken = s.pending[s.seq] {
		s.seq = s.seq%maxSeq + 1
	}
	s.pending[s.seq] = pendingRequest{id: response, answer: answer}
	return s.seq, answer
}

func (s *Session) forget(seq uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, seq)
}

// settle hands a response to the request that waits for it. Only the responses come here: a request of the peer may
// well carry a number that one of ours has too.
func (s *Session) settle(f frame) {
	s.mu.Lock()
	p, ok := s.pending[f.seq]
	ok = ok && (f.id == p.id || f.id == pdu.GenericNACKID)
	if ok {
		delete(s.pending, f.seq)
		p.answer <- f
	}
	s.mu.Unlock()
	if !ok {
		s.stats.unmatched.Add(1)
	}
}

func (s *Session) send(ctx context.Context, o outgoing) error {
	select {
	case s.out <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return s.Err()
	}
}

func (s *Session) writeLoop() {
	for {
		select {
		case o := <-s.out:
			err := s.write(o.octets)
			if o.last != nil {
				s.end(o.last, s.raw)
				return
			}
			if err != nil {
				s.end(fmt.Errorf("write: %w", err), s.raw)
				return
			}
		case <-s.done:
			return
		}
	}
}

func (s *Session) write(octets []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.stall)); err != nil {
		return err
	}
	_, err := s.conn.Write(octets)
	return err
}

func (s *Session) readLoop() {
	defer close(s.deliveries)
	in := bufio.NewReader(s.conn)
	for {
		f, err := s.read(in)
		if errors.Is(err, ErrFraming) {
			s.finish(outgoing{octets: encodeFrame(pdu.GenericNACKID, StatusInvCmdLen, f.seq), last: err})
			return
		}
		if err != nil {
			s.end(fmt.Errorf("read: %w", err), s.raw)
			return
		}
		if f.id == pdu.UnbindID {
			s.finish(outgoing{octets: encodeFrame(pdu.UnbindRespID, StatusOK, f.seq), last: ErrPeerUnbound})
			return
		}
		s.handle(f)
	}
}

// read waits for the next frame as long as it takes, but not for the rest of a frame that has begun.
func (s *Session) read(in *bufio.Reader) (frame, error) {
	if _, err := in.Peek(1); err != nil {
		return frame{}, err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(s.stall)); err != nil {
		return frame{}, err
	}
	f, err := readFrame(in)
	if err != nil {
		return f, err
	}
	return f, s.conn.SetReadDeadline(time.Time{})
}

func (s *Session) handle(f frame) {
	switch {
	case f.id&responseBit != 0:
		s.settle(f)
	case f.id == pdu.DeliverSMID || f.id == pdu.DataSMID:
		// The body of both responses is an empty message_id.
		s.reply(outgoing{octets: encodeFrame(f.id|responseBit, StatusOK, f.seq, 0)})
		s.deliver(f)
	case f.id == pdu.EnquireLinkID:
		s.reply(outgoing{octets: encodeFrame(pdu.EnquireLinkRespID, StatusOK, f.seq)})
	case f.id == pdu.AlertNotificationID || f.id == pdu.OutbindID:
		// They have no response.
	default:
		s.stats.unknown.Add(1)
		s.reply(outgoing{octets: encodeFrame(pdu.GenericNACKID, StatusInvCmdID, f.seq)})
	}
}

// reply waits at most until the session ends, which a writer that stands still brings about by itself.
func (s *Session) reply(o outgoing) {
	_ = s.send(context.Background(), o)
}

// finish sends the last frame and leaves the end to the writer: reading on, the reader might see the peer hang up first
// and call that the cause.
func (s *Session) finish(o outgoing) {
	s.reply(o)
	<-s.done
}

func (s *Session) deliver(f frame) {
	d, err := decodeDelivery(f)
	if err != nil {
		s.stats.malformed.Add(1)
		return
	}
	d.Received = time.Now()
	select {
	case s.deliveries <- d:
	default:
		s.stats.dropped.Add(1)
	}
}

// submittedID is the message id of a submit_sm_resp; "" where the peer gave none. Where the codec finds none, the body
// as it is may hold one that lacks its NUL.
func submittedID(f frame) string {
	if p, err := decodePDU(f); err == nil {
		if id := p.Fields()["message_id"]; id != nil {
			return cleanID(id.Bytes())
		}
	}
	return cleanID(f.body())
}
