package signal

import (
	"encoding/binary"
	"math"
)

// columns hold the cohorts of one width of a ring: a column for each field, each as narrow as its counts allow. A column
// takes no bytes while nothing is counted in it, then one for each cohort, two once a count has outgrown 8 bits, and four
// once it has outgrown 16. Most columns of most keys stay narrow: few fail, few are throttled, few receipts are late.
type columns struct {
	widths [fields]uint8 // bytes for each count: 0, 1, 2 or 4
	bytes  []byte        // column after column, little endian
}

// column is the bytes of a field over n cohorts.
func (c *columns) column(n, field int) []byte {
	from := 0
	for _, w := range c.widths[:field] {
		from += int(w)
	}
	return c.bytes[from*n : (from+int(c.widths[field]))*n]
}

// get is the count of a field of the i-th of n cohorts.
func (c *columns) get(n, i, field int) uint32 {
	column := c.column(n, field)
	switch c.widths[field] {
	case 0:
		return 0
	case 1:
		return uint32(column[i])
	case 2:
		return uint32(binary.LittleEndian.Uint16(column[2*i:]))
	}
	return binary.LittleEndian.Uint32(column[4*i:])
}

// set changes a count, and widens its column where it does not fit.
func (c *columns) set(n, i, field int, count uint32) {
	if w := widthOf(count); w > c.widths[field] {
		c.widen(n, field, w)
	}
	column := c.column(n, field)
	switch c.widths[field] {
	case 1:
		column[i] = uint8(count)
	case 2:
		binary.LittleEndian.PutUint16(column[2*i:], uint16(count))
	case 4:
		binary.LittleEndian.PutUint32(column[4*i:], count)
	}
}

// widthOf is how many bytes a count takes.
func widthOf(count uint32) uint8 {
	switch {
	case count == 0:
		return 0
	case count <= math.MaxUint8:
		return 1
	case count <= math.MaxUint16:
		return 2
	}
	return 4
}

// widen gives a column more bytes for each of its counts.
func (c *columns) widen(n, field int, width uint8) {
	widths := c.widths
	widths[field] = width
	*c = c.in(n, widths)
}

// in is the same counts in columns of other widths, which they must fit.
func (c *columns) in(n int, widths [fields]uint8) columns {
	size := 0
	for _, w := range widths {
		size += int(w) * n
	}
	other := columns{widths: widths, bytes: make([]byte, size)}
	for field := range fields {
		if c.widths[field] == widths[field] {
			copy(other.column(n, field), c.column(n, field))
			continue
		}
		for i := range n {
			other.set(n, i, field, c.get(n, i, field))
		}
	}
	return other
}

// slim gives back the bytes that wide counts of the past have left behind, where it is half of them or more.
func (c *columns) slim(n int) {
	var most [fields]uint32
	var widths [fields]uint8
	size := 0
	for field := range fields {
		for i := range n {
			most[field] = max(most[field], c.get(n, i, field))
		}
		widths[field] = widthOf(most[field])
		size += int(widths[field]) * n
	}
	if 2*size <= len(c.bytes) {
		*c = c.in(n, widths)
	}
}

// row is all fields of the i-th of n cohorts.
func (c *columns) row(n, i int) (counts Counts) {
	at := c.bytes
	for field, w := range c.widths {
		switch w {
		case 1:
			counts[field] = uint32(at[i])
		case 2:
			counts[field] = uint32(binary.LittleEndian.Uint16(at[2*i:]))
		case 4:
			counts[field] = binary.LittleEndian.Uint32(at[4*i:])
		}
		at = at[int(w)*n:]
	}
	return counts
}

// clear sets all fields of a cohort to 0.
func (c *columns) clear(n, i int) {
	at := c.bytes
	for _, w := range c.widths {
		clear(at[int(w)*i : int(w)*(i+1)])
		at = at[int(w)*n:]
	}
}

// add adds the counts of a field, cohort by cohort, to sums. Most counts of most keys are 0, so that eight of them are
// asked at once whether there is anything to add.
func (c *columns) add(sums []uint32, field int) {
	width := int(c.widths[field])
	if width == 0 {
		return
	}
	column := c.column(len(sums), field)
	per := 8 / width
	for len(sums) >= per {
		if word := binary.LittleEndian.Uint64(column); word != 0 {
			addWord(sums[:per], word, width)
		}
		sums, column = sums[per:], column[8:]
	}
	for i := range sums {
		var last [4]byte
		copy(last[:], column[i*width:(i+1)*width])
		sums[i] += binary.LittleEndian.Uint32(last[:])
	}
}

// addWord adds the counts of so many bytes each that stand in a word.
func addWord(sums []uint32, word uint64, width int) {
	switch width {
	case 1:
		for i := range sums {
			sums[i] += uint32(uint8(word))
			word >>= 8
		}
	case 2:
		for i := range sums {
			sums[i] += uint32(uint16(word))
			word >>= 16
		}
	default:
		for i := range sums {
			sums[i] += uint32(word)
			word >>= 32
		}
	}
}
