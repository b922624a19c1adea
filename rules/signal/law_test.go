package signal

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// Unknown is not bad: whatever happens to those who observe, a route that treats its messages well is never accused by a
// signal that claims to know.

const hour = time.Hour

// healthyTraffic is twenty minutes of a route that is well.
func healthyTraffic() traffic {
	return traffic{rate: 4, to: 20 * time.Minute, source: "node", seed: 8}
}

// beside adds the heartbeats of sources.
func beside(events []event, sources ...string) []event {
	for _, s := range sources {
		events = merged(events, beats(s, 0, 20*time.Minute))
	}
	return events
}

func TestUnknownIsNotBad(t *testing.T) {
	const trouble = 10 * time.Minute
	s := healthyTraffic()
	everything := func(*event) bool { return true }
	of := func(source string) func(*event) bool { return func(e *event) bool { return e.Source == source } }
	halves := func() []event { // two nodes, each with half of the messages
		return each(s.events(), func(e *event) {
			if e.Submitted.UnixNano()%2 == 0 {
				e.Source = "other"
			}
		})
	}
	nameless := func() []event { return told(s.events(), "", "", "") }
	for _, c := range []struct {
		claim  string
		events []event
		cause  string // part of what is said while it is unknown; "" is that it stays known
	}{
		{"the only source stops", without(beside(s.events(), "node"), trouble, hour, everything), "no event and no heartbeat from node for more than 25s"},
		{"a nameless source stops", without(nameless(), trouble, hour, everything), "no event for more than 25s"},
		{"a source pauses for two minutes", without(beside(s.events(), "node"), trouble, trouble+2*time.Minute, everything), "no event and no heartbeat from node"},
		{"one of two sources stops", without(beside(halves(), "node", "other"), trouble, hour, of("other")), "no receipt since other"},
		{"one of two sources that send nameless events stops", without(beside(told(halves(), "", "", ""), "node", "other"), trouble, hour, func(e *event) bool {
			return e.Source == "other" || e.Submitted.UnixNano()%2 == 0
		}), ""},
		{"the source of receipts stops", without(beside(told(s.events(), "node", "sink", "sink"), "node", "sink"), trouble, hour, of("sink")), "no receipt since sink, which brought receipts, went silent"},
		{"the source of submits stops", without(beside(told(s.events(), "node", "sink", "sink"), "node", "sink"), trouble, hour, of("node")), ""},
		{"named: submits an hour ahead", beside(skewed(told(s.events(), "node", "sink", "sink"), hour, 0), "sink"), "the clocks of sink and node differ by"},
		{"named: submits an hour behind", beside(skewed(told(s.events(), "node", "sink", "sink"), -hour, 0), "sink"), "the clocks of node and sink differ by"},
		{"named: receipts an hour ahead", beside(skewed(told(s.events(), "node", "sink", "sink"), 0, hour), "node"), "the clocks of node and sink differ by"},
		{"named: receipts an hour behind", beside(skewed(told(s.events(), "node", "sink", "sink"), 0, -hour), "node"), "the clocks of sink and node differ by"},
		{"named: everything an hour ahead", skewed(s.events(), hour, hour), ""},
		{"named: everything an hour behind", skewed(s.events(), -hour, -hour), ""},
		{"nameless: submits an hour ahead", skewed(nameless(), hour, 0), "out of order"},
		{"nameless: submits an hour behind", skewed(nameless(), -hour, 0), "submits arrive out of order"},
		{"nameless: receipts an hour ahead", skewed(nameless(), 0, hour), "submits arrive out of order"},
		{"nameless: receipts an hour behind", skewed(nameless(), 0, -hour), "receipts arrive out of order"},
		{"nameless: everything an hour ahead", skewed(nameless(), hour, hour), ""},
		{"nameless: everything an hour behind", skewed(nameless(), -hour, -hour), ""},
		{"nameless events an hour behind the heartbeats of two", beside(skewed(nameless(), -hour, -hour), "node", "other"), "and the events that name no source differ by"},
		{"nameless events an hour ahead of the heartbeats of two", beside(skewed(nameless(), hour, hour), "node", "other"), "and the events that name no source differ by"},
		{"nameless events an hour behind the heartbeats of one", beside(skewed(nameless(), -hour, -hour), "node"), "out of order"},
		{"receipts half a minute before their submits", beside(skewed(told(s.events(), "node", "sink", "sink"), 0, -40*time.Second), "node", "sink"), "dated before their messages"},
	} {
		t.Run(c.claim, func(t *testing.T) { neverAccused(t, merged(s.tells(), c.events), c.cause, trouble) })
	}
}

