package signal

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"signalbox/rules/route"
)

// feeder brings steady traffic to a number of keys without making garbage: of every message, 95 in a hundred come back
// delivered after the same few ages.
type feeder struct {
	book *Book
	keys []route.Key
	at   time.Time
	obs  route.Observation
	n    int
}

func newFeeder(keys int) *feeder {
	f := &feeder{book: New(Options{}), at: epoch}
	f.book.SetLanes([]route.Lane{testLane}, nil)
	for i := range keys {
		f.keys = append(f.keys, route.Key{Route: route.ID(fmt.Sprintf("route-%03d", i)), Class: "otp", Network: "234-15"})
	}
	f.tell()
	return f
}

// tell tells the baseline of every key; conversions are not reported.
func (f *feeder) tell() {
	normal := toldBaseline(20000)
	normal.Conversion, normal.ConversionCDF = 0, nil
	for _, k := range f.keys {
		f.book.Observe(&route.Observation{Kind: route.KindBaseline, Time: f.at, Route: k.Route, Class: k.Class, Network: k.Network, Baseline: normal}, f.at)
	}
}

var feedAges = [...]time.Duration{1500 * time.Millisecond, 3 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second, 12 * time.Second, 25 * time.Second}

// tick feeds Tick's worth of messages at perTick to every key, and the receipts of such sent before.
func (f *feeder) tick(perTick int) {
	for i := range f.keys {
		k := &f.keys[i]
		for m := range perTick {
			at := f.at.Add(time.Duration(m) * Tick / time.Duration(perTick))
			f.obs = route.Observation{Kind: route.KindSubmit, Time: at, Source: "node-1", Route: k.Route, Class: k.Class, Network: k.Network, Latency: 40 * time.Millisecond}
			f.book.Observe(&f.obs, at)
			if f.n++; f.n*7919%1009 < 50 {
				continue
			}
			f.obs.Kind, f.obs.Status, f.obs.Final, f.obs.Submitted = route.KindReceipt, route.StatusDelivered, true, at.Add(-feedAges[f.n%len(feedAges)])
			f.book.Observe(&f.obs, at)
		}
	}
	f.at = f.at.Add(Tick)
}

func (f *feeder) asks() []route.Inquiry {
	var out []route.Inquiry
	for _, k := range f.keys {
		out = append(out, route.Inquiry{Route: k.Route})
	}
	return out
}

// spread replaces the keys by those of the same routes on a number of networks, and returns the lanes of the networks.
func (f *feeder) spread(networks int) []route.Lane {
	routes := f.keys
	f.keys = nil
	var lanes []route.Lane
	for i := range networks {
		l := route.Lane{Class: "otp", Network: route.Network(fmt.Sprintf("234-%02d", i))}
		lanes = append(lanes, l)
		for _, k := range routes {
			f.keys = append(f.keys, route.Key{Route: k.Route, Class: l.Class, Network: l.Network})
		}
	}
	f.book.SetLanes(lanes, nil)
	f.tell()
	return lanes
}

// BenchmarkObserve is the cost of one joined event: half of them submits, half receipts, over a hundred keys.
func BenchmarkObserve(b *testing.B) {
	f := newFeeder(100)
	var ring [512]route.Observation
	for i := range ring {
		k := f.keys[i/2%len(f.keys)]
		ring[i] = route.Observation{Kind: route.KindSubmit, Source: "node-1", Route: k.Route, Class: k.Class, Network: k.Network, Latency: 40 * time.Millisecond}
		if i%2 == 1 {
			ring[i].Kind, ring[i].Status, ring[i].Final = route.KindReceipt, route.StatusDelivered, true
		}
	}
	at, n := epoch, 0
	b.ReportAllocs()
	for b.Loop() {
		o := &ring[n%len(ring)]
		n++
		at = at.Add(500 * time.Microsecond)
		o.Time, o.Submitted = at, at.Add(-4*time.Second)
		f.book.Observe(o, at)
	}
}

// BenchmarkJudge is the cost of one judgement of one key under traffic, the making of its baseline and pace once a minute
// included. ns/op is of a whole round with its traffic.
func BenchmarkJudge(b *testing.B) {
	for _, c := range []struct {
		name    string
		perTick int
	}{{"idle", 0}, {"1msg/s", 5}, {"10msg/s", 50}} {
		b.Run(c.name, func(b *testing.B) { benchmarkJudge(b, c.perTick) })
	}
}

func benchmarkJudge(b *testing.B, perTick int) {
	const routes, networks = 4, 10
	f := newFeeder(routes)
	lanes := f.spread(networks)
	asks, rounds, spent, allocs := f.asks()[:routes], 0, time.Duration(0), uint64(0)
	beat := route.Observation{Kind: route.KindHeartbeat, Source: "node-1"}
	for _, a := range asks {
		beat.Routes = append(beat.Routes, a.Route)
	}
	round := func() {
		beat.Time = f.at
		f.book.Observe(&beat, f.at)
		for _, l := range lanes {
			sink = f.book.Judge(route.Scope{Lane: l}, asks, f.at)
		}
	}
	for range 900 {
		f.tick(perTick)
	}
	round()
	b.ResetTimer()
	for b.Loop() {
		f.tick(perTick)
		before := mallocs(rounds)
		began := time.Now()
		round()
		spent += time.Since(began)
		allocs += mallocs(rounds) - before
		rounds++
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(rounds*len(f.keys)), "µs/judged-key")
	b.ReportMetric(float64(allocs)/float64((rounds+sampled-1)/sampled*len(f.keys)), "allocs/judged-key")
}

// sampled is how many rounds there are to one whose allocations are counted.
const sampled = 50

func mallocs(round int) uint64 {
	if round%sampled != 0 {
		return 0
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

var sink []route.Signals

// BenchmarkMemory is what one key takes in a book of ten routes and a hundred networks, judged while traffic flows.
func BenchmarkMemory(b *testing.B) {
	const routes, networks = 10, 100
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f := newFeeder(routes)
		lanes := f.spread(networks)
		asks := f.asks()[:routes]
		for range 20 {
			f.tick(5)
		}
		for _, l := range lanes {
			f.book.Judge(route.Scope{Lane: l}, asks, f.at)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(routes*networks), "bytes/key")
		runtime.KeepAlive(f)
	}
}
