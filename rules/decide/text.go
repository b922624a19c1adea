package decide

import (
	"fmt"
	"math"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// decision is the record of what is asked for, before it is known whether it is done.
func (l *lane) decision(a *ask) route.Decision {
	s := &l.states[a.index]
	inputs := a.when().Inputs(l.env(a.index, a.rule))
	if inputs == nil {
		inputs = []route.Input{}
	}
	return route.Decision{
		Lane: l.key, Route: s.Route, From: s.Phase, To: a.to, Verdict: a.verdict, Mode: a.mode,
		Rule: a.rule.Name, Reason: a.reason(), Text: l.grounds(a.change, inputs),
		Inputs: inputs, Guards: a.guards, Alternatives: l.alternatives(a.change),
		Traffic: perSecond(l.signals[a.index].Rate), Actor: person(a.actor),
	}
}

// remark is a record on a route that leaves it where it is.
func (l *lane) remark(s *route.State, v route.Verdict, reason route.Reason, rule string) route.Decision {
	return route.Decision{
		Lane: l.key, Route: s.Route, From: s.Phase, To: s.Phase, Verdict: v, Mode: l.mode(""), Rule: rule, Reason: reason,
		Inputs: []route.Input{}, Guards: []route.GuardResult{}, Alternatives: []route.Alternative{},
	}
}

// moved is what the change does to its route, in a word.
func moved(c change) string {
	if c.verdict == route.VerdictDemote {
		return "demoted"
	}
	return "promoted"
}

// grounds says in words what a change rests on. One that a person approved when its rule asked for it no more rests on
// what the proposal said; what is so now does not say why.
func (l *lane) grounds(c change, inputs []route.Input) string {
	if c.lapsed != "" {
		return "as proposed in " + c.lapsed + "; since then " + conditionText(inputs)
	}
	return l.sentence(c, inputs)
}

// sentence says in words what a change rests on.
func (l *lane) sentence(c change, inputs []route.Input) string {
	sig, when := l.seen(c.index, c.rule), c.when()
	if c.verdict == route.VerdictPromote {
		return wayBack(c) + recovered(sig, when, inputs)
	}
	switch {
	case when.Reads("delivery") && (sig.Suspect.Arrival > 0 || sig.Suspect.Delivered > 0):
		return deliveryText(&sig.Delivery, l.clock)
	case when.Reads("conversion") && sig.Suspect.Conversion > 0:
		return conversionText(&sig.Conversion, l.clock)
	case when.Reads("latency") && sig.Suspect.Latency > 0:
		return latencyText(&sig.Latency, l.clock)
	case when.Reads("within") && sig.Within.Known:
		return withinText(&sig.Within, l.clock)
	}
	return conditionText(inputs)
}

// recovered says what lets a route come back.
func recovered(sig *route.Signals, when *policy.Condition, inputs []route.Input) string {
	switch {
	case when == nil:
		return "the rule that demoted it is no longer in the policy"
	case when.Reads("delivery.recovered") && sig.Delivery.Known:
		d := &sig.Delivery
		return fmt.Sprintf("%.0f of the last %s came back delivered, %s if the route is well than if it were as bad as when it was demoted",
			d.Delivered, messages(d.Messages), likelier(d.Recovered))
	case when.Reads("conversion.recovered") && sig.Conversion.Known:
		c := &sig.Conversion
		return fmt.Sprintf("%.0f of the last %s converted, %s if the route is well than if it were as bad as when it was demoted",
			c.Converted, messages(c.Messages), likelier(c.Recovered))
	case when.Reads("latency.recovered") && sig.Latency.Known:
		l := &sig.Latency
		return fmt.Sprintf("%s of the last %s were answered within %s, %s if receipts are as quick as usual than if they were as late as when it was demoted",
			percent(l.OnTime), messages(l.Messages), l.Horizon, likelier(l.Recovered))
	}
	return conditionText(inputs)
}

// likelier says a log likelihood ratio in words: beyond a thousand, how much more says nothing about the route.
func likelier(nats float64) string {
	if ratio := math.Exp(nats); ratio < 1000 {
		return fmt.Sprintf("%.0f times likelier", ratio)
	}
	return "more than 1000 times likelier"
}

func wayBack(c change) string {
	if c.to == route.Active {
		return "back to its full place: "
	}
	return fmt.Sprintf("step %d of %d of its way back, %s of its traffic: ", c.step+1, len(c.rule.Promote.Ramp), shareText(c.rule.Promote.Ramp[c.step]))
}

func deliveryText(d *route.Delivery, clock func(time.Time) string) string {
	failed := ""
	if d.Failed >= 1 {
		failed = fmt.Sprintf(" and %.0f failed", d.Failed)
	}
	return fmt.Sprintf("of %s since %s whose receipts should be back, %.0f came back delivered%s; at most %s will, baseline %s",
		messages(d.Messages), clock(d.Since), d.Delivered, failed, percent(d.High), percent(d.Baseline))
}

func conversionText(c *route.Conversion, clock func(time.Time) string) string {
	return fmt.Sprintf("of %s since %s whose conversions should be back, %.0f converted; at most %s will, baseline %s",
		messages(c.Messages), clock(c.Since), c.Converted, percent(c.High), percent(c.Baseline))
}

func latencyText(l *route.Latency, clock func(time.Time) string) string {
	text := fmt.Sprintf("of %s since %s, %s were answered within %s, usually %s", messages(l.Messages), clock(l.Since), percent(l.OnTime), l.Horizon, percent(l.Usual))
	if l.P95 > 0 {
		text += fmt.Sprintf("; 95%% of receipts came within %s, usually %s", tenths(l.P95), tenths(l.BaselineP95))
	}
	return text
}

func withinText(w *route.Within, clock func(time.Time) string) string {
	return fmt.Sprintf("of %s since %s, %s were delivered within %s, baseline %s", messages(w.Messages), clock(w.Since), percent(w.Ratio), w.Limit, percent(w.Baseline))
}

// tenths is a duration to the tenth of a second.
func tenths(d route.Duration) route.Duration {
	return route.Duration(d.D().Round(100 * time.Millisecond))
}

func messages(n float64) string { return count(int(math.Round(n)), "message") }

func conditionText(inputs []route.Input) string {
	parts := make([]string, 0, len(inputs))
	for _, in := range inputs {
		parts = append(parts, fmt.Sprintf("%s is %s (%s %s)", in.Signal, value(in.Value), in.Operator, value(in.Threshold)))
	}
	return strings.Join(parts, ", ")
}

func value(v any) string {
	switch x := v.(type) {
	case nil:
		return "unknown"
	case float64:
		return fmt.Sprintf("%.4g", x)
	}
	return fmt.Sprint(v)
}

// andAlso names the rules that asked for a demotion beside the one that is recorded.
func andAlso(rules []*policy.Rule) string {
	if len(rules) == 0 {
		return ""
	}
	names := make([]string, len(rules))
	for i, rule := range rules {
		names[i] = rule.Name
	}
	return "; also asked for by " + strings.Join(names, ", ")
}

// maxAlternatives bounds the other routes that a decision tells of.
const maxAlternatives = 10

// alternatives are the other routes of the lane, in the order to try: as many as a person reads.
func (l *lane) alternatives(c change) []route.Alternative {
	out := make([]route.Alternative, 0, min(len(l.policy.Order), maxAlternatives))
	for _, s := range l.order() {
		if s.id == l.states[c.index].Route || len(out) == maxAlternatives {
			continue
		}
		why := l.place(&s, len(out) == 0)
		switch i := l.index(s.id); {
		case i < 0:
			why += ", not known: nothing has been heard of it"
		case l.signals[i].Delivery.Known:
			why += fmt.Sprintf(", %s delivered", percent(l.signals[i].Delivery.Ratio))
		default:
			why += ", not known: " + l.signals[i].Delivery.Cause
		}
		out = append(out, route.Alternative{Route: s.id, Why: why})
	}
	return out
}

// place is where a route stands among those to try.
func (l *lane) place(s *standing, first bool) string {
	switch {
	case s.admin == route.AdminDrained || s.admin == route.AdminUnregistered:
		return s.by
	case s.phase == route.Recovering:
		return "on its way back"
	case s.phase == route.Demoted:
		return "demoted by " + firstRule(s.state)
	case l.policy.Shares != nil:
		return "shares the traffic"
	case first:
		return "next in order"
	}
	return "active"
}

// person is who decided, where somebody did.
func person(actor string) *string {
	if actor == "" {
		return nil
	}
	return &actor
}

// stamp is a moment in full, for what is read at any time.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// clock is a moment as people say it: the time of day in UTC, with the day where that is not today.
func (r *round) clock(t time.Time) string {
	t = t.UTC()
	if t.Truncate(24 * time.Hour).Equal(r.now.UTC().Truncate(24 * time.Hour)) {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// shareText is a share of a table, in per cent.
func shareText(share int) string { return fmt.Sprintf("%g%%", float64(share)/100) }
