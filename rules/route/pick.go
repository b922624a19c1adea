package route

import (
	"crypto/sha256"
	"encoding/binary"
)

// Slot is where a message's key falls among the shares: the first eight bytes, big endian, of SHA-256(key) modulo
// FullShare. Every sender in every language computes the same.
func Slot(key string) int {
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint64(sum[:8]) % FullShare)
}

// Pick is the index of the entry that the key gets: the first whose running sum of shares exceeds the key's slot; -1
// where the shares do not reach that far.
func (l *LaneTable) Pick(key string) int { return l.At(Slot(key)) }

// At is the index of the entry that a slot falls to; -1 where the shares do not reach that far.
func (l *LaneTable) At(slot int) int {
	sum := 0
	for i, e := range l.Routes {
		if sum += e.Share; sum > slot {
			return i
		}
	}
	return -1
}
