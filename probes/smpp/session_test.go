package smpp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"signalbox/probes/smsctest"
)

func TestSessionLivesFromBindToUnbind(t *testing.T) {
	leavesNoGoroutine(t)
	texts := make(chan smsctest.Submitted, 1)
	smsc := startSMSC(t, smsctest.Options{
		SystemID: "prober", Password: "secret",
		OnSubmit: func(m smsctest.Submitted) { texts <- m },
	})
	s := dial(t, options(smsc.Addr()))
	if timing := s.Timing(); timing.TCP <= 0 || timing.TLS != 0 || timing.Bind <= 0 {
		t.Errorf("timing: got %+v, want tcp and bind above zero, and no tls", timing)
	}
	rtt, err := s.Enquire(within(t, patience))
	if err != nil || rtt <= 0 {
		t.Fatalf("enquire: got %v, %v, want a round trip", rtt, err)
	}
	id := submit(t, s)
	if m := <-texts; string(m.Text) != "hello" || m.Dest.Number != "447700900001" || m.Source.TON != 5 || m.Registered != 1 {
		t.Errorf("peer got %+v", m)
	}
	receipt, err := ParseReceipt(nextDelivery(t, s))
	if err != nil || receipt.ID != id || receipt.State != StateDelivered || !receipt.Final {
		t.Errorf("receipt: got %+v, %v, want %s delivered", receipt, err, id)
	}
	if err := s.Err(); err != nil {
		t.Errorf("err while alive: got %v", err)
	}
	if err := s.Unbind(within(t, patience)); err != nil {
		t.Errorf("unbind: %v", err)
	}
	if err := s.Err(); err != ErrClosed {
		t.Errorf("err after unbind: got %v, want %v", err, ErrClosed)
	}
	if _, open := <-s.Deliveries(); open {
		t.Error("deliveries are open after unbind")
	}
	if _, err := s.Enquire(within(t, patience)); !errors.Is(err, ErrClosed) {
		t.Errorf("enquire after unbind: got %v, want %v", err, ErrClosed)
	}
	if s.Stats() != (Stats{}) {
		t.Errorf("stats: got %+v, want nothing odd", s.Stats())
	}
}

func TestSubmitRefused(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	for _, want := range []Status{StatusSubmitFail, StatusThrottled, StatusQueueFull, 0x402} {
		smsc.SetBehaviour(smsctest.Behaviour{SubmitStatus: pdu.Status(want)})
		_, err := s.Submit(within(t, patience), message("hello"))
		var got Status
		if !errors.As(err, &got) || got != want {
			t.Errorf("submit: got %v, want %v", err, want)
		}
	}
}

func TestSubmitRefusesWhatWouldBeMalformed(t *testing.T) {
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	tests := []struct {
		name string
		edit func(*ShortMessage)
		want string
	}{
		{"text that wraps sm_length", func(m *ShortMessage) { m.Text = make([]byte, 255) }, "text: want at most 254 octets, got 255"},
		{"no destination", func(m *ShortMessage) { m.Dest.Number = "" }, "destination address: want at least 1 octet, got 0"},
		{"long destination", func(m *ShortMessage) { m.Dest.Number = strings.Repeat("1", 21) }, "destination address: want at most 20 octets, got 21"},
		{"NUL in the source", func(m *ShortMessage) { m.Source.Number = "1\x002" }, "source address: want no NUL inside"},
		{"long service type", func(m *ShortMessage) { m.ServiceType = "abcdef" }, "service type: want at most 5 octets, got 6"},
		{"validity too long", func(m *ShortMessage) { m.Validity = 31 * 24 * time.Hour }, "validity: want 0 to 720h0m0s, got 744h0m0s"},
	}
	for _, test := range tests {
		m := message("hello")
		test.edit(&m)
		_, err := s.Submit(within(t, patience), m)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if n := smsc.Counters().Submits; n != 0 {
		t.Errorf("submits at the peer: got %d, want 0", n)
	}
}

func TestSubmitTakesTheLongestText(t *testing.T) {
	got := make(chan int, 1)
	smsc := startSMSC(t, smsctest.Options{OnSubmit: func(m smsctest.Submitted) { got <- len(m.Text) }})
	s := dial(t, options(smsc.Addr()))
	m := message(strings.Repeat("x", 254))
	m.Validity = 90 * time.Second
	if _, err := s.Submit(within(t, patience), m); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 254 {
		t.Errorf("text: got %d octets, want 254", n)
	}
}

func TestBlackHoleIsBoundedAndSurvived(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{Behaviour: &smsctest.Behaviour{IgnoreSubmit: true, IgnoreEnquire: true}})
	s := dial(t, options(smsc.Addr()))
	if _, err := s.Submit(within(t, moment), message("hello")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("submit: got %v, want %v", err, context.DeadlineExceeded)
	}
	if _, err := s.Enquire(within(t, moment)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("enquire: got %v, want %v", err, context.DeadlineExceeded)
	}
	smsc.SetBehaviour(smsctest.Healthy())
	submit(t, s)
	if n := len(s.pending); n != 0 {
		t.Errorf("pending requests: got %d, want 0", n)
	}
}

