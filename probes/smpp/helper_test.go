package smpp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"signalbox/probes/smsctest"
)

// patience is how long a test waits for what must come.
const patience = 5 * time.Second

// moment is how long a test waits for what must not come.
const moment = 150 * time.Millisecond

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// leavesNoGoroutine must be called first, for its check has to run last.
func leavesNoGoroutine(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<16)
				t.Errorf("goroutines: got %d, want %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// startSMSC runs a server until the test ends.
func startSMSC(t testing.TB, o smsctest.Options) *smsctest.Server {
	t.Helper()
	server, err := smsctest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return server
}

func options(addr string) Options {
	return Options{Addr: addr, SystemID: "prober", Password: "secret", Bind: Transceiver}
}

// dial binds, and closes when the test ends.
func dial(t testing.TB, o Options) *Session {
	t.Helper()
	s, err := Dial(within(t, patience), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func message(text string) ShortMessage {
	octets, coding := EncodeText(text)
	return ShortMessage{
		Source:     AddressOf("signalbox"),
		Dest:       AddressOf("+447700900001"),
		Text:       octets,
		DataCoding: coding,
		Register:   RegisterFinal,
	}
}

func submit(t testing.TB, s *Session) string {
	t.Helper()
	id, err := s.Submit(within(t, patience), message("hello"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func enquire(t testing.TB, s *Session) {
	t.Helper()
	if _, err := s.Enquire(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}

func nextDelivery(t testing.TB, s *Session) Delivery {
	t.Helper()
	select {
	case d, ok := <-s.Deliveries():
		if !ok {
			t.Fatalf("deliveries closed: %v", s.Err())
		}
		return d
	case <-time.After(patience):
		t.Fatal("no delivery came")
	}
	return Delivery{}
}

func awaitEnd(t testing.TB, s *Session) error {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the session did not end")
	}
	return s.Err()
}

// peer is the other side of one connection, played by a script.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// startPeer listens for one connection and plays script on it. The connection is closed when the script returns.
func startPeer(t testing.TB, script func(*peer)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	playing.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(2 * patience))
		script(&peer{t, conn, bufio.NewReader(conn)})
	})
	t.Cleanup(func() {
		listener.Close()
		playing.Wait()
	})
	return listener.Addr().String()
}

// read is the next frame, or a zero frame once the client is gone.
func (p *peer) read() frame {
	f, _ := readFrame(p.in)
	return f
}

func (p *peer) write(frames ...[]byte) {
	var octets []byte
	for _, f := range frames {
		octets = append(octets, f...)
	}
	if _, err := p.conn.Write(octets); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("peer: %v", err)
	}
}

// bind accepts the bind, which is the client's first frame.
func (p *peer) bind() {
	f := p.read()
	p.write(encodeFrame(f.id|responseBit, StatusOK, f.seq, []byte("peer\x00")...))
}

func (p *peer) want(id pdu.ID, status Status, seq uint32) frame {
	f := p.read()
	if f.id != id || f.status != status || f.seq != seq {
		p.t.Errorf("peer read %s status %v seq %d, want %s status %v seq %d", f.id, f.status, f.seq, id, status, seq)
	}
	return f
}

// linger answers enquire_links and drops the rest, until the client is gone.
func (p *peer) linger() {
	for f := p.read(); f.octets != nil; f = p.read() {
		if f.id == pdu.EnquireLinkID {
			p.write(encodeFrame(pdu.EnquireLinkRespID, StatusOK, f.seq))
		}
	}
}

func submitResp(seq uint32, id string) []byte {
	return encodeFrame(pdu.SubmitSMRespID, StatusOK, seq, append([]byte(id), 0)...)
}

// delivery describes a deliver_sm or data_sm to encode.
type delivery struct {
	esmClass byte
	text     string
	tlvs     []byte
}

func (d delivery) addresses() []byte {
	return []byte("\x00\x01\x01447700900001\x00\x05\x00signalbox\x00" + string([]byte{d.esmClass}))
}

func (d delivery) deliverSM(seq uint32) []byte {
	body := append(d.addresses(), 0, 0, 0, 0, 0, 0, 0, 0, byte(len(d.text)))
	body = append(append(body, d.text...), d.tlvs...)
	return encodeFrame(pdu.DeliverSMID, StatusOK, seq, body...)
}

func (d delivery) dataSM(seq uint32) []byte {
	body := append(append(d.addresses(), 0, 0), d.tlvs...)
	return encodeFrame(pdu.DataSMID, StatusOK, seq, body...)
}

func tlv(tag uint16, value string) []byte {
	return append([]byte{byte(tag >> 8), byte(tag), byte(len(value) >> 8), byte(len(value))}, value...)
}
