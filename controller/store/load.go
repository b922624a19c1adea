package store

import (
	"bytes"
	"errors"
	"fmt"

	"signalbox/rules/route"

	"go.etcd.io/bbolt"
)

// Saved is the state as it was last committed. In a new store it is zero and Table is nil.
type Saved struct {
	World     route.World
	Table     *route.Table // of the World's generation
	Baselines []Baseline   // by route, class and network
	Ledger    []Page       // by key
}

// Load reads the state as of one moment.
func (s *Store) Load() (Saved, error) {
	var saved Saved
	err := s.view(func(tx *bbolt.Tx) (err error) {
		saved, err = load(tx)
		return err
	})
	if err != nil {
		return Saved{}, fmt.Errorf("load state: %w", err)
	}
	return saved, nil
}

func load(tx *bbolt.Tx) (Saved, error) {
	world, err := loadWorld(tx)
	if err != nil {
		return Saved{}, err
	}
	table, err := loadTable(tx, world.Generation)
	if err != nil {
		return Saved{}, err
	}
	baselines, err := loadBaselines(tx)
	if err != nil {
		return Saved{}, err
	}
	pages, err := loadLedger(tx)
	return Saved{World: world, Table: table, Baselines: baselines, Ledger: pages}, err
}

func loadLedger(tx *bbolt.Tx) (all []Page, err error) {
	b := tx.Bucket(bucketLedger)
	if b == nil {
		return nil, nil
	}
	err = b.ForEach(func(k, v []byte) error {
		data, err := unseal(k, v)
		all = append(all, Page{Key: string(k), Data: bytes.Clone(data)})
		return err
	})
	return all, err
}

// loadHeader reads the world's header; found is false, and the header zero, in a new store.
func loadHeader(tx *bbolt.Tx) (h header, found bool, err error) {
	meta, err := bucket(tx, bucketMeta)
	if err != nil {
		return header{}, false, err
	}
	value := meta.Get(keyWorld)
	if value == nil {
		return header{}, false, nil
	}
	err = unsealJSON(keyWorld, value, &h)
	return h, true, err
}

func loadWorld(tx *bbolt.Tx) (route.World, error) {
	h, found, err := loadHeader(tx)
	if err != nil || !found {
		return route.World{}, err
	}
	lanes, err := bucket(tx, bucketLanes)
	if err != nil {
		return route.World{}, err
	}
	w := route.World{Generation: h.Generation, Ordinal: h.Ordinal, Policy: h.Policy, At: h.At, Overrides: h.Overrides, Lanes: make([]route.LaneState, len(h.Lanes))}
	for i, l := range h.Lanes {
		key, err := joinKey(string(l.Class), string(l.Network))
		if err == nil {
			err = unsealJSON(key, lanes.Get(key), &w.Lanes[i])
		}
		if err != nil {
			return route.World{}, fmt.Errorf("lane %s: %w", l, err)
		}
	}
	return w, nil
}

func loadTable(tx *bbolt.Tx, of route.Generation) (*route.Table, error) {
	value := tx.Bucket(bucketMeta).Get(keyTable)
	if value == nil && of == (route.Generation{}) {
		return nil, nil
	}
	var t route.Table
	if err := unsealJSON(keyTable, value, &t); err != nil {
		return nil, err
	}
	if t.Generation != of {
		return nil, fmt.Errorf("%w: the table is of generation %s, the state of %s", ErrDamaged, t.Generation, of)
	}
	return &t, nil
}

func loadBaselines(tx *bbolt.Tx) ([]Baseline, error) {
	b, err := bucket(tx, bucketBaselines)
	if err != nil {
		return nil, err
	}
	var all []Baseline
	err = b.ForEach(func(k, v []byte) error {
		names, err1 := splitKey(k, 3)
		data, err2 := unseal(k, v)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		l := lane(names[1], names[2])
		key := route.Key{Route: route.ID(names[0]), Class: l.Class, Network: l.Network}
		all = append(all, Baseline{Key: key, Data: bytes.Clone(data)})
		return nil
	})
	return all, err
}
