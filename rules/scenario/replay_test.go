package scenario

import (
	"math/rand/v2"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// The route dies whole: not even receipts of earlier messages come, so that it might be their path.
func TestABlackHoleIsHeldThenDemotedThenComesBackByItsRamp(t *testing.T) {
	all := town{lasts: minutes(60), seed: 1, blind: true, streets: []street{
		{id: "a", rate: 2, delivered: between(20, 30, 0), receipts: func(at time.Duration) bool { return at < minutes(20) || at > minutes(30) }}, {id: "b", rate: 2}}}.observations()
	ds, tables := play(t, townPolicy(t, "a", "b"), all)
	made := enforced(ds)
	if len(made) < 4 {
		t.Fatalf("got %d changes, want a demotion and three steps back:\n%s", len(made), lines(ds))
	}
	first := made[0]
	if first.Route != "a" || first.To != route.Demoted || first.Rule != "receipts" {
		t.Fatalf("got %s first, want the demotion of a", line(&first))
	}
	if late := first.Time.Sub(midnight.Add(minutes(20))); late <= 0 || late > 90*time.Second {
		t.Errorf("got demoted %s after the trouble began, want within 90s", late)
	}
	if !has(ds, func(d *route.Decision) bool {
		return d.Reason == route.GuardHeld && d.Time.Before(first.Time) && d.Guards[2].Guard == "corroborate" && d.Guards[2].Result == "hold"
	}) {
		t.Errorf("want it held by corroborate first:\n%s", lines(ds))
	}
	var path []route.Phase
	var shares []int
	for i := range made {
		if made[i].Verdict == route.VerdictPromote {
			path = append(path, made[i].To)
		}
	}
	for _, table := range tables {
		for _, e := range table.Lanes[0].Routes {
			if e.Route == "a" {
				shares = append(shares, e.Share)
			}
		}
	}
	if got, want := encode(path), `["recovering","recovering","active"]`; got != want {
		t.Errorf("got the way back %s, want %s\n%s", got, want, lines(made))
	}
	if got, want := encode(shares), "[10000,200,500,2500,10000]"; got != want {
		t.Errorf("got shares %s of a from table to table, want %s", got, want)
	}
	if back := made[len(made)-1].Time; back.Before(first.Time.Add(9 * time.Minute)) {
		t.Errorf("got back at %s, want not before the hold-down and two steps", back)
	}
}

func TestAFlappingRouteStaysOutLongerEachTime(t *testing.T) {
	flaps := func(at time.Duration) float64 {
		if at > minutes(20) && at%minutes(20) < minutes(2) {
			return 0
		}
		return normalDelivered
	}
	all := town{lasts: minutes(180), seed: 2, streets: []street{{id: "a", rate: 1, delivered: flaps}, {id: "b", rate: 1}}}.observations()
	ds, _ := play(t, townPolicy(t, "a", "b"), all)
	var out []time.Time
	last, longest := time.Time{}, time.Duration(0)
	for _, d := range enforced(ds) {
		switch {
		case d.Route != "a":
			t.Errorf("got %s, want b left alone", line(&d))
		case d.Verdict == route.VerdictDemote && d.From != route.Demoted:
			out, last = append(out, d.Time), d.Time
		case d.From == route.Demoted && d.To == route.Recovering:
			away := d.Time.Sub(last)
			if want := min(minutes(5)<<(len(out)-1), 4*time.Hour); away < want {
				t.Errorf("demotion %d: back after %s, want not before %s", len(out), away, want)
			}
			longest = max(longest, away)
		}
	}
	if len(out) < 2 || len(out) > 5 || longest < minutes(20) {
		t.Errorf("got %d demotions in eight flaps, away for up to %s; want few, and long ones:\n%s", len(out), longest, lines(enforced(ds)))
	}
}

func TestAReceiptOutageIsHeldWhileConversionsCome(t *testing.T) {
	all := town{lasts: minutes(50), seed: 3, streets: []street{
		{id: "a", rate: 2, receipts: func(at time.Duration) bool { return at < minutes(20) || at > minutes(40) }}, {id: "b", rate: 2}}}.observations()
	ds, _ := play(t, townPolicy(t, "a", "b"), all)
	untouched(t, ds)
	if !has(ds, func(d *route.Decision) bool { return d.Reason == route.GuardHeld && d.Route == "a" }) {
		t.Errorf("want the outage seen and held:\n%s", lines(ds))
	}
}

func TestTroubleThatAllRoutesHaveIsHeld(t *testing.T) {
	for name, share := range map[string]float64{"half of all fails": 0.5, "nothing comes back": 0} {
		t.Run(name, func(t *testing.T) {
			all := town{lasts: minutes(40), seed: 4, streets: []street{
				{id: "a", rate: 1, delivered: between(15, 30, share)}, {id: "b", rate: 1, delivered: between(15, 30, share)}, {id: "c", rate: 1, delivered: between(15, 30, share)}}}.observations()
			ds, _ := play(t, townPolicy(t, "a", "b", "c"), all)
			untouched(t, ds)
			if !has(ds, func(d *route.Decision) bool { return d.Reason == route.GuardHeld }) {
				t.Errorf("want the trouble seen and held:\n%s", lines(ds))
			}
		})
	}
}

func TestThrottlingNeverDemotes(t *testing.T) {
	all := town{lasts: minutes(40), seed: 5, streets: []street{
		{id: "a", rate: 4, throttled: func(at time.Duration) float64 {
			if at > minutes(15) {
				return 0.9
			}
			return 0
		}}, {id: "b", rate: 2}}}.observations()
	ds, _ := play(t, townPolicy(t, "a", "b"), all)
	untouched(t, ds)
}

func TestTheLastActiveRouteIsNeverDemoted(t *testing.T) {
	all := town{lasts: minutes(60), seed: 6, streets: []street{
		{id: "a", rate: 1, delivered: between(10, 60, 0)}, {id: "b", rate: 1, delivered: between(20, 60, 0.1)}}}.observations()
	for _, ids := range [][]string{{"a"}, {"a", "b"}} {
		ds, tables := play(t, townPolicy(t, ids...), only(all, ids))
		gone := 0
		for _, d := range enforced(ds) {
			if d.From == route.Active {
				gone++
			}
		}
		if gone != len(ids)-1 {
			t.Errorf("of %v: got %d demoted, want all but the last:\n%s", ids, gone, lines(enforced(ds)))
		}
		for _, table := range tables {
			if e := table.Lanes[0].Routes[0]; e.Phase != route.Active || e.Share == 0 {
				t.Errorf("of %v: got %+v in front", ids, e)
			}
		}
		if !has(ds, func(d *route.Decision) bool {
			return len(d.Guards) > 0 && d.Guards[0].Guard == "min_active" && d.Guards[0].Result == "hold"
		}) {
			t.Errorf("of %v: want the last one held by min_active:\n%s", ids, lines(ds))
		}
	}
}

// only are the observations of some routes, and the heartbeats.
func only(all []route.Observation, ids []string) []route.Observation {
	var out []route.Observation
	for _, o := range all {
		for _, id := range ids {
			if o.Kind == route.KindHeartbeat || o.Route == route.ID(id) {
				out = append(out, o)
				break
			}
		}
	}
	return out
}

// healthy is a town in which nothing is wrong.
func healthy() []route.Observation {
	return town{lasts: minutes(60), seed: 7, streets: []street{{id: "a", rate: 2}, {id: "b", rate: 1}}}.observations()
}

func TestABadFileDemotesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for _, c := range []struct {
		name string
		bad  func([]route.Observation) []route.Observation
	}{
		{"nothing wrong", func(all []route.Observation) []route.Observation { return all }},
		{"a second source whose clock is an hour ahead", func(all []route.Observation) []route.Observation { return skewed(all, time.Hour) }},
		{"a second source whose clock is an hour behind", func(all []route.Observation) []route.Observation { return skewed(all, -time.Hour) }},
		{"the source stops and comes back", func(all []route.Observation) []route.Observation {
			return without(all, func(o *route.Observation) bool { return within(o, 20, 35) })
		}},
		{"receipts and heartbeats stop", func(all []route.Observation) []route.Observation {
			return without(all, func(o *route.Observation) bool { return within(o, 20, 35) && o.Kind != route.KindSubmit })
		}},
		{"shuffled in the last minutes", func(all []route.Observation) []route.Observation { return shuffled(all, 600) }},
		{"shuffled all over", func(all []route.Observation) []route.Observation { return shuffled(all, len(all)) }},
		{"every line twice", func(all []route.Observation) []route.Observation { return doubled(all, false) }},
		{"the whole file twice", func(all []route.Observation) []route.Observation { return doubled(all, true) }},
		{"from the end to the beginning", func(all []route.Observation) []route.Observation {
			out := make([]route.Observation, 0, len(all))
			for i := range all {
				out = append(out, all[len(all)-1-i])
			}
			return out
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds, tables := play(t, townPolicy(t, "a", "b"), c.bad(healthy()))
			untouched(t, ds)
			if len(tables) != 1 {
				t.Errorf("got %d tables, want the first one only", len(tables))
			}
		})
	}
}

