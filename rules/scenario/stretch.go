package scenario

import (
	"cmp"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"signalbox/rules/ledger"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Stretch is a time in which two tables send the messages of a lane by different routes.
type Stretch struct {
	Lane     route.Lane      `json:"lane"`              // that serves them by the policy; by the other where the policy has none
	Against  *route.Lane     `json:"against,omitempty"` // that serves them by the other policy, where it is another lane
	Only     string          `json:"only,omitempty"`    // policy or against, where the other has no lane for them
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Messages int             `json:"messages"` // submitted meanwhile, whatever route carried them
	Moved    decimal.Decimal `json:"moved"`    // of them, those that the other table sends by another route, as the slots tell
	Cost     []Money         `json:"cost"`     // what the other routes cost more, by currency; less where it is negative
	Unpriced decimal.Decimal `json:"unpriced"` // of the moved ones, those of which one of both prices is not known
}

// Money is an amount of a currency, exact; it may be negative.
type Money = route.Money

// account counts messages under two tables.
type account struct {
	policies [2]*policy.Policy
	tables   [2]*route.Table
	turned   time.Time // when one of the tables changed last
	pairs    map[asked]*pair
	stretch  map[lanePair]*open
	done     []Stretch
	messages int
	from     time.Time
}

// asked is what a message is looked up by.
type asked struct {
	class   route.Class
	network route.Network
}

// pair is the lanes that serve a message under both tables.
type pair struct {
	open *open // nil where both send it alike
	cost *cost
}

// lanePair are two lanes, of which one may be none.
type lanePair struct{ lanes [2]route.Lane }

// open is a stretch that has not ended.
type open struct {
	pair   lanePair
	shares [2][]route.Entry // as the tables had them
	from   time.Time
	count  map[route.Network]*cost // by the network of the message
}

// cost is what another route means for the messages to one network.
type cost struct {
	messages int
	moved    int // slots
	unpriced int // slots
	more     ledger.Purse
}

func newAccount(p, other *policy.Policy) account {
	return account{policies: [2]*policy.Policy{p, other}, pairs: map[asked]*pair{}, stretch: map[lanePair]*open{}}
}

func (t *account) begin(at time.Time) { t.from, t.turned = at, at }

// turn takes over the tables that are in force from a moment on.
func (t *account) turn(tables [2]*route.Table, at time.Time) {
	t.tables, t.turned = tables, at
	if tables[0] == nil || tables[1] == nil {
		return
	}
	clear(t.pairs)
	now := map[lanePair][2]*route.LaneTable{}
	for side := range tables {
		for i := range tables[side].Lanes {
			b, lanes := t.lanesOf(tables[side].Lanes[i].Lane())
			now[b] = lanes
		}
	}
	for b, o := range t.stretch {
		if _, is := now[b]; !is { // it was found by a message
			now[b] = [2]*route.LaneTable{laneIn(tables[0], b.lanes[0]), laneIn(tables[1], b.lanes[1])}
		}
		if lanes := now[b]; !ledger.SameShares(o.shares[0], entries(lanes[0])) || !ledger.SameShares(o.shares[1], entries(lanes[1])) {
			t.end(o, at)
		}
	}
	for b, lanes := range now {
		t.open(b, lanes)
	}
}

// lanesOf are the lanes of both tables that serve what a message is looked up by.
func (t *account) lanesOf(l route.Lane) (b lanePair, lanes [2]*route.LaneTable) {
	for side, table := range t.tables {
		if i := table.Lookup(l.Class, l.Network); i >= 0 {
			lanes[side] = &table.Lanes[i]
			b.lanes[side] = lanes[side].Lane()
		}
	}
	return b, lanes
}

func laneIn(t *route.Table, l route.Lane) *route.LaneTable {
	for i := range t.Lanes {
		if t.Lanes[i].Lane() == l {
			return &t.Lanes[i]
		}
	}
	return nil
}

func entries(l *route.LaneTable) []route.Entry {
	if l == nil {
		return nil
	}
	return l.Routes
}

// open begins a stretch where two lanes differ and none is open.
func (t *account) open(b lanePair, lanes [2]*route.LaneTable) *open {
	if o := t.stretch[b]; o != nil {
		return o
	}
	shares := [2][]route.Entry{entries(lanes[0]), entries(lanes[1])}
	if ledger.SameShares(shares[0], shares[1]) {
		return nil
	}
	o := &open{pair: b, shares: shares, from: t.turned, count: map[route.Network]*cost{}}
	t.stretch[b] = o
	return o
}

// submit counts a message.
func (t *account) submit(c route.Class, n route.Network) {
	t.messages++
	p := t.pairs[asked{c, n}]
	if p == nil {
		if t.tables[0] == nil || t.tables[1] == nil {
			return
		}
		p = &pair{}
		p.open = t.open(t.lanesOf(route.Lane{Class: c, Network: n}))
		if p.open != nil {
			p.cost = t.costOf(p.open, n)
		}
		t.pairs[asked{c, n}] = p
	}
	if p.open != nil {
		p.cost.messages++
	}
}

// costOf is the account of a stretch for the messages to a network.
func (t *account) costOf(o *open, n route.Network) *cost {
	if c := o.count[n]; c != nil {
		return c
	}
	c := &cost{more: ledger.Purse{}}
	o.count[n] = c
	ledger.Slots(o.shares[0], o.shares[1], func(x, y route.ID, width int) {
		if x == y {
			return
		}
		c.moved += width
		was, is := t.price(0, x, n), t.price(1, y, n)
		if !was.Known() || !is.Known() {
			c.unpriced += width
			return
		}
		w := decimal.NewFromInt(int64(width))
		c.more.Add(was.Currency, was.Amount.Mul(w).Neg())
		c.more.Add(is.Currency, is.Amount.Mul(w))
	})
	return c
}

// price is what a message to a network costs by a route under the policy of a side.
func (t *account) price(side int, id route.ID, n route.Network) route.Price {
	if r := t.policies[side].Route(id); r != nil {
		return r.Price(n)
	}
	return route.Price{}
}

// end ends a stretch.
func (t *account) end(o *open, at time.Time) {
	delete(t.stretch, o.pair)
	if !at.After(o.from) {
		return
	}
	s := Stretch{Lane: o.pair.lanes[0], From: o.from, To: at}
	switch a := o.pair.lanes[1]; {
	case s.Lane == (route.Lane{}):
		s.Lane, s.Only = a, "against"
	case a == (route.Lane{}):
		s.Only = "policy"
	case a != s.Lane:
		s.Against = &a
	}
	sums := ledger.Purse{}
	for _, c := range o.count {
		n := decimal.NewFromInt(int64(c.messages)).Mul(ledger.PerSlot)
		s.Messages += c.messages
		s.Moved = s.Moved.Add(n.Mul(decimal.NewFromInt(int64(c.moved))))
		s.Unpriced = s.Unpriced.Add(n.Mul(decimal.NewFromInt(int64(c.unpriced))))
		for currency, more := range c.more {
			sums.Add(currency, n.Mul(more))
		}
	}
	s.Cost = sums.List()
	t.done = append(t.done, s)
}

// finish ends all that is open and returns the stretches by time and lane, and their sum.
func (t *account) finish(end time.Time) (all []Stretch, total Stretch, messages int) {
	for _, o := range t.stretch {
		t.end(o, end)
	}
	slices.SortFunc(t.done, func(a, b Stretch) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Lane.String(), b.Lane.String()), cmp.Compare(laneName(a.Against), laneName(b.Against)), cmp.Compare(a.Only, b.Only))
	})
	total = Stretch{From: t.from, To: end}
	sums := ledger.Purse{}
	for i := range t.done {
		s := &t.done[i]
		total.Messages += s.Messages
		total.Moved, total.Unpriced = total.Moved.Add(s.Moved), total.Unpriced.Add(s.Unpriced)
		for _, p := range s.Cost {
			sums.Add(p.Currency, p.Amount)
		}
	}
	total.Cost = sums.List()
	return append([]Stretch{}, t.done...), total, t.messages
}

func laneName(l *route.Lane) string {
	if l == nil {
		return ""
	}
	return l.String()
}
