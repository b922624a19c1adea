package signal

import "time"

// cell is one step of the window ladder for one key: the cohorts that a window holds and the next shorter one does not.
type cell struct {
	from      int64   // first tick of its cohorts
	submitted float64 // as they are, whatever they weigh
	delivered float64
	failed    float64
	open      float64 // without a final receipt, and old enough that silence may count
	answered  float64 // with a final receipt, among those old enough that silence may count
	due       float64 // share of the open ones' usual receipts that should be back, at today's pace: the mean arrival × F
	dueExact  float64 // the same at the pace learned
	usual     float64 // final receipts that should be back of the open and the answered ones, at today's pace
	expected  float64 // messages whose receipt should be back at the pace learned: sum of n × F
	squares   float64 // sum of n × F², for the interval

	// What was seen, for people. All other fields but submitted weigh the messages of a crowd for less.
	mature        float64 // messages whose final status should be back: answered ones, and F of the rest, at today's pace
	seenDelivered float64
	seenFailed    float64
	seenConverted float64
	seenReach     float64

	// The rest stays 0 where conversions are not reported.
	converted   float64
	unconverted float64 // submitted and not converted
	convDue     float64 // share of the unconverted ones' usual conversions that should be back
	reach       float64 // sum of n × F of conversions
	reachSq     float64 // sum of n × F² of conversions
	promised    float64 // conversions that the delivered receipts promise by now, as they were seen

	timely [horizons]timely
}

// ladder are the ages, in ticks, at which the windows that are scanned end: every tick for two minutes, in which most
// receipts come, then in steps of a fifth to a half. Ends beyond ten minutes fall where cohorts end at the latest.
var ladder = [...]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
	36, 48, 72, 96, 120, 144, 180, 240, 300, 360, 480, 600, 720, 852,
	1092, 1332, 1572, 1932, 2292, 2772, 3372, 4092, ringSpan}

// rungs is how many windows there are.
const rungs = len(ladder)

func rungOf(age int64, from int) int {
	for from < len(ladder)-1 && age >= ladder[from] {
		from++
	}
	return from
}

// filling is the work of filling the cells of a key. It is reused from key to key, so that a key holds no tables.
type filling struct {
	cells    []cell
	rung     int
	judged   int64 // the tick that is judged
	cut      int64 // messages of earlier ticks are not judged
	refusals int64 // what failed of messages of earlier ticks does not count
	silent   int64 // ticks; of messages younger silence does not count
	normal   *normal
	crowds   *crowds
	together together
	timing   *timing // of the key; nil where it has none
	tally    tally
	paced    paced // the receipt curve at today's pace
	exact    paced // the receipt curve as learned
	convert  paced // the conversion curve as learned
}

// fill computes the cells of a key for the cohorts submitted before tick t and not before cut. Silence does not count of
// messages younger than wait, and what failed does not of those submitted before refusals.
func (k *key) fill(f *filling, cells []cell, t, cut, refusals int64, wait time.Duration) []cell {
	if k.ring.empty() || t-1 > k.ring.head {
		return cells[:0]
	}
	n := k.normal
	f.cells, f.rung, f.judged, f.cut, f.refusals, f.silent, f.normal = cells[:0], 0, t, cut, refusals, ceilDiv(int64(wait), int64(Tick)), n
	f.crowds, f.together = k.crowds, k.learned.Together
	f.paced.of(&n.receipts, k.factor)
	f.exact.of(&n.receipts, 1)
	if n.conversion > 0 {
		f.convert.of(&n.conversions, 1)
	}
	edges := 0
	if f.timing = k.timing; f.timing != nil {
		edges = f.timing.edge
	}
	k.ring.tally(&f.tally, edges)
	f.ring(&k.ring)
	for i := range f.cells {
		f.cells[i].settle()
	}
	return f.cells
}

// ring fills the cells from the cohorts of a ring, from the youngest to the oldest.
func (f *filling) ring(r *ring) {
	newest := f.judged - 1
	s := int(mod(newest, fineSlots))
	for oldest := max(f.cut, r.head-fineSlots+1); newest >= oldest; newest-- {
		f.cohort(s, newest, newest, 1)
		s = before(s, fineSlots)
	}
	newest = f.wide(newest, ticksPerMid, midOffset, midSlots, r.midHead())
	f.wide(newest, ticksPerTen, coarseOffset, coarseSlots, r.coarseHead())
}

