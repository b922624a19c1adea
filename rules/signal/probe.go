package signal

import (
	"sort"
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

func (a *account) probe(o *route.Observation) {
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
	l.note(o)
}

func (l *probeLog) note(o *route.Observation) {
	sent := o.Sent
	if sent.IsZero() {
		sent = o.Time.Add(-o.Latency)
	}
	if l.kept > 0 && !o.Time.After(l.last[0].at) {
		return // told twice, or out of order: results in a row must be in a row
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

// signal is what the log says at a moment.
func (l *probeLog) signal(now time.Time) route.Probe {
	p := route.Probe{Quality: route.Quality{Known: true, Age: route.Duration(max(0, now.Sub(l.last[0].at)))}, Failures: l.failures, Successes: l.success}
	var took []time.Duration
	for _, r := range l.last[:l.kept] {
		if r.ok {
			took = append(took, r.latency)
		}
	}
	p.OK = float64(len(took)) / float64(l.kept)
	if len(took) > 0 {
		sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
		p.P95 = route.Duration(took[(len(took)*95+99)/100-1])
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
