package policy

import (
	"fmt"
	"slices"
	"time"
)

// adviseWindows names windows that are about nothing, never open or never close.
func (p *Policy) adviseWindows() []Problem {
	var out []Problem
	for i := range p.Windows {
		w := &p.Windows[i]
		if !slices.ContainsFunc(p.Lanes, func(l Lane) bool { return w.Concerns(l.Lane) }) {
			out = append(out, w.place.problem("want a lane that the window is about, got none: it holds nothing"))
		}
		switch always, never := w.hours(); {
		case w.dayless:
			out = append(out, w.place.problem("want a day among its dates and calendars, got none: without days a window is open every day"))
		case never:
			out = append(out, w.place.problem("want a time of day at which it is open, got none: it never opens"))
		case always && w.everyDay():
			out = append(out, w.place.problem("want a window that closes, got one that is open at all times: "+w.forEver()))
		}
	}
	return out
}

// hours reports whether every time of day, or none, lies in the window.
func (w *Window) hours() (always, never bool) {
	switch {
	case w.From == w.To:
		return true, false
	case w.From == 0 && w.To == 24*time.Hour:
		return !w.Outside, w.Outside
	case w.From == 24*time.Hour && w.To == 0: // a night without an hour
		return w.Outside, !w.Outside
	}
	return false, false
}

func (w *Window) everyDay() bool {
	return len(w.Days) == 0 && len(w.Dates) == 0 || len(w.Days) == len(weekdays)
}

// forEver is what a window does that never closes.
func (w *Window) forEver() string {
	switch w.Freeze {
	case FreezePromotions:
		return "no route that was demoted ever comes back"
	case FreezeDemotions:
		return "no route is ever demoted"
	case FreezeChanges:
		return "nothing ever changes"
	}
	return "refusals never count"
}

// Outdated returns the windows that do not open again after now, because all of their days are past.
func (p *Policy) Outdated(now time.Time) []Problem {
	var out []Problem
	for i := range p.Windows {
		w := &p.Windows[i]
		if len(w.Dates) == 0 || len(w.Days) > 0 {
			continue
		}
		last := w.Dates[0].To
		for _, s := range w.Dates {
			last = max(last, s.To)
		}
		if yesterday := now.In(w.Zone).AddDate(0, 0, -1).Format(time.DateOnly); last < yesterday { // a night runs into the next day
			out = append(out, w.place.problem(fmt.Sprintf("want a day that is still to come, got %s as the last: it never opens again", last)))
		}
	}
	return sorted(out)
}
