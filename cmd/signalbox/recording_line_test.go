package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/controller/recording"
	"signalbox/probes/ingest"
	"signalbox/rules/route"
)

// record writes what do hands to a recorder, and returns the lines of the segments.
func record(t testing.TB, do func(*recording.Recorder)) string {
	dir := t.TempDir()
	r, err := recording.New(recording.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	do(r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil { // it writes what it has been handed
		t.Fatal(err)
	}
	segments, err := recording.Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, s := range segments {
		f, err := recording.Open(s.Path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&out, f); err != nil || f.Torn() != nil {
			t.Fatal(err, f.Torn())
		}
		f.Close()
	}
	return out.String()
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 123_456_789, time.UTC)

func moments(t *rapid.T, name string) time.Time {
	return noon.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, name)))
}

// lineOf draws a line as a source may write it.
func lineOf(t *rapid.T) string {
	stamp := func(name string) string { return moments(t, name).Format(time.RFC3339Nano) }
	key := fmt.Sprintf(`"route":%q,"class":"otp","network":%q`, rapid.SampledFrom([]string{"acme", "b-1"}).Draw(t, "route"), rapid.SampledFrom([]string{"234-15", "GB", "*"}).Draw(t, "network"))
	id := fmt.Sprintf(`"id":"m-%d"`, rapid.IntRange(0, 9).Draw(t, "id"))
	code := rapid.SampledFrom([]string{"", `,"code":"0x58"`, `,"code":"a \"b\\ \u00fc"`, `,"code":"ESME_RSYSERR"`, `,"code":11`, `,"code":"+447700900123"`, `,"to":"+447700900123","text":"+447700900123 is the number"`, `,"latency":0.041000007`, `,"source":"gw-1"`}).Draw(t, "more")
	when := `"time":"` + stamp("time") + `"`
	switch rapid.IntRange(0, 6).Draw(t, "type") {
	case 0:
		return fmt.Sprintf(`{"type":"submit",%s,%s,%s,"result":%q%s}`, when, id, key, rapid.SampledFrom([]string{"accepted", "refused", "timeout"}).Draw(t, "result"), code)
	case 1:
		return fmt.Sprintf(`{"type":"receipt",%s,%s,"route":"acme","status":%q%s}`, when, id, rapid.SampledFrom([]string{"delivered", "failed", "enroute", "unknown"}).Draw(t, "status"), code)
	case 2:
		return fmt.Sprintf(`{"type":"receipt",%s,%s,%s,"submit_time":%q,"status":"expired"%s}`, when, id, key, stamp("submitted"), code)
	case 3:
		return fmt.Sprintf(`{"type":"conversion",%s,%s,"route":"acme"}`, when, id)
	case 4:
		return fmt.Sprintf(`{"type":"probe",%s,"route":"acme","probe":"bind","ok":%v,"sent":%q%s}`, when, rapid.Bool().Draw(t, "ok"), stamp("sent"), code)
	case 5:
		return fmt.Sprintf(`{"type":"heartbeat",%s,"source":"gw-1","routes":["acme","b-1"]}`, when)
	}
	return fmt.Sprintf(`{"type":"baseline",%s,%s,"delivered":0.9461234567,"failed":0.02,"conversion":0.81,"ages":[1.5,2,300],"cdf":[0.1,0.7,1],"conversion_cdf":[0,0.5,1],"messages":5000.25}`, when, key)
}

// TestWhatIsRecordedIsWhatWasTaken joins random lines as the daemon does, records them, and reads the recording.
func TestWhatIsRecordedIsWhatWasTaken(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		joiner, err := ingest.NewJoiner(ingest.JoinerOptions{MaxMessages: 1, MaxEarly: 2})
		if err != nil {
			rt.Fatal(err)
		}
		type taken struct {
			o    route.Observation
			mark route.Mark
		}
		var want []taken
		text := record(t, func(r *recording.Recorder) {
			r.Begin(route.Mark{Note: route.NoteStart, At: noon}, nil)
			want = append(want, taken{mark: route.Mark{Note: route.NoteStart, At: noon}})
			for n := range rapid.IntRange(1, 30).Draw(rt, "lines") {
				at := noon.Add(time.Duration(n) * time.Millisecond)
				var batch []route.Observation
				d := ingest.NewDecoder(bytes.NewReader([]byte(lineOf(rt))), ingest.DecoderOptions{})
				var o route.Observation
				if _, err := d.Next(&o); err != nil {
					rt.Fatal(err)
				}
				joiner.Join(&o, func(o *route.Observation) {
					c := *o
					c.Message = ""
					batch = append(batch, c)
					if c.Kind != route.KindDuplicate {
						want = append(want, taken{c, route.Mark{At: at}})
					}
				})
				r.Took(batch, at)
			}
			for _, m := range []route.Mark{{Note: route.NoteRound, At: noon}, {Note: route.NoteJump, At: noon, By: -time.Hour - 1}, {Note: route.NoteHeld, At: noon}, {Note: route.NoteUnkept, At: noon},
				{Note: route.NoteOrder, At: noon, Order: &route.Order{Actor: "ann", Reason: "it \"swallows\"", Override: &route.Override{Kind: route.Drain, Class: "otp", Network: "GB", Route: "a", Until: noon}}}} {
				r.Mark(m)
				want = append(want, taken{mark: m})
			}
		})
		if strings.Contains(text, `"m-`) || strings.Contains(text, "4477009") {
			rt.Fatalf("got an id or a number in\n%s", text)
		}
		d := ingest.NewDecoder(bytes.NewReader([]byte(text)), ingest.DecoderOptions{Recorded: true})
		for i := 0; ; i++ {
			var o route.Observation
			_, err := d.Next(&o)
			if err == io.EOF && i == len(want) {
				break
			}
			if err != nil || i >= len(want) {
				rt.Fatalf("line %d of %d: %v\n%s", i, len(want), err, text)
			}
			if !reflect.DeepEqual(d.Mark(), want[i].mark) {
				rt.Fatalf("line %d: got mark %+v, want %+v", i, d.Mark(), want[i].mark)
			}
			if want[i].mark.Note == route.NoteTaken && !reflect.DeepEqual(counted(o), counted(want[i].o)) {
				rt.Fatalf("line %d:\ngot  %+v\nwant %+v", i, counted(o), counted(want[i].o))
			}
		}
	})
}

