package signal

import "time"

// cell is one step of the window ladder for one key: the cohorts that a window holds and the next shorter one does not.
type cell struct {
	from      int64 // first tick of its cohorts
	submitted float64
	delivered float64
	failed    float64
	converted float64
	open      float64 // without a final receipt, and old enough that silence may count
	answered  float64 // with a final receipt, among those old enough that silence may count
	due       float64 // share of the open ones' usual receipts that should be back, at today's pace: the mean arrival × F
	dueExact  float64 // the same at the pace learned
	usual     float64 // final receipts that should be back of the open and the answered ones, at today's pace
	expected  float64 // messages whose receipt should be back at the pace learned: sum of n × F
	squares   float64 // sum of n × F², for the interval
	mature    float64 // messages whose final status should be back: answered ones, and F of the rest, at today's pace
	convDue   float64 // share of the unconverted ones' usual conversions that should be back
	reach     float64 // sum of n × F of conversions
	reachSq   float64
}

// ladder are the ages, in ticks, at which the windows that are scanned end: every tick for two minutes, in which most
// receipts come, then in growing steps.
var ladder = makeLadder()

func makeLadder() []int64 {
	var ends []int64
	for a := int64(1); a <= 24; a++ {
		ends = append(ends, a)
	}
	ends = append(ends, 36, 48, 72, 96, 120, 144, 180, 240, 300, 360, 480, 600, 720, 852)
	for a := int64(852 + ticksPerTen); a <= ringSpan; a += ticksPerTen {
		ends = append(ends, a)
	}
	return ends
}

func rungOf(age int64, from int) int {
	for from < len(ladder)-1 && age >= ladder[from] {
		from++
	}
	return from
}

// fill computes the cells of a key for the cohorts submitted before tick t and not before cut.
func (k *key) fill(cells []cell, t, cut int64, deadline time.Duration) []cell {
	cells = cells[:0]
	rung := 0
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
		if c := k.ring.at(s); !c.empty() {
			k.count(&cells[rung], &c, t-start-width, width, deadline)
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

// count adds a cohort whose youngest message is age ticks old.
func (k *key) count(c *cell, n *Counts, age, width int64, deadline time.Duration) {
	submitted, delivered, failed, converted := float64(n[fieldSubmitted]), n.delivered(), float64(n[fieldFailed]), float64(n[fieldConverted])
	open := max(0, submitted-delivered-failed)
	due, exact := k.paced.share(age, width), k.exact.share(age, width)
	c.submitted += submitted
	c.delivered += delivered
	c.failed += failed
	c.converted += converted
	c.expected += submitted * exact
	c.squares += submitted * exact * exact
	c.mature += delivered + failed + open*due
	if time.Duration(age*tickSeconds)*time.Second >= deadline {
		c.open += open
		c.answered += delivered + failed
		c.usual += (open + delivered + failed) * due * k.normal.arrival
		c.due += open * due * k.normal.arrival
		c.dueExact += open * exact * k.normal.arrival
	}
	if k.convert != nil {
		reach := k.convert.share(age, width)
		c.convDue += max(0, submitted-converted) * reach * k.normal.conversion
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
	if rest := c.submitted - c.converted; rest > 0 {
		c.convDue /= rest
	}
}

// share is the mean share of a cohort of width ticks whose youngest message is age ticks old.
func (p *paced) share(age, width int64) float64 {
	if width == 1 && age >= 0 && age < int64(len(p.fine)) {
		return float64(p.fine[age])
	}
	if age < 0 {
		return p.over(0, float64(width*tickSeconds))
	}
	if width > 1 {
		return p.curve.at(float64(age*tickSeconds+width*tickSeconds/2) / p.factor)
	}
	return p.over(float64(age)*tickSeconds, tickSeconds)
}
