package policy

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/rules/route"
)

// adviseFallbacks names routes of lanes that cannot do what they stand there for.
func (p *Policy) adviseFallbacks() []Problem {
	var out []Problem
	for i := range p.Lanes {
		l := &p.Lanes[i]
		if len(p.Rules) > 0 && len(p.RulesFor(l.Lane)) == 0 {
			out = append(out, l.place.problem(fmt.Sprintf("want a rule for class %s, got none: nothing demotes its routes", l.Class)))
		}
		for k, id := range l.Order {
			if !p.Route(id).Registered(l.Class, l.Network) {
				out = append(out, l.places[k].problem(fmt.Sprintf("want a route whose sender IDs are registered for %s in %s, got %s: it takes nothing over; register them, or take it out of the lane", l.Class, l.Network, id)))
			}
		}
		out = append(out, p.adviseCapacity(l)...)
	}
	return append(out, p.adviseStandbys()...)
}

// adviseCapacity names a lane whose main route can never be replaced, as the others cannot carry what it can.
func (p *Policy) adviseCapacity(l *Lane) []Problem {
	main := l.Order[0]
	if l.Shares != nil {
		for _, id := range l.sorted {
			if l.Shares[id] > l.Shares[main] {
				main = id
			}
		}
	}
	carries := p.Route(main).Capacity
	rest, names := 0.0, []string(nil)
	for _, id := range l.Order {
		r := p.Route(id)
		if id == main || !r.Registered(l.Class, l.Network) {
			continue
		}
		if r.Capacity == 0 || carries == 0 {
			return nil // nobody can tell
		}
		rest += r.Capacity
		names = append(names, string(id))
	}
	if len(names) == 0 || rest >= carries {
		return nil
	}
	return []Problem{l.place.problem(fmt.Sprintf("want routes that can carry the %s/s of %s without it, got %s/s by %s: above that guards.capacity keeps %s in, however bad it is",
		trimmed(carries), main, trimmed(rest), listed(names), main))}
}

// adviseStandbys names routes that carry nothing until they are needed, and that no rule asks a probe about.
func (p *Policy) adviseStandbys() []Problem {
	carries := make(map[route.ID]bool)
	for i := range p.Lanes {
		l := &p.Lanes[i]
		for k, id := range l.Order {
			carries[id] = carries[id] || k == 0 && l.Shares == nil || l.Shares[id] > 0
		}
	}
	var out []Problem
	said := make(map[route.ID]bool)
	for i := range p.Lanes {
		l := &p.Lanes[i]
		probed := slices.ContainsFunc(p.RulesFor(l.Lane), func(r *Rule) bool { return r.Demote.When.Reads("probe") || r.Promote.When.Reads("probe") })
		for k, id := range l.Order {
			r := p.Route(id)
			if probed || carries[id] || said[id] || r.Trickle > 0 || !r.Registered(l.Class, l.Network) {
				continue
			}
			said[id] = true
			out = append(out, l.places[k].problem(fmt.Sprintf(
				`want a rule that asks a probe of %s, such as probe["bind"].failures >= 3, got none: it carries nothing, so nobody knows whether it works when it is needed; a share in a weighted lane would tell too`, id)))
		}
	}
	return out
}

// adviseGuards names guards that hold everything, or that can never ask.
func (p *Policy) adviseGuards() []Problem {
	var out []Problem
	if !p.written.modes {
		out = append(out, p.written.classes.problem("want a mode, got none: without one every class only observes, and nothing is ever demoted; propose asks a person, act demotes"))
	}
	out = append(out, p.adviseMinActive()...)
	if at, ok := p.written.guards["price_rise"]; ok {
		out = append(out, p.advisePrices(at)...)
	}
	if at, ok := p.written.guards["corroborate"]; ok {
		out = append(out, p.adviseCorroborate(at)...)
	}
	return out
}

func (p *Policy) adviseMinActive() []Problem {
	at, ok := p.written.guards["min_active"]
	if !ok {
		return nil
	}
	var stuck []string
	least := 0
	for i := range p.Lanes {
		l := &p.Lanes[i]
		usable := 0
		for _, id := range l.Order {
			if p.Route(id).Registered(l.Class, l.Network) {
				usable++
			}
		}
		if usable > 1 && usable <= p.Guards.MinActive {
			stuck = append(stuck, l.String())
			least = max(least, usable)
		}
	}
	if len(stuck) == 0 {
		return nil
	}
	return []Problem{at.problem(fmt.Sprintf("want fewer than the routes of each lane, got %d: no route of %s can ever be demoted", p.Guards.MinActive, listed(stuck)))}
}

// advisePrices names routes whose price in a lane is not known, or in another currency, so that price_rise lets every
// change to them pass.
func (p *Policy) advisePrices(at place) []Problem {
	var unpriced, mixed []string
	for i := range p.Lanes {
		l := &p.Lanes[i]
		currency := ""
		for _, id := range l.Order {
			switch price := p.Route(id).Price(l.Network); {
			case len(l.Order) == 1:
			case !price.Known():
				unpriced = append(unpriced, fmt.Sprintf("%s in %s", id, l.Network))
			case currency != "" && currency != price.Currency:
				mixed = append(mixed, l.String())
			default:
				currency = price.Currency
			}
		}
	}
	var out []Problem
	if len(unpriced) > 0 {
		out = append(out, at.problem(fmt.Sprintf("want a price for each route of a lane, got none for %s: what cannot be compared passes", listed(distinct(unpriced)))))
	}
	if len(mixed) > 0 {
		out = append(out, at.problem(fmt.Sprintf("want prices of a lane in one currency, got several in %s: what cannot be compared passes", listed(distinct(mixed)))))
	}
	return out
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// adviseCorroborate names a guard that asks about evidence which no rule of its classes rests on.
func (p *Policy) adviseCorroborate(at place) []Problem {
	g := p.Guards.Corroborate
	asked := []string{}
	for i := range p.Lanes {
		l := &p.Lanes[i]
		if !slices.Contains(g.Classes, l.Class) && !slices.Contains(g.Classes, route.AnyClass) {
			continue
		}
		for _, r := range p.RulesFor(l.Lane) {
			for _, s := range g.Signals {
				asked = append(asked, s)
				if s == "silence" && r.Demote.When.Reads("delivery") || s != "silence" && r.Demote.When.Reads(s) {
					return nil
				}
			}
		}
	}
	if len(asked) == 0 {
		return []Problem{at.problem(fmt.Sprintf("want a class that has a lane and a rule, got %s: the guard asks nothing", classNames(g.Classes)))}
	}
	return []Problem{at.problem(fmt.Sprintf("want a rule that demotes by %s, got none for %s: the guard asks nothing", strings.Join(g.Signals, " or "), classNames(g.Classes)))}
}
