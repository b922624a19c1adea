package signal

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// onset makes a route sick from a moment on.
func onset(at time.Duration, sick health) func(time.Duration) health {
	return func(now time.Duration) health {
		if now < at {
			return health{}
		}
		return sick
	}
}

// enough is the evidence that rules demote on.
const enough = 12.0

func TestTroubleIsFound(t *testing.T) {
	blackHole, loss := health{delivered: -1, failed: -1}, health{delivered: .70}
	for _, c := range []struct {
		claim  string
		sick   health
		rate   float64
		within time.Duration
		silent bool // whether silence says so, and not failures
	}{
		{"every submit refused, 1/s", health{refused: 1}, 1, 15 * time.Second, false},
		{"every submit refused, 10/s", health{refused: 1}, 10, 10 * time.Second, false},
		{"a black hole, 1/s", blackHole, 1, 35 * time.Second, true},
		{"a black hole, 10/s", blackHole, 10, 20 * time.Second, true},
		{"25 points fail, 1/s", health{delivered: .70, failed: .275}, 1, 150 * time.Second, false},
		{"25 points fail, 10/s", health{delivered: .70, failed: .275}, 10, 30 * time.Second, false},
		{"25 points vanish, 1/s", loss, 1, 200 * time.Second, true},
		{"25 points vanish, 10/s", loss, 10, 50 * time.Second, true},
		{"receipts four times slower, 1/s", health{slower: 4}, 1, 240 * time.Second, true},
		{"receipts four times slower, 10/s", health{slower: 4}, 10, 30 * time.Second, true},
	} {
		t.Run(c.claim, func(t *testing.T) {
			for seed := range uint64(3) {
				const from = 15 * time.Minute
				s := traffic{rate: c.rate, to: from + c.within + time.Minute, health: onset(from, c.sick), seed: seed, source: "node"}
				found, last := time.Duration(0), route.Delivery{}
				play(newBook(), merged(s.tells(), s.events(), beats("node", 0, s.to)), ask("acme"), from+c.within, func(at time.Duration, s []route.Signals) {
					if d := s[0].Delivery; found == 0 && d.Known && d.Evidence >= enough {
						found, last = at, d
					}
				})
				t.Logf("seed %d: found after %v", seed, found-from)
				if found < from {
					t.Fatalf("seed %d: found at %v, want between %v and %v", seed, found, from, from+c.within)
				}
				if silent := last.Silence > last.Failure; silent != c.silent || last.Messages < 3 || last.High > .97 || last.Since.Before(epoch.Add(from-3*time.Minute)) {
					t.Errorf("seed %d: got %+v", seed, last)
				}
			}
		})
	}
}

// A healthy stream with the true baseline: over these simulated days no evidence reaches what rules demote on, where one
// or two false alarms a month are the design.
func TestHealthyStreamsAreLeftInPeace(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for _, c := range []struct {
		rate float64
		days float64
	}{{1.0 / 60, 4}, {.2, 1.5}, {1, .8}, {10, .08}} {
		length := time.Duration(c.days * 24 * float64(time.Hour))
		s := traffic{rate: c.rate, to: length, seed: 11, source: "node"}
		worst, known, all := 0.0, 0, 0
		play(newBook(), merged(s.tells(), s.events(), beats("node", 0, length)), ask("acme"), length, func(at time.Duration, s []route.Signals) {
			all++
			if s[0].Delivery.Known {
				known++
				worst = math.Max(worst, s[0].Delivery.Evidence)
			}
		})
		if worst >= enough || float64(known) < .95*float64(all) {
			t.Errorf("%.3g/s for %.3g days: got %.1f nats, known at %d of %d", c.rate, c.days, worst, known, all)
		}
	}
}

