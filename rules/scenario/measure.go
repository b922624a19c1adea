package scenario

import (
	"math"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// What the measured route is called.
const (
	measuredRoute   = route.ID("measured")
	measuredClass   = route.Class("otp")
	measuredNetwork = route.Network("234-15")
	conversions     = 0.8 // share of the delivered messages that convert
)

// measuredPolicy is a lane of one route without any rule: what is measured are signals, and nothing acts on them.
const measuredPolicy = `{"version": 1,
"routes": {"measured": {"provider": "p", "networks": ["GB"]}},
"classes": {"otp": {"mode": "observe", "within": "30s"}},
"lanes": [{"class": "otp", "network": "GB", "order": ["measured"]}]}`

// Probation is one route on trial: its signals, tick by tick, while all is well or after something has gone wrong.
type Probation struct {
	sim     *Sim
	signals *route.Signals // of the last round; nil before the first
}

// NewProbation returns a route whose baseline is known and which carries so many messages a second, swinging by a share
// of that over the day. All is well with it, and its conversions are reported.
func NewProbation(seed uint64, rate, diurnal float64) *Probation {
	p, err := policy.Parse([]policy.File{{Name: "measured", Data: []byte(measuredPolicy)}})
	if err != nil { // a constant
		panic("scenario: " + err.Error())
	}
	t := &Probation{}
	h := Healthy()
	h.Conversion = conversions
	t.sim = NewSim(p, SimOptions{Seed: seed, Rounds: t.note})
	t.sim.Treat(measuredRoute, "", "", h)
	t.sim.Tell(route.Observation{Kind: route.KindBaseline, Route: measuredRoute, Class: measuredClass, Network: measuredNetwork, Baseline: h.Baseline(5000)})
	t.sim.Send(Stream{Route: measuredRoute, Class: measuredClass, Network: measuredNetwork, Rate: rate, Diurnal: diurnal})
	return t
}

func (t *Probation) note(o decide.Outcome) {
	t.signals = nil
	if len(o.Signals) > 0 {
		t.signals = &o.Signals[0]
	}
}

// Run lets time pass, and calls see after each round with its signals and the time since the beginning of Run. It ends
// sooner where see returns false.
func (t *Probation) Run(lasts time.Duration, see func(s *route.Signals, since time.Duration) bool) {
	began := t.sim.Now()
	for end := began.Add(lasts); t.sim.next.Before(end); {
		at := t.sim.next
		t.sim.Advance(at)
		if t.signals != nil && see != nil && !see(t.signals, at.Sub(began)) {
			return
		}
	}
	t.sim.Advance(began.Add(lasts))
}

// Break lets something go wrong from now on.
func (t *Probation) Break(f policy.Fault) {
	h := Healthy()
	h.Conversion = conversions
	switch f {
	case policy.BlackHole:
		h.Delivered, h.Failed = 0, 0
	case policy.LossSilent:
		h.Delivered, h.Failed = lossLeft, 0.025
	case policy.LossFailing:
		h.Delivered, h.Failed = lossLeft, 0.025+0.95-lossLeft
	case policy.Refused:
		h.Refused = 1
	}
	t.sim.Treat(measuredRoute, "", "", h)
}

// lossLeft is what is still delivered of the usual 95 % where part is lost.
const lossLeft = 0.70

// Crossings are how long after a fault a signal first passed each of its thresholds.
type Crossings [][]time.Duration // by the measured signal and its threshold; never is math.MaxInt64

const never = time.Duration(math.MaxInt64)

// Detect breaks a route after it was well for a while, and reports when its signals crossed their thresholds within a
// time after that.
func Detect(seed uint64, f policy.Fault, rate float64, well, within time.Duration) Crossings {
	t := NewProbation(seed, rate, 0)
	c := newChance(seed, "onset")
	t.Run(well+time.Duration(c.unit(nil)*float64(5*time.Second)), nil)
	t.Break(f)
	out := make(Crossings, len(policy.Gauges))
	open := 0
	for i := range policy.Gauges {
		for range policy.Gauges[i].Thresholds {
			out[i] = append(out[i], never)
			open++
		}
	}
	t.Run(within, func(s *route.Signals, since time.Duration) bool {
		for i := range policy.Gauges {
			g := &policy.Gauges[i]
			v, known := g.Read(s)
			for k := 0; known && k < len(g.Thresholds); k++ {
				if out[i][k] == never && g.Crosses(v, g.Thresholds[k]) {
					out[i][k] = since
					open--
				}
			}
		}
		return open > 0
	})
	return out
}

// Exceedances count, by the measured signal, how long it lasted and its threshold, in how many half-hours a route on which all
// was well passed the threshold for so long.
type Exceedances [][][]int

// WatchHealthy watches a route on which all is well for a while, and counts how often its signals cross their thresholds.
func WatchHealthy(seed uint64, rate, diurnal float64, lasts time.Duration) Exceedances {
	t := NewProbation(seed, rate, diurnal)
	t.Run(policy.HealthyBlock, nil) // until windows have filled
	out := make(Exceedances, len(policy.Gauges))
	held := make([][]time.Duration, len(policy.Gauges)) // since when each threshold is passed; 0 is not
	seen := make([][][]time.Duration, len(policy.Gauges))
	for i := range policy.Gauges {
		n := len(policy.Gauges[i].Thresholds)
		held[i] = make([]time.Duration, n)
		for range policy.Lasting {
			out[i], seen[i] = append(out[i], make([]int, n)), append(seen[i], make([]time.Duration, n))
		}
	}
	t.Run(lasts, func(s *route.Signals, since time.Duration) bool {
		block := since/policy.HealthyBlock + 1
		for i := range policy.Gauges {
			g := &policy.Gauges[i]
			v, known := g.Read(s)
			for k, threshold := range g.Thresholds {
				if !known || !g.Crosses(v, threshold) {
					held[i][k] = 0
					continue
				}
				if held[i][k] == 0 {
					held[i][k] = since
				}
				for d, wanted := range policy.Lasting {
					if since-held[i][k] >= wanted && seen[i][d][k] != block {
						seen[i][d][k] = block
						out[i][d][k]++
					}
				}
			}
		}
		return true
	})
	return out
}
