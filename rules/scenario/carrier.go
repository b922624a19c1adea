package scenario

import (
	"time"

	"signalbox/rules/route"
)

// How the simulated world goes about it.
const (
	conversionAfter = 8 * time.Second  // from the receipt to the conversion
	forgedWithin    = 1500             // milliseconds in which a forged receipt comes
	probePatience   = 60 * time.Second // after which a probe has failed
	answerPatience  = 5 * time.Second  // after which a submit has timed out
	beatEvery       = 10 * time.Second
)

// send hands one message over: by its stream's own route, else by the table in force.
func (s *Sim) send(f *flow, c *campaign) {
	f.count++
	m := message{flow: f, number: f.count, campaign: c}
	dead := c != nil && c.dead > 0 && f.happens(c.dead, &c.owed)
	if f.Route != "" {
		s.submit(m, f.Route, dead)
		return
	}
	lane := s.lane(f.Class, f.Network)
	if lane == nil {
		s.unserved++
		return
	}
	if at := lane.At(m.slot()); at >= 0 {
		s.try(m, lane, at, dead)
	}
}

func (s *Sim) lane(c route.Class, n route.Network) *route.LaneTable {
	i := s.engine.Table.Lookup(c, n)
	if i < 0 {
		return nil
	}
	return &s.engine.Table.Lanes[i]
}

// try submits by the entry at an index, and where that one refuses by its own fault, at once by the active ones after
// it; where it does not answer, after the lane's retry_after, if it has one.
func (s *Sim) try(m message, lane *route.LaneTable, at int, dead bool) {
	next := at + 1
	for next < len(lane.Routes) && lane.Routes[next].Phase != route.Active {
		next++
	}
	out := s.submit(m, lane.Routes[at].Route, dead)
	if next >= len(lane.Routes) {
		return
	}
	switch {
	case out == outRefused:
		s.try(m, lane, next, dead)
	case out == outTimeout && lane.RetryAfter > 0:
		s.after(max(answerPatience, lane.RetryAfter.D()), func() { s.try(m, lane, next, dead) })
	}
}

// submit hands a message to a route, and plans what will come back.
func (s *Sim) submit(m message, id route.ID, dead bool) outcome {
	f := m.flow
	h, c := m.campaign.treated(*s.treatment(id, f.Class, f.Network)), f.on(id)
	fates, which := h.shares(dead), 0
	if dead {
		which = 1
	}
	out := f.pick(&fates, &c.fates[which])
	o := route.Observation{Kind: route.KindSubmit, Time: s.now, Source: f.Source, Route: id, Class: f.Class, Network: f.Network, Latency: h.Latency}
	switch out {
	case outRefused:
		o.Result, o.Fault = route.Refused, route.FaultRoute
	case outThrottled:
		o.Result, o.Fault = route.Refused, route.FaultCapacity
	case outTimeout:
		o.Result, o.Latency = route.TimedOut, answerPatience
	}
	s.count(id, out)
	s.tell(&o)
	if out == outDelivered || out == outFailed || h.Forged && out == outSilent {
		s.answers(f, c, o, out, &h)
	}
	return out
}

// answers plans the receipt of a message and its conversion.
func (s *Sim) answers(f *flow, c *carried, o route.Observation, out outcome, h *Health) {
	o.Submitted, o.Latency, o.Kind = o.Time, 0, route.KindReceipt
	o.Final, o.Status = true, route.StatusDelivered
	delay := h.Delay.quantile(f.unit(&c.delay))
	back := delay
	switch {
	case h.Forged:
		back = time.Duration(300+(forgedWithin-300)*f.unit(&c.late)) * time.Millisecond
	case out == outFailed:
		o.Status = route.StatusFailed
	}
	if !h.Silenced {
		s.later(batched(o.Submitted.Add(back), h.Batch), o)
	}
	if out == outDelivered && f.happens(h.Conversion, &c.converts) {
		o.Kind, o.Final, o.Status = route.KindConversion, false, route.StatusUnknown
		s.later(o.Submitted.Add(delay+conversionAfter), o)
	}
}

// batched is when the batch goes that a receipt due at a moment goes with.
func batched(at time.Time, every time.Duration) time.Time {
	if every <= 0 {
		return at
	}
	if t := at.Truncate(every); t.Before(at) {
		return t.Add(every)
	}
	return at
}

// later plans an observation.
func (s *Sim) later(at time.Time, o route.Observation) {
	o.Time = at
	s.at(at, func() { s.tell(&o) })
}

// prober is one scheduled probe.
type prober struct {
	id      route.ID
	kind    string
	network route.Network
	every   time.Duration
	health  *Health // nil: as the route treats messages
	chance
	owed  [1]owed
	delay uint64
	began int
}

// Probe schedules a probe of a route: its results come every so often from now on, as the route treats messages to the
// network, or as the health given says. Every 0 ends it. A probe that hands a message over (receipt, handset) succeeds
// where the message arrives within a minute, and tells so when it does; any other kind succeeds where the submit is
// answered.
func (s *Sim) Probe(id route.ID, kind string, network route.Network, every time.Duration, h ...Health) {
	name := "probe|" + string(id) + "|" + kind + "|" + string(network)
	p := s.probers[name]
	if p == nil {
		p = &prober{id: id, kind: kind, network: network, chance: newChance(s.seed, name)}
		s.probers[name] = p
	}
	p.every, p.health = every, nil
	if len(h) > 0 {
		p.health = &h[0]
	}
	p.began++
	s.planProbe(p, p.every)
}

func (s *Sim) planProbe(p *prober, wait time.Duration) {
	if p.every <= 0 {
		return
	}
	began := p.began
	s.after(wait, func() {
		if p.began == began {
			s.probe(p)
			s.planProbe(p, p.every)
		}
	})
}

// probe sends a probe now and plans its result.
func (s *Sim) probe(p *prober) {
	h := p.health
	if h == nil {
		h = s.treatment(p.id, "", p.network)
	}
	fates := h.shares(false)
	out := p.pick(&fates, &p.owed[0])
	o := route.Observation{Kind: route.KindProbe, Route: p.id, Network: p.network, Probe: p.kind, Sent: s.now, Latency: h.Latency}
	switch {
	case p.kind != "receipt" && p.kind != "handset":
		o.OK = out != outRefused && out != outTimeout
	case out == outDelivered || h.Forged && p.kind == "receipt":
		o.Latency = h.Delay.quantile(p.unit(&p.delay))
		o.OK = o.Latency <= probePatience
	}
	if !o.OK && out != outRefused && out != outThrottled {
		o.Latency = probePatience
	}
	s.later(s.now.Add(o.Latency), o)
}
