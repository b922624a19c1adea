package smpp

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/probes"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

var phone = probes.Number{Digits: "447700900001", Network: "234-15"}

// messagesTo is a prober of messages over a dedicated account, with the link that it uses.
func messagesTo(t testing.TB, addr string, box *probes.Mailbox, change ...func(*LinkOptions, *MessageOptions)) (*Link, *Messages) {
	t.Helper()
	o := MessageOptions{SubmitTimeout: brief, Errand: probes.ErrandOptions{
		Numbers: []probes.Number{phone}, From: "Probe", Text: "Test {token}", Returns: box,
		Spend:          func(time.Time, route.Network) error { return nil },
		ReceiptTimeout: 2 * brief,
	}}
	l := linkTo(t, addr, func(lo *LinkOptions) {
		lo.Session.Bind, lo.DedicatedAccount, lo.Arrivals = Transceiver, true, box
		for _, c := range change {
			c(lo, &o)
		}
	})
	box.Spellings(map[route.ID]func(string) string{"acme": l.o.IDs.Receipt})
	o.Link = l
	m, err := NewMessages(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, m
}

// What becomes of a message is told step by step, and only what is the route's doing is an observation.
func TestMessagesTellWhatBecameOfThem(t *testing.T) {
	slow := func(d time.Duration) func(*rand.Rand) time.Duration {
		return func(*rand.Rand) time.Duration { return d }
	}
	for name, c := range map[string]struct {
		behave func(*smsctest.Behaviour)
		change func(*LinkOptions, *MessageOptions)
		want   string
		pause  bool
	}{
		"delivered":           {want: "submit, receipt"},
		"no receipt asked":    {change: func(_ *LinkOptions, m *MessageOptions) { m.Errand.ReceiptTimeout = 0 }, want: "submit"},
		"swallowed":           {behave: func(b *smsctest.Behaviour) { b.Swallow = true }, want: "submit, receipt! missing"},
		"receipt failed":      {behave: func(b *smsctest.Behaviour) { b.Delivered, b.Failed = 0, 1 }, want: "submit, receipt! 011"},
		"receipt too late":    {behave: func(b *smsctest.Behaviour) { b.Delay = slow(20 * brief) }, want: "submit, receipt! missing"},
		"unanswered":          {behave: func(b *smsctest.Behaviour) { b.IgnoreSubmit = true }, want: "submit! timeout"},
		"refused":             {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusSubmitFail }, want: "submit! 0x00000045"},
		"system error":        {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusSysErr }, want: "submit! 0x00000008"},
		"throttled":           {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusThrottled }, want: "submit? 0x00000058", pause: true},
		"queue full":          {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusQueueFull }, want: "submit? 0x00000014", pause: true},
		"number not taken":    {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusInvDstAddr }, want: "submit? 0x0000000b"},
		"account not taken":   {behave: func(b *smsctest.Behaviour) { b.Accept, b.SubmitStatus = 0, smsctest.StatusInvSystemType }, want: "submit? 0x00000053"},
		"ids of two kinds":    {behave: func(b *smsctest.Behaviour) { b.ReceiptID = strings.ToLower }, want: "submit, receipt"},
		"nobody at the phone": {change: func(_ *LinkOptions, m *MessageOptions) { m.Errand.ReceiptTimeout, m.Errand.HandsetTimeout = 0, brief }, want: "submit, handset! missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := smsctest.Healthy()
			if c.behave != nil {
				c.behave(&b)
			}
			change := c.change
			if change == nil {
				change = func(*LinkOptions, *MessageOptions) {}
			}
			l, m := messagesTo(t, smsc(t, b), probes.NewMailbox(), change)
			look(t, l)
			got := look(t, m)
			if told(got) != c.want || (got.Pause > 0) != c.pause {
				t.Errorf("got %s, pause %s (%+v), want %s", told(got), got.Pause, got.Transcript, c.want)
			}
			for _, o := range got.Observations {
				if o.Network != phone.Network || o.Sent.IsZero() || o.Latency <= 0 {
					t.Errorf("got %+v, want the number's network, when it was sent and how long it took", o)
				}
			}
		})
	}
}

// A peer that hangs up on the message may have taken it: that is the route's failure, and told as what it is.
func TestMessagesTellThatThePeerHungUp(t *testing.T) {
	addr := startPeer(t, func(p *peer) {
		p.bind()
		f := p.read()
		p.write(encodeFrame(f.id|responseBit, StatusOK, f.seq))
		p.read()
	})
	l, m := messagesTo(t, addr, probes.NewMailbox())
	look(t, l)
	if got := told(look(t, m)); got != "submit! closed" {
		t.Errorf("got %s", got)
	}
	if _, err := m.Probe(context.Background()); err == nil {
		t.Error("without a session: want an error, as nothing was looked at")
	}
}

