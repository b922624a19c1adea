package signal

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func baselineOf(b *Book, id route.ID) KeyBaseline {
	for _, k := range b.Baselines() {
		if k.Key.Route == id {
			return k
		}
	}
	return KeyBaseline{}
}

// After the 70 minutes in which receipts may come, healthy traffic teaches what is normal; until 500 messages are mature
// the route is cold.
func TestBaselinesAreLearned(t *testing.T) {
	s := traffic{rate: 1, to: 100 * time.Minute, source: "node", seed: 4, converts: true}
	b := newBook()
	warm := time.Duration(0)
	play(b, merged(s.events(), beats("node", 0, s.to)), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
		if warm == 0 && x[0].Delivery.Known {
			warm = at
		}
		if d := x[0].Delivery; d.Known && d.Evidence >= enough {
			t.Fatalf("at %v: got %+v", at, d)
		}
	})
	if warm < 76*time.Minute || warm > 84*time.Minute {
		t.Errorf("warm after %v, want 70 minutes and the time of 500 messages", warm)
	}
	k := baselineOf(b, "acme")
	if k.Source != own || math.Abs(k.Baseline.Delivered-normalDelivered) > .02 || math.Abs(k.Baseline.Failed-normalFailed) > .015 || math.Abs(k.Baseline.Conversion-.8) > .05 {
		t.Errorf("got %+v", k)
	}
	if err := k.Baseline.Check(); err != nil {
		t.Errorf("what was learned cannot be told: %v", err)
	}
	c := newCurve(k.Baseline.Ages, k.Baseline.CDF)
	for _, age := range []float64{2, 5, 10, 30, 120} {
		if got, want := c.at(age), delayCDF(age); math.Abs(got-want) > .03 {
			t.Errorf("receipts by %v s: got %.3f, want %.3f", age, got, want)
		}
	}
}

func TestWhatABaselineMustRestOn(t *testing.T) {
	learned := func(submitted, delivered, failed float64) *Learned {
		l := &Learned{Submitted: submitted, Failed: failed}
		l.Delivered[1], l.Delivered[3] = delivered/2, delivered/2
		return l
	}
	for _, c := range []struct {
		claim string
		l     *Learned
		want  float64 // delivered; 0 is cold
	}{
		{"nothing", &Learned{}, 0},
		{"499 messages", learned(499, 480, 5), 0},
		{"500 messages", learned(500, 475, 12), .95},
		{"many messages, and none came back", learned(1e6, 0, 0), 0},
		{"many messages, and too few came back to know how receipts come", learned(1e6, 99, 1e5), 0},
		{"a bad route is normal to itself", learned(10000, 3000, 6000), .30},
		{"everything delivered leaves room for doubt", learned(1000, 1000, 0), .999},
	} {
		n := c.l.normal(own)
		switch {
		case n == nil:
			if c.want != 0 {
				t.Errorf("%s: cold", c.claim)
			}
		case math.Abs(n.delivered-c.want) > 1e-9 || n.arrival <= n.delivered || n.arrival >= 1 || n.status >= 1:
			t.Errorf("%s: got %+v", c.claim, n)
		}
	}
}

// A route on which nothing ever came back is cold, says so, and harms nobody.
func TestARouteWithoutReceiptsStaysCold(t *testing.T) {
	s := traffic{rate: 1, to: 90 * time.Minute, health: onset(0, health{delivered: -1, failed: -1}), source: "node"}
	var last route.Delivery
	play(newBook(), merged(s.events(), beats("node", 0, s.to)), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { last = x[0].Delivery })
	if last.Known || !strings.Contains(last.Cause, "0 came back delivered") {
		t.Errorf("got %+v", last)
	}
}

// An incident of two hours, found by itself or because the route is out, does not become the normal it is measured by.
func TestIncidentsAreNotLearned(t *testing.T) {
	const from = 20 * time.Minute
	s := traffic{rate: 1, to: from + 2*time.Hour, health: onset(from, health{delivered: .3, failed: .6}), source: "node", seed: 3}
	for claim, accused := range map[string]route.Accused{"suspect": {}, "out": {Delivered: .3}} {
		b := newBook()
		asks := []route.Inquiry{{Route: "acme", Accused: accused}}
		var last route.Signals
		play(b, merged(s.tells(), s.events(), beats("node", 0, s.to)), asks, s.to, func(_ time.Duration, x []route.Signals) { last = x[0] })
		if k := baselineOf(b, "acme"); k.Baseline.Delivered < .93 {
			t.Errorf("%s: the baseline is now %.3f", claim, k.Baseline.Delivered)
		}
		if claim == "suspect" && last.Delivery.Evidence < 100 {
			t.Errorf("%s: after two hours the evidence is %.1f", claim, last.Delivery.Evidence)
		}
	}
}

