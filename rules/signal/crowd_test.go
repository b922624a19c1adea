package signal

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// crowded are the crowds of traffic by minute.
func crowded(minutes ...int) *crowds {
	c := &crowds{}
	for m, n := range minutes {
		for i := range n {
			c.note(int64(m)*ticksPerMid + int64(i)%ticksPerMid + firstTick)
		}
	}
	return c
}

const firstTick = 1000 * ticksPerTen

// each is n minutes alike.
func alike(n, each int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = each
	}
	return out
}

func TestCrowds(t *testing.T) {
	for _, c := range []struct {
		claim   string
		minutes []int
		minute  int     // that is weighed
		want    float64 // messages that its messages count for
	}{
		{"steady traffic counts as it is", alike(60, 600), 59, 600},
		{"so does a swing to four times the usual", append(alike(30, 100), 400), 30, 400},
		{"and few messages, however sudden", append(alike(30, 0), 50), 30, 50},
		{"a campaign counts as fifteen", append(alike(30, 12), 10000), 30, 15},
		{"while it lasts", append(alike(30, 12), 2500), 30, 15},
		{"after it is over", append(alike(30, 12), 10000, 12, 12), 30, 15},
		{"and leaves its neighbours alone", append(alike(30, 12), 10000, 12), 31, 12},
		{"over two minutes of one ten it is one", append(alike(30, 12), 6000, 4000, 12), 30, 9},
		{"over two tens it is two", append(alike(39, 12), 6000, 4000, 12), 39, 15},
		{"a campaign that is all the traffic is one", append(append([]int{10000}, alike(59, 0)...), 10000), 60, 15},
		{"a route that takes over is none", []int{0, 0, 600, 600}, 3, 600},
		{"one that carried little before is one at first", append(alike(10, 12), 600, 600), 11, 7.5},
		{"and after some minutes usual", append(alike(10, 12), alike(12, 600)...), 21, 600},
		{"a surge is usual once it has lasted half an hour", append(alike(60, 12), alike(32, 600)...), 91, 600},
	} {
		w := crowded(c.minutes...)
		n := float64(c.minutes[c.minute])
		if got := n * w.weight(firstTick+int64(c.minute)*ticksPerMid, 1, 0); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v messages, want %v", c.claim, got, c.want)
		}
	}
}

// However cohorts merge, their messages count for the same, or, where they are correlated, for no more.
func TestCrowdsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := append(append([]int{60}, alike(9, 0)...), // it is remembered from the first busy minute on
			rapid.SliceOfN(rapid.SampledFrom([]int{0, 3, 12, 40, 60, 200, 3000}), 10, 140).Draw(t, "minutes")...)
		together := rapid.SampledFrom([]float64{0, 0.05}).Draw(t, "together")
		w := crowded(append(minutes, 0)...)
		w.note(firstTick + int64(len(minutes)+2)*ticksPerMid) // the last minute has ended, and the one after it
		from := max(1, (len(minutes)+2-int(minutesKept))/10+1) * 10
		for ten := from; ten+10 <= len(minutes); ten += 10 {
			start := firstTick + int64(ten)*ticksPerMid
			sum, all := 0.0, 0.0
			for m := range int64(10) {
				n := float64(minutes[ten+int(m)])
				sum, all = sum+n*w.weight(start+m*ticksPerMid, ticksPerMid, together), all+n
			}
			got := all * w.weight(start, ticksPerTen, together)
			if got > sum+1e-4 || together == (0) && math.Abs(got-sum) > 1e-4 {
				t.Fatalf("ten from minute %d: got %v messages, want the %v of its minutes", ten, got, sum)
			}
		}
	})
}

// What the numbers of a crowd are chosen for.
func TestACrowdOfWhichAThirdFailsIsNotSuspect(t *testing.T) {
	n := testNormal()
	evidence := func(failed float64, crowds float64) float64 {
		d := n.status * (1 - failed)
		s := sums{delivered: crowdCounts * crowds * d, failed: crowdCounts * crowds * (1 - d), usual: crowdCounts * crowds * n.status}
		return s.failure(1 - Tolerance)
	}
	for _, c := range []struct {
		claim      string
		got        float64
		over, most float64
	}{
		{"one with a list of which 30 % are dead is not suspect", evidence(0.3, 1), 1, suspectNats},
		{"two together are no proof", evidence(0.3, 2), 1, 12},
		{"one that fails throughout is proof", evidence(0.99, 1), 12, math.Inf(1)},
		{"one of which two thirds fail is proof", evidence(0.667, 1), 12, math.Inf(1)},
	} {
		if !(c.got > c.over && c.got < c.most) {
			t.Errorf("%s: got %.1f nats, want %v to %v", c.claim, c.got, c.over, c.most)
		}
	}
	if independent := float64(crowdLeast) * klBernoulli(n.status*0.7, n.status*(1-Tolerance)); independent < 11 {
		t.Errorf("%d independent messages of which a third fails give %.1f nats: fewer than so many need no crowd", crowdLeast, independent)
	}
}
