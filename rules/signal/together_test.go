package signal

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// binomial is how many of n happen that each has a chance.
func binomial(r *rand.Rand, n int, chance float64) float64 {
	k := 0
	for range n {
		if r.Float64() < chance {
			k++
		}
	}
	return float64(k)
}

// taught is what minutes of n messages teach, in a share of which so many more than usual fail.
func taught(seed uint64, n int, lists, fall float64) (correlation float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		p := 0.975
		if r.Float64() < lists {
			p *= 1 - fall
		}
		learn(&correlation, float64(n), binomial(r, n, p), 0.945)
	}
	return correlation
}

func TestCorrelationsAreLearned(t *testing.T) {
	for _, c := range []struct {
		claim    string
		n        int
		lists    float64
		fall     float64
		low, top float64 // of the learned correlation
	}{
		{"independent messages have none", 60, 0, 0, 0, 0},
		{"many of them neither", 1000, 0, 0, 0, 0},
		{"a drift within what is tolerated is none", 600, 0.5, 0.02, 0, 0},
		{"dead lists show", 200, 0.2, 0.3, mostTogether, mostTogether},
		{"rare ones too", 200, 0.005, 0.3, mostTogether, mostTogether},
		{"poor ones less", 1000, 0.2, 0.055, 0.01, mostTogether / 1.1},
		{"incidents are none", 200, 0.02, 0.9, 0, 0},
	} {
		for seed := range uint64(3) {
			if got := taught(seed, c.n, c.lists, c.fall); got < c.low || got > c.top {
				t.Errorf("%s: got %v, want %v to %v", c.claim, got, c.low, c.top)
			}
		}
	}
}

func TestCorrelatedMessagesCountForLessAndNeverForNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, n := rapid.Float64Range(0, mostTogether).Draw(t, "correlation"), float64(rapid.IntRange(1, 1_000_000).Draw(t, "n"))
		w, more := counts(n, r), counts(n+1, r)
		if !(w > 0 && w <= 1) || n*w > (n+1)*more+1e-9 || n*w < math.Min(n, crowdCounts)/2 {
			t.Fatalf("%v messages count for %v", n, n*w)
		}
	})
}

func TestWhatIsLearnedOfCampaignsIsKept(t *testing.T) {
	l := Learned{At: epoch}
	learn(&l.Together.Status, 200, 130, 0.945)
	data, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	var back Learned
	if err := json.Unmarshal(data, &back); err != nil || back.Together != l.Together || back.check() != nil {
		t.Errorf("got %+v, %v of %s", back.Together, err, data)
	}
	l.tell(epoch, toldBaseline(5000))
	if l.Together != back.Together || l.Together.Status == 0 {
		t.Error("a baseline that is told takes away what is known of campaigns")
	}
	l.fade(epoch.Add(baselineHalfLife))
	if got, want := l.Together.Status, back.Together.Status/2; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v after a half-life, want %v", got, want)
	}
	for _, wrong := range []float64{-1, 0.5, math.NaN()} {
		if bad := (Learned{Together: together{Arrival: wrong}}); bad.check() == nil {
			t.Errorf("%v: got no error", wrong)
		}
	}
}

// Minutes in which a route was out, or in trouble for long, teach nothing of campaigns; short trouble does.
func TestOnlyShortTroubleTeachesOfCampaigns(t *testing.T) {
	for _, c := range []struct {
		claim   string
		trouble int64 // minutes of it before the campaign, at its end
		out     bool
		teaches bool
	}{
		{"a campaign", 0, false, true},
		{"a short trouble", 2, false, true},
		{"a long one", 35, false, false},
		{"a route that is out", 0, true, false},
	} {
		const minute = firstTick/ticksPerMid + 40
		k := &key{normal: testNormal(), crowds: crowded(append(alike(40, 60), 200, 60)...)}
		for tick := minute*ticksPerMid - c.trouble*ticksPerMid; c.trouble > 0 && tick <= minute*ticksPerMid; tick++ {
			k.suffer(tick)
		}
		if c.out {
			k.lasting.add(minute*ticksPerMid-20, minute*ticksPerMid+20)
		}
		k.learnTogether(minute, &Counts{fieldSubmitted: 200, fieldFailed: 60, fieldDelivered + 1: 135})
		if got := k.learned.Together.Status > 0; got != c.teaches {
			t.Errorf("%s: got %+v", c.claim, k.learned.Together)
		}
	}
}
