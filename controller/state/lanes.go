package state

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"signalbox/rules/route"
)

// LaneRow is what was last judged of a lane. It is an alias, as Published is.
type LaneRow = struct {
	Class   route.Class   `json:"class"`
	Network route.Network `json:"network"`
	Mode    route.Mode    `json:"mode"`
	At      time.Time     `json:"at"` // when it was judged
	Routes  []RouteRow    `json:"routes"`
}

// RouteRow is what was last judged of a route in a lane. It is an alias, as Published is.
type RouteRow = struct {
	Route   route.ID       `json:"route"`
	State   route.State    `json:"state"`
	Signals *route.Signals `json:"signals"`         // nil where there was nothing to judge of it
	Score   any            `json:"score,omitempty"` // 0..100 with its parts, as whoever judges writes it
}

// PutLanes replaces all rows by these, which must not change afterwards. Readers see either all old or all new ones.
func (m *Model) PutLanes(rows []LaneRow) error {
	txn := m.db.Txn(true)
	defer txn.Abort() // after Commit it does nothing
	if _, err := txn.DeleteAll(tableLanes, "id"); err != nil {
		return fmt.Errorf("put lanes: %w", err)
	}
	for i, r := range rows {
		id := laneID(route.Lane{Class: r.Class, Network: r.Network})
		if err := txn.Insert(tableLanes, &laneRow{ID: id, Order: i, Row: r}); err != nil {
			return fmt.Errorf("put lane %s: %w", id, err)
		}
	}
	txn.Commit()
	return nil
}

// Lanes returns all rows, in the order in which they were put.
func (m *Model) Lanes() []LaneRow {
	it, err := m.db.Txn(false).Get(tableLanes, "id")
	if err != nil {
		panic(err) // the schema has the table and the index
	}
	var found []*laneRow
	for o := it.Next(); o != nil; o = it.Next() {
		found = append(found, o.(*laneRow))
	}
	slices.SortFunc(found, func(a, b *laneRow) int { return cmp.Compare(a.Order, b.Order) })
	rows := make([]LaneRow, len(found))
	for i, f := range found {
		rows[i] = f.Row
	}
	return rows
}

// Lane returns the row of exactly this lane.
func (m *Model) Lane(l route.Lane) (LaneRow, bool) {
	o, err := m.db.Txn(false).First(tableLanes, "id", laneID(l))
	if err != nil || o == nil {
		return LaneRow{}, false
	}
	return o.(*laneRow).Row, true
}

// laneID is unique, because no network has a slash in it.
func laneID(l route.Lane) string { return l.String() }
