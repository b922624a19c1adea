package way

import (
	"math"
	"time"

	"signalbox/rules/route"
)

// record is what is remembered of one submit, or of a message that is known from its receipts alone. There are many of
// them: keep it at 88 bytes and free of pointers.
type record struct {
	hash      uint64
	submitted int64           // Unix nanoseconds
	born      uint32          // when it came, by this machine's clock, in Unix seconds
	key       uint32          // in keys
	epoch     uint32          // of the generation that the sender said; epoch and number 0: it did not
	number    uint32          // of it
	latency   uint32          // to the answer, in latencyUnits + 1; 0 where it was not told
	earlier   uint32          // the place + 1 of the message's submit before this one on the same route; 0 where there was none
	ages      [statuses]int32 // from the submit to the receipt of each status, in milliseconds; at converted, to the conversion
	code      uint16          // in codes, of the submit
	answered  uint16          // in codes, of the last receipt that had one
	flags     uint16          // bit s: ages[s] is there; and the flags below
	result    route.Result
	fault     route.Fault
	counts    route.Status // the first final status; StatusUnknown where none came
	coded     route.Status // the status whose receipt had the code answered
}

const (
	converted = int(route.StatusRejected) + 1 // index in ages
	statuses  = converted + 1

	flagSubmitted uint16 = 1 << (8 + iota)
	flagWithdrawn
	flagForgotten
)

const latencyUnit = 100 * time.Microsecond

func latencyOf(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min(int64(d/latencyUnit), math.MaxUint32-1)) + 1
}

// answer adds a receipt or a conversion.
func (r *record) answer(o *route.Observation, code uint16) {
	at := converted
	if o.Kind != route.KindConversion {
		at = int(o.Status)
		if o.Final {
			r.counts = o.Status
		}
		if code != 0 {
			r.answered, r.coded = code, o.Status
		}
	}
	if r.flags&(1<<at) == 0 {
		r.flags |= 1 << at
		r.ages[at] = millis(o.Time.UnixNano() - r.submitted)
	}
}

// millis are nanoseconds as milliseconds, as far as they can be held.
func millis(ns int64) int32 {
	return int32(max(math.MinInt32, min(math.MaxInt32, ns/int64(time.Millisecond))))
}

// keys numbers the routes, classes and networks of the records.
type keys struct {
	numbers map[route.Key]uint32
	uses    []use
	free    []uint32
	recent  [256]uint32 // the one taken last of those that dispersal puts together
}

type use struct {
	key   route.Key
	count uint32 // of records
}

func (k *keys) take(key route.Key) uint32 {
	at := &k.recent[dispersal(string(key.Route))*31+dispersal(string(key.Network))*7+dispersal(string(key.Class))]
	if int(*at) >= len(k.uses) || k.uses[*at].key != key || k.uses[*at].count == 0 {
		n, ok := k.numbers[key]
		if !ok {
			n = k.number(key)
		}
		*at = n
	}
	k.uses[*at].count++
	return *at
}

// dispersal is a number that names which are used together seldom share; it costs less than a hash.
func dispersal(name string) (sum uint8) {
	for i := max(0, len(name)-3); i < len(name); i++ {
		sum = sum*11 + name[i]
	}
	return sum + uint8(len(name))
}

func (k *keys) number(key route.Key) uint32 {
	if k.numbers == nil {
		k.numbers = map[route.Key]uint32{}
	}
	n := uint32(len(k.uses))
	if last := len(k.free) - 1; last >= 0 {
		n, k.free = k.free[last], k.free[:last]
		k.uses[n] = use{key: key}
	} else {
		k.uses = append(k.uses, use{key: key})
	}
	k.numbers[key] = n
	return n
}

func (k *keys) release(n uint32) {
	u := &k.uses[n]
	if u.count--; u.count == 0 {
		delete(k.numbers, u.key)
		k.free = append(k.free, n)
	}
}

// routes are those of all records.
func (k *keys) routes() []route.ID {
	seen := map[route.ID]bool{}
	var out []route.ID
	for key := range k.numbers {
		if !seen[key.Route] {
			seen[key.Route] = true
			out = append(out, key.Route)
		}
	}
	return out
}

// codes numbers the carriers' codes. Beyond as many as a number can tell apart, codes are not kept.
type codes struct {
	numbers map[string]uint16
	texts   []string
}

func newCodes() codes { return codes{map[string]uint16{"": 0}, []string{""}} }

func (c *codes) of(text string) uint16 {
	if text == "" {
		return 0
	}
	n, ok := c.numbers[text]
	if !ok && len(c.texts) <= math.MaxUint16 {
		n = uint16(len(c.texts))
		c.numbers[text], c.texts = n, append(c.texts, text)
	}
	return n
}
