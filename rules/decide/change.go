package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// change is a step that a rule asks for.
type change struct {
	index   int // of the route in states
	rule    *policy.Rule
	verdict route.Verdict
	to      route.Phase
	step    int        // of the ramp, where it leads to recovering
	mode    route.Mode // what may be done with it
	actor   string     // the person who approved it; "" for none
	lapsed  string     // the proposal that was approved, where its rule asks for it no more; "" for none
}

// reason is why the change is made where nothing keeps it from being made.
func (c *change) reason() route.Reason {
	if c.actor != "" {
		return route.Approved
	}
	if c.verdict == route.VerdictDemote {
		return route.RuleMatched
	}
	return route.RuleCleared
}

// when is the condition that asks for the change; nil where its rule is no longer in the policy.
func (c *change) when() *policy.Condition {
	if c.verdict == route.VerdictDemote {
		return c.rule.Demote.When
	}
	return c.rule.Promote.When
}

// ask is a change with the answers of the guards.
type ask struct {
	change
	guards []route.GuardResult
	held   *route.GuardResult // the first that holds it, nil where none does
}

// put asks operators' orders, the route's hold-down and the guards about a change.
func (l *lane) put(c change) ask {
	a := ask{change: c, guards: l.ordered(c)}
	if until := l.states[c.index].HoldUntil; c.verdict == route.VerdictPromote && l.now.Before(until) {
		a.guards = append(a.guards, route.GuardResult{Guard: guardHoldDown, Result: hold, Why: "it stays out until " + l.clock(until) + ", its hold-down", Frees: "the end of its hold-down"})
	}
	if len(a.guards) == 0 || c.actor != "" {
		a.guards = append(a.guards, l.guards(c)...) // a person who passes over an order is told all the same
	}
	for i := range a.guards {
		switch a.guards[i].Result {
		case hold:
			if a.held == nil {
				a.held = &a.guards[i]
			}
		case lower:
			a.mode = moreCareful(a.mode, route.Propose)
		}
	}
	return a
}

// demotions handles the rules that ask for route i to be demoted.
func (l *lane) demotions(i int) {
	var asks []ask
	for k, rule := range l.rules {
		switch {
		case !l.demands(i, k):
		case l.states[i].Phase == route.Demoted:
			l.join(i, rule)
		case l.phase(i) == route.Demoted: // its lane has it out already
		default:
			asks = append(asks, l.put(l.demotion(i, rule)))
		}
	}
	l.answer(asks)
}

func (l *lane) demotion(i int, rule *policy.Rule) change {
	return change{index: i, rule: rule, verdict: route.VerdictDemote, to: route.Demoted, mode: l.mode(rule.Mode)}
}

// promotions handles the way back of route i, one step at a time. A route that a rule wants out does not come back,
// whatever keeps it from being demoted now.
func (l *lane) promotions(i int) {
	s := &l.states[i]
	if s.Phase == route.Active || l.wantedOut(i) {
		return
	}
	c, cleared := l.promotion(i)
	if !cleared || s.Phase == route.Recovering && l.now.Before(s.Since.Add(c.rule.Promote.Step)) {
		return
	}
	l.answer([]ask{l.put(c)})
}

// wantedOut reports whether a rule that is more than observed asks for route i to be demoted.
func (l *lane) wantedOut(i int) bool {
	for k, rule := range l.rules {
		if l.demands(i, k) && l.mode(rule.Mode) != route.Observe {
			return true
		}
	}
	return false
}

// promotion is the next step of route i back to active, by the ramp of the first rule that keeps it out, and whether all
// of those rules allow it now. Of their modes the most careful counts.
func (l *lane) promotion(i int) (c change, cleared bool) {
	s := &l.states[i]
	rule := leader(l.rules, s)
	c = change{index: i, rule: rule, verdict: route.VerdictPromote, to: route.Recovering, mode: l.mode(rule.Promote.Mode)}
	cleared = true
	for k, r := range l.rules {
		if holds(s, r.Name) {
			c.mode = moreCareful(c.mode, l.mode(promoteMode(r)))
			cleared = cleared && l.allows(i, k)
		}
	}
	if s.Phase == route.Recovering {
		c.step = s.Step + 1
	}
	if ramp := rule.Promote.Ramp; c.step >= len(ramp) || ramp[c.step] >= route.FullShare {
		c.to, c.step = route.Active, 0
	}
	return c, cleared
}

// leader is the first of the rules, in the order of the policy, that keep a route out. Where the policy has none of them
// any more, the route comes back by small steps, under the eyes of the rules that there are.
func leader(rules []*policy.Rule, s *route.State) *policy.Rule {
	for _, rule := range rules {
		if holds(s, rule.Name) {
			return rule
		}
	}
	return &policy.Rule{Name: firstRule(s), Promote: policy.Clause{Ramp: carefulRamp, Step: carefulStep}}
}

// The way back where no rule says how.
const carefulStep = 2 * time.Minute

var carefulRamp = []int{route.FullShare / 20, route.FullShare / 4, route.FullShare}

// answer does what may be done with what is asked for on one route, in the order of the policy.
func (l *lane) answer(asks []ask) {
	if l.enforceFirst(asks) {
		return
	}
	var held *ask
	for n := range asks {
		switch a := &asks[n]; {
		case a.held != nil:
			l.tellHeld(a)
			held = l.foremost(held, a)
		case a.mode == route.Propose:
			l.propose(a)
		default:
			l.shadow(a)
		}
	}
	if held != nil {
		l.hold(held)
	}
}

// enforceFirst makes the first change that may be made, if there is one. Where it is a demotion, all rules that could
// have made it keep the route out.
func (l *lane) enforceFirst(asks []ask) bool {
	var first *ask
	var rules []*policy.Rule
	for n := range asks {
		if a := &asks[n]; a.mode == route.Act && a.held == nil {
			if first == nil {
				first = a
			}
			rules = append(rules, a.rule)
		}
	}
	if first != nil {
		l.enforce(first, rules)
	}
	return first != nil
}

// promoteMode is the mode of a rule's promotions, which may differ from that of its demotions.
func promoteMode(rule *policy.Rule) route.Mode {
	if rule.Promote.Mode != "" {
		return rule.Promote.Mode
	}
	return rule.Mode
}

// mode is the most careful of the modes of the lane's class, of the rule, and of the whole process.
func (l *lane) mode(rule route.Mode) route.Mode {
	mode := route.Act
	for _, m := range [...]route.Mode{l.class.Mode, rule, l.options.Mode} {
		if m != "" {
			mode = moreCareful(mode, m)
		}
	}
	return mode
}

func moreCareful(a, b route.Mode) route.Mode {
	if careful(b) < careful(a) {
		return b
	}
	return a
}

func careful(m route.Mode) int {
	switch m {
	case route.Act:
		return 2
	case route.Propose:
		return 1
	}
	return 0
}
