package probes

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"signalbox/rules/route"
)

// Task is one prober and how often it looks.
type Task struct {
	Route   route.ID
	Way     string        // smpp, smpp-message, http, …: with the route it names the task
	Every   time.Duration // between two looks, jittered by a tenth
	Timeout time.Duration // of one look
	Recheck time.Duration // between looks while a failure is new; 0: Every
	Prober  Prober
}

// name is what tells a task from the others of its schedule.
func (t Task) name() string { return string(t.Route) + " " + t.Way }

// Gathering is one collector and how often it collects.
type Gathering struct {
	Name    string // of the source: with Way it names the gathering
	Way     string // promql, kannel, jasmin
	Every   time.Duration
	Timeout time.Duration

	Collector Collector
}

// ScheduleOptions are what a Schedule works with. Zero fields mean the documented defaults.
type ScheduleOptions struct {
	Tasks      []Task
	Gatherings []Gathering
	// Sink takes observations. After an error it is given them again, with what has come since.
	Sink       func(ctx context.Context, batch []route.Observation) error
	Vantage    string // where this looks from: the source of its observations and transcripts; "" is the controller's machine
	Concurrent int    // looks at one time; default 64
	Logger     *slog.Logger
	Metrics    *Metrics // nil: not counted
}

// Schedule looks again and again. Each prober looks by itself: one that hangs or panics keeps no other from looking.
type Schedule struct {
	o     ScheduleOptions
	slots chan struct{} // one for each look that is under way
	tasks []*task
	out   outbox
}

// settled is how many looks in a row, all good or all bad, end the rechecks.
const settled = 3

// closeWithin is how long probers may take to say goodbye, and hungAfter how long a look may take beyond its timeout before
// it counts as hung and its slot is given to others.
const (
	closeWithin = 3 * time.Second
	hungAfter   = 5 * time.Second
)

// NewSchedule checks the options.
func NewSchedule(o ScheduleOptions) (*Schedule, error) {
	if o.Sink == nil {
		return nil, errors.New("schedule: want Sink")
	}
	if o.Concurrent <= 0 {
		o.Concurrent = 64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Schedule{o: o, slots: make(chan struct{}, o.Concurrent), out: outbox{wake: make(chan struct{}, 1)}}
	seen := map[string]bool{}
	for _, t := range o.Tasks {
		name := t.name()
		if t.Prober == nil || t.Every <= 0 || t.Timeout <= 0 || seen[name] {
			return nil, fmt.Errorf("schedule: %s: want a prober, a name of its own, and times above 0", name)
		}
		seen[name] = true
		s.tasks = append(s.tasks, &task{Task: t})
	}
	for _, g := range o.Gatherings {
		if g.Collector == nil || g.Every <= 0 || g.Timeout <= 0 {
			return nil, fmt.Errorf("schedule: %s %s: want a collector, and times above 0", g.Way, g.Name)
		}
	}
	return s, nil
}

// task is a prober with what came of its looks.
type task struct {
	Task
	row int // looks in a row that were all good or all bad
	bad bool

	mu      sync.Mutex // guards the rest
	last    *route.Transcript
	next    time.Time
	stopped string
	err     string
}

// Status is how the tasks stand, in the order that they were given in.
func (s *Schedule) Status() []route.Watch {
	out := make([]route.Watch, 0, len(s.tasks))
	for _, t := range s.tasks {
		t.mu.Lock()
		out = append(out, route.Watch{Route: t.Route, Way: t.Way, Vantage: s.o.Vantage, Every: route.Duration(t.Every),
			Next: t.next, Stopped: t.stopped, Error: t.err, Last: t.last})
		t.mu.Unlock()
	}
	return out
}

// Follow shows of each task, until it looks, what the one of the same name in another schedule saw last. It is called before Run.
func (s *Schedule) Follow(before *Schedule) {
	last := map[string]*route.Transcript{}
	for _, t := range before.tasks {
		t.mu.Lock()
		last[t.name()] = t.last
		t.mu.Unlock()
	}
	for _, t := range s.tasks {
		t.mu.Lock()
		t.last = last[t.name()]
		t.mu.Unlock()
	}
}

// Run looks until ctx is done, then closes the probers. It leaves no goroutine behind but those of probers that hang.
func (s *Schedule) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, t := range s.tasks {
		s.o.Metrics.expect(t.Task)
		defer s.o.Metrics.forget(t.Task)
		running.Go(func() { s.repeat(ctx, t) })
	}
	for _, g := range s.o.Gatherings {
		running.Go(func() { s.gather(ctx, g) })
	}
	var sending sync.WaitGroup
	sending.Go(func() { s.send(ctx) })
	running.Wait()
	sending.Wait()
	s.flush(ctx)
	s.close()
	return nil
}

