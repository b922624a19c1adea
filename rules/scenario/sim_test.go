package scenario

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// world is a Sim of these tests, with all that it led to.
type world struct {
	*Sim
	t         testing.TB
	decisions []route.Decision
	tables    []route.Table
	told      []route.Observation // where it keeps them
	signals   []route.Signals     // of the last round
}

func newWorld(t testing.TB, p *policy.Policy, seed uint64) *world {
	w := &world{t: t}
	w.Sim = NewSim(p, SimOptions{Seed: seed, Start: midnight, Emit: w.note, Rounds: func(o decide.Outcome) { w.signals = o.Signals }})
	return w
}

// listening is a world that keeps what it told.
func listening(t testing.TB, p *policy.Policy, seed uint64) *world {
	w := &world{t: t}
	w.Sim = NewSim(p, SimOptions{Seed: seed, Start: midnight, Emit: w.note, Observe: func(o *route.Observation) {
		if o.Kind != route.KindHeartbeat && o.Kind != route.KindBaseline {
			w.told = append(w.told, *o)
		}
	}})
	return w
}

func (w *world) note(o decide.Outcome) {
	w.decisions = append(w.decisions, o.Decisions...)
	if o.Table != nil {
		w.tables = append(w.tables, *o.Table)
	}
}

// run lets so many minutes pass.
func (w *world) run(m float64) { w.Advance(w.Now().Add(minutes(m))) }

// baselines tells what is normal of routes for one-time passwords.
func (w *world) baselines(h Health, ids ...route.ID) {
	for _, id := range ids {
		w.Tell(route.Observation{Kind: route.KindBaseline, Route: id, Class: "otp", Network: "234-15", Baseline: h.Baseline(5000)})
	}
}

// phase is the phase of a route in the only lane.
func (w *world) phase(id route.ID) route.Phase { return w.state(id).Phase }

// state is what is remembered of a route in the only lane; that of an active route of which nothing is.
func (w *world) state(id route.ID) *route.State {
	if s := w.Engine().World.Lanes[0].State(id); s != nil {
		return s
	}
	return &route.State{Route: id, Phase: route.Active}
}

// log is everything decided, for messages of failed tests.
func (w *world) log() string { return lines(w.decisions) }

func otp(id route.ID, rate float64) Stream {
	return Stream{Route: id, Class: "otp", Network: "234-15", Rate: rate}
}

// converting is a healthy route whose conversions are reported.
func converting() Health {
	h := Healthy()
	h.Conversion = 0.8
	return h
}

// counts are how often observations of each kind were told.
func counts(told []route.Observation) map[string]int {
	n := map[string]int{}
	for i := range told {
		o := &told[i]
		switch {
		case o.Kind == route.KindSubmit && o.Result == route.Accepted:
			n["accepted"]++
		case o.Kind == route.KindSubmit && o.Result == route.TimedOut:
			n["timeout"]++
		case o.Kind == route.KindSubmit && o.Fault == route.FaultCapacity:
			n["throttled"]++
		case o.Kind == route.KindSubmit:
			n["refused"]++
		case o.Kind == route.KindReceipt:
			n[o.Status.String()]++
		case o.Kind == route.KindConversion:
			n["converted"]++
		case o.Kind == route.KindProbe && o.OK:
			n["probe ok"]++
		case o.Kind == route.KindProbe:
			n["probe failed"]++
		}
	}
	return n
}

func TestASteadyWorldLeavesNothingToChance(t *testing.T) {
	w := listening(t, townPolicy(t, "a", "b"), 0)
	w.Treat("a", "", "", Health{Delivered: 0.4, Failed: 0.2, Refused: 0.1, Throttled: 0.05, Timeouts: 0.05, Conversion: 0.5, Delay: DelayCurve{Parts: []Delay{{1, time.Second, 0.1}}}})
	w.Send(otp("a", 10))
	w.run(10)
	w.Send(otp("a", 0))
	w.run(1)
	want := map[string]int{"accepted": 4800, "refused": 600, "throttled": 300, "timeout": 300, "delivered": 1920, "failed": 960, "converted": 960}
	for kind, n := range counts(w.told) {
		if n < want[kind]-1 || n > want[kind]+1 {
			t.Errorf("%s: got %d, want %d", kind, n, want[kind])
		}
	}
}

