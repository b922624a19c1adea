package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"signalbox/rules/route"
)

// FuzzDecoder holds the decoder to three promises: it never panics; every line that is not blank is accepted or refused,
// once and in order; and what it accepts keeps the bounds and says what encoding/json reads in the same line.
func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		`{"type":"submit","time":"2026-11-23T10:00:00.120Z","id":"m-1","route":"acme-uk","class":"otp","network":"234-15","result":"refused","code":"0x58","latency":0.041}`,
		`{"type":"receipt","time":1795428004.1,"id":"m-9","route":"a","class":"otp","network":"234-15","submit_time":1795428001.0,"status":"failed","code":11}`,
		`{"type":"conversion","time":1.795428e9,"id":"\ud83d\ude00","route":"a","x":[{"y":[null,true]}]}`,
		`{"type":"probe","time":1795428071,"route":"a","network":"GB","probe":"handset","ok":true,"latency":6.2,"sent":1795428064.8,"sent":null}`,
		"{\"type\":\"heartbeat\",\"time\":1795428011,\"source\":\"gw-1\",\"routes\":[\"a\",\"b\"]}\r\n\n  \n{}\nx",
		`{"type":"baseline","time":1795428011,"route":"a","class":"otp","network":"GB","delivered":0.9,"failed":0.1,"ages":[1,2],"cdf":[0.5,1],"messages":10}`,
		`{"type":"receipt","time":"2026-11-23T12:00:00+02:00","id":"+447700900123","route":"a","status":"enroute"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(bytes.NewReader(data), DecoderOptions{})
		lines := bytes.Split(data, []byte("\n"))
		var o route.Observation
		for last := 0; ; {
			line, err := d.Next(&o)
			if err == io.EOF {
				skipped(t, lines, last, len(lines)+1)
				return
			}
			if line <= last || line > len(lines) {
				t.Fatalf("got line %d after %d of %d", line, last, len(lines))
			}
			skipped(t, lines, last, line)
			last = line
			checkLine(t, lines[line-1], &o, err)
		}
	})
}

// skipped demands that the lines between two that were answered are blank.
func skipped(t *testing.T, lines [][]byte, after, before int) {
	for i := after + 1; i < before; i++ {
		if len(bytes.TrimSpace(lines[i-1])) > 0 {
			t.Fatalf("line %d was neither accepted nor refused: %q", i, lines[i-1])
		}
	}
}

func checkLine(t *testing.T, line []byte, o *route.Observation, err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		if refusal.Why == "" || len(refusal.Why) > 1024 || !utf8.ValidString(refusal.Why) {
			t.Fatalf("got the reason %q, want a sentence", refusal.Why)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	checkBounds(t, line, o)
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var oracle map[string]any
	if err := dec.Decode(&oracle); err != nil {
		t.Fatalf("%q was accepted, but is no JSON: %v", line, err)
	}
	checkOracle(t, oracle, o)
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkBounds(t *testing.T, line []byte, o *route.Observation) {
	if len(line) > maxLine+1 || len(o.Message) > maxID || len(o.Code) > maxCode || len(o.Routes) > maxRoutes || isPhone([]byte(o.Message)) || isPhone([]byte(o.Code)) {
		t.Fatalf("%q: got %+v, beyond the bounds", line, o)
	}
	names := []string{string(o.Class), o.Source, o.Probe}
	for _, r := range append(o.Routes, o.Route) {
		names = append(names, string(r))
	}
	for _, name := range names {
		if name != "" && !namePattern.MatchString(name) {
			t.Fatalf("%q: got the name %q", line, name)
		}
	}
	if _, err := route.ParseNetwork(string(o.Network)); o.Network != "" && err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for _, at := range []time.Time{o.Time, o.Submitted, o.Sent} {
		if !at.IsZero() && (at.Year() < 2000 || at.Year() > 2099) {
			t.Fatalf("%q: got the time %v", line, at)
		}
	}
	if o.Time.IsZero() || o.Latency < 0 || o.Latency > maxLatency || o.Baseline != nil && o.Baseline.Check() != nil {
		t.Fatalf("%q: got %+v", line, o)
	}
	if o.Kind != route.KindHeartbeat && o.Route == "" || o.Kind <= route.KindConversion && o.Message == "" {
		t.Fatalf("%q: got %+v, without a required field", line, o)
	}
}

func checkOracle(t *testing.T, oracle map[string]any, o *route.Observation) {
	text := func(name, got string) {
		if want, _ := oracle[name].(string); got != "" && got != want {
			t.Fatalf("%s: got %q, want %q", name, got, want)
		}
	}
	text("route", string(o.Route))
	text("class", string(o.Class))
	text("network", string(o.Network))
	text("source", o.Source)
	text("probe", o.Probe)
	if id, _ := oracle["id"].(string); !isPhone([]byte(id)) {
		text("id", o.Message)
	}
	if n, ok := oracle["code"].(json.Number); ok && o.Code != "" {
		if o.Code != n.String() {
			t.Fatalf("code: got %q, want %s", o.Code, n)
		}
	} else {
		text("code", o.Code)
	}
	if o.Kind == route.KindReceipt {
		text("status", o.Status.String())
	}
	checkTime(t, oracle["time"], o.Time)
	checkTime(t, oracle["submit_time"], o.Submitted)
	checkTime(t, oracle["sent"], o.Sent)
	if n, ok := oracle["latency"].(json.Number); ok && o.Latency != 0 {
		if want, _ := n.Float64(); math.Abs(o.Latency.Seconds()-want) > 2e-9 {
			t.Fatalf("latency: got %v, want %s", o.Latency, n)
		}
	}
	if o.Kind == route.KindHeartbeat {
		if want := oracle["routes"].([]any); len(want) != len(o.Routes) {
			t.Fatalf("got %d routes, want %d", len(o.Routes), len(want))
		}
	}
}

func checkTime(t *testing.T, oracle any, got time.Time) {
	if got.IsZero() {
		return
	}
	switch v := oracle.(type) {
	case string:
		if want, err := time.Parse(time.RFC3339Nano, v); err != nil || !want.Equal(got) {
			t.Fatalf("time: got %v, want %q %v", got, v, err)
		}
	case json.Number:
		want, err := strconv.ParseFloat(v.String(), 64)
		if err != nil || math.Abs(float64(got.UnixNano())/1e9-want) > 1e-6 {
			t.Fatalf("time: got %v, want %s %v", got, v, err)
		}
	default:
		t.Fatalf("time: got %v, want none of %v", got, oracle)
	}
}

func TestFuzzSeedsAreLines(t *testing.T) {
	// The oracle is worth nothing if it never sees an accepted line.
	d := NewDecoder(strings.NewReader(string(traffic(10))), DecoderOptions{})
	var o route.Observation
	for i, line := range strings.Split(strings.TrimSpace(string(traffic(10))), "\n") {
		if n, err := d.Next(&o); err != nil || n != i+1 {
			t.Fatalf("got line %d %v, want %d", n, err, i+1)
		}
		checkLine(t, []byte(line), &o, nil)
	}
}
