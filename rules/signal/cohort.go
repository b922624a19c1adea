package signal

import "math"

// A cohort is the messages submitted on one key in one span of time. What came back later counts into the cohort of its
// submit, so cohorts of several nodes merge by addition.

// Fields of a cohort.
const (
	fieldSubmitted = iota // submits, those refused by the route's fault included, throttled ones not
	fieldFailed           // final failures: receipts that say so, and submits refused by the route's fault
	fieldThrottled        // submits refused because it was too much at once
	fieldConverted        // conversions
	fieldInTime           // receipts that say delivered, no older than what the class allows
	fieldDelivered        // receipts that say delivered, by age: nine fields from here on
	fields         = fieldDelivered + len(receiptAges) + 1
)

// receiptAges are the upper edges, in seconds, of the ages that delivered receipts are counted by; the last count is of
// all older ones.
var receiptAges = [...]float64{2, 5, 10, 20, 30, 60, 120, 300}

// ageField is the field that counts a delivered receipt of the given age in seconds.
func ageField(age float64) int {
	for i, edge := range receiptAges {
		if age <= edge {
			return fieldDelivered + i
		}
	}
	return fields - 1
}

// Counts are the fields of one cohort, or of several merged ones.
type Counts [fields]uint32

func (c *Counts) add(d *Counts) {
	for i := range c {
		c[i] = saturate(uint64(c[i]) + uint64(d[i]))
	}
}

func (c *Counts) empty() bool { return *c == Counts{} }

// delivered is the number of messages that came back delivered.
func (c *Counts) delivered() float64 {
	n := uint64(0)
	for _, d := range c[fieldDelivered:] {
		n += uint64(d)
	}
	return float64(n)
}

// mostCounted bounds a count so that the sum of all fields of a cohort still fits.
const mostCounted = math.MaxUint32 / uint32(fields)

func saturate(n uint64) uint32 { return uint32(min(n, uint64(mostCounted))) }

// The layout of a ring: cohorts of 5 s for ten minutes, of 1 min for the hour before, of 10 min for the six before that.
const (
	tickSeconds  = 5
	fineSlots    = 120
	midSlots     = 60
	coarseSlots  = 36
	ticksPerMid  = 12
	ticksPerTen  = 120
	midOffset    = fineSlots
	coarseOffset = fineSlots + midSlots
	slots        = fineSlots + midSlots + coarseSlots
	ringSpan     = fineSlots + midSlots*ticksPerMid + coarseSlots*ticksPerTen // ticks
)

// ring holds the cohorts of one key. It takes memory when the first message is counted, and gives it back when the last
// one has left.
type ring struct {
	head    int64 // tick of the newest cohort, in ticks since the Unix epoch
	last    int64 // newest tick that something was counted in; 0 where nothing ever was
	cohorts *cohorts
}

// cohorts are the three parts of a ring that is not empty.
type cohorts struct{ fine, mid, coarse columns }

func newRing(head int64) ring { return ring{head: head} }

func (r *ring) empty() bool { return r.cohorts == nil }

// midHead is the newest minute whose cohorts have begun to leave the fine part.
func (r *ring) midHead() int64 { return floorDiv(r.head-fineSlots, ticksPerMid) }

// coarseHead is the newest ten minutes whose cohorts have begun to leave the middle part.
func (r *ring) coarseHead() int64 { return floorDiv(r.midHead()-midSlots, ticksPerTen/ticksPerMid) }

// slot is where the cohort of a tick stands, or -1 where it is older than the ring or newer than its head.
func (r *ring) slot(tick int64) int {
	if tick > r.head {
		return -1
	}
	if tick > r.head-fineSlots {
		return int(mod(tick, fineSlots))
	}
	mid := floorDiv(tick, ticksPerMid)
	if mid > r.midHead()-midSlots {
		return midOffset + int(mod(mid, midSlots))
	}
	coarse := floorDiv(tick, ticksPerTen)
	if coarse > r.coarseHead()-coarseSlots {
		return coarseOffset + int(mod(coarse, coarseSlots))
	}
	return -1
}

// part is the columns that a slot of a ring that is not empty stands in, how many cohorts they hold, and which it is.
func (r *ring) part(s int) (c *columns, n, i int) {
	switch {
	case s < midOffset:
		return &r.cohorts.fine, fineSlots, s
	case s < coarseOffset:
		return &r.cohorts.mid, midSlots, s - midOffset
	}
	return &r.cohorts.coarse, coarseSlots, s - coarseOffset
}

