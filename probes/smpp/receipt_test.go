package smpp

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// receiptTexts are texts of receipts as SMSCs and gateways send them, and what they say; they also seed the fuzzing.
var receiptTexts = []struct {
	name string
	text string
	want Receipt // Submit and Done are tested apart
}{
	{
		"by the book",
		"id:0123456789 sub:001 dlvrd:001 submit date:2611230925 done date:2611230926 stat:DELIVRD err:000 text:hello world",
		Receipt{ID: "0123456789", State: StateDelivered, Final: true, RawState: "DELIVRD", Err: "000", RawDate: Dates{"2611230925", "2611230926"}},
	},
	{
		"dates with seconds, capital Text, nothing delivered",
		"id:c449ab9744f47b6af1879e49e75e4f40 sub:000 dlvrd:000 submit date:261123092501 done date:261123092659 stat:UNDELIV err:0032 Text:none",
		Receipt{ID: "c449ab9744f47b6af1879e49e75e4f40", State: StateFailed, Final: true, RawState: "UNDELIV", Err: "0032", RawDate: Dates{"261123092501", "261123092659"}},
	},
	{
		"UUID, no sub, no dlvrd",
		"id:7534f895-5c3c-4f3b-9d0e-0d7ad4c6a1b1 submit date:2611230925 done date:2611230926 stat:EXPIRED err:27A text:",
		Receipt{ID: "7534f895-5c3c-4f3b-9d0e-0d7ad4c6a1b1", State: StateExpired, Final: true, RawState: "EXPIRED", Err: "27A", RawDate: Dates{"2611230925", "2611230926"}},
	},
	{
		"another order, another case",
		"STAT:delivrd ERR:000 Done Date:2611230926 ID:9380935605053030457 DLVRD:001",
		Receipt{ID: "9380935605053030457", State: StateDelivered, Final: true, RawState: "delivrd", Err: "000", RawDate: Dates{Done: "2611230926"}},
	},
	{
		"state and id only",
		"id:A1F stat:ENROUTE",
		Receipt{ID: "A1F", State: StateEnroute, RawState: "ENROUTE"},
	},
	{
		"state without its key",
		"id:42 DELIVRD err:000",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD", Err: "000"},
	},
	{
		"trailing NULs and line ends",
		"id:42 stat:REJECTD err:008 text:\x00\x00\r\n",
		Receipt{ID: "42", State: StateRejected, Final: true, RawState: "REJECTD", Err: "008"},
	},
	{
		"NUL after the last value",
		"id:42 stat:DELIVRD err:000\x00",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD", Err: "000"},
	},
	{
		"values left empty",
		"id:42 sub: dlvrd: submit date: done date: stat: err: text:",
		Receipt{ID: "42", State: StateUnknown},
	},
	{
		"blanks around the colons, commas between",
		"id : 42, sub: 001, submit_date: 2611230925, done_date: 2611230926, status: ACCEPTD, error: 0",
		Receipt{ID: "42", State: StateAccepted, RawState: "ACCEPTD", Err: "0", RawDate: Dates{"2611230925", "2611230926"}},
	},
	{
		"a state nobody knows",
		"id:42 stat:WHATEVR err:999",
		Receipt{ID: "42", State: StateUnknown, RawState: "WHATEVR", Err: "999"},
	},
	{
		"buffered, as one word for it has it",
		"id:42 stat:BUFFRED err:000",
		Receipt{ID: "42", State: StateEnroute, RawState: "BUFFRED", Err: "000"},
	},
	{
		"unknown is no verdict",
		"id:42 stat:UNKNOWN err:255",
		Receipt{ID: "42", State: StateUnknown, RawState: "UNKNOWN", Err: "255"},
	},
	{
		"the message speaks receipt",
		"id:42 stat:UNDELIV err:011 text:id:7 stat:DELIVRD",
		Receipt{ID: "42", State: StateFailed, Final: true, RawState: "UNDELIV", Err: "011"},
	},
	{
		"the message speaks of what the receipt leaves out",
		"id:42 stat:DELIVRD text:err: secret done date:2611230926",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD"},
	},
	{
		"the message comes first",
		"text:stat:DELIVRD id:7 id:42 stat:UNDELIV err:011",
		Receipt{ID: "42", State: StateFailed, Final: true, RawState: "UNDELIV", Err: "011"},
	},
	{
		"a word that only begins like a key",
		"idle:7 substat:x id:42 stat:DELIVRD",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD"},
	},
	{
		"invalid UTF-8 in the message, and a letter that grows in lower case",
		"id:42 stat:DELIVRD err:000 text:\xff\xfeȺȾ\xc3",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD", Err: "000"},
	},
	{
		"invalid UTF-8 in the id",
		"id:4\xff2 stat:DELIVRD",
		Receipt{ID: "4\uFFFD2", State: StateDelivered, Final: true, RawState: "DELIVRD"},
	},
	{
		"UCS-2",
		"\x00i\x00d\x00:\x004\x002\x00 \x00s\x00t\x00a\x00t\x00:\x00D\x00E\x00L\x00I\x00V\x00R\x00D",
		Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "DELIVRD"},
	},
	{
		"values too long to be any",
		"id:42 stat:" + strings.Repeat("X", 33) + " err:" + strings.Repeat("1", 33),
		Receipt{ID: "42", State: StateUnknown},
	},
}

