package story

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

func (p *player) fail(e *expectation, at, about, want, got, reason string) {
	p.failures = append(p.failures, Failure{File: p.file.Name, Line: e.value.Line(), Test: p.test.Name, At: at, About: about, Want: want, Got: got, Reason: reason})
}

// span is a time in the form 2m or 2m..3m.
func span(from, until time.Duration) string {
	if from == until {
		return route.Duration(from).String()
	}
	return route.Duration(from).String() + ".." + route.Duration(until).String()
}

func (p *player) moment(d *route.Decision) string {
	return route.Duration(d.Time.Sub(p.file.Start)).String()
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// about is the lane and the route in words: the lane that was found rather than the one that was asked for.
func (p *player) about(s *subject, l *route.LaneTable) string {
	if l == nil {
		return s.String()
	}
	return strings.TrimSpace(l.Lane().String() + " " + string(s.route))
}

// brief is a decision in a few words.
func (p *player) brief(d *route.Decision) string {
	text := fmt.Sprintf("%s (%s", d.Reason, d.Route)
	if d.From != d.To {
		text += fmt.Sprintf(" %s → %s", d.From, d.To)
	}
	if !d.Enforced {
		text += ", not enforced"
	}
	if d.Rule != "" {
		text += ", by " + d.Rule
	}
	if held := holding(d); len(held) > 0 {
		text += ", held by " + strings.Join(held, " and ")
	}
	return text + ")"
}

// last is the last decision about a route of a lane, in words.
func (p *player) last(l route.Lane, id route.ID) string {
	for i := len(p.decisions) - 1; i >= 0; i-- {
		if d := &p.decisions[i]; d.Route == id && d.Lane == l {
			return "last decided at " + p.moment(d) + ": " + p.brief(d) + ": " + d.Text
		}
	}
	return "nothing was decided about it"
}

// why says what was decided instead, and the values that the conditions were judged by.
func (p *player) why(e *expectation, l *route.LaneTable) string {
	if l == nil {
		return ""
	}
	ids := []route.ID{e.about.route}
	if e.about.route == "" {
		ids = nil
		for i := range l.Routes {
			ids = append(ids, l.Routes[i].Route)
		}
	}
	var out []string
	for _, id := range ids {
		entry := entryOf(l, id)
		if entry == nil {
			continue
		}
		text := p.last(l.Lane(), id)
		if conditions := p.conditions(&e.facts, l, entry); conditions != "" {
			text += "; " + conditions
		}
		if e.about.route == "" {
			text = string(id) + ": " + text
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// conditions are those that could move a route from where it is, with their values.
func (p *player) conditions(f *facts, l *route.LaneTable, e *route.Entry) string {
	engine := p.sim.Engine()
	x, ok := decide.Explain(p.policy, engine.World, decide.Seen{Signals: engine.Signals, Wide: engine.Wide}, l.Lane(), e.Route)
	if !ok || f.when != nil {
		return ""
	}
	signals := p.signals(l.Lane(), e.Route)
	var out []string
	for i := range x.Rules {
		r := &x.Rules[i]
		switch {
		case f.rule != "" && f.rule != r.Rule:
		case e.Phase == route.Active:
			out = append(out, clause(r.Rule, "demotes", &r.Demote, signals))
		case r.Holds:
			out = append(out, clause(r.Rule, "promotes", &r.Promote, signals))
		}
	}
	return strings.Join(out, "; ")
}

func clause(rule, does string, c *decide.ClauseView, signals *route.Signals) string {
	text := fmt.Sprintf("%s %s if %s: %s", rule, does, c.When, inputs(c.Inputs, signals))
	if c.For > 0 {
		text += fmt.Sprintf(", for %s of %s", c.Held, c.For)
	}
	return text
}

// inputs are the values of a condition.
func inputs(all []route.Input, signals *route.Signals) string {
	var out []string
	for i := range all {
		in := &all[i]
		text := in.Signal + " is " + show(in.Value)
		if cause := causeOf(in.Signal, signals); in.Value == nil && cause != "" {
			text += " (" + cause + ")"
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "nothing that can be shown"
	}
	return strings.Join(out, ", ")
}

// show is a value for people.
func show(v any) string {
	switch x := v.(type) {
	case nil:
		return "unknown"
	case float64:
		if math.Abs(x) >= 1000 {
			return strconv.FormatFloat(x, 'f', 0, 64)
		}
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return fmt.Sprint(v)
}

// causeOf is why a signal is not known.
func causeOf(signal string, x *route.Signals) string {
	if x == nil {
		return "not judged yet"
	}
	s, problem := findSetter(signal)
	if problem != "" {
		return ""
	}
	if s.probe != "" {
		if p, ok := x.Probes[s.probe]; ok {
			return p.Cause
		}
		return "no result yet"
	}
	if q := fieldByJSON(reflect.ValueOf(x).Elem(), s.path[0]); q.IsValid() && q.Kind() == reflect.Struct {
		if quality := q.FieldByName("Quality"); quality.IsValid() {
			return quality.FieldByName("Cause").String()
		}
	}
	return ""
}
