package signal

import (
	"math"

	"signalbox/rules/route"
)

// conversionFinding is what the scan of conversions found.
type conversionFinding struct {
	rung     int // -1 where no window speaks against the route
	evidence float64
	share    float64 // of the usual conversions
}

// scanConversions is the same scan on conversions: the truth about one-time passwords, which no forged receipt reaches.
func scanConversions(tracks []track) conversionFinding {
	best := conversionFinding{rung: -1}
	var nats [len(conversionShares)]float64
	var history [128][len(conversionShares)]float64
	for rung := range longest(tracks) {
		for i := range tracks {
			t := &tracks[i]
			if t.normal.conversion <= 0 || rung >= len(t.cells) {
				continue
			}
			for j, share := range conversionShares {
				nats[j] += conversionRatio(&t.cells[rung], share, 1-conversionTolerance)
			}
		}
		history[rung] = nats
		for j, v := range nats {
			if v > best.evidence && !(v >= recoveryNats && convertsAgain(history[:rung], j)) {
				best = conversionFinding{rung, v, conversionShares[j]}
			}
		}
	}
	return best
}

// convertsAgain reports whether a younger window favours normal over the accused share.
func convertsAgain(younger [][len(conversionShares)]float64, share int) bool {
	for rung := range younger {
		if younger[rung][share] <= -recoveryNats {
			return true
		}
	}
	return false
}

// conversion is the signal of conversions.
func (s *subject) conversion(q route.Quality) route.Conversion {
	c := route.Conversion{Quality: q}
	if !q.Known {
		return c
	}
	rung := s.shown(s.loss.rung)
	reach := s.total(rung, func(c *cell, _ *normal) float64 { return c.reach })
	if !s.converts() || reach == 0 {
		c.Quality = route.Quality{Cause: "no conversions are reported", Age: q.Age}
		return c
	}
	submitted := s.total(rung, func(c *cell, _ *normal) float64 { return c.submitted })
	c.Converted = s.total(rung, func(c *cell, _ *normal) float64 { return c.converted })
	c.Baseline = s.total(rung, func(c *cell, n *normal) float64 { return c.submitted * n.conversion }) / submitted
	c.Ratio, c.Low, c.High = interval(c.Converted, reach, s.total(rung, func(c *cell, _ *normal) float64 { return c.reachSq }))
	c.Messages, c.Evidence = reach, s.loss.evidence
	c.Since = timeOf(s.startOf(rung))
	c.Recovered = s.convertsNormally()
	return c
}

func (s *subject) converts() bool {
	for i := range s.tracks {
		if s.tracks[i].normal.conversion > 0 {
			return true
		}
	}
	return false
}

// convertsNormally is the evidence for normal conversions against the share at demotion.
func (s *subject) convertsNormally() float64 {
	share := s.ask.Accused.Conversion
	if share == 0 || s.disturbed() {
		return 0
	}
	best, nats, converted := 0.0, 0.0, 0.0
	for rung := range longest(s.tracks) {
		for i := range s.tracks {
			if t := &s.tracks[i]; rung < len(t.cells) && t.normal.conversion > 0 {
				nats -= conversionRatio(&t.cells[rung], share, 1)
				converted += t.cells[rung].converted
			}
		}
		if converted >= floorReceipts {
			best = math.Max(best, nats)
		}
	}
	return best
}
