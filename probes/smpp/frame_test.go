package smpp

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

func TestReadFrame(t *testing.T) {
	whole := encodeFrame(pdu.EnquireLinkID, StatusSysErr, 7, 1, 2, 3)
	tests := []struct {
		name   string
		octets []byte
		err    error
	}{
		{"whole", whole, nil},
		{"header only", encodeFrame(pdu.EnquireLinkID, StatusOK, 1), nil},
		{"nothing", nil, io.EOF},
		{"half a header", whole[:10], io.ErrUnexpectedEOF},
		{"header without its body", whole[:16], io.ErrUnexpectedEOF},
		{"half a body", whole[:18], io.ErrUnexpectedEOF},
		{"too short", []byte("\x00\x00\x00\x0f\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01"), ErrFraming},
		{"too long", []byte("\x00\x01\x11\x71\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01"), ErrFraming},
	}
	for _, test := range tests {
		f, err := readFrame(bytes.NewReader(test.octets))
		if !errors.Is(err, test.err) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.err)
		}
		if err == nil && !bytes.Equal(f.octets, test.octets) {
			t.Errorf("%s: got %x, want %x", test.name, f.octets, test.octets)
		}
	}
	f, _ := readFrame(bytes.NewReader(whole))
	if f.id != pdu.EnquireLinkID || f.status != StatusSysErr || f.seq != 7 || !bytes.Equal(f.body(), []byte{1, 2, 3}) {
		t.Errorf("got %+v", f)
	}
}

func FuzzFrame(f *testing.F) {
	for _, test := range receiptTexts {
		f.Add(delivery{esmClass: 4, text: test.text[:min(len(test.text), 254)], tlvs: tlv(0x1E, "42\x00")}.deliverSM(1))
	}
	tlvs := bytes.Join([][]byte{tlv(0x1E, "42\x00"), tlv(0x427, "\x02"), tlv(0x423, "\x03\x00\x0b")}, nil)
	f.Add(delivery{esmClass: 4, text: "id:42", tlvs: tlvs}.deliverSM(1))
	f.Add(delivery{esmClass: 4, tlvs: tlvs}.dataSM(2))
	f.Add(append(submitResp(3, "m-1"), encodeFrame(pdu.UnbindRespID, StatusOK, 4)...))
	f.Add(encodeFrame(pdu.BindTransceiverRespID, StatusInvPassword, 1, []byte("smsc\x00")...))
	f.Fuzz(func(t *testing.T, octets []byte) {
		in := bytes.NewReader(octets)
		for {
			f, err := readFrame(in)
			if err != nil {
				return
			}
			checkFrame(t, f)
		}
	})
}

func checkFrame(t *testing.T, f frame) {
	if len(f.octets) < minFrame || len(f.octets) > maxFrame || int(f.length) != len(f.octets) {
		t.Fatalf("frame of %d octets, command_length %d", len(f.octets), f.length)
	}
	p, err := decodePDU(f)
	if id := submittedID(f); len(id) > 3*maxID {
		t.Errorf("message id of %d octets", len(id))
	}
	d, ours := decodeDelivery(f)
	if ours == nil {
		if r, err := (ReceiptParser{Detect: DetectText}).Parse(d); err == nil {
			checkReceipt(t, r)
		}
	}
	if f.id == pdu.DeliverSMID && ours == nil && err == nil && d.ESMClass&esmUDHI == 0 {
		checkAgainstCodec(t, d, p)
	}
}

// checkAgainstCodec holds our reading of a deliver_sm against the codec's, where the codec reads one at all.
func checkAgainstCodec(t *testing.T, d Delivery, p pdu.Body) {
	t.Helper()
	fields := p.Fields()
	source, text := fields[pdufield.SourceAddr].Bytes(), fields[pdufield.ShortMessage].Bytes()
	if d.Source.Number != string(bytes.TrimSuffix(source, []byte{0})) {
		t.Errorf("source: got %q, the codec %q", d.Source.Number, source)
	}
	if !bytes.Equal(d.Text, text) {
		t.Errorf("text: got %q, the codec %q", d.Text, text)
	}
	_, state := p.TLVFields()[pdutlv.TagMessageStateOption]
	if d.HasMessageState && !state {
		t.Error("message_state: the codec saw none")
	}
}
