package scenario

import (
	"slices"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// taken is a line of a recording.
type taken struct {
	o    route.Observation
	mark route.Mark
}

// recorded is what a daemon would have recorded of observations that reach it two seconds late, in batches.
func recorded(all []route.Observation) []taken {
	var out []taken
	next := all[0].Time.Truncate(signal.Tick).Add(signal.Tick)
	for i := range all {
		at := all[i].Time.Add(2 * time.Second).Truncate(250 * time.Millisecond)
		for at.After(next) {
			out = append(out, taken{mark: route.Mark{Note: route.NoteRound, At: next}})
			next = next.Add(signal.Tick)
		}
		out = append(out, taken{all[i], route.Mark{At: at}})
	}
	return out
}

// retake replays what was recorded.
func retake(t *testing.T, all []taken) ([]route.Decision, *Replay) {
	t.Helper()
	var out []route.Decision
	r := NewReplay(townPolicy(t, "a", "b"), signal.Options{}, route.Act, func(o decide.Outcome) { out = append(out, o.Decisions...) })
	for i := range all {
		r.Take(&all[i].o, all[i].mark)
	}
	r.End()
	return out, r
}

func TestWhatWasTakenIsJudgedByItsMarksAlone(t *testing.T) {
	all := recorded(blackHole())
	ds, r := retake(t, all)
	if len(enforced(ds)) < 2 {
		t.Fatalf("got %s, want the route to go and to come back", lines(ds))
	}
	rounds := map[time.Time]bool{}
	for _, l := range all {
		rounds[l.mark.At] = rounds[l.mark.At] || l.mark.Note == route.NoteRound
	}
	for _, d := range ds {
		if !rounds[d.Time] {
			t.Errorf("got a decision at %s, when nothing was judged", d.Time)
		}
	}
	if again, _ := retake(t, all); encode(again) != encode(ds) {
		t.Error("got other decisions the second time")
	}
	silent := all[:0:0]
	for _, l := range all {
		if l.mark.Note == route.NoteTaken {
			silent = append(silent, l)
		}
	}
	if ds, _ := retake(t, silent); len(ds) > 0 {
		t.Errorf("got %s of a recording in which nothing was judged", lines(ds))
	}
	if got, want := r.Engine().World.At, last(rounds); !got.Equal(want) {
		t.Errorf("got a state of %s, want of %s", got, want)
	}
}

func last(rounds map[time.Time]bool) (at time.Time) {
	for when, is := range rounds {
		if is && when.After(at) {
			at = when
		}
	}
	return at
}

func TestHeldAndUnkeptRoundsChangeNothing(t *testing.T) {
	for _, n := range []route.Note{route.NoteHeld, route.NoteUnkept} {
		all := recorded(blackHole())
		for i := range all {
			if all[i].mark.Note == route.NoteRound {
				all[i].mark.Note = n
			}
		}
		if ds, _ := retake(t, all); len(ds) > 0 {
			t.Errorf("%s: got %s", n, lines(ds))
		}
	}
}

func TestAJumpMovesTheState(t *testing.T) {
	all := recorded(blackHole())
	_, r := retake(t, all)
	was := r.Engine().World.At
	r.Take(&route.Observation{}, route.Mark{Note: route.NoteJump, At: was, By: -time.Hour})
	if got := r.Engine().World.At; !got.Equal(was.Add(-time.Hour)) {
		t.Errorf("got a state of %s, want of an hour before %s", got, was)
	}
}

func TestARestartForgetsWhatWasSeenAndKeepsWhatWasStored(t *testing.T) {
	all := recorded(blackHole())
	_, r := retake(t, all)
	was := encode(r.Engine().World)
	carried := r.Engine().Book.Carried()
	r.Take(&route.Observation{}, route.Mark{Note: route.NoteStart, At: r.now})
	if encode(r.Engine().World) != was {
		t.Error("got another state after the restart")
	}
	if n := len(r.Engine().Book.Carried()); n != 0 {
		t.Fatalf("got %d baselines before the segment gave any", n)
	}
	told := carried[0]
	other := *told.Baseline
	other.Delivered = 0.5
	told.Baseline = &other
	r.Take(&told, route.Mark{Note: route.NoteCarried, At: r.now})
	r.Take(&route.Observation{}, route.Mark{Note: route.NoteRound, At: r.now.Add(signal.Tick)})
	got := r.Engine().Book.Carried()
	if len(got) != len(carried) || got[0].Baseline.Delivered != 0.5 || encode(got[1]) != encode(carried[1]) {
		t.Errorf("got %s, want the one that the segment carried and the other as it was", encode(got))
	}
	r.Take(&carried[0], route.Mark{Note: route.NoteCarried, At: r.now})
	if again := r.Engine().Book.Carried(); encode(again) != encode(got) {
		t.Error("a baseline that was carried replaced one that was known")
	}
}

// ordered puts an operator's order into a recording, at the first round after a moment.
func ordered(all []taken, after time.Time, o route.Order) []taken {
	for i := range all {
		if all[i].mark.Note == route.NoteRound && all[i].mark.At.After(after) {
			at := all[i].mark.At.Add(time.Second)
			return slices.Insert(slices.Clone(all), i+1, taken{mark: route.Mark{Note: route.NoteOrder, At: at, Order: &o}})
		}
	}
	return all
}

func TestWhatOperatorsOrderedIsObeyedAgain(t *testing.T) {
	all := recorded(blackHole())
	begins := all[0].mark.At
	pin := route.Order{Actor: "ann", Reason: "watched", Override: &route.Override{ID: "1-7-1", Kind: route.Pin, Class: "otp", Network: "GB", Route: "a"}, Saw: route.Generation{Epoch: 1, Number: 7}}
	pinned := ordered(all, begins, pin)
	ds, r := retake(t, pinned)
	for _, d := range enforced(ds) {
		if d.Route == "a" && d.To == route.Demoted {
			t.Errorf("got %s, want the pin to keep it", lines(ds))
		}
	}
	if o := r.Engine().World.Overrides; len(o) != 1 || o[0].Actor != "ann" {
		t.Fatalf("got %+v", o)
	}
	again := pin
	again.Actor, again.Override = "bob", &route.Override{ID: "1-8-1", Kind: route.Pin, Class: "otp", Network: "GB", Route: "a"}
	ended := ordered(ordered(pinned, begins.Add(10*time.Second), again), begins.Add(20*time.Second), route.Order{End: "1-8-1", Actor: "ann"})
	ds, r = retake(t, ended)
	if o := r.Engine().World.Overrides; len(o) != 0 {
		t.Errorf("got %+v in force, want it ended by the id that it had in the recording", o)
	}
	if n := len(enforced(ds)); n < 5 { // two pins, their end, and the route goes and comes back
		t.Errorf("got %s", lines(ds))
	}
	gone := ordered(all, begins, route.Order{End: "1-5-1", Actor: "ann"}) // set before the recording began
	if ds, _ := retake(t, gone); len(enforced(ds)) < 2 {
		t.Errorf("got %s, want an order about what is not there left out", lines(ds))
	}
}
