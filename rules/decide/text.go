package decide

import (
	"fmt"
	"strings"
	"time"

	"signalbox/rules/route"
)

// decision is the record of a change, before guards and enforcement are filled in.
func (l *lane) decision(c change) route.Decision {
	s, sig := &l.state.Routes[c.index], &l.signals[c.index]
	d := route.Decision{
		Lane: l.state.Lane, Route: s.Route, From: s.Phase, To: c.to, Verdict: c.verdict, Mode: l.mode(c.mode),
		Rule: c.rule.Name, Reason: c.reason, Guards: []route.GuardResult{},
		Traffic: fmt.Sprintf("%.1f/s", sig.Rate),
	}
	when := c.rule.Demote.When
	if c.verdict == route.VerdictPromote {
		when = c.rule.Promote.When
	}
	if when != nil {
		d.Inputs = when.Inputs(l.env(c.index))
	}
	if d.Inputs == nil {
		d.Inputs = []route.Input{}
	}
	d.Text = l.sentence(c, d.Inputs)
	d.Alternatives = l.alternatives(c)
	return d
}

// sentence says in words what a change rests on.
func (l *lane) sentence(c change, inputs []route.Input) string {
	sig := &l.signals[c.index]
	when := c.rule.Demote.When
	if c.verdict == route.VerdictPromote {
		when = c.rule.Promote.When
	}
	switch {
	case when == nil:
		return "the rule that demoted it is no longer in the policy"
	case c.verdict == route.VerdictPromote && when.Reads("delivery") && sig.Delivery.Known:
		return wayBack(c) + deliveryRecovered(&sig.Delivery)
	case c.verdict == route.VerdictPromote:
		return wayBack(c) + conditionText(inputs)
	case when.Reads("delivery") && sig.Delivery.Known:
		return deliveryText(&sig.Delivery)
	case when.Reads("conversion") && sig.Conversion.Known:
		return conversionText(&sig.Conversion)
	}
	return conditionText(inputs)
}

func wayBack(c change) string {
	if c.to == route.Active {
		return "back to its full place: "
	}
	return fmt.Sprintf("step %d of the way back, %s of its traffic: ", c.step+1, percent(float64(c.rule.Promote.Ramp[c.step])/route.FullShare))
}

func deliveryText(d *route.Delivery) string {
	return fmt.Sprintf("of %.0f messages since %s whose final status should be back, %.0f came back delivered and %.0f failed; at most %s will be delivered, baseline %s",
		d.Messages, clockTime(d.Since), d.Delivered, d.Failed, percent(d.High), percent(d.Baseline))
}

func deliveryRecovered(d *route.Delivery) string {
	return fmt.Sprintf("%.0f of the last %.0f messages came back delivered, e^%.1f times likelier from a healthy route than from one as bad as at its demotion",
		d.Delivered, d.Messages, d.Recovered)
}

func conversionText(c *route.Conversion) string {
	return fmt.Sprintf("of %.0f messages since %s whose conversion should be back, %.0f converted; at most %s will, baseline %s",
		c.Messages, clockTime(c.Since), c.Converted, percent(c.High), percent(c.Baseline))
}

func conditionText(inputs []route.Input) string {
	parts := make([]string, 0, len(inputs))
	for _, in := range inputs {
		parts = append(parts, fmt.Sprintf("%s is %v (%s %v)", in.Signal, in.Value, in.Operator, in.Threshold))
	}
	return strings.Join(parts, ", ")
}

// alternatives are the other routes of the lane, in the order to try after the change.
func (l *lane) alternatives(c change) []route.Alternative {
	out := []route.Alternative{}
	for _, s := range inOrder(l.policy, l.state) {
		i := l.index(s.Route)
		if i == c.index {
			continue
		}
		why := string(s.Phase)
		if s.Phase == route.Active && len(out) == 0 {
			why = "next in order"
		}
		if d := &l.signals[i].Delivery; d.Known {
			why += fmt.Sprintf(", %s delivered", percent(d.Ratio))
		} else {
			why += ", not known: " + d.Cause
		}
		out = append(out, route.Alternative{Route: s.Route, Why: why})
	}
	return out
}

func (l *lane) index(id route.ID) int {
	for i := range l.state.Routes {
		if l.state.Routes[i].Route == id {
			return i
		}
	}
	return -1
}

// priceChange says what the next message costs against the last one: by the first active route before and after.
func (l *lane) priceChange(d *route.Decision, c change) {
	before, after := l.first(-1), l.first(c.index)
	if c.verdict == route.VerdictPromote {
		after = before
		if c.to == route.Active && l.before(c.index, before) {
			after = c.index
		}
	}
	if before < 0 || after < 0 || before == after {
		return
	}
	price := func(i int) route.Price {
		return l.round.policy.Route(l.state.Routes[i].Route).Price(l.state.Lane.Network)
	}
	d.PriceChange = price(before).Change(price(after))
}

// first is the first active route in the order of the policy, one left out; -1 where there is none.
func (l *lane) first(without int) int {
	for _, id := range l.policy.Order {
		if i := l.index(id); i != without && l.state.Routes[i].Phase == route.Active {
			return i
		}
	}
	return -1
}

// before reports whether route i stands before route j in the order of the policy.
func (l *lane) before(i, j int) bool {
	for _, id := range l.policy.Order {
		switch {
		case id == l.state.Routes[i].Route:
			return true
		case j >= 0 && id == l.state.Routes[j].Route:
			return false
		}
	}
	return false
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05") }
