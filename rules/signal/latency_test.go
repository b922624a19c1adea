package signal

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// allows is a book with one lane whose class allows within.
func allows(within time.Duration) *Book {
	b := New(Options{})
	b.SetLanes([]route.Lane{testLane}, map[route.Class]Terms{"otp": {Within: within}})
	return b
}

// timedTraffic is what play needs of a stream from the node, with heartbeats and the true baseline.
func timedTraffic(s traffic) []event {
	s.source = "node"
	return merged(s.tells(), s.events(), beats("node", 0, s.to, s.named().route))
}

func TestLatenessIsFound(t *testing.T) {
	const from = 15 * time.Minute
	for _, c := range []struct {
		claim  string
		sick   health
		rate   float64
		within time.Duration
		late   float64 // least share of the evidence that late receipts prove; below 0: at most its negation
	}{
		{"four times slower, 10/s", health{slower: 4}, 10, 30 * time.Second, 0},
		{"four times slower, 1/s", health{slower: 4}, 1, 150 * time.Second, .2},
		{"ten times slower, 1/s", health{slower: 10}, 1, 60 * time.Second, 0},
		{"four times slower, 0.2/s", health{slower: 4}, .2, 8 * time.Minute, .2},
		{"nothing comes, which is later than anything", health{delivered: -1, failed: -1}, 1, 60 * time.Second, -.1},
	} {
		t.Run(c.claim, func(t *testing.T) {
			for seed := range uint64(3) {
				s := traffic{rate: c.rate, to: from + c.within + time.Minute, health: onset(from, c.sick), seed: seed}
				found, last := time.Duration(0), route.Latency{}
				play(allows(30*time.Second), timedTraffic(s), ask("acme"), from+c.within, func(at time.Duration, x []route.Signals) {
					l := x[0].Latency
					if found == 0 && l.Evidence >= enough {
						found = at
					}
					last = l
				})
				t.Logf("seed %d: found after %v, %+v", seed, found-from, last)
				if found < from {
					t.Fatalf("seed %d: found at %v, want between %v and %v", seed, found, from, from+c.within)
				}
				if share := last.Lateness / last.Evidence; c.late > 0 && share < c.late || c.late < 0 && share > -c.late {
					t.Errorf("seed %d: late receipts prove %.2f of the evidence, want %.2f", seed, share, c.late)
				}
			}
		})
	}
}

// What is no lateness makes no evidence of it: failures are answers, and half again as slow is tolerated.
func TestWhatIsNoLateness(t *testing.T) {
	for claim, h := range map[string]health{
		"healthy":            {},
		"half again as slow": {slower: 1.5},
		"refused":            {refused: 1},
		"failures, at once":  {delivered: .30, failed: .675},
		"3 % fewer come":     {delivered: .925},
	} {
		s := traffic{rate: 2, to: 30 * time.Minute, health: onset(15*time.Minute, h), seed: 9}
		worst := 0.0
		play(allows(30*time.Second), timedTraffic(s), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { worst = math.Max(worst, x[0].Latency.Evidence) })
		if worst >= 8 {
			t.Errorf("%s: got %.1f nats", claim, worst)
		}
	}
}

// The percentiles are those of the world, to the error of the sketch and of the sample.
func TestPercentilesAreThoseOfTheRoute(t *testing.T) {
	for _, slower := range []float64{1, 3} {
		s := traffic{rate: 10, to: 20 * time.Minute, health: func(time.Duration) health { return health{slower: slower} }, seed: 4}
		var last route.Latency
		play(allows(2*time.Minute), timedTraffic(s), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { last = x[0].Latency })
		for name, c := range map[string]struct {
			got  route.Duration
			want float64
		}{"p50": {last.P50, 5.1 * slower}, "p95": {last.P95, 42 * slower}, "baseline p95": {last.BaselineP95, 42}} {
			if got := c.got.D().Seconds(); math.Abs(got-c.want) > .15*c.want {
				t.Errorf("%v times slower: %s: got %v s, want %v", slower, name, got, c.want)
			}
		}
		if last.P99 != 0 {
			t.Errorf("%v times slower: p99 is %v, and nobody can know it before half an hour", slower, last.P99)
		}
	}
}

