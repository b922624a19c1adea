package signal

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// rated are signals of which each part can be made known.
func rated() *route.Signals {
	known := route.Quality{Known: true}
	return &route.Signals{
		Delivery:   route.Delivery{Quality: known, Ratio: .95, Baseline: .95, Messages: 50},
		Within:     route.Within{Quality: known, Ratio: .9, Baseline: .9, Messages: 50},
		Latency:    route.Latency{Quality: known, P95: route.Duration(40 * time.Second), BaselineP95: route.Duration(40 * time.Second)},
		Conversion: route.Conversion{Quality: known, Ratio: .8, Baseline: .8, Messages: 50},
		Submit:     route.Submit{Quality: known, Messages: 50},
		Probes:     map[string]route.Probe{"bind": {Quality: known, OK: 1}, "http": {}},
	}
}

func TestScore(t *testing.T) {
	for _, c := range []struct {
		claim         string
		change        func(*route.Signals)
		value, weight float64 // value below 0 is unknown
	}{
		{"all is normal", func(*route.Signals) {}, 100, 1},
		{"better than normal is no more", func(s *route.Signals) { s.Delivery.Ratio, s.Latency.P95 = 1, 1 }, 100, 1},
		{"a quarter of deliveries missing takes half of their part", func(s *route.Signals) { s.Delivery.Ratio *= .75 }, 82.5, 1},
		{"half of deliveries missing takes all of it", func(s *route.Signals) { s.Delivery.Ratio *= .5 }, 65, 1},
		{"half again as late is tolerated", func(s *route.Signals) { s.Latency.P95 = s.Latency.BaselineP95 * 3 / 2 }, 100, 1},
		{"three times as late", func(s *route.Signals) { s.Latency.P95 = 3 * s.Latency.BaselineP95 }, 95, 1},
		{"refused and unanswered submits", func(s *route.Signals) { s.Submit.Refused, s.Submit.Timeouts = .1, .15 }, 95, 1},
		{"throttling is no illness", func(s *route.Signals) { s.Submit.Throttled = .9 }, 100, 1},
		{"failing probes", func(s *route.Signals) { s.Probes["bind"] = route.Probe{Quality: s.Submit.Quality} }, 90, 1},
		{"unknown parts are left out", func(s *route.Signals) {
			s.Conversion.Known, s.Latency.P95, s.Probes = false, 0, nil
			s.Within.Ratio = 0
		}, 75, .6},
		{"delivery alone is enough", func(s *route.Signals) { *s = route.Signals{Delivery: s.Delivery} }, 100, .35},
		{"too little is known", func(s *route.Signals) { s.Delivery.Known, s.Conversion.Known, s.Within.Known = false, false, false }, -1, .3},
		{"too few messages tell nothing", func(s *route.Signals) { *s = route.Signals{Delivery: s.Delivery}; s.Delivery.Messages = 9 }, -1, 0},
	} {
		s := rated()
		c.change(s)
		var got route.Score
		score(&got, s)
		if got.Known != (c.value >= 0) || got.Known && got.Value != c.value || math.Abs(got.Weight-c.weight) > 1e-9 || got.Known != (got.Cause == "") && s.Delivery.Known {
			t.Errorf("%s: got %+v, want %v by %v", c.claim, got, c.value, c.weight)
		}
	}
}

// The score is what its formula says of the parts that are shown, and within its bounds whatever the signals.
func TestScoreIsTheMeanOfItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rated()
		for i, known := range []*bool{&s.Delivery.Known, &s.Within.Known, &s.Latency.Known, &s.Conversion.Known, &s.Submit.Known} {
			*known = rapid.Bool().Draw(t, []string{"delivery", "within", "latency", "conversion", "submit"}[i])
		}
		for _, share := range []*float64{&s.Delivery.Ratio, &s.Within.Ratio, &s.Conversion.Ratio, &s.Submit.Refused, &s.Delivery.Baseline} {
			*share = rapid.Float64Range(0, 1).Draw(t, "share")
		}
		s.Latency.P95 = route.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "p95"))
		var got route.Score
		score(&got, s)
		sum, weight := 0.0, 0.0
		for _, p := range got.Parts {
			if !(p.Value >= 0 && p.Value <= 100) {
				t.Fatalf("got part %+v", p)
			}
			sum, weight = sum+p.Weight*p.Value, weight+p.Weight
		}
		if math.Abs(weight-got.Weight) > 1e-9 || got.Known != (weight >= scoreFloor-1e-9) {
			t.Fatalf("got %+v", got)
		}
		if got.Known && math.Abs(sum/weight-got.Value) > .6 {
			t.Fatalf("got %v, want %v", got.Value, sum/weight)
		}
	})
}

func TestWeightsOfAScoreSumToOne(t *testing.T) {
	sum := 0.0
	for _, p := range scoreParts {
		sum += p.Weight
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("got %v", sum)
	}
}