// wide fills the cells from the n cohorts of width ticks that stand from slot offset on, of which head is the number of the
// newest: those of tick newest and before. It returns the newest tick that is older than all of them.
func (f *filling) wide(newest, width int64, offset, n int, head int64) int64 {
	i := floorDiv(newest, width)
	s := int(mod(i, int64(n)))
	for ; i > head-int64(n); i-- {
		start := i * width
		if start < f.cut || f.judged-newest > ringSpan {
			break
		}
		f.cohort(offset+s, start, newest, width)
		newest, s = start-1, before(s, n)
	}
	return newest
}

// before is the one of n slots, which go round and round, that holds what came before slot s.
func before(s, n int) int {
	if s == 0 {
		return n - 1
	}
	return s - 1
}

// cohort counts the cohort of a slot, of the ticks from start on; newest is the newest of them that no younger cohort holds.
func (f *filling) cohort(s int, start, newest, width int64) {
	f.rung = rungOf(f.judged-1-newest, f.rung)
	for len(f.cells) <= f.rung {
		f.cells = append(f.cells, cell{from: start})
	}
	c := &f.cells[f.rung]
	c.from = start
	if !f.tally.none(s) {
		age := f.judged - start - width
		w := f.weigh(start, width)
		if start < f.refusals {
			f.count(c, s, float64(f.tally.failed[s]), pacedIndex(age, width), age >= f.silent, w)
			return // of what is to fail yet, nobody knows whether it is late
		}
		f.count(c, s, 0, pacedIndex(age, width), age >= f.silent, w)
		f.time(c, s, start, age, w.arrival)
	}
}

// weights are for how much each message of a cohort counts, 0..1, by what is asked of it: what its receipt says, whether
// it came, and whether the message converted.
type weights struct{ status, arrival, conversion float64 }

// weigh weighs a cohort that begins at a tick.
func (f *filling) weigh(start, width int64) (w weights) {
	t := &f.together
	w.status = f.crowds.weight(start, width, t.Status)
	w.arrival, w.conversion = w.status, w.status
	if t.Arrival != t.Status {
		w.arrival = f.crowds.weight(start, width, t.Arrival)
	}
	if f.normal.conversion > 0 && t.Conversion != t.Status {
		w.conversion = f.crowds.weight(start, width, t.Conversion)
	}
	return w
}

// count adds the cohort of a slot. Its age stands at an index of the paced shares; silence says whether it is old enough
// that unanswered messages count, and w for how much each message does. Excused are failures that do not count: they are
// answers still, so that what is not answered yet does not look silent.
func (f *filling) count(c *cell, s int, excused float64, index int, silence bool, w weights) {
	delivered, failed := float64(f.tally.delivered[s]), float64(f.tally.failed[s])
	submitted, ended := float64(f.tally.submitted[s]), delivered+failed
	open := max(0, submitted-ended)
	due, exact := float64(f.paced.shares[index]), float64(f.exact.shares[index])
	expected := max(0, submitted*exact-excused)
	c.submitted += max(0, submitted-excused)
	c.seenDelivered += delivered
	c.seenFailed += failed - excused
	c.mature += ended - excused + open*due
	c.delivered += w.status * delivered
	c.failed += w.status * (failed - excused)
	c.expected += w.status * expected
	c.squares += w.status * expected * exact
	if silence {
		open, ended = w.arrival*open, w.arrival*ended
		c.open += open
		c.answered += ended
		c.usual += (open + ended) * due * f.normal.arrival
		c.due += open * due * f.normal.arrival
		c.dueExact += open * exact * f.normal.arrival
	}
	if f.normal.conversion > 0 {
		if excused > 0 {
			submitted = max(float64(f.tally.converted[s]), delivered) // of the others nobody knows which will fail
		}
		f.conversions(c, s, submitted, float64(f.convert.shares[index]), exact, w.conversion)
	}
}

// conversions adds the conversions of a cohort of which a share should be back.
func (f *filling) conversions(c *cell, s int, submitted, reach, exact, weight float64) {
	converted := float64(f.tally.converted[s])
	rest := max(0, submitted-converted)
	c.seenConverted += converted
	c.seenReach += submitted * reach
	c.converted += weight * converted
	c.unconverted += weight * rest
	c.convDue += weight * rest * reach * f.normal.conversion
	c.reach += weight * submitted * reach
	c.reachSq += weight * submitted * reach * reach
	if exact > 0 {
		c.promised += float64(f.tally.delivered[s]) * min(1, reach*f.normal.conversion/(exact*f.normal.delivered))
	}
}

// settle turns sums over open messages into means.
func (c *cell) settle() {
	if c.open > 0 {
		c.due /= c.open
		c.dueExact /= c.open
	}
	if c.unconverted > 0 {
		c.convDue /= c.unconverted
	}
}
