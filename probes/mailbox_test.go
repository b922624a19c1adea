package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"signalbox/rules/route"
)

// takeAll gives a Mailbox what came, and returns what is not its own. Senders told of the messages known.
func takeAll(m *Mailbox, all []route.Observation, known ...string) []route.Observation {
	told := func(o *route.Observation) bool { return slices.Contains(known, o.Message) }
	return slices.DeleteFunc(all, func(o route.Observation) bool { return m.Own(&o, told) })
}

func receiptOf(id string, s route.Status) route.Observation {
	return route.Observation{Kind: route.KindReceipt, Route: "acme", Message: id, Status: s, Time: time.Now()}
}

// The receipts of probes' own messages are theirs; all other observations go on.
func TestMailboxTakesTheReceiptsOfProbesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMailbox()
		got := make(chan Return, 1)
		go func() {
			r, err := m.Receipt(t.Context(), "acme", "p-1")
			if err != nil {
				t.Error(err)
			}
			got <- r
		}()
		synctest.Wait()
		other := receiptOf("p-1", route.StatusDelivered)
		other.Route = "bolt"
		rest := takeAll(m, []route.Observation{
			receiptOf("m-1", route.StatusDelivered),
			receiptOf("p-1", route.StatusEnroute), // not final
			other,
			{Kind: route.KindSubmit, Route: "acme", Message: "p-1"},
			receiptOf("p-1", route.StatusFailed),
			receiptOf("p-1", route.StatusDelivered), // too late to change anything
		})
		if r := <-got; r.Status != route.StatusFailed {
			t.Errorf("got %v, want the first final one", r)
		}
		var left []string
		for _, o := range rest {
			left = append(left, fmt.Sprintf("%s %s %d", o.Route, o.Message, o.Kind))
		}
		if want := "acme m-1 2, bolt p-1 2"; strings.Join(left, ", ") != want {
			t.Errorf("left over: got %s, want %s", strings.Join(left, ", "), want)
		}
		if s := m.Stats(); s.Receipts != 1 || s.Duplicates != 1 {
			t.Errorf("got %+v", s)
		}
	})
}

// A receipt may overtake the response that names its message, while the submit goes on and for a minute.
func TestMailboxFindsReceiptsThatCameEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMailbox()
		takeAll(m, []route.Observation{receiptOf("p-0", route.StatusDelivered)}) // nobody submits
		over := m.Sending("acme")
		if rest := takeAll(m, []route.Observation{receiptOf("p-1", route.StatusDelivered)}); len(rest) != 1 {
			t.Error("what may be anybody's must go on too")
		}
		takeAll(m, []route.Observation{receiptOf("p-2", route.StatusDelivered)})
		over()
		over() // twice does no harm
		if r, err := m.Receipt(t.Context(), "acme", "p-1"); err != nil || r.Status != route.StatusDelivered {
			t.Errorf("got %v, %v", r, err)
		}
		time.Sleep(2 * earlyAge)
		for _, id := range []string{"p-0", "p-2"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if r, err := m.Receipt(ctx, "acme", id); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, %v", id, r, err)
			}
			cancel()
		}
	})
}

func TestMailboxRemembersWhatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMailbox()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := m.Receipt(ctx, "acme", "p-1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if _, came := m.Overdue("acme", "p-1"); came {
			t.Error("nothing has come yet")
		}
		if rest := takeAll(m, []route.Observation{receiptOf("p-1", route.StatusDelivered)}); len(rest) != 0 {
			t.Error("it is the probe's still")
		}
		if r, came := m.Overdue("acme", "p-1"); !came || r.Status != route.StatusDelivered {
			t.Errorf("got %v, %v", r, came)
		}
		time.Sleep(2 * overdueAge)
		m.Expect("X", "X") // makes it forget
		if _, came := m.Overdue("acme", "p-1"); came {
			t.Error("it should be forgotten")
		}
	})
}

