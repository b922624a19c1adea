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

// peer is the log likelihood of the route having the trouble of the accused against its being normal, on the messages of
// the same time.
func (s *subject) peer(accused *subject) route.Peer {
	p := route.Peer{Route: s.ask.Route}
	if s.cause != "" {
		return p
	}
	state := accused.suspect()
	from := accused.startOf(max(accused.found.rung, accused.loss.rung))
	if accused.found.evidence >= accused.loss.evidence {
		from = accused.startOf(accused.found.rung)
	}
	arrival := state.Arrival
	if arrival == 0 {
		arrival = 1
	}
	submitted := 0.0
	for i := range s.tracks {
		t := &s.tracks[i]
		for rung := range t.cells {
			c := &t.cells[rung]
			if c.from < from {
				break
			}
			submitted += c.submitted
			p.Ratio += accusedRatio(c, t.normal, arrival, state.Delivered, c.due)
			if state.Conversion > 0 && t.normal.conversion > 0 {
				p.Ratio += conversionRatio(c, state.Conversion, 1)
			}
		}
	}
	p.Known = submitted > 0
	return p
}

// second asks the channels other than receipts about the window in which the receipts look worst.
func (s *subject) second(lane route.Lane) route.Second {
	if s.found.rung < 0 {
		return route.Second{}
	}
	var out route.Second
	out.ProbesOK, out.ProbesFailed = s.account.since(lane, timeOf(s.startOf(s.found.rung)))
	if !s.converts() {
		return out
	}
	out.ConversionKnown = true
	share := s.lostShare()
	for i := range s.tracks {
		t := &s.tracks[i]
		if t.normal.conversion <= 0 {
			continue
		}
		for rung := range min(s.found.rung+1, len(t.cells)) {
			out.Conversion += conversionRatio(&t.cells[rung], share, 1)
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
	}
	if a.Delivered > 0 {
		share *= a.Delivered / math.Max(s.windows[s.found.rung].status(), 1e-9)
	}
	return clamp(share, 0.10, 0.90)
}
