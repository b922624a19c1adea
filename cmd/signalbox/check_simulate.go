package main

import (
	"fmt"
	"io"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// simulated is what became of a simulated site on which all was well.
type simulated struct {
	Seed     uint64           `json:"seed"`
	Asked    route.Duration   `json:"asked"`
	Time     route.Duration   `json:"simulated"` // less than asked where it took too long
	Messages int              `json:"messages"`
	Rules    []scenario.Tally `json:"rules"`
	Skipped  []route.Lane     `json:"skipped,omitempty"` // lanes that no message goes by
}

// simulate runs the policy on a healthy site, and says on talk how long it took.
func simulate(talk io.Writer, p *policy.Policy, o *checkOptions) *simulated {
	site, began := scenario.NewSite(p, scenario.SiteOptions{Seed: o.seed, Assumptions: o.assumes}), time.Now()
	for left := o.simulate; left > 0 && time.Since(began) < o.limit; {
		step := min(left, 10*time.Minute)
		site.Advance(step)
		left -= step
	}
	out := &simulated{Seed: max(o.seed, 1), Asked: route.Duration(o.simulate), Time: route.Duration(site.Simulated()),
		Messages: site.Messages(), Rules: site.Tallies(), Skipped: site.Skipped()}
	took := time.Since(began)
	fmt.Fprintf(talk, "simulated %s, %s, in %s\n", out.Time, plural(out.Messages, "message"), route.Duration(took.Round(time.Millisecond)))
	if out.Time < out.Asked {
		fmt.Fprintf(talk, "hint: --simulate-limit %s ended it before %s; a longer one lets it go on\n", route.Duration(o.limit), out.Asked)
	}
	return out
}

func (s *simulated) print(w io.Writer) error {
	fmt.Fprintf(w, "simulated: %s of a healthy site with 1 message/s in each lane, seed %d: every demotion is a false one\n", s.Time, s.Seed)
	for _, l := range s.Skipped {
		fmt.Fprintf(w, "  left out: lane %s, whose messages other lanes take\n", l)
	}
	rows := [][]string{{"rule", "demotions", "proposed", "only recorded", "held"}}
	for _, t := range s.Rules {
		rows = append(rows, []string{t.Rule, fmt.Sprint(t.Made), fmt.Sprint(t.Proposed), fmt.Sprint(t.Recorded), fmt.Sprint(t.Held)})
	}
	return columns(w, "  ", rows)
}
