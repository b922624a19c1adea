package ingest

import (
	"encoding/json"
	"strconv"

	"signalbox/rules/route"
)

// A recording has the lines of POST /events, joined: each receipt has the key and the submit time of its message, and ids
// are hashes. Four fields more say what was done with it, and whoever reads lines as they are posted skips them:
//
//	at     when it was taken, on the clock of the one who recorded; absent: when the line before was
//	note   how joining counted it, or that the line is no observation but what was done meanwhile
//	fault  of a refused submit, whose fault it is, where its code alone does not say it
//	order  what an operator ordered, where the note says that an order was obeyed
//
// What is no observation looks like a heartbeat of a source that reports for no route, or like a receipt that says
// nothing, so that a recording that is posted does no harm.

// What joining made of an observation, as the field note says it.
const (
	notedFinal         = "final"
	notedWaited        = "waited"
	notedFinalWaited   = "final-waited"
	notedFinalUndated  = "final-undated"
	notedEarly         = "early"
	notedUnmatched     = "unmatched"
	notedContradiction = "contradiction"
	notedWithdrawn     = "withdrawn"
	notedLost          = "lost"
)

const wantNote = "what a recording may say of such a line"

// recorded reads what a recording says beside the observation o of the line, and makes o what joining had made of it.
func (d *Decoder) recorded(o *route.Observation) bool {
	d.mark = route.Mark{At: d.mark.At}
	if d.has(fieldAt) && !d.time(fieldAt, &d.mark.At) {
		return false
	}
	if !d.fault(o) {
		return false
	}
	o.Hash = d.hashOf(fieldID)
	if !d.has(fieldNote) {
		return true
	}
	word, _ := d.text(fieldNote)
	if n, ok := route.ParseNote(string(word)); ok {
		return d.noted(o, n) || d.want(fieldNote, wantNote)
	}
	return d.joined(o, string(word)) || d.want(fieldNote, wantNote)
}

// fault reads whose fault a refused submit is, where a recording says it.
func (d *Decoder) fault(o *route.Observation) bool {
	if !d.has(fieldFault) {
		return true
	}
	word, _ := d.text(fieldFault)
	f, ok := route.ParseFault(string(word))
	if !ok || o.Kind != route.KindSubmit {
		return d.want(fieldFault, "route, capacity, message or config, of a submit")
	}
	o.Fault = f
	return true
}

// hashOf is the hash that an id of a recording is; 0 where it is none.
func (d *Decoder) hashOf(f field) uint64 {
	b, _ := d.text(f)
	if len(b) != len("h:0123456789abcdef") || b[0] != 'h' || b[1] != ':' {
		return 0
	}
	h, _ := strconv.ParseUint(alias(b[2:]), 16, 64) // 0 where it is no number
	return h
}

// noted reads a line that is more than an observation.
func (d *Decoder) noted(o *route.Observation, n route.Note) bool {
	d.mark.Note = n
	switch n {
	case route.NoteTaken:
		return true
	case route.NoteCarried:
		return o.Kind == route.KindBaseline
	}
	if o.Kind != route.KindHeartbeat {
		return false
	}
	d.mark.At = o.Time
	switch n {
	case route.NoteJump:
		if !d.time(fieldSent, &o.Sent) {
			return false
		}
		d.mark.By = o.Sent.Sub(o.Time)
	case route.NoteGap:
		missing := 0.0
		if !d.number(fieldMessages, &missing) || !(missing >= 0 && missing < 1<<53) {
			return false
		}
		d.mark.Missing = uint64(missing)
	case route.NoteOrder:
		d.mark.Order = d.order()
		return d.mark.Order != nil
	}
	return true
}

// order is what an operator ordered; nil where the line does not say it.
func (d *Decoder) order() *route.Order {
	t := d.scanner.tok[fieldOrder]
	if t.shape != shapeObject {
		return nil
	}
	var o route.Order
	if json.Unmarshal(d.scanner.line[t.lo:t.hi], &o) != nil {
		return nil
	}
	return &o
}

// joined makes o what joining had made of it.
func (d *Decoder) joined(o *route.Observation, word string) bool {
	answer := o.Kind == route.KindReceipt || o.Kind == route.KindConversion
	switch word {
	case notedFinal, notedFinalWaited, notedFinalUndated:
		o.Final, o.Waited, o.Undated = true, word == notedFinalWaited, word == notedFinalUndated
		return o.Kind == route.KindReceipt
	case notedWaited:
		o.Waited = true
		return answer
	case notedEarly:
		o.Kind = route.KindEarly
		return answer
	case notedUnmatched:
		o.Kind = route.KindUnmatched
		return answer
	case notedContradiction:
		o.Kind = route.KindContradiction
		return answer
	case notedLost:
		o.Kind = route.KindLost
		return answer && !o.Submitted.IsZero()
	case notedWithdrawn:
		was := o.Kind
		o.Kind = route.KindWithdrawn
		return was == route.KindSubmit && d.time(fieldSubmitTime, &o.Submitted)
	}
	return false
}

// Mark is what the recording said with the line that Next returned last: when it was taken and what it is. Where the line
// is no observation, what Next returned is to be counted nowhere.
func (d *Decoder) Mark() route.Mark { return d.mark }