// Receipts come by deliver_sm or data_sm, in the text, in message_payload or in TLVs, as receipts or as plain messages, and
// before the response as well as after it.
func TestMessagesTakeReceiptsHoweverTheyCome(t *testing.T) {
	const text = "id:77 sub:001 dlvrd:001 submit date:2611250001 done date:2611250001 stat:DELIVRD err:000 text:"
	anyText := func(o *LinkOptions) { o.Receipts.Detect = DetectText }
	for name, c := range map[string]struct {
		receipt func(seq uint32) []byte
		change  func(*LinkOptions)
		first   bool
	}{
		"deliver_sm":               {receipt: delivery{esmClass: 4, text: text}.deliverSM},
		"before the response":      {receipt: delivery{esmClass: 4, text: text}.deliverSM, first: true},
		"data_sm with TLVs":        {receipt: delivery{esmClass: 4, tlvs: append(tlv(0x001E, "77\x00"), tlv(0x0427, "\x02")...)}.dataSM},
		"data_sm with a payload":   {receipt: delivery{esmClass: 4, tlvs: tlv(0x0424, text)}.dataSM},
		"message_payload":          {receipt: delivery{esmClass: 4, tlvs: tlv(0x0424, text)}.deliverSM},
		"esm_class 0, by its text": {receipt: delivery{text: text}.deliverSM, change: anyText},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := startPeer(t, func(p *peer) {
				p.bind()
				f := p.read()
				p.write(encodeFrame(f.id|responseBit, StatusOK, f.seq))
				f = p.read()
				if c.first {
					p.write(c.receipt(1), submitResp(f.seq, "77"))
				} else {
					p.write(submitResp(f.seq, "77"), c.receipt(1))
				}
				p.linger()
			})
			l, m := messagesTo(t, addr, probes.NewMailbox(), func(o *LinkOptions, _ *MessageOptions) {
				if c.change != nil {
					c.change(o)
				}
			})
			look(t, l)
			if got := look(t, m); told(got) != "submit, receipt" {
				t.Errorf("got %s (%+v)", told(got), got.Transcript)
			}
		})
	}
}

