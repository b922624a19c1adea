package signal

import (
	"fmt"
	"math"
	"time"

	"signalbox/rules/route"
)

// Conversions come from somewhere else than receipts: from the people, by a feed of its own. Before they accuse a route it
// is asked whether their volume can be trusted: how many there are of those that the delivered receipts promise, on all
// routes of the class. A route whose receipts are forged stands alone; a feed that stops, or counts twice, takes all
// routes with it; and pumped traffic, which nobody converts, makes submits jump and leaves conversions as they were.

const (
	promisedLeast = 20   // conversions must be promised in a window for it to tell anything
	volumeNats    = 3.0  // of evidence that a route's conversions fell, or that another's did or did not with them
	fellTo        = 0.85 // share of the promised conversions below which they fell: what the scan tolerates
	roseTo        = 1.30 // and above which they rose
	missedLeast   = 10   // conversions that must be missed on all routes since the last one for them to have stopped
	missedFor     = Tick // and for how long
	jumpTo        = 1.5  // times the rate before, from which submits have jumped
	classJumpTo   = 1.2  // and those of the whole class, so that it is more than a route taking over from another
	keptUp        = 0.6  // times the rate before, or its inverse, between which conversions stayed as they were
	jumpMessages  = 50   // submits, and conversions before them, that a jump must rest on
	jumpBefore    = 600 / tickSeconds
	volumesAfter  = time.Minute // a round that is older tells nothing of the others
)

// volumeRungs are the windows that are asked, the youngest first: 20 and 30 seconds, one minute, two, six, thirty, and two
// hours.
var volumeRungs = [...]int{rungOf(3, 0), rungOf(5, 0), rungOf(11, 0), rungOf(23, 0), rungOf(71, 0), rungOf(359, 0), rungOf(1331, 0)}

// amount is the conversions of a window: those that came and those that its delivered receipts promise by now.
type amount struct{ converted, promised, submitted float64 }

func (a *amount) add(o amount) {
	a.converted += o.converted
	a.promised += o.promised
	a.submitted += o.submitted
}

// share is the part of the promised that came.
func (a amount) share() float64 { return a.converted / math.Max(a.promised, 1e-9) }

// nats is the log likelihood of x times the promised conversions against the promised ones, taken as Poisson counts.
func (a amount) nats(x float64) float64 { return a.converted*math.Log(x) + a.promised*(1-x) }

// volume is the conversions of one route in all lanes of a class, in the last round and in this one.
type volume struct {
	was, now       [len(volumeRungs)]amount
	wasDue, nowDue float64 // conversions due since the last one of the class
}

// nats is the log likelihood of x times the promised conversions in a window: in this round, where it tells already.
func (v *volume) nats(w int, x float64) float64 {
	if now := v.now[w].nats(x); math.Abs(now) >= volumeNats {
		return now
	}
	return v.was[w].nats(x)
}

// volumes are those of a class.
type volumes struct {
	class route.Class
	at    time.Time // of this round
	rows  []volume
	index map[route.ID]int // of rows
	due   float64          // conversions due since last, by the receipts of the last round
	last  time.Time        // when the last conversion came, on the clock of its source
}

// volumeOf is the volume of a class.
func (b *Book) volumeOf(c route.Class) *volumes {
	v := b.volumes[c]
	if v == nil {
		v = &volumes{class: c, index: map[route.ID]int{}}
		b.volumes[c] = v
	}
	return v
}

// turn begins the round at now.
func (v *volumes) turn(now time.Time) {
	gap := now.Sub(v.at)
	if gap == 0 {
		return
	}
	v.at, v.due = now, 0
	for i := range v.rows {
		r := &v.rows[i]
		*r = volume{was: r.now, wasDue: r.nowDue}
		if gap > volumesAfter || gap < 0 {
			*r = volume{}
		}
		v.due += r.wasDue
	}
}

// heard notes that a conversion came.
func (v *volumes) heard(at time.Time) {
	if at.After(v.last) || v.last.Sub(at) > setBackAfter {
		v.last = at
	}
}

// row is where a route stands.
func (v *volumes) row(id route.ID) int {
	i, ok := v.index[id]
	if !ok {
		i = len(v.rows)
		v.rows, v.index[id] = append(v.rows, volume{}), i
	}
	return i
}

// weigh counts the route's conversions into the volume of its class.
func (s *subject) weigh(v *volumes) {
	row := &v.rows[s.row]
	for w := range row.now {
		row.now[w].add(s.amount(w))
	}
	for i := range s.tracks {
		row.nowDue += s.tracks[i].since
	}
}

// odd says why the route's conversions cannot be trusted, or nothing.
func (s *subject) odd(v *volumes) string {
	if cause := v.stopped(s); cause != "" {
		return cause
	}
	if s.loss.evidence >= volumeNats {
		if cause := s.pumped(v, s.loss.rung); cause != "" {
			return cause
		}
	}
	for w := range volumeRungs {
		a := s.amount(w)
		if a.promised < promisedLeast {
			continue
		}
		x := a.share()
		switch moved := x < fellTo || x > roseTo; {
		case moved && a.nats(math.Max(x, 1e-3)) >= volumeNats:
			if cause := v.together(s.row, w, x); cause != "" {
				return cause
			}
		case !moved:
			return "" // what is older is over
		}
	}
	return ""
}

