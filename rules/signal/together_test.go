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

// taught is what minutes of n messages teach, of which some share lies below normal by a fall.
func taught(seed uint64, n int, lists, fall float64) correlations {
	const share = 0.945
	r := rand.New(rand.NewPCG(seed, 1))
	var l Together
	for range 2000 {
		p := 0.975
		if r.Float64() < lists {
			p *= 1 - fall
		}
		l.learn(swell, float64(n), binomial(r, n, p), share)
	}
	return l.correlations()
}

func TestCorrelationsAreLearned(t *testing.T) {
	for _, c := range []struct {
		claim     string
		n         int
		lists     float64
		fall      float64
		least, at float64 // of the learned correlation
	}{
		{"independent messages have none", 60, 0, 0, 0, 2e-4},
		{"many of them neither", 1000, 0, 0, 0, 1e-6},
		{"a drift within what is tolerated is none", 600, 0.5, 0.02, 0, 1e-4},
		{"dead lists show", 200, 0.2, 0.3, 0.05, 1.0 / crowdCounts},
		{"rare ones less", 200, 0.02, 0.3, 0.015, 0.04},
		{"incidents are none", 200, 0.02, 0.9, 0, 1e-4},
	} {
		for seed := range uint64(3) {
			if got := taught(seed, c.n, c.lists, c.fall)[swell]; got < c.least || got > c.at {
				t.Errorf("%s: got %v, want %v to %v", c.claim, got, c.least, c.at)
			}
		}
	}
}

func TestCorrelatedMessagesCountForLessAndNeverForNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := correlations{rapid.Float64Range(0, 1.0/crowdCounts).Draw(t, "usual"), rapid.Float64Range(0, 1.0/crowdCounts).Draw(t, "swell")}
		n := float64(rapid.IntRange(1, 1_000_000).Draw(t, "n"))
		for s := range crowd {
			w, more := r.weight(s, n), r.weight(s, n+1)
			if !(w > 0 && w <= 1) || n*w > (n+1)*more+1e-9 || n*w < math.Min(n, crowdCounts)/2 {
				t.Fatalf("%v messages count for %v", n, n*w)
			}
		}
	})
}

func TestWhatIsLearnedOfCorrelationsIsKept(t *testing.T) {
	l := Learned{At: epoch}
	l.Status.learn(swell, 200, 130, 0.945)
	data, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	var back Learned
	if err := json.Unmarshal(data, &back); err != nil || back.Status.correlations() != l.Status.correlations() || back.check() != nil {
		t.Errorf("got %+v, %v of %s", back.Status, err, data)
	}
	l.tell(epoch, toldBaseline(5000))
	if l.Status.correlations()[swell] == 0 {
		t.Error("a baseline that is told takes away what is known of correlations")
	}
	l.fade(epoch.Add(baselineHalfLife))
	if got, want := l.Status.correlations(), back.Status.correlations(); got != want {
		t.Errorf("got %v once all has faded alike, want %v", got, want)
	}
	for name, wrong := range map[string]Learned{"below 0": {Status: Together{{Excess: -1, Scale: 1}}}, "without a scale": {Arrival: Together{{Excess: 1}}}, "not a number": {Conversion: Together{{Scale: math.NaN()}}}} {
		if wrong.check() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