func TestMailboxKnowsATokenHoweverThePhoneShowsIt(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		intact bool
		found  bool
	}{
		"as it was sent":         {"Test K7Q2M9XW4RTP", true, true},
		"in lower case":          {"test k7q2m9xw4rtp", false, true},
		"with an opt-out":        {"Test K7Q2M9XW4RTP. Reply STOP to opt out", false, true},
		"split over lines":       {"Test K7Q2M9\r\nXW4RTP", false, true},
		"with spaces and dashes": {"Test K7Q2-M9XW 4RTP", false, true},
		"in full width":          {"Ｔｅｓｔ Ｋ７Ｑ２Ｍ９ＸＷ４ＲＴＰ", false, true},
		"cut off":                {"Test K7Q2M9XW4RT", false, false},
		"another message":        {"Your code is 123456", false, false},
		"nothing":                {"", false, false},
	} {
		m := NewMailbox()
		m.Expect("K7Q2M9XW4RTP", "Test K7Q2M9XW4RTP")
		if got := m.Message("+447700900123", c.text, noon); got != c.found {
			t.Errorf("%s: found %v, want %v", name, got, c.found)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r, err := m.Handset(ctx, "K7Q2M9XW4RTP")
		if (err == nil) != c.found || r.Intact != c.intact || c.found && (r.Sender != "…123" || !r.At.Equal(noon)) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
		if s := m.Stats(); (s.Strangers == 1) == c.found {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

// Whoever floods it takes bounded memory and is told.
func TestMailboxIsBounded(t *testing.T) {
	m := NewMailbox()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range waitsMost + 5 {
		m.Expect(fmt.Sprintf("T%d", i), "")
		if _, err := m.Receipt(gone, "acme", fmt.Sprint(i)); i >= waitsMost && !errors.Is(err, errFull) {
			t.Errorf("%d: got %v", i, err)
		}
	}
	over := m.Sending("acme")
	defer over()
	for i := range 2 * earlyKept {
		takeAll(m, []route.Observation{receiptOf(fmt.Sprint("e", i), route.StatusDelivered)})
	}
	if len(m.receipts) > waitsMost || len(m.tokens) > waitsMost || len(m.early) > earlyKept || m.Stats().Full != 10 {
		t.Errorf("got %d receipts, %d tokens, %d early ones; %+v", len(m.receipts), len(m.tokens), len(m.early), m.Stats())
	}
}

func TestTokensDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token := NewToken()
		if len(token) != 12 || seen[token] || fold(token) != token {
			t.Fatalf("got %q", token)
		}
		seen[token] = true
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"Test K7Q2M9XW4RTP", "Ｋ７Ｑ２Ｍ９ＸＷ４ＲＴＰ", "\xff\xfe", strings.Repeat("K", 5000)} {
		f.Add("ACME", s)
	}
	f.Fuzz(func(t *testing.T, from, text string) {
		m := NewMailbox()
		m.Expect("K7Q2M9XW4RTP", "Test K7Q2M9XW4RTP")
		found := m.Message(from, text, noon)
		if again := m.Message(from, text, noon); again != found {
			t.Errorf("%q: found %v, then %v", text, found, again)
		}
		if strings.Contains(text, "K7Q2M9XW4RTP") && !found {
			t.Errorf("%q: not found", text)
		}
	})
}

// A message is a probe's from the moment that its route took it, whether or not its receipt is waited for then, or ever.
func TestMailboxKnowsMessagesFromWhenTheyAreSent(t *testing.T) {
	m := NewMailbox()
	over := m.Sending("acme")
	m.Sent("acme", "p-1")
	over()
	if rest := takeAll(m, []route.Observation{receiptOf("p-1", route.StatusDelivered), receiptOf("m-1", route.StatusDelivered)}); len(rest) != 1 || rest[0].Message != "m-1" {
		t.Errorf("left over: got %+v, want that of the sender", rest)
	}
	if r, err := m.Receipt(t.Context(), "acme", "p-1"); err != nil || r.Status != route.StatusDelivered {
		t.Errorf("between the submit and the waiting: got %v, %v", r, err)
	}
}

// Webhooks may count a message as submitted by the provider's word that it is sent. A probe's message is none of the
// senders': neither its submit nor its receipt counts, or both do where the word came before anybody knew whose it is.
func TestMailboxLeavesNoSubmitWithoutItsReceipt(t *testing.T) {
	submit := func(id string) route.Observation {
		return route.Observation{Kind: route.KindSubmit, Route: "acme", Message: id, Result: route.Accepted}
	}
	m := NewMailbox()
	over := m.Sending("acme")
	if rest := takeAll(m, []route.Observation{submit("p-1"), submit("m-1")}); len(rest) != 2 {
		t.Errorf("before it is known whose they are: got %+v, want both", rest)
	}
	m.Sent("acme", "p-1")
	m.Sent("acme", "p-2")
	over()
	rest := takeAll(m, []route.Observation{submit("p-2"), submit("p-1"), submit("m-2"), receiptOf("p-1", route.StatusDelivered), receiptOf("p-2", route.StatusDelivered)}, "p-1", "m-1", "m-2")
	var left []string
	for _, o := range rest {
		left = append(left, fmt.Sprintf("%s %d", o.Message, o.Kind))
	}
	if want := "p-1 1, m-2 1, p-1 2"; strings.Join(left, ", ") != want {
		t.Errorf("left over: got %s, want %s", strings.Join(left, ", "), want)
	}
	for _, id := range []string{"p-1", "p-2"} {
		if r, err := m.Receipt(t.Context(), "acme", id); err != nil || r.Status != route.StatusDelivered {
			t.Errorf("%s: got %v, %v", id, r, err)
		}
	}
}

// What is kept of an observation outlives the buffer that its id stands in.
func TestMailboxKeepsNoBuffers(t *testing.T) {
	m := NewMailbox()
	over := m.Sending("acme")
	buffer := []byte("P-1")
	o := receiptOf("", route.StatusDelivered)
	o.Message = unsafe.String(&buffer[0], len(buffer))
	m.Own(&o, func(*route.Observation) bool { return false })
	copy(buffer, "X-9")
	m.Sent("acme", "P-1")
	over()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := m.Receipt(gone, "acme", "P-1"); err != nil || r.Status != route.StatusDelivered {
		t.Errorf("got %v, %v, want the receipt that came early", r, err)
	}
}

// Senders' ids and carriers' may meet. The sender never loses a receipt by it.
func TestMailboxTakesNothingFromSenders(t *testing.T) {
	m := NewMailbox()
	m.Sent("acme", "77")
	if rest := takeAll(m, []route.Observation{receiptOf("77", route.StatusDelivered)}, "77"); len(rest) != 1 {
		t.Error("the receipt of a sender's message 77 was taken for the probe's")
	}
	if r, err := m.Receipt(t.Context(), "acme", "77"); err != nil || r.Status != route.StatusDelivered {
		t.Errorf("the probe: got %v, %v", r, err)
	}
}
