package probes

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"signalbox/rules/route"
)

// Bounds of a Mailbox.
const (
	earlyKept  = 1024             // receipts that came before anybody waited for them
	earlyAge   = time.Minute      // how long they are kept
	overdueAge = 15 * time.Minute // how long what was waited for in vain is remembered
	waitsMost  = 16_384           // that are waited for or remembered
)

// Mailbox hands what comes back to the probe that waits for it: the receipts of its own messages, and the messages
// themselves as test phones show them. It is the Returns of all probers. Safe for use by several goroutines.
type Mailbox struct {
	now func() time.Time

	mu       sync.Mutex // guards the rest; never held over I/O
	receipts map[letter]*waiting
	tokens   map[string]*waiting // by folded token
	sending  map[route.ID]int    // probes that are submitting: their receipts may overtake the response
	early    []earlyReceipt      // oldest first
	spell    map[route.ID]func(id string) string
	forgot   time.Time // when it last dropped what was waited for long ago
	stats    MailboxStats
}

// letter names a message that a route took.
type letter struct {
	route route.ID
	id    string
}

// waiting is somebody who waits, or who has waited in vain.
type waiting struct {
	came  chan Return // has room for one
	sent  string      // text, of a handset's message
	until time.Time   // when it is forgotten
	got   *Return     // what came; nil for nothing yet
}

// earlyReceipt is one of a message that nobody knew.
type earlyReceipt struct {
	letter
	Return
}

// MailboxStats counts what a Mailbox had to do with.
type MailboxStats struct {
	Receipts   uint64 // of probes' messages
	Handsets   uint64 // messages that came back by a test phone
	Duplicates uint64 // of either
	Strangers  uint64 // messages to test phones without a token that is waited for
	Full       uint64 // probes that could not wait because too many do
}

// NewMailbox returns an empty one.
func NewMailbox() *Mailbox {
	return &Mailbox{now: time.Now, receipts: map[letter]*waiting{}, tokens: map[string]*waiting{}, sending: map[route.ID]int{}}
}

// Stats are the counts since the Mailbox was made.
func (m *Mailbox) Stats() MailboxStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Spellings says how to bring the ids of a route's receipts into the form that its prober waits for them in, by route; those
// of a route that is absent are as they are. The map is kept.
func (m *Mailbox) Spellings(receipt map[route.ID]func(id string) string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spell = receipt
}

// Sending says that a message is being submitted, so that a receipt which overtakes the response is kept for it. The
// function that it returns says that the submit is over.
func (m *Mailbox) Sending(r route.ID) (over func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sending[r]++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.sending[r]--; m.sending[r] == 0 {
			delete(m.sending, r)
		}
	})
}

// Sent says that a route took a message of ours.
func (m *Mailbox) Sent(r route.ID, messageID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ours(letter{r, messageID})
}

// Receipt waits for the first final receipt of a message. It returns ctx.Err() where none came in time.
func (m *Mailbox) Receipt(ctx context.Context, r route.ID, messageID string) (Return, error) {
	m.mu.Lock()
	w := m.ours(letter{r, messageID})
	m.mu.Unlock()
	if w == nil {
		return Return{}, errFull
	}
	return w.wait(ctx)
}

// ours remembers that a message is a probe's; nil where there is no room.
func (m *Mailbox) ours(at letter) *waiting {
	m.forget()
	w := m.receipts[at]
	if w == nil {
		if len(m.receipts) >= waitsMost {
			m.stats.Full++
			return nil
		}
		w = &waiting{came: make(chan Return, 1)}
		m.receipts[at] = w
		m.findEarly(at, w)
	}
	w.until = m.now().Add(overdueAge)
	return w
}

// Expect says what text is sent with a token, before it is sent.
func (m *Mailbox) Expect(token, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	if len(m.tokens) >= waitsMost {
		m.stats.Full++
		return
	}
	m.tokens[fold(token)] = &waiting{came: make(chan Return, 1), sent: text, until: m.now().Add(overdueAge)}
}

// Handset waits for the message whose text holds the token, which Expect must have named.
func (m *Mailbox) Handset(ctx context.Context, token string) (Return, error) {
	m.mu.Lock()
	w := m.tokens[fold(token)]
	m.mu.Unlock()
	if w == nil {
		return Return{}, errFull
	}
	return w.wait(ctx)
}

type mailboxError string

// Error is the text.
func (e mailboxError) Error() string { return string(e) }

const errFull = mailboxError("too many probes wait for what comes back")

func (w *waiting) wait(ctx context.Context) (Return, error) {
	select {
	case r := <-w.came:
		return r, nil
	default:
	}
	select {
	case r := <-w.came:
		return r, nil
	case <-ctx.Done():
		return Return{}, ctx.Err()
	}
}

