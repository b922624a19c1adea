package decide

import (
	"time"

	"signalbox/rules/route"
)

// Shift moves every moment of a state by a time, as where the clock that they were read from was set. The world given is
// not changed.
func Shift(w route.World, by time.Duration) route.World {
	move := func(at *time.Time) {
		if !at.IsZero() {
			*at = at.Add(by)
		}
	}
	lanes := make([]route.LaneState, len(w.Lanes))
	for i := range w.Lanes {
		lanes[i] = cloneLane(&w.Lanes[i])
		for k := range lanes[i].Changes {
			move(&lanes[i].Changes[k])
		}
		for k := range lanes[i].Routes {
			shiftState(&lanes[i].Routes[k], move)
		}
	}
	w.Lanes = lanes
	move(&w.At)
	return w
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
