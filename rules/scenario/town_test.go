package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// The simulated town of these tests: one lane, some routes, one source of events, receipts after log-normal delays. All
// of it from one seed.

var midnight = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

// street is what happens to the messages of one route; nil functions are normal.
type street struct {
	id        route.ID
	class     route.Class   // default otp
	network   route.Network // default 234-15
	source    string        // default that of the town
	rate      float64       // messages a second
	delivered func(time.Duration) float64
	receipts  func(time.Duration) bool // whether those of messages delivered at a moment come back
	throttled func(time.Duration) float64
	refused   func(time.Duration) float64 // by the route's fault
}

// key are the messages of the street.
func (s street) key() route.Key {
	return route.Key{Route: s.id, Class: cmp.Or(s.class, "otp"), Network: cmp.Or(s.network, "234-15")}
}

// town is the messages of some routes from midnight on.
type town struct {
	streets []street
	lasts   time.Duration
	seed    uint64
	source  string // what its events and heartbeats name; default s1
	blind   bool   // no conversions are reported
}

const (
	normalDelivered = 0.95
	normalConverted = 0.80
	medianDelay     = 5.0
	sigmaDelay      = 0.8
)

func delay(r *rand.Rand) time.Duration {
	return time.Duration(medianDelay * math.Exp(sigmaDelay*r.NormFloat64()) * float64(time.Second))
}

func delayCDF(seconds float64) float64 {
	return 0.5 * math.Erfc(-math.Log(seconds/medianDelay)/sigmaDelay/math.Sqrt2)
}

// baseline is the truth about a normal street.
func (t town) baseline() *route.Baseline {
	b := &route.Baseline{Delivered: normalDelivered, Failed: 1 - normalDelivered, Messages: 5000}
	for _, age := range []float64{1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 300} {
		b.Ages = append(b.Ages, age)
		b.CDF = append(b.CDF, delayCDF(age))
		if !t.blind {
			b.Conversion = normalConverted
			b.ConversionCDF = append(b.ConversionCDF, delayCDF(math.Max(age-8, 0.1)))
		}
	}
	return b
}

// observations are all that the town sees, joined and in order.
func (t town) observations() []route.Observation {
	if t.source == "" {
		t.source = "s1"
	}
	var out []route.Observation
	ids := map[string][]route.ID{}
	for n, s := range t.streets {
		s.source = cmp.Or(s.source, t.source)
		ids[s.source] = append(ids[s.source], s.id)
		out = append(out, route.Observation{Kind: route.KindBaseline, Time: midnight, Route: s.id, Class: s.key().Class, Network: s.key().Network, Baseline: t.baseline()})
		out = t.messages(out, s, rand.New(rand.NewPCG(t.seed, uint64(n))))
	}
	for _, source := range slices.Sorted(maps.Keys(ids)) {
		for at := time.Duration(0); at <= t.lasts; at += 10 * time.Second {
			out = append(out, route.Observation{Kind: route.KindHeartbeat, Time: midnight.Add(at), Source: source, Routes: ids[source]})
		}
	}
	inOrder(out)
	end := sort.Search(len(out), func(i int) bool { return out[i].Time.After(midnight.Add(t.lasts)) })
	return out[:end]
}

func inOrder(all []route.Observation) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Time.Before(all[j].Time) })
}

// messages appends the submits of a street and what comes back of them.
func (t town) messages(out []route.Observation, s street, r *rand.Rand) []route.Observation {
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() / s.rate * float64(time.Second))
		if at >= t.lasts {
			return out
		}
		o := route.Observation{Kind: route.KindSubmit, Time: midnight.Add(at), Route: s.id, Class: s.key().Class, Network: s.key().Network, Source: s.source, Latency: 80 * time.Millisecond}
		if s.refused != nil && r.Float64() < s.refused(at) {
			o.Result, o.Fault = route.Refused, route.FaultRoute
			out = append(out, o)
			continue
		}
		if s.throttled != nil && r.Float64() < s.throttled(at) {
			o.Result, o.Fault = route.Refused, route.FaultCapacity
			out = append(out, o)
			continue
		}
		out = append(out, o)
		out = t.answers(out, o, s, at, r)
	}
}

