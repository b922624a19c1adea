package sender

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff paces what fails: a tenth of a second, then twice as long each time, up to most.
type backoff struct {
	most time.Duration
	now  time.Duration
}

const firstBackoff = 100 * time.Millisecond

// next is how long to wait now; at least what the server asked for, as far as most allows.
func (b *backoff) next(asked time.Duration) time.Duration {
	b.now = min(max(2*b.now, firstBackoff), b.most)
	return min(max(b.now, asked), b.most)
}

func (b *backoff) reset() { b.now = 0 }

// jittered is d, give or take a fifth.
func jittered(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1)
}

// rest waits for about d, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(jittered(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
