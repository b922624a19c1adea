package signal

import (
	"math"

	"signalbox/rules/route"
)

// peersOf asks the lane's other routes about the window in which the i-th looks worst: all of them where it is suspect, and
// some of them where chance alone may have made it look so, as it does to many routes at any time.
func peersOf(i int, subjects []*subject) []route.Peer {
	s, step := subjects[i], 1
	if s.found.evidence < suspectNats && s.loss.evidence < suspectNats && s.late.evidence < suspectNats {
		step = strideOf(len(subjects))
	}
	peers := make([]route.Peer, 0, len(subjects)/step)
	q := s.charge()
	for j := i % step; j < len(subjects); j += step {
		if j != i {
			peers = append(peers, subjects[j].peer(&q))
		}
	}
	return peers
}

// charge is what a lane's other routes are asked about the one that is accused. It is made once for all of them.
type charge struct {
	state    route.Accused
	trouble  accusation
	from     int64 // first tick of the window that accuses it, of receipts and of conversions
	fromLoss int64
	fromLate int64 // the same of receipts that are late, and their horizon
	horizon  int
}

func (s *subject) charge() charge {
	state := s.suspect()
	c := charge{state: state, trouble: accuse(state), from: s.startOf(max(0, s.found.rung)), fromLoss: s.startOf(max(0, s.loss.rung))} // a window of -1 is not asked about
	if state.Latency > 0 {
		c.fromLate, c.horizon = s.spans[s.late.rung].from, s.late.horizon
	}
	return c
}

// peer asks the route about the trouble of the accused, on the messages of the same time.
func (s *subject) peer(q *charge) route.Peer {
	p := route.Peer{Route: s.ask.Route}
	if s.cause != "" {
		return p
	}
	if q.state.Arrival > 0 || q.state.Delivered > 0 {
		s.each(q.from, func(c *cell, n *normal) {
			p.Known = p.Known || c.submitted > 0
			p.Delivery += q.trouble.against(c, n, c.due)
		})
	}
	if q.state.Latency > 0 {
		s.each(q.fromLate, func(c *cell, _ *normal) { p.Known = p.Known || c.submitted > 0 })
		p.Latency = s.lateAgainst(q.fromLate, q.horizon, q.state.Latency)
	}
	if q.state.Conversion > 0 && s.reading.conversion == "" {
		s.each(q.fromLoss, func(c *cell, n *normal) {
			p.Known = p.Known || c.submitted > 0
			if n.conversion > 0 {
				p.Conversion += conversionRatio(c, q.state.Conversion, 1)
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
	out.Path = s.path()
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