func TestSameNumbersInBothDirections(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		p.bind()
		f := p.read() // submit_sm
		p.write(
			delivery{text: "from a handset"}.deliverSM(f.seq),
			encodeFrame(pdu.EnquireLinkID, StatusOK, f.seq),
			submitResp(f.seq, "m-1"),
		)
		p.want(pdu.DeliverSMRespID, StatusOK, f.seq)
		p.want(pdu.EnquireLinkRespID, StatusOK, f.seq)
		p.linger()
	})
	s := dial(t, options(addr))
	if id := submit(t, s); id != "m-1" {
		t.Errorf("message id: got %q, want m-1", id)
	}
	if d := nextDelivery(t, s); string(d.Text) != "from a handset" {
		t.Errorf("delivery: got %q", d.Text)
	}
	enquire(t, s)
}

func TestResponsesThatNobodyWaitsFor(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		p.bind()
		f := p.read()
		p.write(
			encodeFrame(pdu.EnquireLinkRespID, StatusOK, f.seq), // right number, wrong kind
			submitResp(f.seq, "m-1"),
			submitResp(f.seq, "m-1"),
			submitResp(f.seq, "m-2"),
			encodeFrame(pdu.GenericNACKID, StatusInvCmdID, 0),
		)
		p.linger()
	})
	s := dial(t, options(addr))
	if id := submit(t, s); id != "m-1" {
		t.Errorf("message id: got %q, want m-1", id)
	}
	enquire(t, s)
	if n := s.Stats().Unmatched; n != 4 {
		t.Errorf("unmatched: got %d, want 4", n)
	}
}

func TestEarlyRequestsDoNotDisturbTheBind(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		f := p.read()
		p.write(encodeFrame(pdu.EnquireLinkID, StatusOK, 7), delivery{text: "early"}.deliverSM(8))
		p.want(pdu.EnquireLinkRespID, StatusOK, 7)
		p.want(pdu.DeliverSMRespID, StatusOK, 8)
		p.write(encodeFrame(f.id|responseBit, StatusOK, f.seq, 0))
		p.linger()
	})
	s := dial(t, options(addr))
	if d := nextDelivery(t, s); string(d.Text) != "early" {
		t.Errorf("delivery: got %q", d.Text)
	}
}

func TestPeerUnbinds(t *testing.T) {
	leavesNoGoroutine(t)
	answered := make(chan struct{})
	addr := startPeer(t, func(p *peer) {
		p.bind()
		p.read()
		p.write(encodeFrame(pdu.UnbindID, StatusOK, 9))
		p.want(pdu.UnbindRespID, StatusOK, 9)
		close(answered)
	})
	s := dial(t, options(addr))
	if _, err := s.Submit(within(t, patience), message("hello")); !errors.Is(err, ErrPeerUnbound) {
		t.Errorf("submit: got %v, want %v", err, ErrPeerUnbound)
	}
	<-answered
	if err := awaitEnd(t, s); err != ErrPeerUnbound {
		t.Errorf("err: got %v, want %v", err, ErrPeerUnbound)
	}
}

