package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// drawSite is a random policy over routes a to d.
func drawSite(t *rapid.T) site {
	one := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	var s site
	for _, id := range []string{"a", "b", "c", "d"} {
		s.routes += fmt.Sprintf("\n  %s: {provider: p%s, networks: [GB], trickle: %s, price: {GB: 0.03%s EUR}}", id, id, one("trickle", "0%", "1%", "30%"), one("price", "0", "3", "6"))
	}
	mode := func() string { return one("mode", "act", "act", "act", "act", "propose", "observe") }
	s.classes = fmt.Sprintf("\n  otp: {mode: %s, approval: %s, unknown_after: 1m}\n  bulk: {mode: act}", mode(), one("approval", "30s", "15m"))
	s.lanes = "\n  - {class: otp, network: GB, " + one("otp", "order: [a, b, c]", "order: [b, a]", "order: [c, d, a, b]", "order: [a]", "share: {a: 50, b: 30, d: 20}") + "}"
	if rapid.Bool().Draw(t, "two lanes") {
		s.lanes += "\n  - {class: bulk, network: GB, " + one("bulk", "order: [a, b]", "share: {a: 1, b: 1, c: 1}") + "}"
	}
	kinds := rapid.Permutation([]string{"receipts", "bind", "conversions"}).Draw(t, "rules")
	conditions := map[string][2]string{
		"receipts":    {"delivery.evidence >= 12.0", "delivery.recovered >= 4.6"},
		"bind":        {`probe["bind"].failures >= 3`, `probe["bind"].successes >= 3`},
		"conversions": {"conversion.evidence >= 12.0", "conversion.recovered >= 4.6"},
	}
	for _, name := range kinds[:rapid.IntRange(1, 3).Draw(t, "number of rules")] {
		s.rules += fmt.Sprintf("\n  - name: %s\n    class: [%s]\n    mode: %s\n    demote: {when: '%s', for: %s}\n    promote: {when: '%s', for: %s, ramp: %s, step: %s, mode: %s}\n    hold_down: {base: %s, factor: %s, max: 10m, decay: %s}",
			name, one("class", `"*"`, `"*"`, "otp"), mode(), conditions[name][0], one("for", "0s", "0s", "10s"),
			conditions[name][1], one("promote for", "0s", "15s"), one("ramp", "[100%]", "[5%, 100%]", "[5%, 60%, 100%]"), one("step", "0s", "20s"), mode(),
			one("base", "0s", "30s", "2m"), one("factor", "1", "2", "3"), one("decay", "0s", "1m", "1h"))
	}
	s.guards = fmt.Sprintf("{min_active: %s, common_cause: {share: 60%%, wait: %s}, corroborate: {class: [%s], wait: 20s}, settle: %s, velocity: {changes: %s, in: %s}}",
		one("min_active", "1", "1", "2"), one("cause wait", "0s", "20s"), one("corroborate", "otp", "bulk"), one("settle", "0s", "30s", "1m"), one("velocity", "1", "2", "20"), one("velocity in", "1m", "10m"))
	return s
}

var looks = []look{well, well, silent, failing, unbound, returned, away, {},
	{failure: 20, peers: 9, bind: -3}, {failure: 20, bind: 3}, {lost: 20, peers: -9, bind: -3},
	{recovered: 9, converts: 9, bind: -3}, {recovered: 9, converts: 9, bind: -3}, {silence: 20, peers: -9, second: -9, hasSecond: true, bind: -3}}

// witness follows a story by its journal and tables alone, and says what must never happen.
type witness struct {
	*story
	rt      *rapid.T
	phases  map[place]route.Phase
	out     map[place]time.Time // hold-down, told by the state at the demotion
	changes map[route.Lane][]time.Time
	ids     map[string]bool
	steps   int
	durable string // the world at the last change that had to outlive a restart
}

func newWitness(rt *rapid.T, s site) *witness {
	w := &witness{story: s.begin(rt), rt: rt, phases: map[place]route.Phase{}, out: map[place]time.Time{}, changes: map[route.Lane][]time.Time{}, ids: map[string]bool{}}
	w.durable = encode(w.world)
	w.settleIn()
	return w
}