// classOf is the class whose volume a lane counts in: that of its messages, where it serves several.
func (b *Book) classOf(lane route.Lane, asks []route.Inquiry) route.Class {
	if lane.Class != route.AnyClass {
		return lane.Class
	}
	for i := range asks {
		if keys := b.byLane[place{lane: lane, route: asks[i].Route}]; len(keys) > 0 {
			return keys[0].id.Class
		}
	}
	return lane.Class
}

// doubt leaves the route's conversions out, where there is a cause.
func (s *subject) doubt(cause string) {
	if cause == "" {
		return
	}
	s.reading.conversion, s.loss = cause, conversionFinding{rung: -1}
	for i := range s.spans {
		s.spans[i].doubted = true
	}
}

// amount is the route's own in a window, over the keys whose conversions are reported.
func (s *subject) amount(w int) amount {
	if len(s.spans) == 0 {
		return amount{}
	}
	x := &s.spans[min(volumeRungs[w], len(s.spans)-1)]
	return amount{x.converted, x.promised, x.submitted}
}

// stopped says that no conversion has come on any route of the class for longer than can be chance; or nothing. Where one
// route carries everything, it cannot be told from one that reaches nobody: then other channels have to tell.
func (v *volumes) stopped(s *subject) string {
	due := v.due
	for i := range s.tracks {
		due = math.Max(due, s.tracks[i].since)
	}
	if s.silent < missedFor || due < missedLeast {
		return ""
	}
	return fmt.Sprintf("no conversion has come on any route for %s, and %.0f are due since: look at what reports them", route.Duration(s.silent.Truncate(time.Second)), due)
}

// convertsSince is how many conversions the delivered receipts of the key that was filled in last make due in the last
// ticks, of messages up to ten minutes old.
func (f *filling) convertsSince(k *key, tick, ticks int64) (due float64) {
	if k.normal.conversion <= 0 || k.ring.empty() || tick-1 > k.ring.head || ticks < int64(missedFor/Tick) {
		return 0
	}
	share := k.normal.conversion / k.normal.delivered
	for age := int64(0); age < fineSlots-1; age++ {
		slot := k.ring.slot(tick - 1 - age)
		if slot < 0 || slot >= midOffset {
			continue
		}
		came := float64(f.exact.shares[age])
		if n := f.tally.delivered[slot]; n > 0 && came > 0 {
			before := float64(0)
			if age > ticks {
				before = float64(f.convert.shares[age-ticks])
			}
			due += float64(n) * share * min(1, max(0, float64(f.convert.shares[age])-before)/came)
		}
	}
	return due
}

// silence is how long no conversion has come on any route of the class, as far as the route is judged.
func (s *subject) silence(v *volumes) time.Duration {
	last := v.last
	if began := s.account.clock.began; began.After(last) {
		last = began
	}
	return max(0, s.reading.at.Sub(last))
}

// together says that conversions moved to the share x on all routes that can tell; nothing where another route shows that
// they come as usual.
func (v *volumes) together(row, w int, x float64) string {
	moved, share := 1, clamp(x, 0.02, 4)
	for i := range v.rows {
		switch nats := v.rows[i].nats(w, share); {
		case i == row:
		case nats <= -volumeNats:
			return ""
		case nats >= volumeNats:
			moved++
		}
	}
	switch {
	case moved > 1 && x < 1:
		return fmt.Sprintf("conversions fell together on %d routes of class %s, to %.0f%% of what their receipts promise: look at what reports them", moved, v.class, 100*x)
	case moved > 1:
		return fmt.Sprintf("conversions rose together on %d routes of class %s, to %.0f%% of what their receipts promise: look at what reports them", moved, v.class, 100*x)
	}
	return ""
}

// pumped says that submits jumped in the window that ends at a rung and that conversions stayed as they were, so that the
// new messages are ones that nobody means to convert; or nothing. A route that takes over another's traffic jumps without
// the class.
func (s *subject) pumped(v *volumes, rung int) string {
	last := len(s.spans) - 1
	young, old := &s.spans[min(rung, last)], &s.spans[min(volumeRungs[len(volumeRungs)-1], last)]
	width, before := s.tick-young.from, young.from-max(old.from, tickOf(s.account.clock.began))
	submitted, converted, reach := old.submitted-young.submitted, old.converted-young.converted, old.reach-young.reach
	if before < jumpBefore || young.submitted < jumpMessages || converted < jumpMessages || !(young.reach > 0 && reach > 0) {
		return ""
	}
	slower := float64(before) / float64(width)
	jump := young.submitted / submitted * slower
	kept := young.converted / young.reach * young.submitted / (converted / reach * submitted) * slower
	if jump < jumpTo || kept < keptUp || kept > 1/keptUp || v.jump(rung, tickOf(s.account.clock.began), s.tick) < classJumpTo {
		return ""
	}
	return fmt.Sprintf("submits jumped to %.1f times their rate before, and conversions did not: traffic that nobody converts, as when it is pumped", jump)
}

// jump is how many times their rate before the submits of the class have, in the window that is nearest to a rung.
func (v *volumes) jump(rung int, began, tick int64) float64 {
	w := 0
	for w < len(volumeRungs)-2 && volumeRungs[w] < rung {
		w++
	}
	young, old := 0.0, 0.0
	for i := range v.rows {
		was := &v.rows[i].was
		young += was[w].submitted
		old += was[len(was)-1].submitted - was[w].submitted
	}
	width := ladder[volumeRungs[w]]
	before := min(ladder[volumeRungs[len(volumeRungs)-1]], tick-began) - width
	return young / math.Max(old, 1) * float64(max(before, 0)) / float64(width)
}