func TestSMSCUnbinds(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	if n := smsc.Unbind(); n != 1 {
		t.Fatalf("unbound: got %d sessions, want 1", n)
	}
	if err := awaitEnd(t, s); err != ErrPeerUnbound {
		t.Errorf("err: got %v, want %v", err, ErrPeerUnbound)
	}
}

func TestPeerHangsUp(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	smsc.Drop()
	if err := awaitEnd(t, s); err == nil || !strings.HasPrefix(err.Error(), "read: ") {
		t.Errorf("err: got %v, want one of reading", err)
	}
}

func TestUnbindUnanswered(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		p.bind()
		p.linger()
	})
	s := dial(t, options(addr))
	if err := s.Unbind(within(t, moment)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unbind: got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := s.Err(); err != ErrClosed {
		t.Errorf("err: got %v, want %v", err, ErrClosed)
	}
}

func TestGenericNack(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		p.bind()
		f := p.read()
		p.write(encodeFrame(pdu.GenericNACKID, StatusInvCmdLen, f.seq))
		p.linger()
	})
	s := dial(t, options(addr))
	_, err := s.Submit(within(t, patience), message("hello"))
	var status Status
	if !errors.Is(err, ErrNacked) || !errors.As(err, &status) || status != StatusInvCmdLen {
		t.Errorf("submit: got %v, want a generic_nack with %v", err, StatusInvCmdLen)
	}
	enquire(t, s)
}

func TestRequestsThatAreNotForUs(t *testing.T) {
	leavesNoGoroutine(t)
	const broadcastSM, undefined pdu.ID = 0x111, 0x7777
	answered := make(chan struct{})
	addr := startPeer(t, func(p *peer) {
		p.bind()
		p.write(
			encodeFrame(pdu.AlertNotificationID, StatusOK, 1, 0, 0, 0),
			encodeFrame(pdu.OutbindID, StatusOK, 2, 0, 0),
			encodeFrame(broadcastSM, StatusOK, 3, 1, 2, 3),
			encodeFrame(undefined, StatusOK, 0),
			encodeFrame(pdu.SubmitSMID, StatusOK, 4),
		)
		p.want(pdu.GenericNACKID, StatusInvCmdID, 3)
		p.want(pdu.GenericNACKID, StatusInvCmdID, 0)
		p.want(pdu.GenericNACKID, StatusInvCmdID, 4)
		close(answered)
		p.linger()
	})
	s := dial(t, options(addr))
	<-answered
	enquire(t, s)
	if n := s.Stats().Unknown; n != 3 {
		t.Errorf("unknown: got %d, want 3", n)
	}
}

func TestSubmitResponsesOutOfTheOrdinary(t *testing.T) {
	tests := []struct {
		name   string
		status Status
		body   string
		want   string
	}{
		{"as it should be", StatusOK, "m-1\x00", "m-1"},
		{"id without its NUL", StatusOK, "m-1", "m-1"},
		{"no body", StatusOK, "", ""},
		{"blanks around the id", StatusOK, " m-1 \x00", "m-1"},
		{"TLV after the id", StatusOK, "m-1\x00" + string(tlv(0x1D, "ok")), "m-1"},
		{"TLV too long after the id", StatusOK, "m-1\x00\x00\x1d\x00\x99x", "m-1"},
		{"longer than the codec takes", StatusOK, "m-1\x00" + string(tlv(0x424, strings.Repeat("x", 5000))), "m-1"},
		{"refused, with a TLV in place of the id", StatusSubmitFail, string(tlv(0x1D, "no")), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr := startPeer(t, func(p *peer) {
				p.bind()
				f := p.read()
				p.write(encodeFrame(pdu.SubmitSMRespID, test.status, f.seq, []byte(test.body)...))
				p.linger()
			})
			s := dial(t, options(addr))
			id, err := s.Submit(within(t, patience), message("hello"))
			if id != test.want || (err == nil) != (test.status == StatusOK) || err != nil && !errors.Is(err, test.status) {
				t.Errorf("got %q, %v, want %q, %v", id, err, test.want, test.status)
			}
			enquire(t, s)
		})
	}
}

