package signal

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func submitAt(at time.Time, id route.ID, n route.Network) *route.Observation {
	return &route.Observation{Kind: route.KindSubmit, Time: at, Source: "node", Route: id, Class: "otp", Network: n}
}

// liveByHand are the routes of a lane with messages, found by looking at every key.
func liveByHand(b *Book, lane route.Lane) []route.ID {
	var out []route.ID
	for p, keys := range b.byLane {
		if p.lane == lane && slices.ContainsFunc(keys, func(k *key) bool { return !k.ring.empty() || k.answers.kept != nil }) {
			out = append(out, p.route)
		}
	}
	slices.Sort(out)
	return out
}

// Whatever comes and however long nothing comes, the routes that are live are those that have messages.
func TestLiveRoutesAreThoseWithMessages(t *testing.T) {
	lanes := []route.Lane{{Class: "otp", Network: "234-15"}, {Class: "otp", Network: "GB"}, {Class: "*", Network: "*"}}
	rapid.Check(t, func(t *rapid.T) {
		b, now := New(Options{}), epoch
		b.SetLanes(lanes, nil)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 20 * time.Minute, 3 * time.Hour, 30 * time.Hour}).Draw(t, "pause"))
			o := submitAt(now, rapid.SampledFrom([]route.ID{"acme", "bolt", "cell"}).Draw(t, "route"), rapid.SampledFrom([]route.Network{"234-15", "234-10", "208-01"}).Draw(t, "network"))
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				o.Kind, o.Submitted, o.Status, o.Final = route.KindReceipt, now.Add(-time.Minute), route.StatusDelivered, true
			case 1:
				o.Result, o.Fault = route.Refused, route.FaultMessage
			case 2:
				b.SetLanes(lanes[rapid.IntRange(0, 2).Draw(t, "lanes"):], nil)
				continue
			}
			b.Observe(o, now)
			judged := now.Add(rapid.SampledFrom([]time.Duration{0, 11 * time.Minute, 8 * time.Hour}).Draw(t, "later"))
			b.Observe(&route.Observation{Kind: route.KindHeartbeat, Time: judged, Source: "node", Routes: []route.ID{"acme", "bolt", "cell"}}, judged)
			now = judged
			for _, l := range b.lanes {
				b.Judge(route.Scope{Lane: l}, ask(b.Live(l)...), now)
			}
			b.swept = time.Time{} // as ten minutes later
			b.Judge(route.Scope{Lane: lanes[0]}, nil, now.Add(time.Nanosecond))
			for _, l := range b.lanes {
				if got, want := b.Live(l), liveByHand(b, l); !slices.Equal(got, want) {
					t.Fatalf("%v: got %v, want %v", l, got, want)
				}
			}
		}
	})
}

func TestLiveOfNoLane(t *testing.T) {
	if got := newBook().Live(route.Lane{Class: "bulk", Network: "FR"}); got != nil {
		t.Errorf("got %v", got)
	}
}

// A key whose last message has left gives back all but what it has learned.
func TestIdleKeysHoldNothing(t *testing.T) {
	s := traffic{rate: 2, to: 30 * time.Minute, source: "node", converts: true, health: onset(20*time.Minute, health{delivered: .3})}
	b := newBook()
	play(b, merged(s.tells(), s.events(), beats("node", 0, 9*time.Hour)), ask("acme"), 9*time.Hour, nil)
	k := b.keys[route.Key{Route: "acme", Class: "otp", Network: "234-15"}]
	if !k.ring.empty() || k.answers.kept != nil || len(b.Live(testLane)) != 0 {
		t.Fatalf("after nine hours: %d bytes of cohorts, answers %v, live %v", len(k.ring.cohorts.fine.bytes), k.answers.kept, b.Live(testLane))
	}
	for h := 10; h < 36; h += 2 { // nobody asks for the route any more
		b.Judge(route.Scope{Lane: testLane}, nil, epoch.Add(time.Duration(h)*time.Hour))
	}
	if k.normal != nil || len(k.suspect) != 0 || !k.learned.acts() {
		t.Errorf("after 36 hours: %d suspect spans, normal %v", len(k.suspect), k.normal)
	}
}

