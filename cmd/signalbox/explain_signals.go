package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox/rules/route"
)

// unknownRow is what is shown of a signal that cannot be judged.
func unknownRow(name string, q route.Quality) []string {
	return []string{"?", name, "unknown: " + q.Cause}
}

// signalRows are all signals of a route; those with an interval stand in columns.
func signalRows(s *route.Signals) [][]string {
	var rows [][]string
	if s.Delivery.Known || s.Within.Known || s.Conversion.Known {
		rows = append(rows, []string{"", "", "NOW", "INTERVAL", "NORMAL", "DUE", "EVIDENCE", "RECOVERED", "AGE"})
	}
	rows = append(rows, deliveryRow(&s.Delivery), withinRow(&s.Within), conversionRow(&s.Conversion), latencyRow(&s.Latency), submitRow(&s.Submit), openRow(&s.Open))
	for _, kind := range sortedKeys(s.Probes) {
		p := s.Probes[kind]
		rows = append(rows, probeRow(kind, &p))
	}
	for i := range s.Peers {
		rows = append(rows, peerRow(&s.Peers[i]))
	}
	return append(rows, othersRow(&s.Others), scoreRow(&s.Score))
}

func deliveryRow(d *route.Delivery) []string {
	if !d.Known {
		return unknownRow("delivery", d.Quality)
	}
	return []string{"", "delivery", percent(d.Ratio), percent(d.Low) + " to " + percent(d.High), percent(d.Baseline),
		number(d.Messages), nats(d.Evidence), nats(d.Recovered), span(d.Age.D())}
}

func conversionRow(c *route.Conversion) []string {
	if !c.Known {
		return unknownRow("conversion", c.Quality)
	}
	return []string{"", "conversion", percent(c.Ratio), percent(c.Low) + " to " + percent(c.High), percent(c.Baseline),
		number(c.Messages), nats(c.Evidence), nats(c.Recovered), span(c.Age.D())}
}

func withinRow(w *route.Within) []string {
	if !w.Known {
		return unknownRow("within", w.Quality)
	}
	return []string{"", "within " + w.Limit.String(), percent(w.Ratio), percent(w.Low) + " to " + percent(w.High), percent(w.Baseline),
		number(w.Messages), nats(w.Evidence), "", span(w.Age.D())}
}

func latencyRow(l *route.Latency) []string {
	if !l.Known {
		return unknownRow("latency", l.Quality)
	}
	text := fmt.Sprintf("of %s: %s answered within %s, normally %s; %s", number(l.Messages), percent(l.OnTime), l.Horizon, percent(l.Usual), nats(l.Evidence))
	if l.Lateness >= 0.05 {
		text += fmt.Sprintf(", of which late receipts prove %.1f", l.Lateness)
	}
	if l.Recovered > 0 {
		text += ", recovered " + nats(l.Recovered)
	}
	for _, p := range [...]struct {
		name string
		at   route.Duration
	}{{"p50", l.P50}, {"p95", l.P95}, {"p99", l.P99}} {
		if p.at > 0 {
			text += fmt.Sprintf("; %s %s", p.name, briefly(p.at))
		}
	}
	if l.P95 > 0 {
		text += "; p95 is normally " + briefly(l.BaselineP95)
	}
	return []string{"", "latency", text}
}

// briefly is a duration to two digits or so.
func briefly(d route.Duration) string {
	to := time.Second
	if d.D() < 10*time.Second {
		to = 100 * time.Millisecond
	}
	return route.Duration(d.D().Round(to)).String()
}

func nats(v float64) string { return fmt.Sprintf("%.1f nats", v) }

func submitRow(s *route.Submit) []string {
	if !s.Known {
		return unknownRow("submit", s.Quality)
	}
	text := fmt.Sprintf("of %s: %s refused, %s throttled, %s unanswered", number(s.Messages), percent(s.Refused), percent(s.Throttled), percent(s.Timeouts))
	if s.P95 > 0 {
		text += "; 95% answered within " + span(s.P95.D())
	}
	return []string{"", "submit", text}
}

func openRow(o *route.Open) []string {
	if !o.Known {
		return unknownRow("open", o.Quality)
	}
	text := number(o.Messages) + " without a final status"
	if o.OldestP95 > 0 {
		text += "; 95% of them younger than " + span(o.OldestP95.D())
	}
	return []string{"", "open", text}
}

func probeRow(kind string, p *route.Probe) []string {
	name := "probe " + kind
	switch {
	case !p.Known:
		return unknownRow(name, p.Quality)
	case p.Failures > 0:
		return []string{"", name, fmt.Sprintf("failing: %d in a row; %s of the last ten succeeded", p.Failures, percent(p.OK))}
	}
	return []string{"", name, fmt.Sprintf("succeeding: %d in a row, 95%% within %s; %s of the last ten succeeded", p.Successes, span(p.P95.D()), percent(p.OK))}
}

// How sure a comparison with another route is, in nats.
const (
	surelyBetter = -2
	surelyWorse  = 2
)

func peerRow(p *route.Peer) []string {
	name := "beside " + string(p.Route)
	least, most := min(p.Delivery, p.Conversion), max(p.Delivery, p.Conversion)
	switch {
	case !p.Known:
		return []string{"?", name, "unknown: it had no messages in that time"}
	case most >= surelyWorse:
		return []string{"", name, fmt.Sprintf("%s has the same trouble (%.1f nats)", p.Route, most)}
	case least <= surelyBetter:
		return []string{"", name, fmt.Sprintf("%s is proven better on the same cohorts (%.1f nats)", p.Route, -least)}
	}
	return []string{"?", name, "nobody can tell yet whether it has the same trouble"}
}

// othersRow is the median of the lane's other routes.
func othersRow(o *route.Others) []string {
	var parts []string
	for _, m := range [...]struct {
		name string
		route.Median[float64]
	}{{"delivered", o.Delivery}, {"in time", o.Within}, {"converted", o.Conversion}} {
		if m.Known() {
			parts = append(parts, percent(m.Value)+" "+m.name)
		}
	}
	if o.Latency.Known() {
		parts = append(parts, "p95 "+briefly(o.Latency.Value))
	}
	if len(parts) == 0 {
		return []string{"?", "peers", "unknown: no other route had messages in that time"}
	}
	text := "their median: " + strings.Join(parts, ", ")
	if o.Compared > 0 {
		text += fmt.Sprintf("; %d of %d proven better", o.Better, o.Compared)
	}
	return []string{"", "peers", text}
}

func scoreRow(s *route.Score) []string {
	if !s.Known {
		return unknownRow("score", s.Quality)
	}
	var parts []string
	for i := range s.Parts {
		p := &s.Parts[i]
		parts = append(parts, fmt.Sprintf("%s %.0f (%s)", p.Name, p.Value, percent(p.Weight)))
	}
	return []string{"", "score", fmt.Sprintf("%.0f of 100: %s; %s of the weight is known", s.Value, strings.Join(parts, ", "), percent(s.Weight))}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
