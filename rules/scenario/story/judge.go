package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Failure is one thing that is otherwise than the story says.
type Failure struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Test   string `json:"test"`
	At     string `json:"at"`    // when, such as 2m or 2m..3m
	About  string `json:"about"` // the lane and the route, such as "otp/GB acme-uk"
	Want   string `json:"want"`
	Got    string `json:"got"`
	Reason string `json:"reason"` // what was decided instead, and what the conditions were made from
}

// String is the failure in one line: file:line: test: at when, lane route: want …, got …; why.
func (f Failure) String() string {
	s := fmt.Sprintf("%s:%d: %s: at %s", f.File, f.Line, f.Test, f.At)
	if f.About != "" {
		s += ", " + f.About
	}
	if s += fmt.Sprintf(": want %s, got %s", f.Want, f.Got); f.Reason != "" {
		s += "; " + f.Reason
	}
	return strings.Join(strings.Fields(s), " ")
}

// judge holds the expectations against the round that was just judged.
func (p *player) judge(tick time.Duration) {
	made := p.decisions[p.told:]
	for i, e := range p.test.expects {
		if p.over[i] {
			continue
		}
		switch {
		case e.kind == kindAt:
			p.over[i] = p.judgeAt(e, tick, made)
		case e.kind == kindNever && tick >= e.from && tick <= e.until:
			p.over[i] = p.judgeNever(e, tick, made)
		case e.kind == kindDecisions && tick+signal.Tick > e.until:
			p.over[i] = true
			p.judgeDecisions(e)
		}
	}
	p.told = len(p.decisions)
}

// close judges what is still open at the end, and puts the failures in the order of the file.
func (p *player) close() {
	for i, e := range p.test.expects {
		if !p.over[i] && e.kind == kindDecisions {
			p.judgeDecisions(e)
		}
	}
	slices.SortStableFunc(p.failures, func(a, b Failure) int { return cmp.Compare(a.Line, b.Line) })
}

// judgeAt reports whether the expectation is over: because it is so, or because it is too late for it.
func (p *player) judgeAt(e *expectation, tick time.Duration, made []route.Decision) bool {
	last := tick+signal.Tick > e.until
	if tick < e.from && !last {
		return false
	}
	lane := p.laneOf(&e.about)
	state := p.ofState(&e.facts, lane, e.about.route)
	var best []fact
	if e.facts.ofDecision() {
		if !e.within {
			made = p.lastOf(&e.facts, &e.about)
		}
		best = nearest(&e.facts, &e.about, made)
	}
	if allOK(state) && allOK(best) {
		return true
	}
	if !last {
		return false
	}
	if e.facts.ofDecision() && e.within {
		best = nearest(&e.facts, &e.about, p.between(e.from, e.until))
	}
	p.fail(e, span(e.from, e.until), p.about(&e.about, lane), e.facts.want(), joined(failing(state), failing(best)), p.why(e, lane))
	return true
}

// laneOf is the table of the lane that a subject means; nil where it means several or none.
func (p *player) laneOf(s *subject) *route.LaneTable {
	table := p.sim.Engine().Table
	var found *route.LaneTable
	for i := range table.Lanes {
		l := &table.Lanes[i]
		if !s.covers(l.Lane(), s.route) || s.route != "" && entryOf(l, s.route) == nil {
			continue
		}
		if found != nil && (l.Class != s.class || l.Network != s.network) {
			continue
		}
		found = l
	}
	if found == nil && s.class != "" && s.network != "" {
		if i := table.Lookup(s.class, s.network); i >= 0 {
			found = &table.Lanes[i]
		}
	}
	return found
}

func entryOf(l *route.LaneTable, id route.ID) *route.Entry {
	if l == nil {
		return nil
	}
	for i := range l.Routes {
		if l.Routes[i].Route == id {
			return &l.Routes[i]
		}
	}
	return nil
}

// ofState compares what is said of a lane and a route with what senders see and with the signals.
func (p *player) ofState(f *facts, l *route.LaneTable, id route.ID) []fact {
	if !f.ofState() {
		return nil
	}
	if l == nil {
		return []fact{{got: "no such lane"}}
	}
	out := f.ofTable(l)
	if !f.ofRoute() {
		return out
	}
	e := entryOf(l, id)
	if e == nil {
		return append(out, fact{got: "no such route in " + l.Lane().String()})
	}
	out = append(out, f.ofEntry(e)...)
	if f.when != nil {
		env := p.env(l, e)
		out = append(out, fact{got: inputs(f.when.Inputs(&env), env.Signals), ok: f.when.Eval(&env) == policy.True})
	}
	return out
}

// env is what conditions see of a route in a lane.
func (p *player) env(l *route.LaneTable, e *route.Entry) policy.Env {
	env := policy.Env{Route: p.policy.Route(e.Route), Signals: p.signals(l.Lane(), e.Route), State: policy.Facts{Phase: e.Phase}}
	for i := range l.Routes {
		if l.Routes[i].Phase == route.Active {
			env.State.Active++
		}
	}
	if e.Since != nil {
		env.State.PhaseAge = p.sim.Now().Sub(*e.Since)
	}
	if lane := p.sim.Engine().World.Lane(l.Lane()); lane != nil {
		if s := lane.State(e.Route); s != nil {
			env.State.Relapses = s.Relapses
		}
	}
	return env
}

