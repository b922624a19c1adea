package ingest

import (
	"fmt"
	"unicode/utf8"
)

// field is a name that observations may carry. A name that is none of these is skipped with its value.
type field uint8

const (
	fieldType field = iota
	fieldTime
	fieldID
	fieldRoute
	fieldClass
	fieldNetwork
	fieldResult
	fieldCode
	fieldLatency
	fieldStatus
	fieldSubmitTime
	fieldSource
	fieldProbe
	fieldOK
	fieldSent
	fieldRoutes
	fieldDelivered
	fieldFailed
	fieldConversion
	fieldAges
	fieldCDF
	fieldConversionCDF
	fieldMessages
	fieldAt    // of a recording only
	fieldNote  // of a recording only
	fieldFault // of a recording only
	fieldOrder // of a recording only
	fieldGeneration
	fieldOther // the number of fields, and every other name
)

var fieldNames = [fieldOther]string{
	"type", "time", "id", "route", "class", "network", "result", "code", "latency", "status", "submit_time", "source",
	"probe", "ok", "sent", "routes", "delivered", "failed", "conversion", "ages", "cdf", "conversion_cdf", "messages",
	"at", "note", "fault", "order", "generation",
}

// fieldOf is a switch over constants because the compiler turns it into comparisons by length, without hashing.
func fieldOf(name []byte) field {
	switch string(name) {
	case "type":
		return fieldType
	case "time":
		return fieldTime
	case "id":
		return fieldID
	case "route":
		return fieldRoute
	case "class":
		return fieldClass
	case "network":
		return fieldNetwork
	case "result":
		return fieldResult
	case "code":
		return fieldCode
	case "latency":
		return fieldLatency
	case "status":
		return fieldStatus
	case "submit_time":
		return fieldSubmitTime
	case "source":
		return fieldSource
	}
	return rareFieldOf(name)
}

func rareFieldOf(name []byte) field {
	switch string(name) {
	case "probe":
		return fieldProbe
	case "ok":
		return fieldOK
	case "sent":
		return fieldSent
	case "routes":
		return fieldRoutes
	case "delivered":
		return fieldDelivered
	case "failed":
		return fieldFailed
	case "conversion":
		return fieldConversion
	case "ages":
		return fieldAges
	case "cdf":
		return fieldCDF
	case "conversion_cdf":
		return fieldConversionCDF
	case "messages":
		return fieldMessages
	case "at":
		return fieldAt
	case "note":
		return fieldNote
	case "fault":
		return fieldFault
	case "generation":
		return fieldGeneration
	case "order":
		return fieldOrder
	}
	return fieldOther
}

// shape is what kind of JSON value a token is.
type shape uint8

const (
	shapeNone    shape = iota
	shapeText          // between the quotes, no escapes
	shapeEscaped       // between the quotes, with escapes
	shapeNumber
	shapeTrue
	shapeFalse
	shapeNull
	shapeList
	shapeObject
)

// token is a value of the line: line[lo:hi].
type token struct {
	lo, hi int32 // a line is at most maxLine long
	shape  shape
}

// scanner splits one JSON object into the values of the fields it knows. It checks the grammar of RFC 8259 over the
// whole line, also of what it skips, and interprets nothing.
type scanner struct {
	line    []byte
	pos     int
	want    string            // after a failure: what should have stood at pos
	set     uint32            // bit f: tok[f] belongs to this line and is not null
	tok     [fieldOther]token // the last value of each field
	scratch []byte            // texts without their escapes; reset with each line
}

// scan reads the line; where it answers false, pos and want say what is wrong.
func (s *scanner) scan(line []byte) bool {
	s.line, s.pos, s.want, s.set, s.scratch = line, 0, "", 0, s.scratch[:0]
	if s.next() != '{' {
		return s.fail("a JSON object")
	}
	s.pos++
	if s.next() == '}' {
		s.pos++
		return s.end()
	}
	for {
		f, ok := s.name()
		if !ok {
			return false
		}
		t, ok := s.value(1)
		if !ok {
			return false
		}
		s.keep(f, t)
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return s.end()
		default:
			return s.fail("a comma or }")
		}
	}
}

