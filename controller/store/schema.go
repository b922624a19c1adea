package store

import (
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// schema is the version of the layout below; a store with a greater one is refused.
const schema = 2

// The buckets. Values are sealed (see codec.go) unless said otherwise.
var (
	bucketMeta      = []byte("meta")      // keySchema (plain decimal), keyWorld, keyTable
	bucketLanes     = []byte("lanes")     // class, network → route.LaneState
	bucketBaselines = []byte("baselines") // route, class, network → opaque JSON
	bucketDecisions = []byte("decisions") // epoch, number, ordinal → route.Decision
	bucketTimes     = []byte("times")     // time, then the key in decisions → route, class, network; not sealed
	bucketOutbox    = []byte("outbox")    // receiver, number → letter that waits; since schema 2
	bucketNotes     = []byte("notes")     // key → what holds until it ends, as opaque JSON; since schema 2
	bucketLedger    = []byte("ledger")    // key of a page → opaque JSON; absent in files of versions that had none

	keySchema = []byte("schema")
	keyWorld  = []byte("world")
	keyTable  = []byte("table")
)

// layout are the buckets that each schema brought, from the first on.
var layout = [schema][][]byte{
	{bucketMeta, bucketLanes, bucketBaselines, bucketDecisions, bucketTimes},
	{bucketOutbox, bucketNotes},
}

// migrate brings an empty file, or one of an earlier version, to the schema, in one transaction, and refuses what this
// version cannot read.
func migrate(db *bbolt.DB) error {
	has := 0
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			has, err = checkSchema(meta.Get(keySchema))
			return err
		}
		if first, _ := tx.Cursor().First(); first != nil {
			return fmt.Errorf("%w: it is a bbolt file, but not of signalbox", ErrDamaged)
		}
		return nil
	})
	if err != nil || has == schema {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error { return bring(tx, has) })
}

func checkSchema(value []byte) (n int, err error) {
	n, err = strconv.Atoi(string(value))
	switch {
	case err != nil || n < 1:
		return 0, fmt.Errorf("%w: want a schema version, got %q", ErrDamaged, value)
	case n > schema:
		return 0, fmt.Errorf("%w: its schema is %d, this version reads up to %d", ErrNewer, n, schema)
	}
	return n, nil
}

// bring adds what came after schema has; 0 is an empty file.
func bring(tx *bbolt.Tx, has int) error {
	for _, names := range layout[has:] {
		for _, name := range names {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
	}
	return tx.Bucket(bucketMeta).Put(keySchema, []byte(strconv.Itoa(schema)))
}

// bucket is the bucket of the name, or ErrDamaged where the file has lost it.
func bucket(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	if b := tx.Bucket(name); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%w: bucket %s is missing", ErrDamaged, name)
}
