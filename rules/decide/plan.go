package decide

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Planned is what another policy would change if it came into force now.
type Planned struct {
	Policy     string           `json:"policy"`     // revision in force
	Candidate  string           `json:"candidate"`  // revision of the other one
	Generation route.Generation `json:"generation"` // of the table in force
	At         time.Time        `json:"at"`         // of the state and the signals that it was judged from
	Lanes      []PlannedLane    `json:"lanes"`      // those that senders would see change
	Verdicts   []PlannedVerdict `json:"verdicts"`   // conditions to demote that say something else of the signals as they are
	Next       []PlannedMove    `json:"next"`       // what the next round would move, or what would hold it
}

// Changes reports whether anything would be different.
func (p *Planned) Changes() bool {
	return len(p.Lanes) > 0 || len(p.Verdicts) > 0 || slices.ContainsFunc(p.Next, func(m PlannedMove) bool { return m.By != Both })
}

// What becomes of a lane.
const (
	LaneComes   = "comes"
	LaneGoes    = "goes"
	LaneChanges = "changes"
)

// PlannedLane is a lane that senders would see change.
type PlannedLane struct {
	Lane   route.Lane     `json:"lane"`
	Change string         `json:"change"`         // comes, goes or changes
	Heir   string         `json:"heir,omitempty"` // where it goes: which lane serves its messages then
	Was    *PlannedTerms  `json:"was,omitempty"`  // absent where it comes
	Is     *PlannedTerms  `json:"is,omitempty"`   // absent where it goes
	Routes []PlannedRoute `json:"routes"`         // all that it has or had, in the order to try then
}

// PlannedTerms are what a lane says beside its routes.
type PlannedTerms struct {
	Mode       route.Mode     `json:"mode"`
	RetryAfter route.Duration `json:"retry_after"`
}

// PlannedRoute is where a route of such a lane is and would be.
type PlannedRoute struct {
	Route route.ID      `json:"route"`
	Was   *PlannedPlace `json:"was,omitempty"` // absent where it comes
	Is    *PlannedPlace `json:"is,omitempty"`  // absent where it goes
}

// PlannedPlace is where a route is in a lane.
type PlannedPlace struct {
	Try   int         `json:"try"`   // from 1 on, in the order to try
	Share int         `json:"share"` // ten-thousandths
	Phase route.Phase `json:"phase"`
	Admin route.Admin `json:"admin,omitempty"` // why senders may not fall back to it: drained or unregistered
}

// PlannedVerdict is a condition to demote a route that would say something else.
type PlannedVerdict struct {
	Lane   route.Lane     `json:"lane"`
	Route  route.ID       `json:"route"`
	Rule   string         `json:"rule"`
	Was    string         `json:"was"`    // true, false or unknown; "" where the policy in force does not ask
	Is     string         `json:"is"`     // the same of the candidate
	When   string         `json:"when"`   // the condition, of the candidate where it has it
	For    route.Duration `json:"for"`    // how long it has to be true
	Inputs []route.Input  `json:"inputs"` // its parts
}

// By whom a move would be made.
const (
	Both          = "both"
	OnlyCandidate = "candidate"
	OnlyInForce   = "policy"
)

// PlannedMove is what the next round would decide if the signals stayed as they are.
type PlannedMove struct {
	By       string         `json:"by"` // both, candidate, or policy where only the one in force would
	Decision route.Decision `json:"decision"`
}

// Plan says what a candidate would change of a state that was reached under policy p, by what its last round saw;
// next is when the next round is judged. Nothing that it is given is changed.
func Plan(p, candidate *policy.Policy, w route.World, seen Seen, next time.Time, o Options) Planned {
	out := Planned{Policy: p.Revision, Candidate: candidate.Revision, Generation: w.Generation, At: w.At}
	was := Table(p, w, next)
	adopted := Adopt(candidate, w, &was, next).World
	is := Table(candidate, adopted, next)
	out.Lanes = plannedLanes(&was, &is)
	out.Verdicts = plannedVerdicts(verdicts(p, w, seen, next), verdicts(candidate, adopted, seen, next))
	out.Next = plannedMoves(nextMoves(p, w, seen, next, o), nextMoves(candidate, adopted, seen, next, o))
	return out
}

// plannedLanes are the lanes that differ: first those of the new table, in its order, then those that it has no more.
func plannedLanes(was, is *route.Table) []PlannedLane {
	out := []PlannedLane{}
	for i := range is.Lanes {
		l := &is.Lanes[i]
		switch old := rowOf(was, l.Lane()); {
		case old == nil:
			out = append(out, PlannedLane{Lane: l.Lane(), Change: LaneComes, Is: terms(l), Routes: plannedRoutes(nil, l)})
		case !reflect.DeepEqual(seen(old), seen(l)):
			out = append(out, PlannedLane{Lane: l.Lane(), Change: LaneChanges, Was: terms(old), Is: terms(l), Routes: plannedRoutes(old, l)})
		}
	}
	for i := range was.Lanes {
		if l := &was.Lanes[i]; rowOf(is, l.Lane()) == nil {
			out = append(out, PlannedLane{Lane: l.Lane(), Change: LaneGoes, Heir: heir(is, l), Was: terms(l), Routes: plannedRoutes(l, nil)})
		}
	}
	return out
}

func terms(l *route.LaneTable) *PlannedTerms { return &PlannedTerms{l.Mode, l.RetryAfter} }

