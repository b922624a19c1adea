package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Page is a part of the ledger in the form in which it outlives a restart. It is an alias, so that those who keep it can
// declare the same fields instead of importing this package.
type Page = struct {
	Key  string
	Data []byte // JSON; empty where the page is gone
}

// What the keys of pages begin with.
const (
	pageDay    = "day"
	pageChange = "change"
)

// dirty is what has changed since it was last durable.
type dirty struct {
	days    map[dayKey]bool
	changes map[changeKey]bool
}

func newDirty() dirty { return dirty{map[dayKey]bool{}, map[changeKey]bool{}} }

// Dirty reports whether Pending has anything.
func (l *Ledger) Dirty() bool { return len(l.dirty.days)+len(l.dirty.changes) > 0 }

// Saved is told that what Pending returned last is durable, and nothing was counted in between.
func (l *Ledger) Saved() {
	clear(l.dirty.days)
	clear(l.dirty.changes)
}

// Pending is what has changed since Saved was last called, by key, once what is too old has been dropped.
func (l *Ledger) Pending() ([]Page, error) {
	l.Settle()
	l.prune()
	var out []Page
	for k := range l.dirty.days {
		p := Page{Key: strings.Join([]string{pageDay, string(dateOf(k.day)), string(k.lane.Class), string(k.lane.Network)}, "\x00")}
		if err := fill(&p, l.days[k]); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	byKey := make(map[changeKey]*Change, len(l.changes))
	for _, c := range l.changes {
		byKey[c.key()] = c
	}
	for k := range l.dirty.changes {
		p := Page{Key: strings.Join([]string{pageChange, strconv.FormatInt(k.from, 10), string(k.lane.Class), string(k.lane.Network)}, "\x00")}
		if err := fill(&p, byKey[k]); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Page) int { return cmp.Compare(a.Key, b.Key) })
	return out, nil
}

func fill[T any](p *Page, v *T) (err error) {
	if v != nil {
		p.Data, err = json.Marshal(v)
	}
	return err
}

// prune drops the days and the changes that are too old, reckoned from the latest day, and the oldest changes where there
// are too many.
func (l *Ledger) prune() {
	for k := range l.days {
		if k.day <= l.today-Days {
			delete(l.days, k)
			l.dirty.days[k] = true
		}
	}
	surplus := len(l.changes) - maxChanges
	for _, c := range slices.Clone(l.changes) {
		if !c.To.IsZero() && (surplus > 0 || dayOf(c.To) <= l.today-Days) {
			surplus--
			l.drop(c)
		}
	}
}

// Restore returns the ledger that the pages are of. What cannot be read is an error.
func Restore(pages []Page) (*Ledger, error) {
	l := New()
	for _, p := range pages {
		if err := l.restore(p); err != nil {
			return nil, fmt.Errorf("restore ledger: %q: %w", p.Key, err)
		}
	}
	slices.SortFunc(l.changes, func(a, b *Change) int {
		return cmp.Or(a.From.Compare(b.From), compareLanes(a.Lane, b.Lane))
	})
	for _, c := range l.changes {
		x := l.lines[c.Lane]
		if x == nil {
			x = &line{}
			l.lines[c.Lane] = x
		}
		if c.To.IsZero() {
			x.open = c
		} else {
			x.ended = c
		}
	}
	return l, nil
}

func (l *Ledger) restore(p Page) error {
	kind, _, _ := strings.Cut(p.Key, "\x00")
	switch kind {
	case pageDay:
		d := &Day{}
		if err := json.Unmarshal(p.Data, d); err != nil {
			return err
		}
		n, ok := d.Day.day()
		if !ok {
			return fmt.Errorf("want a day such as 2026-11-25, got %q", d.Day)
		}
		l.days[dayKey{n, d.Lane}], l.today = d, max(l.today, n)
	case pageChange:
		c := &Change{}
		if err := json.Unmarshal(p.Data, c); err != nil {
			return err
		}
		l.changes = append(l.changes, c)
	}
	return nil
}
