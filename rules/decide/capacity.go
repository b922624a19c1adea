package decide

import (
	"fmt"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// capacity lets no change pass that the routes which carry the lane after it cannot carry together: what each has left of
// its capacity, over all lanes, against the lane's measured rate. A route that is full passes messages on to the next,
// so it is their sum that counts.
func (l *lane) capacity(c change) route.GuardResult {
	then := l.round.policy.Guards.Capacity
	if then == "" {
		return passes("the policy does not ask")
	}
	if c.verdict == route.VerdictPromote {
		return orLower(l.carriesBack(c), then)
	}
	if l.phase(c.index) != route.Active {
		return passes("no active route goes")
	}
	rate := l.rate()
	left, unknown := l.roomWithout(l.states[c.index].Route)
	switch {
	case unknown != "":
		return passes("the policy does not say what %s can carry", unknown)
	case left < rate:
		return orLower(holdsBack(fmt.Sprintf("the lane falling under %s, or a route with room for it becoming active", perSecond(left)),
			"the lane carries %s, and the remaining routes have room for %s", perSecond(rate), perSecond(left)), then)
	}
	return passes("the lane carries %s, and the remaining routes have room for %s", perSecond(rate), perSecond(left))
}

// roomWithout is what the usable routes but one have room for together, or the first whose capacity is not known.
func (l *lane) roomWithout(id route.ID) (room float64, unknown route.ID) {
	row := l.row()
	for i := range row {
		if !row[i].usable() || row[i].id == id {
			continue
		}
		more, known := l.room(row[i].id)
		if !known {
			return 0, row[i].id
		}
		room += more
	}
	return room, ""
}

// carriesBack asks whether a route that comes back has room for the share that it will get.
func (l *lane) carriesBack(c change) route.GuardResult {
	id := l.states[c.index].Route
	room, known := l.room(id)
	if !known {
		return passes("the policy does not say what %s can carry", id)
	}
	gets := l.rate() * float64(l.shareAfter(c)) / route.FullShare
	if gets > room {
		return holdsBack(fmt.Sprintf("%s having room for it", id), "%s would get %s, and has room for %s", id, perSecond(gets), perSecond(room))
	}
	return passes("%s would get %s, and has room for %s", id, perSecond(gets), perSecond(room))
}

// shareAfter is the share of the change's route after it, in ten-thousandths.
func (l *lane) shareAfter(c change) int {
	share := 0
	l.after(c, func(row []standing) {
		order := inOrder(row)
		shares := laneShares(l.round.policy, l.policy, order)
		for i := range order {
			if order[i].id == l.states[c.index].Route {
				share = shares[i]
			}
		}
	})
	return share
}

// rate is the submits a second of the row.
func (l *lane) rate() float64 {
	sum := 0.0
	for i := range l.signals {
		sum += l.signals[i].Rate
	}
	return sum
}

// room is what a route could carry of the row: its capacity less what it carries elsewhere; not known where the policy
// does not say its capacity.
func (l *lane) room(id route.ID) (room float64, known bool) {
	r := l.round.policy.Route(id)
	if r == nil || r.Capacity <= 0 {
		return 0, false
	}
	elsewhere := l.rates[id]
	if i := l.index(id); i >= 0 {
		elsewhere -= l.signals[i].Rate
	}
	return max(0, r.Capacity-max(0, elsewhere)), true
}

func perSecond(rate float64) string { return fmt.Sprintf("%.1f/s", rate) }

// windows are those of the policy that are about the row.
func (l *lane) windows() []*policy.Window { return l.round.policy.WindowsOf(l.key) }

// inWindow holds what a window freezes while it is open.
func (l *lane) inWindow(c change) route.GuardResult {
	asked := 0
	for _, w := range l.windows() {
		if !w.Freeze.Holds(c.verdict) {
			continue
		}
		if asked++; w.Open(l.now) {
			frees := "the window " + w.Name + " closing"
			if ends := w.Ends(l.now); !ends.IsZero() {
				frees += " at " + ends.In(w.Zone).Format("2006-01-02 15:04 MST")
			}
			return holdsBack(frees, "the window %s freezes %s", w.Name, w.Freeze)
		}
	}
	if asked == 0 {
		return passes("no window is about it")
	}
	return passes("no window that is about it is open")
}