func within(o *route.Observation, from, to float64) bool {
	at := o.Time.Sub(midnight)
	return at >= minutes(from) && at < minutes(to)
}

func without(all []route.Observation, drop func(*route.Observation) bool) []route.Observation {
	var out []route.Observation
	for i := range all {
		if !drop(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// skewed lets a second source, whose clock is off, report as much again; the lines come in as they happen.
func skewed(all []route.Observation, off time.Duration) []route.Observation {
	second := town{lasts: minutes(60), seed: 8, source: "s2", streets: []street{{id: "a", rate: 1}, {id: "b", rate: 1}}}.observations()
	out := append(all, without(second, func(o *route.Observation) bool { return o.Kind == route.KindBaseline })...)
	inOrder(out)
	for i := range out {
		if o := &out[i]; o.Source == "s2" {
			o.Time = o.Time.Add(off)
			if !o.Submitted.IsZero() {
				o.Submitted = o.Submitted.Add(off)
			}
		}
	}
	return out
}

// shuffled mixes lines that stand within so many of each other; what was told of baselines stays in front.
func shuffled(all []route.Observation, width int) []route.Observation {
	r := rand.New(rand.NewPCG(9, 9))
	for from := 2; from < len(all); from += width {
		part := all[from:min(from+width, len(all))]
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return all
}

// doubled repeats each line, as joining hands it on: the second time it is a duplicate.
func doubled(all []route.Observation, atTheEnd bool) []route.Observation {
	var out, again []route.Observation
	for _, o := range all {
		copied := o
		if o.Kind == route.KindSubmit || o.Kind == route.KindReceipt || o.Kind == route.KindConversion {
			copied.Kind = route.KindDuplicate
		}
		out = append(out, o)
		if atTheEnd {
			again = append(again, copied)
		} else {
			out = append(out, copied)
		}
	}
	return append(out, again...)
}

func TestTheSameFileGivesTheSameBytes(t *testing.T) {
	all := town{lasts: minutes(60), seed: 10, streets: []street{
		{id: "a", rate: 2, delivered: between(20, 30, 0)}, {id: "b", rate: 2, delivered: between(40, 50, 0.5)}, {id: "c", rate: 1}}}.observations()
	run := func() string {
		ds, tables := play(t, townPolicy(t, "a", "b", "c"), all)
		if len(enforced(ds)) < 3 {
			t.Fatalf("got too little to compare:\n%s", lines(ds))
		}
		return encode(ds) + encode(tables)
	}
	if first, second := run(), run(); first != second {
		t.Errorf("got two results from one file:\n%s\n%s", first, second)
	}
}

func TestALongSilenceIsJumpedOver(t *testing.T) {
	all := healthy()
	rounds := 0
	r := NewReplay(townPolicy(t, "a", "b"), signal.Options{}, route.Act, func(decide.Outcome) {})
	for i := range all {
		r.Observe(&all[i])
	}
	began := time.Now()
	late := all[len(all)-1]
	late.Time = late.Time.Add(20 * 365 * 24 * time.Hour)
	r.Observe(&late)
	r.End()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s over twenty idle years after %d rounds", took, rounds)
	}
	if got := r.Engine().World.At; got.Before(late.Time) {
		t.Errorf("got judged up to %s, want %s", got, late.Time)
	}
}

func TestAReplayOfNothingDoesNothing(t *testing.T) {
	r := NewReplay(townPolicy(t, "a"), signal.Options{}, route.Act, func(o decide.Outcome) { t.Errorf("got %+v", o) })
	r.End()
}

func TestAModeBoundsAReplay(t *testing.T) {
	all := town{lasts: minutes(40), seed: 1, streets: []street{{id: "a", rate: 2, delivered: between(20, 30, 0)}, {id: "b", rate: 2}}}.observations()
	for mode, want := range map[route.Mode]route.Reason{route.Observe: route.ShadowOnly, route.Propose: route.Proposed} {
		var ds []route.Decision
		r := NewReplay(townPolicy(t, "a", "b"), signal.Options{}, mode, func(o decide.Outcome) { ds = append(ds, o.Decisions...) })
		for i := range all {
			r.Observe(&all[i])
		}
		r.End()
		untouched(t, ds)
		if !has(ds, func(d *route.Decision) bool { return d.Reason == want && d.Route == "a" }) {
			t.Errorf("in mode %s: got no %s:\n%s", mode, want, lines(ds))
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	all := town{lasts: minutes(60), seed: 1, streets: []street{{id: "a", rate: 10, delivered: between(20, 30, 0)}, {id: "b", rate: 10}}}.observations()
	p := townPolicy(b, "a", "b")
	b.ReportAllocs()
	for b.Loop() {
		play(b, p, all)
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "events/s")
}
