package decide

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// tester is what a test and a property have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// site is a policy in parts; empty parts are those of plain.
type site struct{ routes, classes, lanes, rules, guards, windows string }

// plain has three routes in one lane, and two rules that do not wait for anything.
var plain = site{
	routes: `
  a: {provider: pa, networks: [GB], price: {GB: 0.0300 EUR}, trickle: 1%}
  b: {provider: pb, networks: [GB], price: {GB: 0.0330 EUR}, trickle: 2%}
  c: {provider: pc, networks: [GB], price: {GB: 0.0360 EUR}}`,
	classes: `
  otp: {mode: act, retry_after: 20s, unknown_after: 2m, approval: 15m}`,
	lanes: `
  - {class: otp, network: GB, order: [a, b, c]}`,
	rules:  receiptsRule + bindRule,
	guards: `{common_cause: {share: 60%, wait: 1m}, settle: 1m, velocity: {changes: 2, in: 10m}}`,
}

const (
	receiptsRule = `
  - name: receipts
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 25%, 100%], step: 2m}
    hold_down: {base: 5m, factor: 2, max: 15m, decay: 1h}`
	bindRule = `
  - name: bind
    class: ["*"]
    demote: {when: 'probe["bind"].failures >= 3'}
    promote: {when: 'probe["bind"].successes >= 3'}
    hold_down: {base: 2m, factor: 2, max: 4m, decay: 1h}`
	lateRule = `
  - name: late
    class: ["*"]
    demote: {when: latency.evidence >= 12.0}
    promote: {when: latency.recovered >= 4.6}
    hold_down: {base: 5m}`
	conversionsRule = `
  - name: conversions
    class: ["*"]
    demote: {when: conversion.evidence >= 12.0}
    promote: {when: conversion.recovered >= 4.6}
    hold_down: {base: 10m}`
)

func (s site) parse(t tester) *policy.Policy {
	t.Helper()
	or := func(part, standard string) string {
		if part == "" {
			return standard
		}
		return part
	}
	text := "version: 1\nroutes:" + or(s.routes, plain.routes) + "\nclasses:" + or(s.classes, plain.classes) +
		"\nlanes:" + or(s.lanes, plain.lanes) + "\nrules:" + or(s.rules, plain.rules) + "\nguards: " + or(s.guards, plain.guards) + "\n"
	if s.windows != "" {
		text += "windows:" + s.windows + "\n"
	}
	p, err := policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatalf("parse policy: %v\n%s", err, text)
	}
	return p
}

