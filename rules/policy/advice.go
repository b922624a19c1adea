package policy

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/rules/route"
)

// Advice returns what is allowed and probably not meant, sorted by place: rules that nothing can match or everything
// does, routes in no lane, lanes that depend on one provider, fallbacks that never are, ways back that a demoted route
// can never take, guards and windows that hold everything or nothing.
func (p *Policy) Advice() []Problem {
	var out []Problem
	out = append(out, p.adviseRoutes()...)
	out = append(out, p.adviseLanes()...)
	for i := range p.Rules {
		out = append(out, p.adviseRule(&p.Rules[i])...)
		out = append(out, p.adviseHabits(&p.Rules[i])...)
	}
	out = append(out, p.adviseFallbacks()...)
	out = append(out, p.adviseGuards()...)
	out = append(out, p.adviseWindows()...)
	return sorted(out)
}

func (p *Policy) adviseRoutes() []Problem {
	used := make(map[route.ID]bool)
	for i := range p.Lanes {
		for _, id := range p.Lanes[i].Order {
			used[id] = true
		}
	}
	var out []Problem
	for i := range p.Routes {
		if r := &p.Routes[i]; !used[r.ID] {
			out = append(out, r.place.problem(fmt.Sprintf("want a lane with this route, got none: %s carries nothing", r.ID)))
		}
	}
	return out
}

func (p *Policy) adviseLanes() []Problem {
	var out []Problem
	for i := range p.Lanes {
		l := &p.Lanes[i]
		provider, several := "", false
		for _, id := range l.Order {
			r := p.Route(id)
			several = several || provider != "" && r.Provider != provider
			provider = r.Provider
		}
		switch {
		case several:
		case len(l.Order) == 1:
			out = append(out, l.place.problem(fmt.Sprintf("want a second route, of another provider, got %s alone: nothing can take its place", l.Order[0])))
		default:
			out = append(out, l.place.problem(fmt.Sprintf("want routes of two providers, got %s only: its outage takes every route", provider)))
		}
	}
	return out
}

func (p *Policy) adviseRule(r *Rule) []Problem {
	lanes := p.lanesOf(r)
	if len(lanes) == 0 {
		return []Problem{r.place.problem(fmt.Sprintf("want a lane of class %s, got none: the rule judges nothing", classNames(r.Classes)))}
	}
	out := r.adviseParts()
	if !r.Demote.When.can.true {
		out = append(out, r.Demote.When.place.problem("want a condition that can be true, got one that no signal can meet: the rule demotes nothing"))
	}
	if r.Demote.When.readsCapacityOnly() {
		out = append(out, r.Demote.When.place.problem("want evidence that messages fail, got a condition on queues and throttling alone: too much at once is no illness, and the next route gets it too"))
	}
	if c := p.unsaid(r, lanes); c != "" {
		out = append(out, r.place.problem(fmt.Sprintf("want within on class %s, got none: without it nobody knows what in time is, and within stays unknown", c)))
	}
	switch trapped := p.trapped(lanes); {
	case !r.Promote.When.can.true:
		out = append(out, r.Promote.When.place.problem("want a condition that can be true, got one that no signal can meet: the rule never lets a route back"))
	case !r.Promote.When.idle.true && len(trapped) > 0:
		out = append(out, r.Promote.When.place.problem(fmt.Sprintf(
			"want traffic while demoted, got trickle 0%% on %s: without messages %s stays unknown; add a trickle such as 1%% to the routes, or ask a receipt or handset probe after ||",
			listed(trapped), r.Promote.When.trafficRead())))
	}
	if source := r.unanswered(); source != "" {
		out = append(out, r.Promote.When.place.problem(fmt.Sprintf(
			"want the kind of evidence that demotes, got a condition without %s: a healthy probe does not show that messages arrive", source)))
	}
	return out
}

// unsaid is a class that the rule judges by the time it allows, and that says none; "" where there is no such.
func (p *Policy) unsaid(r *Rule, lanes []*Lane) route.Class {
	if !r.Demote.When.Reads("within") && !r.Promote.When.Reads("within") {
		return ""
	}
	for _, l := range lanes {
		if c := p.Class(l.Class); c != nil && c.Within == 0 {
			return c.Name
		}
	}
	return ""
}

func (p *Policy) lanesOf(r *Rule) []*Lane {
	var out []*Lane
	for i := range p.Lanes {
		if r.judges(p.Lanes[i].Class) {
			out = append(out, &p.Lanes[i])
		}
	}
	return out
}

// trapped are the routes of the lanes that get no message while demoted, by id.
func (p *Policy) trapped(lanes []*Lane) []string {
	var out []string
	for _, l := range lanes {
		for _, id := range l.Order {
			if p.Route(id).Trickle == 0 {
				out = append(out, string(id))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trafficRead is the first name that the condition reads and that traffic alone can tell.
func (c *Condition) trafficRead() string {
	for _, v := range c.reads {
		if v.traffic {
			return v.label
		}
	}
	return "it"
}

// answers are, for each signal about messages that a rule can demote by, those that can show that what it accused the
// route of is over.
var answers = []struct {
	signal string
	by     []string
}{
	{"delivery", []string{"delivery", "within", "conversion"}},
	{"conversion", []string{"conversion", "delivery"}},
	{"latency", []string{"latency", "within"}},
	{"within", []string{"within", "latency"}},
}

// unanswered is the first signal about messages that the rule demotes by, where its way back reads none that answers any
// of them; "" elsewhere.
func (r *Rule) unanswered() (first string) {
	for _, a := range answers {
		if !r.Demote.When.Reads(a.signal) {
			continue
		}
		if slices.ContainsFunc(a.by, r.Promote.When.Reads) {
			return ""
		}
		if first == "" {
			first = a.signal
		}
	}
	return first
}

func classNames(classes []route.Class) string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = string(c)
	}
	return alternatives(names)
}

// listed names the first few of several.
func listed(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