func TestASteadyWorldIsEvenInEveryMinute(t *testing.T) {
	w := listening(t, townPolicy(t, "a", "b"), 0)
	h := Healthy()
	h.Delivered, h.Failed = 0.4, 0.6
	w.Treat("a", "", "", h)
	w.Send(otp("a", 10))
	w.run(30)
	delivered, submitted := map[int]int{}, map[int]int{}
	for i := range w.told {
		o := &w.told[i]
		if o.Kind == route.KindSubmit {
			submitted[int(o.Time.Sub(midnight).Minutes())]++
		} else if o.Status == route.StatusDelivered {
			delivered[int(o.Submitted.Sub(midnight).Minutes())]++
		}
	}
	for m := range 20 { // of later ones some receipts are still to come
		if submitted[m] < 599 || submitted[m] > 601 || delivered[m] < 225 || delivered[m] > 241 {
			t.Errorf("minute %d: got %d submitted, %d delivered; want 600, and nearly 240", m, submitted[m], delivered[m])
		}
	}
}

func TestTheSameSeedGivesTheSameWorld(t *testing.T) {
	run := func(seed uint64) string {
		w := newWorld(t, townPolicy(t, "a", "b"), seed)
		w.baselines(converting(), "a", "b")
		w.Treat("a", "", "", converting())
		w.Treat("b", "", "", converting())
		w.Send(Stream{Class: "otp", Network: "234-15", Rate: 3, Diurnal: 0.5, Burst: Burst{Messages: 200, Over: 10 * time.Second, Every: 5 * time.Minute, Dead: 0.1, DeadLists: 0.2, Spread: 0.2}})
		w.Probe("a", "handset", "234-15", time.Minute)
		w.run(15)
		w.Treat("a", "", "", Health{})
		w.run(30)
		if len(enforced(w.decisions)) == 0 {
			t.Fatalf("seed %d: nothing was decided", seed)
		}
		return encode(w.decisions) + encode(w.tables) + encode(w.Totals("a")) + encode(w.Totals("b"))
	}
	for _, seed := range []uint64{0, 1, 2} {
		if first, second := run(seed), run(seed); first != second {
			t.Errorf("seed %d: got two worlds", seed)
		}
	}
	if run(1) == run(2) {
		t.Error("two seeds gave the same world")
	}
}

func TestChanceFollowsItsShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Health{Delivered: rapid.Float64Range(0, 0.7).Draw(t, "delivered"), Failed: rapid.Float64Range(0, 0.3).Draw(t, "failed"), Refused: rapid.Float64Range(0, 0.3).Draw(t, "refused")}
		shares := h.shares(rapid.Bool().Draw(t, "dead"))
		seed := rapid.Uint64().Draw(t, "seed")
		c, o, got := newChance(seed, "x"), owed{}, [outcomes]float64{}
		const n = 2000
		for range n {
			got[c.pick(&shares, &o)]++
		}
		sum := 0.0
		for i, share := range shares {
			sum += share
			far := 6*math.Sqrt(n*share*(1-share)) + 1
			if seed == 0 {
				far = float64(outcomes)
			}
			if math.Abs(got[i]-n*share) > far {
				t.Fatalf("outcome %d: got %v of %d at share %v", i, got[i], n, share)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the shares sum to %v", sum)
		}
	})
}

func TestDelaysAreThoseOfTheirCurve(t *testing.T) {
	for _, seed := range []uint64{0, 1} {
		c, counter := newChance(seed, "delays"), uint64(0)
		for _, curve := range []DelayCurve{UsualDelay(), UsualDelay().slower(4)} {
			const n = 20000
			for _, age := range []time.Duration{2 * time.Second, 10 * time.Second, time.Minute} {
				within := 0
				for range n {
					if curve.quantile(c.unit(&counter)) <= age {
						within++
					}
				}
				if want := curve.share(age); math.Abs(float64(within)/n-want) > 0.015 {
					t.Errorf("seed %d, ×%v: got %v within %s, want %v", seed, curve.factor(), float64(within)/n, age, want)
				}
			}
		}
	}
}