func TestDeliveriesOutOfTheOrdinary(t *testing.T) {
	leavesNoGoroutine(t)
	receipt := "id:m-1 stat:DELIVRD err:000"
	tests := []struct {
		name   string
		octets []byte
	}{
		{"receipt in a data_sm", delivery{esmClass: 4, tlvs: tlv(0x424, receipt)}.dataSM(1)},
		{"receipt in message_payload", delivery{esmClass: 4, tlvs: tlv(0x424, receipt)}.deliverSM(2)},
		{"more than the codec takes", delivery{esmClass: 4, text: receipt, tlvs: tlv(0x424, strings.Repeat("x", 5000))}.deliverSM(3)},
		{"as long as can be", delivery{esmClass: 4, text: receipt, tlvs: tlv(0x424, strings.Repeat("x", 65535))}.deliverSM(4)},
		{"TLV longer than the rest", delivery{esmClass: 4, text: receipt, tlvs: []byte{0, 0x1E, 0, 9, 'm'}}.deliverSM(5)},
		{"number zero", delivery{esmClass: 4, text: receipt}.deliverSM(0)},
	}
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	for _, test := range tests {
		smsc.Inject(test.octets)
		r, err := ParseReceipt(nextDelivery(t, s))
		if err != nil || r.ID != "m-1" || r.State != StateDelivered {
			t.Errorf("%s: got %+v, %v", test.name, r, err)
		}
	}
}

func TestDeliveriesAreAcknowledgedAsTheyCame(t *testing.T) {
	leavesNoGoroutine(t)
	answered := make(chan struct{})
	addr := startPeer(t, func(p *peer) {
		p.bind()
		p.write(
			delivery{}.deliverSM(0),
			delivery{}.dataSM(77),
			encodeFrame(pdu.DeliverSMID, StatusOK, 78, []byte("cut")...),
			delivery{}.deliverSM(79),
		)
		for _, want := range []struct {
			id  pdu.ID
			seq uint32
		}{{pdu.DeliverSMRespID, 0}, {pdu.DataSMRespID, 77}, {pdu.DeliverSMRespID, 78}, {pdu.DeliverSMRespID, 79}} {
			if f := p.want(want.id, StatusOK, want.seq); !bytes.Equal(f.octets[16:], []byte{0}) {
				p.t.Errorf("body of %s: got %x, want an empty message_id", f.id, f.octets[16:])
			}
		}
		close(answered)
		p.linger()
	})
	o := options(addr)
	o.DeliveryBuffer = 1
	s := dial(t, o)
	<-answered
	enquire(t, s)
	if got, want := s.Stats(), (Stats{Dropped: 2, Malformed: 1}); got != want {
		t.Errorf("stats: got %+v, want %+v", got, want)
	}
}

func TestPeerStopsReading(t *testing.T) {
	leavesNoGoroutine(t)
	release := make(chan struct{})
	addr := startPeer(t, func(p *peer) {
		p.bind()
		<-release
	})
	defer close(release)
	o := options(addr)
	o.StallTimeout = 100 * time.Millisecond
	s := dial(t, o)
	ctx := within(t, patience)
	m := message(strings.Repeat("x", 254))
	for s.Err() == nil && ctx.Err() == nil {
		s.send(ctx, outgoing{octets: bytes.Repeat(must(m.encode(1)), 100)})
	}
	if err := awaitEnd(t, s); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), "write: ") {
		t.Errorf("err: got %v, want a write past its deadline", err)
	}
}

