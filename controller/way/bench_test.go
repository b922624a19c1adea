package way

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"signalbox/rules/route"
)

// traffic are submits and receipts of so many messages over 20 routes and 5 networks, in batches of 500.
func traffic(messages int) [][]route.Observation {
	var all []route.Observation
	for i := range messages {
		r := route.ID(fmt.Sprint("route-", i%20))
		s := submit(fmt.Sprint("m-", i), r, time.Duration(i)*time.Millisecond)
		s.Network, s.Latency, s.Used = route.Network(fmt.Sprintf("234-%02d", 10+i%5)), 40*time.Millisecond, route.Generation{Epoch: 1, Number: 42}
		d := s
		d.Kind, d.Status, d.Final, d.Submitted, d.Time, d.Code = route.KindReceipt, route.StatusDelivered, true, s.Time, s.Time.Add(3*time.Second), "000"
		all = append(all, s, d)
	}
	var out [][]route.Observation
	for len(all) > 0 {
		n := min(500, len(all))
		out, all = append(out, all[:n]), all[n:]
	}
	return out
}

// BenchmarkTook takes observations into a window that is full, so that each message makes room first.
func BenchmarkTook(b *testing.B) {
	for _, c := range []struct {
		name string
		o    Options
	}{{"all", Options{Kept: DefaultKept}}, {"tenth", Options{Kept: DefaultKept, Sample: 0.1}}, {"off", Options{}}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWay(b, c.o)
			for _, batch := range traffic(2 * DefaultKept) {
				w.Took(batch, noon)
			}
			batches := traffic(5000) // few, as they come from a decoder that has just written them
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				batch := batches[n%len(batches)]
				for i := range batch {
					batch[i].Hash += 7 // other messages each time around
				}
				w.Took(batch, noon)
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*500), "ns/event")
		})
	}
}

func BenchmarkMemory(b *testing.B) {
	var before, after runtime.MemStats
	batches := traffic(DefaultKept)
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := newWay(b, Options{Kept: DefaultKept})
		for _, batch := range batches {
			w.Took(batch, noon)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(w.ring.n), "B/message")
		runtime.KeepAlive(w)
	}
}

func TestTheSteadyPathAllocatesNothing(t *testing.T) {
	w := newWay(t, Options{Kept: 1000})
	batches := traffic(2000)
	for _, batch := range batches {
		w.Took(batch, noon)
	}
	n := 0
	if got := testing.AllocsPerRun(50, func() {
		w.Took(batches[n%len(batches)], noon)
		n++
	}); got > 0 {
		t.Errorf("got %g allocations for 500 observations, want none", got)
	}
}
