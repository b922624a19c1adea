package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"signalbox/rules/route"

	"go.etcd.io/bbolt"
)

// defaultLimit bounds the answer to a query that names no limit.
const defaultLimit = 100

// Query narrows the journal; zero fields do not. It is an alias, so that those who ask can declare the same fields
// instead of importing this package.
type Query = struct {
	Since   time.Time     // decisions of this moment and later
	Until   time.Time     // decisions before this moment
	Route   route.ID      // decisions about this route
	Class   route.Class   // decisions in lanes of this class
	Network route.Network // decisions in lanes whose network lies in this one
	Limit   int           // how many at most; 0 means 100
	Before  string        // the id of a decision: only those that come after it in the answer's order
}

// Decisions returns decisions, newest first, and the id to pass as Before for those that follow, or "" where there are no
// more. It is ErrCursor where Before names a decision that is not kept.
func (s *Store) Decisions(q Query) (found []route.Decision, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	err = s.view(func(tx *bbolt.Tx) error {
		found, next = nil, ""
		return walk(tx, q, func(d route.Decision) bool {
			if len(found) == q.Limit {
				next = found[len(found)-1].ID
				return false
			}
			found = append(found, d)
			return true
		})
	})
	if err != nil {
		return nil, "", fmt.Errorf("read journal: %w", err)
	}
	return found, next, nil
}

// Decision returns the decision of the id; false where it is not kept or never was.
func (s *Store) Decision(id string) (d route.Decision, found bool, err error) {
	key, err := decisionKey(id)
	if err != nil {
		return d, false, nil // no decision has such an id
	}
	err = s.view(func(tx *bbolt.Tx) error {
		d, found, err = decision(tx, key)
		return err
	})
	if err != nil {
		return route.Decision{}, false, fmt.Errorf("read decision %s: %w", id, err)
	}
	return d, found, nil
}

func decision(tx *bbolt.Tx, key []byte) (d route.Decision, found bool, err error) {
	b, err := bucket(tx, bucketDecisions)
	if err != nil {
		return d, false, err
	}
	value := b.Get(key)
	if value == nil {
		return d, false, nil
	}
	err = unsealJSON(key, value, &d)
	return d, err == nil, err
}

// walk calls yield with the decisions of q, newest first, until it returns false.
func walk(tx *bbolt.Tx, q Query, yield func(route.Decision) bool) error {
	times, err := bucket(tx, bucketTimes)
	if err != nil {
		return err
	}
	end, err := walkEnd(tx, q)
	if err != nil {
		return err
	}
	start := momentKey(q.Since)
	c := times.Cursor()
	for k, index := seekBefore(c, end); k != nil && bytes.Compare(k, start) >= 0; k, index = c.Prev() {
		if ok, err := matches(q, index); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		d, found, err := decision(tx, k[len(start):])
		if err != nil {
			return err
		}
		if found && !yield(d) {
			return nil
		}
	}
	return nil
}

// walkEnd is the key in the index of times that every answer to q is before; nil where there is none.
func walkEnd(tx *bbolt.Tx, q Query) (end []byte, err error) {
	if !q.Until.IsZero() {
		end = momentKey(q.Until)
	}
	if q.Before == "" {
		return end, nil
	}
	key, err := decisionKey(q.Before)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCursor, err)
	}
	d, found, err := decision(tx, key)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: %s", ErrCursor, q.Before)
	}
	if before := timeKey(d.Time, key); end == nil || bytes.Compare(before, end) < 0 {
		end = before
	}
	return end, nil
}

// seekBefore goes to the last key before end, or to the last of all where end is nil.
func seekBefore(c *bbolt.Cursor, end []byte) (key, value []byte) {
	if end == nil {
		return c.Last()
	}
	if k, _ := c.Seek(end); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func matches(q Query, index []byte) (bool, error) {
	if q.Route == "" && q.Class == "" && q.Network == "" {
		return true, nil
	}
	names, err := splitKey(index, 3)
	if err != nil {
		return false, err
	}
	return (q.Route == "" || names[0] == string(q.Route)) &&
		(q.Class == "" || names[1] == string(q.Class)) &&
		(q.Network == "" || q.Network.Contains(route.Network(names[2]))), nil
}

// decisionID is the id that decisionKey made the key of.
func decisionID(key []byte) string {
	var parts []string
	for ; len(key) >= 8; key = key[8:] {
		parts = append(parts, fmt.Sprint(binary.BigEndian.Uint64(key)))
	}
	return strings.Join(parts, "-")
}
