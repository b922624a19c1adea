package policy

import (
	"fmt"
	"math"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// told says what can be said of something at all.
type told int

const (
	untold  told = iota // nobody can tell
	numbers             // there are numbers
	given               // it does not depend on it: a fact of the route, or a number of messages
	never
)

// delay is how long after a fault something becomes true.
type delay struct {
	told          told
	typical, slow time.Duration // half of the times, 19 of 20 times
	more          bool          // slow, at least, is more than that
	cause         string        // why it is not told
}

// often is how many times a month something becomes true on a route on which all is well.
type often struct {
	told  told
	times float64
	bound string // "under" or "over" where that is all that was measured
	from  string // what it was made from
	cause string // why it is not told
}

// world is what an estimate assumes.
type world struct {
	Assumptions
	fault    Fault
	rate     int           // index of Rates
	deadline time.Duration // before which silence does not count
	lasts    time.Duration // how long the condition has to be true
}

// delay is how long after the fault the part of a condition becomes true.
func (w *world) delay(c *Condition, e ast.Expr) delay {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch args := call.Args(); call.FunctionName() {
		case operators.LogicalAnd:
			return later(w.delay(c, args[0]), w.delay(c, args[1]))
		case operators.LogicalOr:
			return sooner(w.delay(c, args[0]), w.delay(c, args[1]))
		}
	}
	switch possibly(e, heard) {
	case possible{true: true}:
		return delay{told: given}
	case possible{false: true}:
		return delay{told: never}
	}
	l, ok := c.compares(e)
	if !ok {
		return delay{told: c.unmeasured(e), cause: c.textOf(e)}
	}
	switch g := gaugeOf(&l); {
	case g >= 0:
		return w.measured(g, l.x, c.textOf(e))
	case probeKind(l.v) != "":
		return w.probed(&l, c.textOf(e))
	case l.v.name == "lane.rate":
		return delay{told: l.holds(Rates[w.rate])}
	case l.counts():
		if !(l.x <= mostMessages) {
			return delay{cause: c.textOf(e) + " is beyond what was measured"}
		}
		d := time.Duration(l.x / Rates[w.rate] * float64(time.Second))
		return delay{told: numbers, typical: d, slow: d}
	}
	return delay{told: c.unmeasured(e), cause: c.textOf(e)}
}

// mostMessages and mostProbes bound what is waited for, so that times stay times.
const (
	mostMessages = 1e6
	mostProbes   = 1000
)

// later is when both are true.
func later(a, b delay) delay {
	switch {
	case a.told == never || b.told == given:
		return a
	case b.told == never || a.told == given:
		return b
	case a.told == untold:
		return a
	case b.told == untold:
		return b
	}
	out := delay{told: numbers, typical: max(a.typical, b.typical), slow: max(a.slow, b.slow)}
	out.more = a.more || b.more
	return out
}

// sooner is when the first of both is true. What cannot be told only makes it sooner.
func sooner(a, b delay) delay {
	switch {
	case a.told == numbers && b.told != numbers && b.told != given:
		return a
	case b.told == numbers && a.told != numbers && a.told != given:
		return b
	case a.told == never:
		return b
	case b.told == never:
		return a
	case a.told != numbers:
		return delay{cause: a.cause}
	case b.told != numbers:
		return delay{cause: b.cause}
	}
	out := a
	if b.slow < a.slow || a.more && !b.more {
		out = b
	}
	out.typical = min(a.typical, b.typical)
	return out
}

// measured is how long after the fault a gauge passes a threshold.
func (w *world) measured(g int, x float64, text string) delay {
	if noise := alarms(g, x, 0); noise.told == numbers && noise.times > mostNoise {
		return delay{cause: text + " comes true without any fault"}
	}
	if w.fault == ProbeFails {
		return delay{told: never}
	}
	k, part, ok := between(Gauges[g].Thresholds, x)
	if !ok {
		return delay{cause: text + " is beyond what was measured"}
	}
	row := measuredDelays[g][w.fault][w.rate]
	if !anyTold(row) {
		return delay{told: never}
	}
	d := delay{told: numbers}
	var open [2]bool
	for q, to := range []*time.Duration{&d.typical, &d.slow} {
		low, high := row[k][q], row[min(k+1, len(row)-1)][q]
		if low < 0 || part > 0 && high < 0 {
			*to, open[q] = Watched[w.rate], true
			continue
		}
		*to = time.Duration((float64(low) + part*float64(high-low)) * float64(time.Second)).Round(time.Second)
	}
	if d.more = open[1]; open[0] {
		d.typical = Watched[w.rate]
	}
	if silent := w.fault <= LossSilent && Gauges[g].waits; silent && w.deadline >= LongestWindow {
		return delay{told: never}
	} else if silent {
		d.typical, d.slow = d.typical+w.deadline, d.slow+w.deadline
	}
	return d
}

