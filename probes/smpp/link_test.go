package smpp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"signalbox/probes"
	"signalbox/probes/smsctest"
)

// brief is the bound of each phase where a peer never answers.
const brief = 200 * time.Millisecond

func linkTo(t testing.TB, addr string, change ...func(*LinkOptions)) *Link {
	t.Helper()
	o := LinkOptions{Route: "acme", Session: options(addr), EnquireTimeout: brief}
	o.Session.Bind, o.Session.PhaseTimeout = Transmitter, brief
	for _, c := range change {
		c(&o)
	}
	l, err := NewLink(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), brief)
		defer cancel()
		_ = l.Close(ctx) // some peers do not answer the unbind
	})
	return l
}

func look(t testing.TB, p probes.Prober) probes.Look {
	t.Helper()
	got, err := p.Probe(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told is a look in short: its steps, with ! where one failed and ? where it says nothing of the route; and the observations.
func told(l probes.Look) string {
	observed := map[string]bool{}
	for _, o := range l.Observations {
		observed[o.Probe] = true
	}
	var words []string
	for _, s := range l.Transcript.Steps {
		switch {
		case s.OK:
			words = append(words, s.Name)
		case observed[s.Name]:
			words = append(words, s.Name+"! "+s.Code)
		default:
			words = append(words, s.Name+"? "+s.Code)
		}
	}
	return strings.Join(words, ", ")
}

// blackHole is an address on which TCP connections are neither accepted nor refused: its queue of one is full.
func blackHole(t *testing.T) (addr string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 4 { // until one is not taken any more
		c, err := net.DialTimeout("tcp", addr, brief/2)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// smsc is the address of a server that behaves so.
func smsc(t *testing.T, b smsctest.Behaviour) string {
	t.Helper()
	return startSMSC(t, smsctest.Options{Behaviour: &b}).Addr()
}

func healthy(change func(*smsctest.Behaviour)) smsctest.Behaviour {
	b := smsctest.Healthy()
	change(&b)
	return b
}

// Every way in which the ladder can break has its own step and code, and what is not the route's fault is no observation.
func TestLadderTellsWhereItBroke(t *testing.T) {
	overTLS := func(o *LinkOptions) { o.Session.TLS = &tls.Config{InsecureSkipVerify: true} }
	strict := func(o *LinkOptions) { o.Session.TLS = &tls.Config{} }
	for name, c := range map[string]struct {
		addr   func(t *testing.T) string
		change func(*LinkOptions)
		want   string
		pause  bool
		stop   string
	}{
		"healthy":               {addr: func(t *testing.T) string { return smsc(t, smsctest.Healthy()) }, want: "tcp, bind, enquire"},
		"nobody listens":        {addr: nobody, want: "tcp! refused"},
		"TCP is black-holed":    {addr: blackHole, want: "tcp! timeout"},
		"the name is not known": {addr: func(*testing.T) string { return "smsc.invalid:2775" }, want: "tcp! dns"},
		"TLS stalls": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) { _, _ = io.Copy(io.Discard, p.conn) })
		}, change: overTLS, want: "tcp, tls! timeout"},
		"TLS meets plain SMPP": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) { p.write([]byte("\x00\x00\x00\x10 no TLS here")); p.linger() })
		}, change: overTLS, want: "tcp, tls! tls"},
		"a foreign certificate": {addr: func(t *testing.T) string { return startSMSC(t, smsctest.Options{TLS: serverTLS(t)}).Addr() }, change: strict, want: "tcp, tls! certificate"},
		"healthy over TLS":      {addr: func(t *testing.T) string { return startSMSC(t, smsctest.Options{TLS: serverTLS(t)}).Addr() }, change: overTLS, want: "tcp, tls, bind, enquire"},
		"the bind is unanswered": {addr: func(t *testing.T) string {
			return smsc(t, healthy(func(b *smsctest.Behaviour) { b.IgnoreBind = true }))
		}, want: "tcp, bind! timeout"},
		"the bind fails":      {addr: refusing(smsctest.StatusBindFail), want: "tcp, bind! 0x0000000d"},
		"a system error":      {addr: refusing(smsctest.StatusSysErr), want: "tcp, bind! 0x00000008"},
		"bound already":       {addr: refusing(smsctest.StatusAlreadyBound), want: "tcp, bind? 0x00000005", pause: true},
		"throttled":           {addr: refusing(smsctest.StatusThrottled), want: "tcp, bind? 0x00000058", pause: true},
		"a wrong password":    {addr: refusing(smsctest.StatusInvPassword), want: "tcp, bind? 0x0000000e", stop: "ESME_RINVPASWD"},
		"a wrong system id":   {addr: refusing(smsctest.StatusInvSystemID), want: "tcp, bind? 0x0000000f", stop: "ESME_RINVSYSID"},
		"a wrong system type": {addr: refusing(smsctest.StatusInvSystemType), want: "tcp, bind? 0x00000053", stop: "ESME_RINVSYSTYP"},
		"enquire is unanswered": {addr: func(t *testing.T) string {
			return smsc(t, healthy(func(b *smsctest.Behaviour) { b.IgnoreEnquire = true }))
		}, want: "tcp, bind, enquire! timeout"},
		"hung up on the bind": {addr: func(t *testing.T) string { return startPeer(t, func(p *peer) { p.read() }) }, want: "tcp, bind! closed"},
		"hung up on enquire":  {addr: func(t *testing.T) string { return startPeer(t, func(p *peer) { p.bind(); p.read() }) }, want: "tcp, bind, enquire! closed"},
		"unbinds on enquire": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) { p.bind(); p.read(); p.write(encodeFrame(pdu.UnbindID, StatusOK, 1)); p.linger() })
		}, want: "tcp, bind, enquire! unbound"},
		"garbage for an answer": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) { p.bind(); p.read(); p.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); p.linger() })
		}, want: "tcp, bind, enquire! garbage"},
		"enquire is not understood": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) {
				p.bind()
				f := p.read()
				p.write(encodeFrame(pdu.GenericNACKID, StatusInvCmdID, f.seq))
				p.linger()
			})
		}, want: "tcp, bind, enquire! nack"},
		"unknown PDUs beside it": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) {
				p.bind()
				p.write(encodeFrame(0x0112, StatusOK, 1), encodeFrame(pdu.AlertNotificationID, StatusOK, 2))
				p.linger()
			})
		}, want: "tcp, bind, enquire"},
		"a peer that stops reading": {addr: func(t *testing.T) string {
			return startPeer(t, func(p *peer) { p.bind(); time.Sleep(3 * brief) })
		}, want: "tcp, bind, enquire! timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := c.change
			if change == nil {
				change = func(*LinkOptions) {}
			}
			got := look(t, linkTo(t, c.addr(t), change))
			if told(got) != c.want {
				t.Errorf("got %s (%+v), want %s", told(got), got.Transcript.Steps, c.want)
			}
			if (got.Pause > 0) != c.pause || !strings.Contains(got.Stop, c.stop) || (got.Stop == "") != (c.stop == "") {
				t.Errorf("got pause %v and stop %q", got.Pause, got.Stop)
			}
			for _, s := range got.Transcript.Steps {
				if s.Took.D() > patience {
					t.Errorf("%s took %s", s.Name, s.Took)
				}
			}
		})
	}
}