func withoutTimes(r Receipt) Receipt {
	r.Submit, r.Done = time.Time{}, time.Time{}
	return r
}

func TestParseReceiptText(t *testing.T) {
	for _, test := range receiptTexts {
		got, err := ParseReceiptText([]byte(test.text))
		if err != nil || withoutTimes(got) != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestParseReceiptTextWithoutAnID(t *testing.T) {
	for _, text := range []string{"", "hello", "DELIVRD", "stat:DELIVRD", "id: stat:DELIVRD", "id:" + strings.Repeat("9", 256)} {
		r, err := ParseReceiptText([]byte(text))
		if !errors.Is(err, ErrNotReceipt) {
			t.Errorf("%.20q: got %v, want %v", text, err, ErrNotReceipt)
		}
		if want := strings.Contains(text, "DELIVRD"); (r.State == StateDelivered) != want {
			t.Errorf("%.20q: got state %s, want delivered %t", text, r.State, want)
		}
	}
}

func TestReceiptDate(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"2611230925", "2026-11-23T09:25:00Z"},
		{"261123092507", "2026-11-23T09:25:07Z"},
		{"20261123092507", "2026-11-23T09:25:07Z"},
		{"2613230925", "0001-01-01T00:00:00Z"},
		{"26-11-2309", "0001-01-01T00:00:00Z"},
		{"", "0001-01-01T00:00:00Z"},
	}
	for _, test := range tests {
		if got := receiptDate(test.raw).Format(time.RFC3339); got != test.want {
			t.Errorf("%q: got %s, want %s", test.raw, got, test.want)
		}
	}
}

