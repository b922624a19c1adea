package signal

import (
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
	network route.Network // "" where the probe concerns every network
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
	if a.probes == nil {
		a.probes = map[probeKey]*probeLog{}
	}
	l := a.probes[id]
	if l == nil {
		if len(a.probes) >= maxProbeLogs {
			return
		}
		l = &probeLog{}
		a.probes[id] = l
	}
	l.note(o, now)
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
	return k.network == "" || l.Network.Contains(k.network)
}

// probeSignals are the probes that concern a lane, by kind. Where several networks of the lane are probed, the one with
// the most failures in a row speaks.
func (a *account) probeSignals(lane route.Lane, now time.Time) map[string]route.Probe {
	var out map[string]route.Probe
	for id, l := range a.probes {
		if !id.concerns(lane) {
			continue
		}
		p := l.signal(now)
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

// since counts the handset probes of a lane that were sent from a moment on.
func (a *account) since(lane route.Lane, from time.Time) (ok, failed int64) {
	for id, l := range a.probes {
		if id.kind != handset || !id.concerns(lane) {
			continue
		}
		for _, r := range l.last[:l.kept] {
			switch {
			case r.sent.Before(from):
			case r.ok:
				ok++
			default:
				failed++
			}
		}
	}
	return ok, failed
}
