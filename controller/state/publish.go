package state

import (
	"context"
	"fmt"
	"time"

	"signalbox/rules/route"
)

// Publish makes p the table in force and wakes those who wait for it. It refuses a table that no sender could use, and
// one whose generation is not newer than that of the table in force, which then stays.
func (m *Model) Publish(p *Published) error {
	if err := m.publish(p); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (m *Model) publish(p *Published) error {
	if p == nil || len(p.Plain) == 0 {
		return fmt.Errorf("want an encoded table, got none")
	}
	if err := check(p.Table); err != nil {
		return err
	}
	m.publishing.Lock()
	defer m.publishing.Unlock()
	if was := m.table.Load(); was != nil && !p.Table.Generation.Newer(was.Table.Generation) {
		return fmt.Errorf("want a generation after %s, got %s", was.Table.Generation, p.Table.Generation)
	}
	txn := m.db.Txn(true)
	defer txn.Abort() // after Commit it does nothing
	if err := txn.Insert(tableTable, &tableRow{ID: tableTable, Published: p}); err != nil {
		return err
	}
	m.turned(p.Table)
	m.table.Store(p) // before the commit, so that those it wakes find this table
	txn.Commit()
	m.feed.add(News{ID: p.Table.Generation.String(), Kind: newsGeneration})
	return nil
}

// Table is the table in force; nil until the first Publish.
func (m *Model) Table() *Published { return m.table.Load() }

// Wait returns the table in force as soon as its generation is another than have, and at the latest after d or when ctx
// is done. It is nil where there is no table by then.
func (m *Model) Wait(ctx context.Context, have route.Generation, d time.Duration) *Published {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		// The table alone first: whoever was woken finds it without a look into the database, thousands at once.
		if p := m.Table(); p != nil && p.Table.Generation != have {
			return p
		}
		changed, p := m.watch()
		if p != nil && p.Table.Generation != have {
			return p
		}
		select {
		case <-changed:
		case <-timer.C:
			return m.Table()
		case <-ctx.Done():
			return m.Table()
		}
	}
}

// watch returns the table in force, and what is closed when there is another: the channel of its row, or of where the row
// would be. All waiters share it.
func (m *Model) watch() (<-chan struct{}, *Published) {
	changed, row, err := m.db.Txn(false).FirstWatch(tableTable, "id", tableTable)
	if err != nil {
		panic(err) // the schema has the table and the index
	}
	if row == nil {
		return changed, nil
	}
	return changed, row.(*tableRow).Published
}
