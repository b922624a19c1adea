package scenario

import (
	"slices"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/signal"
)

// What the code holds as measured is what the simulator shows: a few cells, measured again with other seeds.
func TestTheTableHoldsWhatTheSimulatorShows(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	const gauge, nats = 0, 12
	k := slices.Index(policy.Gauges[gauge].Thresholds, nats)
	for _, c := range []struct {
		fault policy.Fault
		rate  int
	}{{policy.BlackHole, 1}, {policy.BlackHole, 2}, {policy.LossFailing, 2}, {policy.LossSilent, 2}, {policy.Refused, 2}, {policy.Refused, 0}} {
		var delays []time.Duration
		for seed := range uint64(15) {
			delays = append(delays, Detect(5000+seed, c.fault, policy.Rates[c.rate], 30*time.Minute, policy.Watched[c.rate])[gauge][k])
		}
		slices.Sort(delays)
		held := policy.Held(gauge, nats).Delays[c.fault][c.rate]
		got, want := delays[len(delays)/2], time.Duration(held[0])*time.Second
		if got < want*6/10-5*time.Second || got > want*16/10+5*time.Second {
			t.Errorf("%s at %s: got a median of %s, the table holds %s", c.fault, policy.RateText(policy.Rates[c.rate]), got, want)
		}
	}
}

func TestTheTableHoldsHowOftenHealthyRoutesAreAccused(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	const gauge, nats = 0, 5
	got := 0
	for seed := range uint64(3) {
		got += WatchHealthy(6000+seed, 1, 0.6, 24*time.Hour)[gauge][0][slices.Index(policy.Gauges[gauge].Thresholds, nats)]
	}
	held := policy.Held(gauge, nats)
	if want := float64(held.Alarms) / float64(held.Months) / 10; float64(got) < want*0.5 || float64(got) > want*1.7 {
		t.Errorf("got %d half-hours in three days at %d nats, the table holds %.1f", got, nats, want)
	}
}

// A route that breaks within its first minutes is found later, not sooner: nothing is detected before the fault.
func TestNothingIsDetectedBeforeTheFault(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for f := range policy.Faults {
		for seed := range uint64(5) {
			all := Detect(seed+1, f, 1, time.Hour, 10*time.Minute)
			for _, nats := range []float64{12, 20} {
				k := slices.Index(policy.Gauges[0].Thresholds, nats)
				if d := all[0][k]; d <= 0 || k > 0 && d < all[0][k-1] {
					t.Errorf("%s, %v nats: got %s after %s for less", f, nats, d, all[0][k-1])
				}
			}
		}
	}
}

func TestAdviceKnowsHowFarBackSilenceIsLookedFor(t *testing.T) {
	if got := signal.Memory.Truncate(time.Hour); policy.LongestWindow != got {
		t.Errorf("advice takes %s, the cohorts are kept for %s", policy.LongestWindow, signal.Memory)
	}
}
