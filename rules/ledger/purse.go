package ledger

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// Purse is money of several currencies, exact. The zero value has none, and cannot be added to.
type Purse map[string]decimal.Decimal

// Add adds an amount, which may be negative.
func (p Purse) Add(currency string, amount decimal.Decimal) { p[currency] = p[currency].Add(amount) }

// AddAll adds what another purse has.
func (p Purse) AddAll(other Purse) {
	for currency, amount := range other {
		p.Add(currency, amount)
	}
}

// Times is the purse so many times over.
func (p Purse) Times(n int64) Purse {
	out, by := make(Purse, len(p)), decimal.NewFromInt(n)
	for currency, amount := range p {
		out[currency] = amount.Mul(by)
	}
	return out
}

// List is the money by currency, without what comes to nothing; it is never nil.
func (p Purse) List() []route.Money {
	out := []route.Money{}
	for _, currency := range slices.Sorted(maps.Keys(p)) {
		if !p[currency].IsZero() {
			out = append(out, route.Money{Amount: p[currency], Currency: currency})
		}
	}
	return out
}

// MarshalJSON writes the form of List.
func (p Purse) MarshalJSON() ([]byte, error) { return json.Marshal(p.List()) }

// UnmarshalJSON reads the form of List.
func (p *Purse) UnmarshalJSON(b []byte) error {
	var all []route.Money
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*p = make(Purse, len(all))
	for _, m := range all {
		p.Add(m.Currency, m.Amount)
	}
	return nil
}
