package policy

import (
	"fmt"
	"slices"

	"signalbox/rules/route"
)

// AdviseProbes is advice on a policy whose routes are probed as said: kinds are those of the probes of a route, such as bind
// and handset, none where nobody looks at it. A signal that nobody looks for stays unknown, and what asks it does nothing.
func (p *Policy) AdviseProbes(kinds func(route.ID) []string) []Advice {
	var out []Problem
	for i := range p.Routes {
		if r := &p.Routes[i]; len(kinds(r.ID)) == 0 {
			out = append(out, r.place.problem(fmt.Sprintf("want a probe of %s, got none: only its own messages tell of it", r.ID)))
		}
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		for _, kind := range ProbeKinds() {
			if blind := p.blind(r, kind, kinds); len(blind) > 0 && r.Demote.When.Reads("probe."+kind) {
				out = append(out, r.Demote.When.place.problem(fmt.Sprintf("want a probe of kind %s of each route that the rule judges, got none of %s: there probe[%q] stays unknown",
					kind, listed(blind), kind)))
			}
		}
	}
	return sorted(out)
}

// blind are the routes that a rule judges and that no probe of a kind looks at, by id; those that none looks at are told of
// by themselves.
func (p *Policy) blind(r *Rule, kind string, kinds func(route.ID) []string) []string {
	var out []string
	for _, l := range p.lanesOf(r) {
		for _, id := range l.Order {
			if have := kinds(id); len(have) > 0 && !slices.Contains(have, kind) {
				out = append(out, string(id))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
