package decide

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// Shift moves every moment of a state by a time, as where the clock that they were read from was set. The world given is
// not changed. Overrides end when their operators said, whatever the clock did.
func Shift(w route.World, by time.Duration) route.World {
	move := func(at *time.Time) {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
	lanes := make([]route.LaneState, len(w.Lanes))
	for i := range w.Lanes {
		lanes[i] = w.Lanes[i]
		lanes[i].Changes = slices.Clone(w.Lanes[i].Changes)
		for k := range lanes[i].Changes {
			move(&lanes[i].Changes[k])
		}
		lanes[i].Routes, lanes[i].Networks = shiftStates(w.Lanes[i].Routes, move), slices.Clone(w.Lanes[i].Networks)
		for k := range lanes[i].Networks {
			lanes[i].Networks[k].Routes = shiftStates(lanes[i].Networks[k].Routes, move)
		}
	}
	w.Lanes, w.Overrides = lanes, slices.Clone(w.Overrides)
	move(&w.At)
	return w
}

func shiftStates(states []route.State, move func(*time.Time)) []route.State {
	var out []route.State
	for i := range states {
		s := clone(&states[i])
		shiftState(&s, move)
		out = append(out, s)
	}
	return out
}

func shiftState(s *route.State, move func(*time.Time)) {
	for _, at := range []*time.Time{&s.Since, &s.HoldUntil, &s.PromotedAt, &s.ExpiresAt, &s.Unknown} {
		move(at)
	}
	for i := range s.Clocks {
		move(&s.Clocks[i].At)
	}
	for i := range s.Told {
		move(&s.Told[i].Seen)
	}
	if s.Hold != nil {
		move(&s.Hold.Since)
		move(&s.Hold.Seen)
	}
}
