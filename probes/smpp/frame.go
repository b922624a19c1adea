package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// Bounds of command_length, in octets. The upper one leaves room for a message_payload of 65,535.
const (
	minFrame = 16
	maxFrame = 70000
)

// responseBit is set in the command_id of each response.
const responseBit pdu.ID = 0x80000000

// ErrFraming says that the octets of the peer are not SMPP, or no longer in step with it.
var ErrFraming = errors.New("not an SMPP frame")

// header is the 16 octets in front of each PDU.
type header struct {
	length uint32
	id     pdu.ID
	status Status
	seq    uint32
}

// frame is one PDU as it came. The octets belong to the frame alone, header included.
type frame struct {
	header
	octets []byte
}

func (f frame) body() []byte { return f.octets[minFrame:] }

// readFrame reads the next PDU. Its error is io.EOF only between two frames; a command_length out of bounds gives
// ErrFraming with the header read, and nothing of the body is then read.
func readFrame(r io.Reader) (frame, error) {
	var head [minFrame]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{header: parseHeader(head)}
	if f.length < minFrame || f.length > maxFrame {
		return f, fmt.Errorf("%w: command_length: want %d to %d, got %d", ErrFraming, minFrame, maxFrame, f.length)
	}
	f.octets = make([]byte, f.length)
	copy(f.octets, head[:])
	if _, err := io.ReadFull(r, f.body()); err != nil {
		return f, fmt.Errorf("frame cut short: %w", noEOF(err))
	}
	return f, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parseHeader(head [minFrame]byte) header {
	return header{
		length: binary.BigEndian.Uint32(head[0:4]),
		id:     pdu.ID(binary.BigEndian.Uint32(head[4:8])),
		status: Status(binary.BigEndian.Uint32(head[8:12])),
		seq:    binary.BigEndian.Uint32(head[12:16]),
	}
}

// encodeFrame writes a PDU by hand. Responses go this way because the codec puts a number of its own on a PDU whose
// sequence number is zero, and a peer may well use zero.
func encodeFrame(id pdu.ID, status Status, seq uint32, body ...byte) []byte {
	octets := make([]byte, minFrame, minFrame+len(body))
	binary.BigEndian.PutUint32(octets[0:4], uint32(minFrame+len(body)))
	binary.BigEndian.PutUint32(octets[4:8], uint32(id))
	binary.BigEndian.PutUint32(octets[8:12], uint32(status))
	binary.BigEndian.PutUint32(octets[12:16], seq)
	return append(octets, body...)
}

// encodePDU serializes p under seq.
func encodePDU(p pdu.Body, seq uint32) (octets []byte, err error) {
	defer recoverAs(&err, "encode")
	p.Header().Seq = seq
	var b bytes.Buffer
	if err := p.SerializeTo(&b); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b.Bytes(), nil
}

// decodePDU hands the frame to the codec, which refuses what is above pdu.MaxSize and much that is legal: an error here
// is about this PDU and never about the session.
func decodePDU(f frame) (p pdu.Body, err error) {
	defer recoverAs(&err, "decode")
	return pdu.Decode(bytes.NewReader(f.octets))
}

func recoverAs(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: panic: %v", doing, r)
	}
}
