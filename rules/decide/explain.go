package decide

import (
	"fmt"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Explanation says why a route is where it is, and why it is not elsewhere.
type Explanation struct {
	Route    route.ID            `json:"route"`
	Lane     route.Lane          `json:"lane"`
	At       time.Time           `json:"at"`
	Policy   string              `json:"policy"`
	Text     string              `json:"text"` // where it is and why, in a sentence
	Next     string              `json:"next"` // what has to happen for it to move
	State    route.State         `json:"state"`
	Entry    route.Entry         `json:"entry"` // as senders see it
	Signals  route.Signals       `json:"signals"`
	Rules    []RuleView          `json:"rules"`
	Guards   []route.GuardResult `json:"guards"` // of the change that a rule asks for now, or of the next one where none does
	Decision string              `json:"decision,omitempty"`
}

// RuleView is one rule as it stands for a route.
type RuleView struct {
	Rule    string     `json:"rule"`
	Holds   bool       `json:"holds"` // whether it keeps the route out
	Demote  ClauseView `json:"demote"`
	Promote ClauseView `json:"promote"`
}

// ClauseView is one condition with the value of every part.
type ClauseView struct {
	When   string         `json:"when"`
	Truth  string         `json:"truth"` // true, false or unknown
	For    route.Duration `json:"for"`
	Held   route.Duration `json:"held"` // how long it has been known and true
	Inputs []route.Input  `json:"inputs"`
}

// Explain says why route id is where it is in a lane, or on one network of a lane, from the state and signals of the last
// round. It returns false where there is no such route in such a lane.
func Explain(p *policy.Policy, w route.World, seen Seen, key route.Lane, id route.ID) (Explanation, bool) {
	seen.Also, seen.lanes = id, p.LaneKeys()
	r := newRound(p, seen, w, w.At, Options{})
	families := r.families(w.Lanes)
	r.rates = rates(families)
	l := find(families, key)
	if at := route.Find(p.LaneKeys(), key.Class, key.Network); l == nil && at >= 0 {
		l = find(families, p.Lanes[at].Lane) // a network that is not judged apart
	}
	if l == nil || l.index(id) < 0 {
		return Explanation{}, false
	}
	for _, row := range l.rows() {
		row.prepare()
		for i := range row.states {
			if row.states[i].Since.Equal(w.At) {
				l.changed = row.states[i].Route // in the last round, of which this tells
			}
		}
	}
	return l.explain(l.index(id)), true
}

// find is the row of a lane, or of a network that is judged apart; nil where there is none.
func find(families []*family, key route.Lane) *lane {
	for _, f := range families {
		if f == nil {
			continue
		}
		for _, l := range f.rows() {
			if l.key == key {
				return l
			}
		}
	}
	return nil
}

func (l *lane) explain(i int) Explanation {
	s := l.states[i]
	e := Explanation{Route: s.Route, Lane: l.key, At: l.now, Policy: l.round.policy.Revision, State: s, Signals: l.signals[i], Decision: s.Decision}
	for _, rule := range l.rules {
		e.Rules = append(e.Rules, l.view(i, rule))
	}
	for _, entry := range laneTable(l.round.policy, l.policy, l.key, l.row()).Routes {
		if entry.Route == s.Route {
			e.Entry = entry
		}
	}
	if c, ok := l.wanted(i); ok {
		e.Guards = l.put(c).guards
	}
	e.Text, e.Next = l.where(i), l.next(i)
	return e
}

func (l *lane) view(i int, rule *policy.Rule) RuleView {
	return RuleView{
		Rule:    rule.Name,
		Holds:   holds(&l.states[i], rule.Name),
		Demote:  l.clause(i, rule, route.VerdictDemote, &rule.Demote),
		Promote: l.clause(i, rule, route.VerdictPromote, &rule.Promote),
	}
}

func (l *lane) clause(i int, rule *policy.Rule, v route.Verdict, c *policy.Clause) ClauseView {
	env := l.env(i, rule)
	view := ClauseView{When: c.When.String(), Truth: c.When.Eval(env).String(), For: route.Duration(c.For), Inputs: c.When.Inputs(env)}
	if clock := findClock(l.states[i].Clocks, rule.Name, v); clock != nil {
		view.Held = clock.Held
	}
	return view
}

// wanted is the change that is held on route i now; else the first that a rule asks for; else the one that comes next:
// of an active route its demotion by the first rule, of another the next step of its way back.
func (l *lane) wanted(i int) (c change, ok bool) {
	s := &l.states[i]
	var asked *policy.Rule
	for k, rule := range l.rules {
		held := s.Hold != nil && s.Hold.Verdict == route.VerdictDemote && s.Hold.Rule == rule.Name && l.holding(i)
		if held || asked == nil && s.Phase != route.Demoted && l.demands(i, k) {
			asked = rule
		}
	}
	switch {
	case asked != nil:
		return l.demotion(i, asked), true
	case s.Phase != route.Active:
		c, _ = l.promotion(i)
		return c, true
	case len(l.rules) > 0:
		return l.demotion(i, l.rules[0]), true
	}
	return change{}, false
}

// holding reports whether a change of route i was held at the last round.
func (l *lane) holding(i int) bool {
	h := l.states[i].Hold
	return h != nil && h.Seen.Equal(l.now)
}

// where says where route i is and why: first what an operator or the policy says, then what rules did.
func (l *lane) where(i int) string {
	s, at := &l.states[i], l.standing(i)
	said := ""
	if at.by != "" {
		said = at.by + "; "
	}
	if l.within != nil && at.state != nil && at.state != s && at.phase != route.Active {
		return said + l.moves(at.state, " in the lane")
	}
	return said + l.moves(s, "")
}

// moves says where rules have led a route, and in which row where that is not this one.
func (l *lane) moves(s *route.State, row string) string {
	switch {
	case s.Phase == route.Active && s.Since.IsZero():
		return "active since the policy was loaded; no rule has moved it"
	case s.Phase == route.Active:
		return fmt.Sprintf("active%s since %s: %s", row, l.clock(s.Since), s.Text)
	case s.Phase == route.Recovering:
		return fmt.Sprintf("on its way back%s since %s: %s", row, l.clock(s.Since), s.Text)
	}
	return fmt.Sprintf("demoted%s since %s by %s: %s", row, l.clock(s.Since), strings.Join(s.Rules, ", "), s.Text)
}

// next says what has to happen for route i to move.
func (l *lane) next(i int) string {
	s := &l.states[i]
	switch at := l.standing(i); {
	case l.holding(i):
		return fmt.Sprintf("%s asks for it to be %s, which %s holds: %s; what frees it: %s", s.Hold.Rule, moved(change{verdict: s.Hold.Verdict}), s.Hold.Guard, s.Hold.Why, s.Hold.Frees)
	case s.ProposedBy != "":
		return fmt.Sprintf("a person may approve the proposal %s until %s", s.Proposal, l.clock(s.ExpiresAt))
	case at.phase != route.Active && s.Phase == route.Active:
		return "it comes back with the lane"
	case s.Phase == route.Active:
		return l.nextActive(i)
	}
	return l.nextBack(i)
}

// nextActive says what would put an active route out.
func (l *lane) nextActive(i int) string {
	s := &l.states[i]
	for k, rule := range l.rules {
		switch {
		case l.truth(i, k).demote != policy.True:
		case !l.demands(i, k):
			left := rule.Demote.For
			if clock := findClock(s.Clocks, rule.Name, route.VerdictDemote); clock != nil {
				left -= clock.Held.D()
			}
			return fmt.Sprintf("%s asks for it to be demoted if its condition stays true for %s more", rule.Name, brief(left))
		default:
			return fmt.Sprintf("%s asks for it to be demoted; %s", rule.Name, onlySo(l.mode(rule.Mode)))
		}
	}
	text := "it stays active until a rule's condition is true"
	switch {
	case len(l.rules) == 0:
		return "it stays active: no rule judges class " + string(l.key.Class)
	case !s.Unknown.IsZero():
		return text + "; " + s.UnknownFor
	}
	return text
}

// onlySo says what a mode does with what is asked for and not held.
func onlySo(m route.Mode) string {
	switch m {
	case route.Act:
		return "the next round decides"
	case route.Propose:
		return "it is only proposed, and nobody has approved"
	}
	return "it is only observed"
}

// troubled is when route i, which is out, last showed trouble of the kind that keeps it out.
func (l *lane) troubled(i int) time.Time {
	at := l.signals[i].Delivery.Troubled
	for _, rule := range l.rules {
		if holds(&l.states[i], rule.Name) && readsTimes(rule.Promote.When) {
			return later(at, l.signals[i].Latency.Troubled)
		}
	}
	return at
}

// nextBack says what lets a route go its next step back.
func (l *lane) nextBack(i int) string {
	s := &l.states[i]
	c, _ := l.promotion(i)
	text := "it comes back"
	if s.Phase == route.Recovering {
		text = "it goes on"
		s = &route.State{Rules: s.Rules, HoldUntil: s.Since.Add(c.rule.Promote.Step)}
	}
	var wants []string
	if l.now.Before(s.HoldUntil) {
		wants = append(wants, l.clock(s.HoldUntil)+" has passed")
	}
	if at := l.troubled(i); !at.IsZero() {
		quiet := at.Add(peace(l.round.policy, s))
		wants = append(wants, fmt.Sprintf("%s has passed without trouble, which was last seen at %s", l.clock(quiet), l.clock(at)))
	}
	for k, rule := range l.rules {
		if holds(s, rule.Name) && !l.allows(i, k) {
			wants = append(wants, fmt.Sprintf("%s allows it (%s, now %s)", rule.Name, rule.Promote.When, l.truth(i, k).promote))
		}
	}
	if l.wantedOut(i) {
		wants = append(wants, "no rule asks for it to be demoted")
	}
	if len(wants) == 0 {
		return "every rule lets it; " + onlySo(c.mode)
	}
	return text + " once " + strings.Join(wants, " and ")
}
