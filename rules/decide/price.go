package decide

import (
	"cmp"

	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// priceChange says what the lane's messages will cost against what they cost now: by the first active route under an
// order, by the active routes' weights under shares. Trials of routes that are out are left aside.
func (l *lane) priceChange(c change) string {
	goes, comes := l.goes(c), l.comes(c)
	was, before := l.price(-1, -1)
	is, after := l.price(goes, comes)
	if goes < 0 && comes < 0 || l.policy.Shares == nil && before == after {
		return ""
	}
	return was.Change(is)
}

// goes is the route that stops carrying the lane by right; -1 for none.
func (l *lane) goes(c change) int {
	if c.to == route.Demoted && l.state.Routes[c.index].Phase == route.Active {
		return c.index
	}
	return -1
}

// comes is the route that carries the lane by right again; -1 for none.
func (l *lane) comes(c change) int {
	if c.to == route.Active {
		return c.index
	}
	return -1
}

// price is what a message costs while the active routes carry the lane, without the one that goes and with the one that
// comes, and the first of them. The price is unknown where one of theirs is.
func (l *lane) price(goes, comes int) (route.Price, route.ID) {
	sum, weights, first := route.Price{}, int64(0), route.ID("")
	for _, id := range l.policy.Order {
		i := l.index(id)
		if i < 0 || i == goes || i != comes && l.state.Routes[i].Phase != route.Active {
			continue
		}
		p := l.listPrice(id)
		if l.policy.Shares == nil {
			return p, id
		}
		weight := int64(l.policy.Shares[id])
		if weight == 0 {
			continue
		}
		if !p.Known() || weights > 0 && p.Currency != sum.Currency {
			return route.Price{}, first
		}
		sum = route.Price{Amount: sum.Amount.Add(p.Amount.Mul(decimal.NewFromInt(weight))), Currency: p.Currency}
		weights, first = weights+weight, cmp.Or(first, id)
	}
	if weights > 0 {
		sum.Amount = sum.Amount.Div(decimal.NewFromInt(weights))
	}
	return sum, first
}

func (l *lane) listPrice(id route.ID) route.Price {
	if r := l.round.policy.Route(id); r != nil {
		return r.Price(l.state.Lane.Network)
	}
	return route.Price{}
}
