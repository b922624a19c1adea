package probes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"signalbox/rules/route"
)

// Budget bounds what probes may send in one day of UTC. Zero fields bound nothing.
type Budget struct {
	Messages int         // how many
	Money    route.Price // what they may cost together, in one currency
}

// ErrBudget says that a message was not sent because the day's budget is spent.
var ErrBudget = errors.New("the day's budget is spent")

// overall is the account of all routes together.
const overall = ""

// Ledger keeps what was spent of budgets today. What is spent is on disk before the message is sent, so that a process which
// is killed and started again a thousand times sends no more. Safe for use by several goroutines.
type Ledger struct {
	path string // "" keeps nothing

	mu      sync.Mutex // guards the rest; held while the file is written, which is seldom
	budgets map[route.ID]Budget
	day     string
	spent   map[route.ID]spent
}

// spent is what one route, or all of them, have used of a day.
type spent struct {
	Messages int             `json:"messages"`
	Money    decimal.Decimal `json:"money"` // in the currency of its budget
}

// ledgerFile is the form on disk.
type ledgerFile struct {
	Day   string             `json:"day"` // 2026-11-25
	Spent map[route.ID]spent `json:"spent"`
}

// OpenLedger reads what was spent today from a file, which need not be there yet. A file that cannot be read is an error:
// nobody knows then what was spent. An empty path keeps the ledger in memory only.
func OpenLedger(path string) (*Ledger, error) {
	l := &Ledger{path: path, budgets: map[route.ID]Budget{}, spent: map[route.ID]spent{}}
	if path == "" {
		return l, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	var f ledgerFile
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger of probes, without which nobody knows what they have spent: %w", err)
	}
	if l.day = f.Day; f.Spent != nil {
		l.spent = f.Spent
	}
	return l, nil
}

// SetBudgets says what each route may spend, and all of them together. A route that is not among them may spend nothing.
func (l *Ledger) SetBudgets(all Budget, routes map[route.ID]Budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budgets = map[route.ID]Budget{overall: all}
	for id, b := range routes {
		l.budgets[id] = b
	}
}

// Spend takes one message at a price out of the budgets of a route. Where one of them has no room, or the price is not known
// and money is bounded, or the ledger cannot be written, it takes nothing and returns an error, and the message must not be
// sent.
func (l *Ledger) Spend(now time.Time, id route.ID, price route.Price) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if day := now.UTC().Format(time.DateOnly); day > l.day { // a clock that is set back opens no new day
		l.day, l.spent = day, map[route.ID]spent{}
	}
	was := map[route.ID]spent{}
	for _, account := range [...]route.ID{overall, id} {
		budget, known := l.budgets[account]
		after, err := budget.after(l.spent[account], price)
		if !known {
			err = fmt.Errorf("%w: it has none", ErrBudget)
		}
		if err != nil {
			l.undo(was)
			return fmt.Errorf("%s: %w", accountName(account), err)
		}
		was[account], l.spent[account] = l.spent[account], after
	}
	if err := l.write(); err != nil {
		l.undo(was)
		return fmt.Errorf("write the ledger of probes: %w", err)
	}
	return nil
}

func (l *Ledger) undo(was map[route.ID]spent) {
	for account, s := range was {
		l.spent[account] = s
	}
}

func accountName(id route.ID) string {
	if id == overall {
		return "probes of all routes"
	}
	return "probes of " + string(id)
}

// after is what will have been spent with one message more.
func (b Budget) after(s spent, price route.Price) (spent, error) {
	if b.Messages > 0 && s.Messages >= b.Messages {
		return s, fmt.Errorf("%w: %d messages of %d are sent", ErrBudget, s.Messages, b.Messages)
	}
	s.Messages++
	if !b.Money.Known() {
		return s, nil
	}
	if price.Currency != b.Money.Currency {
		return s, fmt.Errorf("%w: want a price in %s to hold against it, got %q", ErrBudget, b.Money.Currency, price)
	}
	s.Money = s.Money.Add(price.Amount)
	if s.Money.GreaterThan(b.Money.Amount) {
		return s, fmt.Errorf("%w: with the next message it would be %s of %s", ErrBudget, s.Money, b.Money)
	}
	return s, nil
}

// write puts the ledger on disk, whole or not at all.
func (l *Ledger) write() error {
	if l.path == "" {
		return nil
	}
	data, err := json.Marshal(ledgerFile{l.day, l.spent})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(l.path), filepath.Base(l.path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), l.path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error before this one counts
	}
	return err
}
