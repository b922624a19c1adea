package decide

import (
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// lane is the judging of one lane, or of one network of a lane, in one round.
type lane struct {
	*family
	key       route.Lane // the lane's, or that of the network
	scope     route.Scope
	within    *lane // of a network: its lane
	class     *policy.Class
	rules     []*policy.Rule   // that judge and move routes here, in the order of the policy
	elsewhere []*policy.Rule   // of a lane: those that do so on its networks
	covered   []route.Override // the overrides about it
	states    []route.State    // of the routes that are judged, by id
	signals   []route.Signals  // of each of them
	wide      []route.Signals  // the same by the messages of all lanes; nil where no rule asks for it
	envs      []policy.Env     // what conditions see of each
	wideEnvs  []policy.Env
	truths    []truths   // one for each rule of a route, route by route
	standings []standing // of all routes, in the order of the policy; nil where they are to be drawn up anew
	ordering  []standing // the same in the order to try
}

// truths are what the two conditions of a rule say of a route.
type truths struct {
	demote  policy.Truth
	promote policy.Truth // judged only where the rule keeps the route out
}

// look has the signals of the row's routes judged, by its own messages and where a rule wants it by those of all lanes.
func (l *lane) look() {
	asks := l.inquiries()
	l.signals = l.source.Judge(l.scope, asks, l.now)
	if slices.ContainsFunc(l.rules, perRoute) {
		l.wide = l.source.Judge(route.Scope{Lane: l.scope.Lane, Wide: true}, asks, l.now)
	}
}

func perRoute(r *policy.Rule) bool { return r.Per == policy.PerRoute }

// prepare judges every condition once, on the state before any change of this round.
func (l *lane) prepare() {
	l.envs, l.truths = make([]policy.Env, len(l.states)), make([]truths, len(l.states)*len(l.rules))
	if l.wide != nil {
		l.wideEnvs = make([]policy.Env, len(l.states))
	}
	usable := 0
	if slices.ContainsFunc(l.rules, readsActive) {
		usable = countUsable(l.row())
	}
	for i := range l.states {
		s := &l.states[i]
		env := policy.Env{Signals: &l.signals[i], Route: l.round.policy.Route(s.Route),
			State: policy.Facts{Phase: l.phase(i), PhaseAge: age(s.Since, l.now), Relapses: s.Relapses, Active: usable}}
		l.envs[i] = env
		if l.wide != nil {
			env.Signals = &l.wide[i]
			l.wideEnvs[i] = env
		}
		for k, rule := range l.rules {
			t := l.truth(i, k)
			t.demote = rule.Demote.When.Eval(l.env(i, rule))
			if holds(s, rule.Name) {
				t.promote = rule.Promote.When.Eval(l.env(i, rule))
			}
		}
	}
}

func readsActive(r *policy.Rule) bool {
	return r.Demote.When.Reads("lane.active") || r.Promote.When.Reads("lane.active")
}

// env is what a rule's conditions see of route i.
func (l *lane) env(i int, rule *policy.Rule) *policy.Env {
	if perRoute(rule) && l.wide != nil {
		return &l.wideEnvs[i]
	}
	return &l.envs[i]
}

// seen are the signals that a rule judges route i by.
func (l *lane) seen(i int, rule *policy.Rule) *route.Signals {
	if perRoute(rule) && l.wide != nil {
		return &l.wide[i]
	}
	return &l.signals[i]
}

func classOf(p *policy.Policy, name route.Class) *policy.Class {
	if c := p.Class(name); c != nil {
		return c
	}
	return p.Class(route.AnyClass)
}

// truth is what rule k says of route i.
func (l *lane) truth(i, k int) *truths { return &l.truths[i*len(l.rules)+k] }

func age(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

// index is where route id stands among those that are judged; -1 where it does not.
func (l *lane) index(id route.ID) int {
	at, there := slices.BinarySearchFunc(l.states, id, func(s route.State, id route.ID) int {
		if s.Route < id {
			return -1
		} else if s.Route > id {
			return 1
		}
		return 0
	})
	if !there {
		return -1
	}
	return at
}

// remembers is what this round remembers of a route so far, in the lane and on the network.
func (l *lane) remembers(id route.ID) (inLane, onNetwork *route.State) {
	if l.within != nil {
		return l.within.state(id), l.state(id)
	}
	return l.state(id), nil
}

// state is the state of a route here, or nil where it is not judged.
func (l *lane) state(id route.ID) *route.State {
	if i := l.index(id); i >= 0 {
		return &l.states[i]
	}
	return nil
}

// row is how the routes of the lane stand now, in the order of the policy. It must not be kept over a change.
func (l *lane) row() []standing {
	if l.standings == nil {
		l.standings = row(l.round.policy, l.policy, l.key, l.covered, l.remembers)
	}
	return l.standings
}

// order is the same in the order to try.
func (l *lane) order() []standing {
	if l.ordering == nil {
		l.ordering = inOrder(l.row())
	}
	return l.ordering
}

// after looks at how the routes would stand after a change.
func (l *lane) after(c change, look func([]standing)) {
	row := l.row()
	at := slices.IndexFunc(row, func(s standing) bool { return s.id == l.states[c.index].Route })
	if at < 0 {
		look(row)
		return
	}
	was, state := row[at], l.states[c.index]
	state.Phase, state.Step = c.to, c.step
	row[at] = stands(l.round.policy, l.key, l.covered, l.remembersWith(&state), was.id)
	look(row)
	row[at] = was
}

// remembersWith is what the round remembers, with another state of one route here.
func (l *lane) remembersWith(after *route.State) remembered {
	return func(id route.ID) (inLane, onNetwork *route.State) {
		inLane, onNetwork = l.remembers(id)
		switch {
		case id != after.Route:
		case l.within != nil:
			onNetwork = after
		default:
			inLane = after
		}
		return inLane, onNetwork
	}
}

// shift forgets how routes stood before a change.
func (f *family) shift() {
	for _, l := range f.rows() {
		l.standings, l.ordering = nil, nil
	}
}

// standing is how route i stands in the lane now.
func (l *lane) standing(i int) standing {
	return stands(l.round.policy, l.key, l.covered, l.remembers, l.states[i].Route)
}

// phase is where route i stands: on a network, where its lane has it while that is further out.
func (l *lane) phase(i int) route.Phase {
	s := &l.states[i]
	if l.within != nil {
		if lane := l.within.state(s.Route); lane != nil && !further(s, lane) {
			return lane.Phase
		}
	}
	return s.Phase
}

// calm ends what has not been asked for on route i for a while, and forgets relapses after long peace.
func (l *lane) calm(i int) {
	s := &l.states[i]
	if s.Hold != nil && l.now.Sub(s.Hold.Seen) > episodeEnds {
		s.Hold, l.dirty = nil, true
	}
	var kept []route.Told
	for _, t := range s.Told {
		if l.now.Sub(t.Seen) <= episodeEnds {
			kept = append(kept, t)
		}
	}
	if len(kept) != len(s.Told) {
		s.Told, l.dirty = kept, true
	}
	if s.Phase == route.Active && s.Relapses > 0 && l.now.Sub(s.PromotedAt) > l.decay() {
		s.Relapses, l.dirty = 0, true
	}
}

// decay is the longest time in which a demotion by one of the rules would be a relapse.
func (l *lane) decay() time.Duration {
	longest := time.Duration(0)
	for _, rule := range l.rules {
		longest = max(longest, rule.HoldDown.Decay)
	}
	return longest
}