func TestWithinIsWhatTheClassAllows(t *testing.T) {
	for _, c := range []struct {
		within time.Duration
		slower float64
		want   float64
	}{
		{30 * time.Second, 1, normalDelivered * delayCDF(30)},
		{45 * time.Second, 1, normalDelivered * delayCDF(45)}, // between two edges of receiptAges
		{7 * time.Second, 1, normalDelivered * delayCDF(7)},
		{20 * time.Minute, 1, normalDelivered * delayCDF(1200)},
		{45 * time.Second, 4, normalDelivered * delayCDF(45/4.0)},
	} {
		s := traffic{rate: 10, to: 30 * time.Minute, health: func(time.Duration) health { return health{slower: c.slower} }, seed: 3}
		var last route.Within
		play(allows(c.within), timedTraffic(s), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
			if last = x[0].Within; at > 2*time.Minute && at < c.within && last.Known {
				t.Errorf("%v: known at %v, when no message is so old", c.within, at)
			}
		})
		if !last.Known || math.Abs(last.Ratio-c.want) > .02 || last.Low > c.want || last.High < c.want || last.Limit.D() != c.within {
			t.Errorf("%v, %v times slower: got %+v, want %.3f", c.within, c.slower, last, c.want)
		}
		if usual := normalDelivered * delayCDF(c.within.Seconds()); math.Abs(last.Baseline-usual) > .01 {
			t.Errorf("%v: got baseline %.3f, want %.3f", c.within, last.Baseline, usual)
		}
		if bad := c.slower > 1; bad != (last.Evidence >= enough) {
			t.Errorf("%v, %v times slower: got %.1f nats", c.within, c.slower, last.Evidence)
		}
	}
}

// Unknown is not bad: each of these has a cause, and no numbers.
func TestTimesThatCannotBeTold(t *testing.T) {
	day := 24 * time.Hour
	stream := traffic{rate: 2, to: 10 * time.Minute, seed: 2}
	for _, c := range []struct {
		claim           string
		within          time.Duration
		events          func() []event
		latency, inTime string
	}{
		{"a silent source", 30 * time.Second, func() []event {
			return without(timedTraffic(stream), 9*time.Minute, hour, func(*event) bool { return true })
		}, "no event and no heartbeat from node for more than 25s", "no event and no heartbeat from node for more than 25s"},
		{"no baseline", 30 * time.Second, func() []event { return timedTraffic(stream)[1:] }, "the baseline is cold: it rests on 0 of the 500 mature messages that it takes to act", "the baseline is cold: it rests on 0 of the 500 mature messages that it takes to act"},
		{"messages too young", 30 * time.Second, func() []event {
			s := stream
			s.from = s.to - 8*time.Second
			return timedTraffic(s)
		}, "no message is old enough yet: it takes 10s", "no message is old enough yet: it takes 30s"},
		{"no messages", 30 * time.Second, func() []event { return merged(stream.tells(), beats("node", 0, stream.to)) }, "no messages of late", "no messages of late"},
		{"a class that says nothing", 0, func() []event { return timedTraffic(stream) }, "", "the class does not say within which time a message should arrive"},
		{"a class that waits for days", 2 * day, func() []event { return timedTraffic(stream) }, "", "the class allows 2d, which is longer than messages are kept"},
		{"two clocks", 30 * time.Second, func() []event {
			s := stream
			return merged(s.tells(), told(skewed(s.events(), 0, 12*time.Second), "gw", "dlr", ""), beats("gw", 0, s.to), skewed(beats("dlr", 0, s.to), 0, 12*time.Second))
		}, "the clocks of gw, which tells of submits, and dlr, which brings receipts, differ by 12s, or what one of them tells arrives so late", "the clocks of gw, which tells of submits, and dlr, which brings receipts, differ by 12s, or what one of them tells arrives so late"},
	} {
		var last route.Signals
		play(allows(c.within), c.events(), ask("acme"), stream.to, func(_ time.Duration, x []route.Signals) { last = x[0] })
		if l := last.Latency; l.Known != (c.latency == "") || l.Cause != c.latency || !l.Known && (l.Evidence != 0 || l.P95 != 0 || l.Messages != 0) {
			t.Errorf("%s: got latency %+v, want unknown: %q", c.claim, l, c.latency)
		}
		if w := last.Within; w.Known != (c.inTime == "") || w.Cause != c.inTime || !w.Known && (w.Ratio != 0 || w.Messages != 0) {
			t.Errorf("%s: got within %+v, want unknown: %q", c.claim, w, c.inTime)
		}
	}
}

// Where receipts have never come on a route whose baseline is its pool's, nobody knows whether it brings any.
func TestARouteWithoutReceiptsIsNotLate(t *testing.T) {
	told := traffic{route: "bolt", rate: 2, to: 10 * time.Minute, source: "node", seed: 1}
	mute := traffic{rate: 2, to: 10 * time.Minute, source: "node", seed: 2, health: func(time.Duration) health { return health{delivered: -1, failed: -1} }}
	var last route.Latency
	play(allows(30*time.Second), merged(told.tells(), told.events(), mute.events(), beats("node", 0, told.to, "acme", "bolt")), ask("acme", "bolt"), told.to,
		func(_ time.Duration, x []route.Signals) { last = x[0].Latency })
	if want := "no receipt has come back on the route yet"; last.Known || last.Cause != want {
		t.Errorf("got %+v, want unknown: %s", last, want)
	}
}

