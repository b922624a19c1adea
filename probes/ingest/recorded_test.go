package ingest

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func recordedLine(t *testing.T, text string, recorded bool) (route.Observation, route.Mark, error) {
	t.Helper()
	d := NewDecoder(strings.NewReader(text), DecoderOptions{Recorded: recorded})
	var o route.Observation
	_, err := d.Next(&o)
	return o, d.Mark(), err
}

func TestLinesOfARecording(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 1, 0, time.UTC)
	receipt := `{"type":"receipt","time":"2026-11-23T10:00:00Z","id":"h:00000000000000ff","route":"a","class":"otp","network":"GB","submit_time":"2026-11-23T09:59:50Z","status":"delivered","at":"2026-11-23T10:00:01Z","note":"`
	submit := `{"type":"submit","time":"2026-11-23T10:00:00Z","id":"h:00000000000000ff","route":"a","class":"otp","network":"GB","result":"refused"`
	mark := `{"type":"heartbeat","time":"2026-11-23T10:00:01Z","source":"signalbox","routes":[]`
	for _, c := range []struct {
		name, text string
		kind       route.Kind
		final      bool
		waited     bool
		fault      route.Fault
		mark       route.Mark
	}{
		{"the first final receipt", receipt + `final"}`, route.KindReceipt, true, false, 0, route.Mark{At: at}},
		{"one that waited", receipt + `final-waited"}`, route.KindReceipt, true, true, 0, route.Mark{At: at}},
		{"one that waited and is not final", receipt + `waited"}`, route.KindReceipt, false, true, 0, route.Mark{At: at}},
		{"one that waits", receipt + `early"}`, route.KindEarly, false, false, 0, route.Mark{At: at}},
		{"one of no message", receipt + `unmatched"}`, route.KindUnmatched, false, false, 0, route.Mark{At: at}},
		{"one that contradicts", receipt + `contradiction"}`, route.KindContradiction, false, false, 0, route.Mark{At: at}},
		{"a message that was forgotten", receipt + `lost"}`, route.KindLost, false, false, 0, route.Mark{At: at}},
		{"a submit that was withdrawn", submit + `,"submit_time":"2026-11-23T09:59:50Z","note":"withdrawn"}`, route.KindWithdrawn, false, false, route.FaultRoute, route.Mark{}},
		{"whose fault it is, though the code does not say so", submit + `,"code":"busy","fault":"capacity"}`, route.KindSubmit, false, false, route.FaultCapacity, route.Mark{}},
		{"a round", mark + `,"note":"round"}`, route.KindHeartbeat, false, false, 0, route.Mark{Note: route.NoteRound, At: at}},
		{"a jump back", mark + `,"sent":"2026-11-23T09:00:01Z","note":"jump"}`, route.KindHeartbeat, false, false, 0, route.Mark{Note: route.NoteJump, At: at, By: -time.Hour}},
		{"a gap", mark + `,"messages":17,"note":"gap"}`, route.KindHeartbeat, false, false, 0, route.Mark{Note: route.NoteGap, At: at, Missing: 17}},
		{"an order", mark + `,"order":{"end":"1-2-3","actor":"ann"},"note":"order"}`, route.KindHeartbeat, false, false, 0, route.Mark{Note: route.NoteOrder, At: at, Order: &route.Order{End: "1-2-3", Actor: "ann"}}},
	} {
		o, m, err := recordedLine(t, c.text, true)
		if err != nil || o.Kind != c.kind || o.Final != c.final || o.Waited != c.waited || o.Fault != c.fault || !reflect.DeepEqual(m, c.mark) {
			t.Errorf("%s: got %+v, %+v, %v", c.name, o, m, err)
		}
		if o.Kind != route.KindHeartbeat && o.Hash != 255 {
			t.Errorf("%s: got hash %x, want ff", c.name, o.Hash)
		}
		if o, m, err := recordedLine(t, c.text, false); err != nil || o.Final || o.Kind > route.KindHeartbeat || !reflect.DeepEqual(m, route.Mark{}) {
			t.Errorf("%s, posted: got %+v, %+v, %v, want what any line of its type says", c.name, o, m, err)
		}
	}
}

func TestLinesThatNoRecordingHas(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"type":"conversion","time":1795428000,"id":"m","route":"a","note":"final"}`, `note: want what a recording may say of such a line, got "final"`},
		{`{"type":"receipt","time":1795428000,"id":"m","route":"a","status":"failed","note":"lost"}`, `note: want what a recording may say of such a line, got "lost"`},
		{`{"type":"conversion","time":1795428000,"id":"m","route":"a","note":"round"}`, `note: want what a recording may say of such a line, got "round"`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":"jump"}`, `note: want what`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":"gap","messages":-1}`, `note: want what`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":"order"}`, `note: want what`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":"order","order":"drain"}`, `note: want what`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":"order","order":{"override":7}}`, `note: want what`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"note":7}`, `note: want what a recording may say of such a line, got 7`},
		{`{"type":"heartbeat","time":1795428000,"source":"s","routes":[],"at":"noon"}`, `at: want a time of RFC 3339`},
		{`{"type":"receipt","time":1795428000,"id":"m","route":"a","status":"failed","fault":"route"}`, `fault: want route, capacity, message or config, of a submit`},
		{`{"type":"submit","time":1795428000,"id":"m","route":"a","class":"otp","network":"GB","fault":"mine"}`, `fault: want route, capacity, message or config, of a submit, got "mine"`},
	} {
		_, _, err := recordedLine(t, c.text, true)
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Why, c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// FuzzRecorded holds the reading of recordings to what a replay rests on: it never panics, marks are none but those there
// are, and what joining made of a line has what counting it needs.
func FuzzRecorded(f *testing.F) {
	for _, seed := range []string{
		`{"type":"receipt","time":1795428004.1,"id":"h:00000000000000ff","route":"a","class":"otp","network":"GB","submit_time":1795428001.0,"status":"failed","at":1795428004.2,"note":"final"}`,
		`{"type":"submit","time":1795428004,"id":"h:zz","route":"a","class":"otp","network":"GB","result":"refused","submit_time":1795428001.0,"fault":"message","note":"withdrawn"}`,
		`{"type":"heartbeat","time":1795428004,"source":"signalbox","routes":[],"sent":1,"note":"jump"}`,
		`{"type":"heartbeat","time":1795428004,"source":"signalbox","routes":[],"messages":1e400,"note":"gap"}`,
		`{"type":"heartbeat","time":1795428004,"source":"signalbox","routes":[],"order":{"override":{"kind":"drain","until":"2026-11-23T10:00:01Z"}},"note":"order"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(bytes.NewReader(data), DecoderOptions{Recorded: true})
		for {
			var o route.Observation
			_, err := d.Next(&o)
			if err == io.EOF {
				return
			}
			if err != nil {
				continue
			}
			m := d.Mark()
			if m.Note > route.NoteOrder || (m.Note == route.NoteOrder) != (m.Order != nil) || m.Note >= route.NoteStart && o.Kind != route.KindHeartbeat || m.Note == route.NoteCarried && o.Baseline == nil {
				t.Errorf("got %+v with the mark %+v", o, m)
			}
			if (o.Kind == route.KindLost || o.Kind == route.KindWithdrawn) && (o.Submitted.IsZero() || o.Class == "") {
				t.Errorf("got %+v, which counts nowhere", o)
			}
		}
	})
}
