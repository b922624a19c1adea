package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// Delivery is a deliver_sm or data_sm: a receipt, or a message from a handset. The fields are as the peer sent them.
type Delivery struct {
	Received     time.Time // our clock, when the PDU had been read
	Source, Dest Address
	ServiceType  string
	ESMClass     byte
	DataCoding   byte
	Text         []byte // short_message with its user data header, if any; nil in a data_sm
	Payload      []byte // the message_payload TLV; nil where absent

	ReceiptedID      string // the receipted_message_id TLV, without NULs; "" where absent
	MessageState     byte   // the message_state TLV; meaningful only with HasMessageState
	HasMessageState  bool
	NetworkErrorCode []byte // the network_error_code TLV: network type, then the code in two octets; nil where absent
}

// esmTypeMask selects the message type in esm_class.
const (
	esmTypeMask     = 0x3C
	esmReceipt      = 0x04
	esmIntermediate = 0x20
	esmUDHI         = 0x40
)

// Body is the message without its user data header: short_message or, where that is empty, message_payload.
// It aliases the delivery.
func (d Delivery) Body() []byte {
	text := d.Text
	if len(text) == 0 {
		text = d.Payload
	}
	if d.ESMClass&esmUDHI != 0 && len(text) > 0 && int(text[0]) < len(text) {
		text = text[1+int(text[0]):]
	}
	return text
}

// text is the message in UTF-8, by its data_coding (SMPP 3.4, section 5.2.19): UCS-2, Latin-1, else the default alphabet or
// ASCII, which SMSCs do not tell apart.
func (d Delivery) text() string {
	switch body := d.Body(); d.DataCoding & 0x0F {
	case 8:
		return string(pdutext.UCS2(body[:len(body)&^1]).Decode())
	case 3:
		return string(pdutext.Latin1(body).Decode())
	default:
		return validText(body)
	}
}

var errTruncated = errors.New("mandatory fields cut short")

// decodeDelivery reads a deliver_sm or data_sm by hand: the codec knows no data_sm, stops at 4096 octets, accepts PDUs
// that end early, and gives up on the whole session where a TLV is too long.
func decodeDelivery(f frame) (Delivery, error) {
	r := fieldReader{rest: f.body()}
	var d Delivery
	d.ServiceType = r.cstring()
	d.Source = r.address()
	d.Dest = r.address()
	d.ESMClass = r.octet()
	if f.id == pdu.DataSMID {
		r.octet() // registered_delivery
		d.DataCoding = r.octet()
	} else {
		d.DataCoding, d.Text = r.deliverTail()
	}
	if r.short {
		return Delivery{}, errTruncated
	}
	d.readTLVs(r.rest)
	return d, nil
}

// readTLVs takes the first of each TLV that matters, and stops without complaint at one that does not fit.
func (d *Delivery) readTLVs(rest []byte) {
	for len(rest) >= 4 {
		tag := pdutlv.Tag(binary.BigEndian.Uint16(rest))
		length := int(binary.BigEndian.Uint16(rest[2:]))
		rest = rest[4:]
		if length > len(rest) {
			return
		}
		d.setTLV(tag, rest[:length:length])
		rest = rest[length:]
	}
}

func (d *Delivery) setTLV(tag pdutlv.Tag, value []byte) {
	switch tag {
	case pdutlv.TagReceiptedMessageID:
		if d.ReceiptedID == "" {
			d.ReceiptedID = cleanID(value)
		}
	case pdutlv.TagMessageStateOption:
		if !d.HasMessageState && len(value) > 0 {
			d.MessageState, d.HasMessageState = value[0], true
		}
	case pdutlv.TagNetworkErrorCode:
		if d.NetworkErrorCode == nil {
			d.NetworkErrorCode = value
		}
	case pdutlv.TagMessagePayload:
		if d.Payload == nil {
			d.Payload = value
		}
	}
}

// fieldReader takes fields off the front of a body. Past its end each field is zero and short is set.
type fieldReader struct {
	rest  []byte
	short bool
}

func (r *fieldReader) octets(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *fieldReader) octet() byte {
	if b := r.octets(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *fieldReader) cstring() string {
	end := bytes.IndexByte(r.rest, 0)
	if end < 0 {
		r.rest, r.short = nil, true
		return ""
	}
	return string(r.octets(end + 1)[:end])
}

func (r *fieldReader) address() Address {
	return Address{TON: r.octet(), NPI: r.octet(), Number: r.cstring()}
}

// deliverTail reads what deliver_sm has after esm_class.
func (r *fieldReader) deliverTail() (dataCoding byte, text []byte) {
	r.octets(2) // protocol_id, priority_flag
	r.cstring() // schedule_delivery_time
	r.cstring() // validity_period
	r.octets(2) // registered_delivery, replace_if_present_flag
	dataCoding = r.octet()
	r.octet() // sm_default_msg_id
	return dataCoding, r.octets(int(r.octet()))
}
