package alert

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// NoReceiver is the error of a name that the settings do not have.
type NoReceiver struct{ Name, Text string }

// Error says what was wanted.
func (e *NoReceiver) Error() string { return e.Text }

// allPeers is the name that means every Alertmanager.
const allPeers = "alertmanager"

// Try sends a test to the receiver of the name, or to all where it is empty, and returns what each answered, in the order
// of the settings. It does not wait for what waits in the outbox. The name "alertmanager" means all its peers.
func (s *Setup) Try(ctx context.Context, name string, dial DialFunc) ([]Attempt, error) {
	now := time.Now().Round(0).UTC()
	var tries []func() Attempt
	for _, h := range s.hooks {
		if name == "" || name == h.name {
			tries = append(tries, func() Attempt { return h.try(ctx, s.settings, dial, now) })
		}
	}
	for _, p := range s.peers {
		if name == "" || name == p.name || name == allPeers {
			tries = append(tries, func() Attempt { return p.try(ctx, s.settings, dial, now) })
		}
	}
	if len(tries) == 0 {
		names := s.Receivers()
		return nil, &NoReceiver{name, fmt.Sprintf("want one of %s, got %q%s", strings.Join(names, ", "), shorten(name), didYouMean(name, names))}
	}
	out := make([]Attempt, len(tries))
	var all sync.WaitGroup
	for i, try := range tries {
		all.Go(func() { out[i] = try() })
	}
	all.Wait()
	return out, nil
}

// testEvent is what a test tells.
func testEvent(now time.Time) *Event {
	return &Event{ID: fmt.Sprintf("test-%d", now.UnixNano()), Type: Test, Time: now, About: About{Kind: KindTest}, Summary: "a test: nothing has happened"}
}

func (h *hook) try(ctx context.Context, s *Settings, dial DialFunc, now time.Time) Attempt {
	call, e := newCaller(h.post, dial), testEvent(now)
	defer call.close()
	r := h.render(s, e)
	return tried(h.name, e, call.post(ctx, h.stamped(r, e.ID, now), r.body), now)
}

// try fires an alert that resolves by itself after a minute.
func (p *peer) try(ctx context.Context, s *Settings, dial DialFunc, now time.Time) Attempt {
	call, e := newCaller(p.post, dial), testEvent(now)
	defer call.close()
	alert := postable{Labels: e.About.labels(p.labels), Annotations: map[string]string{"summary": e.Summary}, StartsAt: now, EndsAt: now.Add(time.Minute), GeneratorURL: explainURL(s, e.About)}
	return tried(p.name, e, call.post(ctx, http.Header{"Content-Type": {"application/json"}}, encoded([]postable{alert})), now)
}

func tried(name string, e *Event, a answer, now time.Time) Attempt {
	return Attempt{Time: now, Receiver: name, Event: e.ID, Type: e.Type, Number: 1, Result: a.result, Answer: a.text, Said: a.said, Took: a.took.Seconds()}
}

// Try sends a test to receivers that are in force, as Setup.Try does. One that answers well is also told, at once, of what
// waits for it.
func (a *Alerts) Try(ctx context.Context, name string) ([]Attempt, error) {
	t := a.team.Load()
	out, err := t.setup.Try(ctx, name, a.o.Dial)
	for i := range out {
		t.attempted(out[i])
		for _, w := range t.workers {
			if w.name == out[i].Receiver && out[i].Result == resultDelivered {
				w.well.Store(true)
				w.nudge()
			}
		}
	}
	return out, err
}
