package smsctest

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// patience is how long a test waits for what must come.
const patience = 5 * time.Second

// leavesNoGoroutine must be called first, for its check has to run last.
func leavesNoGoroutine(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// start runs a server until the test ends.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return server
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// client is the other side, frame by frame.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	seq  uint32
}

func connect(t testing.TB, s *Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(2 * patience))
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

func (c *client) send(id pdu.ID, body []byte) uint32 {
	c.seq++
	c.conn.Write(encode(id, 0, c.seq, body))
	return c.seq
}

func (c *client) read() frame {
	c.t.Helper()
	f, err := readFrame(c.in)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return f
}

func (c *client) gone() bool {
	_, err := readFrame(c.in)
	return err != nil
}

// call sends a request and reads its response, which has to come next.
func (c *client) call(id pdu.ID, body []byte) frame {
	c.t.Helper()
	seq := c.send(id, body)
	f := c.read()
	if f.seq != seq || f.id != id|responseBit && f.id != pdu.GenericNACKID {
		c.t.Fatalf("response to %s seq %d: got %s seq %d", id, seq, f.id, f.seq)
	}
	return f
}

func bindBody(systemID, password string) []byte {
	return slices.Concat(cstring(systemID), cstring(password), []byte{0, 0x34, 0, 0, 0})
}

func bound(t testing.TB, s *Server, id pdu.ID) *client {
	t.Helper()
	c := connect(t, s)
	if f := c.call(id, bindBody("esme", "secret")); f.status != StatusOK {
		t.Fatalf("bind: %v", f.status)
	}
	return c
}

func submitBody(dest string, registered byte, text string) []byte {
	return slices.Concat([]byte("\x00\x05\x00signalbox\x00\x01\x01"), cstring(dest),
		[]byte{0, 0, 0, 0, 0, registered, 0, 0, 0, byte(len(text))}, []byte(text))
}

// submit hands in a message and gives its id.
func (c *client) submit(registered byte) (string, pdu.Status) {
	c.t.Helper()
	f := c.call(pdu.SubmitSMID, submitBody("447700900001", registered, "hello there, this is a long text"))
	return strings.TrimSuffix(string(f.octets[minFrame:]), "\x00"), f.status
}

// receipt reads and acknowledges the next deliver_sm, and gives its text with all that follows.
func (c *client) receipt() string {
	c.t.Helper()
	f := c.read()
	if f.id != pdu.DeliverSMID {
		c.t.Fatalf("got %s, want a deliver_sm", f.id)
	}
	c.conn.Write(encode(pdu.DeliverSMRespID, 0, f.seq, []byte{0}))
	return string(f.octets[minFrame:])
}

func TestReceiptOctets(t *testing.T) {
	r := receipt{
		id: "m-1", stat: statUndelivered, source: Address{5, 0, "signalbox"}, dest: Address{1, 1, "447700900001"},
		quote: quote([]byte("hëllo there, this is a long text")), submitted: time.Date(2026, 11, 23, 9, 25, 0, 0, time.UTC),
	}
	text := "id:m-1 sub:001 dlvrd:000 submit date:2611230925 done date:2611230926 stat:UNDELIV err:011 text:h.llo there, this i"
	body := "\x00\x01\x01447700900001\x00\x05\x00signalbox\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00" + string([]byte{byte(len(text))}) + text +
		"\x00\x1e\x00\x04m-1\x00" + "\x04\x27\x00\x01\x05" + "\x04\x23\x00\x03\x03\x00\x0b"
	want := encode(pdu.DeliverSMID, 0, 9, []byte(body))
	if got := r.encode(9, r.submitted.Add(time.Minute)); string(got) != string(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBinds(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{SystemID: "esme", Password: "secret"})
	tests := []struct {
		name, systemID, password string
		id                       pdu.ID
		status                   pdu.Status
	}{
		{"transmitter", "esme", "secret", pdu.BindTransmitterID, StatusOK},
		{"receiver", "esme", "secret", pdu.BindReceiverID, StatusOK},
		{"transceiver", "esme", "secret", pdu.BindTransceiverID, StatusOK},
		{"wrong system_id", "other", "secret", pdu.BindTransceiverID, StatusInvSystemID},
		{"wrong password", "esme", "other", pdu.BindTransceiverID, StatusInvPassword},
	}
	for _, test := range tests {
		c := connect(t, s)
		if f := c.call(test.id, bindBody(test.systemID, test.password)); f.status != test.status {
			t.Errorf("%s: got %v, want %v", test.name, f.status, test.status)
		}
		if test.status != StatusOK && !c.gone() {
			t.Errorf("%s: the connection is still there", test.name)
		}
	}
	if got := s.Counters(); got.Binds != 3 || got.BindsRefused != 2 || got.Connections != 5 {
		t.Errorf("counters: got %+v, want 3 binds, 2 refused, 5 connections", got)
	}
	s.SetBehaviour(Behaviour{BindStatus: StatusBindFail})
	if f := connect(t, s).call(pdu.BindReceiverID, bindBody("esme", "secret")); f.status != StatusBindFail {
		t.Errorf("bind made to fail: got %v, want %v", f.status, StatusBindFail)
	}
}

func TestSessionRules(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{})
	unbound := connect(t, s)
	if _, status := unbound.submit(0); status != StatusInvBindState {
		t.Errorf("submit unbound: got %v, want %v", status, StatusInvBindState)
	}
	c := bound(t, s, pdu.BindTransceiverID)
	if f := c.call(pdu.BindTransceiverID, bindBody("esme", "")); f.status != StatusAlreadyBound {
		t.Errorf("second bind: got %v, want %v", f.status, StatusAlreadyBound)
	}
	if f := c.call(pdu.EnquireLinkID, nil); f.status != StatusOK {
		t.Errorf("enquire_link: got %v", f.status)
	}
	if f := c.call(pdu.QuerySMID, []byte("m\x00\x00\x00\x00")); f.id != pdu.GenericNACKID || f.status != StatusInvCmdID {
		t.Errorf("query_sm: got %s %v, want a generic_nack with %v", f.id, f.status, StatusInvCmdID)
	}
	if f := c.call(pdu.SubmitSMID, []byte("\x00\x00\x00cut")); f.status != StatusInvCmdLen {
		t.Errorf("submit cut short: got %v, want %v", f.status, StatusInvCmdLen)
	}
	if f := c.call(pdu.SubmitSMID, submitBody("", 0, "x")); f.status != StatusInvDstAddr {
		t.Errorf("submit to nobody: got %v, want %v", f.status, StatusInvDstAddr)
	}
	if f := c.call(pdu.UnbindID, nil); f.status != StatusOK || !c.gone() {
		t.Errorf("unbind: got %v, and the connection is still there", f.status)
	}
}

