package signal

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// model is what a ring should hold: every count by its tick, for ever.
type model struct {
	ring    ring
	counts  map[int64]*Counts
	matured map[int64]Counts // by minute
}

func newModel(head int64) *model {
	return &model{ring: newRing(head), counts: map[int64]*Counts{}, matured: map[int64]Counts{}}
}

func (m *model) bump(tick int64, field int, times uint32) {
	for range times {
		if !m.ring.bump(tick, field) {
			return
		}
	}
	c := m.counts[tick]
	if c == nil {
		c = &Counts{}
		m.counts[tick] = c
	}
	c[field] += times
}

// sum are the counts of a stretch of ticks, the end not in it.
func (m *model) sum(from, to int64) (c Counts) {
	for tick, n := range m.counts {
		if tick >= from && tick < to {
			c.add(n)
		}
	}
	return c
}

func (m *model) advance(t *rapid.T, to int64) {
	m.ring.advance(to, func(minute int64, c *Counts) {
		if _, twice := m.matured[minute]; twice {
			t.Fatalf("minute %d matured twice", minute)
		}
		if want := m.sum(minute*ticksPerMid, (minute+1)*ticksPerMid); *c != want {
			t.Fatalf("minute %d matured with %v, want %v", minute, *c, want)
		}
		m.matured[minute] = *c
	})
}

// check compares every slot with the ticks that it stands for.
func (m *model) check(t *rapid.T) {
	want, last := [slots]Counts{}, int64(math.MinInt64)
	for tick, n := range m.counts {
		if s := m.ring.slot(tick); s >= 0 {
			want[s].add(n)
		} else if m.ring.head-tick < ringSpan-ticksPerTen {
			t.Fatalf("tick %d is lost at head %d", tick, m.ring.head)
		}
		last = max(last, tick)
	}
	for s := range want {
		got := Counts{}
		if !m.ring.empty() {
			got = m.ring.at(s)
		}
		if got != want[s] {
			t.Fatalf("slot %d at head %d: got %v, want %v", s, m.ring.head, got, want[s])
		}
	}
	for tick := range m.counts {
		minute := floorDiv(tick, ticksPerMid)
		if _, ok := m.matured[minute]; !ok && m.ring.head-tick > maturity+ticksPerMid && m.ring.head-tick < 2*ringSpan {
			t.Fatalf("minute %d never matured", minute)
		}
	}
}

// Whatever order messages and their receipts come in and however long the pauses are, a ring holds what a naive count
// holds, cohort by cohort, and every minute matures once, whole.
func TestRingEqualsNaiveCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.Int64Range(-5000, 5000).Draw(t, "head")
		m := newModel(head)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "move") {
				to := m.ring.head + rapid.OneOf(rapid.Int64Range(-3, 30), rapid.Int64Range(0, 900), rapid.Int64Range(0, 3*ringSpan)).Draw(t, "by")
				m.advance(t, to)
				if m.ring.head < to {
					t.Fatalf("head %d, want %d", m.ring.head, to)
				}
				continue
			}
			age := rapid.OneOf(rapid.Int64Range(-2, 130), rapid.Int64Range(0, ringSpan+200)).Draw(t, "age")
			tick := m.ring.head - age
			if _, done := m.matured[floorDiv(tick, ticksPerMid)]; done || m.ring.slot(tick) >= coarseOffset {
				continue // too late to be learned; the counting of such is tested below
			}
			m.bump(tick, rapid.IntRange(0, fields-1).Draw(t, "field"), rapid.SampledFrom([]uint32{1, 1, 3, 70_000}).Draw(t, "times"))
		}
		m.check(t)
	})
}

func TestLateCountsReachOldCohorts(t *testing.T) {
	r := newRing(0)
	r.bump(0, fieldSubmitted)
	nothing := func(int64, *Counts) {}
	for _, c := range []struct {
		claim string
		head  int64
		want  bool
	}{
		{"while fine", fineSlots - 1, true},
		{"while in its minute", fineSlots, true},
		{"at the end of the middle part", fineSlots + midSlots*ticksPerMid - 1, true},
		{"while in its ten minutes", maturity + ticksPerMid, true},
		{"six hours later", maturity + (coarseSlots-2)*ticksPerTen, true},
		{"beyond the ring", maturity + (coarseSlots+1)*ticksPerTen, false},
	} {
		r.advance(c.head, nothing)
		if got := r.bump(0, fieldFailed); got != c.want {
			t.Errorf("%s: got %v", c.claim, got)
		}
	}
	if r.bump(r.head+1, fieldSubmitted) {
		t.Error("a message from the future counts")
	}
}

