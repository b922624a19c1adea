package store

import (
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// schema is the version of the layout below; a store with a greater one is refused.
const schema = 1

// The buckets. Values are sealed (see codec.go) unless said otherwise.
var (
	bucketMeta      = []byte("meta")      // keySchema (plain decimal), keyWorld, keyTable
	bucketLanes     = []byte("lanes")     // class, network → route.LaneState
	bucketBaselines = []byte("baselines") // route, class, network → opaque JSON
	bucketDecisions = []byte("decisions") // epoch, number, ordinal → route.Decision
	bucketTimes     = []byte("times")     // time, then the key in decisions → route, class, network; not sealed
	bucketLedger    = []byte("ledger")    // key of a page → opaque JSON; absent in files of versions that had none

	keySchema = []byte("schema")
	keyWorld  = []byte("world")
	keyTable  = []byte("table")
)

// migrate writes the schema into an empty file and refuses what this version cannot read.
func migrate(db *bbolt.DB) error {
	empty := false
	err := db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(bucketMeta); meta != nil {
			return checkSchema(meta.Get(keySchema))
		}
		if first, _ := tx.Cursor().First(); first != nil {
			return fmt.Errorf("%w: it is a bbolt file, but not of signalbox", ErrDamaged)
		}
		empty = true
		return nil
	})
	if err != nil || !empty {
		return err
	}
	return db.Update(create)
}

func checkSchema(value []byte) error {
	n, err := strconv.Atoi(string(value))
	switch {
	case err != nil || n < 1:
		return fmt.Errorf("%w: want a schema version, got %q", ErrDamaged, value)
	case n > schema:
		return fmt.Errorf("%w: its schema is %d, this version reads up to %d", ErrNewer, n, schema)
	}
	return nil
}

func create(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketLanes, bucketBaselines, bucketDecisions, bucketTimes} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
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