func TestImpossibleLengthEndsTheConnection(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{})
	c := connect(t, s)
	c.conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if f := c.read(); f.id != pdu.GenericNACKID || f.status != StatusInvCmdLen || !c.gone() {
		t.Errorf("got %s %v, want a generic_nack with %v and the end", f.id, f.status, StatusInvCmdLen)
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name       string
		behaviour  Behaviour
		registered byte
		status     pdu.Status
		receipt    string // "" is none
	}{
		{"delivered", Healthy(), 1, StatusOK, "stat:DELIVRD err:000 text:hello there, this is\x00\x1e"},
		{"failed", Behaviour{Accept: 1, Failed: 1}, 1, StatusOK, "stat:UNDELIV err:011"},
		{"rejected", Behaviour{Accept: 1, Failed: 1, FailedAs: "REJECTD"}, 1, StatusOK, "stat:REJECTD err:008"},
		{"silent", Behaviour{Accept: 1}, 1, StatusOK, ""},
		{"black hole", Behaviour{Accept: 1, Delivered: 1, Swallow: true}, 1, StatusOK, ""},
		{"no receipt asked for", Healthy(), 0, StatusOK, ""},
		{"failure asked for, delivered", Healthy(), 2, StatusOK, ""},
		{"failure asked for, failed", Behaviour{Accept: 1, Failed: 1}, 2, StatusOK, "stat:UNDELIV"},
		{"refused", Behaviour{Delivered: 1}, 1, StatusSubmitFail, ""},
		{"refused otherwise", Behaviour{SubmitStatus: StatusQueueFull}, 1, StatusQueueFull, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leavesNoGoroutine(t)
			s := start(t, Options{Behaviour: &test.behaviour})
			c := bound(t, s, pdu.BindTransceiverID)
			id, status := c.submit(test.registered)
			if status != test.status || (id != "") != (status == StatusOK) {
				t.Fatalf("submit: got id %q, %v, want %v", id, status, test.status)
			}
			if test.receipt != "" {
				if got := c.receipt(); !strings.Contains(got, "id:"+id+" ") || !strings.Contains(got, test.receipt) {
					t.Errorf("receipt: got %q, want %q in it", got, test.receipt)
				}
				return
			}
			if n := s.Counters().Waiting; n != 0 {
				t.Errorf("receipts waiting: got %d, want 0", n)
			}
			c.call(pdu.EnquireLinkID, nil) // the next frame would have been the receipt
		})
	}
}

