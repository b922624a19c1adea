package ledger

import (
	"cmp"
	"slices"
	"time"

	"signalbox/rules/route"
)

// Change is the time in which a row of the table sends messages otherwise than the policy does while all is well, from
// one change of its shares to the next.
type Change struct {
	Decision string     `json:"decision"` // that began it, by id; "" where none is known
	Lane     route.Lane `json:"lane"`     // of the row
	Route    route.ID   `json:"route"`    // that the decision is about
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to,omitzero"` // zero while it lasts
	Changed
	Shares []Share `json:"shares"` // what the row gave
}

// Share is the share of a route.
type Share struct {
	Route route.ID `json:"route"`
	Share int      `json:"share"` // ten-thousandths
}

type changeKey struct {
	lane route.Lane
	from int64
}

func (c *Change) key() changeKey { return changeKey{c.Lane, c.From.UnixNano()} }

// covers reports whether a message that was submitted at a moment counts for the change.
func (c *Change) covers(at time.Time) bool {
	return !at.Before(c.From) && (c.To.IsZero() || at.Before(c.To))
}

// entries are the shares in the form of a table.
func (c *Change) entries() []route.Entry {
	out := make([]route.Entry, len(c.Shares))
	for i, s := range c.Shares {
		out[i] = route.Entry{Route: s.Route, Share: s.Share}
	}
	return out
}

func sharesOf(entries []route.Entry) []Share {
	var out []Share
	for i := range entries {
		if entries[i].Share > 0 {
			out = append(out, Share{entries[i].Route, entries[i].Share})
		}
	}
	return out
}

// Turn takes over a table that is in force from its publication on, and the decisions that led to it.
func (l *Ledger) Turn(t *route.Table, decisions []route.Decision) {
	l.forget()
	for _, c := range l.ending(t) {
		l.end(c, later(t.PublishedAt, c.From))
	}
	l.table, l.now = t, rowsOf(t)
	for i := range t.Lanes {
		if row := &t.Lanes[i]; l.changed(row) {
			l.begin(row, decisions, t.PublishedAt)
		}
	}
}

// Costs says of the decisions that lead to a table what the changes cost that they end; it changes only the decisions.
func (l *Ledger) Costs(t *route.Table, decisions []route.Decision) {
	if t == nil || len(decisions) == 0 {
		return
	}
	l.Settle()
	for _, c := range l.ending(t) {
		if i := cause(c.Lane, decisions); i >= 0 && c.Messages > 0 {
			decisions[i].Cost = c.addTo(decisions[i].Cost)
		}
	}
}

// addTo adds the change to what a decision says of those that it ends.
func (c *Change) addTo(cost *route.Cost) *route.Cost {
	out, sum := route.Cost{From: c.From}, Purse{}
	if cost != nil {
		out = *cost
		for _, m := range cost.Amount {
			sum.Add(m.Currency, m.Amount)
		}
	}
	sum.AddAll(c.Difference)
	if c.Decision != "" && !slices.Contains(out.Changes, c.Decision) {
		out.Changes = append(slices.Clone(out.Changes), c.Decision)
	}
	if c.From.Before(out.From) {
		out.From = c.From
	}
	out.Messages, out.Unpriced, out.Amount = out.Messages+int(c.Messages), out.Unpriced+int(c.Unpriced), sum.List()
	return &out
}

// changed reports whether a row of the table in force sends messages otherwise than the policy while all is well.
func (l *Ledger) changed(row *route.LaneTable) bool {
	rest := l.rest.serving(row.Class, row.Network)
	return rest != nil && !SameWeights(row.Routes, rest.Routes)
}

// ending are the open changes that a table ends, by lane: those whose row is gone, or has other shares.
func (l *Ledger) ending(t *route.Table) (out []*Change) {
	for _, x := range l.lines {
		if x.open == nil {
			continue
		}
		i := slices.IndexFunc(t.Lanes, func(r route.LaneTable) bool { return r.Lane() == x.open.Lane })
		if i < 0 || !l.changed(&t.Lanes[i]) || !SameWeights(t.Lanes[i].Routes, x.open.entries()) {
			out = append(out, x.open)
		}
	}
	slices.SortFunc(out, func(a, b *Change) int { return compareLanes(a.Lane, b.Lane) })
	return out
}

func compareLanes(a, b route.Lane) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Network, b.Network))
}

// begin opens a change of a row where none is open.
func (l *Ledger) begin(row *route.LaneTable, decisions []route.Decision, at time.Time) *Change {
	x := l.lines[row.Lane()]
	if x == nil {
		x = &line{}
		l.lines[row.Lane()] = x
	}
	if x.open != nil {
		return x.open
	}
	c := &Change{Lane: row.Lane(), From: at.Round(0).UTC(), Changed: Changed{Difference: Purse{}}, Shares: sharesOf(row.Routes)}
	if i := cause(c.Lane, decisions); i >= 0 {
		c.Decision, c.Route = decisions[i].ID, decisions[i].Route
	} else {
		c.Decision, c.Route = reasonOf(row)
	}
	x.open = c
	l.changes = append(l.changes, c)
	l.dirty.changes[c.key()] = true
	return c
}

// end ends a change. One that nobody decided and no message came under is forgotten.
func (l *Ledger) end(c *Change, at time.Time) {
	c.To = at.Round(0).UTC()
	l.lines[c.Lane].open, l.lines[c.Lane].ended = nil, c
	l.dirty.changes[c.key()] = true
	if c.Decision == "" && c.Messages == 0 {
		l.drop(c)
	}
}

func (l *Ledger) drop(c *Change) {
	l.changes = slices.DeleteFunc(l.changes, func(x *Change) bool { return x == c })
	l.dirty.changes[c.key()] = true
	if x := l.lines[c.Lane]; x != nil && x.ended == c {
		x.ended = nil
	}
}

// cause is the index of the decision that changed a lane, or -1: the last one about the very lane, else the last one about
// lanes that it is among.
func cause(lane route.Lane, decisions []route.Decision) int {
	best := -1
	for i := range decisions {
		d := &decisions[i]
		if !d.Enforced || !d.Lane.Matches(lane.Class, lane.Network) {
			continue
		}
		if best < 0 || d.Lane == lane || decisions[best].Lane != lane {
			best = i
		}
	}
	return best
}

// reasonOf is the decision that a row of a table names as the last one, and the route that it is about.
func reasonOf(row *route.LaneTable) (id string, r route.ID) {
	var since time.Time
	for i := range row.Routes {
		e := &row.Routes[i]
		if e.Reason == nil || e.Reason.Decision == "" || id != "" && (e.Since == nil || !e.Since.After(since)) {
			continue
		}
		id, r = e.Reason.Decision, e.Route
		if e.Since != nil {
			since = *e.Since
		}
	}
	return id, r
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
