package policy

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// Freeze says which changes a window, or an operator, holds.
type Freeze string

// The freezes. The empty one is none.
const (
	FreezePromotions Freeze = "promotions"
	FreezeDemotions  Freeze = "demotions"
	FreezeChanges    Freeze = "changes" // both
)

// Holds reports whether the freeze is about a verdict.
func (f Freeze) Holds(v route.Verdict) bool {
	switch f {
	case FreezeChanges:
		return true
	case FreezePromotions:
		return v == route.VerdictPromote
	case FreezeDemotions:
		return v == route.VerdictDemote
	}
	return false
}

// Window is a recurring stretch of local time in which some changes are held, or some observations are not counted.
// Either Freeze or IgnoreRefusals is set.
type Window struct {
	Name           string
	Classes        []route.Class   // empty is every class
	Networks       []route.Network // lanes that lie in one of them; empty is every lane
	Freeze         Freeze
	IgnoreRefusals bool           // refused submits and receipts that say failed speak against nobody
	Days           []time.Weekday // empty, with no Dates: every day
	Dates          []DateSpan     // days beside those of Days
	From, To       time.Duration  // time of day, 0..24h; equal is the whole day; From after To runs into the next day
	Outside        bool           // the time of day outside From..To is meant
	Zone           *time.Location // never nil

	place   place
	dayless bool // dates or calendars were written, and have no day
}

// DateSpan is some days of the calendar, both ends in it, in the form 2026-12-25.
type DateSpan struct{ From, To string }

// Concerns reports whether the window is about a lane.
func (w *Window) Concerns(l route.Lane) bool {
	class := len(w.Classes) == 0 || slices.Contains(w.Classes, l.Class) || slices.Contains(w.Classes, route.AnyClass)
	return class && (len(w.Networks) == 0 || contains(w.Networks, l.Network))
}

// Open reports whether the window is open at a moment.
func (w *Window) Open(at time.Time) bool {
	at = at.In(w.Zone)
	midnight := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, w.Zone)
	clock := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	switch {
	case w.From == w.To:
		return w.day(midnight)
	case w.From < w.To:
		return w.day(midnight) && (clock >= w.From && clock < w.To) != w.Outside
	case w.Outside: // outside a night is the day between
		return w.day(midnight) && clock >= w.To && clock < w.From
	}
	// A night belongs to the day on which it begins.
	return clock >= w.From && w.day(midnight) || clock < w.To && w.day(midnight.AddDate(0, 0, -1))
}

// day reports whether the window may be open on the day that begins at midnight.
func (w *Window) day(midnight time.Time) bool {
	if len(w.Days) == 0 && len(w.Dates) == 0 {
		return true
	}
	date := midnight.Format(time.DateOnly)
	return slices.Contains(w.Days, midnight.Weekday()) ||
		slices.ContainsFunc(w.Dates, func(s DateSpan) bool { return s.From <= date && date <= s.To })
}

// windowReach bounds how far, in days, an end or beginning of a window is looked for.
const windowReach = 400

// Ends is when a window that is open at a moment closes; zero where that is more than a year away.
func (w *Window) Ends(at time.Time) time.Time {
	for day := range windowReach {
		for _, border := range w.borders(at, day) {
			if border.After(at) && !w.Open(border) {
				return border.UTC()
			}
		}
	}
	return time.Time{}
}

// Ended is when the window was last open before a moment at which it is closed; zero where that is more than within
// before it.
func (w *Window) Ended(at time.Time, within time.Duration) time.Time {
	for day := 0; time.Duration(day-1)*24*time.Hour <= within; day++ {
		borders := w.borders(at, -day)
		for _, border := range slices.Backward(borders) {
			if !border.After(at) && at.Sub(border) <= within && w.Open(border.Add(-time.Second)) {
				return border.UTC()
			}
		}
	}
	return time.Time{}
}

// borders are the moments of a day, so many days from the one that at lies in, at which the window may open or close.
func (w *Window) borders(at time.Time, days int) []time.Time {
	local := at.In(w.Zone)
	var out []time.Time
	for _, clock := range []time.Duration{0, min(w.From, w.To), max(w.From, w.To)} {
		out = append(out, time.Date(local.Year(), local.Month(), local.Day()+days, int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, w.Zone))
	}
	return out
}