// When receipts alone pause, what is reported is silence, and never that messages fail.
func TestAPauseOfReceiptsIsSilence(t *testing.T) {
	s := traffic{rate: 2, to: 12 * time.Minute, source: "node", seed: 5}
	events := without(s.events(), 8*time.Minute, 12*time.Minute, isReceipt)
	silence, failure := 0.0, 0.0
	play(newBook(), merged(s.tells(), events, beats("node", 0, s.to)), ask("acme"), s.to, func(at time.Duration, s []route.Signals) {
		d := s[0].Delivery
		silence, failure = math.Max(silence, d.Silence), math.Max(failure, d.Failures)
	})
	if silence < enough || failure > 3 {
		t.Errorf("got %.1f nats of silence and %.1f of failure", silence, failure)
	}
}

func TestFakeReceiptsAreFoundByConversions(t *testing.T) {
	s := traffic{rate: 2, to: 20 * time.Minute, health: onset(15*time.Minute, health{delivered: .97, converted: .05}), source: "node", seed: 3, converts: true}
	var last route.Signals
	play(newBook(), merged(s.tells(), s.events(), beats("node", 0, s.to)), ask("acme"), s.to, func(at time.Duration, s []route.Signals) {
		if at < 15*time.Minute && s[0].Conversion.Evidence >= enough {
			t.Fatalf("got %.1f nats while conversions were normal", s[0].Conversion.Evidence)
		}
		if s[0].Conversion.Known { // while none comes at all, it may be their feed
			last = s[0]
		}
	})
	if c := last.Conversion; c.Evidence < enough || c.High > .4 || c.Baseline < .7 || last.Delivery.Evidence >= enough {
		t.Errorf("got %+v, delivery %+v", c, last.Delivery)
	}
}

// A peer that is healthy on the same messages is proven better; one that suffers too is not.
func TestPeersAreComparedOnTheSameTime(t *testing.T) {
	sick := onset(10*time.Minute, health{delivered: -1, failed: -1})
	a := traffic{route: "acme", rate: 2, to: 12 * time.Minute, health: sick, source: "node", seed: 1}
	b := traffic{route: "bolt", rate: 2, to: 12 * time.Minute, source: "node", seed: 2}
	c := traffic{route: "cell", rate: 2, to: 12 * time.Minute, health: sick, source: "node", seed: 3}
	var last []route.Signals
	play(newBook(), merged(a.tells(), b.tells(), c.tells(), a.events(), b.events(), c.events(), beats("node", 0, a.to, "acme", "bolt", "cell")), ask("acme", "bolt", "cell", "none"), a.to,
		func(_ time.Duration, s []route.Signals) { last = s })
	peers := last[0].Peers
	if len(peers) != 3 || peers[0].Route != "bolt" || peers[1].Route != "cell" || peers[2].Route != "none" {
		t.Fatalf("got %+v", peers)
	}
	if !(peers[0].Known && peers[0].Delivery < -4 && peers[1].Known && peers[1].Delivery > 4) || peers[2].Known {
		t.Errorf("got %+v", peers)
	}
	if last[3].Delivery.Known || last[3].Delivery.Cause == "" {
		t.Errorf("a route without messages: got %+v", last[3].Delivery)
	}
}

// A route that is out recovers on messages that arrive, not on time that passes, and only after peace.
func TestRecovery(t *testing.T) {
	out := []route.Inquiry{{Route: "acme", After: epoch.Add(10 * time.Minute), Accused: route.Accused{Arrival: .02}, Peace: 2 * time.Minute}}
	well := traffic{rate: .5, from: 5 * time.Minute, to: 30 * time.Minute, source: "node", seed: 4}
	ill := well
	ill.health = onset(0, health{delivered: -1, failed: -1})
	quiet := well
	quiet.to = 10 * time.Minute
	for _, c := range []struct {
		claim string
		s     traffic
		want  bool
	}{{"receipts are back", well, true}, {"nothing comes back", ill, false}, {"nothing is sent", quiet, false}} {
		best := 0.0
		play(newBook(), merged(c.s.tells(), c.s.events(), beats("node", 0, 30*time.Minute)), out, 30*time.Minute, func(_ time.Duration, s []route.Signals) {
			best = math.Max(best, s[0].Delivery.Recovered)
		})
		if (best >= 4.6) != c.want {
			t.Errorf("%s: got %.1f nats", c.claim, best)
		}
	}
}