// give hands over what came, once; it reports false of a duplicate.
func (w *waiting) give(r Return) bool {
	if w.got != nil {
		return false
	}
	w.got = &r
	w.came <- r // has room: nothing was given before
	return true
}

// Own reports whether an observation is of a probe's own message, and of none that senders told of, as known says: a receipt,
// or a webhook's word that it is sent. All others are of the senders' traffic and count there. A receipt is given to the probe
// that waits for it in either case: ids of senders and of carriers may meet, and a webhook may have told of a message as sent
// before anybody knew whose it is. It keeps nothing of the observation.
func (m *Mailbox) Own(o *route.Observation, known func(*route.Observation) bool) bool {
	if o.Kind != route.KindReceipt && o.Kind != route.KindSubmit {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.receipts) == 0 && len(m.sending) == 0 {
		return false
	}
	at := m.spelt(letter{o.Route, o.Message})
	if o.Kind == route.KindReceipt {
		return m.receipt(at, Return{At: m.now(), Status: o.Status, Code: o.Code}) && !known(o)
	}
	return m.receipts[at] != nil && !known(o)
}

// spelt is a letter as probers wait for it.
func (m *Mailbox) spelt(at letter) letter {
	if spell := m.spell[at.route]; spell != nil {
		at.id = spell(at.id)
	}
	return at
}

// Arrived tells of a receipt that came to a probe's own session, and reports whether somebody waits for it.
func (m *Mailbox) Arrived(r route.ID, messageID string, got Return) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.receipt(m.spelt(letter{r, messageID}), got)
}

// receipt gives a receipt to whom it belongs, and reports whether somebody has waited for it; one that says nothing final is
// taken and forgotten.
func (m *Mailbox) receipt(at letter, r Return) bool {
	w := m.receipts[at]
	switch {
	case w == nil:
		if m.sending[at.route] > 0 && r.Status.Final() {
			m.keepEarly(earlyReceipt{at, r})
		}
		return false
	case !r.Status.Final():
	case w.give(r):
		m.stats.Receipts++
	default:
		m.stats.Duplicates++
	}
	return true
}

func (m *Mailbox) keepEarly(e earlyReceipt) {
	for len(m.early) > 0 && (len(m.early) >= earlyKept || m.now().Sub(m.early[0].At) > earlyAge) {
		m.early = m.early[1:]
	}
	e.id = strings.Clone(e.id) // it may be a part of a buffer that is used again
	m.early = append(m.early, e)
}

func (m *Mailbox) findEarly(at letter, w *waiting) {
	for _, e := range m.early {
		if e.letter == at && m.now().Sub(e.At) <= earlyAge && w.give(e.Return) {
			m.stats.Receipts++
		}
	}
}

// Message tells of a message that a test phone got: who it said it was from, and its text, of which nothing is kept. It
// reports whether a probe waits for it.
func (m *Mailbox) Message(from, text string, at time.Time) bool {
	folded := fold(text)
	m.mu.Lock()
	defer m.mu.Unlock()
	for token, w := range m.tokens {
		if !strings.Contains(folded, token) {
			continue
		}
		if w.give(Return{At: at, Sender: Masked(from), Intact: text == w.sent}) {
			m.stats.Handsets++
		} else {
			m.stats.Duplicates++
		}
		return true
	}
	m.stats.Strangers++
	return false
}

// Overdue is what came of a message after its probe had stopped waiting for the receipt; false where nothing has.
func (m *Mailbox) Overdue(r route.ID, messageID string) (Return, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.receipts[letter{r, messageID}]; w != nil && w.got != nil {
		return *w.got, true
	}
	return Return{}, false
}

// forgetEvery is how often a Mailbox looks for what it need not remember.
const forgetEvery = time.Second

// forget drops what was waited for long ago.
func (m *Mailbox) forget() {
	now := m.now()
	if now.Sub(m.forgot) < forgetEvery {
		return
	}
	m.forgot = now
	for at, w := range m.receipts {
		if now.After(w.until) {
			delete(m.receipts, at)
		}
	}
	for token, w := range m.tokens {
		if now.After(w.until) {
			delete(m.tokens, token)
		}
	}
}

// tokenAlphabet has letters and digits that every alphabet of SMS has and that nobody takes for one another.
const tokenAlphabet = "23456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewToken is a word of 12 letters and digits, 58 bits of chance, that marks one message.
func NewToken() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	for i := range b {
		b[i] = tokenAlphabet[int(b[i])%len(tokenAlphabet)]
	}
	return string(b[:])
}

// fold is a text without what carriers and phones change: case, spaces and signs, width of letters.
func fold(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z':
			b.WriteRune(r - 'a' + 'A')
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 0xFF10 && r <= 0xFF5A: // the full-width forms
			b.WriteString(fold(string(r - 0xFEE0)))
		}
	}
	return b.String()
}
