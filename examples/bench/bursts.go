package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// town is healthy bursty traffic on one lane: whatever is demoted is demoted falsely.
type town struct {
	name   string
	class  route.Class
	shared bool // the routes share the traffic; else the first of them carries it
	stream scenario.Stream
	health func() scenario.Health
	files  []policy.File
}

// campaigns are so many messages handed over in a time, every two hours in the mean, on a little steady traffic.
func campaigns(messages int, over time.Duration) scenario.Stream {
	return scenario.Stream{Rate: 0.2, Diurnal: 0.8, Burst: scenario.Burst{Messages: messages, Over: over, Every: 2 * time.Hour}}
}

// toLists lets a share of the campaigns go to lists of which 30 % of the numbers are dead, and each campaign have a
// share of its own that can be reached.
func toLists(st scenario.Stream, share, spread float64) scenario.Stream {
	st.Burst.Dead, st.Burst.DeadLists, st.Burst.Spread = 0.3, share, spread
	return st
}

// batching is a carrier that is well and sends its receipts every 30 seconds.
func batching() scenario.Health {
	h := scenario.Healthy()
	h.Batch = 30 * time.Second
	return h
}

// small are campaigns that are lost in the traffic of a minute: 150 messages on one a second.
func small() scenario.Stream {
	st := campaigns(150, 20*time.Second)
	st.Rate, st.Diurnal, st.Burst.Every = 1, 0.6, 30*time.Minute
	return st
}

// towns are all that is watched.
func towns() []*town {
	steady := scenario.Stream{Rate: 1, Diurnal: 0.6}
	big := campaigns(10_000, 20*time.Second)
	var all []*town
	for _, t := range []town{
		{name: "1/s, receipts in batches of 30 s", class: "otp", stream: steady},
		{name: "campaigns of 10,000 in 20 s", class: "bulk", stream: big},
		{name: "campaigns, one in five to a dead list", class: "bulk", stream: toLists(big, 0.2, 0)},
		{name: "campaigns, one in five to a dead list", class: "otp", stream: toLists(big, 0.2, 0)},
		{name: "campaigns, one in five to a dead list", class: "bulk", stream: toLists(big, 0.2, 0), shared: true},
		{name: "campaigns, one in fifty to a dead list", class: "bulk", stream: toLists(big, 0.02, 0)},
		{name: "campaigns that differ, dead lists", class: "bulk", stream: toLists(big, 0.2, 0.3)},
		{name: "campaigns of 10,000 in 5 min, dead lists", class: "bulk", stream: toLists(campaigns(10_000, 5*time.Minute), 0.2, 0)},
		{name: "campaigns of 150 on 1/s, dead lists", class: "bulk", stream: toLists(small(), 0.2, 0)},
	} {
		t.health = batching
		t.files = []policy.File{{Name: "rules.yml", Data: benchRules}, {Name: "lanes.yml", Data: []byte(t.lanes())}}
		t.name += map[bool]string{false: ", " + string(t.class), true: ", " + string(t.class) + " by shares"}[t.shared]
		all = append(all, &t)
		if t.class == "otp" {
			q := t
			q.files, q.name = quickRules(), t.name+", quickstart"
			all = append(all, &q)
		}
	}
	return all
}

// bursts watches all towns.
func bursts(w io.Writer) error {
	for _, t := range towns() {
		if !strings.Contains(t.name, *only) {
			continue
		}
		if err := t.watch(w); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
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

// watch lets the town live for its route-days and counts what was demoted. Nothing is told of what is normal.
func (t *town) watch(w io.Writer) error {
	p, err := policy.Parse(t.files)
	if err != nil {
		return err
	}
	var demoted []route.Decision
	held := 0
	s := scenario.NewSim(p, scenario.SimOptions{Seed: *seed, Mode: route.Act, Emit: func(o decide.Outcome) {
		for _, d := range o.Decisions {
			switch {
			case d.Verdict != route.VerdictDemote:
			case d.Enforced && d.From != route.Demoted:
				demoted = append(demoted, d)
			case d.Reason == route.GuardHeld:
				held++
			}
		}
	}})
	for i := range p.Routes {
		s.Treat(p.Routes[i].ID, "", "", t.health())
	}
	st := t.stream
	st.Class, st.Network = t.class, "234-15"
	s.Send(st)
	s.Advance(s.Now().Add(time.Duration(*routeDays/t.carriers(p)) * 24 * time.Hour))
	messages := 0
	for i := range p.Routes {
		messages += s.Totals(p.Routes[i].ID).Submitted
	}
	fmt.Fprintf(w, "%-60s %5.1f false demotions a route-month, %3d held, %.1f million messages\n", t.name, float64(len(demoted))*30/float64(*routeDays), held, float64(messages)/1e6)
	for i := range demoted {
		if *verbose {
			fmt.Fprintf(w, "    %s %s\n", demoted[i].Time.Format("01-02 15:04:05"), demoted[i].Text)
		}
	}
	return nil
}