func TestThrottlingAndFaultsOfTheMessageAreNoIllness(t *testing.T) {
	s := traffic{rate: 5, to: 15 * time.Minute, source: "node", seed: 9}
	n := 0
	events := each(s.events(), func(e *event) {
		if n++; e.Kind == route.KindSubmit && e.at.Sub(epoch) > 10*time.Minute {
			switch n % 4 {
			case 0:
				e.Result, e.Fault = route.Refused, route.FaultCapacity
			case 1:
				e.Result, e.Fault = route.Refused, route.FaultMessage
			case 2:
				e.Result, e.Fault = route.Refused, route.FaultConfig
			}
		}
	})
	var last route.Signals
	play(newBook(), merged(s.tells(), events, beats("node", 0, s.to)), ask("acme"), s.to, func(_ time.Duration, s []route.Signals) {
		if last = s[0]; last.Delivery.Evidence >= enough {
			t.Fatalf("got %+v", last.Delivery)
		}
	})
	if u := last.Submit; !u.Known || u.Throttled < .1 || u.Refused != 0 || u.P95 != route.Duration(50*time.Millisecond) || u.Messages < 300 {
		t.Errorf("got %+v", u)
	}
}

func TestSilenceWaitsForTheDeadline(t *testing.T) {
	hole := traffic{rate: 5, to: 20 * time.Minute, health: onset(10*time.Minute, health{delivered: -1, failed: -1}), source: "node", seed: 2}
	for class, deadline := range map[route.Class]time.Duration{"otp": 5 * time.Minute, route.AnyClass: 5 * time.Minute} {
		b := New(Options{})
		b.SetLanes([]route.Lane{testLane}, map[route.Class]Terms{class: {Deadline: deadline}})
		found := time.Duration(0)
		play(b, merged(hole.tells(), hole.events(), beats("node", 0, hole.to)), ask("acme"), hole.to, func(at time.Duration, s []route.Signals) {
			if found == 0 && s[0].Delivery.Evidence >= enough {
				found = at
			}
		})
		if found < 15*time.Minute || found > 16*time.Minute {
			t.Errorf("deadline of class %s: found at %v", class, found)
		}
	}
}

func TestKeysOfALaneAreJudgedTogether(t *testing.T) {
	b := newBook()
	var lists [][]event
	for i, n := range []route.Network{"234-10", "234-15", "234-20"} {
		s := traffic{network: n, rate: .3, to: 15 * time.Minute, health: onset(12*time.Minute, health{delivered: .5, failed: .4}), source: "node", seed: uint64(i)}
		lists = append(lists, s.tells(), s.events())
	}
	var last route.Signals
	play(b, merged(append(lists, beats("node", 0, 15*time.Minute))...), ask("acme"), 15*time.Minute, func(_ time.Duration, s []route.Signals) { last = s[0] })
	if d := last.Delivery; d.Evidence < enough || last.Rate < .6 || last.Rate > 1.3 {
		t.Errorf("got %+v at %.2f/s", d, last.Rate)
	}
	b.SetLanes([]route.Lane{{Class: "otp", Network: "234-10"}, testLane}, nil)
	both := b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(15*time.Minute))[0].Delivery
	one := b.Judge(route.Scope{Lane: route.Lane{Class: "otp", Network: "234-10"}}, ask("acme"), epoch.Add(15*time.Minute))[0].Delivery
	if !(one.Messages > 0 && both.Messages > 0 && one.Messages+both.Messages < 1.5*last.Delivery.Messages) {
		t.Errorf("lanes share messages: %v and %v of %v", one.Messages, both.Messages, last.Delivery.Messages)
	}
}

