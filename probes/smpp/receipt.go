package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
)

// State is what a receipt says of its message.
type State string

// The states of a message.
const (
	StateUnknown   State = "unknown"
	StateEnroute   State = "enroute"
	StateAccepted  State = "accepted"
	StateDelivered State = "delivered"
	StateFailed    State = "failed"
	StateExpired   State = "expired"
	StateRejected  State = "rejected"
)

// final reports whether the state ends a message's life.
func (s State) final() bool {
	switch s {
	case StateDelivered, StateFailed, StateExpired, StateRejected:
		return true
	}
	return false
}

// ErrNotReceipt says that a delivery is no receipt, or one that names no message.
var ErrNotReceipt = errors.New("not a delivery receipt")

// Receipt is a delivery receipt. It holds nothing of the message's text and neither of its numbers.
type Receipt struct {
	ID       string // message id as the receipt spells it, which may differ from the submit's in base and in case
	State    State
	Final    bool      // no other state is expected to follow
	RawState string    // the state as it came: the word of the text, or the number of the TLV
	Err      string    // the peer's error code as it came, such as "011"; "" where absent, and "000" is none
	RawDate  Dates     // the dates as they came; "" where absent
	Submit   time.Time // the submit date read as if it were UTC; zero where absent or not understood
	Done     time.Time // the done date read likewise: peers do not tell their time zone, so it measures nothing by itself
}

// Dates are the two dates of a receipt, as they came.
type Dates struct{ Submit, Done string }

// Detect says by what a delivery is known as a receipt. Each includes those before it.
type Detect uint8

// The ways to know a receipt.
const (
	DetectESMClass Detect = iota // the message type in esm_class
	DetectTLV                    // or a receipted_message_id, for peers that leave esm_class zero
	DetectText                   // or a text with an id and a state, for peers that send neither
)

// ReceiptParser is how to read the receipts of one peer. The zero value fits most of them.
type ReceiptParser struct {
	Detect Detect
	// AcceptedFinal is for peers whose last word is ACCEPTD.
	AcceptedFinal bool
}

// ParseReceipt reads d as a receipt with the zero ReceiptParser.
func ParseReceipt(d Delivery) (Receipt, error) { return ReceiptParser{}.Parse(d) }

// ParseReceiptText reads the text of a receipt with the zero ReceiptParser.
func ParseReceiptText(text []byte) (Receipt, error) { return ReceiptParser{}.ParseText(text) }

// Parse reads d as a receipt. What its TLVs say wins over its text. An ErrNotReceipt about a receipt without an id still
// carries the rest.
func (p ReceiptParser) Parse(d Delivery) (Receipt, error) {
	r := parseText(d.Body())
	if !p.detects(d, r) {
		return Receipt{}, fmt.Errorf("%w: esm_class 0x%02x", ErrNotReceipt, d.ESMClass)
	}
	r.overrule(d)
	return p.finish(r, d.ESMClass&esmTypeMask == esmIntermediate)
}

// ParseText reads the text of a receipt. An ErrNotReceipt about a receipt without an id still carries the rest.
func (p ReceiptParser) ParseText(text []byte) (Receipt, error) {
	return p.finish(parseText(text), false)
}

func (p ReceiptParser) detects(d Delivery, r Receipt) bool {
	switch d.ESMClass & esmTypeMask {
	case esmReceipt, esmIntermediate:
		return true
	case 0:
		return p.Detect >= DetectTLV && d.ReceiptedID != "" ||
			p.Detect >= DetectText && r.ID != "" && namesState(r.RawState)
	}
	return false // an acknowledgement by the handset or its user
}

func (p ReceiptParser) finish(r Receipt, intermediate bool) (Receipt, error) {
	if r.State == "" {
		r.State = StateUnknown
	}
	r.Final = !intermediate && (r.State.final() || p.AcceptedFinal && r.State == StateAccepted)
	if r.ID == "" {
		return r, fmt.Errorf("%w: no message id", ErrNotReceipt)
	}
	return r, nil
}

// overrule puts what the TLVs of d say in place of the text's words. A state that the protocol does not know, and an
// error code of zero or of a wrong length, say nothing.
func (r *Receipt) overrule(d Delivery) {
	if d.ReceiptedID != "" {
		r.ID = d.ReceiptedID
	}
	if d.HasMessageState && int(d.MessageState) < len(tlvStates) {
		r.State = tlvStates[d.MessageState]
		r.RawState = fmt.Sprint(d.MessageState)
	}
	if len(d.NetworkErrorCode) == 3 {
		if code := binary.BigEndian.Uint16(d.NetworkErrorCode[1:]); code != 0 {
			r.Err = fmt.Sprintf("%03d", code)
		}
	}
}

