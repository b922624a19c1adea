package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func windowOf(t testing.TB, text string) *Window {
	t.Helper()
	return &mustParse(t, skeleton+"calendars: {holidays: [2026-12-25, 2026-12-28..2027-01-01]}\nwindows: [{name: w, freeze: changes, "+text+"}]\n").Windows[0]
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWindowsOpenAndClose(t *testing.T) {
	for _, c := range []struct{ claim, window, moment, ends string }{
		{"a weekend", "days: [sat, sun], zone: Europe/London", "2026-11-28T12:00:00Z", "2026-11-30T00:00:00Z"},
		{"not on a Friday", "days: [sat, sun], zone: Europe/London", "2026-11-27T23:59:59Z", ""},
		{"Saturday begins where the zone says", "days: [sat, sun], zone: Asia/Kolkata", "2026-11-27T18:30:00Z", "2026-11-29T18:30:00Z"},
		{"outside office hours, before", "outside: {from: '10:00', to: '21:00'}, zone: Asia/Kolkata", "2026-11-25T03:00:00Z", "2026-11-25T04:30:00Z"},
		{"outside office hours, after", "outside: {from: '10:00', to: '21:00'}, zone: Asia/Kolkata", "2026-11-25T15:30:00Z", "2026-11-26T04:30:00Z"},
		{"within office hours", "outside: {from: '10:00', to: '21:00'}, zone: Asia/Kolkata", "2026-11-25T15:29:59Z", ""},
		{"a night that began yesterday", "days: [fri], from: '22:00', to: '02:30'", "2026-11-28T02:29:00Z", "2026-11-28T02:30:00Z"},
		{"is none where yesterday is not its day", "days: [fri], from: '22:00', to: '02:30'", "2026-11-27T02:29:00Z", ""},
		{"a holiday", "calendars: [holidays]", "2026-12-25T08:00:00Z", "2026-12-26T00:00:00Z"},
		{"holidays in a row end with the last", "calendars: [holidays]", "2026-12-29T08:00:00Z", "2027-01-02T00:00:00Z"},
		{"a weekend with a holiday behind it", "days: [sat, sun], calendars: [holidays]", "2026-12-26T08:00:00Z", "2027-01-04T00:00:00Z"},
		{"the hour that the clocks skip", "from: '01:00', to: '03:00', zone: Europe/London", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"},
		{"until midnight", "from: '20:00', to: '24:00'", "2026-11-25T23:59:59Z", "2026-11-26T00:00:00Z"},
		{"for ever", "zone: UTC", "2026-11-25T23:59:59Z", "never"},
	} {
		w, moment := windowOf(t, c.window), at(t, c.moment)
		if open := c.ends != ""; w.Open(moment) != open {
			t.Errorf("%s: got open %t, want %t", c.claim, !open, open)
		}
		switch ends := w.Ends(moment); {
		case c.ends == "never" && !ends.IsZero(), c.ends != "" && c.ends != "never" && !ends.Equal(at(t, c.ends)):
			t.Errorf("%s: got an end at %s, want %s", c.claim, ends, c.ends)
		}
	}
}

func TestWindowsConcernTheLanesTheyName(t *testing.T) {
	w := windowOf(t, "class: [otp], network: [GB]")
	for lane, want := range map[route.Lane]bool{{Class: "otp", Network: "GB"}: true, {Class: "otp", Network: "234-15"}: true, {Class: "bulk", Network: "GB"}: false,
		{Class: "otp", Network: "FR"}: false, {Class: "otp", Network: "*"}: false} {
		if w.Concerns(lane) != want {
			t.Errorf("%s: got %t, want %t", lane, !want, want)
		}
	}
}

// Whatever the window, it is open until it ends, closed then, and knows afterwards when it ended.
func TestWindowsKnowTheirEnds(t *testing.T) {
	texts := []string{"days: [sat, sun], zone: Europe/London", "outside: {from: '10:00', to: '21:00'}, zone: Asia/Kolkata", "days: [fri], from: '22:00', to: '02:30', zone: America/New_York",
		"from: '22:00', to: '02:30'", "calendars: [holidays], from: '08:00', to: '17:00', zone: Europe/Berlin"}
	var windows []*Window
	for _, text := range texts {
		windows = append(windows, windowOf(t, text))
	}
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(windows).Draw(t, "window")
		moment := time.Unix(rapid.Int64Range(1767225600, 1798761600).Draw(t, "moment"), 0).UTC()
		if !w.Open(moment) {
			return
		}
		ends := w.Ends(moment)
		if ends.IsZero() || !ends.After(moment) || w.Open(ends) || !w.Open(ends.Add(-time.Second)) {
			t.Fatalf("%s: open at %s, got an end at %s", w.Name, moment, ends)
		}
		if got := w.Ended(ends.Add(time.Minute), time.Hour); !w.Open(ends.Add(time.Minute)) && !got.Equal(ends) {
			t.Fatalf("got %s as the last end a minute after %s", got, ends)
		}
	})
}
