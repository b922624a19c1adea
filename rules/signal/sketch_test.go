package signal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsAreAsExactAsTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		age := math.Exp(rapid.Float64Range(math.Log(sketchLeast), math.Log(sketchMost)).Draw(t, "log age"))
		if got := bucketAge(bucketOf(age)); math.Abs(got-age) > sketchError*age*(1+1e-9) {
			t.Errorf("%v s: got %v, want within %v of it", age, got, sketchError)
		}
	})
	for _, c := range []struct{ age, want float64 }{{0, sketchLeast}, {-3, sketchLeast}, {math.NaN(), sketchLeast}, {1e9, bucketAge(sketchBuckets - 1)}, {math.Inf(1), bucketAge(sketchBuckets - 1)}} {
		if got := bucketAge(bucketOf(c.age)); got != c.want {
			t.Errorf("%v s: got %v, want %v", c.age, got, c.want)
		}
	}
	if sketchMost < 6000 || sketchMost > 7000 {
		t.Errorf("the greatest age is %.0f s, want an hour and three quarters", sketchMost)
	}
}

// Percentiles of a sketch are those of what it counted, to its error, however it was split and merged.
func TestSketchesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ages := rapid.SliceOfN(rapid.Float64Range(sketchLeast, sketchMost*.99), 1, 800).Draw(t, "ages")
		repeat := rapid.IntRange(1, 300).Draw(t, "repeat") // so that counts outgrow eight bits
		var parts [3]sample
		for i, age := range ages {
			for range repeat {
				parts[i%3].note(int64(i), age)
			}
		}
		var forward, backward sketch
		for i := range parts {
			var one sketch
			parts[i].addTo(&one)
			forward.merge(&one)
			parts[len(parts)-1-i].addTo(&backward)
		}
		if forward != backward {
			t.Fatal("the order of merging shows")
		}
		if n := forward.count(); n != uint64(len(ages)*repeat) {
			t.Fatalf("got %d counted, want %d", n, len(ages)*repeat)
		}
		slices.Sort(ages)
		for _, q := range []float64{.5, .95, .99} {
			rank := math.Ceil(q * float64(len(ages)))
			want := ages[int(rank)-1]
			if got := forward.age(rank * float64(repeat)).Seconds(); math.Abs(got-want) > sketchError*want*1.0001 {
				t.Errorf("p%v: got %v, want %v", 100*q, got, want)
			}
		}
	})
}

func TestAPercentileBeyondWhatWasCountedIsNotTold(t *testing.T) {
	var s sketch
	s[10] = 5
	if got := s.age(5); got == 0 {
		t.Error("the last one counted is not told")
	}
	if got := s.age(5.1); got != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

// Samples follow each other, hold late receipts of their own messages, and show only what is old enough.
func TestSamplesFollowEachOther(t *testing.T) {
	const width = 24
	var s samples
	for tick := int64(1000); tick < 1000+4*width; tick++ {
		for range 2 {
			s.note(tick, 3, width)
		}
	}
	if s[0].from != 1000+3*width || s[1].from != 1000+2*width || s[2].from != 1000+width {
		t.Fatalf("got samples from %d, %d and %d", s[0].from, s[1].from, s[2].from)
	}
	before := s[1].count
	s.note(1000+2*width+3, 200, width) // late
	s.note(1000, 500, width)           // of a sample that is gone
	if s[1].count != before+1 || s[2].count != 2*width {
		t.Errorf("got %d and %d receipts", s[1].count, s[2].count)
	}
	for _, c := range []struct {
		tick, cut int64
		want      *sample
	}{
		{1000 + 3*width + width/2, 0, &s[1]},
		{1000 + 3*width + width/2 - 1, 0, &s[2]},
		{1000 + 2*width, 0, nil},
		{1000 + 3*width + width/2, 1000 + 2*width + 1, nil},
	} {
		if got, _ := s.settled(c.tick, c.cut, width); got != c.want {
			t.Errorf("at %d, cut %d: got %p, want %p", c.tick, c.cut, got, c.want)
		}
	}
}

// With little traffic a sample goes on until it has enough receipts, but not for ever.
func TestAThinSampleIsLonger(t *testing.T) {
	var s samples
	for i := range int64(4 * sampleReceipts) {
		s.note(1000+12*i, 3, 24)
	}
	if got := s[1].count; got != sampleReceipts {
		t.Errorf("got %d receipts, want %d", got, sampleReceipts)
	}
	s = samples{}
	for i := range int64(5) {
		s.note(1000+sampleLongest*i, 3, 24)
	}
	if s[1].count != 1 {
		t.Errorf("got %d receipts in an hour, want 1", s[1].count)
	}
}

func TestSamplesAreAsLongAsTheClassIsSlow(t *testing.T) {
	for within, want := range map[time.Duration]int64{0: 24, time.Second: 12, 30 * time.Second: 24, time.Hour: 360} {
		if got := sampleTicks(within); got != want {
			t.Errorf("%v: got %d ticks, want %d", within, got, want)
		}
	}
}

// The 95th percentile of the simulated delays, in which one in fifty takes an hour, comes out as it is.
func TestPercentilesOfTheSimulatedWorld(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s sample
	ages := make([]float64, 50000)
	for i := range ages {
		ages[i] = delay(r)
		s.note(1, ages[i])
	}
	slices.Sort(ages)
	var sum sketch
	s.addTo(&sum)
	for _, q := range []float64{.5, .95, .99} {
		want := ages[int(q*float64(len(ages)))]
		if got := sum.age(q * float64(len(ages))).Seconds(); math.Abs(got-want) > 1.01*sketchError*want {
			t.Errorf("p%v: got %v, want %v", 100*q, got, want)
		}
	}
}
