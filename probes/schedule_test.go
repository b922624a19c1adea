package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"signalbox/rules/route"
)

// played is a prober that plays a script: what the n-th look, from 0 on, is like.
type played struct {
	look   func(ctx context.Context, n int) (Look, error)
	closed bool

	mu sync.Mutex // guards at
	at []time.Time
}

func (p *played) Probe(ctx context.Context) (Look, error) {
	p.mu.Lock()
	n := len(p.at)
	p.at = append(p.at, time.Now())
	p.mu.Unlock()
	return p.look(ctx, n)
}

func (p *played) Close(context.Context) error { p.closed = true; return nil }

func (p *played) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.at...)
}

// result is a look with one observation.
func result(ok bool) Look {
	l := Begin("acme", "", "smpp", time.Now())
	if ok {
		l.OK("bind", time.Now(), time.Millisecond, "bound")
	} else {
		l.Failed("bind", time.Now(), time.Millisecond, "refused", "nobody listens")
	}
	return l.Look()
}

func always(ok bool) func(context.Context, int) (Look, error) {
	return func(context.Context, int) (Look, error) { return result(ok), nil }
}

// collected is a sink.
type collected struct {
	mu   sync.Mutex // guards got and err
	got  []route.Observation
	err  error
	errs int
}

func (c *collected) take(_ context.Context, batch []route.Observation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		c.errs++
		return c.err
	}
	c.got = append(c.got, batch...)
	return nil
}

func (c *collected) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *collected) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

func task10s(p Prober) Task {
	return Task{Route: "acme", Way: "smpp", Every: 10 * time.Second, Timeout: 5 * time.Second, Recheck: 2 * time.Second, Prober: p}
}

// play runs a schedule for a time of a synctest bubble.
func play(t *testing.T, d time.Duration, o ScheduleOptions, meanwhile ...func(s *Schedule)) *collected {
	t.Helper()
	sink := &collected{}
	if o.Sink == nil {
		o.Sink = sink.take
	}
	s, err := NewSchedule(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, f := range meanwhile {
		f(s)
	}
	time.Sleep(d)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return sink
}

func TestScheduleLooksAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &played{look: always(true)}
		sink := play(t, 10*time.Minute, ScheduleOptions{Tasks: []Task{task10s(p)}, Vantage: "paris"})
		if n := len(p.times()); n < 57 || n > 63 {
			t.Errorf("got %d looks in ten minutes, want about 60", n)
		}
		for i, at := range p.times()[1:] {
			if gap := at.Sub(p.times()[i]); gap < 9*time.Second || gap > 11*time.Second {
				t.Errorf("got %s between two looks, want 10s and a tenth more or less", gap)
			}
		}
		if sink.count() != len(p.times()) || sink.got[0].Source != "paris" || !p.closed {
			t.Errorf("got %d observations of %d looks, of %q; closed %v", sink.count(), len(p.times()), sink.got[0].Source, p.closed)
		}
	})
}

// A failure is looked at again soon, until three looks in a row say the same; so is the first success after failures.
func TestScheduleLooksSoonWhenSomethingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &played{look: func(_ context.Context, n int) (Look, error) { return result(n < 2 || n >= 7), nil }}
		play(t, 3*time.Minute, ScheduleOptions{Tasks: []Task{task10s(p)}})
		at := p.times()
		for n, soon := range map[int]bool{1: false, 2: false, 3: true, 4: true, 5: false, 6: false, 7: false, 8: true, 9: true, 10: false} {
			if gap := at[n].Sub(at[n-1]); (gap < 3*time.Second) != soon {
				t.Errorf("look %d came %s after the one before, soon: want %v", n, gap, soon)
			}
		}
	})
}

func TestScheduleHonoursPauseAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, err := NewMetrics(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		p := &played{look: func(_ context.Context, n int) (Look, error) {
			l := result(true)
			switch n {
			case 0:
				l.Pause = 5 * time.Minute
			case 1:
				l.Stop = "the password is wrong"
			}
			return l, nil
		}}
		var status []route.Watch
		play(t, time.Hour, ScheduleOptions{Tasks: []Task{task10s(p)}, Metrics: metrics}, func(s *Schedule) {
			time.Sleep(30 * time.Minute)
			status = s.Status()
			if got := testutil.ToFloat64(metrics.stopped.WithLabelValues("acme", "smpp")); got != 1 {
				t.Errorf("got signalbox_probe_stopped %v, want 1", got)
			}
		})
		at := p.times()
		if len(at) != 2 || at[1].Sub(at[0]) < 5*time.Minute {
			t.Errorf("got looks at %v, want two, five minutes apart", at)
		}
		if status[0].Stopped != "the password is wrong" || !status[0].Next.IsZero() || status[0].Last == nil {
			t.Errorf("got %+v", status[0])
		}
		if got := testutil.CollectAndCount(metrics, "signalbox_probe_stopped"); got != 0 {
			t.Errorf("after the end: got %d series of signalbox_probe_stopped, want none", got)
		}
	})
}

