package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// size is how much there is of everything. Every class goes to every network by every route: each of these is a key.
type size struct {
	routes, networks int
	classes          []route.Class
	live             float64       // share of the keys that have traffic
	mix              []flow        // how much they have
	told             bool          // whether each live key is told a baseline of its own, unlike all others; else it learns
	history          time.Duration // for how long they have had it
}

func (s size) keys() int { return s.routes * s.networks * len(s.classes) }

// flow is a share of the live keys that have so many messages a second.
type flow struct{ share, rate float64 }

// world is a book under traffic, and what is decided by it.
type world struct {
	size    size
	policy  *policy.Policy
	state   route.World
	book    *signal.Book
	lanes   []route.Lane
	senders []*sender
	tick    int64
}

// sender has the traffic of one route.
type sender struct {
	route  route.ID
	source string
	random *rand.Rand
	keys   []liveKey
	due    [wheel][]receipt // by the tick that they come in, round and round
	obs    route.Observation
}

type liveKey struct {
	class   route.Class
	network route.Network
	rate    float64
}

// receipt is one that is on its way.
type receipt struct {
	key        int32
	age        int32 // milliseconds
	submitted  time.Duration
	delivered  bool
	conversion bool
}

// wheel is how many ticks a receipt may be on its way: an hour.
const wheel = int64(time.Hour / signal.Tick)

var began = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// build makes a world and lets its history pass.
func build(s size) *world {
	w := &world{size: s, book: signal.New(signal.Options{MaxKeys: s.keys() + s.routes})}
	for _, class := range s.classes {
		for n := range s.networks {
			w.lanes = append(w.lanes, route.Lane{Class: class, Network: networkOf(n)})
		}
	}
	w.policy = w.policyOf()
	w.state = decide.Adopt(w.policy, route.World{}, nil, began).World
	w.book.SetLanes(w.lanes, nil)
	w.populate()
	if s.told {
		w.tell()
	}
	w.pass(int64(s.history / signal.Tick))
	return w
}

// rules are those that most sites begin with.
const rules = `
rules:
  - name: receipts-collapse
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0 && delivery.messages >= 5.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%, 25%, 100%]}
  - name: codes-not-entered
    class: ["*"]
    demote: {when: conversion.evidence >= 12.0}
    promote: {when: conversion.recovered >= 4.6}
guards: {corroborate: {class: ["*"]}, max_demoted: 50%}
`

// policyOf is a policy in which every route stands in every lane.
func (w *world) policyOf() *policy.Policy {
	head, order := "version: 1\nroutes:\n", ""
	for r := range w.size.routes {
		head += fmt.Sprintf("  %s: {provider: p, networks: [\"*\"], trickle: 1%%}\n", nameOf(r))
		order += nameOf(r) + ", "
	}
	head += "classes:\n"
	for _, class := range w.size.classes {
		head += fmt.Sprintf("  %s: {mode: act, within: 30s}\n", class)
	}
	files := []policy.File{{Name: "policy.yml", Data: []byte(head + rules)}}
	for _, l := range w.lanes {
		text := fmt.Sprintf("lanes: [{class: %s, network: \"%s\", order: [%s]}]\n", l.Class, l.Network, order)
		files = append(files, policy.File{Name: fmt.Sprintf("lane-%04d.yml", len(files)), Data: []byte(text)})
	}
	p, err := policy.Parse(files)
	if err != nil {
		panic(err) // it is written above
	}
	return p
}

func nameOf(r int) string { return fmt.Sprintf("route-%04d", r) }

func networkOf(n int) route.Network { return route.Network(fmt.Sprintf("%d-%02d", 200+n/100, n%100)) }

// populate chooses the live keys, spread evenly over routes and lanes.
func (w *world) populate() {
	chance := rand.New(rand.NewPCG(1, 2))
	for r := range w.size.routes {
		name := nameOf(r)
		w.senders = append(w.senders, &sender{route: route.ID(name), source: "gw-" + name, random: rand.New(rand.NewPCG(3, uint64(r)))})
	}
	keys := chance.Perm(w.size.keys())[:int(math.Round(w.size.live*float64(w.size.keys())))]
	rates := w.rates(len(keys))
	for i, k := range keys {
		lane, s := w.lanes[k/w.size.routes], w.senders[k%w.size.routes]
		s.keys = append(s.keys, liveKey{lane.Class, lane.Network, rates[i]})
	}
}

// rates are those of n keys, by the mix.
func (w *world) rates(n int) []float64 {
	rates, sum := make([]float64, 0, n), 0.0
	for _, f := range w.size.mix {
		sum += f.share
		for float64(len(rates)) < math.Round(sum*float64(n)) {
			rates = append(rates, f.rate)
		}
	}
	return rates
}

