package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Refused is the answer to an operator whose order a guard does not let pass.
type Refused struct{ route.GuardResult }

// Error names the guard and what it says.
func (r *Refused) Error() string { return r.Guard + ": " + r.Why }

// Override puts an operator's order in force from now on, in place of an earlier one of the same kind on the same lanes
// and route. It refuses one that does not make sense, and, unless force is set, a drain that leaves a lane fewer routes
// than min_active: then the error is a *Refused. The world given is not changed. An order that nothing can be moved by is
// an error too.
func Override(p *policy.Policy, w route.World, o route.Override, now time.Time, force bool) (Outcome, error) {
	r := newRound(p, nil, w, now, Options{})
	if o.Kind == route.Freeze && o.Changes == "" {
		o.Changes = string(policy.FreezeChanges)
	}
	if err := r.checkOverride(&o); err != nil {
		return Outcome{}, err
	}
	o.Since = r.now
	next := w
	next.Lanes = slices.Clone(w.Lanes)
	next.Overrides = slices.DeleteFunc(slices.Clone(w.Overrides), func(x route.Override) bool { return o.Replaces(&x) })
	next.Overrides = append(next.Overrides, o)
	if refused := r.leaves(next, &o); refused != nil && !force {
		return Outcome{}, refused
	}
	r.setOrder(&next.Overrides[len(next.Overrides)-1], w.Overrides, next)
	return r.finish(next, nil), nil
}

// EndOverride takes an order back before its end. The reason may be empty.
func EndOverride(p *policy.Policy, w route.World, id, actor, reason string, now time.Time) (Outcome, error) {
	r := newRound(p, nil, w, now, Options{})
	at := slices.IndexFunc(w.Overrides, func(o route.Override) bool { return o.ID == id })
	switch {
	case at < 0:
		return Outcome{}, fmt.Errorf("want the id of an override in force, got %q", id)
	case actor == "":
		return Outcome{}, fmt.Errorf("actor: want the name of who ends it, got nothing")
	}
	next := w
	next.Lanes = slices.Clone(w.Lanes)
	next.Overrides = slices.Delete(slices.Clone(w.Overrides), at, at+1)
	r.orderEnds(&w.Overrides[at], next, actor, reason)
	return r.finish(next, nil), nil
}

// checkOverride says what is wrong with an order.
func (r *round) checkOverride(o *route.Override) error {
	_, network := route.ParseNetwork(string(o.Network))
	switch {
	case !slices.Contains([]route.OverrideKind{route.Pin, route.Drain, route.Freeze}, o.Kind):
		return fmt.Errorf("kind: want pin, drain or freeze, got %q", o.Kind)
	case network != nil:
		return fmt.Errorf("network: %w", network)
	case o.Class == "":
		return fmt.Errorf(`class: want a class, or "*" for every class, got nothing`)
	case strings.TrimSpace(o.Actor) == "":
		return fmt.Errorf("actor: want the name of who orders it, got nothing")
	case strings.TrimSpace(o.Reason) == "":
		return fmt.Errorf("reason: want why it is ordered, got nothing")
	case !o.Until.IsZero() && !o.Until.After(r.now):
		return fmt.Errorf("until: want a moment after %s, got %s", stamp(r.now), stamp(o.Until))
	case o.Kind == route.Freeze:
		return r.checkFreeze(o)
	case r.policy.Route(o.Route) == nil:
		return fmt.Errorf("route: want a route of the policy, got %q%s", o.Route, r.meant(o.Route))
	case len(r.rowsOf(o)) == 0:
		return fmt.Errorf("route: want a route of a lane in %s/%s, got %q, which is in none", o.Class, o.Network, o.Route)
	}
	return nil
}

func (r *round) checkFreeze(o *route.Override) error {
	known := []policy.Freeze{policy.FreezePromotions, policy.FreezeDemotions, policy.FreezeChanges}
	switch {
	case !slices.Contains(known, policy.Freeze(o.Changes)):
		return fmt.Errorf("changes: want promotions, demotions or changes, got %q", o.Changes)
	case o.Route != "":
		return fmt.Errorf("route: want nothing, as a freeze is about every route of a lane, got %q", o.Route)
	case !slices.ContainsFunc(r.policy.Lanes, func(l policy.Lane) bool { return r.about(o, &l) }):
		return fmt.Errorf("network: want a lane of the policy in %s/%s, got none", o.Class, o.Network)
	}
	return nil
}