func TestCloseDoesNotWaitForAPeerThatStoppedReading(t *testing.T) {
	leavesNoGoroutine(t)
	release := make(chan struct{})
	addr := startPeer(t, func(p *peer) {
		p.bind()
		<-release
	})
	defer close(release)
	s := dial(t, options(addr))
	full := within(t, moment)
	for full.Err() == nil {
		s.send(full, outgoing{octets: make([]byte, 1<<20)})
	}
	start := time.Now()
	s.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("close took %s, want it at once", took)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestGarbage(t *testing.T) {
	tests := []struct {
		name   string
		octets []byte
	}{
		{"another protocol", []byte("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"length below a header's", []byte{0, 0, 0, 15, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1}},
		{"length of two gigabytes", []byte{0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leavesNoGoroutine(t)
			addr := startPeer(t, func(p *peer) {
				p.bind()
				p.write(test.octets)
				if f := p.read(); f.id != pdu.GenericNACKID || f.status != StatusInvCmdLen {
					p.t.Errorf("peer read %s status %v, want a generic_nack with %v", f.id, f.status, StatusInvCmdLen)
				}
			})
			if err := awaitEnd(t, dial(t, options(addr))); !errors.Is(err, ErrFraming) {
				t.Errorf("err: got %v, want %v", err, ErrFraming)
			}
		})
	}
}

func TestHalfAFrameAndSilence(t *testing.T) {
	leavesNoGoroutine(t)
	addr := startPeer(t, func(p *peer) {
		p.bind()
		p.write(delivery{text: "hello"}.deliverSM(1)[:30])
		p.linger()
	})
	o := options(addr)
	o.StallTimeout = moment
	if err := awaitEnd(t, dial(t, o)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err: got %v, want a read past its deadline", err)
	}
}

func TestSilenceBetweenFramesIsNoFault(t *testing.T) {
	smsc := startSMSC(t, smsctest.Options{})
	o := options(smsc.Addr())
	o.StallTimeout = moment / 3
	s := dial(t, o)
	select {
	case <-s.Done():
		t.Errorf("the session ended: %v", s.Err())
	case <-time.After(moment):
	}
	enquire(t, s)
}

// The answer and the end of the connection arrive together; the answer has to win each time.
func TestAnswerBeforeTheEndIsNotLost(t *testing.T) {
	leavesNoGoroutine(t)
	for range 100 {
		addr := startPeer(t, func(p *peer) {
			p.bind()
			f := p.read()
			p.write(submitResp(f.seq, "m-1"))
		})
		s := dial(t, options(addr))
		if id, err := s.Submit(within(t, patience), message("hello")); id != "m-1" {
			t.Fatalf("submit: got %q, %v, want m-1", id, err)
		}
		s.Close()
	}
}

func TestSequenceNumbersWrap(t *testing.T) {
	s := &Session{seq: maxSeq - 1, pending: map[uint32]pendingRequest{2: {}}}
	for _, want := range []uint32{maxSeq, 1, 3, 4} {
		if got, _ := s.expect(pdu.SubmitSMRespID); got != want {
			t.Errorf("sequence number: got %d, want %d", got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	leavesNoGoroutine(t)
	smsc := startSMSC(t, smsctest.Options{})
	s := dial(t, options(smsc.Addr()))
	const senders, each = 8, 50
	failed := make(chan error, senders)
	for range senders {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			for range each {
				_, err := s.Submit(ctx, message("hello"))
				_, err2 := s.Enquire(ctx)
				if err := errors.Join(err, err2); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	seen := map[string]bool{}
	for range senders * each {
		r, err := ParseReceipt(nextDelivery(t, s))
		if err != nil || seen[r.ID] {
			t.Fatalf("receipt: got %+v, %v, want one not seen", r, err)
		}
		seen[r.ID] = true
	}
	for range senders {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkSubmitReceipt is one message handed in and its receipt taken, with 32 messages in flight.
func BenchmarkSubmitReceipt(b *testing.B) {
	smsc := startSMSC(b, smsctest.Options{})
	o := options(smsc.Addr())
	o.DeliveryBuffer = 1 << 16
	s := dial(b, o)
	m := message("hello")
	ctx := context.Background()
	window := make(chan struct{}, 32)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			window <- struct{}{}
			go func() {
				if _, err := s.Submit(ctx, m); err != nil {
					b.Error(err)
				}
			}()
		}
	}()
	for range b.N {
		if _, err := ParseReceipt(<-s.Deliveries()); err != nil {
			b.Fatal(err)
		}
		<-window
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func BenchmarkEnquire(b *testing.B) {
	smsc := startSMSC(b, smsctest.Options{})
	s := dial(b, options(smsc.Addr()))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Enquire(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
