package repo

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// told is a Repo whose user counts what it is told of, and loads as the controller does.
func told(f *follower, fail func() error) *atomic.Int64 {
	n := new(atomic.Int64)
	f.o.Changed = func(ctx context.Context) error {
		n.Add(1)
		if _, err := f.Load(ctx); err != nil {
			return err
		}
		return fail()
	}
	return n
}

func nothing() error { return nil }

func TestAChangeIsToldOfOnce(t *testing.T) {
	o := newOrigin(t)
	o.commit("otp.yml", goodPolicy)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(o.commit("otp.yml", otherPolicy))
	n := told(f, nothing)
	f.poll(t.Context())
	if n.Load() != 0 {
		t.Errorf("told %d times of what was read already", n.Load())
	}
	bad := o.commit("otp.yml", "version: 2\n")
	f.poll(t.Context())
	f.poll(t.Context())
	if n.Load() != 1 || f.Status().RefusedCommit != bad {
		t.Errorf("told %d times, and %+v, want the bad commit to be refused once", n.Load(), f.Status())
	}
	good := o.commit("otp.yml", goodPolicy)
	f.poll(t.Context())
	f.poll(t.Context())
	if n.Load() != 2 || f.Status().Commit != good {
		t.Errorf("told %d times, and %+v, want it told of %s once", n.Load(), f.Status(), good)
	}
}

func TestWhatWasNotPutInForceIsToldOfAgain(t *testing.T) {
	o := newOrigin(t)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(o.commit("otp.yml", goodPolicy))
	full := errors.New("the policy could not be stored")
	n := told(f, func() error { return full })
	o.commit("otp.yml", otherPolicy)
	f.poll(t.Context())
	f.poll(t.Context())
	if n.Load() != 2 {
		t.Errorf("told %d times while the disk refused, want 2", n.Load())
	}
	full = nil
	f.poll(t.Context())
	f.poll(t.Context())
	if n.Load() != 3 {
		t.Errorf("told %d times, want 3: not again once it is in force", n.Load())
	}
}

func TestAReloadThatFailedIsMadeUpFor(t *testing.T) {
	o := newOrigin(t)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(o.commit("otp.yml", goodPolicy))
	n := told(f, nothing)
	back := o.away()
	f.fails("no repository is there")
	f.poll(t.Context())
	if n.Load() != 0 || f.Status().Failures != 2 {
		t.Errorf("told %d times after %d failures, want 0 after 2", n.Load(), f.Status().Failures)
	}
	back()
	f.poll(t.Context()) // nothing is new, but the failed reload is shown to whoever looks
	f.poll(t.Context())
	if s := f.Status(); n.Load() != 1 || s.Failures != 0 || s.LastError != "" {
		t.Errorf("told %d times, and %+v, want once, and no failure", n.Load(), s)
	}
	wantWords(t, f.log.String(), `msg="policy repository answered again" attempt=3`)
}

func TestWhatARestartFoundRefusedIsToldOf(t *testing.T) {
	o := newOrigin(t)
	dir := t.TempDir()
	follow(t, o.url(), dir, nil).loads(o.commit("otp.yml", goodPolicy))
	o.commit("otp.yml", "version: 2\n")
	f := follow(t, o.url(), dir, nil)
	if _, err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := told(f, nothing)
	f.poll(t.Context())
	f.poll(t.Context())
	if n.Load() != 1 {
		t.Errorf("told %d times, want 1: the refusal belongs in the status", n.Load())
	}
}

func TestTheWaitGrowsWithFailuresUpToItsBound(t *testing.T) {
	f := follow(t, "file:///nowhere", t.TempDir(), nil)
	for _, c := range []struct {
		interval time.Duration
		failures int
		want     time.Duration
	}{
		{time.Minute, 0, time.Minute}, {time.Minute, 1, time.Minute}, {time.Minute, 2, 2 * time.Minute}, {time.Minute, 3, 4 * time.Minute},
		{time.Minute, 4, 5 * time.Minute}, {time.Minute, 1 << 40, 5 * time.Minute}, {time.Hour, 9, time.Hour}, {time.Second, 5, 16 * time.Second},
	} {
		f.o.Interval, f.status.Failures = c.interval, c.failures
		for jitter, share := range map[float64]float64{0: 0.9, 0.5: 1, 1: 1.1} {
			f.jitter = func() float64 { return jitter }
			if got, want := f.pause(), time.Duration(float64(c.want)*share); got.Round(time.Millisecond) != want.Round(time.Millisecond) {
				t.Errorf("interval %s, %d failures, jitter %v: got %s, want %s", c.interval, c.failures, jitter, got, want)
			}
		}
	}
}

func TestRunLooksAtEachIntervalUntilItIsToEnd(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(first)
	n := told(f, nothing)
	second := o.commit("otp.yml", otherPolicy)
	synctest.Test(t, func(t *testing.T) {
		f.turn = make(chan struct{}, 1) // of this bubble
		f.jitter = func() float64 { return 0.5 }
		ctx, cancel := context.WithCancel(t.Context())
		began, ended := time.Now(), make(chan error)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(defaultInterval - time.Second)
		synctest.Wait()
		if n.Load() != 0 {
			t.Errorf("told before the interval was over")
		}
		for n.Load() == 0 && time.Since(began) < time.Hour {
			time.Sleep(defaultInterval)
			synctest.Wait()
		}
		if took := time.Since(began); n.Load() != 1 || took > 3*defaultInterval {
			t.Errorf("told %d times in %s, want 1 in %s", n.Load(), took, defaultInterval)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want a clean end", err)
		}
	})
	if s := f.Status(); s.Commit != second {
		t.Errorf("got %s in force, want %s", s.Commit, second)
	}
}
