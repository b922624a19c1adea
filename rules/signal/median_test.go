package signal

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func TestMedianIsInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "values")
		sorted := slices.Clone(values)
		slices.Sort(sorted)
		m := medianOf(values)
		if m.Routes != int64(len(sorted)) || m.Known() != (len(sorted) > 0) {
			t.Fatalf("got %d routes of %d", m.Routes, len(sorted))
		}
		below, above := 0, 0
		for _, v := range sorted {
			if v < m.Value {
				below++
			}
			if v > m.Value {
				above++
			}
		}
		if half := len(sorted) / 2; below > half || above > half {
			t.Errorf("%v: %d below and %d above %v", sorted, below, above, m.Value)
		}
	})
}

// The median is over the others' messages of the time that is shown of the route, and leaves the route itself out.
func TestOthersAreThoseOfTheSameTime(t *testing.T) {
	const to = 20 * time.Minute
	lists := [][]event{beats("node", 0, to, "a", "b", "c", "d", "e")}
	for i, h := range []health{{delivered: .20}, {delivered: .90, converted: .5}, {delivered: .70, slower: 2}, {delivered: .60}} {
		s := traffic{route: route.ID(rune('a' + i)), rate: 8, to: to, source: "node", seed: uint64(60 + i), converts: true, health: func(at time.Duration) health {
			if at < to/2 && i > 0 {
				return health{delivered: -1, failed: -1} // long ago
			}
			return h
		}}
		lists = append(lists, s.tells(), s.events())
	}
	var last []route.Signals
	asks := ask("a", "b", "c", "d", "e")
	for i := range asks[:4] {
		asks[i].After = epoch.Add(to/2 + time.Second)
	}
	play(allows(30*time.Second), merged(lists...), asks, to, func(_ time.Duration, s []route.Signals) { last = s })
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > .04 {
			t.Errorf("%s: got %.3f, want %.3f", name, got, want)
		}
	}
	o := last[0].Others // of b, c and d
	near("delivery", o.Delivery.Value, .70)
	near("within", o.Within.Value, .70*delayCDF(15))
	near("conversion", o.Conversion.Value, .48)
	p95 := []route.Duration{last[1].Latency.P95, last[2].Latency.P95, last[3].Latency.P95}
	slices.Sort(p95)
	if o.Delivery.Routes != 3 || o.Latency.Routes != 3 || o.Latency.Value != p95[1] || o.Better != 1 || o.Compared != 3 {
		t.Errorf("got %+v, of percentiles %v", o, p95)
	}
	if m := last[1].Others.Delivery; m.Routes != 3 || math.Abs(m.Value-.65) > .12 { // of a, c and d, over a few messages
		t.Errorf("of b: got %+v", m)
	}
	if o := last[4].Others; last[4].Delivery.Known || o.Delivery.Known() || o.Within.Known() || o.Latency.Known() || o.Conversion.Known() {
		t.Errorf("a route without messages has no time to compare: got %+v", o)
	}
}

func TestOthersAreUnknownWhereThereAreNone(t *testing.T) {
	s := traffic{rate: 2, to: 10 * time.Minute, seed: 1}
	var last route.Signals
	play(allows(30*time.Second), timedTraffic(s), ask("acme", "idle"), s.to, func(_ time.Duration, x []route.Signals) { last = x[0] })
	if o := last.Others; !last.Delivery.Known || o != (route.Others{}) {
		t.Errorf("got %+v", o)
	}
}

func TestMediansOfManyRoutesAreOfSome(t *testing.T) {
	for routes, want := range map[int]int{1: 1, 2: 1, 33: 1, 34: 2, 65: 2, 66: 3, 1000: 32} {
		if got := strideOf(routes); got != want {
			t.Errorf("%d routes: got every %d, want every %d", routes, got, want)
		}
	}
}