// A prober that hangs, panics or errs harms nobody else, and one that comes back looks on.
func TestScheduleOutlivesBadProbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := &played{look: func(_ context.Context, n int) (Look, error) {
			if n == 0 {
				time.Sleep(3 * time.Minute) // whatever its context says
			}
			return result(true), nil
		}}
		panics := &played{look: func(context.Context, int) (Look, error) { panic("nil") }}
		errs := &played{look: func(context.Context, int) (Look, error) { return Look{}, ErrBudget }}
		good := &played{look: always(true)}
		var tasks []Task
		for i, p := range []*played{hangs, panics, errs, good} {
			task := task10s(p)
			task.Way = fmt.Sprint("way ", i)
			tasks = append(tasks, task)
		}
		var status []route.Watch
		play(t, time.Minute, ScheduleOptions{Tasks: tasks, Concurrent: 1}, func(s *Schedule) {
			time.Sleep(9 * time.Minute)
			status = s.Status()
		})
		for name, c := range map[string]struct {
			p    *played
			from int
		}{"hangs": {hangs, 35}, "panics": {panics, 50}, "errs": {errs, 50}, "good": {good, 50}} {
			if n := len(c.p.times()); n < c.from || n > 63 {
				t.Errorf("%s: got %d looks, want %d or more", name, n, c.from)
			}
		}
		if status[1].Error != "the prober panicked: nil" || status[2].Error != ErrBudget.Error() || status[0].Error != "" {
			t.Errorf("got errors %q, %q and %q", status[0].Error, status[1].Error, status[2].Error)
		}
	})
}

func TestScheduleGivesEachLookItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		p := &played{look: func(ctx context.Context, _ int) (Look, error) {
			start := time.Now()
			<-ctx.Done()
			took = time.Since(start)
			return Look{}, ctx.Err()
		}}
		play(t, 30*time.Second, ScheduleOptions{Tasks: []Task{task10s(p)}})
		if took != 5*time.Second {
			t.Errorf("got %s, want 5s", took)
		}
	})
}

// No more looks at one time than are allowed, and looks of many tasks are spread.
func TestScheduleBoundsAndSpreadsLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most, first := 0, 0, map[time.Time]int{}
		var tasks []Task
		for i := range 200 {
			task := task10s(&played{look: func(_ context.Context, n int) (Look, error) {
				mu.Lock()
				now++
				most = max(most, now)
				if n == 0 {
					first[time.Now().Truncate(time.Second)]++
				}
				mu.Unlock()
				time.Sleep(200 * time.Millisecond)
				mu.Lock()
				now--
				mu.Unlock()
				return result(true), nil
			}})
			task.Route = route.ID(fmt.Sprintf("route-%d", i))
			tasks = append(tasks, task)
		}
		play(t, time.Minute, ScheduleOptions{Tasks: tasks, Concurrent: 8})
		if most != 8 {
			t.Errorf("got %d looks at one time, want 8", most)
		}
		for at, n := range first {
			if n > 50 {
				t.Errorf("%d of 200 first looks came in the second %s", n, at.Format(time.TimeOnly))
			}
		}
	})
}

// What nobody takes is kept, in order, and given again with what has come since; beyond the bound the oldest go.
func TestScheduleKeepsWhatTheSinkRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &played{look: always(true)}
		sink := &collected{err: errors.New("full")}
		play(t, 10*time.Minute, ScheduleOptions{Tasks: []Task{task10s(p)}, Sink: sink.take, Logger: slog.New(slog.DiscardHandler)}, func(*Schedule) {
			time.Sleep(5 * time.Minute)
			if sink.count() != 0 || sink.errs == 0 {
				t.Errorf("got %d observations and %d errors from a full sink", sink.count(), sink.errs)
			}
			sink.fail(nil)
		})
		if n := len(p.times()); sink.count() < n-1 {
			t.Errorf("got %d observations of %d looks", sink.count(), n)
		}
		for i := 1; i < sink.count(); i++ {
			if sink.got[i].Time.Before(sink.got[i-1].Time) {
				t.Fatalf("observation %d is older than the one before", i)
			}
		}
	})
	var b outbox
	b.wake = make(chan struct{}, 1)
	for i := range outboxMost + 10 {
		b.put([]route.Observation{{Latency: time.Duration(i)}})
	}
	if batch, dropped := b.take(); len(batch) != outboxMost || dropped != 10 || batch[0].Latency != 10 {
		t.Errorf("got %d observations, %d dropped, the first %d", len(batch), dropped, batch[0].Latency)
	}
}