// settleIn fits what is followed to the lanes that there are.
func (w *witness) settleIn() {
	phases := map[place]route.Phase{}
	changes := map[route.Lane][]time.Time{}
	for _, l := range w.world.Lanes {
		changes[l.Lane] = w.changes[l.Lane]
		for _, s := range everyState(w.policy, &l) {
			p := place{l.Lane, s.Route}
			if phases[p] = w.phases[p]; phases[p] == "" {
				phases[p] = route.Active
				delete(w.out, p)
			}
		}
	}
	w.phases, w.changes = phases, changes
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
	w.follow(was, ds)
	w.published(&table, was.Generation)
	if w.steps++; w.steps%3 == 0 || len(ds) > 0 {
		consistent(w.rt, w.story, Seen{Signals: w.last.Signals, Wide: w.last.Wide})
	}
}

// follow checks what was decided against what was before.
func (w *witness) follow(was route.World, ds []route.Decision) {
	moved := map[route.Lane]int{}
	for i := range ds {
		d := &ds[i]
		if w.ids[d.ID] {
			w.fail("decision %s was told twice", d.ID)
		}
		w.ids[d.ID] = true
		if !d.Enforced || d.From == d.To && d.To != route.Recovering {
			continue
		}
		moved[d.Lane]++
		w.moves(was.Lane(d.Lane), d)
	}
	for lane, n := range moved {
		if n > 1 {
			w.fail("%d changes of %s in one round", n, lane)
		}
	}
	for _, l := range w.world.Lanes {
		for _, s := range everyState(w.policy, &l) {
			if p := (place{l.Lane, s.Route}); w.phases[p] != s.Phase {
				w.fail("the journal says that %v is %s, the state says %s", p, w.phases[p], s.Phase)
			}
		}
	}
}

// moves checks one enforced change.
func (w *witness) moves(was *route.LaneState, d *route.Decision) {
	p := place{d.Lane, d.Route}
	if w.phases[p] != d.From {
		w.fail("%s starts from %s, the journal led to %s", d.ID, d.From, w.phases[p])
	}
	look := w.looks[d.Route]
	// A rule that a reload took away from the lane asks for nothing any more.
	still := slices.ContainsFunc(w.policy.RulesFor(d.Lane), func(r *policy.Rule) bool { return r.Name == d.Rule })
	if still && look.bind == 0 && (look.cause != "" || d.Rule == "bind") {
		w.fail("%s rests on what is unknown", d.ID)
	}
	class := classOf(w.policy, d.Lane.Class)
	if d.Mode != route.Act || class.Mode != route.Act {
		w.fail("%s was enforced in mode %s of class %s", d.ID, d.Mode, class.Mode)
	}
	now := w.world.Lane(d.Lane)
	if d.Verdict == route.VerdictDemote {
		w.demotes(now, was, d)
	} else if w.now.Before(w.out[p]) {
		w.fail("%s cuts the hold-down until %s short", d.ID, w.out[p])
	}
	w.phases[p] = d.To
	w.paced(d)
}

func (w *witness) demotes(now, was *route.LaneState, d *route.Decision) {
	active := 0
	for _, s := range everyState(w.policy, now) {
		if s.Phase == route.Active {
			active++
		}
	}
	if d.From == route.Active && active < w.policy.Guards.MinActive {
		w.fail("%s leaves %d active, want %d", d.ID, active, w.policy.Guards.MinActive)
	}
	s, before := stateOf(now, d.Route), stateOf(was, d.Route)
	rule, _ := w.rule(d.Rule)
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
	w.out[place{d.Lane, d.Route}] = s.HoldUntil
}

func (w *witness) rule(name string) (*policy.Rule, bool) {
	for i := range w.policy.Rules {
		if w.policy.Rules[i].Name == name {
			return &w.policy.Rules[i], true
		}
	}
	return nil, false
}

