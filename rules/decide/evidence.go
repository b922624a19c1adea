package decide

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// How sure a comparison must be, in nats.
const (
	provenBetter  = route.ProvenBetter
	suffersToo    = 2.0  // a peer has the same trouble
	corroborated  = 3.0  // another channel bears out what the receipts say
	contradicted  = -3.0 // another channel contradicts it
	probeArrives  = 0.985
	leastDelivers = 0.10
	mostlySilent  = 0.25 // share of the usual receipts below which a route brought next to none
)

// commonCause holds a demotion while the other routes have the same trouble: then the destination or the observer is bad,
// and demoting helps nobody.
func (l *lane) commonCause(c change) route.GuardResult {
	if c.verdict != route.VerdictDemote {
		return passes("only demotions are compared")
	}
	suffering, compared := 1, 1
	others := len(l.policy.Order) - len(l.states) // nothing tells of them
	for i := range l.states {
		if i == c.index {
			continue
		}
		if l.phase(i) == route.Demoted {
			if l.stillSilent(i) && !l.bornOut(c) {
				suffering, compared = suffering+1, compared+1
			}
			continue
		}
		compared++
		switch sick := l.compare(c, i); {
		case sick <= provenBetter:
			return passes("%s is proven better on %s", l.states[i].Route, l.ground(c))
		case sick >= suffersToo:
			suffering++
		}
	}
	compared += others
	g := l.round.policy.Guards.CommonCause
	common := suffering > 1 && float64(suffering) >= g.Share*float64(compared)
	waited := l.waited(c)
	switch {
	case compared > 1 && l.alone(c) && l.bornOut(c):
		return passes("no other route had messages to compare with, and it is not only receipts that are missing")
	case common:
		return holdsBack("another route of the lane proving better", "%d of %d routes of the lane have the same trouble, so the destination is bad, or what observes it", suffering, compared)
	case waited < g.Wait:
		return holdsBack("another route proving better, or "+brief(g.Wait-waited)+" more without an answer", "no other route is proven better so far")
	}
	if suffering == 1 {
		return passes("in %s no other route proved better, but none has the same trouble", route.Duration(g.Wait))
	}
	return passes("in %s no other route proved better, and %d of %d have the same trouble", route.Duration(g.Wait), suffering, compared)
}

// stillSilent reports whether a demoted route went out for silence, and nothing has come back on it since. Where receipts
// alone are missing on the next one too, it is their path that broke, and it would take the lane down route by route.
func (l *lane) stillSilent(i int) bool {
	accused, d := l.states[i].Accused.Arrival, &l.signals[i].Delivery
	return accused > 0 && accused < mostlySilent && d.Delivered+d.Failed == 0
}

// alone reports whether a rule over messages has no other route's messages to compare with, as where the first in order
// carries everything: waiting would tell nothing more.
func (l *lane) alone(c change) bool {
	peers := l.seen(c.index, c.rule).Peers
	if !readsMessages(c.rule.Demote.When) || len(peers) == 0 && len(l.states) > 1 {
		return false
	}
	for i := range peers {
		if peers[i].Known {
			return false
		}
	}
	return true
}

// bornOut reports whether more than missing receipts speaks against the route: another channel, or statuses that failed.
func (l *lane) bornOut(c change) bool {
	s := l.seen(c.index, c.rule)
	nats, _ := secondChannel(s)
	return nats+pathWorks(s) >= corroborated || l.withoutSilence(c)
}

// compare is how much route i shares the trouble of the change's route, in nats. Messages of the same time are compared
// where messages accuse the route; else the rule's own condition is asked, which proves nobody well by messages.
func (l *lane) compare(c change, i int) float64 {
	s, when := l.seen(c.index, c.rule), c.rule.Demote.When
	byMessages := readsMessages(when)
	if byMessages && len(s.Peers) > 0 {
		for n := range s.Peers {
			if p := &s.Peers[n]; p.Route == l.states[i].Route && p.Known {
				return sick(when, s.Suspect, p)
			}
		}
		return 0
	}
	switch truth := l.truth(i, slices.Index(l.rules, c.rule)).demote; {
	case truth == policy.True:
		return math.Inf(1)
	case truth == policy.False && !byMessages:
		return math.Inf(-1)
	}
	return 0
}

func readsMessages(when *policy.Condition) bool {
	return when.Reads("delivery") || when.Reads("conversion") || readsTimes(when)
}

// readsTimes reports whether a condition judges how long receipts take.
func readsTimes(when *policy.Condition) bool { return when.Reads("latency") || when.Reads("within") }

// ground is what routes are compared on.
func (l *lane) ground(c change) string {
	if readsMessages(c.rule.Demote.When) {
		return "messages of the same time"
	}
	return "the same condition"
}

