package smsctest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// Bounds of command_length, in octets.
const (
	minFrame = pdu.HeaderLen
	maxFrame = 70000
)

const responseBit pdu.ID = 0x80000000

// frame is one PDU as it came, header included.
type frame struct {
	id     pdu.ID
	status pdu.Status
	seq    uint32
	octets []byte
}

// lengthError is a command_length that cannot be; seq is the number of its PDU.
type lengthError struct{ length, seq uint32 }

func (e *lengthError) Error() string {
	return fmt.Sprintf("command_length: want %d to %d, got %d", minFrame, maxFrame, e.length)
}

func readFrame(r io.Reader) (frame, error) {
	var head [minFrame]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(head[0:])
	f := frame{
		id:     pdu.ID(binary.BigEndian.Uint32(head[4:])),
		status: pdu.Status(binary.BigEndian.Uint32(head[8:])),
		seq:    binary.BigEndian.Uint32(head[12:]),
	}
	if length < minFrame || length > maxFrame {
		return f, &lengthError{length, f.seq}
	}
	f.octets = make([]byte, length)
	copy(f.octets, head[:])
	_, err := io.ReadFull(r, f.octets[minFrame:])
	return f, err
}

// encode writes a PDU by hand: the codec gives its own number to a response whose sequence number is zero.
func encode(id pdu.ID, status pdu.Status, seq uint32, body []byte) []byte {
	octets := make([]byte, 0, minFrame+len(body))
	octets = binary.BigEndian.AppendUint32(octets, uint32(minFrame+len(body)))
	octets = binary.BigEndian.AppendUint32(octets, uint32(id))
	octets = binary.BigEndian.AppendUint32(octets, uint32(status))
	octets = binary.BigEndian.AppendUint32(octets, seq)
	return append(octets, body...)
}

// decode hands a frame to the codec.
func decode(f frame) (p pdu.Body, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decode: panic: %v", r)
		}
	}()
	return pdu.Decode(bytes.NewReader(f.octets))
}

// text is a field's content, and whether the PDU was long enough to have it.
func text(p pdu.Body, name pdufield.Name) (string, bool) {
	field := p.Fields()[name]
	if field == nil {
		return "", false
	}
	return string(bytes.TrimSuffix(field.Bytes(), []byte{0})), true
}

func octet(p pdu.Body, name pdufield.Name) byte {
	if field, ok := p.Fields()[name].(*pdufield.Fixed); ok {
		return field.Data
	}
	return 0
}

func cstring(s string) []byte { return append([]byte(s), 0) }

func tlv(tag pdutlv.Tag, value []byte) []byte {
	octets := binary.BigEndian.AppendUint16(nil, uint16(tag))
	octets = binary.BigEndian.AppendUint16(octets, uint16(len(value)))
	return append(octets, value...)
}

// encodeDeliver writes a deliver_sm by hand, since the codec puts an octet too many before the text.
func encodeDeliver(seq uint32, source, dest Address, esmClass byte, text string, tlvs ...[]byte) []byte {
	body := cstring("") // service_type
	body = append(append(body, source.TON, source.NPI), cstring(source.Number)...)
	body = append(append(body, dest.TON, dest.NPI), cstring(dest.Number)...)
	body = append(body, esmClass, 0, 0) // protocol_id, priority_flag
	body = append(body, 0, 0)           // schedule_delivery_time, validity_period
	body = append(body, 0, 0, 0, 0)     // registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
	body = append(body, byte(len(text)))
	body = append(body, text...)
	for _, t := range tlvs {
		body = append(body, t...)
	}
	return encode(pdu.DeliverSMID, StatusOK, seq, body)
}