// The messages of a route of which nobody tells any more are given up, and what they teach is learned.
func TestADesertedRouteHoldsNothing(t *testing.T) {
	s := traffic{rate: 2, to: 20 * time.Minute, source: "node"}
	b := newBook()
	play(b, merged(s.tells(), s.events(), beats("node", 0, s.to)), ask("acme"), s.to, nil)
	k := b.keys[route.Key{Route: "acme", Class: "otp", Network: "234-15"}]
	for h := 1; h <= 23; h++ {
		b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(time.Duration(h)*time.Hour))
	}
	if k.ring.empty() {
		t.Fatal("given up within a day")
	}
	b.Judge(route.Scope{Lane: testLane}, ask("acme"), epoch.Add(26*time.Hour))
	if !k.ring.empty() || k.learned.Submitted < 1000 || k.answers.kept != nil || len(b.Live(testLane)) != 0 {
		t.Errorf("after 26 hours: empty %v, %.0f messages learned, answers %v, live %v", k.ring.empty(), k.learned.Submitted, k.answers.kept, b.Live(testLane))
	}
}

// crowd is a book with many keys, each told a baseline that rests on few messages, so that all of them need their pools.
func crowd(routes, networks int) *Book {
	b := New(Options{MaxKeys: routes*networks + 1})
	b.SetLanes([]route.Lane{{Class: "*", Network: "*"}}, nil)
	few := toldBaseline(10)
	for r := range routes {
		for n := range networks {
			o := tellObservation(route.ID(fmt.Sprintf("r%04d", r)), route.Network(fmt.Sprintf("%d-%02d", 200+n/100, n%100)), few)
			b.Observe(o, epoch)
		}
	}
	return b
}

// However many keys there are, a round sums up no more of them for pools, and looks at no more of them in a sweep, than it
// has room for; and pools that took several rounds are those that take one.
func TestRoundsOfManyKeysAreBounded(t *testing.T) {
	const routes, networks = 300, 2*poolsPerRound/300 + 10
	b := crowd(routes, networks)
	anywhere := route.Lane{Class: "*", Network: "*"}
	k := b.roll.sorted()[0]
	b.stir(k)
	rounds := 0
	for ; b.normal(k, 7) == nil; rounds++ {
		if rounds > 5 {
			t.Fatal("the pools are never made")
		}
		b.Judge(route.Scope{Lane: anywhere}, nil, epoch.Add(time.Duration(rounds)*Tick))
		if b.normal(k, 7); b.room < 0 || rounds == 0 && b.room != 0 {
			t.Fatalf("round %d: room left for %d keys", rounds, b.room)
		}
	}
	if rounds != 3 {
		t.Errorf("the pools of %d keys took %d rounds, want 3", len(b.keys), rounds)
	}
	var whole pools
	whole.fill(b.roll.sorted(), 7)
	if !reflect.DeepEqual(b.pools.normals, whole.normals) || len(whole.normals) == 0 {
		t.Error("the pools that took several rounds differ")
	}
	later := epoch.Add(30 * 24 * time.Hour) // beyond what is remembered of keys that cannot act
	all := len(b.keys)
	before := all
	for i := 0; len(b.keys) > 0; i++ {
		b.Judge(route.Scope{Lane: anywhere}, nil, later.Add(time.Duration(i)*Tick))
		if gone := before - len(b.keys); gone > sweptPerRound || i > all/sweptPerRound {
			t.Fatalf("round %d: %d keys gone at once, %d left", i, gone, len(b.keys))
		}
		before = len(b.keys)
	}
	if len(b.roll.sorted()) != 0 || len(b.Live(anywhere)) != 0 {
		t.Errorf("%d keys left in order, %v live", len(b.roll.sorted()), b.Live(anywhere))
	}
}

