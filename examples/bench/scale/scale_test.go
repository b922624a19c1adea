package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

var small = size{routes: 10, networks: 5, classes: []route.Class{"otp", "bulk"}, live: 0.2, mix: []flow{{0.5, 1}, {0.5, 0.2}}, told: true, history: 20 * time.Minute}

func TestLiveKeysAreJudgedAndOthersAreNot(t *testing.T) {
	w := build(small)
	if n := w.round(); n < 20 || n > 20+len(w.lanes) || small.keys() != 100 {
		t.Fatalf("%d of %d judged, want 20 of 100, and the first of each lane", n, small.keys())
	}
	known := 0
	for _, lane := range w.lanes {
		for _, id := range w.book.Live(lane) {
			s := w.book.Judge(route.Scope{Lane: lane}, []route.Inquiry{{Route: id}}, w.now())[0]
			if !s.Delivery.Known {
				t.Errorf("%v %v: %s", lane, id, s.Delivery.Cause)
			}
			if s.Delivery.Evidence > 8 || s.Delivery.Ratio < 0.8 && s.Delivery.Messages > 50 {
				t.Errorf("%v %v is accused: %+v", lane, id, s.Delivery)
			}
			known++
		}
	}
	if stats := w.book.Stats(); known != 20 || stats.Overflow+stats.Late+stats.Unserved > 0 {
		t.Errorf("%d known, %+v", known, stats)
	}
}

func TestMeasuredSays(t *testing.T) {
	larger := small
	larger.live = 0.4
	all := measured(build(small), build(larger))
	if all[1].live != 40 || all[1].bytes <= all[0].bytes {
		t.Errorf("the larger world: %+v", all[1])
	}
	r := all[0]
	if r.keys != 100 || r.live != 20 || r.judged < 20 || math.Abs(r.messages-12) > 0.001 || r.bytes == 0 || r.worst < r.round {
		t.Errorf("got %+v", r)
	}
}

func TestPlotIsWellFormedAndSaysTheNumbers(t *testing.T) {
	svg := plot([]result{{live: 3000, round: 21 * time.Millisecond, worst: 30 * time.Millisecond, bytes: 12e6}, {live: 60000, round: 420 * time.Millisecond, worst: 612 * time.Millisecond, bytes: 246e6}})
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{">21<", ">420<", ">12<", ">246<", ">3k<", ">60k<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("nothing says %s", want)
		}
	}
}
