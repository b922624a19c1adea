package route

import (
	"time"

	"github.com/shopspring/decimal"
)

// Money is an amount of a currency, exact; it may be negative.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency string          `json:"currency"` // ISO 4217
}

// String is the money in the form "0.0312 EUR".
func (m Money) String() string { return m.Amount.String() + " " + m.Currency }

// Cost is what the messages that were submitted under changes of a lane cost more than they would have cost by the shares
// that the policy gives while all is well, at list prices.
type Cost struct {
	Changes  []string  `json:"changes"` // the decisions whose changes ended, by id
	From     time.Time `json:"from"`    // when the first of them began
	Messages int       `json:"messages"`
	Amount   []Money   `json:"amount"`             // by currency; negative where money was saved
	Unpriced int       `json:"unpriced,omitempty"` // of the messages, those that are not in Amount because a price is not known
}
