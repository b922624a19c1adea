package scenario

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// otpWorld is a world of converting routes whose messages follow the table.
func otpWorld(t testing.TB, p *policy.Policy, seed uint64, rate float64) *world {
	w := newWorld(t, p, seed)
	for i := range p.Routes {
		w.Treat(p.Routes[i].ID, "", "", converting())
		w.baselines(converting(), p.Routes[i].ID)
	}
	w.Send(Stream{Class: "otp", Network: "234-15", Rate: rate})
	w.run(20)
	untouched(t, w.decisions)
	return w
}

// until lets time pass until a route is in a phase and on a step, and returns how long that took; it fails after a limit.
func (w *world) until(id route.ID, phase route.Phase, step int, limit time.Duration) time.Duration {
	w.t.Helper()
	for from := w.Now(); w.Now().Sub(from) <= limit; w.Advance(w.Now().Add(signal.Tick)) {
		if s := w.state(id); s.Phase == phase && s.Step == step {
			return w.Now().Sub(from)
		}
	}
	w.t.Fatalf("%s is not %s at step %d within %s:\n%s", id, phase, step, limit, w.log())
	return 0
}

// share is what the table in force gives a route.
func (w *world) share(id route.ID) int {
	for _, e := range w.Engine().Table.Lanes[0].Routes {
		if e.Route == id {
			return e.Share
		}
	}
	return 0
}

// bad are the ways in which a route goes wrong in these tests, with the longest time each may take to be found at 2
// messages a second.
var bad = map[string]struct {
	health Health
	limit  time.Duration
}{
	"a black hole":      {Health{Delay: UsualDelay()}, 90 * time.Second},
	"a hard outage":     {Health{Refused: 1}, 60 * time.Second},
	"half of all fails": {func() Health { h := converting(); h.Delivered, h.Failed = 0.47, 0.5; return h }(), 90 * time.Second},
	"half is swallowed": {func() Health { h := converting(); h.Delivered, h.Failed = 0.47, 0.02; return h }(), 5 * time.Minute},
}

func TestARouteComesBackByItsRampOnItsOwnMessages(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for name, b := range bad {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				w := otpWorld(t, townPolicy(t, "a", "b"), seed, 2)
				w.Treat("a", "", "", b.health)
				w.until("a", route.Demoted, 0, b.limit)
				out := w.Now()
				if got := [2]int{w.share("a"), w.share("b")}; got != [2]int{200, 9800} {
					t.Errorf("got shares %v, want the trickle and the rest", got)
				}
				w.Advance(out.Add(10 * time.Minute))
				if w.phase("a") != route.Demoted {
					t.Fatalf("still bad, and it is %s:\n%s", w.phase("a"), w.log())
				}
				w.Treat("a", "", "", converting())
				w.until("a", route.Recovering, 0, time.Hour)
				for step, share := range []int{500, 2500} {
					if got := w.share("a"); got != share {
						t.Errorf("step %d: got share %d, want %d", step, got, share)
					}
					began := w.Now()
					if step == 0 {
						w.until("a", route.Recovering, 1, time.Hour)
					} else {
						w.until("a", route.Active, 0, time.Hour)
					}
					if took := w.Now().Sub(began); took < 2*time.Minute {
						t.Errorf("step %d took %s, want at least 2m", step, took)
					}
				}
				if w.share("a") != 10000 {
					t.Errorf("got share %d at the end", w.share("a"))
				}
				w.run(60)
				if got := w.phase("b"); w.phase("a") != route.Active || got != route.Active {
					t.Errorf("an hour later: a %s, b %s:\n%s", w.phase("a"), got, w.log())
				}
			})
		}
	}
}

func TestARouteThatIsBadAgainOnItsWayBackGoesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for name, b := range bad {
		for step := range 3 {
			t.Run(fmt.Sprintf("%s/step %d", name, step), func(t *testing.T) {
				w := otpWorld(t, townPolicy(t, "a", "b"), uint64(7+step), 5)
				w.Treat("a", "", "", b.health)
				w.until("a", route.Demoted, 0, b.limit)
				w.run(2)
				w.Treat("a", "", "", converting())
				if step < 2 {
					w.until("a", route.Recovering, step, 2*time.Hour)
				} else {
					w.until("a", route.Active, 0, 2*time.Hour)
				}
				// At 5 % of 5 a second there is a message every four seconds.
				w.Treat("a", "", "", b.health)
				took := w.until("a", route.Demoted, 0, 20*time.Minute)
				s := w.state("a")
				if s.Relapses != 1 || !s.HoldUntil.Equal(s.Since.Add(10*time.Minute)) {
					t.Errorf("got %d relapses, out until %s after %s; want 1, and 10m", s.Relapses, s.HoldUntil.Sub(s.Since), took)
				}
			})
		}
	}
}

