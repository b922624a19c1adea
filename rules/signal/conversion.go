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
	calm     int64   // ticks, the newest, that favour normal
}

// scanConversions is the same scan on conversions: the truth about one-time passwords, which no forged receipt reaches.
func scanConversions(tracks []track) conversionFinding {
	best := conversionFinding{rung: -1}
	if !converting(tracks) {
		return best
	}
	var nats [len(conversionShares)]float64
	var history [rungs][len(conversionShares)]float64
	for rung := range longest(tracks) {
		for i := range tracks {
			if t := &tracks[i]; t.normal.conversion > 0 && rung < len(t.cells) {
				addConversions(&nats, &t.cells[rung])
			}
		}
		history[rung] = nats
		for j, v := range nats {
			if v > best.evidence && !(v >= recoveryNats && convertsAgain(history[:rung], j)) {
				best = conversionFinding{rung, v, conversionShares[j], calmConversions(history[:rung], j)}
			}
		}
	}
	return best
}

// calmConversions is how many of the newest ticks favour normal over the accused share.
func calmConversions(younger [][len(conversionShares)]float64, share int) (ticks int64) {
	best := 0.0
	for rung := range younger {
		if nats := younger[rung][share]; nats < best {
			best, ticks = nats, ladder[rung]
		}
	}
	return ticks
}

// addConversions adds a cell's evidence for each of the worse shares against the tolerated one.
func addConversions(nats *[len(conversionShares)]float64, c *cell) {
	if c.unconverted > 0 && c.convDue > 0 {
		tolerated := 1 / (1 - (1-conversionTolerance)*c.convDue)
		for j, share := range conversionShares {
			nats[j] += c.unconverted * math.Log((1-share*c.convDue)*tolerated)
		}
	}
	if c.converted > 0 {
		for j := range nats {
			nats[j] += c.converted * logConversions[j]
		}
	}
}

// logConversions are the logarithms of the tried shares over the tolerated one.
var logConversions = func() (l [len(conversionShares)]float64) {
	for i, s := range conversionShares {
		l[i] = math.Log(s / (1 - conversionTolerance))
	}
	return l
}()

func converting(tracks []track) bool {
	for i := range tracks {
		if tracks[i].normal.conversion > 0 {
			return true
		}
	}
	return false
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
	if q.Known && s.reading.conversion != "" {
		q.Known, q.Cause = false, s.reading.conversion
	}
	if !q.Known {
		return route.Conversion{Quality: q}
	}
	rung := s.shown(s.loss.rung)
	w := s.over(rung)
	if w.reach == 0 {
		return route.Conversion{Quality: route.Quality{Cause: "no conversions are reported", Age: q.Age}}
	}
	c := route.Conversion{Quality: q, Converted: w.seenConverted, Baseline: w.normalConverted / w.submitted, Messages: w.seenReach, Evidence: s.loss.evidence}
	c.Ratio, c.Low, c.High = interval(w.converted, w.reach, w.reachSq)
	c.Since = timeOf(s.startOf(rung))
	c.Recovered = s.convertsNormally()
	return c
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