// tlvStates are the values of message_state (SMPP 3.4, section 5.2.28; 0 and 9 are SMPP 5.0's).
var tlvStates = [...]State{
	0: StateEnroute, // scheduled
	1: StateEnroute,
	2: StateDelivered,
	3: StateExpired,
	4: StateFailed, // deleted
	5: StateFailed, // undeliverable
	6: StateAccepted,
	7: StateUnknown,
	8: StateRejected,
	9: StateFailed, // skipped
}

// textStates are the words after stat:, in upper case, with the misspellings that are about.
var textStates = map[string]State{
	"SCHEDULED": StateEnroute, "SCHEDLD": StateEnroute,
	"ENROUTE": StateEnroute, "BUFFRED": StateEnroute, "BUFFERD": StateEnroute, "BUFFERED": StateEnroute,
	"ACCEPTD": StateAccepted, "ACCEPTED": StateAccepted, "ACKED": StateAccepted,
	"DELIVRD": StateDelivered, "DELIVERD": StateDelivered, "DELIVERED": StateDelivered,
	"EXPIRED": StateExpired,
	"DELETED": StateFailed,
	"UNDELIV": StateFailed, "UNDELIVERED": StateFailed, "FAILED": StateFailed, "SKIPPED": StateFailed,
	"REJECTD": StateRejected, "REJECTED": StateRejected,
	"UNKNOWN": StateUnknown,
}

// Longest values that are taken, in octets. What is longer is no value of a receipt.
const (
	maxID    = 255
	maxValue = 32
)

// maxReceiptText is how much of a text is looked at; the longest receipts met are below 400 octets.
const maxReceiptText = 2048

// parseText finds what there is. State is "" where the text names none.
func parseText(text []byte) Receipt {
	text = narrow(text[:min(len(text), maxReceiptText)])
	v := scanReceipt(text)
	r := Receipt{
		ID:       cleanID(v[keyID]),
		Err:      clean(v[keyErr]),
		RawState: clean(v[keyStat]),
		RawDate:  Dates{Submit: clean(v[keySubmit]), Done: clean(v[keyDone])},
	}
	if r.RawState != "" {
		r.State = textState(r.RawState)
	}
	r.Submit, r.Done = receiptDate(r.RawDate.Submit), receiptDate(r.RawDate.Done)
	return r
}

func textState(word string) State {
	if state, ok := textStates[strings.ToUpper(word)]; ok {
		return state
	}
	return StateUnknown
}

func namesState(word string) bool {
	_, ok := textStates[strings.ToUpper(word)]
	return ok
}

// narrow turns UCS-2 into single octets. It goes by the octets and not by data_coding, because many peers copy the
// data_coding of the message on to a receipt in plain ASCII.
func narrow(text []byte) []byte {
	if len(text) < 6 || text[0] != 0 || text[2] != 0 || text[4] != 0 || text[1] == 0 {
		return text
	}
	return pdutext.UCS2(text[:len(text)&^1]).Decode()
}

// cleanID is a message id without what follows its NUL, and without the blanks around it. Submits and receipts go
// through it alike, so that they still compare. It is "" for one too long to be an id.
func cleanID(value []byte) string {
	if end := bytes.IndexByte(value, 0); end >= 0 {
		value = value[:end]
	}
	value = bytes.TrimSpace(value)
	if len(value) > maxID {
		return ""
	}
	return validText(value)
}

func clean(value []byte) string {
	if len(value) > maxValue {
		return ""
	}
	return validText(value)
}

func validText(value []byte) string {
	if utf8.Valid(value) {
		return string(value)
	}
	return strings.ToValidUTF8(string(value), "\uFFFD")
}

// receiptDates are the layouts met: with minutes, with seconds, and with a four-digit year. Each has its own length.
var receiptDates = [...]string{"0601021504", "060102150405", "20060102150405"}

func receiptDate(raw string) time.Time {
	for _, layout := range receiptDates {
		if len(layout) != len(raw) {
			continue
		}
		if t, err := time.Parse(layout, raw); err == nil {
			return t
		}
	}
	return time.Time{}
}
