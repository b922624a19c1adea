package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// lane is the judging of one lane in one round.
type lane struct {
	*round
	policy  *policy.Lane
	class   *policy.Class
	rules   []*policy.Rule
	state   *route.LaneState
	signals []route.Signals // by id, as state.Routes
	changed route.ID        // the route that changed in this round
}

// resize is n cleared elements in the memory of s, where it is enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// truths are what the two conditions of a rule say of a route.
type truths struct {
	demote  policy.Truth
	promote policy.Truth // judged only where the rule keeps the route out
}

// lane prepares the judging of a lane: every condition is judged once, on the state before any change of this round.
func (r *round) lane(pl *policy.Lane, state *route.LaneState, signals []route.Signals) *lane {
	l := &lane{round: r, policy: pl, state: state, signals: signals, rules: r.rulesFor(pl.Lane), class: classOf(r.policy, pl.Class)}
	r.envs = resize(r.envs, len(state.Routes))
	r.truths = resize(r.truths, len(state.Routes)*len(l.rules))
	active := l.active()
	for i := range state.Routes {
		s := &state.Routes[i]
		l.envs[i] = policy.Env{
			Signals: &signals[i],
			Route:   r.policy.Route(s.Route),
			State:   policy.Facts{Phase: s.Phase, PhaseAge: age(s.Since, r.now), Relapses: s.Relapses, Active: active},
		}
		for k, rule := range l.rules {
			t := l.truth(i, k)
			t.demote = rule.Demote.When.Eval(&l.envs[i])
			if holds(s, rule.Name) {
				t.promote = rule.Promote.When.Eval(&l.envs[i])
			}
		}
	}
	return l
}

func classOf(p *policy.Policy, name route.Class) *policy.Class {
	if c := p.Class(name); c != nil {
		return c
	}
	return p.Class(route.AnyClass)
}

// decide judges the lane: first whether routes have to go, then whether some may come back.
func (l *lane) decide() {
	for i := range l.state.Routes {
		l.run(i)
	}
	if l.options.Hold {
		return
	}
	for i := range l.state.Routes {
		l.expire(i)
		l.watch(i)
	}
	for i := range l.state.Routes {
		l.demotions(i)
	}
	for i := range l.state.Routes {
		l.promotions(i)
	}
	for i := range l.state.Routes {
		l.calm(i)
	}
	l.forget()
}

// truth is what rule k says of route i.
func (l *lane) truth(i, k int) *truths { return &l.truths[i*len(l.rules)+k] }

func age(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

// active is the number of routes that carry the lane by right.
func (l *lane) active() int {
	n := 0
	for i := range l.state.Routes {
		if l.state.Routes[i].Phase == route.Active {
			n++
		}
	}
	return n
}

// index is where route id stands in the state; -1 where it does not.
func (l *lane) index(id route.ID) int {
	for i := range l.state.Routes {
		if l.state.Routes[i].Route == id {
			return i
		}
	}
	return -1
}

// calm ends what has not been asked for on route i for a while, and forgets relapses after long peace.
func (l *lane) calm(i int) {
	s := &l.state.Routes[i]
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

// remembered is how long changes are remembered at least, so that a reload may ask for a longer time than before.
const remembered = time.Hour

// forget drops changes that no guard looks at any more.
func (l *lane) forget() {
	from := l.now.Add(-max(remembered, l.round.policy.Guards.Velocity.In, l.round.policy.Guards.Settle))
	kept := l.state.Changes[:0]
	for _, at := range l.state.Changes {
		if at.After(from) {
			kept = append(kept, at)
		}
	}
	l.dirty = l.dirty || len(kept) < len(l.state.Changes)
	if l.state.Changes = kept; len(kept) == 0 {
		l.state.Changes = nil
	}
}
