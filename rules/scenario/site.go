package scenario

import (
	"fmt"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Site is a simulated site of a policy's own lanes and routes on which all is well: whatever its rules demote, they
// demote falsely.
type Site struct {
	sim     *Sim
	began   time.Time
	tallies []Tally
	skipped []route.Lane
}

// SiteOptions of a Site. Zero fields mean the documented defaults.
type SiteOptions struct {
	Seed        uint64
	Rate        float64            // messages a second of each lane; default 1
	Assumptions policy.Assumptions // about probes
}

// Tally counts what one rule asked for.
type Tally struct {
	Rule     string `json:"rule"`
	Made     int    `json:"made"`     // demotions that were made
	Proposed int    `json:"proposed"` // that a person would have been asked about
	Recorded int    `json:"recorded"` // that mode observe only recorded
	Held     int    `json:"held"`     // that something held, each time it began to
}

// networksOfLane is over how many networks the messages of a lane go, where a rule judges each apart.
const networksOfLane = 3

// NewSite returns the site, of whose routes every baseline is known. Messages follow the table. Where a rule of a lane
// reads conversions, they are reported; where one reads probes, each route is probed.
func NewSite(p *policy.Policy, o SiteOptions) *Site {
	s := &Site{}
	for i := range p.Rules {
		s.tallies = append(s.tallies, Tally{Rule: p.Rules[i].Name})
	}
	s.sim = NewSim(p, SimOptions{Seed: max(o.Seed, 1), Emit: s.note})
	s.began = s.sim.Now()
	if o.Rate == 0 {
		o.Rate = 1
	}
	for i := range p.Lanes {
		if !s.open(p, &p.Lanes[i], o) {
			s.skipped = append(s.skipped, p.Lanes[i].Lane)
		}
	}
	return s
}

// open lets a lane have its messages. It reports false where none would go by it.
func (s *Site) open(p *policy.Policy, l *policy.Lane, o SiteOptions) bool {
	rules := p.RulesFor(l.Lane)
	c, networks := streamsOf(p, l, rules)
	h := Healthy()
	if slices.ContainsFunc(rules, func(r *policy.Rule) bool { return r.Demote.When.Reads("conversion") }) {
		h.Conversion = conversions
	}
	for _, n := range networks {
		for _, id := range l.Order {
			s.sim.Treat(id, c, n, h)
			s.sim.Tell(route.Observation{Kind: route.KindBaseline, Route: id, Class: c, Network: n, Baseline: h.Baseline(5000)})
		}
		s.sim.Send(Stream{Class: c, Network: n, Rate: o.Rate / float64(len(networks))})
		s.probe(l, n, rules, o.Assumptions)
	}
	return len(networks) > 0
}

// probe has the routes of a lane probed as its rules read it. A probe fails by chance as often as assumed.
func (s *Site) probe(l *policy.Lane, n route.Network, rules []*policy.Rule, a policy.Assumptions) {
	for _, kind := range policy.ProbeKinds() {
		if !slices.ContainsFunc(rules, func(r *policy.Rule) bool { return r.Demote.When.Reads("probe." + kind) }) {
			continue
		}
		h := Health{Delivered: 1 - a.Failures(), Latency: 80 * time.Millisecond, Delay: DelayCurve{Parts: []Delay{{1, 5 * time.Second, 0.5}}}}
		if kind != "receipt" && kind != "handset" {
			h.Refused = a.Failures()
		}
		for _, id := range l.Order {
			s.sim.Probe(id, kind, n, a.Interval(kind), h)
		}
	}
}

// streamsOf are a class and the networks of messages that go by a lane; none where other lanes take them all.
func streamsOf(p *policy.Policy, l *policy.Lane, rules []*policy.Rule) (route.Class, []route.Network) {
	c, keys := l.Class, p.LaneKeys()
	if c == route.AnyClass {
		c = "other"
	}
	most := 1
	if slices.ContainsFunc(rules, func(r *policy.Rule) bool { return r.Per == policy.PerNetwork }) {
		most = networksOfLane
	}
	var out []route.Network
	for _, n := range networksIn(p, l) {
		if at := route.Find(keys, c, n); at >= 0 && p.Lanes[at].Lane == l.Lane && len(out) < most {
			out = append(out, n)
		}
	}
	return c, out
}

// networksIn are some MCC-MNCs that lie in the network of a lane.
func networksIn(p *policy.Policy, l *policy.Lane) []route.Network {
	switch country := l.Network.Country(); {
	case l.Network == route.AnyNetwork:
		out := []route.Network{}
		for _, id := range l.Order {
			for _, n := range p.Route(id).Networks {
				if n.Country() == n {
					out = append(out, someNetworks(n)...)
				} else if n != route.AnyNetwork {
					out = append(out, n)
				}
			}
		}
		return append(out, "901-01", "901-02", "901-03")
	case country == l.Network:
		return someNetworks(country)
	}
	return []route.Network{l.Network}
}

// someNetworks are a few numbers of networks of a country; more of them than a lane is given, as some may have lanes of
// their own.
func someNetworks(country route.Network) []route.Network {
	mcc := route.SomeMCC(country)
	if mcc == "" {
		return nil
	}
	var out []route.Network
	for i := range 99 {
		out = append(out, route.Network(fmt.Sprintf("%s-%02d", mcc, i+1)))
	}
	return out
}

// Advance lets time pass.
func (s *Site) Advance(d time.Duration) { s.sim.Advance(s.sim.Now().Add(d)) }

// Simulated is how much time has passed.
func (s *Site) Simulated() time.Duration { return s.sim.Now().Sub(s.began) }

// Messages is how many messages were handed over so far.
func (s *Site) Messages() int {
	n := 0
	for _, t := range s.sim.totals {
		n += t.Submitted
	}
	return n
}

// Skipped are the lanes that no message goes by, because other lanes take them all.
func (s *Site) Skipped() []route.Lane { return s.skipped }

// Tallies are what each rule asked for so far, in the order of the policy.
func (s *Site) Tallies() []Tally { return s.tallies }

// note counts the demotions that a round decided on.
func (s *Site) note(o decide.Outcome) {
	for i := range o.Decisions {
		d := &o.Decisions[i]
		at := slices.IndexFunc(s.tallies, func(t Tally) bool { return t.Rule == d.Rule })
		if d.Verdict != route.VerdictDemote || at < 0 {
			continue
		}
		switch t := &s.tallies[at]; {
		case d.Enforced:
			t.Made++
		case d.Reason == route.Proposed:
			t.Proposed++
		case d.Reason == route.ShadowOnly:
			t.Recorded++
		case d.Reason != route.Expired:
			t.Held++
		}
	}
}