// keep remembers the last value of a field; null is as good as absent.
func (s *scanner) keep(f field, t token) {
	if f == fieldOther {
		return
	}
	s.tok[f] = t
	s.set |= 1 << f
	if t.shape == shapeNull {
		s.set &^= 1 << f
	}
}

func (s *scanner) fail(want string) bool {
	s.want = want
	return false
}

// next skips white space and returns the byte that follows, or 0 at the end; no grammar rule wants a 0.
func (s *scanner) next() byte {
	for s.pos < len(s.line) {
		c := s.line[s.pos]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
		s.pos++
	}
	return 0
}

func (s *scanner) end() bool {
	if s.next(); s.pos < len(s.line) {
		return s.fail("the end of the line")
	}
	return true
}

// name reads a field's name and the colon after it.
func (s *scanner) name() (field, bool) {
	if s.next() != '"' {
		return fieldOther, s.fail("a name in quotes")
	}
	t, ok := s.text()
	if !ok {
		return fieldOther, false
	}
	if s.next() != ':' {
		return fieldOther, s.fail("a colon")
	}
	s.pos++
	b := s.line[t.lo:t.hi]
	if t.shape == shapeEscaped {
		if b, ok = s.unescape(t); !ok {
			return fieldOther, true
		}
	}
	return fieldOf(b), true
}

// value reads any value; depth is how many lists and objects it lies in.
func (s *scanner) value(depth int) (token, bool) {
	switch c := s.next(); {
	case c == '"':
		return s.text()
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.literal("true", shapeTrue)
	case c == 'f':
		return s.literal("false", shapeFalse)
	case c == 'n':
		return s.literal("null", shapeNull)
	case c != '[' && c != '{':
		return token{}, s.fail("a value")
	case depth == maxDepth:
		return token{}, s.fail("at most 16 levels of nesting")
	case c == '[':
		return s.list(depth + 1)
	}
	return s.object(depth + 1)
}

func (s *scanner) list(depth int) (token, bool) {
	t := token{lo: int32(s.pos), shape: shapeList}
	s.pos++
	if s.next() == ']' {
		return s.close(t)
	}
	for {
		if _, ok := s.value(depth); !ok {
			return token{}, false
		}
		switch s.next() {
		case ',':
			s.pos++
		case ']':
			return s.close(t)
		default:
			return token{}, s.fail("a comma or ]")
		}
	}
}

func (s *scanner) object(depth int) (token, bool) {
	t := token{lo: int32(s.pos), shape: shapeObject}
	s.pos++
	if s.next() == '}' {
		return s.close(t)
	}
	for {
		if _, ok := s.name(); !ok {
			return token{}, false
		}
		if _, ok := s.value(depth); !ok {
			return token{}, false
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			return s.close(t)
		default:
			return token{}, s.fail("a comma or }")
		}
	}
}

func (s *scanner) close(t token) (token, bool) {
	s.pos++
	t.hi = int32(s.pos)
	return t, true
}

func (s *scanner) literal(word string, sh shape) (token, bool) {
	end := s.pos + len(word)
	if end > len(s.line) || string(s.line[s.pos:end]) != word {
		return token{}, s.fail("a value")
	}
	t := token{int32(s.pos), int32(end), sh}
	s.pos = end
	return t, true
}

