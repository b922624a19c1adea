package decide

import (
	"fmt"
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
	durable string           // the world at the last change that had to outlive a restart
	from    route.World      // from which the journal is retold
	told    int              // of the journal, up to from
	back    []route.Override // drains that ended in the round that is followed: their routes are usable in it again
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
	w.back = nil
	for i := range ds {
		d := &ds[i]
		if d.Reason == route.OverrideEnded && d.Override.Kind == route.Drain {
			w.back = append(w.back, *d.Override)
		}
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

// destinations are what senders look up.
var destinations = []route.Lane{otpGB, otp15, otp30, bulkGB, {Class: "bulk", Network: "234-15"}, {Class: "bulk", Network: "234-30"}}

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
