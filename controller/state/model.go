// Package state is what readers see: the published table, what was last judged of each lane, and what senders say they
// run. Everything it hands out is immutable, and each answer is of one moment.
package state

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-memdb"
)

// Model is the read model. One goroutine publishes; any number read and wait.
type Model struct {
	db    *memdb.MemDB
	table atomic.Pointer[Published]
	views atomic.Pointer[views]  // of table's generation, or of the one before for a moment
	turns atomic.Pointer[[]turn] // of the tables of late, oldest first

	feed feed

	publishing  sync.Mutex // held by Publish, so that generations are compared and stored in one step
	reporting   sync.Mutex // held by PutSender; guards senderCount
	senderCount int
}

// New returns a model that is not warm: it has no table until the first Publish.
func New() *Model {
	db, err := memdb.NewMemDB(schema)
	if err != nil {
		panic(err) // the schema is a constant, and a test creates it
	}
	return &Model{db: db}
}

const (
	tableTable   = "table"   // *tableRow, at most one
	tableLanes   = "lanes"   // *laneRow
	tableSenders = "senders" // *senderRow
)

type tableRow struct {
	ID        string // always tableTable
	Published *Published
}

type laneRow struct {
	ID    string // the lane's text form
	Order int
	Row   LaneRow
}

var schema = &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
	tableTable:   keyedBy(tableTable, "ID"),
	tableLanes:   keyedBy(tableLanes, "ID"),
	tableSenders: keyedBy(tableSenders, "Name"),
}}

func keyedBy(table, field string) *memdb.TableSchema {
	id := &memdb.IndexSchema{Name: "id", Unique: true, Indexer: &memdb.StringFieldIndex{Field: field}}
	return &memdb.TableSchema{Name: table, Indexes: map[string]*memdb.IndexSchema{"id": id}}
}