// The rate counts traffic that cannot be judged, so that nobody takes a cold route for an idle one.
func TestRateCountsColdKeys(t *testing.T) {
	s := traffic{rate: 4, to: 5 * time.Minute, source: "node"}
	var last route.Signals
	play(newBook(), merged(s.events(), beats("node", 0, s.to)), ask("acme"), s.to, func(_ time.Duration, s []route.Signals) { last = s[0] })
	if last.Delivery.Known || last.Rate < 3 || last.Rate > 5 {
		t.Errorf("got known %v at %.2f/s", last.Delivery.Known, last.Rate)
	}
}

// Evidence counts only messages sent after the last change of the route, to the nanosecond.
func TestMessagesBeforeTheChangeDoNotCount(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  int64
	}{{0, 0}, {time.Nanosecond, 1}, {5*time.Second - 1, 1}, {5 * time.Second, 1}, {5*time.Second + 300*time.Millisecond, 2}} {
		if got := ceilTick(epoch.Add(c.after)) - tickOf(epoch); got != c.want {
			t.Errorf("%v after a tick: got %d ticks, want %d", c.after, got, c.want)
		}
	}
	s := traffic{rate: 5, to: 10 * time.Minute, health: onset(6*time.Minute, health{delivered: -1, failed: -1}), source: "node"}
	s.health = func(at time.Duration) health {
		if at > 6*time.Minute && at < 8*time.Minute {
			return health{delivered: -1, failed: -1}
		}
		return health{}
	}
	asks := []route.Inquiry{{Route: "acme", After: epoch.Add(8*time.Minute + 300*time.Millisecond)}}
	play(newBook(), merged(s.tells(), s.events(), beats("node", 0, s.to)), asks, s.to, func(at time.Duration, s []route.Signals) {
		if at > 8*time.Minute && s[0].Delivery.Evidence >= enough {
			t.Fatalf("at %v: got %+v", at, s[0].Delivery)
		}
	})
}

// A route that nobody submits to any more is unknown, although its source is alive and older messages are remembered.
func TestAQuietRouteIsUnknown(t *testing.T) {
	s := traffic{rate: 1, to: 10 * time.Minute, source: "node"}
	play(newBook(), merged(s.tells(), s.events(), beats("node", 0, hour)), ask("acme"), 30*time.Minute, func(at time.Duration, x []route.Signals) {
		d := x[0].Delivery
		if at > time.Minute && d.Known != (at <= 25*time.Minute) || !d.Known && !strings.Contains(d.Cause, "of late") {
			t.Fatalf("at %v: got %+v", at, d)
		}
	})
}