func TestMessagesFollowTheTable(t *testing.T) {
	for _, seed := range []uint64{0, 1} {
		w := newWorld(t, weightedPolicy(t, 60, 30, 10), seed)
		w.Send(Stream{Class: "otp", Network: "234-15", Rate: 50})
		w.run(10)
		for id, want := range map[route.ID]float64{"a": 18000, "b": 9000, "c": 3000} {
			if got := float64(w.Totals(id).Submitted); math.Abs(got-want) > 5*math.Sqrt(want) || seed == 0 && math.Abs(got-want) > 3 {
				t.Errorf("seed %d: %s got %v messages, want %v", seed, id, got, want)
			}
		}
		w.Send(Stream{Class: "bulk", Network: "234-15", Rate: 1})
		w.run(1)
		if got := w.Unserved(); got < 30 {
			t.Errorf("seed %d: got %d messages that no lane serves, want about 60", seed, got)
		}
	}
}

func TestARefusedMessageTriesTheNextActiveRoute(t *testing.T) {
	w := newWorld(t, townPolicy(t, "a", "b", "c"), 0)
	refusing := Healthy()
	refusing.Refused = 1
	w.Treat("a", "", "", refusing)
	half := Healthy()
	half.Refused = 0.5
	w.Treat("b", "", "", half)
	w.Send(Stream{Class: "otp", Network: "234-15", Rate: 1})
	w.run(2)
	if a, b, c := w.Totals("a").Submitted, w.Totals("b").Submitted, w.Totals("c").Submitted; a != 120 || b != 120 || c != 60 {
		t.Errorf("got %d, %d and %d submits, want 120, 120 and 60", a, b, c)
	}
	throttling := Healthy()
	throttling.Throttled = 1
	w.Treat("a", "", "", throttling)
	w.run(1)
	if b := w.Totals("b").Submitted; b != 120 {
		t.Errorf("got %d submits by b, want throttling to send none there", b)
	}
}

func TestAMessageThatNobodyAnsweredIsTriedAgainOnlyAfterRetryAfter(t *testing.T) {
	for after, want := range map[string]int{"": 0, "retry_after: 20s, ": 40} {
		w := newWorld(t, parse(t, strings.Replace(townText("a", "b"), "within: 30s, ", after+"within: 30s, ", 1)), 0)
		mute := Healthy()
		mute.Timeouts = 1
		w.Treat("a", "", "", mute)
		w.Send(Stream{Class: "otp", Network: "234-15", Rate: 1})
		w.Advance(midnight.Add(time.Minute))
		if got := w.Totals("b").Submitted; got != want {
			t.Errorf("%q: got %d tried again in a minute, want %d", after, got, want)
		}
	}
}

func TestTheClosestTreatmentCounts(t *testing.T) {
	w := newWorld(t, townPolicy(t, "a"), 1)
	share := func(d float64) Health { h := Healthy(); h.Delivered = d; return h }
	w.Treat("a", "", "", share(.1))
	w.Treat("a", "otp", "", share(.2))
	w.Treat("a", "", "GB", share(.3))
	w.Treat("a", "", "234-15", share(.4))
	w.Treat("a", "otp", "234-15", share(.5))
	for _, c := range []struct {
		id      route.ID
		class   route.Class
		network route.Network
		want    float64
	}{{"a", "otp", "234-15", .5}, {"a", "bulk", "234-15", .4}, {"a", "otp", "234-10", .3}, {"a", "otp", "262-01", .2}, {"a", "bulk", "262-01", .1}, {"b", "otp", "234-15", .95}} {
		if got := w.treatment(c.id, c.class, c.network).Delivered; got != c.want {
			t.Errorf("%s %s %s: got %v, want %v", c.id, c.class, c.network, got, c.want)
		}
	}
}

