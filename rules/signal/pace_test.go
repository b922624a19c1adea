package signal

import (
	"math"
	"math/rand/v2"
	"testing"
)

// receiptsBy draws receipts at a pace and counts those of the ages that tell it.
func receiptsBy(pace float64, n int, seed uint64) (seen [paceEdges]float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		if f := ageField(delay(r)*pace) - fieldDelivered; f < paceEdges {
			seen[f]++
		}
	}
	return seen
}

func TestPaceIsFound(t *testing.T) {
	f := testNormal().receipts
	for _, c := range []struct{ pace, low, high float64 }{{1, .98, 1.12}, {1.5, 1.47, 1.65}, {2, 1.9, 2.05}, {.5, .5, .56}} {
		for seed := range uint64(5) {
			seen := receiptsBy(c.pace, 2000, seed)
			if got, ok := slowestPace(&f, &seen); !ok || got < c.low || got > c.high {
				t.Errorf("pace %v: got %v, want %v to %v", c.pace, got, c.low, c.high)
			}
		}
	}
}

func TestPaceIsUnknownWithFewReceipts(t *testing.T) {
	n := testNormal()
	k := &key{ring: newRing(1000)}
	if got := k.pace(n, 1000); got != paceUnknown {
		t.Errorf("with none: got %v", got)
	}
	for range paceReceipts {
		k.ring.bump(800, fieldDelivered+1)
	}
	if got := k.pace(n, 1000); got < 1 || got > paceMaximum || got == paceUnknown {
		t.Errorf("with enough: got %v", got)
	}
	k.ring.advance(1000+ringHour, func(int64, *Counts) {})
	if got := k.pace(n, 1000+ringHour); got != paceUnknown {
		t.Errorf("with enough an hour ago: got %v", got)
	}
}

// The youngest five minutes do not tell: of them only the quick receipts are back.
func TestPaceLeavesYoungReceiptsOut(t *testing.T) {
	r := newRing(1000)
	for age := range int64(ringHour + 20) {
		r.bump(1000-age, fieldDelivered)
	}
	seen := r.early(1000-ringHour, 1000-settledTicks)
	if want := float64(ringHour - settledTicks); math.Abs(seen[0]-want) > ticksPerMid {
		t.Errorf("got %v receipts, want about %v", seen[0], want)
	}
}

// A route whose receipts all take longer than a minute has no pace that these ages could tell.
func TestPaceOfASlowRouteIsUnknown(t *testing.T) {
	f := newCurve([]float64{600, 1200}, []float64{0, 1})
	seen := [paceEdges]float64{0, 0, 100, 100, 100}
	if pace, ok := slowestPace(&f, &seen); ok {
		t.Errorf("got %v", pace)
	}
}
