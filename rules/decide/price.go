package decide

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// priceChange says what the lane's messages will cost against what they cost now: by the first route that carries it
// under an order, by the weights of all that do under shares. Trials of routes that are out are left aside.
func (l *lane) priceChange(c change) string {
	was, is, same := l.prices(c)
	if same {
		return ""
	}
	return was.Change(is)
}

// prices are what a message of the lane costs now, and after the change; same reports that the same routes carry it.
func (l *lane) prices(c change) (was, is route.Price, same bool) {
	now := l.standing(c.index)
	was, before := l.price(l.row())
	then, moved := route.ID(""), false
	l.after(c, func(row []standing) {
		is, then = l.price(row)
		at := slices.IndexFunc(row, func(s standing) bool { return s.id == now.id })
		moved = at >= 0 && row[at].usable() != now.usable()
	})
	return was, is, !moved || l.policy.Shares == nil && before == then
}

// price is what a message costs where the routes stand so, and the first of those that carry it. The price is unknown
// where one of theirs is.
func (l *lane) price(row []standing) (route.Price, route.ID) {
	sum, weights, first := route.Price{}, int64(0), route.ID("")
	for i := range row {
		if !row[i].usable() {
			continue
		}
		id := row[i].id
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
		return r.Price(l.key.Network)
	}
	return route.Price{}
}

// priceRise holds a change, or has a person asked, that makes a message of the lane dearer than the policy allows.
func (l *lane) priceRise(c change) route.GuardResult {
	g := l.round.policy.Guards.PriceRise
	if g.Limit == 0 {
		return passes("the policy sets no bound")
	}
	was, is, same := l.prices(c)
	switch {
	case same:
		return passes("the same routes carry the lane")
	case !was.Known() || was.Currency != is.Currency:
		return passes("what a message costs before or after is not known")
	}
	cost := "a message would cost " + money(is) + " instead of " + money(was)
	if rise := was.Change(is); rise != "" {
		cost += ", " + rise
	}
	most := was.Amount.Mul(decimal.New(int64(route.FullShare+g.Limit), -4))
	if is.Amount.GreaterThan(most) {
		return orLower(holdsBack("a cheaper route of the lane becoming active", "%s, and at most %s is allowed", cost, shareText(g.Limit)), g.Then)
	}
	return passes("%s", cost)
}

// moneyDigits is how many digits after the point of a price that was reckoned are shown.
const moneyDigits = 6

// money is a price as people read it: as it was written, or, where it was reckoned, without digits that say nothing.
func money(p route.Price) string {
	if p.Amount.Exponent() >= -moneyDigits {
		return p.String()
	}
	return p.Amount.Round(moneyDigits).String() + " " + p.Currency
}
