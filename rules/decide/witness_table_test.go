package decide

import (
	"slices"

	"signalbox/rules/route"
)

// rowAt is the row of a table that a sender takes.
func rowAt(t *route.Table, key route.Lane) *route.LaneTable {
	if at := t.Lookup(key.Class, key.Network); at >= 0 {
		return &t.Lanes[at]
	}
	return nil
}

func carries(e *route.Entry) bool {
	return e.Phase == route.Active && (e.Admin == "" || e.Admin == route.AdminPinned)
}

// leavesEnough checks min_active wherever a demotion, or where that is nil a drain, took a route that carried.
func (w *witness) leavesEnough(was *route.Table, d *route.Decision) {
	for _, key := range destinations {
		before, after := rowAt(was, key), rowAt(w.table, key)
		if before == nil || after == nil || d != nil && (key.Class != d.Lane.Class || !d.Lane.Network.Contains(key.Network)) {
			continue
		}
		carried, carry := usableIn(before), usableIn(after)
		if gone := slices.ContainsFunc(carried, func(id route.ID) bool { return !slices.Contains(carry, id) }); gone && len(carry) < w.policy.Guards.MinActive {
			w.fail("%d routes carry %s, want %d; they were %q", len(carry), key, w.policy.Guards.MinActive, carried)
		}
	}
}

func usableIn(l *route.LaneTable) []route.ID {
	var out []route.ID
	for i := range l.Routes {
		if carries(&l.Routes[i]) {
			out = append(out, l.Routes[i].Route)
		}
	}
	return out
}

// freed reports whether a drain ended in the round that gives a route of the row its place back.
func (w *witness) freed(row *route.LaneTable) bool {
	return slices.ContainsFunc(w.back, func(o route.Override) bool {
		return o.Covers(row.Lane()) && slices.ContainsFunc(row.Routes, func(e route.Entry) bool { return e.Route == o.Route && e.Phase == route.Active })
	})
}

// notTooMany checks max_demoted.
func (w *witness) notTooMany(was *route.Table, d *route.Decision) {
	limit := w.policy.Guards.MaxDemoted
	before, after := rowAt(was, d.Lane), rowAt(w.table, d.Lane)
	if limit == 0 || d.From != route.Active || before == nil {
		return
	}
	out, all := 0, 0
	for _, e := range after.Routes {
		if e.Admin == route.AdminUnregistered {
			continue
		}
		if all++; e.Phase != route.Active {
			out++
		}
	}
	if most := limit * all / route.FullShare; out > max(most, 1) || out > most && len(usableIn(before)) < 2 && !w.freed(before) {
		w.fail("%s leaves %d of %d out, want at most %d", d.ID, out, all, most)
	}
}

// alone checks that no second route sets out on its way back.
func (w *witness) alone(was *route.Table, d *route.Decision) {
	if d.From != route.Demoted {
		return
	}
	for _, key := range destinations {
		row := rowAt(was, key)
		if row == nil || key.Class != d.Lane.Class || w.family(key) != w.family(d.Lane) {
			continue
		}
		for _, e := range row.Routes {
			if e.Phase == route.Recovering && e.Route != d.Route {
				w.fail("%s begins a way back while %s is on one in %s", d.ID, e.Route, key)
			}
		}
	}
}

// pinned checks that no round moved a route whose pin was in force before and after it.
func (w *witness) pinned(was *route.Table, before []route.Override) {
	for _, o := range w.world.Overrides {
		if o.Kind != route.Pin || !slices.ContainsFunc(before, func(x route.Override) bool { return x.ID == o.ID }) {
			continue
		}
		for _, key := range destinations {
			x, y := rowAt(was, key), rowAt(w.table, key)
			if x == nil || !o.Covers(key) {
				continue
			}
			for _, e := range x.Routes {
				for _, f := range y.Routes {
					if e.Route == o.Route && f.Route == o.Route && (e.Phase != f.Phase || e.Phase == route.Recovering && !e.Since.Equal(*f.Since)) {
						w.fail("%s went from %s to %s in %s while it was pinned", e.Route, e.Phase, f.Phase, key)
					}
				}
			}
		}
	}
}

