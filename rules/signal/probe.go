package signal

import (
	"cmp"
	"slices"
	"time"

	"signalbox/rules/route"
)

// probesKept is how many results of one kind of probe are remembered for each network.
const probesKept = 10

// maxProbeLogs bounds the kinds and networks of probes remembered for one route.
const maxProbeLogs = 4096

type probeKey struct {
	kind    string
	network route.Network // "" or "*" where the probe concerns every network
}

// probePlaces are the results of one kind of probe by the places that look, in the order of their names.
type probePlaces []probePlace

type probePlace struct {
	source string
	log    *probeLog
}

// probeLog is the last results of one kind of probe.
type probeLog struct {
	last     [probesKept]probed // newest first
	kept     int
	failures int64
	success  int64
}

type probed struct {
	at, sent time.Time
	ok       bool
	latency  time.Duration
}

func (a *account) probe(o *route.Observation, now time.Time) {
	id := probeKey{o.Probe, o.Network}
	places := a.probes[id]
	at, there := slices.BinarySearchFunc(places, o.Source, func(p probePlace, source string) int { return cmp.Compare(p.source, source) })
	if !there {
		if a.probeLogs >= maxProbeLogs {
			return
		}
		if a.probes == nil {
			a.probes = map[probeKey]probePlaces{}
		}
		places = slices.Insert(places, at, probePlace{o.Source, &probeLog{}})
		a.probes[id] = places
		a.probeLogs++
	}
	places[at].log.note(o, now)
}

// forgetProbes drops results that are too old to be expected again.
func (a *account) forgetProbes(now time.Time) {
	for id, places := range a.probes {
		kept := slices.DeleteFunc(places, func(p probePlace) bool { return now.Sub(p.log.last[0].at) > probesAfter })
		a.probeLogs -= len(places) - len(kept)
		if a.probes[id] = kept; len(kept) == 0 {
			delete(a.probes, id)
		}
	}
}

func (l *probeLog) note(o *route.Observation, now time.Time) {
	sent := o.Sent
	if sent.IsZero() {
		sent = o.Time.Add(-o.Latency)
	}
	if l.kept > 0 && !o.Time.After(l.last[0].at) {
		if l.last[0].at.Sub(now) <= skewAllowed {
			return // told twice, or out of order: results in a row must be in a row
		}
		*l = probeLog{} // the last one came from a clock that was ahead
	}
	copy(l.last[1:], l.last[:])
	l.last[0] = probed{o.Time, sent, o.OK, o.Latency}
	l.kept = min(l.kept+1, probesKept)
	if o.OK {
		l.success, l.failures = l.success+1, 0
	} else {
		l.failures, l.success = l.failures+1, 0
	}
}

// How long the last result of a probe tells something.
const (
	probeOnce   = 10 * time.Minute // of a single one
	probeLeast  = 2 * time.Minute  // of several
	probeMissed = 3                // and for so many of the longest pauses between those remembered
)

// fresh is how long the last result tells something: until some more should have come.
func (l *probeLog) fresh() time.Duration {
	if l.kept < 2 {
		return probeOnce
	}
	longest := time.Duration(0)
	for i := 1; i < l.kept; i++ {
		longest = max(longest, l.last[i-1].at.Sub(l.last[i].at))
	}
	return max(probeLeast, probeMissed*longest)
}

// signal is what the log says at a moment.
func (l *probeLog) signal(now time.Time) route.Probe {
	age := max(0, now.Sub(l.last[0].at))
	if age > l.fresh() {
		return route.Probe{Quality: route.Quality{Cause: "no result for " + route.Duration(age.Truncate(time.Second)).String(), Age: route.Duration(age)}}
	}
	p := route.Probe{Quality: route.Quality{Known: true, Age: route.Duration(age)}, Failures: l.failures, Successes: l.success}
	var took [probesKept]time.Duration
	n := 0
	for _, r := range l.last[:l.kept] {
		if r.ok {
			took[n] = r.latency
			n++
		}
	}
	p.OK = float64(n) / float64(l.kept)
	if n > 0 {
		slices.Sort(took[:n])
		p.P95 = route.Duration(took[(n*95+99)/100-1])
	}
	return p
}

