package main

import (
	"fmt"
	"io"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// town is healthy bursty traffic on one lane: whatever is demoted is demoted falsely.
type town struct {
	name   string
	files  []policy.File
	class  route.Class
	shared bool // the routes share the traffic; else the first of them carries it
	health func() scenario.Health
	stream scenario.Stream
	told   bool // the baseline is told; else it is learned, from nothing
}

// campaigns are 10,000 messages in 20 seconds, on a little steady traffic.
func campaigns(every time.Duration, lists, dead, spread float64) scenario.Stream {
	return scenario.Stream{Network: "234-15", Rate: 0.2, Diurnal: 0.8, Burst: scenario.Burst{
		Messages: 10_000, Over: 20 * time.Second, Every: every, Dead: dead, DeadLists: lists, Spread: spread}}
}

// batching is a carrier that is well and sends its receipts every 30 seconds.
func batching() scenario.Health {
	h := scenario.Healthy()
	h.Batch = 30 * time.Second
	return h
}

func converting() scenario.Health {
	h := batching()
	h.Conversion = 0.8
	return h
}

// lanes are the routes and the lane that the rules of the benchmark of incidents are completed with.
func (t *town) lanes() string {
	order := "order: [a, b]"
	if t.shared {
		order = "share: {a: 50, b: 50}"
	}
	within := map[route.Class]string{"otp": "30s", "bulk": "1h"}[t.class]
	return fmt.Sprintf(`version: 1
routes:
  a: {provider: pa, networks: [GB], trickle: 2%%}
  b: {provider: pb, networks: [GB], trickle: 2%%}
classes:
  %s: {mode: act, within: %s}
lanes:
  - {class: %s, network: GB, %s}
`, t.class, within, t.class, order)
}

// carriers is how many routes the traffic goes by while all is well.
func (t *town) carriers(p *policy.Policy) int {
	if t.shared {
		return len(p.Routes)
	}
	return 1
}

// watch lets the town live for its route-days and counts what was demoted.
func (t *town) watch(w io.Writer, seed uint64) error {
	p, err := policy.Parse(t.files)
	if err != nil {
		return fmt.Errorf("town %s: %w", t.name, err)
	}
	demoted, held, first := 0, 0, ""
	s := scenario.NewSim(p, scenario.SimOptions{Seed: seed, Mode: route.Act, Emit: func(o decide.Outcome) {
		for i := range o.Decisions {
			switch d := &o.Decisions[i]; {
			case d.Enforced && d.Verdict == route.VerdictDemote && d.From != route.Demoted:
				if demoted++; first == "" {
					first = d.Time.Format("01-02 15:04:05 ") + d.Text
				}
			case d.Reason == route.GuardHeld && d.Verdict == route.VerdictDemote:
				held++
			}
		}
	}})
	for i := range p.Routes {
		h := t.health()
		s.Treat(p.Routes[i].ID, "", "", h)
		if t.told {
			s.Tell(route.Observation{Kind: route.KindBaseline, Route: p.Routes[i].ID, Class: t.class, Network: t.stream.Network, Baseline: h.Baseline(5000)})
		}
	}
	st := t.stream
	st.Class = t.class
	s.Send(st)
	days := *routeDays / t.carriers(p)
	s.Advance(s.Now().Add(time.Duration(days) * 24 * time.Hour))
	messages := 0
	for i := range p.Routes {
		messages += s.Totals(p.Routes[i].ID).Submitted
	}
	fmt.Fprintf(w, "%-58s %5.1f false demotions a route-month, %3d held, %9d messages\n", t.name, float64(demoted)*30/float64(*routeDays), held, messages)
	if first != "" && *verbose {
		fmt.Fprintf(w, "    %s\n", first)
	}
	return nil
}
