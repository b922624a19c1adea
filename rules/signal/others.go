package signal

import (
	"math"

	"signalbox/rules/route"
)

// peersOf asks the lane's other routes about the window in which s looks worst.
func peersOf(s *subject, subjects []*subject) []route.Peer {
	peers := make([]route.Peer, 0, len(subjects)-1)
	for _, other := range subjects {
		if other != s {
			peers = append(peers, other.peer(s))
		}
	}
	return peers
}

// peer asks the route about the trouble of the accused, on the messages of the same time.
func (s *subject) peer(accused *subject) route.Peer {
	p := route.Peer{Route: s.ask.Route}
	if s.cause != "" {
		return p
	}
	state := accused.suspect()
	if state.Arrival > 0 || state.Delivered > 0 {
		trouble := accuse(state)
		s.each(accused.startOf(accused.found.rung), func(c *cell, n *normal) {
			p.Known = p.Known || c.submitted > 0
			p.Delivery += trouble.against(c, n, c.due)
		})
	}
	if state.Latency > 0 {
		from := accused.spans[accused.late.rung].from
		s.each(from, func(c *cell, _ *normal) { p.Known = p.Known || c.submitted > 0 })
		p.Latency = s.lateAgainst(from, accused.late.horizon, state.Latency)
	}
	if state.Conversion > 0 && s.reading.conversion == "" {
		s.each(accused.startOf(accused.loss.rung), func(c *cell, n *normal) {
			p.Known = p.Known || c.submitted > 0
			if n.conversion > 0 {
				p.Conversion += conversionRatio(c, state.Conversion, 1)
			}
		})
	}
	return p
}

// each calls do with the cells of all tracks that lie wholly after a tick.
func (s *subject) each(from int64, do func(*cell, *normal)) {
	for i := range s.tracks {
		t := &s.tracks[i]
		for rung := range t.cells {
			if t.cells[rung].from < from {
				break
			}
			do(&t.cells[rung], t.normal)
		}
	}
}

// second asks the channels other than receipts about the window in which the receipts look worst.
func (s *subject) second(lane route.Lane) route.Second {
	rung := s.found.rung
	if rung < 0 {
		rung = s.late.rung
	}
	if rung < 0 {
		return route.Second{}
	}
	var out route.Second
	out.ProbesOK, out.ProbesFailed = s.account.since(lane, timeOf(s.startOf(rung)))
	if !converting(s.tracks) || s.reading.conversion != "" {
		return out
	}
	out.ConversionKnown = true
	share := s.lostShare()
	for i := range s.tracks {
		t := &s.tracks[i]
		if t.normal.conversion <= 0 {
			continue
		}
		for i := range min(rung+1, len(t.cells)) {
			out.Conversion += conversionRatio(&t.cells[i], share, 1)
		}
	}
	return out
}

// lostShare is the share of the usual deliveries that the receipts of the worst window claim.
func (s *subject) lostShare() float64 {
	a := s.suspect()
	share := 1.0
	if a.Arrival > 0 {
		share *= a.Arrival
	} else if s.found.rung < 0 && a.Latency > 0 {
		share *= a.Latency
	}
	if a.Delivered > 0 {
		share *= a.Delivered / math.Max(s.windows[s.found.rung].status(), 1e-9)
	}
	return clamp(share, 0.10, 0.90)
}