// relapse lets a route come back whole and go bad again, and returns its hold-down.
func (w *world) relapse(h Health) time.Duration {
	w.t.Helper()
	w.until("a", route.Active, 0, 8*time.Hour)
	w.run(5)
	w.Treat("a", "", "", h)
	w.until("a", route.Demoted, 0, 5*time.Minute)
	w.Treat("a", "", "", converting())
	return w.state("a").HoldUntil.Sub(w.state("a").Since)
}

func TestRelapsesDoubleTheHoldDownUpToItsMaximumAndDecay(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	w := otpWorld(t, townPolicy(t, "a", "b"), 3, 2)
	for i, want := range []float64{5, 10, 20, 40, 80, 160, 240, 240} {
		if got := w.relapse(Health{}); got != minutes(want) {
			t.Fatalf("demotion %d: got a hold-down of %s, want %vm", i+1, got, want)
		}
	}
	w.until("a", route.Active, 0, 8*time.Hour)
	w.run(6*60 + 1)
	if got := w.state("a").Relapses; got != 0 {
		t.Errorf("got %d relapses after 6 hours of peace", got)
	}
	if got := w.relapse(Health{}); got != 5*time.Minute {
		t.Errorf("got a hold-down of %s after 6 hours of peace, want 5m", got)
	}
}

func TestUnderWeightsTheOthersCarryTheShareInProportion(t *testing.T) {
	w := otpWorld(t, weightedPolicy(t, 60, 30, 10), 1, 10)
	w.Treat("a", "", "", Health{})
	w.until("a", route.Demoted, 0, 2*time.Minute)
	before := [...]int{w.Totals("a").Submitted, w.Totals("b").Submitted, w.Totals("c").Submitted}
	w.run(4)
	for i, want := range []float64{2400 * 0.012, 2400 * 0.988 * 0.75, 2400 * 0.988 * 0.25} {
		id := route.ID(rune('a' + i))
		if got := float64(w.Totals(id).Submitted - before[i]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("%s got %v messages, want about %.0f", id, got, want)
		}
	}
	w.Treat("a", "", "", converting())
	w.until("a", route.Recovering, 0, time.Hour)
	if got := w.share("a"); got != 300 {
		t.Errorf("got share %d at step 0, want 5 %% of 60 %%", got)
	}
	w.until("a", route.Active, 0, time.Hour)
	if got := [3]int{w.share("a"), w.share("b"), w.share("c")}; got != [3]int{6000, 3000, 1000} {
		t.Errorf("got shares %v at the end", got)
	}
}

func TestUnderAnOrderTheFirstActiveStandbyCarries(t *testing.T) {
	w := otpWorld(t, townPolicy(t, "a", "b", "c"), 1, 5)
	for i, id := range []route.ID{"a", "b"} {
		w.Treat(id, "", "", Health{Refused: 1})
		w.until(id, route.Demoted, 0, 10*time.Minute)
		next := route.ID(rune('b' + i))
		if got, want := w.share(next), 10000-200*(i+1); got != want {
			t.Errorf("with %s out, %s has share %d, want %d:\n%s", id, next, got, want, w.log())
		}
	}
	w.run(15) // until velocity would allow a third change
	w.Treat("a", "", "", converting())
	w.until("a", route.Active, 0, 2*time.Hour)
	if got := w.share("a"); got != 9800 {
		t.Errorf("with a back, it has share %d, want 9800", got)
	}
}

// At each step of the way back only messages sent since the step began count: neither the good ones of the step before,
// nor the bad ones that are still open from the time of the trouble.
func TestEachStepCountsOnlyItsOwnMessages(t *testing.T) {
	w := otpWorld(t, townPolicy(t, "a", "b"), 2, 4)
	w.Treat("a", "", "", Health{})
	w.until("a", route.Demoted, 0, 2*time.Minute)
	w.run(6)
	w.Treat("a", "", "", converting())
	for _, step := range []struct {
		phase route.Phase
		step  int
	}{{route.Recovering, 0}, {route.Recovering, 1}, {route.Active, 0}} {
		w.until("a", step.phase, step.step, time.Hour)
		since, before := w.state("a").Since, w.Totals("a").Submitted
		for range 24 {
			w.Advance(w.Now().Add(signal.Tick))
			if w.phase("a") != step.phase {
				break
			}
			s := w.signals
			sent := w.Totals("a").Submitted - before
			if d := &s[0].Delivery; d.Known && (d.Messages > float64(sent) || d.Since.Before(since) || d.Delivered > float64(sent)) {
				t.Fatalf("%s step %d: judged by %v messages since %s, want at most the %d sent since %s", step.phase, step.step, d.Messages, d.Since, sent, since)
			}
		}
	}
}