// While clocks disagree, receipts have ages that mean nothing; they are not learned, although messages mature.
func TestUndatedMessagesAreNotLearned(t *testing.T) {
	s := traffic{rate: 2, to: 110 * time.Minute, seed: 3}
	events := merged(skewed(told(s.events(), "node", "sink", "sink"), 0, -hour), beats("node", 0, s.to))
	b := newBook()
	play(b, events, ask("acme"), s.to, nil)
	for id, k := range b.keys {
		if n := k.learned.messages(); n > 30 {
			t.Errorf("%v learned %v messages", id, n)
		}
	}
}

func TestBaselinesFadeByHalfInThreeDays(t *testing.T) {
	l := &Learned{}
	c := Counts{fieldSubmitted: 1000, fieldFailed: 20, fieldDelivered + 1: 900}
	if !l.learn(epoch, &c) {
		t.Fatal("nothing learned")
	}
	l.fade(epoch.Add(baselineHalfLife))
	if math.Abs(l.Submitted-500) > 1e-9 || math.Abs(l.Delivered[1]-450) > 1e-9 || math.Abs(l.Failed-10) > 1e-9 {
		t.Errorf("got %+v", l)
	}
	before := *l
	l.fade(epoch)
	if !reflect.DeepEqual(before, *l) {
		t.Error("an earlier moment changed it")
	}
	if l.learn(epoch.Add(baselineHalfLife), &Counts{fieldSubmitted: 5, fieldDelivered: 6}) {
		t.Error("learned from more receipts than messages")
	}
}

func TestATaughtBaselineGivesWayToWhatIsLearned(t *testing.T) {
	l := &Learned{}
	l.tell(epoch, toldBaseline(1000))
	l.Submitted, l.Failed, l.Delivered[0] = 1000, 100, 850
	n := l.normal(own)
	if want := (normalDelivered + .85) / 2; math.Abs(n.delivered-want) > 1e-9 {
		t.Errorf("half and half: got %v, want %v", n.delivered, want)
	}
	if got, want := n.receipts.at(2), (delayCDF(2)+1)/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("receipts by 2 s: got %v, want %v", got, want)
	}
}

func tellObservation(id route.ID, network route.Network, base *route.Baseline) *route.Observation {
	return &route.Observation{Kind: route.KindBaseline, Time: epoch, Route: id, Class: "otp", Network: network, Baseline: base}
}

func TestTelling(t *testing.T) {
	b := newBook()
	base := toldBaseline(5000)
	b.Observe(tellObservation("acme", "234-15", base), epoch)
	base.Delivered, base.CDF[0], base.Ages[0] = .1, .9, .01
	k := baselineOf(b, "acme")
	if k.Source != own || k.Baseline.Delivered != normalDelivered || k.Baseline.Ages[0] != toldAges[0] || k.Baseline.Messages != 5000 {
		t.Errorf("the observation is still part of the baseline: %+v", k)
	}
	if got := b.Changed(); len(got) != 1 || len(b.Changed()) != 0 {
		t.Errorf("got %d changed, then some again", len(got))
	}
	t.Run("anew, with as many messages", func(t *testing.T) {
		s := traffic{rate: 5, to: 2 * time.Minute, source: "node"}
		play(b, s.events(), ask("acme"), s.to, nil)
		again := toldBaseline(5000)
		again.Delivered = .6
		b.Observe(tellObservation("acme", "234-15", again), epoch.Add(s.to))
		if d := b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(s.to))[0].Delivery; !d.Known || d.Baseline != .6 {
			t.Errorf("got %+v", d)
		}
	})
	for claim, bad := range map[string]*route.Baseline{"none": nil, "an empty one": {}, "a falling one": {Delivered: .9, Messages: 900, Ages: []float64{1, 2}, CDF: []float64{1, .5}}} {
		b.Observe(tellObservation("bolt", "234-15", bad), epoch)
		if k := baselineOf(b, "bolt"); k.Source == own {
			t.Errorf("%s was taken: %+v", claim, k)
		}
	}
}

func TestPools(t *testing.T) {
	b := newBook()
	tell := func(id route.ID, class route.Class, network route.Network, delivered, messages float64) {
		base := toldBaseline(messages)
		base.Delivered, base.Conversion, base.ConversionCDF = delivered, 0, nil
		o := tellObservation(id, network, base)
		o.Class = class
		b.Observe(o, epoch)
	}
	tell("acme", "otp", "234-15", .96, 3000)
	tell("bolt", "otp", "234-15", .90, 1000)
	tell("acme", "otp", "208-01", .80, 4000)
	tell("acme", "bulk", "234-15", .50, 4000)
	for _, n := range []route.Network{"234-15", "208-01", "262-01"} {
		b.Observe(&route.Observation{Kind: route.KindSubmit, Time: epoch, Route: "cold", Class: "otp", Network: n}, epoch)
	}
	b.Observe(&route.Observation{Kind: route.KindSubmit, Time: epoch, Route: "cold", Class: "sms", Network: "234-15"}, epoch)
	want := map[string]struct {
		source    string
		delivered float64
	}{
		"acme otp 234-15": {own, .96}, "bolt otp 234-15": {own, .90}, "acme otp 208-01": {own, .80}, "acme bulk 234-15": {own, .50},
		"cold otp 234-15": {poolNetwork, (.96*3 + .90) / 4}, "cold otp 208-01": {poolNetwork, .80},
		"cold otp 262-01": {poolClass, (.96*3 + .90 + .80*4) / 8}, "cold sms 234-15": {"", 0},
	}
	for _, k := range b.Baselines() {
		if w := want[fmt.Sprint(k.Key.Route, " ", k.Key.Class, " ", k.Key.Network)]; k.Source != w.source || math.Abs(k.Baseline.Delivered-w.delivered) > 1e-9 {
			t.Errorf("%v: got %s %v, want %+v", k.Key, k.Source, k.Baseline.Delivered, w)
		}
	}
}

