package route

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Price is what one message costs, as a decimal amount of a currency; money is never a float. The zero value is an
// unknown price.
type Price struct {
	Amount   decimal.Decimal
	Currency string // ISO 4217, such as EUR
}

// ParsePrice reads the form "0.0312 EUR".
func ParsePrice(s string) (Price, error) {
	amount, currency, ok := strings.Cut(s, " ")
	if ok && isAmount(amount) && isCurrency(currency) {
		if d, err := decimal.NewFromString(amount); err == nil {
			return Price{Amount: d, Currency: currency}, nil
		}
	}
	return Price{}, fmt.Errorf(`want a price such as "0.0312 EUR", got %q`, s)
}

// isAmount accepts digits with or without a decimal point, and neither signs nor exponents: 1e999999 takes a moment to
// read and a gigabyte to write.
func isAmount(s string) bool {
	return len(s) <= 32 && s != "" && strings.Trim(s, "0123456789.") == ""
}

func isCurrency(s string) bool {
	return len(s) == 3 && upper(s[0]) && upper(s[1]) && upper(s[2])
}

// Known reports whether there is a price.
func (p Price) Known() bool { return p.Currency != "" }

// String is the price in the form "0.0312 EUR", with the digits it was written with, or "" where it is not known.
func (p Price) String() string {
	if !p.Known() {
		return ""
	}
	return p.Amount.StringFixed(max(0, -p.Amount.Exponent())) + " " + p.Currency
}

// MarshalText writes the form of String.
func (p Price) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the form of ParsePrice; empty text is the unknown price.
func (p *Price) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = Price{}
		return nil
	}
	v, err := ParsePrice(string(b))
	*p = v
	return err
}

// Change says how much dearer q is than p in the form "+5.8%", or "" where they cannot be compared.
func (p Price) Change(q Price) string {
	if !p.Known() || p.Currency != q.Currency || p.Amount.IsZero() {
		return ""
	}
	d := q.Amount.Sub(p.Amount).Div(p.Amount).Mul(decimal.NewFromInt(100)).Round(1)
	sign := ""
	if !d.IsNegative() {
		sign = "+"
	}
	return sign + d.StringFixed(1) + "%"
}