func TestParseReceipt(t *testing.T) {
	const text = "id:42 sub:001 dlvrd:000 submit date:2611230925 done date:2611230926 stat:UNDELIV err:011 text:hello"
	plain := Receipt{ID: "42", State: StateFailed, Final: true, RawState: "UNDELIV", Err: "011", RawDate: Dates{"2611230925", "2611230926"}}
	edit := func(change func(*Receipt)) Receipt {
		r := plain
		change(&r)
		return r
	}
	tests := []struct {
		name   string
		parser ReceiptParser
		in     Delivery
		want   Receipt // the zero Receipt is none
	}{
		{"text alone", ReceiptParser{}, Delivery{ESMClass: 4, Text: []byte(text)}, plain},
		{"text in message_payload", ReceiptParser{}, Delivery{ESMClass: 4, Payload: []byte(text)}, plain},
		{"user data header before the text", ReceiptParser{}, Delivery{ESMClass: 0x44, Text: []byte("\x05\x00\x03\x01\x01\x01" + text)}, plain},
		{
			"TLVs win over text", ReceiptParser{},
			Delivery{ESMClass: 4, Text: []byte(text), ReceiptedID: "2a", MessageState: 8, HasMessageState: true, NetworkErrorCode: []byte{3, 1, 2}},
			edit(func(r *Receipt) { r.ID, r.State, r.RawState, r.Err = "2a", StateRejected, "8", "258" }),
		},
		{
			"id in a TLV, state in the text", ReceiptParser{},
			Delivery{ESMClass: 4, Text: []byte(text), ReceiptedID: "2a"},
			edit(func(r *Receipt) { r.ID = "2a" }),
		},
		{
			"TLVs that say nothing", ReceiptParser{},
			Delivery{ESMClass: 4, Text: []byte(text), MessageState: 99, HasMessageState: true, NetworkErrorCode: []byte{0, 0, 0}},
			plain,
		},
		{
			"error code of a wrong length", ReceiptParser{},
			Delivery{ESMClass: 4, Text: []byte(text), NetworkErrorCode: []byte{3, 9}},
			plain,
		},
		{
			"TLVs alone", ReceiptParser{},
			Delivery{ESMClass: 4, ReceiptedID: "42", MessageState: 2, HasMessageState: true},
			Receipt{ID: "42", State: StateDelivered, Final: true, RawState: "2"},
		},
		{
			"intermediate notification is never final", ReceiptParser{},
			Delivery{ESMClass: 0x20, Text: []byte(text)},
			edit(func(r *Receipt) { r.Final = false }),
		},
		{"message from a handset", ReceiptParser{}, Delivery{Text: []byte(text)}, Receipt{}},
		{"acknowledgement by a handset", ReceiptParser{Detect: DetectText}, Delivery{ESMClass: 8, Text: []byte(text), ReceiptedID: "42"}, Receipt{}},
		{"known by its TLV", ReceiptParser{Detect: DetectTLV}, Delivery{Text: []byte(text), ReceiptedID: "42"}, plain},
		{"not known by its text when asked for TLVs", ReceiptParser{Detect: DetectTLV}, Delivery{Text: []byte(text)}, Receipt{}},
		{"known by its text", ReceiptParser{Detect: DetectText}, Delivery{Text: []byte(text)}, plain},
		{"no receipt by its text", ReceiptParser{Detect: DetectText}, Delivery{Text: []byte("id:42 stat:hello")}, Receipt{}},
		{
			"accepted is not final", ReceiptParser{},
			Delivery{ESMClass: 4, Text: []byte("id:42 stat:ACCEPTD")},
			Receipt{ID: "42", State: StateAccepted, RawState: "ACCEPTD"},
		},
		{
			"accepted is final where the peer means it", ReceiptParser{AcceptedFinal: true},
			Delivery{ESMClass: 4, Text: []byte("id:42 stat:ACCEPTD")},
			Receipt{ID: "42", State: StateAccepted, Final: true, RawState: "ACCEPTD"},
		},
	}
	for _, test := range tests {
		got, err := test.parser.Parse(test.in)
		if withoutTimes(got) != test.want || errors.Is(err, ErrNotReceipt) != (test.want == Receipt{}) {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestEachMessageState(t *testing.T) {
	want := []State{
		StateEnroute, StateEnroute, StateDelivered, StateExpired, StateFailed,
		StateFailed, StateAccepted, StateUnknown, StateRejected, StateFailed,
	}
	for state, want := range want {
		d := Delivery{ESMClass: 4, ReceiptedID: "42", MessageState: byte(state), HasMessageState: true}
		if r, err := ParseReceipt(d); err != nil || r.State != want {
			t.Errorf("%d: got %s, %v, want %s", state, r.State, err, want)
		}
	}
}

func FuzzReceiptText(f *testing.F) {
	for _, test := range receiptTexts {
		f.Add([]byte(test.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseReceiptText(text)
		checkReceipt(t, r)
		if (err == nil) != (r.ID != "") {
			t.Errorf("got id %q with error %v", r.ID, err)
		}
		again, _ := ParseReceiptText(append([]byte(nil), text...))
		if !reflect.DeepEqual(r, again) {
			t.Errorf("got %+v, then %+v", r, again)
		}
		d := Delivery{ESMClass: 4, Payload: text, ReceiptedID: "1", MessageState: 2, HasMessageState: true}
		if r, err := ParseReceipt(d); err != nil || r.ID != "1" || r.State != StateDelivered {
			t.Errorf("with TLVs: got %+v, %v", r, err)
		}
	})
}

// checkReceipt is what holds for each receipt, whatever it was made from.
func checkReceipt(t *testing.T, r Receipt) {
	t.Helper()
	states := map[State]bool{
		StateUnknown: true, StateEnroute: true, StateAccepted: true, StateDelivered: true,
		StateFailed: true, StateExpired: true, StateRejected: true,
	}
	if !states[r.State] {
		t.Errorf("state: got %q", r.State)
	}
	if r.Final && !r.State.final() {
		t.Errorf("final: got it for %s", r.State)
	}
	// An invalid octet becomes three.
	for _, v := range []string{r.Err, r.RawState, r.RawDate.Submit, r.RawDate.Done} {
		if len(v) > 3*maxValue || strings.ContainsAny(v, gaps) {
			t.Errorf("value: got %q", v)
		}
	}
	if len(r.ID) > 3*maxID {
		t.Errorf("id: got %d octets", len(r.ID))
	}
}
