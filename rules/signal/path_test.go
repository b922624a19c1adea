package signal

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func TestArrivalsCountWhatCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type receipt struct{ at, submitted int64 }
		var all []receipt
		a, at := &arrivals{}, int64(100000)
		for range rapid.IntRange(1, 200).Draw(t, "receipts") {
			at += rapid.SampledFrom([]int64{0, 0, 0, 1, 1, 3, 30}).Draw(t, "later")
			r := receipt{at - rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(t, "back"), 0}
			r.submitted = r.at - rapid.Int64Range(0, 60).Draw(t, "age")
			all = append(all, r)
			a.note(r.at, r.submitted)
		}
		tick := at - rapid.Int64Range(0, 5).Draw(t, "ago")
		submitted := tick - rapid.Int64Range(0, arrivalTicks-1).Draw(t, "window")
		earlier, rest := 0.0, 0.0
		for _, r := range all {
			switch {
			case r.at != tick:
			case r.submitted < submitted:
				earlier++
			default:
				rest++
			}
		}
		if e, r := a.split(tick, submitted); e != earlier || r != rest {
			t.Fatalf("got %v earlier and %v of the rest, want %v and %v", e, r, earlier, rest)
		}
	})
}

// paths are the silence and the path of every judgement after a moment.
func paths(events []event, from, to time.Duration, look func(silence, path float64)) {
	play(newBook(), events, ask("acme", "bolt"), to, func(at time.Duration, s []route.Signals) {
		if at > from {
			look(s[0].Delivery.Silence, s[0].Second.Path)
		}
	})
}

func TestThePathOfReceipts(t *testing.T) {
	const trouble, until = 20 * time.Minute, 20*time.Minute + 40*time.Second
	hole := traffic{rate: 5, to: until, seed: 3, health: func(at time.Duration) health {
		if at > trouble {
			return health{delivered: -1, failed: -1}
		}
		return health{}
	}}
	well := traffic{rate: 5, to: until, seed: 4}
	for _, c := range []struct {
		claim  string
		events []event
		works  bool
	}{
		{"a route that swallows new messages brings the receipts of earlier ones", hole.events(), true},
		{"a broken path brings none", without(well.events(), trouble, until, isReceipt), false},
		{"nor does a route that died whole", without(hole.events(), trouble, until, isReceipt), false},
		{"a path that loses nine of ten does not work", without(well.events(), trouble, until, func(e *event) bool { return isReceipt(e) && e.Time.Nanosecond()/1000%10 != 0 }), false},
	} {
		silent, most := 0, 0.0
		paths(merged(well.tells(), c.events, beats("", 0, until)), trouble, until, func(silence, path float64) {
			if silence >= 12 {
				silent++
				most = max(most, path)
			}
		})
		if silent < 3 || (most >= 3) != c.works {
			t.Errorf("%s: got %.1f nats in %d silent rounds, want 3: %v", c.claim, most, silent, c.works)
		}
	}
}

// Between two batches of receipts nothing comes, of earlier messages as of new ones: that the last batch came as usual
// says nothing for the path since.
func TestBatchesDoNotShowThatThePathWorks(t *testing.T) {
	const until = 40 * time.Minute
	for _, every := range []time.Duration{20 * time.Second, 30 * time.Second, time.Minute} {
		s := traffic{rate: 5, to: until, seed: 5}
		events := each(s.events(), func(e *event) {
			if isReceipt(e) {
				e.Time = e.Time.Truncate(every).Add(every)
				e.at = e.Time
			}
		})
		silent, works := 0, 0
		paths(merged(s.tells(), events, beats("", 0, until)), 10*time.Minute, until, func(silence, path float64) {
			if silence >= 12 {
				if silent++; path >= 3 {
					works++
				}
			}
		})
		if silent < 20 || works*50 > silent {
			t.Errorf("every %s: got %d of %d silent rounds in which the path seems to work, want at most one in 50", every, works, silent)
		}
	}
}
