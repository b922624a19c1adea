package alert

import (
	"context"
	"sync"
	"time"
)

// lettersMost bounds the letters that wait for one webhook; the oldest go first.
const lettersMost = 10_000

// team is everybody who delivers by one setup.
type team struct {
	*Alerts
	setup    *Setup
	settings *Settings
	workers  []*worker
	couriers []*courier
	began    time.Time // with its monotonic reading
	wall     time.Time // the same moment by the wall clock alone

	mu     sync.Mutex // guards unable
	unable string     // what the outbox last failed at; "" while it works
}

func newTeam(a *Alerts, s *Setup) *team {
	now := time.Now()
	t := &team{Alerts: a, setup: s, settings: s.settings, began: now, wall: now.Round(0)}
	for _, h := range s.hooks {
		t.workers = append(t.workers, newWorker(h, t))
	}
	for _, p := range s.peers {
		t.couriers = append(t.couriers, newCourier(p, t))
	}
	a.metrics.begin(s.Receivers())
	return t
}

// run delivers until ctx is done, and waits for everybody.
func (t *team) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range t.workers {
		all.Go(func() { w.run(ctx) })
	}
	for _, c := range t.couriers {
		all.Go(func() { c.run(ctx) })
	}
	all.Go(func() { t.tidy(ctx) })
	all.Wait()
}

// letters addresses an event to the webhooks that want it.
func (t *team) letters(e *Event) []Letter {
	var out []Letter
	var body []byte
	for _, w := range t.workers {
		if w.wantsEvent(e.Type) {
			if body == nil {
				body = e.letter()
			}
			out = append(out, Letter{To: w.name, At: e.Time, Body: body})
		}
	}
	return out
}

// tidy discards each minute what is too old or too much, and what is addressed to nobody.
func (t *team) tidy(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		t.discard(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (t *team) discard(now time.Time) {
	var names []string
	for _, w := range t.workers {
		names = append(names, w.name)
	}
	oldest := time.Time{}
	if t.settled(now) {
		oldest = now.Add(-giveUpAfter - t.ahead(now) - time.Minute)
	}
	d, err := t.o.Outbox.Discard(names, oldest, lettersMost)
	if err != nil {
		t.trouble("outbox not tidied", "", err)
		return
	}
	t.working()
	for to, n := range d.Old {
		t.gaveUp(to, resultGivenUp, n)
	}
	for to, n := range d.Excess {
		t.gaveUp(to, resultDropped, n)
	}
	for to, n := range d.Gone {
		t.o.Logger.Warn("letters discarded", "to", to, "attempt", n, "reason", "the settings have no such webhook any more")
	}
}

// settleIn is for how long nobody is given up after a start: whoever started with a clock that is days ahead sees it.
const settleIn = 10 * time.Minute

// settled reports whether letters may be given up for their age.
func (t *team) settled(now time.Time) bool { return now.Sub(t.began) >= settleIn }

// ahead is by how much the wall clock was set ahead since the start: that makes no letter older.
func (t *team) ahead(now time.Time) time.Duration {
	return max(0, now.Round(0).Sub(t.wall)-now.Sub(t.began))
}

// gaveUp tells of events that a webhook will never be told.
func (t *team) gaveUp(to, result string, n int) {
	t.metrics.deliveries.WithLabelValues(to, result).Add(float64(n))
	why := "it did not take them for 75 hours"
	if result == resultDropped {
		why = "too many waited, or they cannot be read"
	}
	t.o.Logger.Error("alerts given up", "to", to, "attempt", n, "reason", why)
	for _, w := range t.workers {
		if w.name == to {
			w.mu.Lock()
			w.status.GivenUp += n
			w.mu.Unlock()
		}
	}
}

// attempted counts and remembers an attempt.
func (t *team) attempted(at Attempt) {
	t.metrics.deliveries.WithLabelValues(at.Receiver, at.Result).Inc()
	t.history.add(at)
}

// trouble tells of an outbox that begins to fail, once.
func (t *team) trouble(what, to string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unable != what {
		t.o.Logger.Error(what, "to", to, "err", err)
	}
	t.unable = what
}

// working takes note that the outbox works.
func (t *team) working() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unable = ""
}