// counted is an observation without what nothing that judges looks at: what a receipt was before it counted as none, and
// whose fault a submit was that became a receipt.
func counted(o route.Observation) route.Observation {
	o.Message = ""
	if o.Kind == route.KindReceipt || o.Kind == route.KindLost {
		o.Result, o.Fault, o.Latency = 0, 0, 0
	}
	return o
}

// TestARecordingThatIsPostedDoesNoHarm reads a recording as lines that somebody posts.
func TestARecordingThatIsPostedDoesNoHarm(t *testing.T) {
	text := record(t, func(r *recording.Recorder) {
		r.Begin(route.Mark{Note: route.NoteStart, At: noon}, nil)
		r.Took([]route.Observation{
			{Kind: route.KindSubmit, Time: noon, Route: "acme", Class: "otp", Network: "GB", Hash: 7},
			{Kind: route.KindLost, Time: noon, Submitted: noon, Route: "acme", Class: "otp", Network: "GB", Hash: 9},
		}, noon)
		r.Mark(route.Mark{Note: route.NoteJump, At: noon, By: time.Hour})
		r.Mark(route.Mark{Note: route.NoteRound, At: noon})
	})
	d := ingest.NewDecoder(bytes.NewReader([]byte(text)), ingest.DecoderOptions{})
	var kinds []route.Kind
	for {
		var o route.Observation
		if _, err := d.Next(&o); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if o.Kind == route.KindHeartbeat && len(o.Routes) > 0 || o.Kind == route.KindReceipt && o.Status.Final() {
			t.Errorf("got %+v", o)
		}
		kinds = append(kinds, o.Kind)
	}
	want := []route.Kind{route.KindHeartbeat, route.KindSubmit, route.KindReceipt, route.KindHeartbeat, route.KindHeartbeat}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("got kinds %v, want %v", kinds, want)
	}
}

// TestOnlySegmentsMayEndInTheMiddle cuts a recording, and the same bytes under the name of any file.
func TestOnlySegmentsMayEndInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	r, err := recording.New(recording.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	err = incidentTo(r)
	cancel()
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	segments, err := recording.Segments(dir)
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	data, err := os.ReadFile(segments[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	short := data[:len(data)*2/3]
	for name, want := range map[string]int{"20260302T030000Z-000001.ndjson.zst": exitDone, "events.ndjson.zst": exitWrong} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, short, 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"replay", "--policy", "testdata/policy", path}, &stdout, &stderr); code != want {
			t.Errorf("%s: got exit code %d, want %d: %s", name, code, want, &stderr)
		}
		if want == exitDone && (!strings.Contains(stdout.String(), `"to":"demoted"`) || !strings.Contains(stderr.String(), "ends in the middle")) {
			t.Errorf("%s: got %s and %s", name, &stdout, &stderr)
		}
	}
}

// TestAGapIsSaid replays a recording that the disk did not take all of.
func TestAGapIsSaid(t *testing.T) {
	dir := t.TempDir()
	r, err := recording.New(recording.Options{Dir: dir, Queue: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.Begin(route.Mark{Note: route.NoteStart, At: noon}, nil)
	o := route.Observation{Kind: route.KindSubmit, Time: noon, Route: "acme-uk", Class: "otp", Network: "234-15"}
	r.Took([]route.Observation{o, o, o}, noon)
	r.Took([]route.Observation{o}, noon)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"replay", "--policy", "testdata/policy", dir}, &stdout, &stderr)
	if want := "signalbox: at 2026-03-02T12:00:00Z the recording misses 3 lines, which the disk did not take; what is decided after it may differ from what was\n"; code != exitDone || stderr.String() != want {
		t.Errorf("got %d and %q, want %q", code, stderr.String(), want)
	}
}