// published checks the table in force.
func (w *witness) published(was *route.Table, g route.Generation) {
	changed := encode(was.Lanes) != encode(w.table.Lanes) || was.Policy != w.table.Policy
	switch {
	case changed && w.world.Generation != g.Next(), w.world.Generation != g && w.world.Generation != g.Next():
		w.fail("generation went from %s to %s, and the table changed: %t", g, w.world.Generation, changed)
	case w.table.Generation != w.world.Generation:
		w.fail("table %s in a world at %s", w.table.Generation, w.world.Generation)
	}
	now := Table(w.policy, w.world, w.now)
	if got, want := encode(w.table.Lanes), encode(now.Lanes); got != want {
		w.fail("the table in force is not the one of the state:\ngot  %s\nwant %s", got, want)
	}
	rows := map[route.Lane]bool{}
	for i := range w.table.Lanes {
		l := &w.table.Lanes[i]
		if rows[l.Lane()] {
			w.fail("two rows of %s", l.Lane())
		}
		rows[l.Lane()] = true
		w.shared(l)
	}
	for _, l := range w.policy.Lanes {
		if !rows[l.Lane] {
			w.fail("no row of lane %s", l.Lane)
		}
	}
}

func (w *witness) shared(l *route.LaneTable) {
	sum, usable, allowed := 0, len(usableIn(l)) > 0, false
	for _, e := range l.Routes {
		sum += e.Share
		allowed = allowed || e.Admin == "" || e.Admin == route.AdminPinned
		if e.Share < 0 {
			w.fail("%s has share %d in %s", e.Route, e.Share, l.Lane())
		}
	}
	if sum != route.FullShare || len(l.Routes) == 0 {
		w.fail("shares of %s sum to %d", l.Lane(), sum)
	}
	for _, e := range l.Routes {
		forbidden := e.Admin == route.AdminDrained || e.Admin == route.AdminUnregistered
		switch {
		case forbidden && allowed && e.Share > 0:
			w.fail("%s is %s and has %d of %s", e.Route, e.Admin, e.Share, l.Lane())
		case !forbidden && e.Phase == route.Demoted && usable && e.Share > w.policy.Route(e.Route).Trickle:
			w.fail("%s is demoted and has %d, more than its trickle", e.Route, e.Share)
		}
	}
}

// reload puts another policy in force, and checks that what stays is as it was.
func (w *witness) reload(to site) {
	w.tell()
	was, table := w.world, *w.table
	before := encode(was)
	o := w.story.reload(to)
	if encode(was) != before {
		w.fail("a reload changed the world given")
	}
	for _, l := range o.World.Lanes {
		for _, s := range l.Routes {
			if old := was.Lane(l.Lane); old != nil && old.State(s.Route) != nil && encode(old.State(s.Route)) != encode(s) {
				w.fail("a reload changed %s in %s", s.Route, l.Lane)
			}
		}
	}
	if again := Adopt(w.policy, o.World, w.table, w.now); again.Changed || again.Table != nil || len(again.Decisions) > 0 {
		w.fail("the same policy again changed something")
	}
	w.broughtBack(&table)
	if o.Changed {
		w.durable = encode(w.world)
	}
	w.settleIn()
	w.agree()
	w.published(&table, was.Generation)
	w.from, w.told = w.world, len(w.journal)
}

// broughtBack checks that a reload lets no route back where messages go that it was kept from.
func (w *witness) broughtBack(was *route.Table) {
	for _, key := range destinations {
		before, after := rowAt(was, key), rowAt(w.table, key)
		if before == nil || after == nil {
			continue
		}
		phases := map[route.ID]route.Phase{}
		for _, e := range after.Routes {
			if e.Admin != route.AdminUnregistered {
				phases[e.Route] = e.Phase
			}
		}
		for _, e := range before.Routes {
			if p, there := phases[e.Route]; there && e.Admin != route.AdminUnregistered && farOut(p) < farOut(e.Phase) {
				w.fail("a reload brought %s back in %s: %s, was %s", e.Route, key, p, e.Phase)
			}
		}
	}
}

// tell retells the journal since the last reload, and compares what senders would see.
func (w *witness) tell() {
	told := Retell(w.policy, w.from, w.journal[w.told:])
	if got, want := encode(Table(w.policy, told, w.now).Lanes), encode(w.table.Lanes); got != want {
		w.fail("the journal tells another table than the one in force:\ngot  %s\nwant %s", got, want)
	}
	if !slices.EqualFunc(told.Overrides, w.world.Overrides, func(a, b route.Override) bool { return encode(a) == encode(b) }) {
		w.fail("the journal tells other orders:\ngot  %s\nwant %s", encode(told.Overrides), encode(w.world.Overrides))
	}
}