// mostNoise is how often a month something may come true without a fault for a delay to mean anything.
const mostNoise = 60

func anyTold(row [][2]int) bool {
	for _, d := range row {
		if d[0] >= 0 || d[1] >= 0 {
			return true
		}
	}
	return false
}

// between is the threshold before x, and how far x lies towards the next one; ok is false beyond the last.
func between(grid []float64, x float64) (k int, part float64, ok bool) {
	down := grid[len(grid)-1] < grid[0]
	for k, at := range grid {
		if at == x || k == 0 && (x < at) != down {
			return k, 0, true
		}
		if k > 0 && (x < at) != down {
			return k - 1, (x - grid[k-1]) / (at - grid[k-1]), true
		}
	}
	return 0, 0, false
}

// often is how many times a month the part of a condition becomes true, and stays so for as long as wanted.
func (w *world) often(c *Condition, e ast.Expr) often {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch args := call.Args(); call.FunctionName() {
		case operators.LogicalAnd:
			return rarer(w.often(c, args[0]), w.often(c, args[1]))
		case operators.LogicalOr:
			return sum(w.often(c, args[0]), w.often(c, args[1]))
		}
	}
	l, ok := c.compares(e)
	if !ok {
		return often{told: c.unmeasured(e), cause: c.textOf(e)}
	}
	switch g := gaugeOf(&l); {
	case g >= 0 && !Gauges[g].ideal:
		out := alarms(g, l.x, w.lasts)
		out.from = c.textOf(e) + ": " + out.from
		return out
	case probeKind(l.v) != "":
		return w.probesFailing(&l, c.textOf(e))
	case l.v.name == "lane.rate":
		return often{told: l.holds(1)}
	case l.counts():
		return often{told: given}
	}
	return often{told: c.unmeasured(e), cause: c.textOf(e)}
}

// rarer is how often both are true: no more often than the rarer of them. What cannot be told only makes it rarer.
func rarer(a, b often) often {
	switch {
	case a.told == never || b.told == given:
		return a
	case b.told == never || a.told == given:
		return b
	case a.told == untold && b.told == untold:
		return a
	case a.told == untold:
		b.bound = "under"
		return b
	case b.told == untold:
		a.bound = "under"
		return a
	case b.times < a.times:
		return b
	}
	return a
}

// sum is how often one of both is true.
func sum(a, b often) often {
	switch {
	case a.told == never:
		return b
	case b.told == never:
		return a
	case a.told != numbers:
		return often{cause: a.cause}
	case b.told != numbers:
		return often{cause: b.cause}
	}
	out := often{told: numbers, times: a.times + b.times, from: a.from + ", " + b.from, bound: a.bound}
	if b.times > a.times {
		out.bound = b.bound
	}
	return out
}

// blocks is how often a month something is counted at most.
const blocks = int(month / HealthyBlock)

// alarms are the false alarms that were measured of a gauge, at a threshold that is passed for so long.
func alarms(g int, x float64, lasts time.Duration) often {
	d := 0
	for i, l := range Lasting {
		if l <= lasts {
			d = i
		}
	}
	counts := measuredAlarms[g][d]
	o := often{told: numbers}
	k, part, ok := between(Gauges[g].Thresholds, x)
	switch beyond := !ok; {
	case beyond:
		k, o.bound = len(counts)-1, "under"
	case k == 0 && part == 0 && x != Gauges[g].Thresholds[0] && counts[0] < blocks*measuredMonths:
		o.bound = "over"
	}
	if counts[k] == 0 {
		o.bound = "under"
	}
	n := math.Max(float64(counts[k]), 1)
	if part > 0 {
		n *= math.Pow(math.Max(float64(counts[k+1]), 1)/n, part)
	}
	o.times = n / measuredMonths
	o.from = fmt.Sprintf("%d half-hours of %d months", counts[k], measuredMonths)
	if part > 0 {
		o.from = fmt.Sprintf("%d to %d half-hours of %d months", counts[k+1], counts[k], measuredMonths)
	}
	return o
}