// finite walks a value and reports any number that is not one.
func finite(t interface{ Fatalf(string, ...any) }, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("%s is %v", path, f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			finite(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		for i := range v.Len() {
			finite(t, v.Index(i), path)
		}
	}
}

func anyCounts(t *rapid.T) (c Counts) {
	for i := range c {
		c[i] = rapid.OneOf(rapid.Uint32Range(0, 3), rapid.Uint32Range(0, 300), rapid.Just(uint32(math.MaxUint32))).Draw(t, "count")
	}
	return c
}

// Whatever counts the cohorts hold, sensible or not, every number that comes out is one, and shares are shares.
func TestNumbersAreNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook()
		now := epoch.Add(12 * time.Hour)
		for i, id := range []route.ID{"acme", "bolt"} {
			base := toldBaseline(rapid.SampledFrom([]float64{500, 2000, route.MaxBaselineMessages}).Draw(t, "messages"))
			base.Delivered = rapid.SampledFrom([]float64{1e-12, .5, .95, 1}).Draw(t, "delivered")
			base.Failed = rapid.SampledFrom([]float64{0, 1 - base.Delivered}).Draw(t, "failed")
			base.Conversion = rapid.SampledFrom([]float64{0, .8, 1}).Draw(t, "conversion")
			o := route.Observation{Kind: route.KindBaseline, Time: now, Route: id, Class: "otp", Network: "234-15", Baseline: base}
			b.Observe(&o, now)
			o = route.Observation{Kind: route.KindSubmit, Time: now, Route: id, Class: "otp", Network: "234-15"}
			b.Observe(&o, now)
			k := b.keys[o.Key()]
			for range rapid.IntRange(1, 8).Draw(t, "cohorts") {
				if s := k.ring.slot(k.ring.head - rapid.Int64Range(0, ringSpan).Draw(t, "age")); s >= 0 {
					c := anyCounts(t)
					k.ring.merge(s, &c)
				}
			}
			b.account(id).proven = i == 0
		}
		asks := ask("acme", "bolt")
		asks[0].Accused = route.Accused{Arrival: rapid.SampledFrom([]float64{0, .02, .94}).Draw(t, "arrival"), Delivered: rapid.SampledFrom([]float64{0, .01, .97}).Draw(t, "accused"), Conversion: rapid.SampledFrom([]float64{0, .1, .8}).Draw(t, "lost")}
		signals := b.Judge(route.Scope{Lane: testLane}, asks, now)
		finite(t, reflect.ValueOf(signals), "signals")
		if _, err := json.Marshal(signals); err != nil {
			t.Fatal(err)
		}
		for _, s := range signals {
			for _, r := range [][3]float64{{s.Delivery.Low, s.Delivery.Ratio, s.Delivery.High}, {s.Conversion.Low, s.Conversion.Ratio, s.Conversion.High}} {
				if !(0 <= r[0] && r[0] <= r[2] && r[2] <= 1 && 0 <= r[1] && r[1] <= 1) {
					t.Fatalf("got %v", r)
				}
			}
			if s.Delivery.Evidence < 0 || s.Delivery.Recovered < 0 || s.Conversion.Evidence < 0 {
				t.Fatalf("got %+v", s)
			}
		}
		finite(t, reflect.ValueOf(b.Baselines()), "baselines")
	})
}

// Cohorts of two nodes add up: the evidence from their sum is that of a node which saw everything.
func TestRingsMerge(t *testing.T) {
	s := traffic{rate: 3, to: 90 * time.Minute, health: onset(85*time.Minute, health{delivered: .5}), seed: 6}
	whole, parts := newBook(), []*Book{newBook(), newBook()}
	r := rand.New(rand.NewPCG(3, 3))
	for _, b := range append([]*Book{whole}, parts...) {
		play(b, s.tells(), nil, 0, nil)
	}
	seen := map[time.Time]int{}
	for _, e := range s.events() {
		if e.at.Sub(epoch) > s.to {
			break
		}
		node, ok := seen[e.Submitted] // receipts go where their submit went
		if !ok {
			node = r.IntN(2)
			seen[e.Submitted] = node
		}
		whole.Observe(&e.Observation, e.at)
		parts[node].Observe(&e.Observation, e.at)
	}
	id := route.Key{Route: "acme", Class: "otp", Network: "234-15"}
	a, b, w := parts[0].keys[id], parts[1].keys[id], whole.keys[id]
	head := max(a.ring.head, b.ring.head, w.ring.head)
	for _, k := range []*key{a, b, w} {
		k.ring.advance(head, func(int64, *Counts) {})
	}
	for slot := range slots {
		c := b.ring.at(slot)
		a.ring.merge(slot, &c)
	}
	for _, k := range []*key{a, w} {
		k.normal, k.factor, k.crowds = testNormal(), 1.1, w.crowds
	}
	got, want := []track{{cells: a.fill(&filling{}, nil, head, 0, 0, 0), normal: a.normal}}, []track{{cells: w.fill(&filling{}, nil, head, 0, 0, 0), normal: w.normal}}
	if !reflect.DeepEqual(got[0].cells, want[0].cells) {
		t.Error("the cells of the sum are not those of the whole")
	}
	if g, w := scan(prefixes(nil, got)), scan(prefixes(nil, want)); g != w || g.evidence < enough {
		t.Errorf("got %+v, want %+v", g, w)
	}
}
