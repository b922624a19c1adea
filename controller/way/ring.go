package way

// ring holds records in the order in which they came. A record stays where it is until it is forgotten. Memory grows by
// chunks up to that of max records, and is used again from then on.
type ring struct {
	max    uint32
	first  uint32 // place of the oldest
	n      uint32
	chunks []*chunk
}

const chunkLen = 1024

type chunk [chunkLen]record

// at is the record at a place.
func (r *ring) at(place uint32) *record { return &r.chunks[place/chunkLen][place%chunkLen] }

func (r *ring) oldest() *record { return r.at(r.first) }

// push puts a record after the newest; there is room.
func (r *ring) push(x record) (place uint32) {
	place = uint32((uint64(r.first) + uint64(r.n)) % uint64(r.max))
	for place/chunkLen >= uint32(len(r.chunks)) {
		r.chunks = append(r.chunks, new(chunk))
	}
	*r.at(place) = x
	r.n++
	return place
}

// pop forgets the oldest; there is one.
func (r *ring) pop() {
	r.first = (r.first + 1) % r.max
	if r.n--; r.n == 0 {
		r.first = 0
	}
}

// age is how many places after the oldest a place is; it is r.n or more where nothing is there.
func (r *ring) age(place uint32) uint32 {
	return uint32((uint64(place) + uint64(r.max) - uint64(r.first)) % uint64(r.max))
}

// index finds the newest record of a hash: open addressing with linear probing, at a load of two thirds at the most. A
// slot has 32 bits of the hash, of which the home position is a part, above the record's place + 1, or is 0: so that
// probing and moving hardly ever touch the records.
type index struct{ slots []uint64 }

func newIndex(records int) index {
	n := 64
	for 2*n < 3*records {
		n *= 2
	}
	return index{make([]uint64, n)}
}

// slotOf mixes the high bits in, as the sample keeps only low hashes.
func slotOf(hash uint64, place uint32) uint64 { return (hash^hash>>32)<<32 | uint64(place+1) }

func (x *index) mask() uint64 { return uint64(len(x.slots) - 1) }

func (x *index) home(slot uint64) uint64 { return slot >> 32 & x.mask() }

func (x *index) find(hash uint64, r *ring) (place uint32, ok bool) {
	want := slotOf(hash, 0)
	for i := x.home(want); x.slots[i] != 0; i = (i + 1) & x.mask() {
		if s := x.slots[i]; s>>32 == want>>32 && r.at(uint32(s)-1).hash == hash {
			return uint32(s) - 1, true
		}
	}
	return 0, false
}

func (x *index) insert(hash uint64, place uint32) {
	slot := slotOf(hash, place)
	i := x.home(slot)
	for x.slots[i] != 0 {
		i = (i + 1) & x.mask()
	}
	x.slots[i] = slot
}

// remove takes out a place where it is there, and moves those after it back to where a search will find them.
func (x *index) remove(hash uint64, place uint32) {
	slot := slotOf(hash, place)
	hole := x.home(slot)
	for ; x.slots[hole] != slot; hole = (hole + 1) & x.mask() {
		if x.slots[hole] == 0 {
			return
		}
	}
	for i := (hole + 1) & x.mask(); x.slots[i] != 0; i = (i + 1) & x.mask() {
		// A slot may fill the hole unless its home lies after the hole, up to where it stands.
		if (i-x.home(x.slots[i]))&x.mask() >= (i-hole)&x.mask() {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = 0
}
