package scenario

import (
	"maps"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Sim is a simulated world: senders that follow the table in force, carriers that treat their messages well or badly,
// and an Engine that judges what they tell, round by round. The same calls give the same world. It is not safe for use
// by several goroutines.
type Sim struct {
	engine   Engine
	policy   *policy.Policy
	seed     uint64
	now      time.Time
	next     time.Time // of the next round
	planned  plans
	order    uint64
	flows    map[string]*flow
	treated  map[route.Key]*Health
	treats   int // how often Treat was called
	usual    Health
	probers  map[string]*prober
	sources  map[string]*beater
	muted    map[string]bool
	totals   map[route.ID]*Totals
	unserved int
	emit     func(decide.Outcome)
	observe  func(*route.Observation)
	rounds   func(decide.Outcome)
}

// SimOptions of a Sim. Zero fields mean the documented defaults.
type SimOptions struct {
	Seed   uint64         // of all that is left to chance; 0 is a steady world, in which nothing is
	Start  time.Time      // default 2026-01-05 00:00 UTC, a Monday
	Mode   route.Mode     // the most that may be done with any verdict; route.Act where it is empty
	Signal signal.Options // of the book
	Emit   func(decide.Outcome)
	// Observe sees every observation that the world tells, before it is counted; it keeps nothing of it.
	Observe func(*route.Observation)
	// Rounds sees what every round led to, those that changed nothing included.
	Rounds func(decide.Outcome)
}

// Totals count what became of the messages handed to a route.
type Totals struct {
	Submitted int // submits, those that were refused or not answered included
	Delivered int // messages that reach their phones
	Refused   int // submits refused by the route's fault or not answered
}

// NewSim returns a world under policy p in which all routes are healthy, nobody sends anything yet, and one source
// ("gw-1") tells every ten seconds that it reports for all routes.
func NewSim(p *policy.Policy, o SimOptions) *Sim {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	}
	s := &Sim{
		engine: Engine{Book: signal.New(o.Signal), Mode: o.Mode}, policy: p, seed: o.Seed, now: o.Start,
		next:  o.Start.Truncate(signal.Tick).Add(signal.Tick),
		flows: map[string]*flow{}, treated: map[route.Key]*Health{}, treats: 1, usual: Healthy(), probers: map[string]*prober{},
		sources: map[string]*beater{}, muted: map[string]bool{}, totals: map[route.ID]*Totals{}, emit: o.Emit, observe: o.Observe, rounds: o.Rounds,
	}
	s.engine.Use(p)
	s.keep(s.engine.Adopt(p, o.Start))
	s.source(DefaultSource, "")
	return s
}

// Engine is the engine that judges.
func (s *Sim) Engine() *Engine { return &s.engine }

// Now is the moment up to which everything has happened.
func (s *Sim) Now() time.Time { return s.now }

// Totals of a route since the beginning.
func (s *Sim) Totals(id route.ID) Totals {
	if t := s.totals[id]; t != nil {
		return *t
	}
	return Totals{}
}

// Unserved is how many messages no lane served.
func (s *Sim) Unserved() int { return s.unserved }

func (s *Sim) total(id route.ID) *Totals {
	t := s.totals[id]
	if t == nil {
		t = &Totals{}
		s.totals[id] = t
	}
	return t
}

func (t *Totals) count(out outcome) {
	t.Submitted++
	switch out {
	case outDelivered:
		t.Delivered++
	case outRefused, outTimeout:
		t.Refused++
	}
}

// Send sets what is sent of one stream from now on. Streams are told apart by source, route, class and network.
func (s *Sim) Send(st Stream) {
	if st.Source == "" {
		st.Source = DefaultSource
	}
	s.source(st.Source, st.Route)
	f := s.flows[st.id()]
	if f == nil {
		f = &flow{chance: newChance(s.seed, "stream|"+st.id()), carried: map[route.ID]*carried{}}
		s.flows[st.id()] = f
	}
	f.Stream = st
	f.began++
	s.plan(f)
	s.planCampaign(f)
}

// Treat sets how a route treats messages from now on; class and network "" are all, and a country is all of its networks.
// Where several sayings concern a message, the one with the closest network counts, and of those the one with its class.
func (s *Sim) Treat(id route.ID, c route.Class, n route.Network, h Health) {
	s.treats++
	s.treated[route.Key{Route: id, Class: c, Network: n}] = &h
}

func (s *Sim) treatment(id route.ID, c route.Class, n route.Network) *Health {
	for _, network := range [...]route.Network{n, n.Country(), route.AnyNetwork, ""} {
		for _, class := range [...]route.Class{c, ""} {
			if h := s.treated[route.Key{Route: id, Class: class, Network: network}]; h != nil {
				return h
			}
		}
	}
	return &s.usual
}

// Tell tells one observation now; a zero time becomes now.
func (s *Sim) Tell(o route.Observation) {
	if o.Time.IsZero() {
		o.Time = s.now
	}
	s.tell(&o)
}

// Mute lets the events and heartbeats of a source cease, and come again. Messages go on all the same: what is told of
// them is lost.
func (s *Sim) Mute(source string, on bool) { s.muted[source] = on }

func (s *Sim) tell(o *route.Observation) {
	if s.muted[o.Source] && o.Source != "" {
		return
	}
	if s.observe != nil {
		s.observe(o)
	}
	s.engine.Observe(o, s.now)
}

// Advance lets everything happen up to a moment, that one included, with a round at each tick.
func (s *Sim) Advance(to time.Time) {
	for {
		round := !s.next.After(to)
		if len(s.planned) > 0 {
			if at := s.planned[0].at; !at.After(to) && (!round || !at.After(s.next)) {
				s.now = at
				s.planned.pop().do()
				continue
			}
		}
		if !round {
			break
		}
		s.now = s.next
		s.next = s.next.Add(signal.Tick)
		s.keep(s.engine.Round(s.now, false))
	}
	if to.After(s.now) {
		s.now = to
	}
}

// Keep takes over what an operator's order led to.
func (s *Sim) Keep(o decide.Outcome) { s.keep(o) }

func (s *Sim) keep(o decide.Outcome) {
	s.engine.Keep(o)
	if s.rounds != nil {
		s.rounds(o)
	}
	if s.emit != nil && (len(o.Decisions) > 0 || o.Table != nil) {
		s.emit(o)
	}
}

// beater is a source that tells that it is alive.
type beater struct {
	all    bool // it reports for all routes of the policy
	routes map[route.ID]bool
}

// source makes sure that a source reports for a route, "" being all of the policy.
func (s *Sim) source(name string, id route.ID) {
	b := s.sources[name]
	if b == nil {
		b = &beater{routes: map[route.ID]bool{}}
		s.sources[name] = b
		s.at(s.now, func() { s.beat(name) })
	}
	if id == "" {
		b.all = true
		return
	}
	b.routes[id] = true
}

func (s *Sim) beat(name string) {
	o := route.Observation{Kind: route.KindHeartbeat, Time: s.now, Source: name, Routes: s.reported(s.sources[name])}
	s.tell(&o)
	s.after(beatEvery, func() { s.beat(name) })
}

// reported are the routes that a source reports for, in order.
func (s *Sim) reported(b *beater) []route.ID {
	if !b.all {
		return slices.Sorted(maps.Keys(b.routes))
	}
	ids := make([]route.ID, 0, len(s.policy.Routes))
	for i := range s.policy.Routes {
		ids = append(ids, s.policy.Routes[i].ID)
	}
	return ids
}
