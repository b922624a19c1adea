package decide

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// witness follows a story by its journal and tables alone, and says what must never happen.
type witness struct {
	*story
	rt      *rapid.T
	phases  map[place]route.Phase
	out     map[place]time.Time // hold-down, told by the state at the demotion
	changes map[route.Lane][]time.Time
	ids     map[string]bool
	steps   int
	durable string      // the world at the last change that had to outlive a restart
	from    route.World // from which the journal is retold
	told    int         // of the journal, up to from
}

func newWitness(rt *rapid.T, s site) *witness {
	w := &witness{story: s.begin(rt), rt: rt, phases: map[place]route.Phase{}, out: map[place]time.Time{}, changes: map[route.Lane][]time.Time{}, ids: map[string]bool{}}
	w.durable, w.from = encode(w.world), w.world
	w.settleIn()
	return w
}

// settleIn fits what is followed to the places that there are.
func (w *witness) settleIn() {
	phases, out, changes := map[place]route.Phase{}, map[place]time.Time{}, map[route.Lane][]time.Time{}
	for _, l := range w.world.Lanes {
		changes[l.Lane] = w.changes[l.Lane]
	}
	w.everywhere(func(p place, s *route.State) {
		phases[p], out[p] = s.Phase, later(w.out[p], s.HoldUntil) // what a reload may change is checked there
	})
	w.phases, w.out, w.changes = phases, out, changes
}

// everywhere calls f with every state there is, of lanes and of their networks.
func (w *witness) everywhere(f func(place, *route.State)) {
	for _, l := range w.world.Lanes {
		for _, s := range everyState(w.policy, &l) {
			f(place{l.Lane, s.Route}, &s)
		}
		for _, on := range l.Networks {
			for i := range on.Routes {
				f(place{route.Lane{Class: l.Lane.Class, Network: on.Network}, on.Routes[i].Route}, &on.Routes[i])
			}
		}
	}
}

func (w *witness) fail(format string, args ...any) {
	w.rt.Helper()
	w.rt.Fatalf("at %s: %s\n%s%s", w.now.Format("15:04:05"), fmt.Sprintf(format, args...), tail(w.journal), encode(w.world))
}

// step judges one round, and again from what was durable before it.
func (w *witness) step() {
	was, table, before := w.world, *w.table, encode(w.world)
	restarted := decode(w.rt, w.durable)
	ds := w.round()
	if after := encode(was); after != before {
		w.fail("the world given was changed:\nwas %s\nis  %s", before, after)
	}
	again := w.judge(restarted)
	if encode(again.Decisions) != encode(ds) || (again.Table == nil) != (w.last.Table == nil) || again.Table != nil && encode(again.Table) != encode(w.table) {
		w.fail("a restart from what was durable decides otherwise:\ngot  %s\nwant %s", encode(again.Decisions), encode(ds))
	}
	if w.last.Changed {
		w.durable = encode(w.world)
	} else if len(ds) > 0 || w.last.Table != nil {
		w.fail("decisions need not outlive a restart")
	}
	w.follow(was, &table, ds)
	w.published(&table, was.Generation)
	w.pinned(&table, was.Overrides)
	if w.steps++; w.steps%3 == 0 || len(ds) > 0 {
		consistent(w.rt, w.story, Seen{Signals: w.last.Signals, Wide: w.last.Wide})
	}
}

// family is the lane whose messages a row is about.
func (w *witness) family(key route.Lane) route.Lane {
	keys := w.policy.LaneKeys()
	at := route.Find(keys, key.Class, key.Network)
	if at < 0 {
		w.fail("no lane serves %s", key)
	}
	return keys[at]
}

// stateAt is the state of a route in a row; a fresh one where nothing is remembered.
func (w *witness) stateAt(world route.World, p place) *route.State {
	l := world.Lane(w.family(p.lane))
	s := l.State(p.route)
	if p.lane != l.Lane {
		s = l.On(p.lane.Network, p.route)
	}
	if s == nil {
		fresh := route.Fresh(p.route)
		return &fresh
	}
	return s
}

// follow checks what was decided against what was before.
func (w *witness) follow(was route.World, table *route.Table, ds []route.Decision) {
	moved := map[route.Lane]int{}
	for i := range ds {
		d := &ds[i]
		if !d.Enforced || d.Verdict == route.VerdictNothing || d.From == d.To && d.To != route.Recovering {
			continue
		}
		moved[w.family(d.Lane)]++
		w.moves(was, table, d)
	}
	for lane, n := range moved {
		if n > 1 {
			w.fail("%d changes of %s in one round", n, lane)
		}
	}
	w.agree()
}

// agree checks that ids are told once, and that the states are where the journal led.
func (w *witness) agree() {
	for i := len(w.ids); i < len(w.journal); i++ {
		if id := w.journal[i].ID; w.ids[id] {
			w.fail("decision %s was told twice", id)
		} else {
			w.ids[id] = true
		}
	}
	w.everywhere(func(p place, s *route.State) {
		phase, followed := w.phases[p]
		if !followed {
			phase = route.Active
			w.phases[p] = phase
		}
		if phase != s.Phase {
			w.fail("the journal says that %v is %s, the state says %s", p, phase, s.Phase)
		}
	})
}

