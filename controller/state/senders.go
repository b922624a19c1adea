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

// Sender is what a sender last said of itself. It is an alias, as Published is.
type Sender = struct {
	Name       string           `json:"name"`
	Generation route.Generation `json:"generation"`    // that it runs, or refused
	Applied    bool             `json:"applied"`       // false: it refused the generation and runs an older one
	Why        string           `json:"why,omitempty"` // why it refused
	Since      time.Time        `json:"since"`         // when it first said so
	Seen       time.Time        `json:"seen"`          // when it last said so
}

// PutSender records what a sender said at the moment s.Seen. Since is kept while the sender says the same, and is
// otherwise s.Seen. It is ErrFull where there is no room.
func (m *Model) PutSender(s Sender) error {
	m.reporting.Lock()
	defer m.reporting.Unlock()
	txn := m.db.Txn(true)
	defer txn.Abort() // after Commit it does nothing
	was, err := txn.First(tableSenders, "id", s.Name)
	if err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	s.Since = s.Seen
	var leaves *Sender
	if was != nil {
		s.Since = since(was.(*Sender), &s)
	} else if leaves, err = m.makeRoom(s.Seen); err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	if leaves != nil {
		if err := txn.Delete(tableSenders, leaves); err != nil {
			return fmt.Errorf("put sender: %w", err)
		}
	}
	if err := txn.Insert(tableSenders, &s); err != nil {
		return fmt.Errorf("put sender: %w", err)
	}
	txn.Commit()
	return nil
}

func since(was, now *Sender) time.Time {
	if was.Generation == now.Generation && was.Applied == now.Applied {
		return was.Since
	}
	return now.Seen
}

// makeRoom counts a new sender in, or returns the one that has to leave for it; nil where there is room.
func (m *Model) makeRoom(now time.Time) (*Sender, error) {
	if m.senderCount < maxSenders {
		m.senderCount++
		return nil, nil
	}
	all := m.senders()
	oldest := all[0]
	for _, s := range all[1:] {
		if s.Seen.Before(oldest.Seen) {
			oldest = s
		}
	}
	if now.Sub(oldest.Seen) < idleSender {
		return nil, fmt.Errorf("%w: %d were heard of within %s", ErrFull, maxSenders, idleSender)
	}
	return oldest, nil
}

// Senders returns all senders, by name.
func (m *Model) Senders() []Sender {
	all := m.senders()
	out := make([]Sender, len(all))
	for i, s := range all {
		out[i] = *s
	}
	return out
}

func (m *Model) senders() (all []*Sender) {
	it, err := m.db.Txn(false).Get(tableSenders, "id")
	if err != nil {
		panic(err) // the schema has the table and the index
	}
	for o := it.Next(); o != nil; o = it.Next() {
		all = append(all, o.(*Sender))
	}
	return all
}
