//go:build integration

package smpp

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"signalbox/probes"
)

// soon bounds a phase that a peer of another process does not answer, and is enough for one that it does.
const soon = time.Second

// behind puts TLS in front of a peer that has none, as a terminator does.
func behind(t *testing.T, addr string) (front string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS(t))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relay(near, addr) })
		}
	})
	return l.Addr().String()
}

// relay passes on what either side says, until one of them hangs up.
func relay(near net.Conn, addr string) {
	defer near.Close()
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() { _, _ = io.Copy(way[0], way[1]); done <- struct{}{} }() // ends when either is closed
	}
	<-done
	near.Close()
	far.Close()
	<-done
}

// Every way in which an SMSC of other people's making can break has the step and the code that it has with ours, plain and
// over TLS.
func TestLadderTellsWhereOtherPeoplesSMSCsBroke(t *testing.T) {
	t.Parallel()
	plain := func(*LinkOptions) {}
	overTLS := func(o *LinkOptions) { o.Session.TLS = &tls.Config{InsecureSkipVerify: true} }
	nodeTLS := func(t *testing.T) string { addr, _ := startNodeOverTLS(t); return addr }
	for name, peer := range map[string]struct {
		start  func(*testing.T) string
		change func(*LinkOptions)
		cannot []string // what its library cannot be made to do
	}{
		"npm smpp":             {start: startNode, change: plain},
		"npm smpp over TLS":    {start: nodeTLS, change: overTLS},
		"Net::SMPP":            {start: startPerl, change: plain, cannot: []string{"unknown-pdus", "garbage", "stops-reading"}},
		"Net::SMPP behind TLS": {start: func(t *testing.T) string { return behind(t, startPerl(t)) }, change: overTLS, cannot: []string{"unknown-pdus", "garbage", "stops-reading"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, first := peer.start(t), "tcp, "
			o := LinkOptions{}
			if peer.change(&o); o.Session.TLS != nil {
				first = "tcp, tls, "
			}
			for way, want := range ladders {
				if !slices.Contains(peer.cannot, way) {
					t.Run(way, func(t *testing.T) { breaks(t, addr, way, first+want, peer.change) })
				}
			}
			for way, want := range outcomes {
				t.Run(way, func(t *testing.T) { becomes(t, addr, way, want, peer.change) })
			}
		})
	}
}

// ladders are what a link tells, after TCP and TLS, of a peer that behaves so.
var ladders = map[string]string{
	"":              "bind, enquire",
	"bind-13":       "bind! 0x0000000d",
	"bind-14":       "bind? 0x0000000e",
	"bind-5":        "bind? 0x00000005",
	"bind-mute":     "bind! timeout",
	"enquire-mute":  "bind, enquire! timeout",
	"unknown-pdus":  "bind, enquire",
	"garbage":       "bind, enquire! garbage",
	"stops-reading": "bind, enquire! timeout",
	"restarts":      "bind, enquire! closed",
}

// outcomes are what becomes of a message.
var outcomes = map[string]string{
	"":             "submit, receipt",
	"submit-69":    "submit! 0x00000045",
	"submit-88":    "submit? 0x00000058",
	"submit-mute":  "submit! timeout",
	"receipt-none": "submit, receipt! missing",
	"receipt-fail": "submit, receipt! 011",
	"receipt-late": "submit, receipt! missing",
	"receipt-data": "submit, receipt",
}

// behaving asks the peer to behave in a way.
func behaving(o *LinkOptions, way string, change func(*LinkOptions)) {
	if way != "" {
		o.Session.SystemID = way + "@" + o.Session.SystemID
	}
	o.Session.PhaseTimeout, o.EnquireTimeout = soon, soon
	change(o)
}

// breaks looks at a peer twice: the second time the one that restarts is there again.
func breaks(t *testing.T, addr, way, want string, change func(*LinkOptions)) {
	l := linkTo(t, addr, func(o *LinkOptions) { behaving(o, way, change) })
	got := look(t, l)
	if told(got) != want {
		t.Errorf("got %s (%+v), want %s", told(got), got.Transcript.Steps, want)
	}
	for _, s := range got.Transcript.Steps {
		if s.Took.D() > patience {
			t.Errorf("%s took %s", s.Name, s.Took)
		}
	}
	if way == "restarts" {
		if again := told(look(t, l)); again != want {
			t.Errorf("once it is there again: got %s, want %s", again, want)
		}
	}
}

// becomes sends a message.
func becomes(t *testing.T, addr, way, want string, change func(*LinkOptions)) {
	l, m := messagesTo(t, addr, probes.NewMailbox(), func(lo *LinkOptions, o *MessageOptions) {
		behaving(lo, way, change)
		o.SubmitTimeout, o.Errand.ReceiptTimeout = soon, soon
	})
	look(t, l)
	if got := look(t, m); told(got) != want {
		t.Errorf("got %s (%+v), want %s", told(got), got.Transcript, want)
	}
}
