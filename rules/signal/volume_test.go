package signal

import (
	"math"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// feeds are streams of three routes with conversions, and heartbeats.
func feeds(rate float64, to time.Duration, change func(route.ID, time.Duration) health) (events []event, asks []route.Inquiry) {
	ids := []route.ID{"acme", "bolt", "cell"}
	lists := [][]event{beats("node", 0, to, ids...)}
	for i, id := range ids {
		s := traffic{route: id, rate: rate, to: to, source: "node", seed: uint64(20 + i), converts: true, health: func(at time.Duration) health { return change(id, at) }}
		lists = append(lists, s.tells(), s.events())
	}
	return merged(lists...), ask(ids...)
}

// watched is what became of the conversions of one route: the most evidence it ever had while known, and the last cause.
type watched struct {
	most   float64
	cause  string
	unsure int // judgements at which they were not known
}

func watch(events []event, asks []route.Inquiry, from, to time.Duration) map[route.ID]*watched {
	seen := map[route.ID]*watched{}
	play(newBook(), events, asks, to, func(at time.Duration, all []route.Signals) {
		for i := range all {
			w := seen[all[i].Route]
			if w == nil {
				w = &watched{}
				seen[all[i].Route] = w
			}
			c := &all[i].Conversion
			if at > from && c.Known {
				w.most = math.Max(w.most, c.Evidence)
			}
			if at > from && !c.Known {
				w.cause = c.Cause
				w.unsure++
			}
		}
	})
	return seen
}

// A feed that stops, loses half, or counts double takes all routes with it: conversions are unknown before they accuse
// anybody.
func TestAnOddFeedAccusesNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	const from, to = 6 * time.Minute, 16 * time.Minute
	normally := func(route.ID, time.Duration) health { return health{} }
	for _, c := range []struct {
		claim  string
		health func(route.ID, time.Duration) health
		change func([]event) []event
		cause  string
	}{
		{"the feed stops", normally, func(e []event) []event { return without(e, from, to, isConversion) }, "no conversion has come on any route for"},
		{"the feed loses most", normally, func(e []event) []event {
			n := 0
			return without(e, from, to, func(e *event) bool { n++; return isConversion(e) && n%4 != 0 })
		}, "conversions fell together on "},
		{"conversions are counted twice", func(_ route.ID, at time.Duration) health {
			if at > from {
				return health{converted: .98}
			}
			return health{converted: .5}
		}, func(e []event) []event {
			for i := range e { // the baseline is told as half
				if e[i].Kind == route.KindBaseline {
					e[i].Baseline.Conversion = .5
				}
			}
			return e
		}, "conversions rose together on 3 routes of class otp, to "},
		{"a batch job reports them", normally, func(e []event) []event {
			for i := range e {
				if isConversion(&e[i]) && e[i].at.After(epoch.Add(from)) {
					e[i].at = e[i].at.Truncate(5 * time.Minute).Add(5 * time.Minute)
				}
			}
			inOrder(e)
			return e
		}, "conversions arrive more than 1m late"},
	} {
		for _, rate := range []float64{.5, 2, 20} {
			events, asks := feeds(rate, to, c.health)
			for id, w := range watch(c.change(events), asks, from, to) {
				if w.most >= enough || !strings.HasPrefix(w.cause, c.cause) {
					t.Errorf("%s, %v/s: %s had %.1f nats, unknown %d times, last because %q, want %q", c.claim, rate, id, w.most, w.unsure, w.cause, c.cause)
				}
			}
		}
	}
}

// A route whose receipts are forged stands alone, however much of the traffic it carries.
func TestForgedReceiptsAreNoOddFeed(t *testing.T) {
	const from, to = 15 * time.Minute, 20 * time.Minute
	forged := func(ids ...route.ID) func(route.ID, time.Duration) health {
		return func(id route.ID, at time.Duration) health {
			for _, sick := range ids {
				if id == sick && at >= from {
					return health{delivered: .97, converted: .3}
				}
			}
			return health{}
		}
	}
	for claim, ids := range map[string][]route.ID{"one route": {"acme"}, "two of three": {"acme", "bolt"}} {
		events, asks := feeds(2, to, forged(ids...))
		seen := watch(events, asks, from, to)
		for _, id := range ids {
			if w := seen[id]; w.most < enough {
				t.Errorf("%s: %s had %.1f nats, last unknown because %q", claim, id, w.most, w.cause)
			}
		}
		if w := seen["cell"]; w.most >= enough || w.unsure > 0 {
			t.Errorf("%s: the healthy one had %.1f nats, unknown %d times: %q", claim, w.most, w.unsure, w.cause)
		}
	}
}

