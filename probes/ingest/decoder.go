// Package ingest takes the observations that senders post: lines of JSON, one fact each. A Decoder reads them, a Joiner
// gives every receipt the key and the submit time of its message, and a Handler serves POST /events with both.
package ingest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"signalbox/rules/route"
)

// The bounds of a line. They are part of the interface: docs and refusals name them.
const (
	maxLine   = 64 << 10
	maxID     = 256
	maxName   = 64
	maxCode   = 32
	maxRoutes = 10_000 // in a heartbeat
	maxAges   = 256    // in a baseline
	maxDepth  = 16     // of lists and objects, the line's own object included
)

// Reason is why a line was refused, as one of a closed set of words.
type Reason string

// The reasons.
const (
	ReasonLength Reason = "length" // the line is too long
	ReasonSyntax Reason = "syntax" // it is not a JSON object in UTF-8
	ReasonType   Reason = "type"   // it has no type that is known
	ReasonField  Reason = "field"  // a field is missing or wrong
	ReasonRoute  Reason = "route"  // its route is not in the policy
	ReasonClock  Reason = "clock"  // it is ahead of this machine's clock
)

// Refusal is a line that does not count, and why. The lines after it may be good.
type Refusal struct {
	Line   int // from 1 on
	Why    string
	Reason Reason
}

// Error is the refusal with its line, such as: line 3: route: want a route id, got "".
func (r *Refusal) Error() string { return fmt.Sprintf("line %d: %s", r.Line, r.Why) }

// DecoderOptions are the choices of a Decoder.
type DecoderOptions struct {
	Source   string // where not empty, it replaces the source that the lines name
	Recorded bool   // the lines are those of a recording, joined and with marks; Mark says what each is
}

// Decoder reads observations from lines of JSON. It keeps nothing of a line but the fields of the observation, and
// allocates nothing for lines that are like earlier ones; heartbeats and baselines own their lists.
// A Decoder serves one goroutine.
type Decoder struct {
	in      *bufio.Reader
	line    int
	source  string
	record  bool
	mark    route.Mark // of the line that was read last, where they are recorded
	scanner scanner
	names   names
	why     string // of the line being refused
	hashed  [18]byte
}

// NewDecoder returns a decoder of r. It reads ahead of the line that it returns.
func NewDecoder(r io.Reader, o DecoderOptions) *Decoder {
	// Room for a line of maxLine and its line end; one that does not fit is too long.
	return &Decoder{in: bufio.NewReaderSize(r, maxLine+2), source: o.Source, record: o.Recorded}
}

// Reset starts anew with another reader and keeps the buffer and the names that were seen.
func (d *Decoder) Reset(r io.Reader, o DecoderOptions) {
	d.in.Reset(r)
	d.line, d.source, d.record, d.mark = 0, o.Source, o.Recorded, route.Mark{}
}

// Next reads the next line that is not empty into o and returns its number, from 1 on. The error is io.EOF at the end, a
// *Refusal for a line that does not count, after which reading goes on, or what the reader failed with. All strings of o
// stay valid except o.Message, which lasts until the next call. A message id that looks like a phone number is replaced
// by its hash. After an error o holds nothing of use.
func (d *Decoder) Next(o *route.Observation) (line int, err error) {
	for {
		b, err := d.readLine()
		if err != nil {
			return d.line, err
		}
		if !utf8.Valid(b) {
			return d.line, d.refuse(ReasonSyntax, "want UTF-8, got other bytes")
		}
		if blank(b) {
			continue
		}
		return d.line, d.decode(b, o)
	}
}

// readLine returns the next line without its line end; it skips a line that is too long without collecting it.
func (d *Decoder) readLine() ([]byte, error) {
	b, err := d.in.ReadSlice('\n')
	if len(b) == 0 && err != nil {
		return nil, err
	}
	d.line++
	long := false
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = d.in.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if b = trimEnd(b); long || len(b) > maxLine {
		return nil, d.refuse(ReasonLength, fmt.Sprintf("want at most %d bytes in a line, got more", maxLine))
	}
	return b, nil
}

func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func (d *Decoder) decode(b []byte, o *route.Observation) error {
	*o = route.Observation{}
	if !d.scanner.scan(b) {
		return d.refuse(ReasonSyntax, d.syntax())
	}
	build := d.builder()
	if build == nil {
		d.want(fieldType, "submit, receipt, conversion, probe, heartbeat or baseline")
		return d.refuse(ReasonType, d.why)
	}
	if !build(d, o) || d.record && !d.recorded(o) {
		return d.refuse(ReasonField, d.why)
	}
	return nil
}

// syntax says what is wrong with a line that does not scan.
func (d *Decoder) syntax() string {
	s := &d.scanner
	if s.pos >= len(s.line) {
		return fmt.Sprintf("want %s, got the end of the line", s.want)
	}
	r, _ := utf8.DecodeRune(s.line[s.pos:])
	return fmt.Sprintf("want %s, got %q at byte %d", s.want, r, s.pos+1)
}

func (d *Decoder) refuse(reason Reason, why string) *Refusal {
	return &Refusal{Line: d.line, Why: why, Reason: reason}
}
