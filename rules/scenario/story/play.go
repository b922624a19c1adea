package story

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

// Result is what became of one test.
type Result struct {
	Test      string           `json:"name"`
	Line      int              `json:"line"`
	Start     time.Time        `json:"start"` // the moment 0s
	Failures  []Failure        `json:"failures"`
	Decisions []route.Decision `json:"decisions"`
}

// Play plays a test of a file that is bound to the policy.
func (f *File) Play(t *Test, p *policy.Policy) Result {
	player := &player{
		file: f, test: t, policy: p, over: make([]bool, len(t.expects)),
		normal: map[route.Key]scenario.Health{}, health: map[route.Key]scenario.Health{}, patterns: map[prober]*pattern{},
	}
	player.sim = scenario.NewSim(p, scenario.SimOptions{Seed: t.Seed, Start: f.Start, Mode: t.Mode, Emit: player.emit})
	if len(t.series) > 0 {
		player.sim.Engine().Source = &forced{player.sim.Engine().Book, player}
	}
	player.play()
	r := Result{Test: t.Name, Line: t.Line, Start: f.Start, Failures: player.failures, Decisions: player.decisions}
	if r.Failures == nil {
		r.Failures = []Failure{}
	}
	if r.Decisions == nil {
		r.Decisions = []route.Decision{}
	}
	return r
}

// player plays one test.
type player struct {
	file   *File
	test   *Test
	policy *policy.Policy
	sim    *scenario.Sim

	keys     []route.Key // all that messages and probes of the test are about
	normal   map[route.Key]scenario.Health
	health   map[route.Key]scenario.Health
	patterns map[prober]*pattern // of probes whose results the story tells
	lines    int                 // how many have happened

	decisions []route.Decision
	told      int    // decisions made before the round that is judged
	over      []bool // which expectations have been judged
	failures  []Failure
}

// prober is the probes of one kind on one route.
type prober struct {
	route   route.ID
	kind    string
	network route.Network
}

// pattern is results of probes one after the other.
type pattern struct {
	began  time.Duration
	every  time.Duration
	values []sample
	again  bool
	next   int
}

func (p *player) emit(o decide.Outcome) { p.decisions = append(p.decisions, o.Decisions...) }

// play goes from round to round. What a line says is so after the round of its moment; what a series says at a moment is
// seen by the round of that moment.
func (p *player) play() {
	p.begin()
	for tick := time.Duration(0); tick <= p.test.Lasts; tick += signal.Tick {
		p.advance(tick)
		if tick > 0 {
			p.judge(tick)
		}
		p.happen(tick + signal.Tick)
		if tick == 0 {
			p.judge(0)
		}
	}
	p.close()
}

func (p *player) advance(to time.Duration) { p.sim.Advance(p.file.Start.Add(to)) }

// happen lets happen what lines and results of probes say before a moment, in order; of one moment the lines first.
func (p *player) happen(before time.Duration) {
	for {
		id, at := p.nextResult()
		if l := p.nextLine(); l != nil && l.at < before && l.at <= at {
			p.advance(l.at)
			l.does.run(l, p)
			p.lines++
			continue
		}
		if at >= before {
			return
		}
		p.advance(at)
		p.tellResult(id)
	}
}

// nextLine is the first line that has not happened yet; nil after the last.
func (p *player) nextLine() *line {
	if p.lines == len(p.test.lines) {
		return nil
	}
	return &p.test.lines[p.lines]
}

// begin finds out what is normal: what the lines at 0s say. It is known from the beginning, unless the story is cold.
func (p *player) begin() {
	p.findKeys()
	for _, k := range p.keys {
		p.normal[k] = scenario.Healthy()
		p.health[k] = p.normal[k]
	}
	for i := range p.test.lines {
		if l := &p.test.lines[i]; l.at == 0 {
			if t, ok := l.does.(*traffic); ok {
				p.treat(l.where, &t.terms)
			}
		}
	}
	maps.Copy(p.normal, p.health)
	for _, k := range p.keys {
		if h := p.normal[k]; !p.test.Cold && k.Class != "" && k.Network != "" && h.Delivered > 0 {
			p.sim.Tell(route.Observation{Kind: route.KindBaseline, Route: k.Route, Class: k.Class, Network: k.Network, Baseline: h.Baseline(usualMessages)})
		}
	}
	for i := range p.test.series {
		if s := &p.test.series[i]; s.results {
			p.patterns[prober{s.where.route, s.setter.probe, s.where.network}] = &pattern{every: p.file.Interval, values: s.values}
		}
	}
}