// However baselines are learned, told and forgotten, the newest moment is the one found by looking at all of them.
func TestTheNewestBaselineIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			id := rapid.SampledFrom([]route.ID{"acme", "bolt", "cell"}).Draw(t, "route")
			at := epoch.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "hours")) * time.Hour)
			switch k := b.keys[route.Key{Route: id, Class: "otp", Network: "234-15"}]; {
			case k == nil || rapid.Bool().Draw(t, "told"):
				o := tellObservation(id, "234-15", toldBaseline(1000))
				o.Time = at
				b.Observe(o, at)
			case rapid.Bool().Draw(t, "forgotten"):
				b.forget(k)
				b.roll.remove(0, len(b.roll.sorted()), func(other *key) bool { return other == k })
			default:
				if was := k.learned.At; k.learned.learn(at, &Counts{fieldSubmitted: 1}) {
					b.change(k, was)
				}
			}
			want := time.Time{}
			for _, k := range b.keys {
				if k.learned.At.After(want) {
					want = k.learned.At
				}
			}
			if rapid.Bool().Draw(t, "asked") {
				if got := b.newest.of(b.roll.sorted()); !got.Equal(want) {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
		}
	})
}

func TestRollKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r roll
		held := map[route.Key]*key{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch keys := r.sorted(); {
			case rapid.IntRange(0, 3).Draw(t, "kind") > 0 || len(keys) == 0:
				for range rapid.IntRange(1, 5).Draw(t, "new") {
					id := route.Key{Route: route.ID(fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "route"))), Network: route.Network(fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "network")))}
					if held[id] == nil {
						held[id] = &key{id: id}
						r.add(held[id])
					}
				}
			default:
				from := rapid.IntRange(0, len(keys)-1).Draw(t, "from")
				to := rapid.IntRange(from, len(keys)).Draw(t, "to")
				for i, k := range keys[from:to] {
					if i%2 == 0 {
						delete(held, k.id)
					}
				}
				r.remove(from, to, func(k *key) bool { return held[k.id] != k })
			}
		}
		var want []*key
		for _, k := range held {
			want = append(want, k)
		}
		slices.SortFunc(want, func(a, b *key) int {
			if lessKey(a.id, b.id) {
				return -1
			}
			return 1
		})
		got := r.sorted()
		if !slices.Equal(got, want) {
			t.Fatalf("got %d keys, want %d in order", len(got), len(want))
		}
		for i, k := range got {
			if at := seek(got, &k.id); at != i {
				t.Fatalf("key %d is sought at %d", i, at)
			}
		}
	})
}

// Showing baselines changes no judgement.
func TestLookingAtBaselinesChangesNothing(t *testing.T) {
	run := func(look bool) []route.Signals {
		a, cold := healthyTraffic(), healthyTraffic()
		cold.route, cold.to = "bolt", 20*time.Minute
		b := newBook()
		var all []route.Signals
		play(b, merged(a.tells(), a.events(), cold.events(), beats("node", 0, a.to, "acme", "bolt")), ask("acme", "bolt"), a.to, func(at time.Duration, s []route.Signals) {
			if look && at%(35*time.Second) == 0 {
				b.Baselines()
			}
			all = append(all, s...)
		})
		return all
	}
	if !reflect.DeepEqual(run(false), run(true)) {
		t.Error("the signals differ")
	}
}

// BenchmarkLive is the cost of asking three hundred lanes of a thousand routes for those with messages.
func BenchmarkLive(b *testing.B) {
	book := New(Options{MaxKeys: 300_001})
	var lanes []route.Lane
	for n := range 300 {
		lanes = append(lanes, route.Lane{Class: "otp", Network: route.Network(fmt.Sprintf("%d-%02d", 200+n/100, n%100))})
	}
	book.SetLanes(lanes, nil)
	for r := range 1000 {
		for n, l := range lanes {
			if o := submitAt(epoch, route.ID(fmt.Sprintf("route-%04d", r)), l.Network); (r+n)%20 == 0 {
				book.Observe(o, epoch)
			}
		}
	}
	runtime.GC()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, l := range lanes {
			n += len(book.Live(l))
		}
		if n != 15_000 {
			b.Fatalf("got %d live", n)
		}
	}
}
