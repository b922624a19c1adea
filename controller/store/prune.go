package store

import (
	"bytes"
	"fmt"
	"time"

	"signalbox/rules/route"

	"go.etcd.io/bbolt"
)

// pruneBatch bounds the transactions of Prune, so that commits do not wait long.
const pruneBatch = 2000

// Prune deletes the decisions before olderThan, and, where more than most remain (0 is no bound), the oldest of those. It
// keeps what the state in force refers to: decisions that brought a route where it is, and proposals that wait. n is how
// many were deleted, also where it ends in an error.
func (s *Store) Prune(olderThan time.Time, most int) (n int, err error) {
	for {
		victims, err := s.victims(olderThan, most)
		if err != nil || len(victims) == 0 {
			return n, pruneError(err)
		}
		deleted := 0
		err = guard(func() error {
			return s.db.Update(func(tx *bbolt.Tx) (err error) {
				deleted, err = remove(tx, victims)
				return err
			})
		})
		if err != nil {
			return n, pruneError(err)
		}
		if n += deleted; len(victims) < pruneBatch || deleted == 0 {
			return n, nil
		}
	}
}

func pruneError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("prune journal: %w", err)
}

// victims returns the keys in the index of times of up to pruneBatch decisions that may go, oldest first.
func (s *Store) victims(olderThan time.Time, most int) (keys [][]byte, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		times, err := bucket(tx, bucketTimes)
		if err != nil {
			return err
		}
		kept, err := references(tx)
		if err != nil {
			return err
		}
		surplus := 0
		if most > 0 {
			surplus = times.Stats().KeyN - most
		}
		limit, c := momentKey(olderThan), times.Cursor()
		for k, _ := c.First(); k != nil && len(keys) < pruneBatch; k, _ = c.Next() {
			if surplus--; surplus < 0 && bytes.Compare(k, limit) >= 0 {
				return nil
			}
			if !kept[string(k[8:])] {
				keys = append(keys, bytes.Clone(k))
			}
		}
		return nil
	})
	return keys, err
}

// remove deletes the victims that the state has not come to refer to meanwhile.
func remove(tx *bbolt.Tx, victims [][]byte) (n int, err error) {
	kept, err := references(tx)
	if err != nil {
		return 0, err
	}
	decisions, err := bucket(tx, bucketDecisions)
	if err != nil {
		return 0, err
	}
	for _, k := range victims {
		if kept[string(k[8:])] {
			continue
		}
		if err := decisions.Delete(k[8:]); err != nil {
			return 0, err
		}
		if err := tx.Bucket(bucketTimes).Delete(k); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// references are the keys of the decisions that the state in force and its table name.
func references(tx *bbolt.Tx) (map[string]bool, error) {
	world, err := loadWorld(tx)
	if err != nil {
		return nil, err
	}
	table, err := loadTable(tx, world.Generation)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	keep := func(id string) {
		if key, err := decisionKey(id); err == nil {
			kept[string(key)] = true
		}
	}
	for i := range world.Overrides {
		keep(world.Overrides[i].ID)
	}
	for i := range world.Lanes {
		eachState(&world.Lanes[i], func(s *route.State) {
			keep(s.Decision)
			keep(s.Proposal)
		})
	}
	if table != nil {
		eachReason(table, func(r *route.Because) { keep(r.Decision) })
	}
	return kept, nil
}

// eachState calls do with all that is remembered of routes in a lane and on its networks.
func eachState(l *route.LaneState, do func(*route.State)) {
	for i := range l.Routes {
		do(&l.Routes[i])
	}
	for i := range l.Networks {
		for k := range l.Networks[i].Routes {
			do(&l.Networks[i].Routes[k])
		}
	}
}

func eachReason(t *route.Table, fn func(*route.Because)) {
	for _, l := range t.Lanes {
		for _, e := range l.Routes {
			if e.Reason != nil {
				fn(e.Reason)
			}
		}
	}
}
