package decide

import (
	"fmt"
	"math"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// The guards, in the order in which they are asked. Each judges the state that the change would leave. The first that
// holds ends the round of questions.
const (
	guardMinActive   = "min_active"
	guardCommonCause = "common_cause"
	guardCorroborate = "corroborate"
	guardVelocity    = "velocity"
	guardSettle      = "settle"
	guardInFlight    = "in_flight"
)

// The answers of a guard.
const (
	pass = "pass"
	hold = "hold"
)

// How sure a comparison must be, in nats.
const (
	provenBetter  = -4.6 // a peer is a hundred times likelier to be healthy than to have the same trouble
	suffersToo    = 2.0  // a peer has the same trouble
	corroborated  = 3.0  // another channel bears out what the receipts say
	contradicted  = -3.0 // another channel contradicts it
	probeArrives  = 0.985
	leastDelivers = 0.10
)

type guard struct {
	name string
	ask  func(*lane, change) route.GuardResult
}

var guardOrder = []guard{
	{guardMinActive, (*lane).minActive},
	{guardCommonCause, (*lane).commonCause},
	{guardCorroborate, (*lane).corroborate},
	{guardVelocity, (*lane).velocity},
	{guardSettle, (*lane).settle},
	{guardInFlight, (*lane).inFlight},
}

// guards asks each guard about a change, up to the first that holds.
func (l *lane) guards(c change) []route.GuardResult {
	var answers []route.GuardResult
	for _, g := range guardOrder {
		a := g.ask(l, c)
		a.Guard = g.name
		answers = append(answers, a)
		if a.Result == hold {
			break
		}
	}
	return answers
}

func passes(format string, args ...any) route.GuardResult {
	return route.GuardResult{Result: pass, Why: fmt.Sprintf(format, args...)}
}

func holdsBack(frees, format string, args ...any) route.GuardResult {
	return route.GuardResult{Result: hold, Frees: frees, Why: fmt.Sprintf(format, args...)}
}

// minActive never lets the last routes go that carry the lane by right.
func (l *lane) minActive(c change) route.GuardResult {
	least := l.round.policy.Guards.MinActive
	left := l.active()
	if c.verdict == route.VerdictDemote && l.state.Routes[c.index].Phase == route.Active {
		left--
	} else {
		return passes("the change takes no active route away")
	}
	if left < least {
		return holdsBack("another route of the lane becoming active", "%s active would be left, want at least %d", count(left, "route"), least)
	}
	return passes("%s active would be left", count(left, "route"))
}

// commonCause holds a demotion while the other routes have the same trouble: then the destination or the observer is bad,
// and demoting helps nobody.
func (l *lane) commonCause(c change) route.GuardResult {
	if c.verdict != route.VerdictDemote {
		return passes("only demotions are compared")
	}
	suffering, compared := 1, 1
	for i := range l.state.Routes {
		if i == c.index || l.state.Routes[i].Phase == route.Demoted {
			continue
		}
		compared++
		switch sick := l.compare(c, i); {
		case sick <= provenBetter:
			return passes("%s is proven better on the same cohorts", l.state.Routes[i].Route)
		case sick >= suffersToo:
			suffering++
		}
	}
	g := l.round.policy.Guards.CommonCause
	if suffering > 1 && float64(suffering) >= g.Share*float64(compared) {
		return holdsBack("one route of the lane being proven better", "%d of %d routes of the lane have the same trouble: the destination is bad, or the observer", suffering, compared)
	}
	if waited := l.waited(c); waited < g.Wait {
		return holdsBack("one route being proven better, or "+route.Duration(g.Wait-waited).String()+" more without an answer", "no other route is proven better yet")
	}
	return passes("no other route showed the same trouble within %s", route.Duration(g.Wait))
}

// compare is how much route i shares the trouble of the change's route, in nats. A rule over message signals compares
// messages of the same time; another rule compares its own condition.
func (l *lane) compare(c change, i int) float64 {
	if when := c.rule.Demote.When; !when.Reads("delivery") && !when.Reads("conversion") {
		switch when.Eval(l.env(i)) {
		case policy.True:
			return math.Inf(1)
		case policy.False:
			return math.Inf(-1)
		}
		return 0
	}
	for _, p := range l.signals[c.index].Peers {
		if p.Route == l.state.Routes[i].Route && p.Known {
			return sick(c.rule.Demote.When, &p)
		}
	}
	return 0
}

// sick is what a peer says by the channels that a condition reads: where it reads several, the one that speaks most
// against the peer.
func sick(when *policy.Condition, p *route.Peer) float64 {
	switch {
	case !when.Reads("conversion"):
		return p.Delivery
	case !when.Reads("delivery"):
		return p.Conversion
	}
	return math.Max(p.Delivery, p.Conversion)
}

// waited is how long the change has been asked for and held.
func (l *lane) waited(c change) time.Duration {
	h := l.state.Routes[c.index].Hold
	if h == nil || h.Rule != c.rule.Name || h.Verdict != c.verdict || l.now.Sub(h.Seen) > pauseEnds {
		return 0
	}
	return l.now.Sub(h.Since)
}

// corroborate asks a second channel before silence alone demotes: receipts may be late while messages arrive.
func (l *lane) corroborate(c change) route.GuardResult {
	g := l.round.policy.Guards.Corroborate
	switch {
	case c.verdict != route.VerdictDemote:
		return passes("only demotions are corroborated")
	case !asks(g.Classes, l.state.Lane.Class):
		return passes("not asked for class %s", l.state.Lane.Class)
	case !c.rule.Demote.When.Reads("delivery") || l.withoutSilence(c):
		return passes("the rule does not rest on silence")
	}
	nats, told := secondChannel(&l.signals[c.index])
	switch waited := l.waited(c); {
	case nats >= corroborated:
		return passes("borne out by %s", told)
	case nats <= contradicted:
		return holdsBack("conversions or handset probes failing too, or failure receipts", "receipts are late, but messages arrive by %s", told)
	case waited < g.Wait:
		return holdsBack("conversions or handset probes failing too, or "+route.Duration(g.Wait-waited).String()+" more of silence", "silence alone, and %s cannot tell yet", told)
	}
	return passes("silent for %s and not contradicted by %s", route.Duration(g.Wait), told)
}

func asks(classes []route.Class, c route.Class) bool {
	for _, k := range classes {
		if k == c || k == route.AnyClass {
			return true
		}
	}
	return false
}

// withoutSilence reports whether the rule would match on the failures alone.
func (l *lane) withoutSilence(c change) bool {
	env := l.env(c.index)
	s := *env.Signals
	s.Delivery.Silence, s.Delivery.Evidence = 0, s.Delivery.Failures
	env.Signals = &s
	return c.rule.Demote.When.Eval(env) == policy.True
}

// secondChannel is the log likelihood, in nats, of the messages being lost against their being delivered as usual, from
// everything but receipts; and its name.
func secondChannel(s *route.Signals) (nats float64, told string) {
	told = "no second channel"
	if s.Second.ConversionKnown {
		nats, told = s.Second.Conversion, "conversions"
	}
	if s.Second.ProbesOK+s.Second.ProbesFailed == 0 {
		return nats, told
	}
	share := 1.0
	if a := s.Suspect.Arrival; a > 0 {
		share = a
	}
	lost := math.Max(leastDelivers, share) * probeArrives
	nats += float64(s.Second.ProbesOK)*math.Log(lost/probeArrives) + float64(s.Second.ProbesFailed)*math.Log((1-lost)/(1-probeArrives))
	if s.Second.ConversionKnown {
		return nats, "conversions and handset probes"
	}
	return nats, "handset probes"
}

// reverses reports whether the change takes back a promotion that is still under way; that must never wait.
func (l *lane) reverses(c change) bool {
	return c.verdict == route.VerdictDemote && l.state.Routes[c.index].Phase == route.Recovering
}

// velocity bounds the changes of the lane in a time.
func (l *lane) velocity(c change) route.GuardResult {
	g := l.round.policy.Guards.Velocity
	if l.reverses(c) || l.state.Routes[c.index].Phase == route.Recovering {
		return passes("the change ends one that is under way")
	}
	recent := 0
	var first time.Time
	for _, at := range l.state.Changes {
		if at.After(l.now.Add(-g.In)) {
			if recent++; recent == 1 {
				first = at
			}
		}
	}
	if recent >= g.Changes {
		return holdsBack("no further change until "+clockTime(first.Add(g.In)), "%s in the last %s, want at most %d", count(recent, "change"), route.Duration(g.In), g.Changes)
	}
	return passes("%s in the last %s", count(recent, "change"), route.Duration(g.In))
}

// settle lets a lane rest after a change, so that the next one is judged on what the last one led to.
func (l *lane) settle(c change) route.GuardResult {
	g := l.round.policy.Guards.Settle
	if len(l.state.Changes) == 0 || l.reverses(c) || l.state.Routes[c.index].Phase == route.Recovering {
		return passes("nothing to settle")
	}
	last := l.state.Changes[len(l.state.Changes)-1]
	if since := l.now.Sub(last); since < g {
		return holdsBack(route.Duration(g-since).String()+" more without a change", "the last change was %s ago, want %s", route.Duration(since), route.Duration(g))
	}
	return passes("the last change was %s ago", route.Duration(l.now.Sub(last)))
}

// inFlight lets one change at a time into a lane: none beside another of the same round, and no demotion or promotion
// while a route is on its way back.
func (l *lane) inFlight(c change) route.GuardResult {
	if l.changed != "" {
		return holdsBack("the next round", "%s changed in this round", l.changed)
	}
	for i := range l.state.Routes {
		s := &l.state.Routes[i]
		if i != c.index && s.Phase == route.Recovering && c.verdict == route.VerdictPromote {
			return holdsBack("its becoming active or demoted", "%s is on its way back", s.Route)
		}
	}
	return passes("no other change is under way")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