// Pooling weighs by messages, whatever the order.
func TestPoolingIsAMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := make([]Learned, rapid.IntRange(1, 5).Draw(t, "parts"))
		total, delivered := 0.0, 0.0
		var there, back Learned
		for i := range parts {
			base := toldBaseline(rapid.Float64Range(1, 1e4).Draw(t, "messages"))
			base.Delivered = rapid.Float64Range(.1, .97).Draw(t, "delivered")
			base.Conversion = 0
			parts[i].tell(epoch, base)
			total, delivered = total+base.Messages, delivered+base.Messages*base.Delivered
		}
		for i := range parts {
			there.merge(&parts[i])
			back.merge(&parts[len(parts)-1-i])
		}
		for _, l := range []*Learned{&there, &back} {
			if !near(l.messages(), total) || !near(l.returned(), delivered) {
				t.Fatalf("got %v of %v, want %v of %v", l.returned(), l.messages(), delivered, total)
			}
			if err := l.Told.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if !near(there.Told.CDF[10], back.Told.CDF[10]) {
			t.Fatalf("the order counts: %v and %v", there.Told.CDF, back.Told.CDF)
		}
	})
}

// A run that goes on from what another stored judges as that one would have.
func TestRestoredBaselinesJudgeTheSame(t *testing.T) {
	learnt := traffic{rate: 2, to: 95 * time.Minute, source: "node", seed: 12, converts: true}
	first := newBook()
	play(first, merged(learnt.events(), tellEvents("bolt")), ask("acme", "bolt"), learnt.to, nil)
	stored := first.Changed()
	if len(stored) != 2 || stored[0].Key.Route != "acme" || stored[1].Key.Route != "bolt" {
		t.Fatalf("got %d baselines", len(stored))
	}
	run := func() (out []route.Signals) {
		b := newBook()
		if err := b.Restore(stored); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b.Baselines(), first.Baselines()) {
			t.Error("the baselines differ")
		}
		after := traffic{rate: 2, from: 100 * time.Minute, to: 115 * time.Minute, health: onset(110*time.Minute, health{delivered: .5}), source: "node", seed: 13, converts: true}
		other := after
		other.route, other.seed = "bolt", 14
		play(b, merged(after.events(), other.events()), ask("acme", "bolt"), after.to, func(_ time.Duration, x []route.Signals) { out = append(out, x...) })
		return out
	}
	a, b := run(), run()
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs differ")
	}
	if last := a[len(a)-2]; !last.Delivery.Known || last.Delivery.Evidence < enough {
		t.Errorf("the incident is not found: %+v", last.Delivery)
	}
}

func tellEvents(id route.ID) []event { return traffic{route: id}.tells() }

func TestRestoreRefusesWhatCannotBe(t *testing.T) {
	for _, data := range []string{``, `{`, `{"submitted":-1}`, `{"submitted":1e300}`, `{"told":{"delivered":2}}`, `{"told":{"delivered":0.9,"ages":[1,2],"cdf":[1]},"told_now":900}`, `{"delivered":"x"}`} {
		err := newBook().Restore([]Stored{{route.Key{Route: "acme", Class: "otp", Network: "GB"}, []byte(data)}})
		if err == nil || !strings.HasPrefix(err.Error(), "restore baseline of acme otp GB: ") {
			t.Errorf("%s: got %v", data, err)
		}
	}
	if err := newBook().Restore([]Stored{{Data: []byte(`{}`)}}); err != nil {
		t.Errorf("an empty baseline: got %v", err)
	}
}

func TestSuspectSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, marked, now := &key{}, map[int64]bool{}, int64(10_000)
		for range rapid.IntRange(1, 30).Draw(t, "spans") {
			now += rapid.Int64Range(1, 400).Draw(t, "later")
			from := now - rapid.Int64Range(0, 50).Draw(t, "length")
			k.accuse(from, now)
			for tick := from; tick <= now; tick++ {
				marked[tick] = true
			}
		}
		for tick := range marked {
			if now-tick <= maturity+2*ticksPerMid && !k.suspected(tick, tick) {
				t.Fatalf("tick %d is forgotten at %d: %v", tick, now, k.suspect)
			}
		}
		if k.suspected(now+1, now+100) {
			t.Fatal("the future is suspect")
		}
	})
}
