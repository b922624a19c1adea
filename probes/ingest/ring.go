package ingest

import "signalbox/rules/route"

// ring holds entries in the order in which they came, by sequence numbers that wrap around. It grows and shrinks by
// chunks, so that the memory is that of the entries and no power of two above it.
type ring struct {
	chunks []*chunk // those with entries from first up to next
	first  uint32   // the oldest entry
	next   uint32   // one after the newest
	spare  *chunk   // the last one emptied
}

const (
	chunkBits = 8
	chunkLen  = 1 << chunkBits
)

type chunk [chunkLen]entry

func (r *ring) len() int { return int(r.next - r.first) }

func (r *ring) at(seq uint32) *entry {
	// The distance in chunks survives the wrap of the sequence numbers only in as many bits as chunks have numbers.
	const mask = 1<<(32-chunkBits) - 1
	return &r.chunks[(seq>>chunkBits-r.first>>chunkBits)&mask][seq%chunkLen]
}

func (r *ring) push(e entry) (seq uint32) {
	if r.next%chunkLen == 0 {
		c := r.spare
		if r.spare = nil; c == nil {
			c = new(chunk)
		}
		r.chunks = append(r.chunks, c)
	}
	seq = r.next
	r.next++
	*r.at(seq) = e
	return seq
}

// pop removes the oldest entry; there is one.
func (r *ring) pop() {
	if r.first++; r.first%chunkLen == 0 {
		r.spare = r.chunks[0]
		r.chunks[0] = nil
		r.chunks = r.chunks[1:]
	}
}

// index finds entries of the ring by their hash: open addressing with linear probing. A slot holds 31 bits of the hash,
// of which the home position is a part, and a set bit that tells it from an empty one, above the sequence number: so
// that probing, removing and growing hardly ever touch the entries.
type index struct {
	slots []uint64 // a power of two of them, or none
	n     int
}

func slotOf(h uint64, seq uint32) uint64 { return (h>>32|1)<<32 | uint64(seq) }

func (x *index) mask() uint64 { return uint64(len(x.slots) - 1) }

func (x *index) home(slot uint64) uint64 { return slot >> 33 & x.mask() }

func (x *index) find(h uint64, r *ring) (seq uint32, ok bool) {
	if x.n == 0 {
		return 0, false
	}
	want := slotOf(h, 0)
	for i := x.home(want); x.slots[i] != 0; i = (i + 1) & x.mask() {
		if s := x.slots[i]; s>>32 == want>>32 && r.at(uint32(s)).hash == h {
			return uint32(s), true
		}
	}
	return 0, false
}

func (x *index) insert(h uint64, seq uint32) {
	if 4*(x.n+1) > 3*len(x.slots) {
		x.grow()
	}
	x.put(slotOf(h, seq))
	x.n++
}

func (x *index) put(slot uint64) {
	i := x.home(slot)
	for x.slots[i] != 0 {
		i = (i + 1) & x.mask()
	}
	x.slots[i] = slot
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, max(64, 2*len(old)))
	for _, s := range old {
		if s != 0 {
			x.put(s)
		}
	}
}

// remove takes out an entry that is there, and moves those after it back to where a search will find them.
func (x *index) remove(h uint64, seq uint32) {
	slot := slotOf(h, seq)
	hole := x.home(slot)
	for x.slots[hole] != slot {
		hole = (hole + 1) & x.mask()
	}
	for i := (hole + 1) & x.mask(); x.slots[i] != 0; i = (i + 1) & x.mask() {
		// A slot may fill the hole unless its home lies after the hole, up to where it stands.
		if (i-x.home(x.slots[i]))&x.mask() >= (i-hole)&x.mask() {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = 0
	x.n--
}

// keys numbers the keys of the messages that are remembered.
type keys struct {
	numbers map[route.Key]uint32
	uses    []keyUse
	free    []uint32
}

type keyUse struct {
	key   route.Key
	count uint32 // of entries
}

func (k *keys) of(n uint32) route.Key { return k.uses[n].key }

func (k *keys) take(key route.Key) uint32 {
	n, ok := k.numbers[key]
	if !ok {
		n = k.number(key)
	}
	k.uses[n].count++
	return n
}

func (k *keys) number(key route.Key) uint32 {
	if k.numbers == nil {
		k.numbers = make(map[route.Key]uint32)
	}
	n := uint32(len(k.uses))
	if last := len(k.free) - 1; last >= 0 {
		n, k.free = k.free[last], k.free[:last]
		k.uses[n].key = key
	} else {
		k.uses = append(k.uses, keyUse{key: key})
	}
	k.numbers[key] = n
	return n
}

func (k *keys) release(n uint32) {
	u := &k.uses[n]
	if u.count--; u.count == 0 {
		delete(k.numbers, u.key)
		u.key = route.Key{}
		k.free = append(k.free, n)
	}
}
