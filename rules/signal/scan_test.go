package signal

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// testNormal is the true baseline of the simulated world.
func testNormal() *normal {
	l := Learned{}
	l.tell(epoch, toldBaseline(20000))
	return l.normal(own)
}

// anyCells are the cells of a key as a hundred messages and more could fill them.
func anyCells(t *rapid.T, n *normal, rungsUsed int) []cell {
	cells := make([]cell, rungsUsed)
	for i := range cells {
		c := &cells[i]
		c.from = int64(1000 - i)
		if rapid.IntRange(0, 3).Draw(t, "empty") == 0 {
			continue
		}
		c.delivered = float64(rapid.IntRange(0, 40).Draw(t, "delivered"))
		c.failed = float64(rapid.IntRange(0, 10).Draw(t, "failed"))
		c.open = float64(rapid.IntRange(0, 30).Draw(t, "open"))
		c.answered = c.delivered + c.failed
		c.submitted = c.answered + c.open
		c.due = rapid.Float64Range(0, 1).Draw(t, "due") * n.arrival
	}
	return cells
}

// bruteWindow is the statistic of the rungs 0..rung as it is written down: the largest over the worse arrivals s of
// Σ[(n−d−u)·ln((1−s·G·F)/(1−x·G·F)) + (d+u)·ln(s/x)], and R·kl(D/R ‖ x·κ).
func bruteWindow(tracks []track, rung int) (silence, failure float64) {
	const x = 1 - Tolerance
	for _, s := range silenceShares {
		sum := 0.0
		for _, t := range tracks {
			for i := 0; i <= rung && i < len(t.cells); i++ {
				c := t.cells[i]
				sum += c.open*math.Log((1-s*c.due)/(1-x*c.due)) + c.answered*math.Log(s/x)
			}
		}
		silence = math.Max(silence, sum)
	}
	d, r, usual := 0.0, 0.0, 0.0
	for _, t := range tracks {
		for i := 0; i <= rung && i < len(t.cells); i++ {
			d += t.cells[i].delivered
			r += t.cells[i].delivered + t.cells[i].failed
			usual += (t.cells[i].delivered + t.cells[i].failed) * t.normal.status
		}
	}
	if r > 0 && d/r < x*usual/r {
		failure = r * klBernoulli(d/r, x*usual/r)
	}
	return silence, failure
}

func TestScanEqualsTheFormula(t *testing.T) {
	a, b := testNormal(), testNormal()
	b.status *= .97
	rapid.Check(t, func(t *rapid.T) {
		tracks := []track{{cells: anyCells(t, a, rapid.IntRange(1, rungs).Draw(t, "rungs")), normal: a}}
		if rapid.Bool().Draw(t, "two keys") {
			tracks = append(tracks, track{cells: anyCells(t, b, rapid.IntRange(1, rungs).Draw(t, "rungs")), normal: b})
		}
		windows := prefixes(nil, tracks)
		best := 0.0
		for rung := range windows {
			silence, failure := bruteWindow(tracks, rung)
			got, _ := windows[rung].most()
			if !near(got, silence) || !near(windows[rung].failure(1-Tolerance), failure) {
				t.Fatalf("window %d: got %v and %v, want %v and %v", rung, got, windows[rung].failure(1-Tolerance), silence, failure)
			}
			best = math.Max(best, silence+failure)
		}
		f := scan(windows)
		if f.evidence > best+1e-9 || !near(f.evidence, f.silence+f.failure) || f.failure > f.failures+1e-9 {
			t.Fatalf("got %+v, the largest is %v", f, best)
		}
		if f.rung < 0 {
			return
		}
		if s, u := bruteWindow(tracks, f.rung); !near(f.silence, s) || !near(f.failure, u) {
			t.Fatalf("got %+v, want %v and %v in its window", f, s, u)
		}
		if recovered(windows[:f.rung], &windows[f.rung], &f) {
			t.Fatalf("the window %d has recovered", f.rung)
		}
		for rung := range windows {
			s, u := bruteWindow(tracks, rung)
			other := finding{rung: rung, silence: s, failure: u, evidence: s + u}
			_, other.share = windows[rung].most()
			if other.evidence > f.evidence+1e-9 && !recovered(windows[:rung], &windows[rung], &other) {
				t.Fatalf("window %d has %v, found %v in %d", rung, other.evidence, f.evidence, f.rung)
			}
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(a)+math.Abs(b)) }

// One key's fine cohorts: the cells hold, age by age, the cohort averages of the slowed curve.
func TestCellsEqualTheFormula(t *testing.T) {
	n := testNormal()
	k := &key{normal: n, factor: 1.5, ring: newRing(1000)}
	for tick := int64(980); tick < 1000; tick++ {
		for range 10 {
			k.ring.bump(tick, fieldSubmitted)
		}
		k.ring.bump(tick, fieldDelivered+2)
		k.ring.bump(tick, fieldFailed)
	}
	cells := k.fill(&filling{}, nil, 1000, math.MinInt64/2, 0, 0)
	for a := range 20 {
		c := cells[a]
		due := n.arrival * numericMean(&n.receipts, float64(a)*tickSeconds/1.5, tickSeconds/1.5)
		exact := n.arrival * numericMean(&n.receipts, float64(a)*tickSeconds, tickSeconds)
		if c.submitted != 10 || c.open != 8 || c.answered != 2 || math.Abs(c.due-due) > 1e-4 || math.Abs(c.dueExact-exact) > 1e-4 {
			t.Fatalf("age %d: got %+v, want due %v and %v", a, c, due, exact)
		}
	}
	if cells = k.fill(&filling{}, nil, 1000, 990, 0, 0); len(cells) != 10 || cells[9].from != 990 {
		t.Errorf("cut at 990: got %d cells", len(cells))
	}
	cells = k.fill(&filling{}, nil, 1000, math.MinInt64/2, 0, 12*time.Second)
	for a := range 20 {
		if silent := cells[a].open > 0; silent != (a >= 3) || cells[a].delivered != 1 {
			t.Errorf("age %d under a deadline of 12 s: got %+v", a, cells[a])
		}
	}
}

func TestLadderFitsTheRing(t *testing.T) {
	for i := 1; i < rungs; i++ {
		if ladder[i] <= ladder[i-1] {
			t.Errorf("rung %d ends at %d, after %d", i, ladder[i], ladder[i-1])
		}
	}
	if ladder[rungs-1] != ringSpan || rungOf(ringSpan+1000, 0) != rungs-1 || rungOf(0, 0) != 0 || rungOf(24, 0) != 24 {
		t.Error("the ladder does not end with the ring")
	}
}

func TestKLBernoulli(t *testing.T) {
	for _, c := range []struct{ u, v, want float64 }{
		{0, 0, 0}, {1, 1, 0}, {.5, .5, 0}, {0, .5, math.Ln2}, {1, .5, math.Ln2}, {.5, 0, math.Inf(1)}, {.5, 1, math.Inf(1)}, {0, 1, math.Inf(1)}, {1, 0, math.Inf(1)},
		{.9, .95, .9*math.Log(.9/.95) + .1*math.Log(2)},
	} {
		if got := klBernoulli(c.u, c.v); !(got == c.want || math.Abs(got-c.want) < 1e-12) {
			t.Errorf("kl(%v ‖ %v): got %v, want %v", c.u, c.v, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		u, v := rapid.Float64Range(0, 1).Draw(t, "u"), rapid.Float64Range(1e-9, 1-1e-9).Draw(t, "v")
		if got := klBernoulli(u, v); !(got >= -1e-12) || math.IsInf(got, 0) {
			t.Fatalf("kl(%v ‖ %v): got %v", u, v, got)
		}
	})
}

func TestIntervalSolvesItsEquation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		share := rapid.Float64Range(.001, 1).Draw(t, "F")
		sum, squares := float64(n)*share, float64(n)*share*share
		count := float64(rapid.IntRange(0, n).Draw(t, "count"))
		ratio, low, high := interval(count, sum, squares)
		if !(0 <= low && low <= ratio+1e-12 && ratio <= high+1e-12 && high <= 1) {
			t.Fatalf("%v of %v: got %v in %v..%v", count, sum, ratio, low, high)
		}
		for _, p := range []float64{low, high} {
			if p <= 0 || p >= 1 {
				continue
			}
			left, right := (count-p*sum)*(count-p*sum), intervalZ*intervalZ*(p*sum-p*p*squares)
			if math.Abs(left-right) > 1e-6*(1+left+right) {
				t.Fatalf("%v of %v at %v: %v is not %v", count, sum, p, left, right)
			}
		}
	})
	if r, l, h := interval(0, 0, 0); r != 0 || l != 0 || h != 1 {
		t.Errorf("of nothing: got %v in %v..%v", r, l, h)
	}
}

