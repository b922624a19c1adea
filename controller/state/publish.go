package state

import (
	"context"
	"fmt"
	"time"

	"signalbox/rules/route"

	"github.com/hashicorp/go-memdb"
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
	m.table.Store(p) // before the commit, so that those it wakes find this table
	txn.Commit()
	m.feed.add(News{ID: p.Table.Generation.String(), Kind: newsGeneration})
	return nil
}

// Table is the table in force; nil until the first Publish.
func (m *Model) Table() *Published { return m.table.Load() }

// watchLimit bounds the channels that one waiter watches; beyond it, a channel for everything takes their place.
const watchLimit = 16

// Wait returns the table in force as soon as its generation is another than have, and at the latest after d or when ctx
// is done. It is nil where there is no table by then.
func (m *Model) Wait(ctx context.Context, have route.Generation, d time.Duration) *Published {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		changed, p := m.watch()
		if p != nil && p.Table.Generation != have {
			return p
		}
		if changed.WatchCtx(ctx) != nil {
			return m.Table()
		}
	}
}

// watch returns the table in force, and what is closed when there is another. All waiters share the same channels.
func (m *Model) watch() (memdb.WatchSet, *Published) {
	txn := m.db.Txn(false)
	ws := memdb.NewWatchSet()
	all, err := txn.Get(tableTable, "id")
	if err != nil {
		panic(err) // the schema has the table and the index
	}
	one, row, err := txn.FirstWatch(tableTable, "id", tableTable)
	if err != nil {
		panic(err)
	}
	ws.AddWithLimit(watchLimit, one, all.WatchCh())
	if row == nil {
		return ws, nil
	}
	return ws, row.(*tableRow).Published
}
