package probes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func price(t *testing.T, s string) route.Price {
	t.Helper()
	if s == "" {
		return route.Price{}
	}
	p, err := route.ParsePrice(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ledger(t *testing.T, path string, all Budget, routes map[route.ID]Budget) *Ledger {
	t.Helper()
	l, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	l.SetBudgets(all, routes)
	return l
}

// spend takes messages until the ledger refuses, and returns how many it gave.
func spend(t *testing.T, l *Ledger, now time.Time, id route.ID, p string) int {
	t.Helper()
	for n := range 1000 {
		if err := l.Spend(now, id, price(t, p)); err != nil {
			if !errors.Is(err, ErrBudget) {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the budget does not end")
	return 0
}

func TestBudgetIsNeverExceeded(t *testing.T) {
	for name, c := range map[string]struct {
		all, one Budget
		price    string
		want     int
	}{
		"messages of the route":   {one: Budget{Messages: 3}, want: 3},
		"messages of all routes":  {all: Budget{Messages: 2}, one: Budget{Messages: 3}, want: 2},
		"money, to the last cent": {one: Budget{Money: price(t, "0.10 EUR")}, price: "0.0333 EUR", want: 3},
		"money that comes out":    {one: Budget{Money: price(t, "0.10 EUR")}, price: "0.02 EUR", want: 5},
		"money of all routes":     {all: Budget{Money: price(t, "0.05 EUR")}, one: Budget{Messages: 100}, price: "0.02 EUR", want: 2},
		"a price nobody knows":    {one: Budget{Money: price(t, "10 EUR")}, want: 0},
		"a price in another coin": {one: Budget{Money: price(t, "10 EUR")}, price: "0.01 USD", want: 0},
	} {
		l := ledger(t, "", c.all, map[route.ID]Budget{"acme": c.one})
		if got := spend(t, l, noon, "acme", c.price); got != c.want {
			t.Errorf("%s: got %d messages, want %d", name, got, c.want)
		}
	}
}

// The day is one of UTC; a clock that is set back opens no new one.
func TestBudgetBeginsAnewEachDay(t *testing.T) {
	l := ledger(t, "", Budget{Messages: 2}, map[route.ID]Budget{"acme": {}})
	for _, c := range []struct {
		at   time.Time
		want int
	}{{noon, 2}, {noon.Add(11 * time.Hour), 0}, {noon.Add(12 * time.Hour), 2}, {noon, 0}, {noon.Add(-48 * time.Hour), 0}, {noon.Add(36 * time.Hour), 2}} {
		if got := spend(t, l, c.at, "acme", ""); got != c.want {
			t.Errorf("at %s: got %d messages, want %d", c.at, got, c.want)
		}
	}
}

func TestBudgetOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "probes.json")
	sent := 0
	for range 10 {
		l := ledger(t, path, Budget{Messages: 5}, map[route.ID]Budget{"acme": {}})
		for range 2 {
			if l.Spend(noon, "acme", route.Price{}) == nil {
				sent++
			}
		}
	}
	if sent != 5 {
		t.Errorf("got %d messages over ten lives, want 5", sent)
	}
	left, err := filepath.Glob(path + ".*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A route that the settings do not have any more, and all of them before there are settings, may send nothing.
func TestRoutesWithoutABudgetSendNothing(t *testing.T) {
	l := ledger(t, "", Budget{Messages: 5}, map[route.ID]Budget{"bolt": {Messages: 5}})
	if got := spend(t, l, noon, "acme", ""); got != 0 {
		t.Errorf("got %d messages of a route without a budget, want none", got)
	}
	if got := spend(t, l, noon, "bolt", ""); got != 5 {
		t.Errorf("got %d messages of the other one, want 5: what was refused spends nothing", got)
	}
	fresh, err := OpenLedger("")
	if err != nil {
		t.Fatal(err)
	}
	if got := spend(t, fresh, noon, "acme", ""); got != 0 {
		t.Errorf("got %d messages before there are budgets, want none", got)
	}
}

// Where nobody knows what was spent, or it cannot be noted, nothing is sent.
func TestBudgetFailsClosed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "probes.json")
	if err := os.WriteFile(path, []byte(`{"day":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLedger(path); err == nil || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("a broken file: got %v", err)
	}
	gone := filepath.Join(dir, "gone", "probes.json")
	l := ledger(t, gone, Budget{Messages: 5}, map[route.ID]Budget{"acme": {}})
	for range 3 {
		if err := l.Spend(noon, "acme", route.Price{}); err == nil || errors.Is(err, ErrBudget) {
			t.Errorf("no folder to write to: got %v", err)
		}
	}
	if err := os.Mkdir(filepath.Dir(gone), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := spend(t, l, noon, "acme", ""); got != 5 {
		t.Errorf("once it can be written: got %d messages, want 5, as none was sent before", got)
	}
}

func TestNumbersAreTestNumbersInTurn(t *testing.T) {
	n, err := NewNumbers([]Number{{"447700900001", "234-15"}, {"33612345678", "FR"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"447700900001", "33612345678", "447700900001"} {
		if got := n.Next(); got.Digits != want {
			t.Errorf("%d: got %s, want %s", i, got.Digits, want)
		}
	}
	for _, bad := range []Number{{"", "GB"}, {"+447700900001", "GB"}, {"00447700900001", "GB"}, {"0447700900001", "GB"}, {"123456", "GB"}, {"4477009000011234", "GB"}, {"44770090000x", "GB"}, {"447700900001", "*"}, {"447700900001", ""}, {"447700900001", "Britain"}} {
		if _, err := NewNumbers([]Number{bad}); err == nil || len(bad.Digits) > 6 && strings.Contains(err.Error(), bad.Digits) {
			t.Errorf("%v: got %v, want an error without the number", bad, err)
		}
	}
}

func TestMaskedHidesNumbersOnly(t *testing.T) {
	for in, want := range map[string]string{"+447700900001": "…001", "447700900001": "…001", "ACME": "ACME", "12345": "12345", "Bank 24": "Bank 24", "": "",
		"+44 7700 900001": "…001", "(0)7700-900-001": "…001", "tel:+447700900001": "…001", "447700900001@gw.example": "…001", "a\xffb": "a?b", "1234567": "…567",
		"Your code is in this text, which is no name": "Your code is in this tex…"} {
		if got := Masked(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
