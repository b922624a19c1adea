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

// drop takes one from a field of the cohort that a tick is in.
func (m *model) drop(tick int64, field int) {
	m.ring.drop(tick, field)
	s, from := m.ring.slot(tick), int64(math.MaxInt64)
	for other, n := range m.counts {
		if n[field] > 0 && m.ring.slot(other) == s && s >= 0 {
			from = min(from, other)
		}
	}
	if n := m.counts[from]; n != nil {
		n[field]--
	}
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
	var sums tally
	if !m.ring.empty() {
		m.ring.tally(&sums, 0)
	}
	for s := range want {
		got := Counts{}
		if !m.ring.empty() {
			got = m.ring.at(s)
		}
		if c := &want[s]; sums.submitted[s] != c[fieldSubmitted] || sums.failed[s] != c[fieldFailed] || sums.converted[s] != c[fieldConverted] || float64(sums.delivered[s]) != c.delivered() {
			t.Fatalf("slot %d at head %d: tallied %d, %d, %d and %d of %v", s, m.ring.head, sums.submitted[s], sums.delivered[s], sums.failed[s], sums.converted[s], *c)
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

// Whatever order messages and their receipts come in, whatever is taken back and however long the pauses are, a ring holds
// what a naive count holds, cohort by cohort, and every minute matures once, whole.
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
			field := rapid.IntRange(0, fields-1).Draw(t, "field")
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				m.drop(tick, field)
			case 1:
				m.ring.slim()
			default:
				m.bump(tick, field, rapid.SampledFrom([]uint32{1, 1, 3, 254, 255, 256, 65_535, 70_000}).Draw(t, "times"))
			}
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
	for range math.MaxUint16 + 1 {
		r.bump(9, fieldSubmitted)
	}
	r.bump(10, fieldSubmitted)
	for range 3 {
		r.drop(10, fieldSubmitted)
	}
	r.drop(9, fieldSubmitted)
	r.drop(11, fieldSubmitted)
	if young, old := r.at(r.slot(10))[fieldSubmitted], r.at(r.slot(9))[fieldSubmitted]; young != 0 || old != math.MaxUint16 {
		t.Errorf("got %d and %d", young, old)
	}
}

// A column widens by itself at each border, alone, and loses nothing.
func TestColumnsWiden(t *testing.T) {
	r := newRing(7)
	r.bump(6, fieldFailed)
	fine := &r.cohorts.fine
	for _, c := range []struct {
		count uint32
		width uint8
	}{{1, 1}, {math.MaxUint8, 1}, {math.MaxUint8 + 1, 2}, {math.MaxUint16, 2}, {math.MaxUint16 + 1, 4}, {mostCounted, 4}, {mostCounted, 4}} {
		if c.count > 1<<17 {
			fine.set(fineSlots, r.slot(7), fieldSubmitted, mostCounted-1)
		}
		for r.at(r.slot(7))[fieldSubmitted] < c.count {
			r.bump(7, fieldSubmitted)
		}
		if got := fine.widths; got != [fields]uint8{fieldSubmitted: c.width, fieldFailed: 1} {
			t.Errorf("at %d: got widths %v", c.count, got)
		}
		if got, want := r.at(r.slot(6)), (Counts{fieldFailed: 1}); got != want {
			t.Errorf("at %d: the neighbour has become %v", c.count, got)
		}
	}
	r.bump(7, fieldSubmitted)
	if got := r.at(r.slot(7))[fieldSubmitted]; got != mostCounted {
		t.Errorf("a full count became %d", got)
	}
}

// A minute whose sum outgrows a width, although none of its cohorts does, widens its own column as it merges.
func TestMergingWidens(t *testing.T) {
	for _, c := range []struct {
		each uint32
		fine uint8
		mid  uint8
	}{{21, 1, 1}, {22, 1, 2}, {5_461, 2, 2}, {5_462, 2, 4}} {
		r := newRing(0)
		for tick := range int64(ticksPerMid) {
			r.advance(tick, nil)
			r.bump(tick, fieldSubmitted)
			r.merge(r.slot(tick), &Counts{fieldSubmitted: c.each - 1})
		}
		r.advance(fineSlots+ticksPerMid, func(int64, *Counts) {})
		if got := r.at(r.slot(0))[fieldSubmitted]; got != c.each*ticksPerMid {
			t.Errorf("%d in each: got %d submits in the minute", c.each, got)
		}
		if fine, mid := r.cohorts.fine.widths[fieldSubmitted], r.cohorts.mid.widths[fieldSubmitted]; fine != c.fine || mid != c.mid {
			t.Errorf("%d in each: got widths %d and %d, want %d and %d", c.each, fine, mid, c.fine, c.mid)
		}
	}
}

// What busy times leave behind is given back, and nothing is lost by it.
func TestSlimKeepsEveryCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, want := newRing(0), map[int]Counts{}
		r.bump(0, fieldSubmitted)
		want[r.slot(0)] = Counts{fieldSubmitted: 1}
		for range rapid.IntRange(1, 30).Draw(t, "cohorts") {
			s := r.slot(-rapid.Int64Range(0, ringSpan-ticksPerTen).Draw(t, "age"))
			counts := want[s]
			var add Counts
			add[rapid.IntRange(0, fields-1).Draw(t, "field")] = rapid.SampledFrom([]uint32{1, 200, 60_000, 70_000}).Draw(t, "count")
			r.merge(s, &add)
			counts.add(&add)
			want[s] = counts
		}
		for s := range want {
			if rapid.Bool().Draw(t, "leaves") {
				r.take(s)
				delete(want, s)
			}
		}
		before := len(r.cohorts.fine.bytes) + len(r.cohorts.mid.bytes) + len(r.cohorts.coarse.bytes)
		r.slim()
		if after := len(r.cohorts.fine.bytes) + len(r.cohorts.mid.bytes) + len(r.cohorts.coarse.bytes); after > before {
			t.Fatalf("%d bytes became %d", before, after)
		}
		for s := range slots {
			if got := r.at(s); got != want[s] {
				t.Fatalf("slot %d: got %v, want %v", s, got, want[s])
			}
		}
	})
}