func (s *Schedule) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var closing sync.WaitGroup
	for _, t := range s.tasks {
		closing.Go(func() {
			done := make(chan error, 1)
			go func() { done <- t.Prober.Close(ctx) }()
			select {
			case err := <-done:
				if err != nil {
					s.o.Logger.Debug("probe not closed politely", "route", t.Route, "probe", t.Way, "err", err)
				}
			case <-ctx.Done():
			}
		})
	}
	closing.Wait()
}

// repeat looks with one prober. The first looks are spread over the interval, so that they do not all come at once.
func (s *Schedule) repeat(ctx context.Context, t *task) {
	wait := spread(t.name(), t.Every)
	for t.sleep(ctx, wait) {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		look, hung, err := s.look(ctx, t)
		if ctx.Err() != nil {
			return
		}
		wait = s.after(ctx, t, look, err)
		for hung != nil { // it has a slot no more, and looks no more until it comes back
			select {
			case <-hung:
				hung = nil
			case <-ctx.Done():
				return
			}
		}
		if t.stopped != "" {
			return
		}
	}
}

// spread is a part of an interval that depends on a name only.
func spread(name string, every time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return time.Duration(float64(every) * float64(h.Sum32()) / (1 << 32))
}

// sleep waits, and reports false when ctx is done.
func (t *task) sleep(ctx context.Context, wait time.Duration) bool {
	t.mu.Lock()
	t.next = time.Now().Add(wait).Truncate(time.Millisecond)
	t.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errHung says that a prober is broken.
var errHung = errors.New("the prober does not end its look")

// look looks once and gives the slot back. A prober that goes on long after its timeout is left behind: hung is closed when
// it ends.
func (s *Schedule) look(ctx context.Context, t *task) (look Look, hung <-chan struct{}, err error) {
	defer func() { <-s.slots }()
	within, cancel := context.WithTimeout(ctx, t.Timeout)
	type result struct {
		Look
		error
	}
	done, ended := make(chan result, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				done <- result{error: fmt.Errorf("the prober panicked: %v", p)}
			}
		}()
		l, err := t.Prober.Probe(within)
		done <- result{l, err}
	}()
	late := time.NewTimer(t.Timeout + hungAfter)
	defer late.Stop()
	select {
	case r := <-done:
		<-ended
		return r.Look, nil, r.error
	case <-late.C:
		return Look{}, ended, errHung
	}
}

// after takes in what a look saw, and says how long to wait for the next.
func (s *Schedule) after(ctx context.Context, t *task, look Look, err error) time.Duration {
	for i := range look.Observations {
		look.Observations[i].Source = s.o.Vantage
	}
	look.Transcript.Vantage = s.o.Vantage
	s.note(t, look, err)
	s.out.put(look.Observations)
	bad := false
	for i := range look.Observations {
		bad = bad || !look.Observations[i].OK
	}
	s.o.Metrics.looked(t, bad, err)
	switch {
	case err != nil:
		s.o.Logger.Debug("could not look", "route", t.Route, "probe", t.Way, "err", err)
	case look.Stop != "":
		s.o.Logger.Error("probe stopped", "route", t.Route, "probe", t.Way, "reason", look.Stop)
		s.o.Metrics.stop(t)
	default:
		s.o.Logger.Debug("looked", "route", t.Route, "probe", t.Way, "took", time.Since(look.Transcript.Time))
	}
	return max(look.Pause, t.interval(bad, len(look.Observations) > 0))
}

// note keeps what a look told.
func (s *Schedule) note(t *task, look Look, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = ""; err != nil {
		t.err = err.Error()
	}
	if len(look.Transcript.Steps) > 0 {
		t.last = &look.Transcript
	}
	if t.stopped = look.Stop; t.stopped != "" {
		t.next = time.Time{}
	}
}

// interval is the time to the next look. A failure after good looks, or the first good look after failures, is looked at
// again soon, until three in a row say the same.
func (t *task) interval(bad, told bool) time.Duration {
	every := t.Every
	if told {
		switch {
		case t.row == 0 && !bad:
			t.row = settled // good from the first look on
		case bad == t.bad:
			t.row++
		default:
			t.row = 1
		}
		t.bad = bad
		if t.row < settled && t.Recheck > 0 {
			every = min(every, t.Recheck)
		}
	}
	return every + time.Duration((rand.Float64()-0.5)*0.2*float64(every))
}

// gather collects again and again.
func (s *Schedule) gather(ctx context.Context, g Gathering) {
	t := &task{Task: Task{Every: g.Every}}
	for wait := spread(g.Name+" "+g.Way, g.Every); t.sleep(ctx, wait); wait = t.interval(false, false) {
		within, cancel := context.WithTimeout(ctx, g.Timeout)
		batch, err := g.Collector.Collect(within)
		cancel()
		if ctx.Err() != nil {
			return
		}
		s.out.put(batch)
		s.o.Metrics.gathered(g, err)
		if err != nil {
			s.o.Logger.Warn("not collected in full", "probe", g.Way+" "+g.Name, "err", err)
		}
	}
}