// paced checks settling and velocity, which only the steps and the reversal of a way back may pass.
func (w *witness) paced(d *route.Decision) {
	g, earlier := w.policy.Guards, w.changes[d.Lane]
	if d.From != route.Recovering {
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
	if d.From != route.Recovering || d.Verdict == route.VerdictDemote {
		w.changes[d.Lane] = append(earlier, w.now)
	}
}

// published checks the table in force.
func (w *witness) published(was *route.Table, g route.Generation) {
	changed := encode(was.Lanes) != encode(w.table.Lanes) || was.Policy != w.table.Policy
	switch {
	case changed && w.world.Generation != g.Next(), !changed && w.world.Generation != g:
		w.fail("generation went from %s to %s, and the table changed: %t", g, w.world.Generation, changed)
	case w.table.Generation != w.world.Generation, len(w.table.Lanes) != len(w.world.Lanes):
		w.fail("table %s of %d lanes in a world at %s of %d", w.table.Generation, len(w.table.Lanes), w.world.Generation, len(w.world.Lanes))
	}
	now := Table(w.policy, w.world, w.now)
	if got, want := encode(w.table.Lanes), encode(now.Lanes); got != want {
		w.fail("the table in force is not the one of the state:\ngot  %s\nwant %s", got, want)
	}
	for i := range w.table.Lanes {
		w.shared(&w.table.Lanes[i])
	}
}

func (w *witness) shared(l *route.LaneTable) {
	sum, active := 0, false
	for _, e := range l.Routes {
		sum += e.Share
		active = active || e.Phase == route.Active
		if e.Share < 0 {
			w.fail("%s has share %d in %s", e.Route, e.Share, l.Lane())
		}
	}
	if sum != route.FullShare || len(l.Routes) == 0 {
		w.fail("shares of %s sum to %d", l.Lane(), sum)
	}
	for _, e := range l.Routes {
		if e.Phase == route.Demoted && active && e.Share > w.policy.Route(e.Route).Trickle {
			w.fail("%s is demoted and has %d, more than its trickle", e.Route, e.Share)
		}
	}
}

// reload puts another policy in force, and checks that what stays is as it was.
func (w *witness) reload(to site) {
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
	for _, d := range o.Decisions {
		if w.ids[d.ID] {
			w.fail("decision %s was told twice", d.ID)
		}
		w.ids[d.ID] = true
	}
	if o.Changed {
		w.durable = encode(w.world)
	}
	w.settleIn()
	w.published(&table, was.Generation)
}

func TestWhatMustNeverHappen(t *testing.T) {
	enforced := 0
	rapid.Check(t, func(rt *rapid.T) {
		sites := []site{drawSite(rt), drawSite(rt)}
		w := newWitness(rt, sites[0])
		for range rapid.IntRange(10, 40).Draw(rt, "scenes") {
			switch rapid.IntRange(0, 19).Draw(rt, "event") {
			case 0:
				w.reload(sites[rapid.IntRange(0, 1).Draw(rt, "policy")])
			case 1:
				w.jump(time.Duration(rapid.IntRange(1, 1200).Draw(rt, "gap")) * time.Second)
			case 2:
				w.options.Hold = !w.options.Hold
			default:
				id := rapid.SampledFrom([]route.ID{"a", "b", "c", "d"}).Draw(rt, "route")
				w.look(id, rapid.SampledFrom(looks).Draw(rt, "look"))
			}
			for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
				w.step()
			}
		}
		enforced += len(slices.DeleteFunc(w.journal, func(d route.Decision) bool { return !d.Enforced }))
	})
	if enforced < 50 {
		t.Errorf("got %d enforced decisions in all, want enough to have tried something", enforced)
	}
}

func TestDecisionsDoNotDependOnTheOrderOfDeclarations(t *testing.T) {
	lines := strings.Split(strings.TrimPrefix(plain.routes, "\n"), "\n")
	slices.Reverse(lines)
	turned := plain
	turned.routes = "\n" + strings.Join(lines, "\n")
	x, y := plain.begin(t), turned.begin(t)
	y.policy.Revision = x.policy.Revision
	for n := range 400 {
		for i, id := range []route.ID{"a", "b", "c"} {
			v := looks[(n/12+5*i)%len(looks)]
			x.look(id, v)
			y.look(id, v)
		}
		if got, want := encode(y.round()), encode(x.round()); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