func refusing(status pdu.Status) func(t *testing.T) string {
	return func(t *testing.T) string {
		return smsc(t, healthy(func(b *smsctest.Behaviour) { b.BindStatus = status }))
	}
}

func TestLinkBindsOnceAndKeepsTheSession(t *testing.T) {
	leavesNoGoroutine(t)
	server := startSMSC(t, smsctest.Options{})
	l := linkTo(t, server.Addr())
	for i := range 5 {
		want := "bind, enquire"
		if i == 0 {
			want = "tcp, bind, enquire"
		}
		if got := told(look(t, l)); got != want {
			t.Errorf("look %d: got %s, want %s", i, got, want)
		}
	}
	if c := server.Counters(); c.Connections != 1 || c.Binds != 1 {
		t.Errorf("got %+v, want one connection and one bind", c)
	}
}

// A carrier that restarts is bound to anew at the next look: what ended the session before is told, and no failure.
func TestLinkBindsAnewAfterTheSessionEnded(t *testing.T) {
	for name, end := range map[string]func(*smsctest.Server) int{"unbound": (*smsctest.Server).Unbind, "closed": (*smsctest.Server).Drop} {
		t.Run(name, func(t *testing.T) {
			leavesNoGoroutine(t)
			server := startSMSC(t, smsctest.Options{})
			l := linkTo(t, server.Addr())
			look(t, l)
			if end(server) != 1 {
				t.Fatal("there is no session to end")
			}
			awaitEnd(t, l.bound())
			if got, want := told(look(t, l)), "session? "+name+", tcp, bind, enquire"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestLinkWaitsLongerEachTimeItIsBoundAlready(t *testing.T) {
	server := startSMSC(t, smsctest.Options{Behaviour: ptr(healthy(func(b *smsctest.Behaviour) { b.BindStatus = smsctest.StatusAlreadyBound }))})
	l := linkTo(t, server.Addr())
	for _, want := range []time.Duration{boundPause, 2 * boundPause, 4 * boundPause} {
		if got := look(t, l).Pause; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for range 20 {
		if got := look(t, l).Pause; got > boundPauseMax {
			t.Fatalf("got %s, want at most %s", got, boundPauseMax)
		}
	}
	server.SetBehaviour(smsctest.Healthy())
	look(t, l)
	server.SetBehaviour(healthy(func(b *smsctest.Behaviour) { b.BindStatus = smsctest.StatusAlreadyBound }))
	server.Drop()
	awaitEnd(t, l.bound())
	if got := look(t, l).Pause; got != boundPause {
		t.Errorf("after a bind in between: got %s, want %s", got, boundPause)
	}
}

func ptr[T any](v T) *T { return &v }

func TestLinkThatMayReceiveNeedsAnAccountOfItsOwn(t *testing.T) {
	for _, bind := range []Bind{Receiver, Transceiver} {
		o := LinkOptions{Route: "acme", Session: options("127.0.0.1:2775")}
		o.Session.Bind = bind
		if _, err := NewLink(o); err == nil || !strings.Contains(err.Error(), "dedicated_account: true") {
			t.Errorf("%s: got %v", bind, err)
		}
		o.DedicatedAccount = true
		if _, err := NewLink(o); err != nil {
			t.Errorf("%s, of its own: %v", bind, err)
		}
	}
}

func TestLinkLooksNoFurtherWhenItIsCanceled(t *testing.T) {
	leavesNoGoroutine(t)
	l := linkTo(t, smsc(t, healthy(func(b *smsctest.Behaviour) { b.IgnoreEnquire = true })), func(o *LinkOptions) { o.EnquireTimeout = patience })
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		time.Sleep(brief / 2)
		cancel()
	}()
	got, err := l.Probe(ctx)
	if err != context.Canceled || strings.Contains(told(got), "enquire") {
		t.Errorf("got %s, %v", told(got), err)
	}
}

// A look whose own time is up has seen something: that the peer did not answer is the route's failure, and no reason to say
// that nothing could be looked at.
func TestLinkThatRunsOutOfTimeHasSeenSomething(t *testing.T) {
	l := linkTo(t, smsc(t, healthy(func(b *smsctest.Behaviour) { b.IgnoreEnquire = true })), func(o *LinkOptions) { o.EnquireTimeout = patience })
	got, err := l.Probe(within(t, brief))
	if err != nil || told(got) != "tcp, bind, enquire! timeout" {
		t.Errorf("got %s, %v", told(got), err)
	}
}

// descriptors are the open files of the process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// cycles is how often links are made, looked at and closed: SIGNALBOX_CYCLES, or 300.
func cycles() int {
	n := 300
	_, _ = fmt.Sscan(os.Getenv("SIGNALBOX_CYCLES"), &n) // it stays 300
	return n
}

// Whatever becomes of a look, nothing of it stays: no goroutine, no descriptor.
func TestCyclesLeaveNothing(t *testing.T) {
	leavesNoGoroutine(t)
	server := startSMSC(t, smsctest.Options{})
	dead := nobody(t)
	before := descriptors(t)
	for i := range cycles() {
		b, addr := smsctest.Healthy(), server.Addr()
		switch i % 6 {
		case 1:
			b.BindStatus = smsctest.StatusBindFail
		case 2:
			b.BindStatus = smsctest.StatusInvPassword
		case 3:
			addr = dead
		case 4:
			b.IgnoreEnquire = true
		}
		server.SetBehaviour(b)
		o := LinkOptions{Route: "acme", Session: options(addr), EnquireTimeout: 5 * time.Millisecond}
		o.Session.Bind = Transmitter
		l, err := NewLink(o)
		if err != nil {
			t.Fatal(err)
		}
		look(t, l)
		if i%6 == 5 {
			server.Drop()
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_ = l.Close(ctx) // of a session that was dropped it is an error
		cancel()
	}
	deadline := time.Now().Add(patience)
	for descriptors(t) > before+2 { // the server's ends go a moment later
		if time.Now().After(deadline) {
			t.Fatalf("got %d descriptors after %d cycles, want %d", descriptors(t), cycles(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

// serverTLS is what a server needs that nobody has reason to trust.
func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	certificate, _ := selfSigned(t, "smsc.example", net.IPv4(127, 0, 0, 1))
	return &tls.Config{Certificates: []tls.Certificate{certificate}}
}

// A machine that has no descriptors left could not look: that is not the route's doing.
func TestALookWithoutDescriptorsSaysNothingOfTheRoute(t *testing.T) {
	l := linkTo(t, "127.0.0.1:1") // no server of this process: it would want descriptors too
	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Skip(err)
	}
	none := had
	none.Cur = 3 // standard input, output and error; those that are open stay so
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skip(err)
	}
	got, err := l.Probe(within(t, brief))
	if back := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had); back != nil {
		t.Fatal(back)
	}
	if err == nil || len(got.Observations) > 0 {
		t.Errorf("got %s, %v, want an error and nothing observed", told(got), err)
	}
	if got := look(t, l); told(got) != "tcp! refused" {
		t.Errorf("with descriptors: got %s, want that nobody listens there", told(got))
	}
}
