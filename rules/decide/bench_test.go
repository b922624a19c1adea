package decide

import (
	"fmt"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// city is a policy of many lanes with three routes each.
func city(tb testing.TB, lanes int) *policy.Policy {
	tb.Helper()
	s := plain
	s.classes, s.lanes = "", ""
	for i := range lanes {
		s.classes += fmt.Sprintf("\n  c%d: {mode: act}", i)
		s.lanes += fmt.Sprintf("\n  - {class: c%d, network: GB, order: [a, b, c]}", i)
	}
	s.rules += conversionsRule
	return s.parse(tb)
}

const cityLanes = 100

// BenchmarkRound judges a hundred lanes of three routes once: deciding alone, on signals that are there already.
func BenchmarkRound(b *testing.B) {
	for _, c := range []struct {
		name string
		a    look
	}{{"all well", well}, {"all held", look{silence: 20, peers: 9, bind: -3}}} {
		b.Run(c.name, func(b *testing.B) {
			p := city(b, cityLanes)
			w := Adopt(p, route.World{}, nil, began).World
			s := (&story{policy: p, looks: map[route.ID]look{"a": c.a, "b": c.a, "c": c.a}, now: began}).ready(&w)
			benchmark(b, w, func(w route.World, now time.Time) Outcome {
				next := 0
				return judge(p, w, now, Options{}, func(route.Lane, []route.ID) []route.Signals { next++; return s[next-1] })
			})
		})
	}
}

// ready are the signals of every lane, made before anything is measured.
func (s *story) ready(w *route.World) [][]route.Signals {
	var out [][]route.Signals
	for i := range w.Lanes {
		out = append(out, s.signals(w.Lanes[i].Lane, []route.ID{"a", "b", "c"}))
	}
	return out
}

// BenchmarkRoundWithBook is the same with the judging of signals from the messages of half an hour.
func BenchmarkRoundWithBook(b *testing.B) {
	p := city(b, cityLanes)
	book := signal.New(signal.Options{})
	book.SetLanes(p.LaneKeys(), nil)
	now := began
	normal := &route.Baseline{Delivered: 0.95, Failed: 0.03, Ages: []float64{1, 5, 20, 60}, CDF: []float64{0.1, 0.6, 0.95, 1}, Messages: 5000}
	for i := range p.Lanes {
		for _, id := range p.Lanes[i].Order {
			book.Observe(&route.Observation{Kind: route.KindBaseline, Time: now, Route: id, Class: p.Lanes[i].Class, Network: "234-15", Baseline: normal}, now)
		}
	}
	for range 1800 {
		now = now.Add(time.Second)
		for i := range p.Lanes {
			o := route.Observation{Kind: route.KindSubmit, Time: now, Route: p.Lanes[i].Order[now.Second()%3], Class: p.Lanes[i].Class, Network: "234-15"}
			book.Observe(&o, now)
			back := o
			back.Kind, back.Status, back.Final, back.Submitted, back.Time = route.KindReceipt, route.StatusDelivered, true, now, now.Add(4*time.Second)
			book.Observe(&back, now.Add(4*time.Second))
		}
	}
	first := Adopt(p, route.World{}, nil, now).World
	if known := Round(p, book, first, now, Options{}).Signals[0].Delivery; !known.Known || known.Messages < 50 {
		b.Fatalf("got delivery %+v, want something to judge", known)
	}
	benchmark(b, first, func(_ route.World, _ time.Time) Outcome { return Round(p, book, first, now, Options{}) })
}

func benchmark(b *testing.B, w route.World, round func(route.World, time.Time) Outcome) {
	b.Helper()
	now := w.At
	if now.IsZero() {
		now = began
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(signal.Tick)
		w = round(w, now).World
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*cityLanes), "ns/lane")
}
