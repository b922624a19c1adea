package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a CRC-32C over key and payload before the payload: bbolt checks its own pages only in part, and a flipped
// bit in a number would still be JSON.
func seal(key, payload []byte) []byte {
	out := make([]byte, 4, 4+len(payload))
	binary.BigEndian.PutUint32(out, checksum(key, payload))
	return append(out, payload...)
}

// unseal returns the payload, which is valid as long as its transaction.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < 4 || binary.BigEndian.Uint32(value) != checksum(key, value[4:]) {
		return nil, fmt.Errorf("%w: checksum of %q does not match", ErrDamaged, key)
	}
	return value[4:], nil
}

func checksum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, payload)
}

func sealJSON(key []byte, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return seal(key, payload), nil
}

func unsealJSON(key, value []byte, v any) error {
	payload, err := unseal(key, value)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrDamaged, key, err)
	}
	return nil
}

// joinKey joins names that hold no zero byte.
func joinKey(names ...string) ([]byte, error) {
	for _, n := range names {
		if n == "" || strings.Contains(n, "\x00") {
			return nil, fmt.Errorf("want a name, got %q", n)
		}
	}
	return []byte(strings.Join(names, "\x00")), nil
}

func splitKey(key []byte, n int) ([]string, error) {
	names := strings.Split(string(key), "\x00")
	if len(names) != n {
		return nil, fmt.Errorf("%w: want %d names, got %q", ErrDamaged, n, key)
	}
	return names, nil
}

// decisionKey orders decisions as they were made: epoch, number and ordinal, each eight bytes, big endian.
func decisionKey(id string) ([]byte, error) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return nil, fmt.Errorf("want a decision id such as 1-43-1, got %q", id)
	}
	key := make([]byte, 0, 24)
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("want a decision id such as 1-43-1, got %q", id)
		}
		key = binary.BigEndian.AppendUint64(key, n)
	}
	return key, nil
}

// timeKey orders decisions by time, and those of one moment as they were made.
func timeKey(t time.Time, decision []byte) []byte {
	return append(momentKey(t), decision...)
}

// momentKey is before the timeKey of every decision of the moment, and after those of the moments before. Moments that
// nanoseconds since 1970 cannot hold count as 1970: nothing was decided then.
func momentKey(t time.Time) []byte {
	nanos := uint64(0)
	if y := t.UTC().Year(); y >= 1970 && y < 2262 {
		nanos = uint64(t.UnixNano())
	}
	return binary.BigEndian.AppendUint64(make([]byte, 0, 32), nanos)
}

// indexOf is what a query can filter by without reading the decision. A decision about a whole lane names no route.
func indexOf(d *route.Decision) []byte {
	return []byte(string(d.Route) + "\x00" + string(d.Lane.Class) + "\x00" + string(d.Lane.Network))
}

func lane(class, network string) route.Lane {
	return route.Lane{Class: route.Class(class), Network: route.Network(network)}
}
