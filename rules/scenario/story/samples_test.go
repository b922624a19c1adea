package story

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spelt is samples written one by one.
func spelt(all []sample) string {
	var out []string
	for _, s := range all {
		switch s.kind {
		case sampleNone:
			out = append(out, "_")
		case sampleStale:
			out = append(out, "stale")
		default:
			out = append(out, strconv.FormatFloat(s.value, 'g', -1, 64))
		}
	}
	return strings.Join(out, " ")
}

func TestPromtoolsNotation(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"1", "1"},
		{"-2.5", "-2.5"},
		{"1e3", "1000"},
		{"1x4", "1 1 1 1 1"}, // a start and four more
		{"0x0", "0"},
		{"-2+4x3", "-2 2 6 10"},
		{"1-2x4", "1 -1 -3 -5 -7"},
		{"1+-2x2", "1 -1 -3"},
		{"1.5+0.25x2", "1.5 1.75 2"},
		{"_", "_"},
		{"_x5", "_ _ _ _ _"}, // five, not six
		{"_x0", ""},
		{"stale", "stale"},
	} {
		got, problem := readSamples(c.text, 0)
		if problem != "" || spelt(got) != c.want {
			t.Errorf("%s: got %q (%s), want %q", c.text, spelt(got), problem, c.want)
		}
	}
	for _, text := range []string{"", "x", "x5", "1x", "1+x5", "1+2", "NaN", "inf", "1x-1", "0x1f", "__", "_x", "stalex2", "1 2", "1x9999999", "1,5", "1x100000"} {
		if got, problem := readSamples(text, 0); problem == "" {
			t.Errorf("%q: got %d values, want none", text, len(got))
		}
	}
}

func TestASeriesIsBounded(t *testing.T) {
	if _, problem := readSamples("1x9", maxSamples-10); problem != "" {
		t.Errorf("got %q, want the last ten values taken", problem)
	}
	if _, problem := readSamples("1x10", maxSamples-10); problem == "" {
		t.Error("got one more than the bound, want it refused")
	}
}

func FuzzSamples(f *testing.F) {
	for _, seed := range []string{"1", "0x30", "1+2x10", "1-2x4", "_", "_x5", "stale", "-1.5e3-2x2", "1e15+1e15x3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, problem := readSamples(text, 0)
		if problem != "" {
			if all != nil {
				t.Errorf("got %d values and the problem %q", len(all), problem)
			}
			return
		}
		var again []sample
		for _, word := range strings.Fields(spelt(all)) {
			one, problem := readSamples(word, 0)
			if problem != "" && !strings.ContainsAny(word, "eE") {
				t.Fatalf("%q: what it means is spelt %q, which is refused: %s", text, word, problem)
			}
			again = append(again, one...)
		}
		if !strings.ContainsAny(spelt(all), "eE") && !slices.Equal(again, all) {
			t.Errorf("%q: got %s, and spelt out %s", text, spelt(all), spelt(again))
		}
	})
}

func TestWhatASeriesSaysAtAMoment(t *testing.T) {
	values := func(text string) series {
		var s series
		for _, word := range strings.Fields(text) {
			all, problem := readSamples(word, len(s.values))
			if problem != "" {
				t.Fatal(problem)
			}
			s.values = append(s.values, all...)
		}
		return s
	}
	const interval = 5 * time.Second
	for _, c := range []struct{ text, want string }{
		{"1 2", "1 2 _ _"},                     // after its end it says nothing
		{"1 _ 2", "1 _ 2 _"},                   // a value holds for one interval
		{"1 stale _ _", "1 stale stale stale"}, // what is stale stays so
		{"1 stale", "1 stale stale stale"},     // to the end
		{"stale _ 3 _", "stale stale 3 _"},
		{"_x4", "_ _ _ _"},
	} {
		s := values(c.text)
		var got []sample
		for i := range 4 {
			got = append(got, s.at(time.Duration(i)*interval, interval))
		}
		if spelt(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.text, spelt(got), c.want)
		}
	}
}
