package probes

import (
	"slices"
	"sync"
	"time"

	"signalbox/rules/route"
)

// Log writes down a look as it goes: for each step a line of the transcript, and an observation where the step says
// something of the route.
type Log struct {
	network route.Network

	mu   sync.Mutex // guards look
	look Look
}

// Begin begins the log of a look at a route in a way such as smpp; network is "" where it concerns every network.
func Begin(r route.ID, n route.Network, way string, at time.Time) *Log {
	return &Log{network: n, look: Look{Transcript: route.Transcript{Route: r, Network: n, Way: way, Time: at, Steps: []route.Step{}}}}
}

// OK notes a step that went well, and took so long until now.
func (l *Log) OK(probe string, now time.Time, took time.Duration, said string) {
	l.step(route.Step{Name: probe, OK: true, Took: route.Duration(took), Said: said})
	l.observe(route.Observation{Probe: probe, OK: true, Time: now, Latency: took, Sent: now.Add(-took)})
}

// Failed notes a step that failed by the route's fault; code is the peer's own word for it, or a short one for the cause.
func (l *Log) Failed(probe string, now time.Time, took time.Duration, code, said string) {
	l.step(route.Step{Name: probe, Took: route.Duration(took), Code: code, Said: said})
	l.observe(route.Observation{Probe: probe, Time: now, Latency: took, Sent: now.Add(-took), Code: code})
}

// Note notes a step that says nothing of the route: it failed for a reason that is not the route's.
func (l *Log) Note(probe string, took time.Duration, code, said string) {
	l.step(route.Step{Name: probe, Took: route.Duration(took), Code: code, Said: said})
}

// Saw notes a step on the way of which there is no observation of its own. It may be called from other goroutines than the
// look's, as connections are made by those of a library, also after the look has ended.
func (l *Log) Saw(step string, took time.Duration, ok bool, said string) {
	l.step(route.Step{Name: step, OK: ok, Took: route.Duration(took), Said: said})
}

// Hint says what to do about what was seen. The first one stays.
func (l *Log) Hint(hint string) {
	if l.look.Transcript.Hint == "" {
		l.look.Transcript.Hint = hint
	}
}

// Pause asks not to look again for so long.
func (l *Log) Pause(d time.Duration) { l.look.Pause = max(l.look.Pause, d) }

// Stop asks not to look again until the configuration is loaded anew.
func (l *Log) Stop(why string) { l.look.Stop = why }

// Look is what has been written down. What is written after it is lost.
func (l *Log) Look() Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	look := l.look
	look.Transcript.Steps = slices.Clip(look.Transcript.Steps)
	return look
}

func (l *Log) step(s route.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := &l.look.Transcript; len(t.Steps) < route.MaxSteps {
		t.Steps = append(t.Steps, s)
	}
}

func (l *Log) observe(o route.Observation) {
	o.Kind, o.Route, o.Network = route.KindProbe, l.look.Transcript.Route, l.network
	l.look.Observations = append(l.look.Observations, o)
}
