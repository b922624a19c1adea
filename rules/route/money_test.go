package route

import (
	"encoding/json"
	"testing"

	"github.com/shopspring/decimal"
)

func TestMoneyIsExactInWordsAndInJSON(t *testing.T) {
	third := Money{Amount: decimal.RequireFromString("0.1").Add(decimal.RequireFromString("0.2")).Neg(), Currency: "EUR"}
	if got := third.String(); got != "-0.3 EUR" {
		t.Errorf("got %s", got)
	}
	data, err := json.Marshal(Decision{Cost: &Cost{Changes: []string{"1-2-1"}, Messages: 3, Amount: []Money{third}}}.Cost)
	if err != nil || string(data) != `{"changes":["1-2-1"],"from":"0001-01-01T00:00:00Z","messages":3,"amount":[{"amount":"-0.3","currency":"EUR"}]}` {
		t.Errorf("got %s, %v", data, err)
	}
}
