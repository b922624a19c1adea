package signal

import (
	"math"

	"signalbox/rules/route"
)

// The score sums a route up for people: 0 to 100, the weighted mean of its parts. Each part says how near to normal one
// signal is: 100 at normal or better, 0 where half of normal or less is left, in a straight line between. Latency is 100
// up to half again its usual 95th percentile, and falls in proportion beyond. Parts without evidence are left out, and
// their weight is missing from the weight that is shown; below scoreFloor there is no score.

// scoreFloor is the least weight that the known parts must have together: what delivery alone has.
const scoreFloor = 0.35

// scoreMessages is how many messages a part must rest on.
const scoreMessages = 10

// The parts of a score.
const (
	partDelivery = iota
	partConversion
	partWithin
	partLatency
	partSubmit
	partProbe
)

var scoreParts = [...]route.ScorePart{
	partDelivery:   {Name: "delivery", Weight: 0.35},
	partConversion: {Name: "conversion", Weight: 0.20},
	partWithin:     {Name: "within", Weight: 0.15},
	partLatency:    {Name: "latency", Weight: 0.10},
	partSubmit:     {Name: "submit", Weight: 0.10},
	partProbe:      {Name: "probe", Weight: 0.10},
}

// score sums up what is known of the route.
func score(into *route.Score, s *route.Signals) {
	sum := 0.0
	part := func(i int, known bool, share float64) {
		if !known {
			return
		}
		if into.Parts == nil {
			into.Parts = make([]route.ScorePart, 0, len(scoreParts))
		}
		p := scoreParts[i]
		p.Value = math.Round(100 * share)
		into.Parts = append(into.Parts, p)
		into.Weight += p.Weight
		sum += p.Weight * share * 100
	}
	d, c, w, l, u := &s.Delivery, &s.Conversion, &s.Within, &s.Latency, &s.Submit
	part(partDelivery, d.Known && d.Messages >= scoreMessages, nearNormal(d.Ratio, d.Baseline))
	part(partConversion, c.Known && c.Messages >= scoreMessages, nearNormal(c.Ratio, c.Baseline))
	part(partWithin, w.Known && w.Messages >= scoreMessages, nearNormal(w.Ratio, w.Baseline))
	part(partLatency, l.Known && l.P95 > 0, math.Min(1, lateTolerance*l.BaselineP95.D().Seconds()/math.Max(l.P95.D().Seconds(), 1e-9)))
	part(partSubmit, u.Known && u.Messages >= scoreMessages, nearNormal(1-u.Refused-u.Timeouts, 1))
	ok, probed := probesOK(s.Probes)
	part(partProbe, probed, nearNormal(ok, 1))
	into.Weight, into.Age = math.Round(1000*into.Weight)/1000, d.Age
	if into.Known = into.Weight >= scoreFloor; !into.Known {
		into.Cause = scoreCause(s)
		return
	}
	into.Value = math.Round(10*sum/into.Weight) / 10
}

// scoreCause says why too little is known for a score.
func scoreCause(s *route.Signals) string {
	if s.Delivery.Known {
		return "too few messages"
	}
	return s.Delivery.Cause
}

// nearNormal is how near to normal a share is, 0..1.
func nearNormal(share, normal float64) float64 {
	return clamp(1-2*(1-share/math.Max(normal, 1e-9)), 0, 1)
}

// probesOK is the mean share of the known probes that succeeded.
func probesOK(probes map[string]route.Probe) (mean float64, known bool) {
	n, sum := 0.0, 0.0 // of whole numbers, so that the order of the map does not show
	for _, p := range probes {
		if p.Known {
			sum += math.Round(p.OK * 1e6)
			n++
		}
	}
	return sum / 1e6 / math.Max(n, 1), n > 0
}