func (r *round) meant(id route.ID) string {
	if id == "" {
		return ""
	}
	ids := make([]string, len(r.policy.Routes))
	for i := range ids {
		ids[i] = string(r.policy.Routes[i].ID)
	}
	if near := policy.Nearest(string(id), ids); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// about reports whether an order is about a lane, or about one MCC-MNC of those that the lane serves.
func (r *round) about(o *route.Override, l *policy.Lane) bool {
	return o.Covers(l.Lane) || (o.Class == route.AnyClass || o.Class == l.Class) && isWithin(r.policy, l, o.Network)
}

// rowsOf are the lanes with the order's route that it covers, or, where it is about one network, that network in its lane.
func (r *round) rowsOf(o *route.Override) []route.Lane {
	var out []route.Lane
	for i := range r.policy.Lanes {
		switch l := &r.policy.Lanes[i]; {
		case !l.Has(o.Route) || !r.about(o, l):
		case o.Covers(l.Lane):
			out = append(out, l.Lane)
		default:
			out = append(out, route.Lane{Class: l.Class, Network: o.Network})
		}
	}
	return out
}

// leaves is what min_active says of the lanes, and of their networks, from which a drain takes a route that carries them;
// nil where it lets it pass. The world has the drain in it already.
func (r *round) leaves(w route.World, o *route.Override) *Refused {
	if o.Kind != route.Drain {
		return nil
	}
	least := max(1, r.policy.Guards.MinActive)
	for i := range r.policy.Lanes {
		pl := &r.policy.Lanes[i]
		state := w.Lane(pl.Lane)
		if state == nil || !pl.Has(o.Route) {
			continue
		}
		for _, key := range append([]route.Lane{pl.Lane}, r.apartIn(pl, state, w.Overrides)...) {
			of := inWorld(state, key.Network)
			if was := stands(r.policy, key, covering(r.overrides, key), of, o.Route); !o.Covers(key) || !was.usable() {
				continue
			}
			if left := countUsable(row(r.policy, pl, key, covering(w.Overrides, key), of)); left < least {
				g := holdsBack("another route of the lane becoming active", "%s would stay usable in %s, and at least %d must", count(left, "route"), key, least)
				g.Guard = guardMinActive
				return &Refused{g}
			}
		}
	}
	return nil
}

// apartIn are the networks of a lane on which something is remembered or ordered.
func (r *round) apartIn(pl *policy.Lane, state *route.LaneState, overrides []route.Override) []route.Lane {
	var out []route.Lane
	for _, n := range apart(r.policy, pl, state, overrides) {
		out = append(out, route.Lane{Class: pl.Class, Network: n})
	}
	return out
}

// setOrder records an order that comes into force, and which of those that were in force it takes the place of.
func (r *round) setOrder(o *route.Override, were []route.Override, w route.World) {
	d := r.orderDecision(o, w)
	d.Reason, d.Text, d.Actor = route.OverrideSet, o.Text(stamp), person(o.Actor)
	for i := range were {
		if x := &were[i]; o.Replaces(x) {
			d.Text += "; in place of " + x.ID + ", " + x.Text(stamp)
		}
	}
	r.records = append(r.records, record{decision: d, order: o})
	r.dirty, r.moved = true, r.moved || len(r.rowsOf(o)) > 0
}

// orderEnds records an order that is over; the actor is who ended it, "" where its time was up.
func (r *round) orderEnds(o *route.Override, w route.World, actor, reason string) {
	d := r.orderDecision(o, w)
	d.Reason, d.Actor = route.OverrideEnded, person(actor)
	over := *o
	d.Override = &over
	d.Text = "its time is up: " + o.Text(stamp)
	if actor != "" {
		d.Text = "ended by " + actor + ": " + o.Text(stamp)
	}
	if actor != "" && reason != "" {
		d.Text = "ended by " + actor + " (" + reason + "): " + o.Text(stamp)
	}
	r.note(d)
	r.moved = r.moved || len(r.rowsOf(o)) > 0
}

func (r *round) orderDecision(o *route.Override, w route.World) route.Decision {
	phase := route.Active
	if l := w.Lane(route.Lane{Class: o.Class, Network: o.Network}); l != nil {
		if s := l.State(o.Route); s != nil {
			phase = s.Phase
		}
	}
	return route.Decision{Lane: route.Lane{Class: o.Class, Network: o.Network}, Route: o.Route, From: phase, To: phase,
		Verdict: route.VerdictNothing, Mode: route.Act, Enforced: true,
		Inputs: []route.Input{}, Guards: []route.GuardResult{}, Alternatives: []route.Alternative{}}
}

// endOverrides ends the orders whose time is up, and returns those in force. While the time cannot be trusted none ends.
func (r *round) endOverrides(w *route.World) []route.Override {
	if r.options.Hold || !slices.ContainsFunc(w.Overrides, r.over) {
		return w.Overrides
	}
	for i := range w.Overrides {
		if o := &w.Overrides[i]; r.over(*o) {
			r.orderEnds(o, *w, "", "")
		}
	}
	w.Overrides = slices.DeleteFunc(slices.Clone(w.Overrides), r.over)
	if len(w.Overrides) == 0 {
		w.Overrides = nil
	}
	return w.Overrides
}

func (r *round) over(o route.Override) bool { return !o.Until.IsZero() && !r.now.Before(o.Until) }

// ordered are the operators' orders that hold a change: one about a network of the lane holds the lane's, which would move
// the route there too.
func (l *lane) ordered(c change) []route.GuardResult {
	var out []route.GuardResult
	for _, r := range l.affected() {
		for i := range r.covered {
			o, on := &r.covered[i], l.onNetwork(r)
			switch {
			case r != l && o.Covers(l.key): // asked in the lane
			case o.Kind == route.Pin && o.Route == l.states[c.index].Route:
				out = append(out, route.GuardResult{Guard: guardPinned, Result: hold, Why: "it is" + on + " " + o.Text(stamp), Frees: "the end of the pin"})
			case o.Kind == route.Freeze && policy.Freeze(o.Changes).Holds(c.verdict):
				out = append(out, route.GuardResult{Guard: guardFrozen, Result: hold, Why: "the lane's " + o.Changes + on + " are " + o.Text(stamp), Frees: "the end of the freeze"})
			}
		}
	}
	return out
}
