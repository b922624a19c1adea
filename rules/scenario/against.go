package scenario

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Against replays the same observations under two policies, in one pass, and finds what they would have decided
// differently and what that means for the messages in between.
type Against struct {
	sides   [2]*Replay
	since   time.Time // what was decided before is left aside
	now     time.Time // of the latest observation
	tables  [2]*route.Table
	changes []change // of this observation, not yet applied
	moves   matcher
	alarms  map[string]*Alarms
	traffic account
}

// Alarms is how often a rule demoted a route, or would have where it may only propose or observe.
type Alarms struct {
	Rule    string `json:"rule"`
	Policy  int    `json:"policy"`  // under the policy
	Against int    `json:"against"` // under the other one
}

// change is what a round of one side led to.
type change struct {
	at      time.Time
	side    int
	outcome decide.Outcome
}

// Comparison is what two policies would have decided differently over the same observations.
type Comparison struct {
	Policy    string      `json:"policy"`  // revision
	Against   string      `json:"against"` // revision of the other one
	Alarms    []Alarms    `json:"alarms"`  // by rule, whether they differ or not
	Moves     []Differing `json:"moves"`   // by the time of the earlier one
	Stretches []Stretch   `json:"stretches"`
	Total     Stretch     `json:"total"`    // the sum of the stretches, of no lane; from the first observation to the last
	Messages  int         `json:"messages"` // submitted in all, whether the tables differed or not
}

// NewAgainst returns a comparison of policy p with another one. What lies before since is replayed and not compared.
func NewAgainst(p, other *policy.Policy, o signal.Options, mode route.Mode, since time.Time) *Against {
	x := &Against{since: since, alarms: map[string]*Alarms{}}
	x.moves.since = since
	x.traffic = newAccount(p, other)
	for i, of := range []*policy.Policy{p, other} {
		x.sides[i] = NewReplay(of, o, mode, func(o decide.Outcome) { x.note(i, o) })
	}
	return x
}

func (x *Against) note(side int, o decide.Outcome) {
	at := o.World.At
	if o.Table != nil {
		at = o.Table.PublishedAt
	}
	x.changes = append(x.changes, change{at, side, o})
}

// Observe takes the next observation, as Replay.Observe does.
func (x *Against) Observe(o *route.Observation) {
	for _, r := range x.sides {
		if known(r, o) {
			r.Observe(o)
		} else {
			r.Pass(o)
		}
	}
	x.count(o, o.Time)
}

// Take takes what a recording has next, as Replay.Take does.
func (x *Against) Take(o *route.Observation, m route.Mark) {
	for _, r := range x.sides {
		if m.Note > route.NoteCarried || known(r, o) {
			r.Take(o, m)
		}
	}
	if m.Note == route.NoteTaken {
		x.count(o, m.At)
	} else {
		x.count(&route.Observation{}, m.At)
	}
}

// known reports whether the policy of a side has the route that an observation is about.
func known(r *Replay, o *route.Observation) bool {
	return o.Route == "" || r.engine.Policy.Route(o.Route) != nil
}

// count counts a submit under both tables as they stand now.
func (x *Against) count(o *route.Observation, at time.Time) {
	if x.now.IsZero() {
		x.traffic.begin(later(x.since, at))
	}
	x.now = later(x.now, at)
	x.apply()
	if o.Kind == route.KindSubmit && !at.Before(x.since) {
		x.traffic.submit(o.Class, o.Network)
	}
}

// apply takes over what the rounds of both sides led to, in the order of time.
func (x *Against) apply() {
	if len(x.changes) == 0 {
		return
	}
	slices.SortStableFunc(x.changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.side, b.side)) })
	for i, c := range x.changes {
		for k := range c.outcome.Decisions {
			x.decided(c.side, &c.outcome.Decisions[k])
		}
		if c.outcome.Table != nil {
			x.tables[c.side] = c.outcome.Table
		}
		if last := i == len(x.changes)-1; last || !x.changes[i+1].at.Equal(c.at) {
			x.traffic.turn(x.tables, later(x.since, c.at))
		}
	}
	x.changes = x.changes[:0]
}

func (x *Against) decided(side int, d *route.Decision) {
	if !moves(d) {
		return
	}
	x.moves.add(side, d)
	if d.Verdict != route.VerdictDemote || d.Time.Before(x.since) {
		return
	}
	a := x.alarms[d.Rule]
	if a == nil {
		a = &Alarms{Rule: d.Rule}
		x.alarms[d.Rule] = a
	}
	if side == 0 {
		a.Policy++
	} else {
		a.Against++
	}
}

// End judges the round that the last observation lies in.
func (x *Against) End() {
	for _, r := range x.sides {
		r.End()
	}
	x.apply()
}

// Now is the moment up to which all has been observed.
func (x *Against) Now() time.Time { return x.now }

// Result is what differs, once all has been observed.
func (x *Against) Result() Comparison {
	end := later(x.now, x.since)
	c := Comparison{Policy: x.sides[0].engine.Policy.Revision, Against: x.sides[1].engine.Policy.Revision}
	c.Alarms = []Alarms{}
	for _, rule := range slices.Sorted(maps.Keys(x.alarms)) {
		c.Alarms = append(c.Alarms, *x.alarms[rule])
	}
	c.Moves = x.moves.finish()
	c.Stretches, c.Total, c.Messages = x.traffic.finish(end)
	return c
}