// neverAccused plays events and checks that what is known is never bad, and that what is unknown says why.
func neverAccused(t *testing.T, events []event, cause string, from time.Duration) {
	t.Helper()
	said, silent := false, ""
	play(newBook(), events, ask("acme"), 20*time.Minute, func(at time.Duration, all []route.Signals) {
		s := all[0]
		switch {
		case s.Delivery.Known && s.Delivery.Evidence >= enough:
			t.Fatalf("at %v: accused by %+v", at, s.Delivery)
		case s.Conversion.Known && s.Conversion.Evidence >= enough:
			t.Fatalf("at %v: accused by %+v", at, s.Conversion)
		case !s.Delivery.Known && s.Delivery.Cause == "":
			t.Fatalf("at %v: unknown without a cause", at)
		case !s.Delivery.Known && at > from:
			said = said || cause != "" && strings.Contains(s.Delivery.Cause, cause)
			silent = s.Delivery.Cause
		}
	})
	if cause != "" && !said {
		t.Errorf("nothing says %q; the last cause was %q", cause, silent)
	}
}

func TestEventsInRandomOrder(t *testing.T) {
	for _, source := range []string{"", "node"} {
		s := healthyTraffic()
		events := told(s.events(), source, source, source)
		if source != "" {
			events = beside(events, source)
		}
		times := make([]time.Time, len(events))
		for i := range events {
			times[i] = events[i].at
		}
		r := rand.New(rand.NewPCG(1, 1))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for i := range events {
			events[i].at = times[i]
		}
		neverAccused(t, merged(s.tells(), events), "out of order", 0)
	}
}

func TestDuplicates(t *testing.T) {
	s := healthyTraffic()
	repeat := func(kind route.Kind) []event {
		again := without(s.events(), 8*time.Minute, 24*hour, func(*event) bool { return true })
		return each(again, func(e *event) {
			e.at = e.at.Add(8 * time.Minute)
			if kind != 0 {
				e.Kind = kind
			}
		})
	}
	t.Run("marked as such they change nothing", func(t *testing.T) {
		var plain, doubled []route.Signals
		events := beside(s.events(), "node")
		play(newBook(), merged(s.tells(), events), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { plain = append(plain, x...) })
		play(newBook(), merged(s.tells(), events, repeat(route.KindDuplicate)), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { doubled = append(doubled, x...) })
		if !reflect.DeepEqual(plain, doubled) {
			t.Error("the signals differ")
		}
	})
	t.Run("unmarked they are late", func(t *testing.T) {
		neverAccused(t, merged(s.tells(), beside(s.events(), "node"), repeat(0)), "out of order", 8*time.Minute)
	})
	t.Run("unmarked they teach nothing", func(t *testing.T) {
		long := traffic{rate: 4, to: 150 * time.Minute, source: "node", seed: 8}
		twice := each(long.events(), func(e *event) { e.at = e.at.Add(50 * time.Second) })
		b := newBook()
		play(b, merged(long.events(), twice), ask("acme"), long.to, nil)
		for _, k := range b.Baselines() {
			if k.Baseline.Delivered > normalDelivered+.02 {
				t.Errorf("got %+v", k)
			}
		}
	})
}

// Receipts that come in batches, each minutes late: the first pause looks like any other silence, but once a batch has
// told how late they are, they are no evidence.
func TestReceiptsInBatches(t *testing.T) {
	for _, every := range []time.Duration{40 * time.Second, 3 * time.Minute, 8 * time.Minute} {
		s := healthyTraffic()
		events := each(s.events(), func(e *event) {
			if isReceipt(e) {
				e.at = e.at.Truncate(every).Add(every)
			}
		})
		inOrder(events)
		accused, caused := false, false
		play(newBook(), merged(s.tells(), beside(events, "node")), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
			d := x[0].Delivery
			accused = accused || at > every+Tick && d.Known && d.Evidence >= enough
			caused = caused || strings.Contains(d.Cause, "receipts arrive out of order")
		})
		if accused || caused != (every > time.Minute) {
			t.Errorf("every %v: accused %v, unknown for that %v", every, accused, caused)
		}
	}
}

