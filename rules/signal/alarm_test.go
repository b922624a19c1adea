package signal

import (
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"signalbox/rules/route"
)

// endless is a stream of messages without an end, brought hour by hour so that months of it fit in memory.
type endless struct {
	traffic
	rand    *rand.Rand
	pending []event
	at      float64 // of the next submit, in seconds
	diurnal float64 // share by which the rate goes up and down in a day
}

func newEndless(t traffic, diurnal, pace float64) *endless {
	t = t.named()
	r := rand.New(rand.NewPCG(t.seed, 11))
	if pace != 1 {
		t.health = func(time.Duration) health { return health{slower: pace} }
	}
	return &endless{traffic: t, rand: r, at: r.ExpFloat64() / t.rate, diurnal: diurnal}
}

// until are the events up to a moment.
func (e *endless) until(to time.Duration) []event {
	most := e.rate * (1 + e.diurnal)
	for ; e.at < to.Seconds(); e.at += e.rand.ExpFloat64() / most {
		rate := e.rate * (1 + e.diurnal*math.Sin(2*math.Pi*e.at/86400))
		if e.rand.Float64()*most < rate {
			e.pending = e.message(e.pending, e.at, e.rand)
		}
	}
	inOrder(e.pending)
	n, _ := slices.BinarySearchFunc(e.pending, epoch.Add(to), func(e event, to time.Time) int { return e.at.Compare(to) })
	out := slices.Clone(e.pending[:n])
	e.pending = slices.Delete(e.pending, 0, n)
	return out
}

// peaks are the greatest evidence of each half hour of a healthy stream, by signal.
type peaks struct{ delivery, latency, within []float64 }

func (p *peaks) watch(e *endless, days float64) {
	b := New(Options{})
	b.SetLanes([]route.Lane{testLane}, map[route.Class]Terms{"otp": {Within: 30 * time.Second}})
	for _, told := range e.tells() {
		b.Observe(&told.Observation, told.at)
	}
	beat := route.Observation{Kind: route.KindHeartbeat, Source: e.source, Routes: []route.ID{e.route}}
	asks := ask(e.route)
	var most [3]float64
	now := epoch
	for hour := time.Hour; hour.Hours() <= 24*days; hour += time.Hour {
		events, i := e.until(hour), 0
		for end := epoch.Add(hour); now.Before(end); {
			now = now.Add(Tick)
			for ; i < len(events) && !events[i].at.After(now); i++ {
				b.Observe(&events[i].Observation, events[i].at)
			}
			beat.Time = now
			b.Observe(&beat, now)
			s := b.Judge(route.Scope{Lane: testLane}, asks, now)[0]
			most[0], most[1], most[2] = math.Max(most[0], s.Delivery.Evidence), math.Max(most[1], s.Latency.Evidence), math.Max(most[2], s.Within.Evidence)
			if now.Unix()%1800 == 0 {
				p.delivery, p.latency, p.within = append(p.delivery, most[0]), append(p.latency, most[1]), append(p.within, most[2])
				most = [3]float64{}
			}
		}
	}
}

// months scales how long the streams are whose false alarms are counted: 1 is four months at the lower rates, two at one
// message a second, and ten days at ten.
var months = flag.Float64("months", .05, "how much of the healthy streams to judge, 1 is all")

// BenchmarkFalseAlarms is how often evidence exceeds what rules demote on while a stream is healthy: half hours in a month
// in which it does, and the nats that it exceeds once a month (of less than a month, the most). The rate goes up and down by
// 60 % in a day, and the baseline is the truth, or delays are half again as long as it says at first.
func BenchmarkFalseAlarms(b *testing.B) {
	for _, c := range []struct {
		name string
		rate float64
		days float64
		pace float64
	}{{"1msg/min", 1.0 / 60, 120, 1}, {"0.2msg/s", .2, 120, 1}, {"1msg/s", 1, 60, 1}, {"10msg/s", 10, 10, 1}, {"1msg/s,delays×1.5", 1, 60, 1.5}} {
		b.Run(c.name, func(b *testing.B) {
			var p peaks
			for b.Loop() {
				p = peaks{}
				p.watch(newEndless(traffic{rate: c.rate, source: "node", seed: 5}, .6, c.pace), c.days**months)
			}
			months := c.days * *months / 30
			for name, all := range map[string][]float64{"delivery": p.delivery, "latency": p.latency, "within": p.within} {
				slices.SortFunc(all, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
				above := 0
				for above < len(all) && all[above] >= enough {
					above++
				}
				b.ReportMetric(float64(above)/months, name+"≥12/month")
				b.ReportMetric(all[int(months)], name+"-1/month-nats")
			}
		})
	}
}