func TestRingGivesItsMemoryBack(t *testing.T) {
	r := newRing(100)
	if !r.empty() {
		t.Fatal("a new ring takes memory")
	}
	r.bump(100, fieldSubmitted)
	matured := 0
	for head := int64(101); head < 100+ringSpan+3*ticksPerTen; head++ {
		r.advance(head, func(int64, *Counts) { matured++ })
	}
	if !r.empty() || matured != 1 {
		t.Errorf("got empty %v, %d minutes matured", r.empty(), matured)
	}
	if r.bump(100, fieldSubmitted) || !r.bump(r.head, fieldSubmitted) {
		t.Error("the emptied ring counts wrongly")
	}
}

func TestDropTakesOneBack(t *testing.T) {
	r := newRing(10)
	r.drop(10, fieldSubmitted) // nothing is there
	for range narrowMaximum + 1 {
		r.bump(9, fieldSubmitted)
	}
	r.bump(10, fieldSubmitted)
	for range 3 {
		r.drop(10, fieldSubmitted)
	}
	r.drop(9, fieldSubmitted)
	r.drop(11, fieldSubmitted)
	if young, old := r.tally(r.slot(10)).submitted, r.tally(r.slot(9)).submitted; young != 0 || old != narrowMaximum {
		t.Errorf("got %d and %d", young, old)
	}
}

func TestRingGrowsWideOnce(t *testing.T) {
	r := newRing(7)
	r.bump(6, fieldFailed)
	for range narrowMaximum + 5 {
		r.bump(7, fieldSubmitted)
	}
	if r.wide == nil || r.narrow != nil {
		t.Fatal("the ring is still narrow")
	}
	if got := r.at(r.slot(7))[fieldSubmitted]; got != narrowMaximum+5 {
		t.Errorf("got %d submits", got)
	}
	if got := r.at(r.slot(6))[fieldFailed]; got != 1 {
		t.Errorf("got %d failures", got)
	}
	r.wide[r.slot(7)][fieldSubmitted] = math.MaxUint32
	r.bump(7, fieldSubmitted)
	if got := r.at(r.slot(7))[fieldSubmitted]; got != math.MaxUint32 {
		t.Errorf("a full count became %d", got)
	}
}

// A minute whose sum outgrows 16 bits, although none of its cohorts does, widens the ring as it merges.
func TestMergingWidens(t *testing.T) {
	r := newRing(0)
	for tick := range int64(ticksPerMid) {
		r.advance(tick, nil)
		r.bump(tick, fieldSubmitted)
		r.merge(r.slot(tick), &Counts{fieldSubmitted: 9_999})
	}
	if r.wide != nil {
		t.Fatal("the ring is wide before it merges")
	}
	r.advance(fineSlots+ticksPerMid, func(int64, *Counts) {})
	if got := r.tally(r.slot(0)).submitted; got != 10_000*ticksPerMid {
		t.Errorf("got %d submits in the minute", got)
	}
}

func TestTallyAndRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(1000)
		r.bump(1000, fieldSubmitted)
		var c Counts
		for i := range c {
			c[i] = rapid.Uint32Range(0, 1<<20).Draw(t, "n")
		}
		r.merge(r.slot(995), &c)
		n := r.tally(r.slot(995))
		if n.submitted != uint64(c[fieldSubmitted]) || n.failed != uint64(c[fieldFailed]) || n.converted != uint64(c[fieldConverted]) || float64(n.delivered) != c.delivered() {
			t.Fatalf("got %+v of %v", n, c)
		}
		if got := r.recent(990, 1000); got != uint64(c[fieldSubmitted]) {
			t.Fatalf("got %d recent, want %d", got, c[fieldSubmitted])
		}
		if got := r.recent(990, 1001); got != uint64(c[fieldSubmitted])+1 {
			t.Fatalf("got %d with the head", got)
		}
	})
}

func TestAgeFields(t *testing.T) {
	for age, want := range map[float64]int{-10: 0, 0: 0, 2: 0, 2.001: 1, 5: 1, 300: 7, 300.1: 8, 1e9: 8, math.Inf(1): 8} {
		if got := ageField(age) - fieldDelivered; got != want {
			t.Errorf("a receipt of age %v: got bucket %d, want %d", age, got, want)
		}
	}
}

func TestDivisionRoundsDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64Range(-1e12, 1e12).Draw(t, "a"), rapid.Int64Range(1, 1000).Draw(t, "b")
		if q, m := floorDiv(a, b), mod(a, b); q*b+m != a || m < 0 || m >= b {
			t.Fatalf("%d by %d: got %d rest %d", a, b, q, m)
		}
		if c := ceilDiv(a, b); c*b < a || (c-1)*b >= a {
			t.Fatalf("%d by %d rounded up: got %d", a, b, c)
		}
	})
}
