package signal

import "time"

// cell is one step of the window ladder for one key: the cohorts that a window holds and the next shorter one does not.
type cell struct {
	from      int64 // first tick of its cohorts
	submitted float64
	delivered float64
	failed    float64
	open      float64 // without a final receipt, and old enough that silence may count
	answered  float64 // with a final receipt, among those old enough that silence may count
	due       float64 // share of the open ones' usual receipts that should be back, at today's pace: the mean arrival × F
	dueExact  float64 // the same at the pace learned
	usual     float64 // final receipts that should be back of the open and the answered ones, at today's pace
	expected  float64 // messages whose receipt should be back at the pace learned: sum of n × F
	squares   float64 // sum of n × F², for the interval
	mature    float64 // messages whose final status should be back: answered ones, and F of the rest, at today's pace

	// The rest stays 0 where conversions are not reported.
	converted   float64
	unconverted float64 // submitted and not converted
	convDue     float64 // share of the unconverted ones' usual conversions that should be back
	reach       float64 // sum of n × F of conversions
	reachSq     float64 // sum of n × F² of conversions
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

// fill computes the cells of a key for the cohorts submitted before tick t and not before cut. Silence does not count of
// messages younger than wait, and what failed does not of those submitted before refusals.
func (k *key) fill(cells []cell, t, cut, refusals int64, wait time.Duration) []cell {
	cells = cells[:0]
	if k.ring.empty() {
		return cells
	}
	rung, waitTicks := 0, ceilDiv(int64(wait), int64(Tick))
	for tick := t - 1; tick >= cut && t-tick <= ringSpan; {
		s := k.ring.slot(tick)
		if s < 0 {
			break
		}
		start, width := slotSpan(s, tick)
		if start < cut {
			break
		}
		rung = rungOf(t-1-tick, rung)
		for len(cells) <= rung {
			cells = append(cells, cell{from: start})
		}
		cells[rung].from = start
		if n := k.ring.tally(s); n != (tally{}) {
			age := t - start - width
			excused := 0.0
			if start < refusals {
				excused = float64(n.failed)
			}
			k.count(&cells[rung], n, excused, pacedIndex(age, width), age >= waitTicks)
		}
		tick = start - 1
	}
	for i := range cells {
		cells[i].settle()
	}
	return cells
}

// slotSpan is where the cohort in slot s that holds a tick begins, and how many ticks it spans.
func slotSpan(s int, tick int64) (start, width int64) {
	switch {
	case s < midOffset:
		return tick, 1
	case s < coarseOffset:
		return tick - mod(tick, ticksPerMid), ticksPerMid
	}
	return tick - mod(tick, ticksPerTen), ticksPerTen
}

// count adds a cohort. Its age stands at an index of the paced shares; silence says whether it is old enough that
// unanswered messages count. Failures that are excused are answers like any others, and say nothing beside.
func (k *key) count(c *cell, n tally, excused float64, index int, silence bool) {
	submitted, ended := float64(n.submitted), float64(n.delivered+n.failed)
	open := max(0, submitted-ended)
	due, exact := float64(k.paced.shares[index]), float64(k.exact.shares[index])
	expected := max(0, submitted*exact-excused)
	c.submitted += max(0, submitted-excused)
	c.delivered += float64(n.delivered)
	c.failed += float64(n.failed) - excused
	c.expected += expected
	c.squares += expected * exact
	c.mature += ended - excused + open*due
	if silence {
		c.open += open
		c.answered += ended
		c.usual += (open + ended) * due * k.normal.arrival
		c.due += open * due * k.normal.arrival
		c.dueExact += open * exact * k.normal.arrival
	}
	if k.convert != nil {
		converted := float64(n.converted)
		if excused > 0 {
			submitted = max(converted, float64(n.delivered)) // of the others nobody knows which will fail
		}
		reach, rest := float64(k.convert.shares[index]), max(0, submitted-converted)
		c.converted += converted
		c.unconverted += rest
		c.convDue += rest * reach * k.normal.conversion
		c.reach += submitted * reach
		c.reachSq += submitted * reach * reach
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
