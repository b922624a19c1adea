package signal

import (
	"math"
	"time"
)

// A sketch counts ages by logarithmic buckets, after Ch. Masson, J. Rim and H. Lee, "DDSketch" (2019): each bucket reaches
// from its lower edge to γ times that, so that its middle is within sketchError of every age in it. Two merge by addition.
const (
	sketchError   = 0.075 // relative error of a percentile between sketchLeast and sketchMost
	sketchLeast   = 0.15  // seconds; what is younger counts as this
	sketchBuckets = 72
)

var (
	sketchGamma = (1 + sketchError) / (1 - sketchError)
	sketchLog   = math.Log(sketchGamma)
	// sketchMost is the greatest age that is told apart, in seconds: an hour and three quarters.
	sketchMost = sketchLeast * math.Exp(sketchLog*(sketchBuckets-1))
)

// bucketOf is the bucket of an age in seconds.
func bucketOf(age float64) int {
	if !(age > sketchLeast) {
		return 0
	}
	return int(math.Min(math.Ceil(math.Log(age/sketchLeast)/sketchLog), sketchBuckets-1))
}

// bucketAge is the age in seconds that a bucket stands for.
func bucketAge(bucket int) float64 {
	if bucket == 0 {
		return sketchLeast
	}
	return sketchLeast * math.Exp(sketchLog*float64(bucket)) * 2 / (sketchGamma + 1)
}

// sketch is a merged sketch.
type sketch [sketchBuckets]uint64

func (s *sketch) merge(o *sketch) {
	for i, n := range o {
		s[i] += n
	}
}

func (s *sketch) count() (n uint64) {
	for _, c := range s {
		n += c
	}
	return n
}

// age is the age of the rank-th of all counted, from the youngest on; 0 where there are fewer.
func (s *sketch) age(rank float64) time.Duration {
	sum := uint64(0)
	for i, n := range s {
		if sum += n; n > 0 && float64(sum) >= rank {
			return seconds(bucketAge(i))
		}
	}
	return 0
}

// sample is the sketch of the receipts of messages submitted from a tick on, until the next one begins.
type sample struct {
	from   int64
	last   int64 // newest tick counted
	count  uint32
	counts [sketchBuckets]uint8
	more   *[sketchBuckets]uint32 // what did not fit in counts
}

func (s *sample) note(tick int64, age float64) {
	if s.count == 0 {
		s.from, s.last = tick, tick
	}
	s.from, s.last = min(s.from, tick), max(s.last, tick)
	s.count = saturate(uint64(s.count) + 1)
	i := bucketOf(age)
	if s.counts[i] < math.MaxUint8 {
		s.counts[i]++
		return
	}
	if s.more == nil {
		s.more = new([sketchBuckets]uint32)
	}
	s.more[i] = saturate(uint64(s.more[i]) + uint64(s.counts[i]) + 1)
	s.counts[i] = 0
}

// addTo merges the sample into a sketch.
func (s *sample) addTo(into *sketch) {
	for i, n := range s.counts {
		into[i] += uint64(n)
	}
	if s.more != nil {
		for i, n := range s.more {
			into[i] += uint64(n)
		}
	}
}

// How long a sample is.
const (
	sampleReceipts = 30               // that it has at least, unless it is sampleLongest
	sampleLongest  = ringHour         // ticks
	sampleWithins  = 4                // times the class's within that it spans at least
	sampleUnsaid   = 30 * time.Second // within of a class that does not say it
	sampleMost     = 30 * time.Minute // that it must span however long within is
)

// samples are three sketches, newest first: one that is filled, one that ages, and one that is old enough to be shown.
type samples [3]sample

// sampleTicks is how many ticks a sample spans at least.
func sampleTicks(within time.Duration) int64 {
	if within == 0 {
		within = sampleUnsaid
	}
	return max(ceilDiv(int64(min(sampleWithins*within, sampleMost)), int64(Tick)), 60/tickSeconds)
}

// note counts the age of a receipt of a message submitted in a tick.
func (s *samples) note(tick int64, age float64, width int64) {
	now := &s[0]
	if grown := tick - now.from; now.count > 0 && tick > now.last && grown >= width && (now.count >= sampleReceipts || grown >= sampleLongest) {
		s[1], s[2] = s[0], s[1]
		s[0] = sample{}
	}
	for i := range s {
		if oldest := i == len(s)-1 || s[i+1].count == 0; s[i].count == 0 || tick >= s[i].from || oldest && i < len(s)-1 {
			s[i].note(tick, age)
			return
		}
	}
}

// settled is the newest sample that is old enough at a tick to be shown, and the tick before which it ends; nil where none
// is, or it began before cut.
func (s *samples) settled(tick, cut, width int64) (*sample, int64) {
	for i := 1; i < len(s); i++ {
		if end := s[i-1].from; s[i].count > 0 && end+width/2 <= tick {
			if s[i].from < cut {
				return nil, 0
			}
			return &s[i], end
		}
	}
	return nil, 0
}