// moves checks one change that rules made.
func (w *witness) moves(was route.World, table *route.Table, d *route.Decision) {
	p := place{d.Lane, d.Route}
	if now := w.phases[p]; now != d.From && !(now == "" && d.From == route.Active) {
		w.fail("%s starts from %s, the journal led to %s", d.ID, d.From, now)
	}
	// A rule that a reload took away from the lane asks for nothing any more.
	rule := w.ruleOf(d)
	if look := w.seen(p, rule); rule != nil && look.bind == 0 && (look.cause != "" || d.Rule == "bind") {
		w.fail("%s rests on what is unknown", d.ID)
	}
	class := classOf(w.policy, d.Lane.Class)
	if d.Mode != route.Act || class.Mode != route.Act {
		w.fail("%s was enforced in mode %s of class %s", d.ID, d.Mode, class.Mode)
	}
	w.ordered(d)
	if d.Verdict == route.VerdictDemote {
		w.leavesEnough(table, d)
		w.notTooMany(table, d)
		w.holdsDown(was, d)
	} else {
		if w.now.Before(w.out[p]) {
			w.fail("%s cuts the hold-down until %s short", d.ID, w.out[p])
		}
		w.alone(table, d)
	}
	w.phases[p] = d.To
	w.paced(d)
	w.noteChange(d)
}

func (w *witness) ruleOf(d *route.Decision) *policy.Rule {
	for _, r := range w.policy.RulesFor(d.Lane) {
		if r.Name == d.Rule && perNetwork(r) == (d.Lane != w.family(d.Lane)) {
			return r
		}
	}
	return nil
}

// seen is how a rule saw a route.
func (w *witness) seen(p place, r *policy.Rule) look {
	if l, set := w.wide[p.route]; set && r != nil && perRoute(r) {
		return l
	}
	if l, set := w.on[p]; set {
		return l
	}
	if l, set := w.looks[p.route]; set {
		return l
	}
	return well
}

// ordered checks that no operator's order and no window held a change.
func (w *witness) ordered(d *route.Decision) {
	for _, o := range w.world.Overrides {
		of := (o.Class == route.AnyClass || o.Class == d.Lane.Class) && (o.Network.Contains(d.Lane.Network) || d.Lane.Network.Contains(o.Network) && w.family(route.Lane{Class: d.Lane.Class, Network: o.Network}) == d.Lane)
		if of && (o.Kind == route.Pin && o.Route == d.Route || o.Kind == route.Freeze && policy.Freeze(o.Changes).Holds(d.Verdict)) {
			w.fail("%s was made against %s", d.ID, o.Text(stamp))
		}
	}
	for _, window := range w.policy.WindowsOf(d.Lane) {
		if window.Freeze.Holds(d.Verdict) && window.Open(w.now) {
			w.fail("%s was made while the window %s was open", d.ID, window.Name)
		}
	}
}

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

// destinations are what senders look up.
var destinations = []route.Lane{otpGB, otp15, otp30, bulkGB, {Class: "bulk", Network: "234-15"}, {Class: "bulk", Network: "234-30"}}

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
	if most := limit * all / route.FullShare; out > max(most, 1) || out > most && len(usableIn(before)) < 2 {
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

// holdsDown checks relapses and the hold-down of a demotion.
func (w *witness) holdsDown(was route.World, d *route.Decision) {
	p := place{d.Lane, d.Route}
	s, before, rule := w.stateAt(w.world, p), w.stateAt(was, p), w.ruleOf(d)
	relapses := 0
	if before.Phase == route.Recovering || !before.PromotedAt.IsZero() && w.now.Sub(before.PromotedAt) <= rule.HoldDown.Decay {
		relapses = before.Relapses + 1
	}
	want := rule.HoldDown.Base
	for range relapses {
		want = min(time.Duration(float64(want)*rule.HoldDown.Factor), rule.HoldDown.Max)
	}
	if s.Relapses != relapses || s.HoldUntil.Sub(w.now) < want {
		w.fail("%s holds for %s after %d relapses, want %s after %d", d.ID, s.HoldUntil.Sub(w.now), s.Relapses, want, relapses)
	}
	w.out[p] = s.HoldUntil
}

// paced checks settling and velocity, which only the steps and the reversal of a way back may pass.
func (w *witness) paced(d *route.Decision) {
	g, earlier := w.policy.Guards, w.changes[w.family(d.Lane)]
	if d.From == route.Recovering {
		return
	}
	recent := 0
	for _, at := range earlier {
		if at.After(w.now.Add(-g.Velocity.In)) {
			recent++
		}
	}
	if recent >= g.Velocity.Changes {
		w.fail("%s is change %d in %s, want at most %d", d.ID, recent+1, g.Velocity.In, g.Velocity.Changes)
	}
	if n := len(earlier); n > 0 && w.now.Sub(earlier[n-1]) < g.Settle {
		w.fail("%s comes %s after a change, want %s", d.ID, w.now.Sub(earlier[n-1]), g.Settle)
	}
}

func (w *witness) noteChange(d *route.Decision) {
	if d.From != route.Recovering || d.Verdict == route.VerdictDemote {
		w.changes[w.family(d.Lane)] = append(w.changes[w.family(d.Lane)], w.now)
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

// approved checks what a person's approval did.
func (w *witness) approved(table *route.Table, was route.World, ds []route.Decision, force bool) {
	for i := range ds {
		d := &ds[i]
		if !d.Enforced || d.Verdict == route.VerdictNothing {
			continue
		}
		p := place{d.Lane, d.Route}
		if d.Verdict == route.VerdictDemote {
			w.leavesEnough(table, d)
			w.out[p] = w.stateAt(w.world, p).HoldUntil
		}
		if !force {
			w.ordered(d)
			w.paced(d)
			if d.Verdict == route.VerdictPromote && w.now.Before(w.out[p]) {
				w.fail("%s cuts the hold-down until %s short", d.ID, w.out[p])
			}
		}
		w.phases[p] = d.To
		w.noteChange(d)
	}
}

// byHand checks what a person changed between two rounds.
func (w *witness) byHand(was *route.Table, before route.World) {
	w.durable = encode(w.world)
	w.agree()
	w.published(was, before.Generation)
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
