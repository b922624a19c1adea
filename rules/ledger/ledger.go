// Package ledger accounts what messages cost at list prices, by lane, route and UTC day, and what changes of lanes made
// of it: what the messages under them cost by the routes that carried them, against what they would have cost by the
// shares that the policy gives while all is well. It is pure, counts messages in whole numbers, and turns them into
// money in decimals.
package ledger

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Bounds of what is kept.
const (
	Days       = 35     // UTC days, today included
	maxChanges = 10_000 // the oldest that ended go first
	maxCells   = 500_000
)

// Ledger keeps the accounts. An accepted submit costs the list price of its route for its network, whatever becomes of
// the message later; one that was refused or throttled costs nothing, and neither does one that was withdrawn. A submit
// that timed out is counted apart: the carrier may have charged it or not.
//
// A Ledger is not safe for use by several goroutines.
type Ledger struct {
	policy *policy.Policy
	lanes  []route.Lane // of the policy
	rest   rows         // of the policy while all is well
	now    rows         // of the table in force
	table  *route.Table

	cells   map[cellKey]*cell
	last    *cell // the one counted last
	touched []*cell

	days    map[dayKey]*Day
	lines   map[route.Lane]*line
	changes []*Change // by the moment they began
	totals  map[totalKey]*Total
	today   int32 // the latest day seen
	dirty   dirty
}

// rows are the lanes of a table, and their keys in the same order.
type rows struct {
	keys  []route.Lane
	lanes []route.LaneTable
}

func rowsOf(t *route.Table) rows {
	if t == nil {
		return rows{}
	}
	r := rows{keys: make([]route.Lane, len(t.Lanes)), lanes: t.Lanes}
	for i := range t.Lanes {
		r.keys[i] = t.Lanes[i].Lane()
	}
	return r
}

// serving is the row that serves a class and a network; nil where none does.
func (r *rows) serving(c route.Class, n route.Network) *route.LaneTable {
	if i := route.Find(r.keys, c, n); i >= 0 {
		return &r.lanes[i]
	}
	return nil
}

// line is what is known of the changes of one row of the table.
type line struct {
	open  *Change // nil while all is well
	ended *Change // the last one that ended
}

// cellKey is what messages are counted by until they are turned into money.
type cellKey struct {
	key route.Key
	day int32 // since 1970, UTC
}

// cell counts the messages of one route, class, network and day since the last settling.
type cell struct {
	key      cellKey
	lane     route.Lane // of the policy
	served   bool       // whether a lane of the policy serves them
	price    route.Price
	expected Purse     // what one would cost while all is well
	known    bool      // whether both prices are
	changes  [2]counts // of the change in force, and of the one before it

	touched                        bool
	taken, back, refused, timedOut int64
}

// counts are the messages of a cell that count for a change.
type counts struct {
	change   *Change // nil: none
	messages int64
}

// New returns an empty ledger. It counts nothing before Use.
func New() *Ledger {
	return &Ledger{cells: map[cellKey]*cell{}, days: map[dayKey]*Day{}, lines: map[route.Lane]*line{}, totals: map[totalKey]*Total{}, dirty: newDirty()}
}

// Use makes a policy the one whose prices count; rest is the table that it gives while all is well.
func (l *Ledger) Use(p *policy.Policy, rest *route.Table) {
	l.forget()
	l.policy, l.lanes, l.rest = p, p.LaneKeys(), rowsOf(rest)
	l.beginTotals()
}

// Table is the table that Turn was given last.
func (l *Ledger) Table() *route.Table { return l.table }

// Observe counts a joined observation that came at the moment now. Those that are no submits, and no withdrawals of any,
// count for nothing.
func (l *Ledger) Observe(o *route.Observation, now time.Time) {
	at := o.Time
	switch o.Kind {
	case route.KindSubmit:
	case route.KindWithdrawn:
		at = o.Submitted
	default:
		return
	}
	day := dayOf(at)
	if l.policy == nil || day <= dayOf(now)-Days || day > dayOf(now)+1 {
		return
	}
	if c := l.cell(cellKey{o.Key(), day}, now); c.served {
		l.touch(c)
		c.count(o, at)
	}
}

