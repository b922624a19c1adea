package smpp

import (
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

func TestAddressOf(t *testing.T) {
	tests := []struct {
		in   string
		want Address
	}{
		{"+447700900001", Address{1, 1, "447700900001"}},
		{"447700900001", Address{0, 1, "447700900001"}},
		{"60777", Address{0, 1, "60777"}},
		{"signalbox", Address{5, 0, "signalbox"}},
		{"+1 name", Address{5, 0, "+1 name"}},
		{"", Address{0, 1, ""}},
	}
	for _, test := range tests {
		if got := AddressOf(test.in); got != test.want {
			t.Errorf("%q: got %+v, want %+v", test.in, got, test.want)
		}
	}
}

func TestEncodeText(t *testing.T) {
	tests := []struct {
		in, want string
		coding   byte
	}{
		{"hello", "hello", 0},
		{"a@b €5", "a\x00b \x1be5", 0},
		{"日", "\x65\xe5", 8},
		{"", "", 0},
	}
	for _, test := range tests {
		if got, coding := EncodeText(test.in); string(got) != test.want || coding != test.coding {
			t.Errorf("%q: got %q coding %d, want %q coding %d", test.in, got, coding, test.want, test.coding)
		}
	}
}

func TestRelativeTime(t *testing.T) {
	tests := []struct {
		in   time.Duration
		want string
	}{
		{0, ""},
		{time.Millisecond, "000000000001000R"},
		{90 * time.Second, "000000000130000R"},
		{30*24*time.Hour - time.Second, "000029235959000R"},
	}
	for _, test := range tests {
		if got := relativeTime(test.in); got != test.want {
			t.Errorf("%s: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestSubmitReadsBackAsItWas(t *testing.T) {
	m := ShortMessage{
		Source: Address{5, 0, "signalbox"}, Dest: Address{1, 1, "447700900001"}, ServiceType: "CMT",
		Text: []byte{0, 'x', 0}, DataCoding: 4, ESMClass: 3, Register: RegisterFailure, Validity: time.Minute,
	}
	octets, err := m.encode(42)
	if err != nil {
		t.Fatal(err)
	}
	p, err := decodePDU(frame{octets: octets})
	if err != nil {
		t.Fatal(err)
	}
	if seq := p.Header().Seq; seq != 42 {
		t.Errorf("sequence number: got %d, want 42", seq)
	}
	want := map[pdufield.Name]string{
		pdufield.SourceAddr: "signalbox", pdufield.SourceAddrTON: "5", pdufield.SourceAddrNPI: "0",
		pdufield.DestinationAddr: "447700900001", pdufield.DestAddrTON: "1", pdufield.DestAddrNPI: "1",
		pdufield.ServiceType: "CMT", pdufield.ShortMessage: "\x00x\x00", pdufield.SMLength: "3",
		pdufield.DataCoding: "4", pdufield.ESMClass: "3", pdufield.RegisteredDelivery: "2",
		pdufield.ValidityPeriod: "000000000100000R",
	}
	for name, value := range want {
		if got := p.Fields()[name].String(); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}