func TestLostMessagesAreNotSilent(t *testing.T) {
	s := healthyTraffic()
	lost := false
	var events []event
	for _, e := range s.events() {
		if at := e.Submitted.Sub(epoch); isReceipt(&e) && at > 9*time.Minute && at < 10*time.Minute {
			e.Kind, e.at = route.KindLost, epoch.Add(9*time.Minute)
			e.Time = e.at
			continue
		}
		events = append(events, e)
	}
	for at := 9 * time.Minute; at < 10*time.Minute; at += time.Second {
		sent := epoch.Add(at)
		events = append(events, event{sent.Add(100 * time.Millisecond), route.Observation{Kind: route.KindLost, Time: sent, Submitted: sent, Route: "acme", Class: "otp", Network: "234-15"}})
	}
	inOrder(events)
	b := newBook()
	play(b, merged(s.tells(), beside(events, "node")), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
		if d := x[0].Delivery; d.Known && d.Evidence >= enough {
			t.Fatalf("at %v: got %+v", at, d)
		} else if strings.Contains(d.Cause, "messages were forgotten before their receipts came") {
			lost = true
		}
	})
	if !lost || b.Stats().Lost != 60 {
		t.Errorf("said so: %v, lost %d", lost, b.Stats().Lost)
	}
}

func TestAColdBaselineIsUnknown(t *testing.T) {
	s := traffic{rate: 4, to: 20 * time.Minute, health: onset(0, health{delivered: .3}), source: "node"}
	neverAccused(t, beside(s.events(), "node"), "the baseline is cold: it rests on 0 of the 500 mature messages that it takes to act", 0)
}

// A class that never reports receipts must not be judged by those of others that do.
func TestARouteThatNeverBringsReceiptsIsNotSilent(t *testing.T) {
	a, mute := healthyTraffic(), healthyTraffic()
	mute.route, mute.health = "mute", onset(0, health{delivered: -1, failed: -1})
	b := newBook()
	play(b, merged(a.tells(), a.events(), mute.events(), beats("node", 0, a.to, "acme", "mute")), ask("acme", "mute"), a.to, func(at time.Duration, s []route.Signals) {
		if d := s[1].Delivery; d.Evidence >= enough {
			t.Fatalf("at %v: got %+v", at, d)
		}
	})
	refused := mute
	refused.health, refused.from, refused.to = onset(0, health{refused: 1}), 20*time.Minute, 22*time.Minute
	worst := 0.0
	play(b, merged(refused.events(), beats("node", refused.from, refused.to, "acme", "mute")), ask("mute"), refused.to, func(at time.Duration, s []route.Signals) { worst = max(worst, s[0].Delivery.Failure) })
	if worst < enough {
		t.Errorf("its refusals count only %.1f nats", worst)
	}
}

func TestConversionsThatNobodyReportsAreNotMissed(t *testing.T) {
	s := healthyTraffic()
	s.converts = true
	all := s.events()
	for _, c := range []struct {
		claim, cause string
		events       []event
	}{
		{"never", "no conversion has come back on the route yet", beside(without(all, 0, hour, isConversion), "node")},
		{"no longer, their source is away", "no conversion since proof, which brought conversions, went silent",
			without(beside(told(s.events(), "node", "node", "proof"), "node", "proof"), 10*time.Minute, hour, func(e *event) bool { return e.Source == "proof" })},
	} {
		said := false
		play(newBook(), merged(s.tells(), c.events), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
			if x[0].Conversion.Evidence >= enough || x[0].Delivery.Evidence >= enough {
				t.Fatalf("%s: at %v: got %+v", c.claim, at, x[0].Conversion)
			}
			said = said || strings.Contains(x[0].Conversion.Cause, c.cause) && x[0].Delivery.Known
		})
		if !said {
			t.Errorf("%s: nothing says %q", c.claim, c.cause)
		}
	}
}

// A clock that was wrong and is set right does not leave the route unknown until it has caught up, and nothing of what it
// said in between is evidence or learned.
func TestAClockThatIsSetBack(t *testing.T) {
	for _, source := range []string{"", "node"} {
		for _, ahead := range []time.Duration{hour, 24 * 365 * hour} {
			s := traffic{rate: 4, to: 40 * time.Minute, source: source, seed: 8}
			wrong := func(e *event) bool { at := e.at.Sub(epoch); return at > 5*time.Minute && at < 6*time.Minute }
			events := s.events()
			if source != "" {
				events = merged(events, beats(source, 0, s.to))
			}
			each(events, func(e *event) {
				if wrong(e) {
					e.Time, e.Submitted = e.Time.Add(ahead), e.Submitted.Add(ahead)
				}
			})
			var last route.Signals
			b := newBook()
			play(b, merged(s.tells(), events), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
				if last = x[0]; last.Delivery.Known && last.Delivery.Evidence >= enough {
					t.Fatalf("%q %v ahead: at %v: got %+v", source, ahead, at, last.Delivery)
				}
			})
			if !last.Delivery.Known || last.Delivery.Messages < 100 {
				t.Errorf("%q %v ahead: still unknown: %+v", source, ahead, last.Delivery)
			}
		}
	}
}

