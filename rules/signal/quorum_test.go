package signal

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// seenFrom tells an account the results of a probe from a place, one each ten seconds, up to now.
func seenFrom(a *account, place string, now time.Time, results ...bool) {
	for i, ok := range results {
		at := now.Add(time.Duration(i-len(results)+1) * 10 * time.Second)
		a.probe(&route.Observation{Kind: route.KindProbe, Probe: "bind", Source: place, Time: at, OK: ok}, now)
	}
}

func bindOf(a *account, now time.Time) route.Probe {
	return a.probeSignals(route.Lane{Class: "otp", Network: "GB"}, now)["bind"]
}

var (
	bad  = []bool{false, false, false, false}
	good = []bool{true, true, true, true, true}
)

func TestMostPlacesMustAgree(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		places              [][]bool
		failures, successes int64
	}{
		"one that fails":                  {[][]bool{bad}, 4, 0},
		"two that fail":                   {[][]bool{bad, bad}, 4, 0},
		"one of two":                      {[][]bool{bad, good}, 0, 0},
		"one of three is cut off":         {[][]bool{good, bad, good}, 0, 5},
		"two of three fail":               {[][]bool{bad, good, bad}, 4, 0},
		"two of three, since not so long": {[][]bool{bad, good, {true, false, false}}, 2, 0},
		"two of five":                     {[][]bool{bad, bad, good, good, good}, 0, 5},
		"three of five":                   {[][]bool{bad, bad, bad, good, good}, 4, 0},
	} {
		var a account
		for i, results := range c.places {
			seenFrom(&a, fmt.Sprint("place ", i), now, results...)
		}
		got := bindOf(&a, now)
		if !got.Known || got.Failures != c.failures || got.Successes != c.successes {
			t.Errorf("%s: got %d failures and %d successes, want %d and %d", name, got.Failures, got.Successes, c.failures, c.successes)
		}
		if want := int64(len(c.places)); len(c.places) > 1 && got.Places != want || len(c.places) == 1 && got.Places != 0 {
			t.Errorf("%s: got %d places", name, got.Places)
		}
	}
}

// A place that tells nothing any more drops out; those that are left decide.
func TestPlacesWithoutNewsDoNotCount(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	var a account
	seenFrom(&a, "amsterdam", now.Add(-time.Hour), good...)
	seenFrom(&a, "berlin", now.Add(-2*time.Hour), good...)
	if got := bindOf(&a, now); got.Known || got.Age.D() < time.Hour || got.Age.D() > 61*time.Minute {
		t.Errorf("nobody has news: got %+v, want unknown and the youngest age", got)
	}
	seenFrom(&a, "cork", now, bad...)
	if got := bindOf(&a, now); !got.Known || got.Failures != 4 || got.Places != 1 {
		t.Errorf("got %+v, want what the one with news says", got)
	}
}

// One place of three or more can say what it likes: what most of the others agree on stays between what they say.
func TestOneLyingPlaceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		results := rapid.SliceOfN(rapid.Bool(), 3, 10)
		honest := results.Draw(t, "honest")
		n := rapid.IntRange(2, 4).Draw(t, "places")
		var with, without account
		for i := range n {
			seenFrom(&with, fmt.Sprint("place ", i), now, honest...)
			seenFrom(&without, fmt.Sprint("place ", i), now, honest...)
		}
		seenFrom(&with, "liar", now, results.Draw(t, "lies")...)
		got, want := bindOf(&with, now), bindOf(&without, now)
		if got.Failures != want.Failures || got.Successes != want.Successes || got.OK != want.OK {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestHandsetsOfMostPlacesSpeak(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	var a account
	tell := func(place string, ok bool, n int) {
		for i := range n {
			a.probe(&route.Observation{Kind: route.KindProbe, Probe: handset, Source: place, Time: now.Add(time.Duration(i-n) * time.Second), OK: ok}, now)
		}
	}
	lane := route.Lane{Class: "otp", Network: "GB"}
	tell("liar", false, 10)
	tell("berlin", true, 4)
	tell("cork", true, 5)
	if ok, failed := a.since(lane, now.Add(-time.Hour)); ok != 4 || failed != 0 {
		t.Errorf("got %d and %d, want the 4 of the place in the middle", ok, failed)
	}
	if ok, failed := a.since(lane, now); ok != 0 || failed != 0 {
		t.Errorf("of none that was sent since: got %d and %d", ok, failed)
	}
}