// concerns reports whether a probe of a network tells something of a lane.
func (k probeKey) concerns(l route.Lane) bool {
	return k.network == "" || k.network == route.AnyNetwork || l.Network.Contains(k.network)
}

// probeSignals are the probes that concern a lane, by kind. Where several places look, most of them must agree; where several
// networks of the lane are probed, the one with the most failures in a row speaks.
func (a *account) probeSignals(lane route.Lane, now time.Time) map[string]route.Probe {
	var out map[string]route.Probe
	for id, places := range a.probes {
		if !id.concerns(lane) {
			continue
		}
		p := places.signal(now)
		if old, there := out[id.kind]; there && !worse(p, old) {
			continue
		}
		if out == nil {
			out = map[string]route.Probe{}
		}
		out[id.kind] = p
	}
	return out
}

// signal is what the places say together.
func (places probePlaces) signal(now time.Time) route.Probe {
	if len(places) == 1 {
		return places[0].log.signal(now)
	}
	told := make([]route.Probe, len(places))
	for i := range places {
		told[i] = places[i].log.signal(now)
	}
	return quorum(told)
}

// quorum is what most of some places say, of which there are several: each number is the worst that more than half of
// those with news bear out, so that one place which lies, or is cut off, neither condemns a route nor clears it. Of two,
// both must agree.
func quorum(places []route.Probe) route.Probe {
	known := slices.DeleteFunc(slices.Clone(places), func(p route.Probe) bool { return !p.Known })
	if len(known) == 0 {
		return slices.MinFunc(places, func(p, q route.Probe) int { return cmp.Compare(p.Age, q.Age) })
	}
	q := len(known)/2 + 1
	least := func(value func(*route.Probe) float64) float64 { // that q places reach
		values := make([]float64, len(known))
		for i := range known {
			values[i] = value(&known[i])
		}
		slices.Sort(values)
		return values[len(values)-q]
	}
	p := route.Probe{Quality: known[0].Quality}
	for i := range known {
		p.Age = min(p.Age, known[i].Age)
	}
	p.Failures = int64(least(func(p *route.Probe) float64 { return float64(p.Failures) }))
	p.Successes = int64(least(func(p *route.Probe) float64 { return float64(p.Successes) }))
	p.OK = 1 - least(func(p *route.Probe) float64 { return 1 - p.OK })
	p.P95 = route.Duration(least(func(p *route.Probe) float64 { return float64(p.P95) }))
	p.Places = int64(len(known))
	return p
}

// worse orders probes of one kind so that which one speaks does not depend on the order of a map.
func worse(p, q route.Probe) bool {
	if p.Known != q.Known {
		return p.Known
	}
	if p.Failures != q.Failures {
		return p.Failures > q.Failures
	}
	if p.Successes != q.Successes {
		return p.Successes < q.Successes
	}
	if p.OK != q.OK {
		return p.OK < q.OK
	}
	if p.Age != q.Age {
		return p.Age < q.Age
	}
	return p.P95 > q.P95
}

// handset is the kind of probe whose message is seen by a person's phone, and not only by its receipt: the one that can
// bear out or contradict what receipts say.
const handset = "handset"

// since counts the handset probes of a lane that were sent from a moment on. Where several places look, the one speaks that
// stands in the middle between those whose messages arrive and those whose messages do not.
func (a *account) since(lane route.Lane, from time.Time) (ok, failed int64) {
	type counts struct{ ok, failed int64 }
	bySource := map[string]counts{}
	for id, places := range a.probes {
		if id.kind != handset || !id.concerns(lane) {
			continue
		}
		for _, p := range places {
			c := bySource[p.source]
			for _, r := range p.log.last[:p.log.kept] {
				switch {
				case r.sent.Before(from):
				case r.ok:
					c.ok++
				default:
					c.failed++
				}
			}
			bySource[p.source] = c
		}
	}
	var told []counts
	for _, c := range bySource {
		if c.ok+c.failed > 0 {
			told = append(told, c)
		}
	}
	if len(told) == 0 {
		return 0, 0
	}
	slices.SortFunc(told, func(a, b counts) int {
		return cmp.Or(cmp.Compare(a.failed-a.ok, b.failed-b.ok), cmp.Compare(a.ok, b.ok))
	})
	middle := told[(len(told)-1)/2]
	return middle.ok, middle.failed
}