// signals are those of a route in a lane at the last round; nil before the first.
func (p *player) signals(l route.Lane, id route.ID) *route.Signals {
	all := p.sim.Engine().Signals
	for i := range all {
		if all[i].Lane == l && all[i].Route == id {
			return &all[i]
		}
	}
	return nil
}

// lastOf is the decision that facts at a moment are about: the last one about the subject; beside a phase or a share the
// last one that was enforced, if there is one.
func (p *player) lastOf(f *facts, s *subject) []route.Decision {
	var last []route.Decision
	for i := range p.decisions {
		d := &p.decisions[i]
		if !s.covers(d.Lane, d.Route) || f.ofState() && !d.Enforced && len(last) > 0 && last[0].Enforced {
			continue
		}
		last = p.decisions[i : i+1]
	}
	return last
}

// nearest compares the facts with that decision about the subject which fits best.
func nearest(f *facts, s *subject, made []route.Decision) []fact {
	best, most := []fact{{got: "no decision"}}, -1
	for i := range made {
		if !s.covers(made[i].Lane, made[i].Route) {
			continue
		}
		all, fits := f.of(&made[i]), 0
		for _, x := range all {
			if x.ok {
				fits++
			}
		}
		if fits >= most {
			best, most = all, fits
		}
	}
	return best
}

// between are the decisions made from one moment to another.
func (p *player) between(from, until time.Duration) []route.Decision {
	var out []route.Decision
	for _, d := range p.decisions {
		if at := d.Time.Sub(p.file.Start); at >= from && at <= until {
			out = append(out, d)
		}
	}
	return out
}

// judgeNever reports whether what must not be is so.
func (p *player) judgeNever(e *expectation, tick time.Duration, made []route.Decision) bool {
	if !e.facts.ofState() {
		for i := range made {
			if d := &made[i]; e.about.covers(d.Lane, d.Route) && allOK(e.facts.of(d)) {
				p.fail(e, span(tick, tick), d.Lane.String()+" "+string(d.Route), "never "+e.facts.want(), p.brief(d), d.Text)
				return true
			}
		}
		return false
	}
	table := p.sim.Engine().Table
	for i := range table.Lanes {
		for k := range table.Lanes[i].Routes {
			if p.isSo(e, &table.Lanes[i], table.Lanes[i].Routes[k].Route, made) {
				l, id := &table.Lanes[i], table.Lanes[i].Routes[k].Route
				p.fail(e, span(tick, tick), l.Lane().String()+" "+string(id), "never "+e.facts.want(), e.facts.want(), p.last(l.Lane(), id))
				return true
			}
		}
	}
	return false
}

func (p *player) isSo(e *expectation, l *route.LaneTable, id route.ID, made []route.Decision) bool {
	if !e.about.covers(l.Lane(), id) || !allOK(p.ofState(&e.facts, l, id)) {
		return false
	}
	s := subject{scope: scope{route: id, class: l.Class, network: l.Network}}
	return !e.facts.ofDecision() || allOK(nearest(&e.facts, &s, made))
}

// judgeDecisions compares the decisions that were made with those that are wanted, in their order.
func (p *player) judgeDecisions(e *expectation) {
	var made []route.Decision
	for _, d := range p.between(e.from, e.until) {
		if e.about.covers(d.Lane, d.Route) && allOK(e.facts.of(&d)) {
			made = append(made, d)
		}
	}
	for _, w := range e.wanted {
		at := -1
		for i := range made {
			if at < 0 && p.fits(w, &made[i]) {
				at = i
			}
		}
		if at < 0 {
			p.missing(w, made)
			continue
		}
		for i := range at {
			p.extra(e, &made[i])
		}
		made = made[at+1:]
	}
	for i := range made {
		p.extra(e, &made[i])
	}
}

func (p *player) fits(w *expectation, d *route.Decision) bool {
	at := d.Time.Sub(p.file.Start)
	return w.about.covers(d.Lane, d.Route) && (w.anytime || at >= w.from && at <= w.until) && allOK(w.facts.of(d))
}

func (p *player) missing(w *expectation, made []route.Decision) {
	got := "none"
	for i := range made {
		if d := &made[i]; got == "none" && (w.about.route == "" || w.about.route == d.Route) {
			got = "next " + p.brief(d) + " at " + p.moment(d)
		}
	}
	at := "any time"
	if !w.anytime {
		at = span(w.from, w.until)
	}
	p.fail(w, at, w.about.String(), "a decision with "+w.facts.want(), got, "")
}

func (p *player) extra(e *expectation, d *route.Decision) {
	p.fail(e, p.moment(d), d.Lane.String()+" "+string(d.Route), "no other decision", p.brief(d), d.Text)
}
