package state

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"signalbox/rules/route"
)

func rows(at time.Time, lanes ...string) (out []LaneRow) {
	for _, c := range lanes {
		out = append(out, LaneRow{Class: route.Class(c), Network: "GB", At: at, Routes: []RouteRow{{Route: "acme-uk"}}})
	}
	return out
}

func TestPutLanesReplacesAll(t *testing.T) {
	m := New()
	if got := m.Lanes(); len(got) != 0 {
		t.Errorf("a new model: got %v, want no lanes", got)
	}
	for _, put := range [][]LaneRow{rows(time.Time{}, "z", "a", "m"), rows(time.Time{}, "m", "z")} {
		if err := m.PutLanes(put); err != nil {
			t.Fatal(err)
		}
		got := m.Lanes()
		if len(got) != len(put) {
			t.Fatalf("got %d lanes, want %d", len(got), len(put))
		}
		for i := range got {
			if got[i].Class != put[i].Class {
				t.Errorf("lane %d: got %s, want %s", i, got[i].Class, put[i].Class)
			}
		}
	}
	if l, ok := m.Lane(route.Lane{Class: "m", Network: "GB"}); !ok || l.Class != "m" {
		t.Errorf("m/GB: got %v, %t", l, ok)
	}
	if _, ok := m.Lane(route.Lane{Class: "a", Network: "GB"}); ok {
		t.Error("a/GB is still there")
	}
}

func TestLanesAreOfOneMoment(t *testing.T) {
	m := New()
	start := time.Unix(1795428000, 0)
	put := func(i int) {
		if err := m.PutLanes(rows(start.Add(time.Duration(i)*time.Second), "a", "b", "c")); err != nil {
			t.Error(err)
		}
	}
	put(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 500 {
			put(i)
		}
	})
	for range 500 {
		got := m.Lanes()
		if len(got) != 3 || got[0].At != got[1].At || got[1].At != got[2].At {
			t.Fatalf("got %v, want three lanes of one moment", got)
		}
	}
	wg.Wait()
}

func TestSenderSince(t *testing.T) {
	m := New()
	start := time.Unix(1795428000, 0)
	say := func(after time.Duration, n uint64, applied bool) Sender {
		t.Helper()
		if err := m.PutSender(Sender{Name: "gw-1", Generation: gen(n), Applied: applied, Seen: start.Add(after)}); err != nil {
			t.Fatal(err)
		}
		return m.Senders()[0]
	}
	for _, tc := range []struct {
		claim   string
		after   time.Duration
		n       uint64
		applied bool
		since   time.Duration
	}{
		{"the first word", 0, 1, true, 0},
		{"the same again", time.Minute, 1, true, 0},
		{"a new generation, refused", 2 * time.Minute, 2, false, 2 * time.Minute},
		{"applied after all", 3 * time.Minute, 2, true, 3 * time.Minute},
	} {
		s := say(tc.after, tc.n, tc.applied)
		if s.Since != start.Add(tc.since) || s.Seen != start.Add(tc.after) {
			t.Errorf("%s: got since %s, seen %s, want %s and %s", tc.claim, s.Since, s.Seen, start.Add(tc.since), start.Add(tc.after))
		}
	}
}

func TestSendersAreBounded(t *testing.T) {
	m := New()
	start := time.Unix(1795428000, 0)
	put := func(name string, at time.Time) error {
		return m.PutSender(Sender{Name: name, Generation: gen(1), Applied: true, Seen: at})
	}
	for i := range maxSenders {
		if err := put(fmt.Sprintf("gw-%05d", i), start.Add(time.Duration(i)*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("one-more", start.Add(time.Minute)); !errors.Is(err, ErrFull) {
		t.Errorf("one more: got %v, want ErrFull", err)
	}
	if err := put("gw-00000", start.Add(time.Minute)); err != nil {
		t.Errorf("one that is known: got %v", err)
	}
	if err := put("one-more", start.Add(2*idleSender)); err != nil {
		t.Errorf("one more, when others have been silent: got %v", err)
	}
	all := m.Senders()
	if len(all) != maxSenders || all[0].Name != "gw-00000" || all[1].Name != "gw-00002" {
		t.Errorf("got %d senders from %s and %s, want %d without gw-00001", len(all), all[0].Name, all[1].Name, maxSenders)
	}
	if err := put("", start); err == nil {
		t.Error("no name: got no error")
	}
}
