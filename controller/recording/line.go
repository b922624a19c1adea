package recording

import (
	"encoding/json"
	"strconv"
	"time"

	"signalbox/rules/route"
)

// maxRoutes bounds the routes in a line, so that none gets too long to be read: a heartbeat of more is written as several.
const maxRoutes = 500

// appendObservation appends an observation as a line of JSON, or as several; at is when it was taken, zero where that is
// as the line before says.
func appendObservation(b []byte, o *route.Observation, at time.Time) []byte {
	if o.Kind == route.KindHeartbeat {
		return appendHeartbeat(b, o, at)
	}
	if o.Kind == route.KindBaseline {
		return appendBaseline(b, o, at, "")
	}
	b = appendHead(b, typeOf(o), o.Time)
	b = appendID(b, o)
	b = appendText(b, "route", string(o.Route))
	if o.Class != "" && (o.Kind == route.KindSubmit || !o.Submitted.IsZero()) {
		b = appendText(b, "class", string(o.Class))
		b = appendText(b, "network", string(o.Network))
		b = appendTime(b, "submit_time", o.Submitted)
	}
	b = appendRest(b, o)
	return appendTail(b, o, at, noteOf(o))
}

// appendRest appends what only some types have.
func appendRest(b []byte, o *route.Observation) []byte {
	switch o.Kind {
	case route.KindSubmit, route.KindWithdrawn:
		b = appendResult(b, o)
	case route.KindProbe:
		if o.Network != "" {
			b = appendText(b, "network", string(o.Network))
		}
		b = appendText(b, "probe", o.Probe)
		b = append(b, `,"ok":`...)
		b = strconv.AppendBool(b, o.OK)
		b = appendTime(b, "sent", o.Sent)
	default:
		if typeOf(o) == "receipt" {
			b = appendText(b, "status", o.Status.String())
		}
	}
	if typeOf(o) == "conversion" {
		return b
	}
	return appendCode(b, o.Code)
}

func appendResult(b []byte, o *route.Observation) []byte {
	switch o.Result {
	case route.Accepted:
		return b
	case route.TimedOut:
		return appendText(b, "result", "timeout")
	}
	b = appendText(b, "result", "refused")
	return appendText(b, "fault", o.Fault.String())
}

// typeOf is the type of a line. What joining made of an observation does not say any more whether it was a receipt or a
// conversion, where it counts as neither: it is told as a receipt.
func typeOf(o *route.Observation) string {
	switch o.Kind {
	case route.KindSubmit, route.KindWithdrawn:
		return "submit"
	case route.KindConversion:
		return "conversion"
	case route.KindProbe:
		return "probe"
	}
	return "receipt"
}

// noteOf is what joining made of an observation, in the words that a decoder of recordings knows.
func noteOf(o *route.Observation) string {
	switch o.Kind {
	case route.KindEarly:
		return "early"
	case route.KindUnmatched:
		return "unmatched"
	case route.KindContradiction:
		return "contradiction"
	case route.KindWithdrawn:
		return "withdrawn"
	case route.KindLost:
		return "lost"
	}
	switch {
	case o.Final && o.Undated:
		return "final-undated"
	case o.Final && o.Waited:
		return "final-waited"
	case o.Final:
		return "final"
	case o.Waited:
		return "waited"
	}
	return ""
}

func appendHead(b []byte, kind string, at time.Time) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, '"')
	return appendTime(b, "time", at)
}

// appendTail appends what every type may have, and ends the line.
func appendTail(b []byte, o *route.Observation, at time.Time, note string) []byte {
	if o.Latency > 0 && (o.Kind == route.KindSubmit || o.Kind == route.KindWithdrawn || o.Kind == route.KindProbe) {
		b = appendSeconds(b, o.Latency)
	}
	if o.Source != "" {
		b = appendText(b, "source", o.Source)
	}
	b = appendTime(b, "at", at)
	if note != "" {
		b = appendText(b, "note", note)
	}
	return append(b, '}', '\n')
}

func appendHeartbeat(b []byte, o *route.Observation, at time.Time) []byte {
	for from := 0; from == 0 || from < len(o.Routes); from += maxRoutes {
		b = appendHead(b, "heartbeat", o.Time)
		b = append(b, `,"routes":[`...)
		for i, id := range o.Routes[from:min(from+maxRoutes, len(o.Routes))] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, string(id))
		}
		b = append(b, ']')
		b = appendTail(b, o, at, "")
	}
	return b
}

func appendBaseline(b []byte, o *route.Observation, at time.Time, note string) []byte {
	if o.Baseline == nil {
		return b
	}
	data, err := json.Marshal(o.Baseline)
	if err != nil {
		return b // no finite number, which a decoder would not have taken
	}
	b = appendHead(b, "baseline", o.Time)
	b = appendText(b, "route", string(o.Route))
	b = appendText(b, "class", string(o.Class))
	b = appendText(b, "network", string(o.Network))
	b = append(b, ',')
	b = append(b, data[1:len(data)-1]...)
	return appendTail(b, o, at, note)
}

// appendCarried appends a baseline that was known when the segment began.
func appendCarried(b []byte, o *route.Observation, at time.Time) []byte {
	return appendBaseline(b, o, at, route.NoteCarried.String())
}

// appendMark appends what is no observation.
func appendMark(b []byte, m route.Mark) []byte {
	b = appendHead(b, "heartbeat", m.At)
	b = append(b, `,"source":"signalbox","routes":[]`...)
	switch m.Note {
	case route.NoteJump:
		b = appendTime(b, "sent", m.At.Add(m.By))
	case route.NoteGap:
		b = append(b, `,"messages":`...)
		b = strconv.AppendUint(b, m.Missing, 10)
	case route.NoteOrder:
		b = appendOrder(b, m.Order)
	}
	b = appendText(b, "note", m.Note.String())
	return append(b, '}', '\n')
}

// appendOrder appends what an operator ordered.
func appendOrder(b []byte, o *route.Order) []byte {
	data, err := json.Marshal(o)
	if err != nil {
		return b // texts and moments always marshal
	}
	return append(appendName(b, "order"), data...)
}

func appendID(b []byte, o *route.Observation) []byte {
	if o.Kind == route.KindProbe {
		return b
	}
	b = append(b, `,"id":"h:`...)
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[o.Hash>>shift&15])
	}
	return append(b, '"')
}

// appendTime appends a moment, exact to the nanosecond; nothing where it is zero.
func appendTime(b []byte, name string, at time.Time) []byte {
	if at.IsZero() {
		return b
	}
	b = appendName(b, name)
	b = append(b, '"')
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendSeconds appends a latency in seconds, exact to the nanosecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	b = appendName(b, "latency")
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	b = append(b, '.')
	rest := int64(d % time.Second)
	for unit := int64(100_000_000); unit > 0; unit /= 10 {
		b = append(b, byte('0'+rest/unit%10))
	}
	return b
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendText(b []byte, name, text string) []byte { return appendString(appendName(b, name), text) }

// appendString appends a JSON text.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendQuoted(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendQuoted(b []byte, s string) []byte {
	data, _ := json.Marshal(s) // texts always marshal
	return append(b, data...)
}

// maxCode is how long a code may be in a line that is read.
const maxCode = 32

// appendCode appends a code, unless it is one that no line may have: some formats of receipts put sentences there.
func appendCode(b []byte, code string) []byte {
	if code == "" || len(code) > maxCode {
		return b
	}
	for i := range len(code) {
		if code[i] < ' ' || code[i] == 0x7f {
			return b
		}
	}
	return appendText(b, "code", code)
}