// findKeys collects what the messages and probes of the test are about: every route with every class and network.
func (p *player) findKeys() {
	pairs := map[route.Key]bool{{}: true}
	for i := range p.test.lines {
		l := &p.test.lines[i]
		switch x := l.does.(type) {
		case *traffic:
			if x.sends {
				pairs[route.Key{Class: l.where.class, Network: l.where.network}] = true
			}
		case *probe:
			pairs[route.Key{Network: x.network}] = true
		}
	}
	for i := range p.policy.Routes {
		for k := range pairs {
			k.Route = p.policy.Routes[i].ID
			p.keys = append(p.keys, k)
		}
	}
	slices.SortFunc(p.keys, func(a, b route.Key) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Network, b.Network))
	})
}

// treat changes how messages of a scope fare from now on.
func (p *player) treat(s scope, t *terms) {
	if t.count == 0 {
		return
	}
	for _, k := range p.keys {
		if s.covers(k) {
			p.health[k] = t.apply(p.health[k], p.normal[k], p.sim.Now())
			p.sim.Treat(k.Route, k.Class, k.Network, p.health[k])
		}
	}
}

// nextResult is the next result of a probe that the story tells, and when; open where there is none.
func (p *player) nextResult() (best prober, at time.Duration) {
	at = open
	for id, x := range p.patterns {
		if t, ok := x.due(); ok && (t < at || t == at && id.before(best)) {
			best, at = id, t
		}
	}
	return best, at
}

func (a prober) before(b prober) bool {
	return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.kind, b.kind), cmp.Compare(a.network, b.network)) < 0
}

// due is when the next result comes: just before its moment, so that the round of that moment sees it.
func (x *pattern) due() (time.Duration, bool) {
	if x.next >= len(x.values) && !x.again {
		return 0, false
	}
	at := x.began + time.Duration(x.next)*x.every
	if x.next > 0 {
		at -= time.Millisecond
	}
	return at, true
}

func (p *player) tellResult(id prober) {
	x := p.patterns[id]
	v := x.values[x.next%len(x.values)]
	if x.next++; v.kind == sampleValue {
		p.sim.Tell(route.Observation{Kind: route.KindProbe, Route: id.route, Network: id.network, Probe: id.kind, OK: v.value == 1, Latency: probeLatency})
	}
}

// probeLatency is how long the probes take whose results stories tell.
const probeLatency = 80 * time.Millisecond

// forced is a book whose signals the series of a story change before they are decided on.
type forced struct {
	*signal.Book
	player *player
}

// Judge is that of the book, but for what the series say.
func (f *forced) Judge(scope route.Scope, asks []route.Inquiry, now time.Time) []route.Signals {
	all := f.Book.Judge(scope, asks, now)
	for i := range all {
		f.player.force(&all[i])
	}
	return all
}

// Live are the routes that the book tells of, and those of the series.
func (f *forced) Live(lane route.Lane) []route.ID {
	ids := slices.Clone(f.Book.Live(lane))
	for i := range f.player.test.series {
		ids = append(ids, f.player.test.series[i].where.route)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// force makes the signals of a route what the series say.
func (p *player) force(x *route.Signals) {
	for i := range p.test.series {
		s := &p.test.series[i]
		if s.where.route != x.Route || s.where.class != "" && s.where.class != x.Lane.Class || s.where.network != "" && !x.Lane.Network.Contains(s.where.network) && !s.where.network.Contains(x.Lane.Network) {
			continue
		}
		if v := s.at(x.At.Sub(p.file.Start), p.file.Interval); v.kind == sampleStale || !s.results {
			s.setter.force(x, v)
		}
	}
}

// at is the value of the series at a moment. What is stale stays so until there is a value again.
func (s *series) at(now, interval time.Duration) sample {
	i := int(now / interval)
	if i >= len(s.values) {
		i = len(s.values) - 1
		if i < 0 || s.values[i].kind != sampleStale {
			return sample{kind: sampleNone}
		}
	}
	for i > 0 && s.values[i].kind == sampleNone {
		i--
	}
	if v := s.values[i]; v.kind == sampleStale || i == int(now/interval) {
		return v
	}
	return sample{kind: sampleNone}
}
