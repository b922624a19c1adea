package scenario

import (
	"cmp"
	"slices"
	"time"

	"signalbox/rules/route"
)

// Move is when one policy moved a route, or would have where it may only propose or observe, and why.
type Move struct {
	Time     time.Time    `json:"time"`
	Rule     string       `json:"rule"`
	Reason   route.Reason `json:"reason"`
	Enforced bool         `json:"enforced"`
	Text     string       `json:"text"`
}

// Differing is a change of a route that two policies did not decide alike: one of them not at all, or each at another time,
// by another rule, or with another reason.
type Differing struct {
	Lane    route.Lane  `json:"lane"`
	Route   route.ID    `json:"route"`
	From    route.Phase `json:"from"`
	To      route.Phase `json:"to"`
	Policy  *Move       `json:"policy"`  // null where it did not
	Against *Move       `json:"against"` // null where it did not
}

// first is when the earlier of both moved it.
func (d *Differing) first() time.Time {
	switch {
	case d.Policy == nil:
		return d.Against.Time
	case d.Against == nil || d.Policy.Time.Before(d.Against.Time):
		return d.Policy.Time
	}
	return d.Against.Time
}

// matcher finds to each move of one side that of the other.
type matcher struct {
	since   time.Time
	waiting map[moving]*[2][]route.Decision // moves without a counterpart, the oldest first
	found   []Differing
}

// moving is a route in a lane.
type moving struct {
	lane  route.Lane
	route route.ID
}

// moves reports whether a decision moved a route, or would have where it may only be proposed or observed.
func moves(d *route.Decision) bool {
	switch d.Reason {
	case route.Proposed, route.ShadowOnly:
		return true
	case route.RuleMatched, route.RuleCleared, route.Approved:
		return d.Enforced
	}
	return false
}

// add takes the next decision of a side that moves a route. A move is matched with the oldest of the other side that leads the same way. What
// was left of a way out and back again when the next way out begins was the one side's alone.
func (m *matcher) add(side int, d *route.Decision) {
	if m.waiting == nil {
		m.waiting = map[moving]*[2][]route.Decision{}
	}
	w := m.waiting[moving{d.Lane, d.Route}]
	if w == nil {
		w = &[2][]route.Decision{}
		m.waiting[moving{d.Lane, d.Route}] = w
	}
	if d.From == route.Active {
		m.alone(side, w)
	}
	other := &w[1-side]
	if i := slices.IndexFunc(*other, func(o route.Decision) bool { return o.From == d.From && o.To == d.To }); i >= 0 {
		pair := [2]*route.Decision{}
		pair[side], pair[1-side] = d, &(*other)[i]
		m.tell(pair)
		*other = slices.Delete(*other, i, i+1)
		return
	}
	w[side] = append(w[side], *d)
	if d.To == route.Active && len(w[side]) > 1 {
		m.alone(side, w)
	}
}

// alone tells of the moves of a side that the other did not make.
func (m *matcher) alone(side int, w *[2][]route.Decision) {
	for i := range w[side] {
		pair := [2]*route.Decision{}
		pair[side] = &w[side][i]
		m.tell(pair)
	}
	w[side] = nil
}

// tell keeps a pair of moves that differ; one of them may be nil.
func (m *matcher) tell(pair [2]*route.Decision) {
	a, b := pair[0], pair[1]
	if a != nil && b != nil && a.Time.Equal(b.Time) && a.Rule == b.Rule && a.Reason == b.Reason {
		return
	}
	d := cmp.Or(a, b)
	out := Differing{Lane: d.Lane, Route: d.Route, From: d.From, To: d.To, Policy: moveOf(a), Against: moveOf(b)}
	if late := cmp.Or(b, a); !d.Time.Before(m.since) || !late.Time.Before(m.since) {
		m.found = append(m.found, out)
	}
}

func moveOf(d *route.Decision) *Move {
	if d == nil {
		return nil
	}
	return &Move{Time: d.Time, Rule: d.Rule, Reason: d.Reason, Enforced: d.Enforced, Text: d.Text}
}

// finish tells of what found no counterpart, and returns all that differs.
func (m *matcher) finish() []Differing {
	for _, w := range m.waiting {
		m.alone(0, w)
		m.alone(1, w)
	}
	slices.SortStableFunc(m.found, func(a, b Differing) int {
		return cmp.Or(a.first().Compare(b.first()), cmp.Compare(a.Lane.String(), b.Lane.String()), cmp.Compare(a.Route, b.Route),
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(mine(&a), mine(&b)))
	})
	if m.found == nil {
		m.found = []Differing{}
	}
	return m.found
}

// mine is whether the first policy moved it: for an order.
func mine(d *Differing) int {
	if d.Policy != nil {
		return 0
	}
	return 1
}
