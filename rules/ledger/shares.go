package ledger

import (
	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// PerSlot turns what was summed over slots into what one message gets of it: 1 / route.FullShare.
var PerSlot = decimal.New(1, -4)

// Slots calls do with the routes that two lanes give to each run of slots, and how many slots these are. A lane without
// entries gives them to no route.
func Slots(a, b []route.Entry, do func(x, y route.ID, n int)) {
	sides := [2][]route.Entry{a, b}
	var left [2]int
	var at [2]route.ID
	for slot := 0; slot < route.FullShare; {
		n := route.FullShare - slot
		for i := range sides {
			for left[i] == 0 {
				if len(sides[i]) == 0 {
					at[i], left[i] = "", n
					break
				}
				at[i], left[i], sides[i] = sides[i][0].Route, sides[i][0].Share, sides[i][1:]
			}
			n = min(n, left[i])
		}
		do(at[0], at[1], n)
		slot, left[0], left[1] = slot+n, left[0]-n, left[1]-n
	}
}

// SameShares reports whether two lanes give every slot to the same route.
func SameShares(a, b []route.Entry) bool {
	differs := false
	Slots(a, b, func(x, y route.ID, _ int) { differs = differs || x != y })
	return !differs
}

// SameWeights reports whether two lanes give every route the same share, in whatever order.
func SameWeights(a, b []route.Entry) bool { return weighs(a, b) && weighs(b, a) }

// weighs reports whether every route that has a share in a has the same in b.
func weighs(a, b []route.Entry) bool {
	for i := range a {
		if a[i].Share != 0 && a[i].Share != shareOf(b, a[i].Route) {
			return false
		}
	}
	return true
}

func shareOf(entries []route.Entry, id route.ID) int {
	for i := range entries {
		if entries[i].Route == id {
			return entries[i].Share
		}
	}
	return 0
}

// Expected is what a message costs on average where it goes by the shares of a lane; known is false where the price of a
// route that has a share is not.
func Expected(entries []route.Entry, price func(route.ID) route.Price) (sum Purse, known bool) {
	sum = Purse{}
	for i := range entries {
		if entries[i].Share == 0 {
			continue
		}
		p := price(entries[i].Route)
		if !p.Known() {
			return nil, false
		}
		sum.Add(p.Currency, p.Amount.Mul(decimal.NewFromInt(int64(entries[i].Share))).Mul(PerSlot))
	}
	return sum, true
}
