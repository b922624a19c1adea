package signal

import (
	"time"

	"signalbox/rules/route"
)

// answers counts what a route answered to submits, over one to two minutes of its source's time. It takes memory with the
// first answer.
type answers struct {
	turn int64 // minute of kept.now
	kept *struct{ now, was answered }
}

type answered struct {
	all, refused, throttled, timeouts uint32
	latency                           [len(latencyEdges) + 1]uint32
}

// latencyEdges are the upper edges, in seconds, that answer times are counted by.
var latencyEdges = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

func (a *answers) note(o *route.Observation) {
	if a.kept == nil {
		a.kept = new(struct{ now, was answered })
	}
	a.rotate(floorDiv(o.Time.Unix(), 60))
	now := &a.kept.now
	now.all++
	switch {
	case o.Result == route.TimedOut:
		now.timeouts++
	case o.Result == route.Refused && o.Fault == route.FaultCapacity:
		now.throttled++
	case o.Result == route.Refused && o.Fault == route.FaultRoute:
		now.refused++
	}
	if o.Latency > 0 {
		now.latency[edge(latencyEdges[:], o.Latency.Seconds())]++
	}
}

// correct notes a second answer to a submit that has been noted.
func (a *answers) correct(o *route.Observation) {
	a.note(o)
	if a.kept.now.all > 1 {
		a.kept.now.all--
	}
}

func (a *answers) rotate(minute int64) {
	last := a.turn
	if minute == last || minute < last && last-minute <= answersBack {
		return
	}
	a.turn = minute
	switch {
	case a.kept == nil:
		return
	case minute == last+1:
		a.kept.was = a.kept.now
	default:
		a.kept.was = answered{}
	}
	a.kept.now = answered{}
}

// shed gives the memory back where there are no answers, or nobody has asked for them for a day. It reports whether there
// are none.
func (a *answers) shed(now time.Time) bool {
	if a.kept != nil && (a.kept.now.all == 0 && a.kept.was.all == 0 || now.Sub(time.Unix(60*a.turn, 0)) > keysAfter) {
		a.kept = nil
	}
	return a.kept == nil
}

// answersBack is how far, in minutes, an answer may lie behind others; further back, the others came from a clock that
// has been set back since.
const answersBack = 5

// edge is the index of the first edge that v does not exceed, len(edges) where there is none.
func edge(edges []float64, v float64) int {
	for i, e := range edges {
		if v <= e {
			return i
		}
	}
	return len(edges)
}

func (a *answered) add(b *answered) {
	a.all += b.all
	a.refused += b.refused
	a.throttled += b.throttled
	a.timeouts += b.timeouts
	for i, n := range b.latency {
		a.latency[i] += n
	}
}

// from are the answers of a minute, without its refusals where these do not count.
func (a *answered) from(minute int64, refusals time.Time) *answered {
	if a.refused == 0 || refusals.IsZero() || minute*60 >= refusals.Unix() {
		return a
	}
	b := *a
	b.all, b.refused = b.all-min(b.all, b.refused), 0
	return &b
}

// p95 is the upper edge of the answer time below which 95 of 100 answers lie.
func (a *answered) p95() time.Duration {
	total, sum := uint64(0), uint64(0)
	for _, n := range a.latency {
		total += uint64(n)
	}
	for i, n := range a.latency {
		if sum += uint64(n); total > 0 && float64(sum) >= 0.95*float64(total) {
			return seconds(latencyEdges[min(i, len(latencyEdges)-1)])
		}
	}
	return 0
}

// submits is the signal of what the keys of a place had answered to submits by a moment. Refusals of minutes that began
// before those that count are left out.
func submits(keys []*key, at, refusals time.Time, q route.Quality) route.Submit {
	s := route.Submit{Quality: q}
	if !q.Known {
		return s
	}
	var sum answered
	minute := floorDiv(at.Unix(), 60)
	for _, k := range keys {
		k.answers.rotate(minute)
		if kept := k.answers.kept; kept != nil {
			sum.add(kept.now.from(k.answers.turn, refusals))
			sum.add(kept.was.from(k.answers.turn-1, refusals))
		}
	}
	if sum.all == 0 {
		s.Quality = route.Quality{Cause: "no submits in the last minute", Age: q.Age}
		return s
	}
	n := float64(sum.all)
	s.Messages = n
	s.Refused, s.Throttled, s.Timeouts = float64(sum.refused)/n, float64(sum.throttled)/n, float64(sum.timeouts)/n
	s.P95 = route.Duration(sum.p95())
	return s
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
