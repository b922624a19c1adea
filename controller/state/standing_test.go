package state

import (
	"testing"
	"time"
)

// published is when every table of these tests is.
var published = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// said is one word of a sender: the generation, whether it applied it, and when, counted from the table in force.
type said struct {
	n       uint64
	applied bool
	at      time.Duration
}

func TestHowASenderStands(t *testing.T) {
	const inForce = 5
	for name, tc := range map[string]struct {
		said     []said
		now      time.Duration
		standing string
		behind   time.Duration
		lags     bool
	}{
		"it runs the one in force":               {[]said{{5, true, time.Second}}, time.Minute, senderCurrent, 0, false},
		"an older one, within the grace":         {[]said{{4, true, -time.Hour}, {4, true, time.Minute}}, 2 * time.Minute, senderBehind, 2 * time.Minute, false},
		"an older one, beyond the grace":         {[]said{{4, true, -time.Hour}, {4, true, time.Minute}}, 2*time.Minute + time.Second, senderBehind, 2*time.Minute + time.Second, true},
		"first heard of long after":              {[]said{{4, true, time.Hour}}, time.Hour + time.Minute, senderBehind, time.Minute, false},
		"and still old":                          {[]said{{4, true, time.Hour}, {4, true, time.Hour + time.Minute}}, time.Hour + 3*time.Minute, senderBehind, 3 * time.Minute, true},
		"other old ones count as one lag":        {[]said{{4, true, -time.Hour}, {3, true, time.Minute}, {4, true, 2 * time.Minute}}, 3 * time.Minute, senderBehind, 3 * time.Minute, true},
		"a newer one than is in force":           {[]said{{9, true, -time.Hour}, {9, true, time.Minute}}, 3 * time.Minute, senderBehind, 3 * time.Minute, true},
		"it refused the one in force":            {[]said{{4, true, -time.Hour}, {5, false, time.Second}}, time.Second, senderRefused, time.Second, true},
		"it began with refusing it":              {[]said{{5, false, time.Second}}, time.Second, senderRefused, 0, true},
		"it ran it and now refuses it":           {[]said{{5, true, time.Second}, {5, false, time.Minute}}, time.Minute, senderRefused, time.Minute - time.Second, true},
		"it refused it and then took it":         {[]said{{5, false, time.Second}, {5, true, time.Minute}}, time.Hour, senderCurrent, 0, false},
		"it runs it and refused an older one":    {[]said{{5, true, time.Second}, {4, false, time.Minute}}, 10 * time.Minute, senderCurrent, 0, false},
		"it refused an older one and runs older": {[]said{{3, true, -time.Hour}, {4, false, time.Second}}, 3 * time.Minute, senderBehind, 3 * time.Minute, true},
		"refused for an hour without a word":     {[]said{{5, false, 0}}, time.Hour + time.Second, senderSilent, time.Hour + time.Second, false},
		"old and not heard of for an hour":       {[]said{{4, true, 0}}, time.Hour + time.Second, senderSilent, time.Hour + time.Second, false},
		"current and not heard of for an hour":   {[]said{{5, true, 0}}, time.Hour + time.Second, senderSilent, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := New()
			if err := m.Publish(encoded(t, table(inForce))); err != nil {
				t.Fatal(err)
			}
			for _, s := range tc.said {
				if err := m.PutSender(Sender{Name: "gw-1", Generation: gen(s.n), Applied: s.applied, Seen: published.Add(s.at)}); err != nil {
					t.Fatal(err)
				}
			}
			now := published.Add(tc.now)
			got := m.Standings(now)[0]
			if got.Standing != tc.standing || got.Behind != tc.behind.Seconds() {
				t.Errorf("got %s, behind for %vs, want %s for %s", got.Standing, got.Behind, tc.standing, tc.behind)
			}
			if lags := m.Lagging(now); (len(lags) == 1) != tc.lags || tc.lags && lags[0] != got {
				t.Errorf("lagging: got %v, want %t", lags, tc.lags)
			}
		})
	}
}

func TestASenderKeepsWhatItRuns(t *testing.T) {
	m := New()
	var got Sender
	for i, tc := range []struct {
		said
		runs  uint64
		since time.Duration
	}{
		{said{7, false, 0}, 0, 0},
		{said{6, true, time.Minute}, 6, time.Minute},
		{said{6, true, 2 * time.Minute}, 6, time.Minute},
		{said{7, false, 3 * time.Minute}, 6, time.Minute},
		{said{7, true, 4 * time.Minute}, 7, 4 * time.Minute},
		{said{6, true, 5 * time.Minute}, 6, 5 * time.Minute},
	} {
		if err := m.PutSender(Sender{Name: "gw-1", Generation: gen(tc.n), Applied: tc.applied, Seen: published.Add(tc.at)}); err != nil {
			t.Fatal(err)
		}
		got = m.Senders()[0]
		if i == 0 {
			if !got.RunsSince.IsZero() {
				t.Errorf("it has told of none that it runs: got %s since %s", got.Runs, got.RunsSince)
			}
			continue
		}
		if got.Runs != gen(tc.runs) || got.RunsSince != published.Add(tc.since) {
			t.Errorf("word %d: got %s since %s, want 1-%d since %s", i, got.Runs, got.RunsSince, tc.runs, published.Add(tc.since))
		}
	}
}

func TestBeforeTheFirstTableNobodyLags(t *testing.T) {
	m := New()
	if err := m.PutSender(Sender{Name: "gw-1", Generation: gen(4), Applied: true, Seen: published}); err != nil {
		t.Fatal(err)
	}
	if lags := m.Lagging(published.Add(10 * time.Minute)); len(lags) != 0 {
		t.Errorf("got %v, want none", lags)
	}
}

// While a route is ramped back a table comes each half minute: whoever stays with the one before lags all the same.
func TestWhoStaysBehindManyTablesLags(t *testing.T) {
	for name, last := range map[string]uint64{"a few": 12, "more than are remembered": turnsKept + 12} {
		t.Run(name, func(t *testing.T) {
			m := New()
			at := published
			say := func(sender string, n uint64) {
				if err := m.PutSender(Sender{Name: sender, Generation: gen(n), Applied: true, Seen: at}); err != nil {
					t.Fatal(err)
				}
			}
			for n := uint64(5); n <= last; n++ {
				x := table(n)
				at = published.Add(time.Duration(n-5) * 30 * time.Second)
				x.PublishedAt = at
				if err := m.Publish(encoded(t, x)); err != nil {
					t.Fatal(err)
				}
				say("follows", n)
				say("stays", 5)
				wantLag := n-5 > 5 // the second table came half a minute after the first
				if lags := m.Lagging(at); (len(lags) == 1) != wantLag || wantLag && lags[0].Name != "stays" {
					t.Fatalf("at table %d: got %+v lagging, want it to be so: %t", n, lags, wantLag)
				}
			}
			at = at.Add(time.Second)
			say("stays", last)
			if lags := m.Lagging(at); len(lags) != 0 {
				t.Errorf("once it follows: got %+v", lags)
			}
		})
	}
}