// gathers is a collector.
type gathers func(n int) ([]route.Observation, error)

func (g gathers) Collect(context.Context) ([]route.Observation, error) { return g(0) }

func TestScheduleCollects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := gathers(func(int) ([]route.Observation, error) {
			n++
			if n%2 == 0 {
				return []route.Observation{{Kind: route.KindHeartbeat}}, errors.New("half of it is missing")
			}
			return []route.Observation{{Kind: route.KindHeartbeat}, {Kind: route.KindProbe}}, nil
		})
		sink := play(t, time.Minute, ScheduleOptions{Gatherings: []Gathering{{Name: "mimir", Way: "promql", Every: 10 * time.Second, Timeout: time.Second, Collector: c}}})
		if n < 5 || sink.count() != n+(n+1)/2 {
			t.Errorf("got %d observations of %d collections", sink.count(), n)
		}
	})
}

func TestScheduleRefusesWhatCannotWork(t *testing.T) {
	p := &played{look: always(true)}
	good := task10s(p)
	nameless := good
	nameless.Prober = nil
	for name, o := range map[string]ScheduleOptions{
		"no sink":          {Tasks: []Task{good}},
		"two of one name":  {Tasks: []Task{good, good}, Sink: new(collected).take},
		"no prober":        {Tasks: []Task{nameless}, Sink: new(collected).take},
		"no interval":      {Tasks: []Task{{Route: "acme", Prober: p, Timeout: 1}}, Sink: new(collected).take},
		"no collector":     {Gatherings: []Gathering{{Every: 1, Timeout: 1}}, Sink: new(collected).take},
		"collects at once": {Gatherings: []Gathering{{Timeout: 1, Collector: gathers(nil)}}, Sink: new(collected).take},
	} {
		if _, err := NewSchedule(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// What was seen and not taken before a schedule ends, as when a reload replaces it, is handed over at its end.
func TestScheduleTakesNothingAlongWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &collected{}
		sink.fail(errors.New("full"))
		play(t, time.Millisecond, ScheduleOptions{Sink: sink.take, Tasks: []Task{task10s(&played{look: always(true)})}}, func(*Schedule) {
			time.Sleep(35 * time.Second)
			if sink.count() != 0 || sink.errs == 0 {
				t.Errorf("got %d taken, %d refused, want some refused", sink.count(), sink.errs)
			}
			sink.fail(nil)
		})
		if n := sink.count(); n < 3 || n > 4 {
			t.Errorf("got %d observations, want all of 35 s", n)
		}
	})
}

// At the end nobody waits for a sink that does not come back.
func TestScheduleEndsThoughNobodyTakesWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, err := NewMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		stuck := func(ctx context.Context, _ []route.Observation) error { <-ctx.Done(); return ctx.Err() }
		play(t, 15*time.Second, ScheduleOptions{Sink: stuck, Metrics: metrics, Tasks: []Task{task10s(&played{look: always(true)})}})
		if n := testutil.ToFloat64(metrics.dropped); n == 0 {
			t.Error("what was dropped is not counted")
		}
	})
}

// After a reload a screen shows what was seen last, until the task has looked anew: messages are minutes apart.
func TestScheduleShowsWhatWasSeenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before *Schedule
		play(t, time.Minute, ScheduleOptions{Tasks: []Task{task10s(&played{look: always(false)})}}, func(s *Schedule) { before = s })
		other := task10s(&played{look: always(true)})
		other.Way = "http"
		next, err := NewSchedule(ScheduleOptions{Sink: (&collected{}).take, Tasks: []Task{task10s(&played{look: always(true)}), other}})
		if err != nil {
			t.Fatal(err)
		}
		next.Follow(before)
		if got := next.Status(); got[0].Last == nil || got[0].Last.Steps[0].OK || got[1].Last != nil {
			t.Errorf("before it looks: got %+v, want what failed last, and nothing of another way", got)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- next.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := next.Status(); !got[0].Last.Steps[0].OK {
			t.Errorf("once it has looked: got %+v", got[0].Last)
		}
	})
}