// tell tells every live key a baseline of its own.
func (w *world) tell() {
	for _, s := range w.senders {
		for _, k := range s.keys {
			slow := 0.9 + 0.2*s.random.Float64()
			b := route.Baseline{Delivered: 0.95 - 0.01*s.random.Float64(), Failed: 0.025, Messages: 5000}
			for _, age := range toldAges {
				b.Ages = append(b.Ages, age*slow)
				b.CDF = append(b.CDF, arrived(age))
			}
			if converts(k.class) {
				b.Conversion = 0.8
				for _, age := range toldAges {
					b.ConversionCDF = append(b.ConversionCDF, arrived(age-8))
				}
			}
			w.book.Observe(&route.Observation{Kind: route.KindBaseline, Time: began, Route: s.route, Class: k.class, Network: k.network, Baseline: &b}, began)
		}
	}
}

var toldAges = []float64{2, 5, 10, 20, 30, 60, 120, 300}

func converts(c route.Class) bool { return c == "otp" }

// delays are receipts' ages in seconds, in order: a mixture of log-normal ones, p50 5 s, p95 42 s, p99 33 min.
var delays = func() []float64 {
	r := rand.New(rand.NewPCG(4, 5))
	ages := make([]float64, 1<<14)
	for i := range ages {
		median, sigma := 4.5, 0.75
		switch u := r.Float64(); {
		case u >= 0.98:
			median, sigma = 3600, 1.3
		case u >= 0.88:
			median, sigma = 28, 0.9
		}
		ages[i] = median * math.Exp(sigma*r.NormFloat64())
	}
	slices.Sort(ages)
	return ages
}()

// arrived is the share of receipts that come by an age.
func arrived(age float64) float64 {
	i, _ := slices.BinarySearch(delays, age)
	return float64(i) / float64(len(delays))
}

// pass lets some ticks pass, sender by sender.
func (w *world) pass(ticks int64) {
	for _, s := range w.senders {
		for tick := w.tick; tick < w.tick+ticks; tick++ {
			s.pass(w.book, tick)
		}
	}
	w.tick += ticks
}

func (w *world) now() time.Time { return began.Add(time.Duration(w.tick) * signal.Tick) }

// pass lets what happens on the route in one tick happen.
func (s *sender) pass(b *signal.Book, tick int64) {
	start := time.Duration(tick) * signal.Tick
	if tick%2 == 0 {
		s.observe(b, route.Observation{Kind: route.KindHeartbeat, Time: began.Add(start), Routes: []route.ID{s.route}})
	}
	due := &s.due[tick%wheel]
	for i := range *due {
		s.receive(b, &(*due)[i])
	}
	*due = (*due)[:0]
	for i := range s.keys {
		k := &s.keys[i]
		for range s.poisson(k.rate * signal.Tick.Seconds()) {
			at := start + time.Duration(s.random.Int64N(int64(signal.Tick)))
			s.observe(b, route.Observation{Kind: route.KindSubmit, Time: began.Add(at), Class: k.class, Network: k.network, Latency: 40 * time.Millisecond})
			s.send(int32(i), at, tick)
		}
	}
}

// send decides what becomes of a message that was submitted.
func (s *sender) send(key int32, at time.Duration, tick int64) {
	u, age := s.random.Float64(), delays[s.random.IntN(len(delays))]
	if u >= 0.975 {
		return // nothing ever comes back
	}
	r := receipt{key: key, age: int32(min(age, 3600) * 1000), submitted: at, delivered: u < 0.95}
	s.expect(r, tick)
	if r.delivered && converts(s.keys[key].class) && s.random.Float64() < 0.8 {
		r.age, r.conversion = r.age+8000, true
		s.expect(r, tick)
	}
}

// expect puts a receipt where it comes in; one that takes longer than the wheel never comes.
func (s *sender) expect(r receipt, tick int64) {
	comes := int64((r.submitted + time.Duration(r.age)*time.Millisecond) / signal.Tick)
	comes = max(comes, tick+1)
	if comes-tick < wheel {
		s.due[comes%wheel] = append(s.due[comes%wheel], r)
	}
}

func (s *sender) receive(b *signal.Book, r *receipt) {
	k := &s.keys[r.key]
	o := route.Observation{Kind: route.KindReceipt, Status: route.StatusDelivered, Final: true, Class: k.class, Network: k.network,
		Submitted: began.Add(r.submitted), Time: began.Add(r.submitted + time.Duration(r.age)*time.Millisecond)}
	switch {
	case r.conversion:
		o.Kind = route.KindConversion
	case !r.delivered:
		o.Status = route.StatusFailed
	}
	s.observe(b, o)
}

func (s *sender) observe(b *signal.Book, o route.Observation) {
	s.obs = o
	s.obs.Route, s.obs.Source = s.route, s.source
	b.Observe(&s.obs, o.Time)
}

// poisson is how many of what happens mean times on average.
func (s *sender) poisson(mean float64) int {
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*s.random.NormFloat64())))
	}
	n, p := 0, s.random.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= s.random.Float64()
	}
	return n
}