// seen is what of a lane decides what senders do: not its prices, nor since when and why it is so.
func seen(l *route.LaneTable) any {
	type lane struct {
		terms  PlannedTerms
		routes []route.ID
		places []PlannedPlace
	}
	s := lane{terms: *terms(l)}
	for i, e := range l.Routes {
		s.routes = append(s.routes, e.Route)
		s.places = append(s.places, *placeOf(l, i))
	}
	return s
}

func placeOf(l *route.LaneTable, i int) *PlannedPlace {
	e := &l.Routes[i]
	p := &PlannedPlace{Try: i + 1, Share: e.Share, Phase: e.Phase}
	if e.Admin != route.AdminPinned { // which senders do not mind
		p.Admin = e.Admin
	}
	return p
}

// plannedRoutes are the routes of a lane before and after; either may be nil.
func plannedRoutes(was, is *route.LaneTable) []PlannedRoute {
	var out []PlannedRoute
	at := func(id route.ID) *PlannedRoute {
		i := slices.IndexFunc(out, func(r PlannedRoute) bool { return r.Route == id })
		if i < 0 {
			out, i = append(out, PlannedRoute{Route: id}), len(out)
		}
		return &out[i]
	}
	if is != nil {
		for i, e := range is.Routes {
			at(e.Route).Is = placeOf(is, i)
		}
	}
	if was != nil {
		for i, e := range was.Routes {
			at(e.Route).Was = placeOf(was, i)
		}
	}
	return out
}

// plannedVerdicts are those that differ. A rule that is new, or gone, is told of where it asks for a demotion.
func plannedVerdicts(was, is []PlannedVerdict) []PlannedVerdict {
	out := []PlannedVerdict{}
	for _, v := range is {
		if old := verdictIn(was, &v); old != nil {
			v.Was = old.Is
		}
		if v.Is != v.Was && (v.Was != "" || v.Is == policy.True.String()) {
			out = append(out, v)
		}
	}
	for _, v := range was {
		if verdictIn(is, &v) == nil && v.Is == policy.True.String() {
			v.Was, v.Is = v.Is, ""
			out = append(out, v)
		}
	}
	return out
}

func verdictIn(all []PlannedVerdict, like *PlannedVerdict) *PlannedVerdict {
	for i := range all {
		if v := &all[i]; v.Lane == like.Lane && v.Route == like.Route && v.Rule == like.Rule {
			return v
		}
	}
	return nil
}

// plannedMoves are what either would decide, by lane and route.
func plannedMoves(was, is []route.Decision) []PlannedMove {
	out := []PlannedMove{}
	for i := range is {
		by := OnlyCandidate
		if slices.ContainsFunc(was, func(d route.Decision) bool { return alike(&d, &is[i]) }) {
			by = Both
		}
		out = append(out, PlannedMove{by, is[i]})
	}
	for i := range was {
		if !slices.ContainsFunc(is, func(d route.Decision) bool { return alike(&d, &was[i]) }) {
			out = append(out, PlannedMove{OnlyInForce, was[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b PlannedMove) int {
		return cmp.Or(cmp.Compare(a.Decision.Lane.String(), b.Decision.Lane.String()), cmp.Compare(a.Decision.Route, b.Decision.Route))
	})
	return out
}

// alike reports whether two decisions move the same route the same way for the same reason.
func alike(a, b *route.Decision) bool {
	return a.Lane == b.Lane && a.Route == b.Route && a.From == b.From && a.To == b.To && a.Rule == b.Rule && a.Reason == b.Reason && a.Enforced == b.Enforced
}

// verdicts are what the rules of a policy say of demoting each route of a state, in Is.
func verdicts(p *policy.Policy, w route.World, seen Seen, now time.Time) []PlannedVerdict {
	var out []PlannedVerdict
	r := newRound(p, seen, w, now, Options{})
	families := r.families(w.Lanes)
	r.rates = rates(families)
	for _, f := range families {
		if f == nil {
			continue
		}
		for _, l := range f.rows() {
			out = append(out, l.verdicts()...)
		}
	}
	return out
}

func (l *lane) verdicts() []PlannedVerdict {
	var out []PlannedVerdict
	l.prepare()
	for i := range l.states {
		for _, rule := range l.rules {
			c := l.view(i, rule).Demote
			out = append(out, PlannedVerdict{Lane: l.key, Route: l.states[i].Route, Rule: rule.Name, Is: c.Truth, When: c.When, For: c.For, Inputs: c.Inputs})
		}
	}
	return out
}

// nextMoves are what the next round would decide about moving routes, all of it: what the journal was told of already is
// told anew.
func nextMoves(p *policy.Policy, w route.World, seen Seen, next time.Time, o Options) []route.Decision {
	fresh := w
	fresh.Lanes = slices.Clone(w.Lanes)
	for i := range fresh.Lanes {
		l := &fresh.Lanes[i]
		l.Routes, l.Networks = untold(l.Routes), slices.Clone(l.Networks)
		for k := range l.Networks {
			l.Networks[k].Routes = untold(l.Networks[k].Routes)
		}
	}
	return slices.DeleteFunc(Round(p, seen, fresh, next, o).Decisions, func(d route.Decision) bool {
		return d.Verdict != route.VerdictDemote && d.Verdict != route.VerdictPromote
	})
}

// untold are states of which the journal has been told nothing.
func untold(states []route.State) []route.State {
	out := slices.Clone(states)
	for i := range out {
		out[i].Told = nil
	}
	return out
}
