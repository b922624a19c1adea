package state

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func publish(t testing.TB, m *Model, n uint64) *Published {
	t.Helper()
	p := encoded(t, table(n))
	if err := m.Publish(p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWait(t *testing.T) {
	for name, tc := range map[string]struct {
		have  uint64 // what the waiter has; 1 is in force
		next  time.Duration
		gone  time.Duration
		want  uint64
		after time.Duration
	}{
		"another one is in force: at once":    {have: 0, want: 1},
		"a newer one is held: at once":        {have: 9, want: 1},
		"published meanwhile: at that moment": {have: 1, next: 7 * time.Second, want: 2, after: 7 * time.Second},
		"nothing published: at the end":       {have: 1, want: 1, after: 30 * time.Second},
		"the waiter leaves: at that moment":   {have: 1, gone: time.Second, want: 1, after: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := New()
				publish(t, m, 1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.gone > 0 {
					time.AfterFunc(tc.gone, cancel)
				}
				if tc.next > 0 {
					time.AfterFunc(tc.next, func() { publish(t, m, 2) })
				}
				start := time.Now()
				got := m.Wait(ctx, gen(tc.have), 30*time.Second)
				if got.Table.Generation != gen(tc.want) || time.Since(start) != tc.after {
					t.Errorf("got %s after %s, want 1-%d after %s", got.Table.Generation, time.Since(start), tc.want, tc.after)
				}
			})
		})
	}
}

func TestWaitForTheFirstTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		if got := m.Wait(t.Context(), gen(0), time.Second); got != nil {
			t.Errorf("not warm: got %v, want nil", got.Table)
		}
		time.AfterFunc(time.Second, func() { publish(t, m, 1) })
		if got := m.Wait(t.Context(), gen(0), time.Minute); got == nil || got != m.Table() {
			t.Errorf("got %v, want the first table", got)
		}
	})
}

func TestOnePublishWakesAllWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		publish(t, m, 1)
		var wg sync.WaitGroup
		got := make(chan *Published, 5000)
		for range cap(got) {
			wg.Go(func() { got <- m.Wait(t.Context(), gen(1), time.Minute) })
		}
		synctest.Wait()
		next := publish(t, m, 2)
		wg.Wait()
		close(got)
		for p := range got {
			if p != next {
				t.Fatalf("got %s, want 1-2", p.Table.Generation)
			}
		}
	})
}

func BenchmarkWaitAtOnce(b *testing.B) {
	m := New()
	publish(b, m, 2)
	b.ReportAllocs()
	for b.Loop() {
		m.Wait(b.Context(), gen(1), time.Minute)
	}
}