var (
	otpGB = route.Lane{Class: "otp", Network: "GB"}
	began = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

// story drives rounds over signals that the test sets by hand, and checks after each what must always hold.
type story struct {
	t       tester
	policy  *policy.Policy
	world   route.World
	table   *route.Table
	now     time.Time
	options Options
	looks   map[route.ID]look
	on      map[place]look    // in one lane, or on one network, alone
	wide    map[route.ID]look // by the messages of all lanes, where that is otherwise
	apart   []route.Network   // networks that messages go to
	idle    []place           // routes that nothing tells of in a lane
	journal []route.Decision
	last    Outcome // of the last round
}

// look is how a route looks, the same in every lane.
type look struct {
	cause     string // not known, and why
	silence   float64
	failure   float64
	recovered float64
	lost      float64 // nats of conversions
	converts  float64 // nats that conversions are well again
	late      float64 // nats of receipts that are late
	quick     float64 // nats that receipts are quick again
	peers     float64 // what each peer says of its sharing the trouble
	second    float64 // conversions as a second channel
	path      float64 // receipts of earlier messages
	hasSecond bool
	probesOK  int64
	rate      float64 // submits a second; 0 is 4, negative is none
	bind      int64   // failures in a row, negative for successes, 0 for no result yet
}

func (s site) begin(t tester) *story {
	st := &story{t: t, policy: s.parse(t), now: began, looks: map[route.ID]look{}, on: map[place]look{}, wide: map[route.ID]look{}}
	st.take(Adopt(st.policy, st.world, nil, st.now))
	return st
}

func (s *story) take(o Outcome) {
	s.world = o.World
	if o.Table != nil {
		s.table = o.Table
	}
	s.journal = append(s.journal, o.Decisions...)
}

// reload puts another policy in force.
func (s *story) reload(to site) Outcome {
	s.t.Helper()
	s.policy = to.parse(s.t)
	o := Adopt(s.policy, s.world, s.table, s.now)
	s.take(o)
	return o
}

func (s *story) look(id route.ID, l look) *story {
	s.looks[id] = l
	return s
}

// Ways to look.
var (
	well     = look{bind: -3, peers: -9}
	silent   = look{silence: 20, peers: -9, bind: -3}
	failing  = look{failure: 20, peers: -9, bind: -3}
	unbound  = look{bind: 3}
	returned = look{recovered: 9, bind: -3, peers: -9}
	away     = look{cause: "no event and no heartbeat from s1 for more than 25s"}
)

// telling says how the routes of a lane, or of one network of it, look.
type telling func(key route.Lane, ids []route.ID) []route.Signals

// told is a Source of what a test tells: every route of every lane is live, and messages go to the networks it names.
type told struct {
	policy   *policy.Policy
	tell     telling
	wide     telling // by the messages of all lanes; nil is the same
	networks []route.Network
	idle     []place // not live
}

func (s told) Judge(scope route.Scope, asks []route.Inquiry, _ time.Time) []route.Signals {
	ids := make([]route.ID, len(asks))
	for i := range asks {
		ids[i] = asks[i].Route
	}
	if scope.Wide && s.wide != nil {
		return s.wide(scope.Key(), ids)
	}
	return s.tell(scope.Key(), ids)
}

func (s told) Live(lane route.Lane) []route.ID {
	live := slices.Sorted(slices.Values(s.policy.Lane(lane).Order))
	return slices.DeleteFunc(live, func(id route.ID) bool { return slices.Contains(s.idle, place{lane, id}) })
}

func (s told) Probed() []route.ID { return nil }

func (s told) Networks(lane route.Lane) []route.Network {
	keys := s.policy.LaneKeys()
	return slices.DeleteFunc(slices.Clone(s.networks), func(n route.Network) bool {
		at := route.Find(keys, lane.Class, n)
		return at < 0 || keys[at] != lane || n == lane.Network
	})
}

// judge is a round on what a test tells.
func judge(p *policy.Policy, w route.World, now time.Time, o Options, tell telling) Outcome {
	return Round(p, told{policy: p, tell: tell}, w, now, o)
}

// signals are what the book would say of a lane.
func (s *story) signals(key route.Lane, ids []route.ID) []route.Signals {
	out := make([]route.Signals, len(ids))
	for i, id := range ids {
		v, set := s.on[place{key, id}]
		if !set {
			v, set = s.looks[id]
		}
		if !set {
			v = well
		}
		out[i] = v.signals(key, id, ids, s.now)
	}
	return out
}

// widely are what the book would say of routes over all lanes.
func (s *story) widely(key route.Lane, ids []route.ID) []route.Signals {
	out := s.signals(key, ids)
	for i, id := range ids {
		if v, set := s.wide[id]; set {
			out[i] = v.signals(key, id, ids, s.now)
		}
	}
	return out
}

func (v look) signals(key route.Lane, id route.ID, ids []route.ID, now time.Time) route.Signals {
	sig := route.Signals{Lane: key, Route: id, At: now, Rate: 4}
	if v.rate != 0 {
		sig.Rate = max(0, v.rate)
	}
	if v.bind != 0 {
		sig.Probes = map[string]route.Probe{"bind": {Quality: route.Quality{Known: true}, Failures: max(0, v.bind), Successes: max(0, -v.bind)}}
	}
	if v.cause != "" {
		q := route.Quality{Cause: v.cause}
		sig.Delivery.Quality, sig.Conversion.Quality, sig.Submit.Quality, sig.Open.Quality = q, q, q, q
		sig.Within.Quality, sig.Latency.Quality, sig.Score.Quality = q, q, q
		return sig
	}
	q := route.Quality{Known: true, Age: route.Duration(2 * time.Second)}
	sig.Submit.Quality, sig.Open.Quality = q, q
	sig.Delivery = route.Delivery{Quality: q, Ratio: 0.94, Low: 0.9, High: 0.97, Baseline: 0.95, Messages: 240, Delivered: 226, Since: now.Add(-time.Minute), Recovered: v.recovered}
	sig.Conversion = route.Conversion{Quality: q, Ratio: 0.8, Low: 0.7, High: 0.9, Baseline: 0.8, Messages: 200, Converted: 160, Since: now.Add(-time.Minute), Evidence: v.lost, Recovered: v.converts}
	if v.silence > 0 || v.failure > 0 {
		d := &sig.Delivery
		d.Evidence, d.Silence, d.Failure, d.Failures = v.silence+v.failure, v.silence, v.failure, v.failure
		d.Ratio, d.High, d.Delivered, d.Failed = 0.3, 0.42, 60, v.failure
		if v.silence > 0 {
			sig.Suspect.Arrival = 0.3
		}
		if v.failure > 0 {
			sig.Suspect.Delivered = 0.4
		}
	}
	if v.lost > 0 {
		sig.Suspect.Conversion, sig.Conversion.Converted, sig.Conversion.High = 0.25, 20, 0.3
	}
	sig.Latency = route.Latency{Quality: q, P95: route.Duration(42 * time.Second), BaselineP95: route.Duration(42 * time.Second), Horizon: route.Duration(10 * time.Second),
		OnTime: 0.75, Usual: 0.75, Messages: 120, Since: now.Add(-time.Minute), Evidence: v.late, Recovered: v.quick}
	sig.Within = route.Within{Quality: q, Ratio: 0.88, Low: 0.8, High: 0.93, Baseline: 0.88, Limit: route.Duration(30 * time.Second), Messages: 120, Since: now.Add(-time.Minute)}
	if v.late > 0 {
		sig.Latency.OnTime, sig.Latency.P95, sig.Suspect.Latency = 0.2, route.Duration(3*time.Minute), 0.27
		sig.Within.Ratio = 0.44
	}
	sig.Second = route.Second{Conversion: v.second, ConversionKnown: v.hasSecond, ProbesOK: v.probesOK, Path: v.path}
	if sig.Suspect != (route.Accused{}) {
		for _, other := range ids {
			if other != id {
				sig.Peers = append(sig.Peers, route.Peer{Route: other, Known: true, Delivery: v.peers, Latency: v.peers, Conversion: v.peers})
			}
		}
	}
	return sig
}

// round judges one tick later, and returns what was decided. Where something happened, and now and then where nothing
// did, it does so again as after a restart, and looks whether the world given was left alone.
func (s *story) round() []route.Decision {
	s.t.Helper()
	s.now = s.now.Add(signal.Tick)
	was, looked := s.world, s.now.Unix()%40 == 0
	before := ""
	if looked {
		before = encode(was)
	}
	s.last = s.judge(was)
	if looked || len(s.last.Decisions) > 0 {
		s.again(was, before)
	}
	s.take(s.last)
	return s.last.Decisions
}

// judge is one round from a world.
func (s *story) judge(w route.World) Outcome {
	return Round(s.policy, s.source(), w, s.now, s.options)
}

// source is what the test tells.
func (s *story) source() told {
	return told{policy: s.policy, tell: s.signals, wide: s.widely, networks: s.apart, idle: s.idle}
}

// again judges the last round from the world as it was stored.
func (s *story) again(was route.World, before string) {
	s.t.Helper()
	after := encode(was)
	if before != "" && after != before {
		s.t.Fatalf("the world given was changed:\nwas %s\nis  %s", before, after)
	}
	o := s.judge(decode(s.t, after))
	if got, want := encode(o), encode(s.last); got != want {
		s.t.Fatalf("after a restart the round differs:\ngot  %s\nwant %s", got, want)
	}
}

// rounds judges for a time, and returns what was decided in it.
func (s *story) rounds(d time.Duration) []route.Decision {
	s.t.Helper()
	var out []route.Decision
	for end := s.now.Add(d); s.now.Before(end); {
		out = append(out, s.round()...)
	}
	return out
}

// jump lets time pass in which nobody watches.
func (s *story) jump(d time.Duration) { s.now = s.now.Add(d) }

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func decode(t tester, text string) route.World {
	t.Helper()
	var w route.World
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		t.Fatalf("world: %v", err)
	}
	return w
}

