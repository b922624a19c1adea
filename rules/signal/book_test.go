package signal

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func probeAt(at time.Duration, kind string, ok bool, network route.Network) *route.Observation {
	return &route.Observation{Kind: route.KindProbe, Time: epoch.Add(at), Route: "acme", Probe: kind, OK: ok, Network: network, Latency: 100 * time.Millisecond}
}

func TestProbes(t *testing.T) {
	b := newBook()
	for i := range 15 {
		at := time.Duration(i) * 10 * time.Second
		b.Observe(probeAt(at, "bind", i < 12, ""), epoch.Add(at))
		b.Observe(probeAt(at, "submit", true, "234-15"), epoch.Add(at))
		b.Observe(probeAt(at, "submit", i < 14, "234-10"), epoch.Add(at))
		b.Observe(probeAt(at, "submit", false, "208-01"), epoch.Add(at))
	}
	judge := func(at time.Duration) map[string]route.Probe {
		return b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(at))[0].Probes
	}
	got := judge(150 * time.Second)
	want := map[string]route.Probe{
		"bind":   {Quality: route.Quality{Known: true, Age: route.Duration(10 * time.Second)}, OK: .7, Failures: 3, P95: route.Duration(100 * time.Millisecond)},
		"submit": {Quality: route.Quality{Known: true, Age: route.Duration(10 * time.Second)}, OK: .9, Failures: 1, P95: route.Duration(100 * time.Millisecond)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	t.Run("told twice or out of order counts once", func(t *testing.T) {
		b.Observe(probeAt(140*time.Second, "bind", false, ""), epoch.Add(150*time.Second))
		b.Observe(probeAt(30*time.Second, "bind", true, ""), epoch.Add(150*time.Second))
		if got := judge(150 * time.Second)["bind"]; got.Failures != 3 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("one of every network concerns each lane", func(t *testing.T) {
		b.Observe(probeAt(145*time.Second, "tcp", false, route.AnyNetwork), epoch.Add(150*time.Second))
		if got := judge(150 * time.Second)["tcp"]; !got.Known || got.Failures != 1 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a prober that stopped leaves nobody failing for ever", func(t *testing.T) {
		if got := judge(4 * time.Minute)["bind"]; !got.Known || got.Failures != 3 {
			t.Errorf("soon after: got %+v", got)
		}
		got := judge(5 * time.Minute)["bind"]
		if got.Known || got.Failures != 0 || got.Cause != "no result for 2m40s" {
			t.Errorf("later: got %+v", got)
		}
	})
	t.Run("a result from the future does not last", func(t *testing.T) {
		b.Observe(probeAt(24*time.Hour, "bind", false, ""), epoch.Add(6*time.Minute))
		b.Observe(probeAt(6*time.Minute, "bind", true, ""), epoch.Add(6*time.Minute))
		if got := judge(6 * time.Minute)["bind"]; !got.Known || got.Successes != 1 || got.Failures != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHandsetProbesOfTheWindow(t *testing.T) {
	a := &account{}
	for i := range 8 {
		o := probeAt(time.Duration(i)*time.Minute, handset, i%2 == 0, "234-15")
		o.Sent = o.Time.Add(-30 * time.Second)
		a.probe(o, o.Time)
	}
	a.probe(probeAt(8*time.Minute, "receipt", true, ""), epoch.Add(8*time.Minute))
	if ok, failed := a.since(testLane, epoch.Add(210*time.Second)); ok != 2 || failed != 2 {
		t.Errorf("got %d and %d, want those sent at 3:30, 4:30, 5:30 and 6:30", ok, failed)
	}
	if ok, failed := a.since(route.Lane{Class: "otp", Network: "FR"}, epoch); ok+failed != 0 {
		t.Errorf("another country: got %d and %d", ok, failed)
	}
}

func TestAnswers(t *testing.T) {
	var a answers
	submit := func(at time.Duration, r route.Result, f route.Fault, took time.Duration) {
		a.note(&route.Observation{Time: epoch.Add(at), Result: r, Fault: f, Latency: took})
	}
	for i := range 100 {
		submit(time.Duration(i)*time.Second, route.Accepted, 0, time.Duration(i+1)*10*time.Millisecond)
	}
	submit(100*time.Second, route.Refused, route.FaultRoute, 0)
	submit(100*time.Second, route.Refused, route.FaultCapacity, 0)
	submit(100*time.Second, route.Refused, route.FaultMessage, 0)
	submit(100*time.Second, route.TimedOut, 0, 0)
	k := []*key{{answers: a}}
	s := submits(k, epoch.Add(100*time.Second), time.Time{}, route.Quality{Known: true})
	if s.Messages != 104 || s.Refused != 1.0/104 || s.Throttled != 1.0/104 || s.Timeouts != 1.0/104 || s.P95 != route.Duration(time.Second) {
		t.Errorf("got %+v", s)
	}
	if s = submits(k, epoch.Add(150*time.Second), time.Time{}, route.Quality{Known: true}); s.Messages != 44 {
		t.Errorf("a minute later: got %+v", s)
	}
	if s = submits(k, epoch.Add(10*time.Minute), time.Time{}, route.Quality{Known: true}); s.Known || s.Cause != "no submits in the last minute" {
		t.Errorf("much later: got %+v", s)
	}
	if s = submits(k, epoch, time.Time{}, route.Quality{Cause: "c"}); s.Known || s.Messages != 0 {
		t.Errorf("while unknown: got %+v", s)
	}
	t.Run("a clock that is set back starts anew", func(t *testing.T) {
		submit(time.Hour, route.Accepted, 0, 0)
		submit(10*time.Minute, route.Accepted, 0, 0)
		if a.kept.now.all != 1 || a.turn != epoch.Add(10*time.Minute).Unix()/60 {
			t.Errorf("got %+v", a.kept.now)
		}
	})
}

func TestCausesNameTheSources(t *testing.T) {
	for want, names := range map[string][]string{"a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}, "a, b and 3 more": {"a", "b", "c", "d", "e"}} {
		var c clock
		for i := len(names) - 1; i >= 0; i-- {
			c.link(names[i], &source{})
		}
		if got := list(c.links); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSharesForget(t *testing.T) {
	var s share
	note := func(at time.Duration, bad bool, n int) {
		for range n {
			s.note(epoch.Add(at), time.Minute, bad)
		}
	}
	above := func(at time.Duration) bool { return s.above(epoch.Add(at), time.Minute, disorderLeft) }
	note(0, true, disorderMin-1)
	if above(0) {
		t.Error("too few are enough")
	}
	note(0, true, 1)
	if !above(0) || !above(61*time.Second) {
		t.Error("forgotten within a turn")
	}
	if above(3 * time.Minute) {
		t.Error("remembered for ever")
	}
	note(4*time.Minute, false, 1000)
	note(4*time.Minute, true, 50)
	if above(4 * time.Minute) {
		t.Error("one in twenty is too much")
	}
	note(4*time.Minute, true, 10)
	if !above(4 * time.Minute) {
		t.Error("more than one in twenty is not")
	}
	if above(-time.Hour) {
		t.Error("a clock set back remembers")
	}
}

func TestDeadlinesFallBackToAnyClass(t *testing.T) {
	b := New(Options{})
	b.SetLanes(nil, map[route.Class]Terms{"otp": {Deadline: time.Second}, route.AnyClass: {Deadline: time.Minute}})
	for class, want := range map[route.Class]time.Duration{"otp": time.Second, "bulk": time.Minute} {
		if got := b.termsOf(class).Deadline; got != want {
			t.Errorf("%s: got %v, want %v", class, got, want)
		}
	}
}

// Keys keep their cohorts when lanes change, and count in the lane that serves them now.
func TestLanesMayChange(t *testing.T) {
	s := traffic{rate: 2, to: 5 * time.Minute, source: "node"}
	b := New(Options{})
	play(b, merged(s.tells(), s.events()), ask("acme"), s.to, nil)
	now := epoch.Add(s.to)
	if d := b.Judge(route.Scope{Lane: testLane}, ask("acme"), now)[0].Delivery; d.Known || d.Cause != "no messages yet" {
		t.Errorf("without lanes: got %+v", d)
	}
	any := route.Lane{Class: "*", Network: "*"}
	b.SetLanes([]route.Lane{any}, nil)
	if d := b.Judge(route.Scope{Lane: any}, ask("acme"), now)[0].Delivery; !d.Known {
		t.Errorf("any lane: got %+v", d)
	}
	b.SetLanes([]route.Lane{any, testLane}, nil)
	if d := b.Judge(route.Scope{Lane: any}, ask("acme"), now)[0].Delivery; d.Known {
		t.Errorf("the wider lane: got %+v", d)
	}
	if d := b.Judge(route.Scope{Lane: testLane}, ask("acme"), now)[0].Delivery; !d.Known {
		t.Errorf("the closer lane: got %+v", d)
	}
}

func TestNamesDoNotAddUp(t *testing.T) {
	b := New(Options{MaxKeys: 50})
	b.SetLanes([]route.Lane{testLane}, nil)
	o := tellObservation("taught", "234-15", toldBaseline(1000))
	b.Observe(o, epoch)
	for i := range 1000 {
		at := epoch.Add(time.Duration(i) * time.Second)
		name := fmt.Sprint("x", i)
		beat := route.Observation{Kind: route.KindHeartbeat, Time: at, Source: name, Routes: []route.ID{route.ID(name)}}
		b.Observe(&beat, at)
		b.Observe(&route.Observation{Kind: route.KindSubmit, Time: at, Source: name, Route: route.ID(name), Class: "otp", Network: "234-15"}, at)
		b.Observe(&route.Observation{Kind: route.KindProbe, Time: at, Route: route.ID(name), Probe: name}, at)
	}
	if len(b.keys) > 50 || len(b.sources) > 50 || len(b.routes) > 50 || b.Stats().Keys != len(b.keys) || b.Stats().Overflow < 1000 {
		t.Fatalf("got %d keys, %d sources, %d routes, %+v", len(b.keys), len(b.sources), len(b.routes), b.Stats())
	}
	for h := 1; h <= 60; h++ { // nobody is heard of any more
		b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(time.Duration(h)*time.Hour))
		for _, k := range b.keys {
			k.advance(b, tickOf(epoch.Add(time.Duration(h)*time.Hour)))
		}
	}
	if len(b.sources) != 0 || len(b.keys) != 1 || b.keys[o.Key()] == nil || len(b.routes) > 2 {
		t.Errorf("got %d keys, %d sources, %d routes", len(b.keys), len(b.sources), len(b.routes))
	}
	if got := b.Changed(); len(got) != 1 || got[0].Key.Route != "taught" {
		t.Errorf("got %d changed", len(got))
	}
	t.Run("and there is room again", func(t *testing.T) {
		now := epoch.Add(61 * time.Hour)
		fresh := route.Observation{Kind: route.KindSubmit, Time: now, Source: "fresh", Route: "fresh", Class: "otp", Network: "234-15"}
		b.Observe(&fresh, now)
		if b.keys[fresh.Key()] == nil || b.sources["fresh"] == nil {
			t.Error("the new key is not held")
		}
	})
}

func TestOneRouteWaitsForBoundedSources(t *testing.T) {
	b := newBook()
	for i := range 2 * maxLinks {
		b.Observe(&route.Observation{Kind: route.KindHeartbeat, Time: epoch, Source: fmt.Sprint(i), Routes: []route.ID{"acme"}}, epoch)
	}
	c := &b.routes["acme"].clock
	if len(c.links) != maxLinks || len(c.byName) != maxLinks {
		t.Fatalf("got %d links", len(c.links))
	}
	c.forget(epoch.Add(2 * forgottenAfter))
	if len(c.links) != 0 || len(c.byName) != 0 {
		t.Errorf("kept %d links", len(c.links))
	}
}

func TestStatsCountWhatIsNotUsed(t *testing.T) {
	b := newBook()
	submit := func(at time.Duration) *route.Observation {
		return &route.Observation{Kind: route.KindSubmit, Time: epoch.Add(at), Route: "acme", Class: "otp", Network: "234-15"}
	}
	b.Observe(submit(time.Hour), epoch.Add(time.Hour))
	b.Observe(submit(time.Hour-lateAfter), epoch.Add(time.Hour))
	b.Observe(submit(time.Hour-lateAfter-time.Second), epoch.Add(time.Hour))
	old := route.Observation{Kind: route.KindReceipt, Final: true, Status: route.StatusDelivered, Time: epoch.Add(time.Hour), Submitted: epoch.Add(-9 * time.Hour), Route: "acme", Class: "otp", Network: "234-15"}
	b.Observe(&old, epoch.Add(time.Hour))
	if got, want := b.Stats(), (Stats{Late: 1, Old: 1, Keys: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Between two heartbeats of its only source, a route's nameless events tell the time; of several, the slowest does.
func TestTheSlowestSourceTellsTheTime(t *testing.T) {
	b := newBook()
	beat := func(at time.Duration, name string) {
		b.Observe(&route.Observation{Kind: route.KindHeartbeat, Time: epoch.Add(at), Source: name, Routes: []route.ID{"acme"}}, epoch.Add(at))
	}
	submit := func(at time.Duration) {
		b.Observe(&route.Observation{Kind: route.KindSubmit, Time: epoch.Add(at), Route: "acme", Class: "otp", Network: "234-15"}, epoch.Add(at))
	}
	read := func(at time.Duration) time.Duration {
		r := b.routes["acme"].clock.read(epoch.Add(at))
		if r.cause != "" {
			t.Fatal(r.cause)
		}
		return r.at.Sub(epoch)
	}
	beat(0, "a")
	submit(8 * time.Second)
	if got := read(9 * time.Second); got != 8*time.Second {
		t.Errorf("one source: got %v", got)
	}
	beat(10*time.Second, "b")
	submit(15 * time.Second)
	if got := read(16 * time.Second); got != 8*time.Second {
		t.Errorf("two sources, the slower at 8 s: got %v", got)
	}
}

func TestOpenMessages(t *testing.T) {
	s := traffic{rate: 4, to: 20 * time.Minute, source: "node", seed: 8, health: onset(15*time.Minute, health{delivered: -1, failed: -1})}
	var before, after route.Open
	play(newBook(), merged(s.tells(), s.events(), beats("node", 0, s.to)), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
		if at == 15*time.Minute {
			before = x[0].Open
		}
		after = x[0].Open
	})
	if before.Messages < 60 || before.Messages > 250 || after.Messages < 1200 || after.Messages > 1450 || after.OldestP95.D() < 5*time.Minute {
		t.Errorf("got %+v, then %+v", before, after)
	}
}

// What stands in causes is read by people: whole words, no Go syntax.
func TestCausesReadWell(t *testing.T) {
	var c clock
	if r := c.read(epoch); r.cause != "no event and no heartbeat yet" {
		t.Errorf("got %q", r.cause)
	}
	c.link("node-1", &source{watermark: epoch, moved: epoch})
	c.link("node-2", &source{watermark: epoch.Add(3725 * time.Second), moved: epoch})
	if r := c.read(epoch); r.cause != "the clocks of node-1 and node-2 differ by 1h2m5s" {
		t.Errorf("got %q", r.cause)
	}
	if r := c.read(epoch.Add(time.Minute)); r.cause != "no event and no heartbeat from node-1 and node-2 for more than 25s" || strings.Contains(r.cause, "%") {
		t.Errorf("got %q", r.cause)
	}
}
