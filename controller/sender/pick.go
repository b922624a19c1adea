package sender

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Choice is what the table says of one message.
type Choice struct {
	Generation Generation // of the table
	Class      string     // of the lane that serves the message
	Network    string     // of that lane
	Route      string     // that the key gets
	// Fallbacks are the active routes to try when Route refuses the message by its own fault or does not answer, one
	// after the other.
	Fallbacks []string
	// RetryAfter is how long to wait for an answer before the next is tried, where there was none: a late receipt and a
	// second route make two messages.
	RetryAfter time.Duration
}

// What Pick cannot choose by.
var (
	ErrNoTable = errors.New("no table yet")
	ErrNoLane  = errors.New("no lane serves it")
	ErrNoKey   = errors.New("want a key such as the message's id, got none")
)

// Pick chooses the route of a message by the table in force: of its class (else "*") the lane with the most specific
// network, and in it the route that the key's slot falls to. Whoever has the same table and key picks the same. network is
// an MCC-MNC such as "234-15", or a country such as "GB" where no more is known. The error is ErrNoTable, ErrNoLane or
// ErrNoKey.
func (c *Client) Pick(class, network, key string) (Choice, error) {
	t := c.Table()
	if t == nil {
		return Choice{}, fmt.Errorf("pick: %w", ErrNoTable)
	}
	return t.Pick(class, network, key)
}

// Pick chooses by this table.
func (t *Table) Pick(class, network, key string) (Choice, error) {
	if key == "" {
		return Choice{}, fmt.Errorf("pick: %w", ErrNoKey)
	}
	l := t.Lane(class, network)
	if l == nil {
		return Choice{}, fmt.Errorf("pick %.40s/%.10s: %w", class, network, ErrNoLane)
	}
	at := l.at(Slot(key))
	ch := Choice{Generation: t.Generation, Class: l.Class, Network: l.Network, Route: l.Routes[at].Route, RetryAfter: time.Duration(l.RetryAfter)}
	for i := 1; i < len(l.Routes); i++ {
		if e := &l.Routes[(at+i)%len(l.Routes)]; e.standsIn() {
			ch.Fallbacks = append(ch.Fallbacks, e.Route)
		}
	}
	return ch, nil
}

// Lane is the lane that serves messages of the class to the network: the same class before "*", and within a class the
// MCC-MNC before its country before "*". It is nil where there is none.
func (t *Table) Lane(class, network string) *Lane {
	for _, c := range [...]string{class, "*"} {
		for _, n := range [...]string{network, Country(network), "*"} {
			if l := t.byLane[laneKey{c, n}]; l != nil && n != "" {
				return l
			}
		}
	}
	return nil
}

// Slot is where a key falls among the shares, 0 to 9999: the first eight bytes, big endian, of SHA-256(key) modulo 10000.
func Slot(key string) int {
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint64(sum[:8]) % fullShare)
}

// at is the index of the entry that a slot falls to. Shares sum to 10000 in every table that was taken.
func (l *Lane) at(slot int) int {
	sum := 0
	for i, e := range l.Routes {
		if sum += e.Share; sum > slot {
			return i
		}
	}
	return 0
}

// standsIn reports whether a route may be tried after another one failed.
func (e *Entry) standsIn() bool {
	return e.Admin != "drained" && (e.Phase == "active" || e.Phase == "" || e.Admin == "pinned")
}