func (s *story) state(id route.ID) *route.State {
	s.t.Helper()
	l := s.world.Lane(otpGB)
	if pl := s.policy.Lane(otpGB); l == nil || pl == nil || !pl.Has(id) {
		s.t.Fatalf("got no route %s in %s", id, otpGB)
	}
	return stateOf(l, id)
}

// stateOf is what is remembered of a route in a lane, or a fresh state.
func stateOf(l *route.LaneState, id route.ID) *route.State {
	if s := l.State(id); s != nil {
		return s
	}
	fresh := route.Fresh(id)
	return &fresh
}

// everyState are the states of all routes of a lane, by id.
func everyState(p *policy.Policy, l *route.LaneState) []route.State {
	var out []route.State
	for _, id := range slices.Sorted(slices.Values(p.Lane(l.Lane).Order)) {
		out = append(out, *stateOf(l, id))
	}
	return out
}

func (s *story) phase(id route.ID, want route.Phase) {
	s.t.Helper()
	if got := s.state(id).Phase; got != want {
		s.t.Fatalf("at %s: got %s %s, want %s\n%s", s.now.Format("15:04:05"), id, got, want, tail(s.journal))
	}
}

// shares are those of a lane of the table: "a 9900, b 100".
func (s *story) shares() map[route.ID]int {
	out := map[route.ID]int{}
	for _, e := range s.table.Lanes[0].Routes {
		out[e.Route] = e.Share
	}
	return out
}