func TestSlimGivesBack(t *testing.T) {
	r := newRing(0)
	r.bump(0, fieldSubmitted)
	r.merge(r.slot(-1), &Counts{fieldFailed: 70_000, fieldDelivered: 300, fieldThrottled: 1})
	wide := len(r.cohorts.fine.bytes)
	if r.slim(); len(r.cohorts.fine.bytes) != wide {
		t.Error("what is needed was given back")
	}
	r.take(r.slot(-1))
	if r.slim(); len(r.cohorts.fine.bytes) != fineSlots {
		t.Errorf("got %d bytes of %d, want %d", len(r.cohorts.fine.bytes), wide, fineSlots)
	}
}

func TestTallyAndRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(1000)
		r.bump(1000, fieldSubmitted)
		want := map[int]Counts{r.slot(1000): {fieldSubmitted: 1}}
		for range rapid.IntRange(0, 5).Draw(t, "cohorts") {
			s := r.slot(1000 - rapid.Int64Range(0, ringSpan-ticksPerTen).Draw(t, "age"))
			most := rapid.SampledFrom([]uint32{10, 1 << 8, 1 << 16, 1 << 31}).Draw(t, "most")
			var c Counts
			for i := range c {
				c[i] = rapid.Uint32Range(0, most).Draw(t, "n")
			}
			r.merge(s, &c)
			sum := want[s]
			sum.add(&c)
			want[s] = sum
		}
		var n tally
		r.tally(&n, 0)
		for s := range slots {
			c := want[s]
			if n.submitted[s] != c[fieldSubmitted] || n.failed[s] != c[fieldFailed] || n.converted[s] != c[fieldConverted] || float64(n.delivered[s]) != c.delivered() {
				t.Fatalf("slot %d: got %d, %d, %d and %d of %v", s, n.submitted[s], n.delivered[s], n.failed[s], n.converted[s], c)
			}
			if n.none(s) != (c[fieldSubmitted] == 0 && c[fieldFailed] == 0 && c[fieldConverted] == 0 && c.delivered() == 0) {
				t.Fatalf("slot %d: none is %v of %v", s, n.none(s), c)
			}
		}
		sum := uint64(0)
		for tick := int64(990); tick < 1000; tick++ {
			c := want[r.slot(tick)]
			sum += uint64(c[fieldSubmitted])
		}
		head := want[r.slot(1000)]
		if got := r.recent(990, 1000); got != sum {
			t.Fatalf("got %d recent, want %d", got, sum)
		}
		if got := r.recent(990, 1001); got != sum+uint64(head[fieldSubmitted]) {
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
