package decide

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Conflict is the answer to an order that somebody else's came before.
type Conflict struct {
	With string // the id of the override or the proposal that it is about
	Text string
}

// Error says what came before.
func (c *Conflict) Error() string { return c.Text }

// Stale is the answer to an order that was given on another table than the one in force.
type Stale struct{ Saw, Is route.Generation }

// Error names both tables.
func (s *Stale) Error() string {
	return fmt.Sprintf("the table has changed since: it was ordered on %s, and %s is in force", s.Saw, s.Is)
}

// Obey does what an operator orders, on the signals of the last round. The error is a *Stale where the table is another
// than the one that the order names, a *Refused where a guard holds it, a *Conflict where an override of the same kind is
// in force that the order does not name, or where what it names is over, and else says which field of the order is wrong.
// The world given is not changed.
func Obey(p *policy.Policy, w route.World, seen Seen, o route.Order, now time.Time) (Outcome, error) {
	switch {
	case o.Saw != route.Generation{} && o.Saw != w.Generation:
		return Outcome{}, &Stale{o.Saw, w.Generation}
	case o.Override != nil && o.End == "" && o.Proposal == "":
		return setOverride(p, w, o, now)
	case o.End != "" && o.Override == nil && o.Proposal == "":
		return endOverride(p, w, o, now)
	case o.Proposal != "" && o.Override == nil && o.End == "":
		return reply(p, w, seen, o, now)
	}
	return Outcome{}, errors.New("order: want one of an override, the end of one, and an answer to a proposal")
}

func setOverride(p *policy.Policy, w route.World, o route.Order, now time.Time) (Outcome, error) {
	set := *o.Override
	set.Actor, set.Reason = o.Actor, o.Reason
	there := slices.IndexFunc(w.Overrides, func(x route.Override) bool { return set.Replaces(&x) })
	switch {
	case there >= 0 && w.Overrides[there].ID != o.Replaces:
		x := &w.Overrides[there]
		return Outcome{}, &Conflict{With: x.ID, Text: fmt.Sprintf("override %s is in force already, and has to end or to be named as the one that this takes the place of: %s", x.ID, x.Text(stamp))}
	case there < 0 && o.Replaces != "":
		return Outcome{}, &Conflict{With: o.Replaces, Text: fmt.Sprintf("no such override is in force any more: %s", o.Replaces)}
	}
	return Override(p, w, set, now, slices.Contains(o.Accept, guardMinActive))
}

func endOverride(p *policy.Policy, w route.World, o route.Order, now time.Time) (Outcome, error) {
	if o.Actor != "" && !slices.ContainsFunc(w.Overrides, func(x route.Override) bool { return x.ID == o.End }) {
		return Outcome{}, &Conflict{With: o.End, Text: fmt.Sprintf("no override %s is in force: it has ended, or never was", o.End)}
	}
	return EndOverride(p, w, o.End, o.Actor, o.Reason, now)
}

func reply(p *policy.Policy, w route.World, seen Seen, o route.Order, now time.Time) (Outcome, error) {
	if o.Actor != "" && !waits(w, o.Proposal, now) {
		return Outcome{}, &Conflict{With: o.Proposal, Text: fmt.Sprintf("no proposal %s waits: it was answered, or its time is up, or never was", o.Proposal)}
	}
	return Answer(p, w, seen, Reply{Proposal: o.Proposal, Approve: o.Approve, Actor: o.Actor, Reason: o.Reason, Accept: o.Accept}, now)
}

// Waiting is a proposal that waits for a person.
type Waiting struct {
	ID        string      `json:"id"` // of the decision that proposed
	Lane      route.Lane  `json:"lane"`
	Route     route.ID    `json:"route"`
	From      route.Phase `json:"from"`
	To        route.Phase `json:"to"`
	Rule      string      `json:"rule"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// Proposals are those of a world that wait at now, in the order of its lanes, their networks after them, routes by id.
func Proposals(w route.World, now time.Time) []Waiting {
	out := []Waiting{}
	gather := func(lane route.Lane, states []route.State) {
		for i := range states {
			if s := &states[i]; s.ProposedBy != "" && s.Proposal != "" && now.Before(s.ExpiresAt) {
				out = append(out, Waiting{s.Proposal, lane, s.Route, s.Phase, s.ProposedTo, s.ProposedBy, s.ExpiresAt})
			}
		}
	}
	for i := range w.Lanes {
		l := &w.Lanes[i]
		gather(l.Lane, l.Routes)
		for k := range l.Networks {
			gather(route.Lane{Class: l.Lane.Class, Network: l.Networks[k].Network}, l.Networks[k].Routes)
		}
	}
	return out
}

func waits(w route.World, id string, now time.Time) bool {
	return slices.ContainsFunc(Proposals(w, now), func(x Waiting) bool { return x.ID == id })
}

// Effects are the lanes that senders would see change by an outcome: those of the table that w and p have now, against the
// outcome's.
func Effects(p *policy.Policy, w route.World, o Outcome, now time.Time) []PlannedLane {
	if o.Table == nil {
		return []PlannedLane{}
	}
	was := Table(p, w, now)
	return plannedLanes(&was, o.Table)
}

// Warning is what a guard would say of an operator's order if it were a rule's. Orders pass it over; people should not.
type Warning struct {
	Lane route.Lane `json:"lane"`
	route.GuardResult
}

// warned are the guards that are asked about a drain beside min_active, which refuses it.
var warned = [...]string{guardMaxDemoted, guardCapacity, guardPriceRise}

// Warnings are what the guards would say of a drain that takes traffic away; nil for every other order.
func Warnings(p *policy.Policy, w route.World, seen Seen, o route.Order, now time.Time) []Warning {
	if o.Override == nil || o.Override.Kind != route.Drain {
		return nil
	}
	seen.lanes, seen.Also = p.LaneKeys(), o.Override.Route
	r := newRound(p, seen, w, now, Options{})
	families := r.families(slices.Clone(w.Lanes))
	r.rates = rates(families)
	var out []Warning
	for _, f := range families {
		if f == nil {
			continue
		}
		for _, l := range f.rows() {
			if o.Override.Covers(l.key) {
				out = append(out, l.warnings(o.Override.Route)...)
			}
		}
	}
	return out
}

// warnings are what the guards hold against route id leaving the row.
func (l *lane) warnings(id route.ID) []Warning {
	i := l.index(id)
	if i < 0 {
		return nil
	}
	if now := l.standing(i); !now.usable() {
		return nil
	}
	c := change{index: i, rule: &policy.Rule{Name: "drain"}, verdict: route.VerdictDemote, to: route.Demoted, mode: route.Act}
	var out []Warning
	for _, name := range warned {
		if g := l.ask(name, c); g.Result != pass {
			g.Frees = ""
			out = append(out, Warning{l.key, g})
		}
	}
	return out
}