// A carrier that is dead for 30 s of every two minutes is found once or twice and then stays out: the table does not
// follow it.
func TestAFlappingCarrierDoesNotFlapTheTable(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for seed := range uint64(3) {
		w := otpWorld(t, townPolicy(t, "a", "b"), seed+20, 5)
		for range 90 { // three hours
			w.Treat("a", "", "", Health{})
			w.run(0.5)
			w.Treat("a", "", "", converting())
			w.run(1.5)
		}
		out, byHour := 0, map[int]int{}
		for _, d := range enforced(w.decisions) {
			if d.Route == "b" {
				t.Errorf("seed %d: got %s, want b left alone", seed, line(&d))
			}
			byHour[int(d.Time.Sub(midnight).Hours())]++
			if d.Verdict == route.VerdictDemote {
				out++
			}
		}
		if out < 1 || out > 5 {
			t.Errorf("seed %d: got %d demotions in 90 flaps, want some and few:\n%s", seed, out, lines(enforced(w.decisions)))
		}
		for hour, n := range byHour {
			if n > 6 {
				t.Errorf("seed %d: got %d changes in hour %d", seed, n, hour)
			}
		}
	}
}

// Whatever carriers do, a lane keeps an active route that carries it, in lanes of one, two and three.
func TestALaneAlwaysHasAnActiveRoute(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	healths := []Health{{}, {Refused: 1}, {Delivered: .3, Failed: .6, Conversion: .8, Delay: UsualDelay()}, {Timeouts: 1}, converting(), converting()}
	rapid.Check(t, func(rt *rapid.T) {
		ids := []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(rt, "routes")]
		w := &world{t: t}
		w.Sim = NewSim(townPolicy(t, ids...), SimOptions{Seed: rapid.Uint64().Draw(rt, "seed"), Start: midnight, Emit: w.note})
		for _, id := range ids {
			w.baselines(converting(), route.ID(id))
			w.Treat(route.ID(id), "", "", converting())
		}
		w.Send(Stream{Class: "otp", Network: "234-15", Rate: rapid.Float64Range(0.5, 4).Draw(rt, "rate")})
		for range rapid.IntRange(1, 8).Draw(rt, "turns") {
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			w.Treat(route.ID(id), "", "", healths[rapid.IntRange(0, len(healths)-1).Draw(rt, "health")])
			for end := w.Now().Add(minutes(rapid.Float64Range(1, 12).Draw(rt, "minutes"))); w.Now().Before(end); w.Advance(w.Now().Add(signal.Tick)) {
				l := &w.Engine().Table.Lanes[0]
				if first := l.Routes[0]; first.Phase != route.Active || first.Share < route.FullShare/2 {
					rt.Fatalf("got %+v in front:\n%s", first, w.log())
				}
			}
		}
	})
}

// Where only the path of receipts breaks, nothing is demoted while conversions come; without them, it takes the wait of
// the guard, and is never taken for a black hole at once.
func TestABrokenPathOfReceiptsIsNoBlackHole(t *testing.T) {
	for seed := range uint64(4) {
		w := otpWorld(t, townPolicy(t, "a", "b"), seed, 5)
		h := converting()
		h.Silenced = true
		w.Treat("a", "", "", h)
		w.run(10)
		untouched(t, w.decisions)
		if !has(w.decisions, func(d *route.Decision) bool { return d.Reason == route.GuardHeld && d.Route == "a" }) {
			t.Errorf("seed %d: want the silence seen and held:\n%s", seed, w.log())
		}
		blind := newWorld(t, townPolicy(t, "a", "b"), seed)
		blind.baselines(Healthy(), "a", "b")
		blind.Send(Stream{Class: "otp", Network: "234-15", Rate: 5})
		blind.run(20)
		h = Healthy()
		h.Silenced = true
		blind.Treat("a", "", "", h)
		if took := blind.until("a", route.Demoted, 0, 5*time.Minute); took < 40*time.Second {
			t.Errorf("seed %d: demoted after %s, want the wait of 40s first:\n%s", seed, took, blind.log())
		}
	}
}
