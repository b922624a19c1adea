package state

import (
	"errors"
	"fmt"
	"time"

	"signalbox/rules/route"
)

// maxSenders bounds the senders that are remembered. Where there are as many, one that was not heard of for idleSender
// makes room for a new one.
const (
	maxSenders = 10_000
	idleSender = time.Hour
)

// ErrFull: there are as many senders as are remembered, and all of them were heard of lately.
var ErrFull = errors.New("too many senders")

// Sender is what a sender last said of itself, and how it stands. It is an alias, as Published is.
type Sender = struct {
	Name       string           `json:"name"`
	Generation route.Generation `json:"generation"`    // that it runs, or refused
	Applied    bool             `json:"applied"`       // false: it refused the generation and runs an older one
	Why        string           `json:"why,omitempty"` // why it refused
	Since      time.Time        `json:"since"`         // when it first said so
	Seen       time.Time        `json:"seen"`          // when it last said so
	Runs       route.Generation `json:"runs,omitzero"` // the last one that it applied; zero where it has told of none
	RunsSince  time.Time        `json:"runs_since,omitzero"`
	// How it stands at the moment it was asked for: current, behind, refused or silent. Empty where nobody asked.
	Standing string `json:"standing,omitempty"`
	// Behind is for how long there has been a newer generation than it has confirmed, in seconds; 0 while it runs the one in
	// force.
	Behind float64 `json:"behind_seconds"`
}

// senderRow is a sender as it is kept.
type senderRow struct {
	Name  string
	Said  Sender
	First time.Time // when it was first heard of
}

// PutSender records what a sender said at the moment s.Seen. Since is kept while the sender says the same, and is
// otherwise s.Seen; Runs and RunsSince are what it applied last. It is ErrFull where there is no room.
func (m *Model) PutSender(s Sender) error {
	m.reporting.Lock()
	defer m.reporting.Unlock()
	txn := m.db.Txn(true)
	defer txn.Abort() // after Commit it does nothing
	was, err := txn.First(tableSenders, "id", s.Name)
	if err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	row := &senderRow{Name: s.Name, First: s.Seen}
	var leaves *senderRow
	if was != nil {
		row.follow(was.(*senderRow), s)
	} else {
		row.follow(&senderRow{}, s)
		leaves, err = m.makeRoom(s.Seen)
	}
	if err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	if leaves != nil {
		if err := txn.Delete(tableSenders, leaves); err != nil {
			return fmt.Errorf("put sender: %w", err)
		}
	}
	if err := txn.Insert(tableSenders, row); err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	txn.Commit()
	return nil
}

// follow makes of what a sender says, and of what it said before, what is kept.
func (r *senderRow) follow(was *senderRow, s Sender) {
	before := &was.Said
	s.Since, s.Runs, s.RunsSince = s.Seen, before.Runs, before.RunsSince
	if before.Name != "" {
		r.First = was.First
		if before.Generation == s.Generation && before.Applied == s.Applied {
			s.Since = before.Since
		}
	}
	if s.Applied && s.Runs != s.Generation || s.RunsSince.IsZero() && s.Applied {
		s.Runs, s.RunsSince = s.Generation, s.Seen
	}
	r.Said = s
}

// makeRoom counts a new sender in, or returns the one that has to leave for it; nil where there is room.
func (m *Model) makeRoom(now time.Time) (*senderRow, error) {
	if m.senderCount < maxSenders {
		m.senderCount++
		return nil, nil
	}
	all := m.senders()
	oldest := all[0]
	for _, s := range all[1:] {
		if s.Said.Seen.Before(oldest.Said.Seen) {
			oldest = s
		}
	}
	if now.Sub(oldest.Said.Seen) < idleSender {
		return nil, fmt.Errorf("%w: %d were heard of within %s", ErrFull, maxSenders, idleSender)
	}
	return oldest, nil
}

// Senders returns all senders, by name, without how they stand.
func (m *Model) Senders() []Sender {
	all := m.senders()
	out := make([]Sender, len(all))
	for i, r := range all {
		out[i] = r.Said
	}
	return out
}

func (m *Model) senders() (all []*senderRow) {
	it, err := m.db.Txn(false).Get(tableSenders, "id")
	if err != nil {
		panic(err) // the schema has the table and the index
	}
	for o := it.Next(); o != nil; o = it.Next() {
		all = append(all, o.(*senderRow))
	}
	return all
}
