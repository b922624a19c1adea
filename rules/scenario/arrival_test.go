package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// What may come in any order and lead to the same decisions: the observations of one tick, between two rounds, as long as
//   - they name their source, or only one source names their route: which clock an event belongs to must not depend on
//     what came first,
//   - the results of one probe are told in their own order: failures in a row must be in a row,
//   - a source that comes back from a silence of more than 25 s comes back with the same event: it says from when on
//     messages can be judged,
//   - baselines come before the messages that they judge,
//   - and, in a replay, the tick begins with the same source, as the first event of a tick tells the round before it how
//     far its source has got. Of a daemon, whose rounds come by its own clock, that is not asked.
//
// Heartbeats may come anywhere in their tick.

// anyTown is a random town: two or three routes with some trouble, in one lane or two, told by one source or two.
func anyTown(t *rapid.T) town {
	tw := town{lasts: minutes(5), seed: rapid.Uint64().Draw(t, "seed"), blind: rapid.Bool().Draw(t, "blind")}
	shares := []float64{0, 0.1, 0.5, normalDelivered}
	for i, id := range []route.ID{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "routes")] {
		from := rapid.IntRange(1, 3).Draw(t, "from")
		s := street{id: id, rate: float64(rapid.IntRange(1, 3).Draw(t, "rate")) / 2,
			delivered: between(float64(from), float64(from+rapid.IntRange(1, 3).Draw(t, "for")), rapid.SampledFrom(shares).Draw(t, "share"))}
		if i > 0 && rapid.Bool().Draw(t, "its own source") {
			s.source = "s2"
		}
		if mute := float64(rapid.IntRange(1, 12).Draw(t, "mute from")); mute < 4 {
			s.receipts = func(at time.Duration) bool { return at < minutes(mute) || at > minutes(mute+1) }
		}
		tw.streets = append(tw.streets, s)
		s.network, s.delivered = "234-30", nil
		tw.streets = append(tw.streets, s)
	}
	return tw
}

// mixed are the observations with those of each tick in another order; the first of each tick stays first where that is
// asked for.
func mixed(all []route.Observation, seed uint64, first bool) []route.Observation {
	r := rand.New(rand.NewPCG(seed, 7))
	out := slices.Clone(all)
	for from := 0; from < len(out); {
		tick, to := out[from].Time.Truncate(signal.Tick), from
		for to < len(out) && out[to].Time.Truncate(signal.Tick).Equal(tick) {
			to++
		}
		begin := from
		for begin < to && (first && begin == from || out[begin].Kind == route.KindBaseline) {
			begin++
		}
		part := out[begin:to]
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		from = to
	}
	return out
}

// arriving drives an engine as a daemon does: what is of a tick comes in during it, in the order given, and is judged at
// its end.
func arriving(p *policy.Policy, all []route.Observation) string {
	e := &Engine{Book: signal.New(signal.Options{})}
	e.Use(p)
	e.Keep(e.Adopt(p, midnight))
	var text string
	for i := 0; i < len(all); {
		end := all[i].Time.Truncate(signal.Tick).Add(signal.Tick)
		times := []time.Time{}
		from := i
		for ; i < len(all) && all[i].Time.Before(end); i++ {
			times = append(times, all[i].Time)
		}
		slices.SortFunc(times, time.Time.Compare)
		for k := range times {
			e.Book.Observe(&all[from+k], times[k])
		}
		o := e.Round(end, false)
		e.Keep(o)
		text += told(o)
	}
	return text
}

// told is all that a round decided.
func told(o decide.Outcome) string {
	if len(o.Decisions) == 0 && o.Table == nil {
		return ""
	}
	return encode(o.Decisions) + encode(o.Table) + "\n"
}

func TestTheOrderOfArrivalWithinATickDecidesNothing(t *testing.T) {
	p := parsed(t, "lanes:\n  - {class: otp, network: GB, order: [a, b, c]}\nrules:\n"+fmt.Sprintf(receiptsPer, "there", "network")+fmt.Sprintf(receiptsPer, "lane", "lane")+briskGuards)
	changes := 0
	rapid.Check(t, func(rt *rapid.T) {
		all, seed := anyTown(rt).observations(), rapid.Uint64().Draw(rt, "mix")
		if rapid.Bool().Draw(rt, "as they come in") {
			want := arriving(p, all)
			if got := arriving(p, mixed(all, seed, false)); got != want {
				rt.Fatalf("as they come in:\ngot\n%s\nwant\n%s", got, want)
			}
			changes += strings.Count(want, `"enforced":true`)
			return
		}
		ds, tables := play(t, p, all)
		again, tablesAgain := play(t, p, mixed(all, seed, true))
		if encode(ds) != encode(again) || encode(tables) != encode(tablesAgain) {
			rt.Fatalf("in a replay:\ngot\n%s\nwant\n%s", lines(again), lines(ds))
		}
		changes += len(enforced(ds))
	})
	if !testing.Short() && changes < 20 {
		t.Errorf("got %d changes in all, want enough to have compared something", changes)
	}
}