func (s *story) wantShares(want map[route.ID]int) {
	s.t.Helper()
	if got := s.shares(); !maps.Equal(got, want) {
		s.t.Fatalf("at %s: got shares %v, want %v", s.now.Format("15:04:05"), got, want)
	}
}

// only is the one decision of a round.
func only(t tester, ds []route.Decision) route.Decision {
	t.Helper()
	if len(ds) != 1 {
		t.Fatalf("got %d decisions, want 1:\n%s", len(ds), tail(ds))
	}
	return ds[0]
}

func none(t tester, ds []route.Decision) {
	t.Helper()
	if len(ds) != 0 {
		t.Fatalf("got decisions, want none:\n%s", tail(ds))
	}
}

func reasons(ds []route.Decision) []string {
	var out []string
	for _, d := range ds {
		out = append(out, string(d.Route)+" "+string(d.Reason))
	}
	return out
}

func wantReasons(t tester, ds []route.Decision, want ...string) {
	t.Helper()
	if got := reasons(ds); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q\n%s", got, want, tail(ds))
	}
}

func answer(t tester, d route.Decision, guard string) route.GuardResult {
	t.Helper()
	for _, g := range d.Guards {
		if g.Guard == guard {
			return g
		}
	}
	t.Fatalf("got no answer of %s in %+v", guard, d.Guards)
	return route.GuardResult{}
}

func tail(ds []route.Decision) string {
	var b strings.Builder
	for _, d := range ds[max(0, len(ds)-12):] {
		b.WriteString(d.Time.Format("15:04:05") + " " + d.ID + " " + string(d.Route) + " " + string(d.From) + ">" + string(d.To) + " " + d.Rule + " " + string(d.Reason) + ": " + d.Text + "\n")
	}
	return b.String()
}

// demoted is a story in which a has just been demoted by a rule's look.
func demoted(t tester, s site, v look) *story {
	t.Helper()
	st := s.begin(t)
	st.look("a", v).round()
	st.phase("a", route.Demoted)
	return st
}

// recovering is a story in which a stands on the first step of its way back.
func recovering(t tester, s site) *story {
	t.Helper()
	st := demoted(t, s, failing)
	st.look("a", returned).rounds(5*time.Minute + signal.Tick)
	st.phase("a", route.Recovering)
	return st
}

// place is one route in one lane.
type place struct {
	lane  route.Lane
	route route.ID
}