// sick is what a peer says by the channels that a condition reads and that accuse the route: where there are several, the
// one that speaks most against the peer.
func sick(when *policy.Condition, accused route.Accused, p *route.Peer) float64 {
	most := math.Inf(-1)
	for _, channel := range [...]struct {
		asked bool
		nats  float64
	}{
		{when.Reads("delivery") && (accused.Arrival > 0 || accused.Delivered > 0), p.Delivery},
		{readsTimes(when) && accused.Latency > 0, p.Latency},
		{when.Reads("conversion") && accused.Conversion > 0, p.Conversion},
	} {
		if channel.asked {
			most = math.Max(most, channel.nats)
		}
	}
	if math.IsInf(most, -1) {
		return 0
	}
	return most
}

// corroborate asks a second channel before silence alone demotes: receipts may be late while messages arrive.
func (l *lane) corroborate(c change) route.GuardResult {
	g := l.round.policy.Guards.Corroborate
	switch {
	case c.verdict != route.VerdictDemote:
		return passes("only demotions are corroborated")
	case !asks(g.Classes, l.policy.Class):
		return passes("not asked for class %s", l.policy.Class)
	}
	silence := slices.Contains(g.Signals, "silence") && c.rule.Demote.When.Reads("delivery")
	late := slices.Contains(g.Signals, "latency") && readsTimes(c.rule.Demote.When)
	if !silence && !late || l.onAnswers(c, silence, late) {
		return passes("it does not rest on %s", alternatives(g.Signals))
	}
	doubt, long, of := "missing", "silent", "silence"
	if !silence {
		doubt, long, of = "late", "late", "lateness"
	}
	seen := l.seen(c.index, c.rule)
	nats, told := secondChannel(seen)
	const frees = "conversions or handset probes failing too, or receipts that say failed"
	waited := l.waited(c)
	more := frees + ", or " + brief(g.Wait-waited) + " more of " + of
	switch {
	case nats >= corroborated:
		return passes("%s fail too", told)
	case nats+pathWorks(seen) >= corroborated:
		return passes("receipts of earlier messages still come, so their path works")
	case nats <= contradicted:
		return holdsBack(frees, "%s show that messages arrive, so only their receipts are %s", told, doubt)
	case waited < g.Wait && told == "":
		return holdsBack(more, "receipts are %s, and there are no conversions and no handset probes to bear it out", doubt)
	case waited < g.Wait:
		return holdsBack(more, "receipts are %s, and %s cannot tell yet whether messages are too", doubt, told)
	}
	return passes("%s for %s, and nothing contradicts it", long, route.Duration(g.Wait))
}

// alternatives joins what corroborate is about: "silence", "silence or latency".
func alternatives(words []string) string { return strings.Join(words, " or ") }

func asks(classes []route.Class, c route.Class) bool {
	return slices.Contains(classes, c) || slices.Contains(classes, route.AnyClass)
}

// withoutSilence reports whether the rule would match on the final statuses that came, as if no others were missing, and
// none late.
func (l *lane) withoutSilence(c change) bool { return l.onAnswers(c, true, true) }

// onAnswers reports whether the rule would match if no final status were missing, or none late.
func (l *lane) onAnswers(c change, silence, late bool) bool {
	env := *l.env(c.index, c.rule)
	s := *env.Signals
	if silence {
		s.Delivery = answeredOnly(s.Delivery)
	}
	if late {
		s.Latency, s.Within = s.Latency.Punctual(), s.Within.Punctual()
	}
	env.Signals = &s
	return c.rule.Demote.When.Eval(&env) == policy.True
}

// answeredOnly is the delivery of the messages that have a final status, with the 99.7 % interval of E. B. Wilson (1927).
func answeredOnly(d route.Delivery) route.Delivery {
	d.Silence, d.Evidence = 0, d.Failures
	n := d.Delivered + d.Failed
	if !(n > 0) {
		d.Ratio, d.Low, d.High = d.Baseline, 0, 1
		return d
	}
	const z2 = 9
	p := d.Delivered / n
	half := math.Sqrt(z2*p*(1-p)/n + z2*z2/(4*n*n))
	d.Ratio, d.Low, d.High = p, (p+z2/(2*n)-half)/(1+z2/n), (p+z2/(2*n)+half)/(1+z2/n)
	return d
}

// secondChannel is the log likelihood, in nats, of the messages being lost against their being delivered as usual, from
// everything but receipts; and its name, "" where there is no such channel.
func secondChannel(s *route.Signals) (nats float64, told string) {
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
	if told != "" {
		return nats, fmt.Sprintf("%s and handset probes", told)
	}
	return nats, "handset probes"
}

// pathWorks is what speaks, in nats, for the receipts' path working, so that what is missing is the messages: no more than
// is needed to believe it, so that a channel which sees the messages themselves can outweigh it, and never less than
// nothing, as a dead route may bring no receipts of earlier messages either.
func pathWorks(s *route.Signals) float64 {
	return math.Max(0, math.Min(corroborated, s.Second.Path))
}

// brief is a time to the second, for people.
func brief(d time.Duration) string {
	return route.Duration(max(d, time.Second).Round(time.Second)).String()
}
