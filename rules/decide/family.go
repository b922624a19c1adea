package decide

import (
	"slices"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// family is a lane with those of its networks that are judged apart. What bounds the changes of a lane bounds those of
// its networks with it: the lane is the unit of blast radius.
type family struct {
	*round
	policy   *policy.Lane
	own      *lane       // the lane itself
	networks []*lane     // by network
	changes  []time.Time // moments of the last enforced changes of any of them, oldest first
	changed  route.ID    // the route that changed in this round
	from     *route.LaneState
}

// Source tells what there is to judge, and judges it: a signal.Book.
type Source interface {
	// Judge returns the signals of routes by the messages of a scope, in the order of the inquiries.
	Judge(scope route.Scope, asks []route.Inquiry, now time.Time) []route.Signals
	// Live are the routes that have messages in a lane that can still be judged, sorted.
	Live(lane route.Lane) []route.ID
	// Probed are the routes that probes have told of, sorted.
	Probed() []route.ID
	// Networks are the MCC-MNCs within a lane that messages went to, sorted.
	Networks(lane route.Lane) []route.Network
}

// family gathers what there is to judge of a lane; nil where there is nothing.
func (r *round) family(pl *policy.Lane, state *route.LaneState) *family {
	f := &family{round: r, policy: pl, from: state, changes: state.Changes}
	rules := r.rulesFor(pl.Lane)
	live := r.source.Live(pl.Lane)
	ids := r.judged(pl, state, rules, live)
	networks, judged := f.networksToLookAt(rules)
	if len(ids) == 0 && len(networks) == 0 && len(state.Changes) == 0 {
		return nil
	}
	f.own = f.row(pl.Lane, pl.Lane, ids, state.Routes, rules)
	for _, n := range networks {
		l := f.network(n, live, rules)
		if !slices.Contains(judged, n) {
			l.rules = nil
		}
		f.networks = append(f.networks, l)
	}
	f.look()
	return f
}

// judged are the routes of a lane that there is something to say of, by id: those that messages or probes tell of (where a
// rule judges routes by all lanes, messages in any of them), those that something is remembered of, those that carry the
// lane, and all where a rule may move a route that nothing tells of.
func (r *round) judged(pl *policy.Lane, state *route.LaneState, rules []*policy.Rule, live []route.ID) []route.ID {
	var ids []route.ID
	if slices.ContainsFunc(rules, func(rule *policy.Rule) bool { return rule.Demote.When.SaysOfUnheard() }) {
		ids = slices.Clone(pl.Order)
	} else {
		if slices.ContainsFunc(rules, perRoute) {
			ids = r.liveAnywhere(pl) // such a rule moves them here too
		}
		for _, list := range [][]route.ID{live, r.probed} {
			for _, id := range list {
				if pl.Has(id) {
					ids = append(ids, id)
				}
			}
		}
		for i := range state.Routes {
			ids = append(ids, state.Routes[i].Route)
		}
		ids = append(ids, r.carriers(pl, state)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// liveAnywhere are the routes of a lane that have messages in any lane.
func (r *round) liveAnywhere(pl *policy.Lane) []route.ID {
	if r.anywhere == nil {
		r.anywhere = []route.ID{}
		for i := range r.policy.Lanes {
			r.anywhere = append(r.anywhere, r.source.Live(r.policy.Lanes[i].Lane)...)
		}
		slices.Sort(r.anywhere)
		r.anywhere = slices.Compact(r.anywhere)
	}
	return slices.DeleteFunc(slices.Clone(pl.Order), func(id route.ID) bool {
		_, there := slices.BinarySearch(r.anywhere, id)
		return !there
	})
}

// carriers are the routes that the table gives a lane's traffic to by right.
func (r *round) carriers(pl *policy.Lane, state *route.LaneState) []route.ID {
	var out []route.ID
	overrides, of := covering(r.overrides, pl.Lane), inWorld(state, pl.Network)
	for _, id := range pl.Order {
		if s := stands(r.policy, pl.Lane, overrides, of, id); !s.usable() || pl.Shares != nil && pl.Shares[id] == 0 {
			continue
		}
		if out = append(out, id); pl.Shares == nil {
			return out
		}
	}
	return out
}

// networksToLookAt are the networks of the lane that may have a row of their own, and those of them that rules judge:
// where messages go, and where something is remembered.
func (f *family) networksToLookAt(rules []*policy.Rule) (all, judged []route.Network) {
	if slices.ContainsFunc(rules, perNetwork) {
		judged = slices.Clone(f.source.Networks(f.policy.Lane))
	}
	for i := range f.from.Networks {
		judged = append(judged, f.from.Networks[i].Network)
	}
	all = slices.Clone(judged)
	if f.registers || f.from.Networks != nil || f.overrides != nil {
		all = append(all, apart(f.round.policy, f.policy, f.from, f.overrides)...)
	}
	slices.Sort(all)
	return slices.Compact(all), judged
}

func perNetwork(r *policy.Rule) bool { return r.Per == policy.PerNetwork }

// network is one network of the lane, with the routes that have messages in the lane.
func (f *family) network(n route.Network, live []route.ID, rules []*policy.Rule) *lane {
	var states []route.State
	if was := f.from.Network(n); was != nil {
		states = was.Routes
	}
	var ids []route.ID
	for _, id := range live {
		if f.policy.Has(id) {
			ids = append(ids, id)
		}
	}
	for i := range states {
		ids = append(ids, states[i].Route)
	}
	slices.Sort(ids)
	l := f.row(f.policy.Lane, route.Lane{Class: f.policy.Class, Network: n}, slices.Compact(ids), states, rules)
	l.within = f.own
	return l
}

// row prepares one row: a lane, or a network of it.
func (f *family) row(of, key route.Lane, ids []route.ID, states []route.State, rules []*policy.Rule) *lane {
	l := &lane{family: f, key: key, class: classOf(f.round.policy, f.policy.Class), covered: covering(f.overrides, key)}
	l.scope.Lane = of
	if key != of {
		l.scope.Network = key.Network
	}
	for _, rule := range rules {
		if perNetwork(rule) == (key != of) {
			l.rules = append(l.rules, rule)
		} else if key == of {
			l.elsewhere = append(l.elsewhere, rule)
		}
	}
	l.states = make([]route.State, len(ids))
	from := route.LaneState{Routes: states}
	for i, id := range ids {
		if was := from.State(id); was != nil {
			l.states[i] = clone(was)
		} else {
			l.states[i] = route.Fresh(id)
		}
	}
	return l
}

// look has the signals of the lane and its networks judged.
func (f *family) look() {
	f.own.look()
	for _, l := range f.networks {
		l.look()
	}
}

// rows are the networks and then the lane: what is bad on one network only is found there first.
func (f *family) rows() []*lane {
	return append(slices.Clone(f.networks), f.own)
}

// decide judges the family: first whether routes have to go, then whether some may come back.
func (f *family) decide() {
	rows := f.rows()
	for _, l := range rows {
		l.prepare()
	}
	for _, l := range rows {
		for i := range l.states {
			l.run(i)
		}
	}
	if f.options.Hold {
		return
	}
	for _, l := range rows {
		for i := range l.states {
			l.expire(i)
			l.watch(i)
		}
	}
	f.move(rows)
	for _, l := range rows {
		for i := range l.states {
			l.calm(i)
		}
	}
	f.forget()
}

// move makes the changes that may be made.
func (f *family) move(rows []*lane) {
	for _, l := range rows {
		for i := range l.states {
			l.demotions(i)
		}
	}
	for _, l := range rows {
		for i := range l.states {
			l.promotions(i)
		}
	}
}

// changesKept is how long changes are remembered at least, so that a reload may ask for a longer time than before.
const changesKept = time.Hour

// forget drops changes that no guard looks at any more.
func (f *family) forget() {
	g := &f.round.policy.Guards
	from := f.now.Add(-max(changesKept, g.Velocity.In, g.Settle))
	gone := 0
	for gone < len(f.changes) && !f.changes[gone].After(from) {
		gone++
	}
	if gone > 0 {
		f.changes, f.dirty = slices.Clone(f.changes[gone:]), true
	}
	if len(f.changes) == 0 {
		f.changes = nil
	}
}

// after is the lane's state after the round.
func (f *family) after() route.LaneState {
	out := route.LaneState{Lane: f.policy.Lane, Routes: kept(f.own.states), Changes: f.changes}
	for _, l := range f.networks {
		if routes := kept(l.states); routes != nil {
			out.Networks = append(out.Networks, route.NetworkState{Network: l.key.Network, Routes: routes})
		}
	}
	return out
}

// kept are the states of which something is remembered; nil where there is none.
func kept(states []route.State) []route.State {
	var out []route.State
	for i := range states {
		if !states[i].Blank() {
			out = append(out, states[i])
		}
	}
	return out
}

// clone copies all of a state that a round may change.
func clone(s *route.State) route.State {
	c := *s
	c.Clocks, c.Rules, c.Told = slices.Clone(s.Clocks), slices.Clone(s.Rules), slices.Clone(s.Told)
	if s.Hold != nil {
		hold := *s.Hold
		c.Hold = &hold
	}
	return c
}
