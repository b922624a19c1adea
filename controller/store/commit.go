package store

import (
	"bytes"
	"errors"
	"fmt"

	"signalbox/rules/route"

	"go.etcd.io/bbolt"
)

// Change is what one judgement leads to.
type Change struct {
	Was       route.Generation // the generation that it was decided on; zero where nothing was ever committed
	World     route.World      // the whole new state, with its generation; each lane once
	Table     *route.Table     // the table of a new generation; nil where the table, and so the generation, is the same
	Decisions []route.Decision // to be recorded; an id is recorded once and never changed
	Baselines []Baseline       // those that changed
	Letters   []Letter         // to be told of the decisions, in their order
	Ledger    []Page           // those that changed
}

// Page is a part of what messages cost. Key and Data mean nothing here; Data is JSON, and empty Data forgets the key. It is
// an alias, so that those who write pages can declare the same fields instead of importing this package.
type Page = struct {
	Key  string
	Data []byte
}

// Baseline is what is normal for a key. Data is JSON that means nothing here; empty Data forgets the key.
type Baseline struct {
	Key  route.Key
	Data []byte
}

// Commit makes the change durable, whole or not at all, and writes only what differs from what is stored. After an error
// nothing was written and later commits may work, with one exception: after ErrUnsure the change stands in the file, but
// the disk has not confirmed it.
func (s *Store) Commit(c Change) error {
	b, err := encode(&c)
	if err == nil {
		err = guard(func() error { return s.write(b) })
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", c.World.Generation, err)
	}
	return nil
}

func (s *Store) write(b *batch) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := fresh(tx, b.was, b.now); err != nil {
		return err
	}
	changed, err := b.apply(tx)
	if err != nil || !changed {
		return err
	}
	if err := tx.Commit(); err != nil {
		return s.settle(b, err)
	}
	return nil
}

// settle finds out what became of a commit that failed with err: where only the last sync failed, the file already shows it.
func (s *Store) settle(b *batch, err error) error {
	unsure := false
	readErr := s.db.View(func(tx *bbolt.Tx) error {
		meta, err := bucket(tx, bucketMeta)
		if err == nil {
			unsure = bytes.Equal(meta.Get(keyWorld), b.world)
		}
		return err
	})
	if unsure {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return errors.Join(err, readErr)
}

// fresh compares the stored generation with the one that a change was decided on.
func fresh(tx *bbolt.Tx, was, now route.Generation) error {
	stored, _, err := loadHeader(tx)
	switch {
	case err != nil:
		return err
	case stored.Generation != was:
		return fmt.Errorf("%w: it was decided on %s, and %s is stored", ErrStale, was, stored.Generation)
	case stored.Generation.Newer(now):
		return fmt.Errorf("%w: %s would follow %s", ErrStale, now, stored.Generation)
	}
	return nil
}

// batch is a change as keys and values, made before the transaction begins.
type batch struct {
	was, now route.Generation
	world    []byte // the sealed header
	puts     []put
	lanes    map[string]bool // the keys of the lanes that stay
	records  []record
	letters  []Letter
}

type put struct{ bucket, key, value []byte } // an empty value deletes

type record struct{ key, value, time, index []byte }

// apply writes what differs and reports whether anything did.
func (b *batch) apply(tx *bbolt.Tx) (changed bool, err error) {
	for _, p := range b.puts {
		did, err := p.apply(tx)
		if err != nil {
			return false, err
		}
		changed = changed || did
	}
	did, err := dropLanes(tx, b.lanes)
	if err != nil {
		return false, err
	}
	for _, r := range b.records {
		if err := r.apply(tx); err != nil {
			return false, err
		}
	}
	if err := putLetters(tx, b.letters); err != nil {
		return false, err
	}
	return changed || did || len(b.records)+len(b.letters) > 0, nil
}

func (p put) apply(tx *bbolt.Tx) (changed bool, err error) {
	to, err := p.to(tx)
	if err != nil || bytes.Equal(to.Get(p.key), p.value) {
		return false, err
	}
	if len(p.value) == 0 {
		return true, to.Delete(p.key)
	}
	return true, to.Put(p.key, p.value)
}

// to is the bucket that it goes to. The ledger's is made where the file is of a version that had none.
func (p put) to(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	if bytes.Equal(p.bucket, bucketLedger) {
		return tx.CreateBucketIfNotExists(bucketLedger)
	}
	return bucket(tx, p.bucket)
}

func (r record) apply(tx *bbolt.Tx) error {
	decisions, err := bucket(tx, bucketDecisions)
	if err != nil {
		return err
	}
	times, err := bucket(tx, bucketTimes)
	if err != nil {
		return err
	}
	if decisions.Get(r.key) != nil {
		return fmt.Errorf("decision %s is in the journal already", decisionID(r.key))
	}
	if err := decisions.Put(r.key, r.value); err != nil {
		return err
	}
	return times.Put(r.time, r.index)
}

// dropLanes deletes the states of lanes that the world no longer has.
func dropLanes(tx *bbolt.Tx, stay map[string]bool) (changed bool, err error) {
	lanes, err := bucket(tx, bucketLanes)
	if err != nil {
		return false, err
	}
	var gone [][]byte
	err = lanes.ForEach(func(k, _ []byte) error {
		if !stay[string(k)] {
			gone = append(gone, bytes.Clone(k))
		}
		return nil
	})
	for _, k := range gone {
		if err == nil {
			err = lanes.Delete(k)
		}
	}
	return len(gone) > 0, err
}
