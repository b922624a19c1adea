package scenario

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// continent is a policy of lanes × routes: every route in every lane, an MCC-MNC and a class each.
func continent(tb testing.TB, routes, networks, classes int) *policy.Policy {
	tb.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nroutes:\n")
	order := make([]string, routes)
	for i := range routes {
		order[i] = fmt.Sprintf("r%04d", i)
		fmt.Fprintf(&b, "  %s: {provider: p%d, networks: [\"*\"], trickle: 1%%}\n", order[i], i)
	}
	b.WriteString("classes:\n")
	for c := range classes {
		fmt.Fprintf(&b, "  c%d: {mode: act, within: 30s}\n", c)
	}
	files := []policy.File{{}}
	for c := range classes {
		for n := range networks {
			lane := fmt.Sprintf("lanes:\n  - {class: c%d, network: \"%s\", order: [%s]}\n", c, networkName(n), strings.Join(order, ", "))
			files = append(files, policy.File{Name: fmt.Sprintf("lane%d-%d.yml", c, n), Data: []byte(lane)})
		}
	}
	b.WriteString(`rules:
  - name: receipts
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0 && delivery.messages >= 5.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 25%, 100%]}
guards: {corroborate: {class: ["*"]}, max_demoted: 50%}
`)
	files[0] = policy.File{Name: "continent.yml", Data: []byte(b.String())}
	p, err := policy.Parse(files)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func networkName(n int) string { return fmt.Sprintf("%03d-%02d", 202+n/10, n%10+1) }

// BenchmarkContinent judges a thousand routes in three hundred lanes, of which a share of the 300,000 has messages: one
// round, decisions and all, on one core. It reports what is remembered of each live key.
func BenchmarkContinent(b *testing.B) {
	const routes, networks, classes = 1000, 100, 3
	p := continent(b, routes, networks, classes)
	for _, share := range []float64{0, 0.01, 0.02, 0.05, 0.1} {
		b.Run(fmt.Sprintf("live=%g%%", 100*share), func(b *testing.B) {
			before := heap()
			book := signal.New(signal.Options{MaxKeys: 400_000})
			book.SetLanes(p.LaneKeys(), nil)
			t := populate(book, p, share, routes)
			w := decide.Round(p, book, decide.Adopt(p, route.World{}, nil, t.now).World, t.now, decide.Options{}).World
			held := heap() - before
			used, rounds, asked := time.Duration(0), 0, 0
			for b.Loop() {
				t.play()
				began := cpu()
				o := decide.Round(p, book, w, t.now, decide.Options{})
				used += cpu() - began
				rounds, asked, w = rounds+1, asked+len(o.Decisions), o.World
			}
			b.ReportMetric(used.Seconds()*1000/float64(rounds), "cpu-ms/round")
			b.ReportMetric(float64(held)/float64(max(len(t.keys), 1)), "B/key")
			b.ReportMetric(float64(len(t.keys)), "keys")
			b.ReportMetric(float64(asked), "decisions")
		})
	}
}

// cpu is the processor time that this process has used: what a shared machine does beside does not count.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// traffic is healthy messages on many keys, at rates from one in two minutes to two a second.
type traffic struct {
	book *signal.Book
	keys []route.Key
	tick int
	now  time.Time
}

// populate lets a share of the keys of every lane have half an hour of messages.
func populate(book *signal.Book, p *policy.Policy, share float64, routes int) *traffic {
	t := &traffic{book: book, now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}
	every := 0
	if share > 0 {
		every = int(1 / share)
	}
	for i := range p.Lanes {
		for r := range routes {
			if every > 0 && (i*routes+r)%every == 0 {
				t.keys = append(t.keys, route.Key{Route: p.Routes[r].ID, Class: p.Lanes[i].Class, Network: p.Lanes[i].Network})
			}
		}
	}
	baseline := &route.Baseline{Delivered: 0.95, Failed: 0.025, Ages: []float64{2, 5, 10, 30, 120}, CDF: []float64{0.2, 0.5, 0.8, 0.95, 1}, Messages: 5000}
	for _, k := range t.keys {
		book.Observe(&route.Observation{Kind: route.KindBaseline, Time: t.now, Route: k.Route, Class: k.Class, Network: k.Network, Baseline: baseline}, t.now)
	}
	for range 30 * 12 {
		t.play()
	}
	return t
}

// play is one tick of traffic. Messages are answered in the tick after theirs, but for one in thirty that nobody answers.
func (t *traffic) play() {
	t.now = t.now.Add(signal.Tick)
	t.tick++
	t.book.Observe(&route.Observation{Kind: route.KindHeartbeat, Time: t.now, Source: "gw"}, t.now)
	for i, k := range t.keys {
		period, count := 24>>(i%5), 1
		if i%20 == 0 {
			period, count = 1, 10
		}
		o := route.Observation{Route: k.Route, Class: k.Class, Network: k.Network, Source: "gw", Time: t.now}
		for n := range count {
			if (t.tick+i)%period == 0 {
				o.Kind = route.KindSubmit
				t.book.Observe(&o, t.now)
			}
			if (t.tick-1+i)%period == 0 && t.tick > 1 && (t.tick*7919+i*104729+n*31)%30 != 0 {
				answer := o
				answer.Kind, answer.Final, answer.Status, answer.Submitted = route.KindReceipt, true, route.StatusDelivered, t.now.Add(-signal.Tick)
				t.book.Observe(&answer, t.now)
			}
		}
	}
}