// text reads a text from its opening quote on. The token lies between the quotes.
func (s *scanner) text() (token, bool) {
	b, i := s.line, s.pos+1
	t := token{lo: int32(i), shape: shapeText}
	for i < len(b) {
		c := b[i]
		if c == '"' {
			t.hi, s.pos = int32(i), i+1
			return t, true
		}
		if c < ' ' {
			s.pos = i
			return token{}, s.fail("a text without control characters")
		}
		if c == '\\' {
			n := escapeLen(b[i:])
			if n == 0 {
				s.pos = i
				return token{}, s.fail("an escape of JSON")
			}
			t.shape = shapeEscaped
			i += n
			continue
		}
		i++
	}
	s.pos = i
	return token{}, s.fail("a closing quote")
}

// escapeLen is the length of the escape that b begins with, or 0 where it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// number reads a number by the grammar of JSON: no plus sign, no leading zeros, digits on both sides of the point.
func (s *scanner) number() (token, bool) {
	b, i := s.line, s.pos
	if b[i] == '-' {
		i++
	}
	whole := digits(b[i:])
	if whole == 0 || whole > 1 && b[i] == '0' {
		return token{}, s.fail("a number")
	}
	i += whole
	if i < len(b) && b[i] == '.' {
		n := digits(b[i+1:])
		if n == 0 {
			return token{}, s.fail("a number")
		}
		i += 1 + n
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b[i:])
		if n == 0 {
			return token{}, s.fail("a number")
		}
		i += n
	}
	t := token{int32(s.pos), int32(i), shapeNumber}
	s.pos = i
	return t, true
}

// raw is the token's part of the line.
func (s *scanner) raw(t token) []byte { return s.line[t.lo:t.hi] }

// bytes is the content of a text, valid until the next line; ok is false for any other shape, and for half a surrogate
// pair, which has no form in UTF-8 and would let two different ids become one.
func (s *scanner) bytes(t token) (b []byte, ok bool) {
	switch t.shape {
	case shapeText:
		return s.raw(t), true
	case shapeEscaped:
		return s.unescape(t)
	}
	return nil, false
}

// unescape appends the text to the scratch space; the escapes are known to be well formed.
func (s *scanner) unescape(t token) ([]byte, bool) {
	from := len(s.scratch)
	for b := s.raw(t); len(b) > 0; {
		if b[0] != '\\' {
			s.scratch = append(s.scratch, b[0])
			b = b[1:]
			continue
		}
		r, n := unescapeRune(b)
		if r == utf8.RuneError && n == 0 {
			return nil, false
		}
		s.scratch = utf8.AppendRune(s.scratch, r)
		b = b[n:]
	}
	return s.scratch[from:], true
}

// unescapeRune reads the escape that b begins with; n is 0 for half a surrogate pair.
func unescapeRune(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unescapeUnicode(b)
	}
	return rune(b[1]), 2
}

func unescapeUnicode(b []byte) (rune, int) {
	r := hex4(b[2:])
	if r < 0xd800 || r > 0xdfff {
		return r, 6
	}
	if r < 0xdc00 && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low := hex4(b[8:]); low >= 0xdc00 && low <= 0xdfff {
			return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), 12
		}
	}
	return utf8.RuneError, 0
}

// hex4 reads four hexadecimal digits, or answers -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// got shows the value of a field in a refusal; long ones are cut.
func (s *scanner) got(f field) string {
	if s.set&(1<<f) == 0 {
		return "nothing"
	}
	return s.show(s.tok[f])
}

func (s *scanner) show(t token) string {
	switch t.shape {
	case shapeList:
		return "a list"
	case shapeObject:
		return "an object"
	case shapeText, shapeEscaped:
		b, ok := s.bytes(t)
		if !ok {
			return "half a surrogate pair"
		}
		return fmt.Sprintf("%q", cut(b))
	}
	return string(cut(s.raw(t)))
}

// maxShown bounds what a refusal repeats of a line.
const maxShown = 48

func cut(b []byte) []byte {
	if len(b) <= maxShown {
		return b
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return append(append([]byte(nil), b[:n]...), "…"...)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// digits is how many digits b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if !isDigit(c) {
			return i
		}
	}
	return len(b)
}
