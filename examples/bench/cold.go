package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// coldSeeds is how many black holes each number of cold is the median of.
const coldSeeds = 9

// cold measures how long a black hole takes to be found on one of two routes at several rates, after some hours in which
// all was well: with a baseline that was told at their beginning, and with one that was learned in them.
func cold(w io.Writer) error {
	t := town{class: "otp"}
	p, err := policy.Parse([]policy.File{{Name: "rules.yml", Data: benchRules}, {Name: "lanes.yml", Data: []byte(t.lanes())}})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		rate  float64 // messages a second
		hours int
	}{{1.0 / 60, 2}, {1.0 / 60, 12}, {0.2, 2}, {1, 2}, {10, 2}} {
		told, learned := delays(p, c.rate, c.hours, true), delays(p, c.rate, c.hours, false)
		fmt.Fprintf(w, "%6.3f/s after %2d h: black hole found in %s with a told baseline, %s with a learned one\n", c.rate, c.hours, told, learned)
	}
	return nil
}

// delays is the median time to the demotion, in words.
func delays(p *policy.Policy, rate float64, hours int, told bool) string {
	var all []time.Duration
	for n := range uint64(coldSeeds) {
		all = append(all, delay(p, *seed*100+n, rate, hours, told))
	}
	slices.Sort(all)
	if middle := all[coldSeeds/2]; middle < coldPatience {
		return middle.String()
	}
	return "more than " + coldPatience.String()
}

const coldPatience = 30 * time.Minute

// delay is the time to the demotion, coldPatience where there is none in it.
func delay(p *policy.Policy, seed uint64, rate float64, hours int, told bool) time.Duration {
	var found time.Time
	s := scenario.NewSim(p, scenario.SimOptions{Seed: seed, Mode: route.Act, Emit: func(o decide.Outcome) {
		for i := range o.Decisions {
			if d := &o.Decisions[i]; d.Enforced && d.Route == "a" && d.To == route.Demoted && found.IsZero() {
				found = d.Time
			}
		}
	}})
	h := scenario.Healthy()
	h.Conversion = 0.8
	for _, id := range []route.ID{"a", "b"} {
		s.Treat(id, "", "", h)
		if told {
			s.Tell(route.Observation{Kind: route.KindBaseline, Route: id, Class: "otp", Network: "234-15", Baseline: h.Baseline(5000)})
		}
		s.Send(scenario.Stream{Route: id, Class: "otp", Network: "234-15", Rate: rate})
	}
	s.Advance(s.Now().Add(time.Duration(hours) * time.Hour))
	s.Treat("a", "", "", scenario.Health{})
	began := s.Now()
	for s.Now().Sub(began) < coldPatience && found.IsZero() {
		s.Advance(s.Now().Add(5 * time.Second))
	}
	if found.IsZero() {
		return coldPatience
	}
	return found.Sub(began)
}