func (l *Ledger) touch(c *cell) {
	if !c.touched {
		c.touched = true
		l.touched = append(l.touched, c)
	}
}

// count counts one observation that happened at a moment.
func (c *cell) count(o *route.Observation, at time.Time) {
	by := int64(1)
	switch {
	case o.Kind == route.KindWithdrawn:
		c.back++
		by = -1
	case o.Result == route.Refused:
		c.refused++
		return
	case o.Result == route.TimedOut:
		c.timedOut++
		return
	default:
		c.taken++
	}
	for i := range c.changes {
		if x := &c.changes[i]; x.change != nil && x.change.covers(at) {
			x.messages += by
			return
		}
	}
}

// cell is the one of the key, made where there is none.
func (l *Ledger) cell(k cellKey, now time.Time) *cell {
	if l.last != nil && l.last.key == k {
		return l.last
	}
	c := l.cells[k]
	if c == nil {
		if len(l.cells) >= maxCells || k.day > l.today {
			l.forget() // those of yesterday are hardly needed any more
		}
		l.today = max(l.today, k.day)
		c = l.newCell(k, now)
		l.cells[k] = c
	}
	l.last = c
	return c
}

func (l *Ledger) newCell(k cellKey, now time.Time) *cell {
	c := &cell{key: k}
	at := route.Find(l.lanes, k.key.Class, k.key.Network)
	if c.served = at >= 0; !c.served {
		return c
	}
	c.lane, c.price = l.lanes[at], l.priceOf(k.key.Route, k.key.Network)
	row, rest := l.now.serving(k.key.Class, k.key.Network), l.rest.serving(k.key.Class, k.key.Network)
	if row == nil || rest == nil {
		return c
	}
	if !SameWeights(row.Routes, rest.Routes) {
		c.changes[0].change = l.begin(row, nil, now)
	}
	if x := l.lines[row.Lane()]; x != nil {
		c.changes[1].change = x.ended
	}
	if c.changes[0].change != nil || c.changes[1].change != nil {
		c.expected, c.known = Expected(rest.Routes, func(id route.ID) route.Price { return l.priceOf(id, k.key.Network) })
		c.known = c.known && c.price.Known()
	}
	return c
}

func (l *Ledger) priceOf(id route.ID, n route.Network) route.Price {
	if r := l.policy.Route(id); r != nil {
		return r.Price(n)
	}
	return route.Price{}
}

// forget turns what was counted into money, and lets go of what it was counted by.
func (l *Ledger) forget() {
	l.Settle()
	clear(l.cells)
	l.last = nil
}

// Settle turns what was counted since the last time into money.
func (l *Ledger) Settle() {
	for _, c := range l.touched {
		l.settle(c)
	}
	l.touched = l.touched[:0]
}

func (l *Ledger) settle(c *cell) {
	d := l.day(dayKey{c.key.day, c.lane})
	n := c.taken - c.back
	spent := Purse{}
	if c.price.Known() {
		spent = Purse{c.price.Currency: c.price.Amount}.Times(n)
	}
	d.add(c.key.key.Route, entry{messages: n, refused: c.refused, timedOut: c.timedOut, spent: spent, priced: c.price.Known()})
	l.total(c)
	for i := range c.changes {
		if x := &c.changes[i]; x.messages != 0 {
			more := c.differ(x.messages)
			d.Changed.add(x.messages, more, c.known)
			x.change.add(x.messages, more, c.known)
			l.dirty.changes[x.change.key()] = true
			x.messages = 0
		}
	}
	c.taken, c.back, c.refused, c.timedOut, c.touched = 0, 0, 0, 0, false
}

// differ is what so many messages cost more than they would have cost while all is well.
func (c *cell) differ(n int64) Purse {
	if !c.known {
		return nil
	}
	more := c.expected.Times(-n)
	more.AddAll(Purse{c.price.Currency: c.price.Amount}.Times(n))
	return more
}