// A black hole brings no conversions, and its receipts promise none: they are not doubted, so that they bear it out.
func TestABlackHoleIsNoOddFeed(t *testing.T) {
	const from, to = 15 * time.Minute, 18 * time.Minute
	events, asks := feeds(2, to, func(id route.ID, at time.Duration) health { return onset(from, health{delivered: -1, failed: -1})(at) })
	for id, w := range watch(events, asks, from, to) {
		if w.unsure > 0 || w.most < enough {
			t.Errorf("%s: got %.1f nats, unknown %d times: %q", id, w.most, w.unsure, w.cause)
		}
	}
}

// Healthy conversions are known all the time, at whatever rate, also while traffic surges and people convert as ever.
func TestHealthyConversionsAreTrusted(t *testing.T) {
	const to = 2 * time.Hour
	lists := [][]event{beats("node", 0, to, "acme", "bolt")}
	for i, s := range []traffic{
		{route: "acme", rate: .5, to: to}, {route: "acme", rate: 4, from: 70 * time.Minute, to: 90 * time.Minute},
		{route: "bolt", rate: .02, to: to},
	} {
		s.source, s.seed, s.converts = "node", uint64(31+i), true
		lists = append(lists, s.tells(), s.events())
	}
	for id, w := range watch(merged(lists...), ask("acme", "bolt"), 20*time.Minute, to) {
		if w.most >= enough || w.unsure > 0 {
			t.Errorf("%s: got %.1f nats, unknown %d times: %q", id, w.most, w.unsure, w.cause)
		}
	}
}

// Pumped traffic is delivered and never converts: it makes submits jump, and accuses nobody. The same loss without a jump
// is the route's.
func TestPumpedTrafficAccusesNobody(t *testing.T) {
	const from, to = 40 * time.Minute, 46 * time.Minute
	base := traffic{rate: 2, to: to, source: "node", seed: 40, converts: true}
	pump := traffic{rate: 6, from: from, to: to, source: "node", seed: 41}
	lists := [][]event{base.tells(), base.events(), pump.events(), beats("node", 0, to)}
	w := watch(merged(lists...), ask("acme"), from, to)["acme"]
	if w.most >= enough || !strings.Contains(w.cause, "and conversions did not: traffic that nobody converts, as when it is pumped") {
		t.Errorf("got %.1f nats, last unknown because %q", w.most, w.cause)
	}
	// A route that takes over the traffic of another jumps too; with forged receipts it is still found.
	a := traffic{route: "acme", rate: 1, to: to, source: "node", seed: 42, converts: true, health: onset(from, health{delivered: .97, converted: .25})}
	more := traffic{route: "acme", rate: 3, from: from, to: to, source: "node", seed: 43, converts: true, health: func(time.Duration) health { return health{delivered: .97, converted: .25} }}
	b := traffic{route: "bolt", rate: 4, to: from, source: "node", seed: 44, converts: true}
	after := traffic{route: "bolt", rate: .2, from: from, to: to, source: "node", seed: 45, converts: true}
	events := merged(a.tells(), b.tells(), a.events(), more.events(), b.events(), after.events(), beats("node", 0, to, "acme", "bolt"))
	if w := watch(events, ask("acme", "bolt"), from, to)["acme"]; w.most < enough {
		t.Errorf("taking over: got %.1f nats, last unknown because %q", w.most, w.cause)
	}
}

// What a batch job does to conversions does nothing to deliveries.
func TestLateConversionsLeaveDeliveriesAlone(t *testing.T) {
	const from, to = 15 * time.Minute, 30 * time.Minute
	s := traffic{rate: 2, to: to, source: "node", seed: 50, converts: true}
	events := each(merged(s.tells(), s.events(), beats("node", 0, to)), func(e *event) {
		if isConversion(e) && e.at.After(epoch.Add(from)) {
			e.at = e.at.Truncate(5 * time.Minute).Add(5 * time.Minute)
		}
	})
	inOrder(events)
	play(newBook(), events, ask("acme"), to, func(at time.Duration, x []route.Signals) {
		if d := x[0].Delivery; at > time.Minute && !d.Known {
			t.Fatalf("at %v: %s", at, d.Cause)
		}
	})
}