func TestACampaignComesAtOnce(t *testing.T) {
	w := listening(t, townPolicy(t, "a", "b"), 0)
	h := Healthy()
	h.Batch = 30 * time.Second
	w.Treat("a", "", "", h)
	w.Send(Stream{Class: "otp", Network: "234-15", Burst: Burst{Messages: 10000, Over: 20 * time.Second, Every: time.Hour, Dead: 0.3, DeadLists: 1}})
	w.Advance(midnight.Add(time.Hour - time.Second))
	if n := w.Totals("a").Submitted; n != 0 {
		t.Fatalf("got %d before the campaign", n)
	}
	w.Advance(midnight.Add(time.Hour + 21*time.Second))
	if n := w.Totals("a").Submitted; n != 10000 {
		t.Errorf("got %d in the campaign, want 10000", n)
	}
	w.run(30)
	n := counts(w.told)
	if failed := n["failed"]; failed < 3050 || failed > 3150 {
		t.Errorf("got %d failed, want 3000 dead numbers and 2.5 %% of the rest: %v", failed, n)
	}
	for i := range w.told {
		if o := &w.told[i]; o.Kind == route.KindReceipt && !o.Time.Equal(o.Time.Truncate(30*time.Second)) {
			t.Fatalf("got a receipt at %s, want it with a batch", o.Time)
		}
	}
}

func TestAMutedSourceTellsNothingWhileMessagesGoOn(t *testing.T) {
	w := listening(t, townPolicy(t, "a", "b"), 0)
	w.baselines(Healthy(), "a", "b")
	w.Send(Stream{Class: "otp", Network: "234-15", Rate: 2})
	w.run(10)
	w.Mute(DefaultSource, true)
	before := len(w.told)
	w.run(10)
	if len(w.told) != before || w.Totals("a").Submitted != 2400 {
		t.Errorf("got %d events told, %d messages sent; want none, 2400", len(w.told)-before, w.Totals("a").Submitted)
	}
	untouched(t, w.decisions)
	w.Mute(DefaultSource, false)
	w.run(20)
	untouched(t, w.decisions)
	if len(w.told) == before {
		t.Error("nothing is told after the mute")
	}
}

func TestProbesSeeWhatMessagesWould(t *testing.T) {
	for _, c := range []struct {
		claim  string
		kind   string
		h      Health
		ok, no int
	}{
		{"a healthy route", "handset", func() Health { h := Healthy(); h.Delivered, h.Failed = 1, 0; return h }(), 59, 1},
		{"a black hole", "handset", Health{}, 0, 59},
		{"a black hole answers its bind", "bind", Health{}, 60, 0},
		{"a refusing route", "bind", Health{Refused: 1}, 0, 60},
		{"forged receipts fool a receipt", "receipt", Health{Forged: true, Delay: UsualDelay()}, 57, 3},
		{"and no handset", "handset", Health{Forged: true, Delay: UsualDelay()}, 0, 59},
	} {
		w := listening(t, townPolicy(t, "a"), 0)
		w.Probe("a", c.kind, "234-15", time.Minute)
		w.Treat("a", "", "", c.h)
		w.run(60)
		n := counts(w.told)
		if math.Abs(float64(n["probe ok"]-c.ok)) > 3 || math.Abs(float64(n["probe failed"]-c.no)) > 3 {
			t.Errorf("%s: got %d ok, %d failed; want about %d, %d", c.claim, n["probe ok"], n["probe failed"], c.ok, c.no)
		}
		w.Probe("a", c.kind, "234-15", 0)
		w.run(2)
		told := len(w.told)
		w.run(5)
		if len(w.told) != told {
			t.Errorf("%s: got results of a probe that has ended", c.claim)
		}
	}
}

func TestASilencedRouteDelivers(t *testing.T) {
	w := listening(t, townPolicy(t, "a", "b"), 0)
	h := converting()
	h.Silenced = true
	w.Treat("a", "", "", h)
	w.Send(Stream{Class: "otp", Network: "234-15", Rate: 1})
	w.run(60)
	n := counts(w.told)
	if n["delivered"] != 0 || n["converted"] < 2500 || w.Totals("a").Delivered < 3400 {
		t.Errorf("got %v and %d delivered", n, w.Totals("a").Delivered)
	}
}

// weightedPolicy is a lane whose routes a, b, c share the traffic.
func weightedPolicy(t testing.TB, shares ...int) *policy.Policy {
	text, parts := townText("a", "b", "c"), []string{}
	for i, share := range shares {
		parts = append(parts, fmt.Sprintf("%c: %d", 'a'+i, share))
	}
	return parse(t, strings.Replace(text, "order: [a, b, c]", "share: {"+strings.Join(parts, ", ")+"}", 1))
}
