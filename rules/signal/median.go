package signal

import (
	"math"
	"slices"
	"sort"
	"time"

	"signalbox/rules/route"
)

// comparedMost bounds how many other routes a median is made of, so that a lane of many does not cost their number
// squared. Of more, every so many-th counts.
const comparedMost = 32

// comparedLeast is how many messages of another route must be due for it to count in a median.
const comparedLeast = 10

// sharesTrouble is the log likelihood, in nats, from which a peer has the same trouble.
const sharesTrouble = 2.0

// beside compares the i-th route with the lane's others, each time over the window that is shown of this one.
func (b *Book) beside(i int, subjects []*subject, all []route.Signals) {
	at := &all[i]
	o := &at.Others
	if at.Delivery.Known {
		o.Delivery = b.median(i, subjects, at.Delivery.Since, (*since).deliveredShare)
	}
	if at.Within.Known {
		o.Within = b.median(i, subjects, at.Within.Since, (*since).withinShare)
	}
	if at.Conversion.Known {
		o.Conversion = b.median(i, subjects, at.Conversion.Since, (*since).convertedShare)
	}
	if at.Latency.Known {
		o.Latency = b.medianP95(i, all)
	}
	for p := range at.Peers {
		if peer := &at.Peers[p]; peer.Known {
			o.Compared++
			if provenBetter(at.Suspect, peer) {
				o.Better++
			}
		}
	}
}

// provenBetter reports whether a peer is proven better by some of what the accused is suspected of, and shares none of it.
func provenBetter(a route.Accused, p *route.Peer) bool {
	better := false
	for _, channel := range [...]struct {
		accused bool
		nats    float64
	}{{a.Arrival > 0 || a.Delivered > 0, p.Delivery}, {a.Latency > 0, p.Latency}, {a.Conversion > 0, p.Conversion}} {
		if channel.accused && channel.nats >= sharesTrouble {
			return false
		}
		better = better || channel.accused && channel.nats <= route.ProvenBetter
	}
	return better
}

// The shares of a window that medians are made of; known where enough messages are due.

func (s *since) deliveredShare() (float64, bool) {
	return math.Min(1, s.delivered/math.Max(s.expected, 1e-9)), s.expected >= comparedLeast
}

func (s *since) withinShare() (float64, bool) {
	p := &s.at[byClass]
	return math.Min(1, p.early/math.Max(p.sent, 1e-9)), p.sent >= comparedLeast
}

func (s *since) convertedShare() (float64, bool) {
	return math.Min(1, s.converted/math.Max(s.reach, 1e-9)), s.reach >= comparedLeast && !s.doubted
}

// median is the median of a share over the routes beside the i-th that have it, of the messages from a moment on; over
// some of them where there are many.
func (b *Book) median(i int, subjects []*subject, from time.Time, share func(*since) (float64, bool)) route.Median[float64] {
	b.values = b.values[:0]
	step, tick := strideOf(len(subjects)), tickOf(from)
	near := subjects[i].rungFrom(tick)
	for j := i % step; j < len(subjects); j += step {
		s := subjects[j]
		if j == i || s.cause != "" {
			continue
		}
		if x := s.from(tick, near); x != nil {
			if v, known := share(x); known {
				b.values = append(b.values, v)
			}
		}
	}
	return medianOf(b.values)
}

// medianP95 is the same of the 95th percentiles, each over the newest messages that can tell it.
func (b *Book) medianP95(i int, all []route.Signals) route.Median[route.Duration] {
	b.values = b.values[:0]
	step := strideOf(len(all))
	for j := i % step; j < len(all); j += step {
		if l := &all[j].Latency; j != i && l.Known && l.P95 > 0 {
			b.values = append(b.values, float64(l.P95))
		}
	}
	m := medianOf(b.values)
	return route.Median[route.Duration]{Value: route.Duration(m.Value), Routes: m.Routes}
}

// strideOf is how far apart those routes of a lane stand that are compared with each other.
func strideOf(routes int) int { return max(1, (routes+comparedMost-2)/comparedMost) }

// medianOf is the median of some values, which it sorts; of an even number the mean of the two in the middle.
func medianOf(values []float64) route.Median[float64] {
	n := len(values)
	if n == 0 {
		return route.Median[float64]{}
	}
	slices.Sort(values)
	return route.Median[float64]{Value: (values[(n-1)/2] + values[n/2]) / 2, Routes: int64(n)}
}

// rungFrom is the rung of the longest window that begins no earlier than a tick; -1 where there is none.
func (s *subject) rungFrom(tick int64) int {
	return sort.Search(len(s.spans), func(i int) bool { return s.spans[i].from < tick }) - 1
}

// from is the longest window that begins no earlier than a tick; nil where there is none. Near is the rung to look at
// first: the routes of a lane are mostly judged at the same tick, so that it is the same one, and a search would go
// through the windows of routes that no cache holds any more.
func (s *subject) from(tick int64, near int) *since {
	there := near >= 0 && near < len(s.spans) && s.spans[near].from >= tick
	if !there || near+1 < len(s.spans) && s.spans[near+1].from >= tick {
		near = s.rungFrom(tick)
	}
	if near < 0 {
		return nil
	}
	return &s.spans[near]
}
