package probes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"signalbox/rules/route"
)

// outboxMost is how many observations wait for the sink at most; the oldest go first.
const outboxMost = 50_000

// outbox is what waits for the sink.
type outbox struct {
	wake chan struct{}

	mu      sync.Mutex // guards the rest
	waiting []route.Observation
	dropped int // since it was last asked
}

func (b *outbox) put(batch []route.Observation) {
	if len(batch) == 0 {
		return
	}
	b.mu.Lock()
	b.waiting = append(b.waiting, batch...)
	if over := len(b.waiting) - outboxMost; over > 0 {
		b.waiting, b.dropped = append(b.waiting[:0:0], b.waiting[over:]...), b.dropped+over
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the outbox.
func (b *outbox) take() (batch []route.Observation, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch, dropped = b.waiting, b.dropped
	b.waiting, b.dropped = nil, 0
	return batch, dropped
}

// back puts a batch before all that has come since.
func (b *outbox) back(batch []route.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(batch, b.waiting...)
}

// resend is how long to wait after the sink refused a batch.
const resend = time.Second

// send hands to the sink what comes, until ctx is done.
func (s *Schedule) send(ctx context.Context) {
	for {
		select {
		case <-s.out.wake:
		case <-ctx.Done():
			return
		}
		batch, dropped := s.out.take()
		if dropped > 0 {
			s.o.Metrics.drop(dropped)
			s.o.Logger.Warn("observations of probes dropped", "reason", fmt.Sprintf("nobody took the oldest %d for too long", dropped))
		}
		if len(batch) == 0 {
			continue
		}
		if err := s.o.Sink(ctx, append([]route.Observation(nil), batch...)); err != nil {
			s.out.back(batch)
			s.o.Logger.Debug("observations of probes not taken", "err", err)
			timer := time.NewTimer(resend)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			select {
			case s.out.wake <- struct{}{}:
			default:
			}
		}
	}
}

// flush hands over what is left, once, after ctx is done: a schedule that another one replaces must not take along what it
// saw.
func (s *Schedule) flush(ctx context.Context) {
	batch, dropped := s.out.take()
	if len(batch) > 0 {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		defer cancel()
		if err := s.o.Sink(within, batch); err != nil {
			dropped += len(batch)
			s.o.Logger.Debug("observations of probes not taken", "err", err)
		}
	}
	if dropped > 0 {
		s.o.Metrics.drop(dropped)
		s.o.Logger.Warn("observations of probes dropped", "reason", fmt.Sprintf("nobody took %d before the end", dropped))
	}
}
