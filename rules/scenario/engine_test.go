package scenario

import (
	"encoding/json"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// drive runs an engine over observations a round at a time; between is called after each round.
func drive(t *testing.T, e *Engine, all []route.Observation, between func(*Engine)) []route.Decision {
	t.Helper()
	var out []route.Decision
	next := midnight.Add(signal.Tick)
	for i := range all {
		for all[i].Time.After(next) {
			o := e.Round(next, false)
			e.Keep(o)
			out = append(out, o.Decisions...)
			between(e)
			next = next.Add(signal.Tick)
		}
		e.Book.Observe(&all[i], all[i].Time)
	}
	return out
}

func engine(t *testing.T) *Engine {
	t.Helper()
	e := &Engine{Book: signal.New(signal.Options{})}
	p := townPolicy(t, "a", "b")
	e.Use(p)
	e.Keep(e.Adopt(p, midnight))
	return e
}

func blackHole() []route.Observation {
	return town{lasts: minutes(45), seed: 11, streets: []street{{id: "a", rate: 2, delivered: between(15, 20, 0)}, {id: "b", rate: 2}}}.observations()
}

func TestStateThatIsStoredBetweenAllRoundsDecidesTheSame(t *testing.T) {
	all := blackHole()
	want := drive(t, engine(t), all, func(*Engine) {})
	got := drive(t, engine(t), all, func(e *Engine) {
		var w route.World
		if err := json.Unmarshal([]byte(encode(e.World)), &w); err != nil {
			t.Fatal(err)
		}
		e.World = w
	})
	if encode(got) != encode(want) || len(enforced(want)) < 2 {
		t.Errorf("got\n%s\nwant\n%s", lines(got), lines(want))
	}
}

func TestWhatIsNotKeptHasNotHappened(t *testing.T) {
	e := engine(t)
	all := blackHole()
	drive(t, e, all[:len(all)/2], func(*Engine) {})
	was, table := encode(e.World), encode(e.Table)
	first := e.Round(e.World.At.Add(signal.Tick), false)
	if encode(e.World) != was || encode(e.Table) != table {
		t.Error("got a round that took effect by itself")
	}
	if second := e.Round(e.World.At.Add(signal.Tick), false); encode(second) != encode(first) {
		t.Error("got another outcome the second time")
	}
	if e.Keep(first); encode(e.World) != encode(first.World) {
		t.Error("got another state than the one kept")
	}
}

func TestAPolicyTakesEffectByKeep(t *testing.T) {
	e := engine(t)
	was := e.Table.Generation
	p := townPolicy(t, "a", "b", "c")
	o := e.Adopt(p, midnight.Add(time.Minute))
	if e.Table.Generation != was || len(e.Table.Lanes[0].Routes) != 2 {
		t.Error("got an adoption that took effect by itself")
	}
	e.Use(p)
	e.Keep(o)
	if e.Table.Generation != was.Next() || len(e.Table.Lanes[0].Routes) != 3 || e.Policy != p {
		t.Errorf("got table %s with %d routes", e.Table.Generation, len(e.Table.Lanes[0].Routes))
	}
}

func TestAHeldRoundChangesNothing(t *testing.T) {
	e := engine(t)
	all := blackHole()
	for i := range all {
		if all[i].Time.After(midnight.Add(minutes(16))) {
			break
		}
		e.Book.Observe(&all[i], all[i].Time)
	}
	for at := minutes(10); at <= minutes(16); at += signal.Tick {
		o := e.Round(midnight.Add(at), true)
		e.Keep(o)
		if len(o.Decisions) > 0 || o.Table != nil {
			t.Fatalf("at %s: got %s", at, lines(o.Decisions))
		}
	}
}