func TestUnansweredRequests(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{})
	c := bound(t, s, pdu.BindTransceiverID)
	s.SetBehaviour(Behaviour{IgnoreEnquire: true, IgnoreSubmit: true, IgnoreBind: true})
	c.send(pdu.EnquireLinkID, nil)
	c.send(pdu.SubmitSMID, submitBody("447700900001", 1, "x"))
	late := connect(t, s)
	late.send(pdu.BindReceiverID, bindBody("esme", ""))
	late.call(pdu.QuerySMID, nil) // its generic_nack is the first answer
	eventually(t, "the submit is counted", func() bool { return s.Counters().Submits == 1 })
	s.SetBehaviour(Healthy())
	if f := c.call(pdu.EnquireLinkID, nil); f.seq != 4 {
		t.Errorf("response: got seq %d, want 4", f.seq)
	}
	if got := s.Counters(); got.Accepted != 0 || got.Enquires != 2 || got.Binds != 1 {
		t.Errorf("counters: got %+v, want nothing accepted, 2 enquires, 1 bind", got)
	}
}

func TestSharesAreRepeatable(t *testing.T) {
	b := Behaviour{Accept: 0.9, Delivered: 0.7, Failed: 0.2, Delay: LogNormal(2*time.Second, 0.5)}
	draw := func(seed uint64) (fates []fate) {
		chance := rand.New(rand.NewPCG(seed, 0))
		for range 10_000 {
			fates = append(fates, b.decide(chance))
		}
		return fates
	}
	first := draw(1)
	if !slices.Equal(first, draw(1)) || slices.Equal(first, draw(2)) {
		t.Error("fates: want them alike for one seed, and others for another")
	}
	var delays []time.Duration
	count := map[fate]int{}
	for _, f := range first {
		delays = append(delays, f.delay)
		count[fate{status: f.status, stat: f.stat}]++
	}
	near := func(what string, got, want, tolerance float64) {
		if !(got > want-tolerance && got < want+tolerance) {
			t.Errorf("%s: got %v, want about %v", what, got, want)
		}
	}
	near("refused", float64(count[fate{status: StatusSubmitFail}])/10_000, 0.1, 0.01)
	near("delivered", float64(count[fate{stat: statDelivered}])/10_000, 0.9*0.7, 0.02)
	near("failed", float64(count[fate{stat: statUndelivered}])/10_000, 0.9*0.2, 0.02)
	near("silent", float64(count[fate{}])/10_000, 0.9*0.1, 0.02)
	delays = slices.DeleteFunc(delays, func(d time.Duration) bool { return d == 0 })
	slices.Sort(delays)
	near("median delay", delays[len(delays)/2].Seconds(), 2, 0.1)
}

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	var l limiter
	allowed := 0
	for i := range 3000 { // 300 a second for ten seconds
		if l.allow(100, now.Add(time.Duration(i)*time.Second/300)) {
			allowed++
		}
	}
	if allowed < 1000 || allowed > 1011 {
		t.Errorf("allowed: got %d, want 1000 and a burst of 10 at most", allowed)
	}
	if !new(limiter).allow(0.1, now) || !new(limiter).allow(0, now) {
		t.Error("first message: want it allowed")
	}
}

func TestThrottling(t *testing.T) {
	leavesNoGoroutine(t)
	b := Healthy()
	b.Throughput = 0.001
	s := start(t, Options{Behaviour: &b})
	c := bound(t, s, pdu.BindTransmitterID)
	if _, status := c.submit(0); status != StatusOK {
		t.Errorf("first: got %v, want %v", status, StatusOK)
	}
	if _, status := c.submit(0); status != StatusThrottled {
		t.Errorf("second: got %v, want %v", status, StatusThrottled)
	}
	if got := s.Counters(); got.Submits != 2 || got.Accepted != 1 || got.Throttled != 1 || got.Refused != 0 {
		t.Errorf("counters: got %+v", got)
	}
}

func TestReceiptsGoToAnyReceivingSessionInTurn(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{})
	sender := bound(t, s, pdu.BindTransmitterID)
	one, two := bound(t, s, pdu.BindReceiverID), bound(t, s, pdu.BindTransceiverID)
	stranger := connect(t, s)
	stranger.call(pdu.BindReceiverID, bindBody("other", ""))
	for _, c := range []*client{one, two, stranger} {
		c.call(pdu.EnquireLinkID, nil) // the bind is done with, and receipts may come
	}
	for range 4 {
		sender.submit(1)
	}
	for _, c := range []*client{one, one, two, two} {
		c.receipt()
	}
	eventually(t, "4 receipts are acknowledged", func() bool { return s.Counters().Acked == 4 })
	stranger.call(pdu.EnquireLinkID, nil)
	sender.call(pdu.EnquireLinkID, nil)
}