// Messages from before a change of what the class allows were counted by the old limit.
func TestWithinChangesWithTheClass(t *testing.T) {
	s := traffic{rate: 10, to: 20 * time.Minute, seed: 3}
	b, changed, first := allows(30*time.Second), false, time.Duration(0)
	var last route.Within
	play(b, timedTraffic(s), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
		last = x[0].Within
		switch {
		case at == 10*time.Minute:
			b.SetLanes([]route.Lane{testLane}, map[route.Class]Terms{"otp": {Within: 7 * time.Second}})
			changed = true
		case changed && first == 0 && last.Known:
			first = at
			if last.Limit.D() != 7*time.Second || last.Messages > 200 {
				t.Errorf("at %v: got %+v", at, last)
			}
		}
	})
	if first < 10*time.Minute+7*time.Second || first > 11*time.Minute || math.Abs(last.Ratio-normalDelivered*delayCDF(7)) > .02 {
		t.Errorf("first known at %v, at the end %+v", first, last)
	}
}

// A route that is out for lateness has recovered once its receipts are quick again, and not before.
func TestRecoveryFromLateness(t *testing.T) {
	const from, well = 15 * time.Minute, 25 * time.Minute
	asks := []route.Inquiry{{Route: "acme", After: epoch.Add(16 * time.Minute), Accused: route.Accused{Latency: .4}, Peace: time.Minute}}
	for _, c := range []struct {
		claim     string
		slower    float64 // after well
		recovered bool
	}{{"as quick as ever", 1, true}, {"still four times slower", 4, false}} {
		s := traffic{rate: 2, to: 30 * time.Minute, seed: 6, health: func(at time.Duration) health {
			switch {
			case at < from:
				return health{}
			case at < well:
				return health{slower: 4}
			}
			return health{slower: c.slower}
		}}
		var last route.Signals
		play(allows(30*time.Second), timedTraffic(s), asks, s.to, func(at time.Duration, x []route.Signals) {
			if last = x[0]; at > 17*time.Minute && at < well && last.Latency.Recovered > 0 {
				t.Errorf("%s: recovered by %.1f nats at %v, while it was slow", c.claim, last.Latency.Recovered, at)
			}
		})
		if got := last.Latency.Recovered >= 4.6; got != c.recovered || c.recovered != last.Latency.Troubled.IsZero() {
			t.Errorf("%s: got %+v", c.claim, last.Latency)
		}
	}
}

// Peers are compared by lateness on the same messages.
func TestPeersOfALateRoute(t *testing.T) {
	sick := onset(10*time.Minute, health{slower: 4})
	a := traffic{route: "acme", rate: 3, to: 12 * time.Minute, health: sick, source: "node", seed: 1}
	b := traffic{route: "bolt", rate: 3, to: 12 * time.Minute, source: "node", seed: 2}
	c := traffic{route: "cell", rate: 3, to: 12 * time.Minute, health: sick, source: "node", seed: 3}
	var last []route.Signals
	play(allows(30*time.Second), merged(a.tells(), b.tells(), c.tells(), a.events(), b.events(), c.events(), beats("node", 0, a.to, "acme", "bolt", "cell")), ask("acme", "bolt", "cell"), a.to,
		func(_ time.Duration, s []route.Signals) { last = s })
	peers, o := last[0].Peers, last[0].Others
	if len(peers) != 2 || peers[0].Latency > route.ProvenBetter || peers[1].Latency < sharesTrouble {
		t.Errorf("got %+v", peers)
	}
	if o.Better != 1 || o.Compared != 2 || last[0].Suspect.Latency < .1 || last[0].Suspect.Latency > .9 {
		t.Errorf("got %+v, suspected of %+v", o, last[0].Suspect)
	}
}

// The evidence of a window is that of the sum of its parts, whichever node counted them.
func TestPunctualityMerges(t *testing.T) {
	draw := func(t *rapid.T, name string) timely {
		n := rapid.IntRange(0, 500).Draw(t, name)
		early := rapid.IntRange(0, n).Draw(t, name+" early")
		late := rapid.IntRange(0, n-early).Draw(t, name+" late")
		return timely{float64(n), float64(early), float64(late), float64(rapid.IntRange(0, n-early-late).Draw(t, name+" failed"))}
	}
	h := newHorizon(testNormal(), 10*time.Second, 0)
	rapid.Check(t, func(t *rapid.T) {
		x, y := draw(t, "x"), draw(t, "y")
		var parts, other, whole punctuality
		parts.add(&x, &h)
		parts.add(&y, &h)
		other.add(&y, &h)
		other.add(&x, &h)
		whole.add(&timely{x.sent + y.sent, x.early + y.early, x.late + y.late, x.failed + y.failed}, &h)
		for _, q := range []question{answeredInTime, deliveredInTime} {
			nats := func(p *punctuality) float64 { count, least := p.seen(q); return lateness(count, least, p.sent) }
			if a, b, c := nats(&parts), nats(&other), nats(&whole); math.Abs(a-b) > 1e-6 || math.Abs(a-c) > 1e-6 || a < 0 || math.IsNaN(a) || math.IsInf(a, 0) {
				t.Fatalf("got %v, %v and %v nats", a, b, c)
			}
		}
	})
}
