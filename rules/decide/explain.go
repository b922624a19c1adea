package decide

import (
	"fmt"
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
	Guards   []route.GuardResult `json:"guards"` // of the change that a rule asks for now, or of a demotion where none does
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

// Explain says why route id is where it is in a lane, from the state and signals of the last round. It returns false
// where there is no such route in such a lane.
func Explain(p *policy.Policy, w route.World, signals []route.Signals, key route.Lane, id route.ID) (Explanation, bool) {
	pl, state := p.Lane(key), w.Lane(key)
	if pl == nil || state == nil || state.State(id) == nil {
		return Explanation{}, false
	}
	copied := cloneLane(state)
	l := &lane{round: &round{policy: p, now: w.At}, policy: pl, state: &copied, rules: p.RulesFor(key), class: class(p, key.Class)}
	l.signals = ofLane(&copied, signals)
	return l.explain(l.index(id)), true
}

// ofLane picks the signals of a lane's routes, in their order; a route not judged yet has unknown ones.
func ofLane(l *route.LaneState, all []route.Signals) []route.Signals {
	out := make([]route.Signals, len(l.Routes))
	for i, s := range l.Routes {
		q := route.Quality{Cause: "not judged yet"}
		out[i] = route.Signals{Lane: l.Lane, Route: s.Route, Delivery: route.Delivery{Quality: q}, Conversion: route.Conversion{Quality: q}, Submit: route.Submit{Quality: q}, Open: route.Open{Quality: q}}
		for j := range all {
			if all[j].Lane == l.Lane && all[j].Route == s.Route {
				out[i] = all[j]
			}
		}
	}
	return out
}

func (l *lane) explain(i int) Explanation {
	s := l.state.Routes[i]
	e := Explanation{Route: s.Route, Lane: l.state.Lane, At: l.now, Policy: l.round.policy.Revision, State: s, Signals: l.signals[i], Decision: s.Decision}
	for _, rule := range l.rules {
		e.Rules = append(e.Rules, l.view(i, rule))
	}
	for _, entry := range laneTable(l.round.policy, l.policy, l.state).Routes {
		if entry.Route == s.Route {
			e.Entry = entry
		}
	}
	if c, ok := l.wanted(i); ok {
		e.Guards = l.guards(c)
	}
	e.Text, e.Next = l.where(i), l.next(i, e.Rules)
	return e
}

func (l *lane) view(i int, rule *policy.Rule) RuleView {
	s := &l.state.Routes[i]
	return RuleView{
		Rule:    rule.Name,
		Holds:   holds(s, rule.Name),
		Demote:  l.clause(i, rule, route.VerdictDemote, &rule.Demote),
		Promote: l.clause(i, rule, route.VerdictPromote, &rule.Promote),
	}
}

func (l *lane) clause(i int, rule *policy.Rule, v route.Verdict, c *policy.Clause) ClauseView {
	env := l.env(i)
	view := ClauseView{When: c.When.String(), Truth: c.When.Eval(env).String(), For: route.Duration(c.For), Inputs: c.When.Inputs(env)}
	if clock := find(l.state.Routes[i].Clocks, rule.Name, v); clock != nil {
		view.Held = clock.Held
	}
	return view
}

// wanted is the change that a rule asks for, or the demotion that the first rule would ask for.
func (l *lane) wanted(i int) (change, bool) {
	s := &l.state.Routes[i]
	if len(l.rules) == 0 {
		return change{}, false
	}
	if s.Phase == route.Active {
		rule := l.rules[0]
		for _, r := range l.rules {
			if s.Hold != nil && s.Hold.Rule == r.Name {
				rule = r
			}
		}
		return change{index: i, rule: rule, verdict: route.VerdictDemote, to: route.Demoted, mode: rule.Mode}, true
	}
	rule, _ := l.cleared(i)
	return change{index: i, rule: rule, verdict: route.VerdictPromote, to: route.Recovering, mode: promoteMode(rule)}, true
}

func (l *lane) where(i int) string {
	s := &l.state.Routes[i]
	switch {
	case s.Phase == route.Active && s.Since.IsZero():
		return "active since the policy was loaded; no rule has moved it"
	case s.Phase == route.Active:
		return fmt.Sprintf("active since %s: %s", clockTime(s.Since), s.Text)
	case s.Phase == route.Recovering:
		return fmt.Sprintf("on its way back since %s, step %d: %s", clockTime(s.Since), s.Step+1, s.Text)
	}
	return fmt.Sprintf("demoted since %s by %s: %s", clockTime(s.Since), firstRule(s), s.Text)
}

func (l *lane) next(i int, rules []RuleView) string {
	s := &l.state.Routes[i]
	switch {
	case s.Hold != nil && l.now.Sub(s.Hold.Seen) <= pauseEnds:
		return fmt.Sprintf("%s by %s is held by %s: %s; what would free it: %s", s.Hold.Verdict, s.Hold.Rule, s.Hold.Guard, s.Hold.Why, s.Hold.Frees)
	case !s.Unknown.IsZero():
		return "nothing until it can be judged; " + s.UnknownFor
	case s.Phase == route.Demoted && l.now.Before(s.HoldUntil):
		return "hold-down until " + clockTime(s.HoldUntil) + ", then every rule that demoted it must promote it"
	case s.Phase != route.Active:
		return "every rule that demoted it must promote it: " + missing(rules)
	}
	return "it stays active until a rule's condition is true"
}

func missing(rules []RuleView) string {
	text := ""
	for _, r := range rules {
		if !r.Holds {
			continue
		}
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("%s wants %s, which is %s", r.Rule, r.Promote.When, r.Promote.Truth)
	}
	return text
}
