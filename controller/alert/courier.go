package alert

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// How often an Alertmanager is told of what holds, how long after the last time it believes it, and how many alerts go
// into one request.
const (
	resendEvery = time.Minute
	believedFor = 5 * time.Minute
	alertsMost  = 500
)

// courier tells one Alertmanager of everything that holds.
type courier struct {
	*peer
	team *team
	call *caller
	wake chan bool // of one element

	mu     sync.Mutex // guards status
	status Receiver
}

func newCourier(p *peer, t *team) *courier {
	return &courier{peer: p, team: t, call: newCaller(p.post, t.o.Dial), wake: make(chan bool, 1), status: Receiver{Name: p.name, Kind: "alertmanager"}}
}

func (c *courier) nudge() {
	select {
	case c.wake <- true:
	default: // it will look anyway
	}
}

// run tells until ctx is done: at once of what is new, and each minute of all.
func (c *courier) run(ctx context.Context) {
	defer c.call.close()
	failures := 0
	for {
		a := c.tell(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := resendEvery
		if failures++; a.result == resultDelivered {
			failures = 0
		} else {
			wait = max(min(5*time.Second<<min(failures-1, 4), resendEvery), min(a.after, resendEvery))
		}
		c.note(a, failures)
		if !c.rest(ctx, wait, failures > 0) {
			return
		}
	}
}

// rest waits; what is new ends it, unless the last attempt failed. It is false where ctx is done.
func (c *courier) rest(ctx context.Context, wait time.Duration, failed bool) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	wake := c.wake
	if failed {
		wake = nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// tell posts everything that holds, and what lately held; the first request that fails ends it.
func (c *courier) tell(ctx context.Context) (a answer) {
	all := c.alerts(time.Now().UTC())
	for len(all) > 0 {
		n := min(len(all), alertsMost)
		if a = c.call.post(ctx, http.Header{"Content-Type": {"application/json"}}, encoded(all[:n])); a.result != resultDelivered {
			a.result = resultFailed // also 410: one day it may be there again
			return a
		}
		all = all[n:]
	}
	return a
}

// postable is an alert as Alertmanager's POST /api/v2/alerts takes it.
type postable struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// alerts are all that hold, and those that ended in the last minutes.
func (c *courier) alerts(now time.Time) []postable {
	firing, resolved := c.team.watch.now()
	out := make([]postable, 0, len(firing)+len(resolved))
	for i := range firing {
		out = append(out, c.postable(&firing[i], now.Add(believedFor)))
	}
	for i := range resolved {
		out = append(out, c.postable(&resolved[i].Condition, resolved[i].at))
	}
	return out
}

func (c *courier) postable(x *Condition, ends time.Time) postable {
	p := postable{Labels: x.About.labels(c.labels), Annotations: map[string]string{"summary": x.Summary}, StartsAt: x.Since, EndsAt: ends, GeneratorURL: explainURL(c.team.settings, x.About)}
	if x.Text != "" {
		p.Annotations["description"] = clip(x.Text, 4000)
	}
	if x.Decision != "" {
		p.Annotations["decision"] = x.Decision
	}
	if !p.StartsAt.Before(ends) {
		p.StartsAt = ends // the clock was set back
	}
	return p
}

// note counts the attempt, and tells of what differs from the one before.
func (c *courier) note(a answer, failures int) {
	at := Attempt{Time: time.Now().UTC(), Receiver: c.name, Number: max(failures, 1), Result: a.result, Answer: a.text, Took: a.took.Seconds()}
	c.mu.Lock()
	first, failed := c.status.LastTry.IsZero(), c.status.Failures > 0
	c.status.LastTry, c.status.LastAnswer, c.status.Failures = at.Time, a.text, failures
	c.mu.Unlock()
	if !first && failed == (failures > 0) {
		c.team.metrics.deliveries.WithLabelValues(c.name, a.result).Inc()
		return
	}
	c.team.attempted(at)
	switch {
	case failures > 0:
		c.team.o.Logger.Warn("alertmanager not told", "to", c.name, "err", a.text)
	case failed:
		c.team.o.Logger.Info("alertmanager told again", "to", c.name)
	}
}

// now is how the peer stands.
func (c *courier) now() Receiver {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}