// By simulation, with messages of all ages, the interval holds the truth about as often as it says: 99.7 %.
func TestIntervalHoldsTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, truth := range []float64{.5, .85, .95} {
		missed := 0
		const runs, n = 4000, 150
		for range runs {
			count, sum, squares := 0.0, 0.0, 0.0
			for range n {
				f := delayCDF(120 * r.Float64())
				sum += f
				squares += f * f
				if r.Float64() < truth*f {
					count++
				}
			}
			if _, low, high := interval(count, sum, squares); truth < low || truth > high {
				missed++
			}
		}
		if rate := float64(missed) / runs; rate > .008 {
			t.Errorf("of %v: the truth lies outside %.2f %% of the intervals, want about 0.3 %%", truth, 100*rate)
		}
	}
}

// An accusation weighs every message: of one arrival and one status against normal, as the formula has it.
func TestAccusationEqualsTheFormula(t *testing.T) {
	n := testNormal()
	rapid.Check(t, func(t *rapid.T) {
		c := anyCells(t, n, 1)[0]
		s := route.Accused{Arrival: rapid.Float64Range(.02, .94).Draw(t, "arrival"), Delivered: rapid.Float64Range(.01, .97*n.status).Draw(t, "status")}
		a := accuse(s)
		want := c.open*math.Log((1-s.Arrival*c.due)/(1-c.due)) + c.answered*math.Log(s.Arrival) +
			c.delivered*math.Log(s.Delivered/n.status) + c.failed*math.Log((1-s.Delivered)/(1-n.status))
		if got := a.against(&c, n, c.due); !near(got, want) {
			t.Fatalf("%+v on %+v: got %v, want %v", s, c, got, want)
		}
		innocent := accuse(route.Accused{})
		if got := innocent.against(&c, n, c.due); got != 0 {
			t.Fatalf("nothing accused: got %v", got)
		}
	})
}

func TestConversionRatio(t *testing.T) {
	for _, c := range []struct {
		claim string
		cell  cell
		want  float64
	}{
		{"an empty cell", cell{}, 0},
		{"all too young to have converted", cell{unconverted: 10}, 0},
		{"some converted", cell{unconverted: 10, converted: 5, convDue: .5}, 10*math.Log((1-.25)/(1-.5)) + 5*math.Log(.5)},
		{"more converted than were sent", cell{converted: 12}, 12 * math.Log(.5)},
	} {
		if got := conversionRatio(&c.cell, .5, 1); !near(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.claim, got, c.want)
		}
	}
}