func TestMessagesTellOfTheReceiptThatCameTooLate(t *testing.T) {
	b := healthy(func(b *smsctest.Behaviour) { b.Delay = func(*rand.Rand) time.Duration { return 3 * brief } })
	server := startSMSC(t, smsctest.Options{Behaviour: &b})
	box := probes.NewMailbox()
	l, m := messagesTo(t, server.Addr(), box)
	look(t, l)
	if got := told(look(t, m)); got != "submit, receipt! missing" {
		t.Fatalf("got %s", got)
	}
	waitFor(t, "the late receipt", func() bool { return box.Stats().Receipts == 1 })
	server.SetBehaviour(smsctest.Healthy())
	if got := told(look(t, m)); got != "late? late, submit, receipt" {
		t.Errorf("got %s", got)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// Receipts that would fit under another spelling of their ids say which one it is.
func TestLinkSuggestsAnotherSpellingOfIDs(t *testing.T) {
	const id = "25EB3B3D" // 636173117
	b := healthy(func(b *smsctest.Behaviour) {
		b.ReceiptID = func(hex string) string { return numbered(hex, 16) }
	})
	server := startSMSC(t, smsctest.Options{Behaviour: &b, IDPrefix: id})
	l, m := messagesTo(t, server.Addr(), probes.NewMailbox())
	look(t, l)
	for range oddLeast {
		if got := told(look(t, m)); got != "submit, receipt! missing" {
			t.Fatalf("got %s", got)
		}
	}
	if got := look(t, l).Transcript.Hint; !strings.Contains(got, "message_id: response_hex") {
		t.Errorf("got hint %q", got)
	}
}

// Handset truth: what the phone shows counts, whatever the receipt says.
func TestHandsetContradictsAForgedReceipt(t *testing.T) {
	for name, arrives := range map[string]bool{"arrives": true, "is lost": false} {
		t.Run(name, func(t *testing.T) {
			box := probes.NewMailbox()
			show := func(s smsctest.Submitted) {
				if arrives {
					box.Message("Probe", strings.ToLower(string(s.Text)), time.Now())
				}
			}
			server := startSMSC(t, smsctest.Options{OnSubmit: show})
			l, m := messagesTo(t, server.Addr(), box, func(_ *LinkOptions, m *MessageOptions) { m.Errand.HandsetTimeout = brief })
			look(t, l)
			want := "submit, receipt, handset! missing"
			if arrives {
				want = "submit, receipt, handset"
			}
			got := look(t, m)
			if told(got) != want {
				t.Errorf("got %s, want %s", told(got), want)
			}
			if last := got.Transcript.Steps[2]; arrives && last.Said != "arrived, from Probe; the text was changed on the way" {
				t.Errorf("got %q", last.Said)
			}
		})
	}
}

// A dedicated account may be the test phone itself: what the SMSC delivers to it as a message is handset truth.
func TestHandsetBySession(t *testing.T) {
	addr := startPeer(t, func(p *peer) {
		p.bind()
		f := p.read()
		p.write(encodeFrame(f.id|responseBit, StatusOK, f.seq))
		f = p.read()
		submitted, err := decodePDU(f)
		if err != nil {
			t.Error(err)
			return
		}
		p.write(submitResp(f.seq, "77"), delivery{text: string(submitted.Fields()["short_message"].Bytes())}.deliverSM(1), delivery{text: "another message"}.deliverSM(2))
		p.linger()
	})
	box := probes.NewMailbox()
	l, m := messagesTo(t, addr, box, func(_ *LinkOptions, m *MessageOptions) {
		m.Errand.ReceiptTimeout, m.Errand.HandsetTimeout = 0, patience
	})
	look(t, l)
	got := look(t, m)
	if told(got) != "submit, handset" || got.Transcript.Steps[1].Said != "arrived, from …001, which is not the sender ID that was asked for" {
		t.Errorf("got %s (%+v)", told(got), got.Transcript)
	}
	waitFor(t, "the other message", func() bool { return box.Stats().Strangers == 1 })
}

func TestMessagesGoToTestNumbersOnlyAndWithinTheBudget(t *testing.T) {
	var mu sync.Mutex
	sent := map[string]int{}
	server := startSMSC(t, smsctest.Options{OnSubmit: func(s smsctest.Submitted) {
		mu.Lock()
		defer mu.Unlock()
		sent[s.Dest.Number]++
	}})
	other := probes.Number{Digits: "447700900002", Network: "GB"}
	left := 5
	l, m := messagesTo(t, server.Addr(), probes.NewMailbox(), func(_ *LinkOptions, o *MessageOptions) {
		o.Errand.Numbers = []probes.Number{phone, other}
		o.Errand.Spend = func(time.Time, route.Network) error {
			if left--; left < 0 {
				return probes.ErrBudget
			}
			return nil
		}
	})
	look(t, l)
	for range 5 {
		look(t, m)
	}
	for range 3 {
		if _, err := m.Probe(within(t, patience)); !errors.Is(err, probes.ErrBudget) {
			t.Errorf("got %v, want %v", err, probes.ErrBudget)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if sent[phone.Digits] != 3 || sent[other.Digits] != 2 || len(sent) != 2 {
		t.Errorf("got messages to %v", sent)
	}
}

// A probe beside a live sender on an SMSC that shares receipts over the binds of an account takes none of them; one that
// received would, which is why it must have an account of its own.
func TestProbeTakesNoReceiptOfALiveSender(t *testing.T) {
	const messages = 40
	for _, bind := range []Bind{Transmitter, Transceiver} {
		t.Run(bind.String(), func(t *testing.T) {
			server := startSMSC(t, smsctest.Options{SystemID: "prober", Password: "secret"})
			sender := dial(t, options(server.Addr()))
			l := linkTo(t, server.Addr(), func(o *LinkOptions) { o.Session.Bind, o.DedicatedAccount = bind, bind != Transmitter })
			look(t, l)
			for range messages {
				submit(t, sender)
				look(t, l)
			}
			waitFor(t, "every receipt", func() bool { return server.Counters().Acked == messages })
			got := len(sender.Deliveries())
			if bind == Transmitter && got != messages {
				t.Errorf("the sender got %d of its %d receipts", got, messages)
			}
			if bind == Transceiver && got > messages*3/4 {
				t.Errorf("the sender got %d of %d receipts, so this server does not share them out, and the test shows nothing", got, messages)
			}
		})
	}
}

func TestMessageOptionsThatCannotWork(t *testing.T) {
	l := linkTo(t, "127.0.0.1:2775")
	good := func() MessageOptions {
		return MessageOptions{Link: l, Errand: probes.ErrandOptions{Numbers: []probes.Number{phone}, Text: "{token}", Returns: probes.NewMailbox(), Spend: func(time.Time, route.Network) error { return nil }}}
	}
	if _, err := NewMessages(good()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*MessageOptions){
		"want Returns and Spend":   func(o *MessageOptions) { o.Errand.Returns = nil },
		"at least one test number": func(o *MessageOptions) { o.Errand.Numbers = nil },
		"numbers[1]: want an international number of 7 to 15 digits": func(o *MessageOptions) {
			o.Errand.Numbers = append(o.Errand.Numbers, probes.Number{Digits: "+447700900002", Network: "GB"})
		},
		"text: want {token} in it once": func(o *MessageOptions) { o.Errand.Text = "hello" },
		"at most 160 octets":            func(o *MessageOptions) { o.Errand.Text = strings.Repeat("a", 150) + "{token}" },
		"at most 140 octets":            func(o *MessageOptions) { o.Errand.Text = strings.Repeat("ж", 60) + "{token}" },
	} {
		o := good()
		change(&o)
		if _, err := NewMessages(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "447700900002") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
