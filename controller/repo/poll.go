package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Run looks at the remote every interval and tells of changes, until ctx is done. After failures it waits longer.
func (r *Repo) Run(ctx context.Context) error {
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			r.poll(ctx)
			timer.Reset(r.pause())
		}
	}
}

// pause is the time to the next look: the interval, doubled with each failure, give or take a tenth. A change that is
// owed is due soon.
func (r *Repo) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.o.Interval
	for range r.status.Failures - 1 {
		if wait = min(2*wait, max(r.o.Interval, maxBackOff)); wait >= maxBackOff {
			break
		}
	}
	return time.Duration(float64(wait) * (0.9 + 0.2*r.jitter()))
}

// poll looks once, and tells of a change.
func (r *Repo) poll(ctx context.Context) {
	due, err := r.due(ctx)
	if err != nil || !due {
		return // look has told of the error
	}
	if err := r.o.Changed(ctx); err != nil && ctx.Err() == nil {
		r.mu.Lock()
		r.owed = r.owed || r.good // good, and yet not put in force: by the disk, perhaps
		r.mu.Unlock()
	}
}

// due reports whether the remote stands elsewhere than what was last read.
func (r *Repo) due(ctx context.Context) (bool, error) {
	if err := r.take(ctx); err != nil {
		return false, err
	}
	defer r.release()
	t, err := r.look(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owed || r.tried != t.hash, nil
}

// look asks the remote what the ref stands at.
func (r *Repo) look(ctx context.Context) (tip, error) {
	began, within := time.Now(), r.o.Timeout
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	t, err := r.remote.tip(ctx, within)
	if err != nil {
		return tip{}, r.failed(ctx, err, began, within)
	}
	now := time.Now()
	r.metrics.looked(now)
	r.kept.confirm(t.hash, now)
	r.mu.Lock()
	failures := r.status.Failures
	r.status.confirmed(now)
	r.mu.Unlock()
	if failures > 0 {
		r.log.Info("policy repository answered again", "attempt", failures+1)
	}
	return t, nil
}

// fetch gets the commit that the ref stands at into a folder of its own.
func (r *Repo) fetch(ctx context.Context, t tip) (*copied, error) {
	began, within := time.Now(), fetchTimes*r.o.Timeout
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c, err := r.kept.begin(t)
	if err != nil {
		return nil, err
	}
	if c.Commit, c.Tip, err = r.remote.fetch(ctx, within, t, r.kept.bounded(c)); err != nil {
		r.kept.discard(c)
		return nil, r.failed(ctx, err, began, within)
	}
	c.FetchedAt = time.Now().Round(0).UTC()
	c.CheckedAt = c.FetchedAt
	r.metrics.duration.Observe(time.Since(began).Seconds())
	r.log.Info("policy fetched", "policy", revision(c.Commit), "took", time.Since(began))
	return c, nil
}

// failed counts and tells of a look or a fetch that failed, and returns its error with what was attempted.
func (r *Repo) failed(ctx context.Context, err error, began time.Time, within time.Duration) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // the end of the run is no failure of the remote
	}
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer in %s", within)
	}
	err = fmt.Errorf("fetch policy from %s: %w", r.remote.url, err)
	now := time.Now()
	r.metrics.errors.Inc()
	r.mu.Lock()
	r.status.failed(err, now)
	attempt := r.status.Failures
	r.mu.Unlock()
	r.log.Warn("policy fetch failed", "attempt", attempt, "took", now.Sub(began), "err", err)
	return err
}
