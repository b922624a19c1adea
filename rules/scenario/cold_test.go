package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// found is how long it takes to find a black hole on one of two routes, after some hours in which all was well; told says
// whether the baseline was told at their beginning, or learned in them.
func found(t *testing.T, rate float64, seed uint64, healthy time.Duration, told bool) time.Duration {
	w := newWorld(t, townPolicy(t, "a", "b"), seed)
	for _, id := range []route.ID{"a", "b"} {
		w.Treat(id, "", "", converting())
		if told {
			w.baselines(converting(), id)
		}
		w.Send(otp(id, rate))
	}
	w.Advance(midnight.Add(healthy))
	untouched(t, w.decisions)
	w.Treat("a", "", "", Health{})
	return w.until("a", route.Demoted, 0, 30*time.Minute)
}

func TestAfterTwoHoursALearnedBaselineFindsABlackHoleNearlyAsFastAsAToldOne(t *testing.T) {
	for _, rate := range []float64{0.2, 1, 10} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			var learned, told []time.Duration
			for seed := range uint64(3) {
				learned = append(learned, found(t, rate, seed+1, 2*time.Hour, false))
				told = append(told, found(t, rate, seed+1, 2*time.Hour, true))
			}
			slices.Sort(learned)
			slices.Sort(told)
			if got, want := learned[1], told[1]*3/2; got > want && got > told[1]+signal.Tick {
				t.Errorf("got %s in the median, want at most %s, half more than with a told baseline: %v, %v", got, want, learned, told)
			}
		})
	}
}

// A route of which nothing is known yet is watched and never demoted, however it looks.
func TestAColdRouteIsNeverDemoted(t *testing.T) {
	for name, h := range map[string]Health{"a black hole": {}, "a hard outage": {Refused: 1}, "half of all fails": bad["half of all fails"].health} {
		for _, rate := range []float64{0.2, 5} {
			w := newWorld(t, townPolicy(t, "a", "b"), 3)
			w.Treat("b", "", "", converting())
			w.Treat("a", "", "", converting())
			w.Send(otp("a", rate))
			w.Send(otp("b", rate))
			w.run(20)
			w.Treat("a", "", "", h)
			w.run(30)
			untouched(t, w.decisions)
			if !has(w.decisions, func(d *route.Decision) bool { return d.Reason == route.LowEvidence && d.Route == "a" }) {
				t.Errorf("%s at %v/s: want it said that a cannot be judged:\n%s", name, rate, w.log())
			}
		}
	}
}
