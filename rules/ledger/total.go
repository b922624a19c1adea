package ledger

import (
	"maps"
	"time"

	"signalbox/rules/route"
)

// Total is what messages of a lane by a route have cost since the process began; what was withdrawn is not given back,
// so that it only grows.
type Total struct {
	Lane     route.Lane
	Route    route.ID
	Currency string // "": the price is not known
	Messages int64
	Spent    Purse
}

type totalKey struct {
	lane     route.Lane
	route    route.ID
	currency string
}

func (l *Ledger) total(c *cell) {
	if c.taken == 0 {
		return
	}
	t := l.totalOf(totalKey{c.lane, c.key.key.Route, c.price.Currency})
	t.Messages += c.taken
	if c.price.Known() {
		t.Spent.AddAll(Purse{c.price.Currency: c.price.Amount}.Times(c.taken))
	}
}

func (l *Ledger) totalOf(k totalKey) *Total {
	t := l.totals[k]
	if t == nil {
		t = &Total{Lane: k.lane, Route: k.route, Currency: k.currency, Spent: Purse{}}
		l.totals[k] = t
	}
	return t
}

// beginTotals begins those of the policy's routes at nothing, so that whoever reads them sees them grow from there.
func (l *Ledger) beginTotals() {
	for i := range l.policy.Lanes {
		lane := &l.policy.Lanes[i]
		for _, id := range lane.Order {
			l.totalOf(totalKey{lane.Lane, id, l.priceOf(id, lane.Network).Currency})
		}
	}
}

// Totals are all totals, in no order, and what changes made today, by lane.
func (l *Ledger) Totals(now time.Time) (all []Total, today map[route.Lane]Purse) {
	all = make([]Total, 0, len(l.totals))
	for _, t := range l.totals {
		c := *t
		c.Spent = maps.Clone(t.Spent)
		all = append(all, c)
	}
	today = map[route.Lane]Purse{}
	for _, lane := range l.lanes {
		if d := l.days[dayKey{dayOf(now), lane}]; d != nil && d.Changed.Messages != 0 {
			today[lane] = maps.Clone(d.Changed.Difference)
		}
	}
	return all, today
}
