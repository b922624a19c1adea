package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"signalbox/rules/route"
)

// header is a world without the states of its lanes, which stand under keys of their own.
type header struct {
	Generation route.Generation `json:"generation"`
	Ordinal    uint64           `json:"ordinal"`
	Policy     string           `json:"policy"`
	At         time.Time        `json:"at"`
	Lanes      []route.Lane     `json:"lanes"` // in the order of the policy
	Overrides  []route.Override `json:"overrides,omitempty"`
}

// encode turns a change into keys and values, and refuses one that could not be read back.
func encode(c *Change) (*batch, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &batch{was: c.Was, now: c.World.Generation, lanes: make(map[string]bool, len(c.World.Lanes)), letters: c.Letters}
	for _, add := range []func(*Change) error{b.addLanes, b.addHeader, b.addTable, b.addBaselines, b.addLedger, b.addDecisions} {
		if err := add(c); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// check holds the generation of the world and of the table together: it numbers tables, so it grows with each new one
// and with nothing else.
func (c *Change) check() error {
	switch {
	case c.Was.Newer(c.World.Generation):
		return fmt.Errorf("%w: %s would follow %s", ErrStale, c.World.Generation, c.Was)
	case c.Table == nil && c.World.Generation != c.Was:
		return fmt.Errorf("want a table with a new generation, got none")
	case c.Table == nil:
		return nil
	case c.World.Generation == c.Was:
		return fmt.Errorf("want a new generation with a new table, got %s again", c.Was)
	case c.Table.Generation != c.World.Generation:
		return fmt.Errorf("want the table of generation %s, got %s", c.World.Generation, c.Table.Generation)
	case len(c.Table.Lanes) == 0:
		return errors.New("want a table with lanes, got an empty one")
	}
	return nil
}

func (b *batch) addLanes(c *Change) error {
	for i := range c.World.Lanes {
		l := &c.World.Lanes[i]
		key, err := joinKey(string(l.Lane.Class), string(l.Lane.Network))
		if err != nil {
			return fmt.Errorf("lane %s: %w", l.Lane, err)
		}
		if b.lanes[string(key)] {
			return fmt.Errorf("lane %s: it is there twice", l.Lane)
		}
		b.lanes[string(key)] = true
		if err := b.put(bucketLanes, key, l); err != nil {
			return fmt.Errorf("lane %s: %w", l.Lane, err)
		}
	}
	return nil
}

func (b *batch) addHeader(c *Change) (err error) {
	w := &c.World
	h := header{Generation: w.Generation, Ordinal: w.Ordinal, Policy: w.Policy, At: w.At, Overrides: w.Overrides, Lanes: make([]route.Lane, len(w.Lanes))}
	for i := range w.Lanes {
		h.Lanes[i] = w.Lanes[i].Lane
	}
	b.world, err = sealJSON(keyWorld, h)
	b.puts = append(b.puts, put{bucketMeta, keyWorld, b.world})
	return err
}

func (b *batch) addTable(c *Change) error {
	if c.Table == nil {
		return nil
	}
	return b.put(bucketMeta, keyTable, c.Table)
}

func (b *batch) addBaselines(c *Change) error {
	for _, l := range c.Baselines {
		key, err := joinKey(string(l.Key.Route), string(l.Key.Class), string(l.Key.Network))
		if err != nil {
			return fmt.Errorf("baseline of %v: %w", l.Key, err)
		}
		p := put{bucket: bucketBaselines, key: key}
		if len(l.Data) > 0 {
			if !json.Valid(l.Data) {
				return fmt.Errorf("baseline of %v: want JSON", l.Key)
			}
			p.value = seal(key, l.Data)
		}
		b.puts = append(b.puts, p)
	}
	return nil
}

func (b *batch) addLedger(c *Change) error {
	for _, l := range c.Ledger {
		if l.Key == "" {
			return errors.New("page of the ledger: want a key")
		}
		p := put{bucket: bucketLedger, key: []byte(l.Key)}
		if len(l.Data) > 0 {
			if !json.Valid(l.Data) {
				return fmt.Errorf("page %q of the ledger: want JSON", l.Key)
			}
			p.value = seal(p.key, l.Data)
		}
		b.puts = append(b.puts, p)
	}
	return nil
}

func (b *batch) addDecisions(c *Change) error {
	for i := range c.Decisions {
		d := &c.Decisions[i]
		key, err := decisionKey(d.ID)
		if err != nil {
			return err
		}
		value, err := sealJSON(key, d)
		if err != nil {
			return fmt.Errorf("decision %s: %w", d.ID, err)
		}
		b.records = append(b.records, record{key: key, value: value, time: timeKey(d.Time, key), index: indexOf(d)})
	}
	return nil
}

func (b *batch) put(bucket, key []byte, v any) error {
	value, err := sealJSON(key, v)
	b.puts = append(b.puts, put{bucket, key, value})
	return err
}