func TestReceiptsWaitForASessionAndOutliveIt(t *testing.T) {
	leavesNoGoroutine(t)
	s := start(t, Options{})
	sender := bound(t, s, pdu.BindTransmitterID)
	id, _ := sender.submit(1)
	eventually(t, "the receipt waits", func() bool { return s.Counters().Waiting == 1 && s.schedule.len() == 0 })
	first := bound(t, s, pdu.BindReceiverID)
	if f := first.read(); f.id != pdu.DeliverSMID {
		t.Fatalf("got %s, want a deliver_sm", f.id)
	}
	first.conn.Close() // without an acknowledgement
	eventually(t, "the receipt waits again", func() bool { return s.Counters().Waiting == 1 })
	if got := bound(t, s, pdu.BindReceiverID).receipt(); !strings.Contains(got, "id:"+id) {
		t.Errorf("receipt: got %q, want id %s", got, id)
	}
}

func TestReceiptIDMayDiffer(t *testing.T) {
	leavesNoGoroutine(t)
	b := Healthy()
	b.ReceiptID = strings.ToUpper
	s := start(t, Options{IDPrefix: "abc-", Behaviour: &b})
	c := bound(t, s, pdu.BindTransceiverID)
	if id, _ := c.submit(1); id != "abc-1" {
		t.Errorf("id: got %q, want abc-1", id)
	}
	if got := c.receipt(); !strings.Contains(got, "id:ABC-1 ") {
		t.Errorf("receipt: got %q, want id ABC-1", got)
	}
}

func TestIDsOfTwoServersDiffer(t *testing.T) {
	one, two := start(t, Options{}), start(t, Options{})
	if a, b := one.nextID(), two.nextID(); a == b {
		t.Errorf("ids: got %q twice", a)
	}
}

func TestHookInjectUnbindDrop(t *testing.T) {
	leavesNoGoroutine(t)
	var mu sync.Mutex
	var seen []Submitted
	s := start(t, Options{OnSubmit: func(m Submitted) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, m)
	}})
	c, other := bound(t, s, pdu.BindTransmitterID), bound(t, s, pdu.BindReceiverID)
	id, _ := c.submit(0)
	mu.Lock()
	if len(seen) != 1 || seen[0].ID != id || seen[0].SystemID != "esme" || seen[0].Dest.Number != "447700900001" ||
		!strings.HasPrefix(string(seen[0].Text), "hello") {
		t.Errorf("hook: got %+v, want message %s", seen, id)
	}
	mu.Unlock()
	if n := s.Inject(encode(pdu.AlertNotificationID, 0, 99, nil)); n != 2 {
		t.Errorf("inject: got %d sessions, want 2", n)
	}
	for _, c := range []*client{c, other} {
		if f := c.read(); f.id != pdu.AlertNotificationID || f.seq != 99 {
			t.Errorf("injected: got %s seq %d", f.id, f.seq)
		}
	}
	s.Unbind()
	f := c.read()
	c.conn.Write(encode(pdu.UnbindRespID, 0, f.seq, nil))
	if f.id != pdu.UnbindID || !c.gone() {
		t.Errorf("unbind: got %s, want an unbind and the end", f.id)
	}
	eventually(t, "one session is left", func() bool { return s.Drop() <= 1 })
}

func TestRunEndsWithClientsThatDoNotRead(t *testing.T) {
	leavesNoGoroutine(t)
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	bound(t, s, pdu.BindTransceiverID)
	go func() {
		for s.Inject(make([]byte, 1<<14)) > 0 { // until the session is gone
		}
	}()
	eventually(t, "the client is behind", func() (behind bool) {
		s.each(func(c *session) { behind = len(c.out) == outBuffer })
		return behind
	})
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("run did not end")
	}
}

func TestAddrInUse(t *testing.T) {
	s := start(t, Options{})
	if _, err := New(Options{Addr: s.Addr()}); err == nil || !strings.HasPrefix(err.Error(), "smsc: listen") {
		t.Errorf("second server on %s: got %v", s.Addr(), err)
	}
}

// BenchmarkSubmit is one message with its receipt, 100 in flight, from a client that does next to nothing.
func BenchmarkSubmit(b *testing.B) {
	s := start(b, Options{})
	c := bound(b, s, pdu.BindTransceiverID)
	c.conn.SetDeadline(time.Time{})
	body := submitBody("447700900001", 1, "hello")
	window := make(chan struct{}, 100)
	b.ResetTimer()
	go func() {
		for i := range b.N {
			window <- struct{}{}
			c.conn.Write(encode(pdu.SubmitSMID, 0, uint32(i)+10, body))
		}
	}()
	for got := 0; got < b.N; {
		if f := c.read(); f.id == pdu.DeliverSMID {
			c.conn.Write(encode(pdu.DeliverSMRespID, 0, f.seq, []byte{0}))
			got++
			<-window
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