// The same observations give the same signals, whatever order maps are walked in and whatever order lanes are asked in.
func TestTheSameObservationsGiveTheSameSignals(t *testing.T) {
	var events []event
	lanes := []route.Lane{{Class: "otp", Network: "234-10"}, {Class: "otp", Network: "GB"}, {Class: "*", Network: "*"}}
	for i, id := range []route.ID{"acme", "bolt", "cell"} {
		for j, n := range []route.Network{"234-10", "234-15", "208-01"} {
			s := traffic{route: id, network: n, rate: .5, to: 12 * time.Minute, seed: uint64(10*i + j), health: onset(8*time.Minute, health{delivered: .4}), source: []string{"b", "a", ""}[i]}
			events = merged(events, s.events())
			if j != i {
				events = merged(s.tells(), events)
			}
		}
	}
	events = merged(events, beats("b", 0, 12*time.Minute, "acme"), beats("a", 0, 9*time.Minute, "bolt"))
	run := func(order []int) map[route.Lane][]route.Signals {
		b, out := New(Options{}), map[route.Lane][]route.Signals{}
		b.SetLanes(lanes, nil)
		next := epoch.Add(Tick)
		for i := range events {
			for ; !next.After(events[i].at); next = next.Add(Tick) {
				for _, l := range order {
					out[lanes[l]] = append(out[lanes[l]], b.Judge(route.Scope{Lane: lanes[l]}, ask("acme", "bolt", "cell"), next)...)
				}
			}
			b.Observe(&events[i].Observation, events[i].at)
		}
		return out
	}
	first := run([]int{0, 1, 2})
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		if got := run(order); !reflect.DeepEqual(got, first) {
			t.Errorf("order %v: the signals differ", order)
		}
	}
}

// Observations that make no sense at all harm nothing.
func TestHostileObservations(t *testing.T) {
	moments := []time.Time{{}, time.Unix(0, 0), epoch.Add(-24 * hour), epoch, epoch.Add(time.Minute), epoch.Add(hour), epoch.Add(1e5 * hour), time.Unix(1<<40, 0)}
	rapid.Check(t, func(t *rapid.T) {
		b := New(Options{MaxKeys: 4})
		b.SetLanes([]route.Lane{testLane}, nil)
		now := epoch
		name := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "acme"})
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(hour)).Draw(t, "pause")))
			at := rapid.OneOf(rapid.SampledFrom(moments), rapid.Just(now))
			o := route.Observation{Kind: route.Kind(rapid.IntRange(0, 12).Draw(t, "kind")), Time: at.Draw(t, "time"), Submitted: at.Draw(t, "submitted"), Sent: at.Draw(t, "sent"),
				Source: name.Draw(t, "source"), Route: route.ID(name.Draw(t, "route")), Class: "otp", Network: route.Network(rapid.SampledFrom([]string{"234-15", "GB", "", "junk"}).Draw(t, "network")),
				Result: route.Result(rapid.IntRange(0, 4).Draw(t, "result")), Status: route.Status(rapid.IntRange(0, 9).Draw(t, "status")), Fault: route.Fault(rapid.IntRange(0, 5).Draw(t, "fault")),
				Final: rapid.Bool().Draw(t, "final"), OK: rapid.Bool().Draw(t, "ok"), Probe: name.Draw(t, "probe"), Latency: time.Duration(rapid.Int64Range(-int64(hour), int64(hour)).Draw(t, "latency")),
				Routes: []route.ID{"acme", route.ID(name.Draw(t, "listed"))}}
			if rapid.Bool().Draw(t, "baseline") {
				o.Baseline = toldBaseline(rapid.SampledFrom([]float64{-1, 0, 600, 1e300}).Draw(t, "messages"))
			}
			b.Observe(&o, now)
			b.Hear(&o, now)
			for _, s := range b.Judge(route.Scope{Lane: testLane}, ask("acme", "a"), now) {
				if !s.Delivery.Known && s.Delivery.Cause == "" {
					t.Fatalf("unknown without a cause: %+v", s)
				}
				finite(t, reflect.ValueOf(s), "signals")
			}
			if len(b.keys) > 4 || len(b.sources) > 4 || len(b.routes) > 4+2 {
				t.Fatalf("got %d keys, %d sources, %d routes", len(b.keys), len(b.sources), len(b.routes))
			}
		}
		if err := New(Options{}).Restore(b.Changed()); err != nil {
			t.Fatal(err)
		}
	})
}