// answers appends the receipt and the conversion of one message.
func (t town) answers(out []route.Observation, o route.Observation, s street, at time.Duration, r *rand.Rand) []route.Observation {
	share := normalDelivered
	if s.delivered != nil {
		share = s.delivered(at)
	}
	back := o
	back.Submitted, back.Time, back.Kind, back.Latency = o.Time, o.Time.Add(delay(r)), route.KindReceipt, 0
	fate, converts, later := r.Float64(), r.Float64() < normalConverted, 8*time.Second
	switch {
	case share == 0:
		return out // a black hole answers nothing
	case fate < share:
		back.Status = route.StatusDelivered
	default:
		back.Status, converts = route.StatusFailed, false
	}
	back.Final = true
	if s.receipts == nil || s.receipts(back.Time.Sub(midnight)) {
		out = append(out, back)
	}
	if converts && !t.blind {
		c := back
		c.Kind, c.Final, c.Status, c.Time = route.KindConversion, false, route.StatusUnknown, back.Time.Add(later)
		out = append(out, c)
	}
	return out
}

// between is a share from one moment to another, and the normal one otherwise.
func between(from, to float64, share float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if at >= minutes(from) && at < minutes(to) {
			return share
		}
		return normalDelivered
	}
}

const rules = `
rules:
  - name: receipts
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0 && delivery.messages >= 5.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 25%, 100%], step: 2m}
    hold_down: {base: 5m, factor: 2, max: 4h, decay: 6h}
  - name: conversions
    class: ["*"]
    demote: {when: conversion.evidence >= 12.0}
    promote: {when: conversion.recovered >= 4.6}
    hold_down: {base: 5m}
guards:
  common_cause: {share: 60%, wait: 60s}
  corroborate: {class: [otp], signals: [silence], wait: 40s}
  velocity: {changes: 2, in: 10m}
  settle: 60s
`

// townPolicy is a policy with one lane over some routes.
func townPolicy(t testing.TB, ids ...string) *policy.Policy {
	t.Helper()
	return parse(t, townText(ids...))
}

func townText(ids ...string) string {
	text := "version: 1\nroutes:\n"
	for _, id := range ids {
		text += fmt.Sprintf("  %s: {provider: p%s, networks: [GB], trickle: 2%%}\n", id, id)
	}
	return text + "classes:\n  otp: {mode: act, within: 30s, unknown_after: 2m}\nlanes:\n  - {class: otp, network: GB, order: [" + strings.Join(ids, ", ") + "]}\n" + rules
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]policy.File{{Name: "town.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatalf("parse policy: %v", err)
	}
	return p
}

// play replays observations and returns every decision and table.
func play(t testing.TB, p *policy.Policy, all []route.Observation) (decisions []route.Decision, tables []route.Table) {
	t.Helper()
	r := NewReplay(p, signal.Options{}, route.Act, func(o decide.Outcome) {
		decisions = append(decisions, o.Decisions...)
		if o.Table != nil {
			tables = append(tables, *o.Table)
		}
	})
	for i := range all {
		r.Observe(&all[i])
	}
	r.End()
	return decisions, tables
}

// line is a decision in short: minute, route, reason, and where it leads.
func line(d *route.Decision) string {
	return fmt.Sprintf("%s %s %s %s>%s %s", d.Time.Format("15:04:05"), d.Route, d.Reason, d.From, d.To, d.Rule)
}

func lines(ds []route.Decision) string {
	var b strings.Builder
	for i := range ds {
		b.WriteString(line(&ds[i]) + ": " + ds[i].Text + "\n")
	}
	return b.String()
}

// enforced are the decisions that were made.
func enforced(ds []route.Decision) []route.Decision {
	var out []route.Decision
	for _, d := range ds {
		if d.Enforced {
			out = append(out, d)
		}
	}
	return out
}

// untouched fails where anything was changed.
func untouched(t testing.TB, ds []route.Decision) {
	t.Helper()
	if made := enforced(ds); len(made) > 0 {
		t.Errorf("got %d changes, want none:\n%s", len(made), lines(made))
	}
}

func has(ds []route.Decision, match func(*route.Decision) bool) bool {
	for i := range ds {
		if match(&ds[i]) {
			return true
		}
	}
	return false
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