// bump adds one to a field of the cohort of a tick. It reports false where the cohort is no longer, or not yet, held.
func (r *ring) bump(tick int64, field int) bool {
	s := r.slot(tick)
	if s < 0 {
		return false
	}
	if r.empty() {
		r.cohorts, r.last = &cohorts{}, tick
	}
	r.last = max(r.last, tick)
	c, n, i := r.part(s)
	c.set(n, i, field, saturate(uint64(c.get(n, i, field))+1))
	return true
}

// drop takes one from a field of the cohort of a tick, where there is one.
func (r *ring) drop(tick int64, field int) {
	s := r.slot(tick)
	if s < 0 || r.empty() {
		return
	}
	c, n, i := r.part(s)
	if count := c.get(n, i, field); count > 0 {
		c.set(n, i, field, count-1)
	}
}

// at is what stands in a slot of a ring that is not empty.
func (r *ring) at(s int) Counts {
	c, n, i := r.part(s)
	return c.row(n, i)
}

// recent is how many messages were submitted in the ticks from..to, which must be so young that each has its own cohort.
func (r *ring) recent(from, to int64) uint64 {
	sum := uint64(0)
	for tick := from; tick < to && !r.empty(); tick++ {
		if s := r.slot(tick); s >= 0 && s < midOffset {
			sum += uint64(r.cohorts.fine.get(fineSlots, s, fieldSubmitted))
		}
	}
	return sum
}

// merge adds counts to a slot.
func (r *ring) merge(s int, counts *Counts) {
	c, n, i := r.part(s)
	for field, count := range counts {
		if count > 0 {
			c.set(n, i, field, saturate(uint64(c.get(n, i, field))+uint64(count)))
		}
	}
}

func (r *ring) clear(s int) {
	c, n, i := r.part(s)
	c.clear(n, i)
}

// take empties a slot and returns what stood there.
func (r *ring) take(s int) Counts {
	c := r.at(s)
	if !c.empty() {
		r.clear(s)
	}
	return c
}

// slim gives back what busier times have left behind.
func (r *ring) slim() {
	if !r.empty() {
		r.cohorts.fine.slim(fineSlots)
		r.cohorts.mid.slim(midSlots)
		r.cohorts.coarse.slim(coarseSlots)
	}
}

// maturity is the age, in ticks, by which every cohort has left the middle part.
const maturity = fineSlots + midSlots*ticksPerMid

// advance moves the head to a tick. Cohorts that leave the fine part merge into their minute, and those into their ten
// minutes; mature is told of each minute as it leaves the middle part, 70 minutes after its submits.
func (r *ring) advance(to int64, mature func(minute int64, c *Counts)) {
	if r.empty() {
		r.head = max(r.head, to)
		return
	}
	gone := to-r.last > ringSpan+2*ticksPerTen
	stop := to
	if gone {
		stop = min(to, r.last+maturity) // by then all of it has matured
	}
	for r.head < stop {
		r.step(mature)
	}
	if gone {
		r.head, r.cohorts = max(r.head, to), nil
	}
}

// step moves the head by one tick, emptying whatever stands where newer cohorts will.
func (r *ring) step(mature func(int64, *Counts)) {
	midBefore := r.midHead()
	r.head++
	if r.midHead() > midBefore {
		r.stepMinute(mature)
	}
	s := int(mod(r.head, fineSlots))
	if c := r.take(s); !c.empty() {
		r.merge(midOffset+int(mod(r.midHead(), midSlots)), &c)
	}
}

// stepMinute makes room for the minute that has just begun to leave the fine part, where the one an hour older stands.
func (r *ring) stepMinute(mature func(int64, *Counts)) {
	mid := r.midHead()
	minute := mid - midSlots
	into := coarseOffset + int(mod(r.coarseHead(), coarseSlots))
	if mod(minute, ticksPerTen/ticksPerMid) == 0 {
		r.clear(into) // the first of its ten minutes; those of six hours before stand there
	}
	if leaving := r.take(midOffset + int(mod(mid, midSlots))); !leaving.empty() {
		mature(minute, &leaving)
		r.merge(into, &leaving)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func mod(a, b int64) int64 { return a - floorDiv(a, b)*b }
