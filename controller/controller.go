// Package controller acts: one loop owns the cohorts, the state and the policy; it gathers observations, has them
// judged, makes what was decided durable, and only then publishes it.
package controller

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/rules/decide"
	"signalbox/rules/ledger"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

// Store keeps what must outlive a restart. Its Commit compares the generation that a change was decided on.
type Store interface {
	Commit(store.Change) error
	Load() (store.Saved, error)
	Prune(olderThan time.Time, most int) (int, error)
	Decisions(store.Query) (found []route.Decision, next string, err error)
}

// Recorder keeps what the loop took and when it judged. None of its methods may wait.
type Recorder interface {
	Took(batch []route.Observation, at time.Time) // must not keep the batch
	Mark(m route.Mark)
	Due() bool // whether it wants Begin, with the baselines that are known
	Begin(m route.Mark, known []route.Observation)
}

// Options of a Controller. Store, Model and Load are required; other zero fields mean the documented default.
type Options struct {
	Store     Store
	Model     *state.Model                   // what senders and viewers read
	Load      func() (*policy.Policy, error) // reads the policy as it is now
	Mode      route.Mode                     // the most that may be done with any verdict; default route.Act
	Epoch     uint64                         // where it is greater than the stored one, a new epoch begins
	Queue     int                            // observations that may wait for the loop; default 262,144
	Retention time.Duration                  // of the journal; default 35 days
	Signal    signal.Options                 // bounds of what is remembered
	Decided   func([]route.Decision)         // told of decisions once they are durable; must not block
	Published func(*route.Table)             // told of tables once senders can see them, the first one included; must not block
	// Announce writes what receivers are to be told of decisions, which becomes durable with them; it must not block, nor
	// change anything: what cannot be made durable was not decided. Nil: nobody is told.
	Announce   func([]route.Decision) []store.Letter
	Recorder   Recorder              // nil: nothing is recorded
	Logger     *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default: metrics are not registered
}

// ErrFull is the answer to observations for which the queue has no room now.
var ErrFull = errors.New("queue is full")

// Controller is the control plane of one process.
type Controller struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	queue   chan []route.Observation
	waiting atomic.Int64 // observations in queue
	reloads chan reload
	orders  chan ordering
	reports chan reporting
	view    atomic.Pointer[View]
	routes  atomic.Pointer[map[route.ID]bool]
	failed  atomic.Pointer[time.Time] // since when commits fail; nil while they do not
	pool    sync.Pool                 // of *[]route.Observation

	reloading sync.Mutex // held by one reload at a time, so that the files read last are those in force

	mu     sync.Mutex // guards status
	status PolicyStatus

	// What follows belongs to the loop.
	engine    scenario.Engine
	baselines map[route.Key][]byte // changed and not yet durable
	savedAt   time.Time            // when baselines were last made durable
	prunedAt  time.Time
	last      time.Time                                // the last round, with its monotonic reading
	passed    func(since, now time.Time) time.Duration // by the monotonic clock
	holdUntil time.Time                                // no changes before; the clock jumped
	failing   error                                    // why the last commit failed, nil where it did not; failed says since when
	owing     bool                                     // the store holds a table that is not published
	unsure    []route.Decision                         // that stand in the store, which the disk has not confirmed, and so were not told
}

// View is what the last round saw, all of one moment. Nothing in it changes.
type View struct {
	Policy  *policy.Policy
	World   route.World
	Signals []route.Signals // of the routes that there was something to judge of, in lanes and on networks of them
	Wide    []route.Signals // of routes over all lanes, where a rule judges by them
	Stats   signal.Stats    // of the observations that could not be used

	spent   []ledger.Total              // since the process began
	changed map[route.Lane]ledger.Purse // what changes made of today's messages
}

// seen are the signals of the round, as decisions between two rounds see them.
func (v *View) seen() decide.Seen { return decide.Seen{Signals: v.Signals, Wide: v.Wide} }

type reload struct {
	policy *policy.Policy
	done   chan error
}

// New loads the policy and the state, and publishes the table that was in force, or the policy's first one. The error is
// the policy's problems, or the store's.
func New(o Options) (*Controller, error) {
	if o.Store == nil || o.Model == nil || o.Load == nil {
		return nil, errors.New("new controller: want a store, a model and a policy")
	}
	if o.Queue <= 0 {
		o.Queue = 1 << 18
	}
	if o.Retention <= 0 {
		o.Retention = 35 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	c := &Controller{o: o, log: o.Logger, queue: make(chan []route.Observation, 4096), reloads: make(chan reload), orders: make(chan ordering), reports: make(chan reporting), baselines: map[route.Key][]byte{}}
	c.passed = func(since, now time.Time) time.Duration { return now.Sub(since) }
	c.metrics = newMetrics(o.Registerer, c)
	p, err := o.Load()
	if err != nil {
		return nil, err
	}
	if err := c.restore(p); err != nil {
		return nil, err
	}
	return c, nil
}

// restore takes the state up where the last run left it.
func (c *Controller) restore(p *policy.Policy) error {
	saved, err := c.o.Store.Load()
	if err != nil {
		return err
	}
	c.engine = scenario.Engine{Book: signal.New(c.o.Signal), World: saved.World, Table: saved.Table, Mode: c.o.Mode}
	if c.engine.Ledger, err = ledger.Restore(saved.Ledger); err != nil {
		return err
	}
	c.engine.Use(p)
	stored := make([]signal.Stored, len(saved.Baselines))
	for i, b := range saved.Baselines {
		stored[i] = signal.Stored{Key: b.Key, Data: b.Data}
	}
	if err := c.engine.Book.Restore(stored); err != nil {
		return err
	}
	if saved.Table != nil {
		if err := c.publish(saved.Table); err != nil {
			return err
		}
	}
	if c.o.Epoch > saved.World.Generation.Epoch {
		return c.beginEpoch(p, time.Now())
	}
	return c.adopt(p, time.Now())
}

// beginEpoch publishes a first table of a new epoch, which senders take whatever generation they hold: for state that was
// lost, or restored from a backup.
func (c *Controller) beginEpoch(p *policy.Policy, now time.Time) error {
	w := c.engine.World
	w.Generation = route.Generation{Epoch: c.o.Epoch}
	return c.putInForce(p, decide.Adopt(p, w, nil, now.Round(0).UTC()), now)
}

// Run gathers, judges and commits until ctx is done, and then makes durable what was learned.
func (c *Controller) Run(ctx context.Context) error {
	c.beginRecording(route.NoteStart, time.Now())
	timer := time.NewTimer(untilTick(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.drain()
			c.saveBaselines(time.Now(), true)
			return nil
		case batch := <-c.queue:
			c.observe(batch, time.Now())
		case r := <-c.reloads:
			now := time.Now()
			c.watchClock(now, c.passed(c.last, now))
			r.done <- c.adopt(r.policy, now)
		case r := <-c.orders:
			done, err := c.order(r.order, time.Now())
			r.done <- answer{done, err}
		case r := <-c.reports:
			r.done <- c.engine.Ledger.Report(r.query, time.Now())
		case <-timer.C:
			c.drain()
			c.round(time.Now())
			timer.Reset(untilTick(time.Now()))
		}
	}
}

// tickDelay is how long after a tick it is judged, so that what happened before it has arrived.
const tickDelay = 250 * time.Millisecond

func untilTick(now time.Time) time.Duration {
	next := now.Add(-tickDelay).Truncate(signal.Tick).Add(signal.Tick + tickDelay)
	return next.Sub(now)
}

// Take hands observations to the loop. It copies them, and never waits: it answers ErrFull where too many wait already,
// and then has taken none.
func (c *Controller) Take(_ context.Context, batch []route.Observation) error {
	n := int64(len(batch))
	if n == 0 {
		return nil
	}
	if c.waiting.Add(n) > int64(c.o.Queue) {
		c.waiting.Add(-n)
		c.metrics.full.Inc()
		return ErrFull
	}
	copied := c.batch(len(batch))
	copy(copied, batch)
	select {
	case c.queue <- copied:
		return nil
	default:
		c.waiting.Add(-n)
		c.metrics.full.Inc()
		return ErrFull
	}
}

func (c *Controller) batch(n int) []route.Observation {
	if b, ok := c.pool.Get().(*[]route.Observation); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]route.Observation, n, max(n, 256))
}

func (c *Controller) observe(batch []route.Observation, now time.Time) {
	now = now.Round(0).UTC() // what counts is what a recording says, which has no monotonic clock
	c.recordTaken(batch, now)
	for i := range batch {
		c.engine.Observe(&batch[i], now)
	}
	c.waiting.Add(-int64(len(batch)))
	clear(batch)
	c.pool.Put(&batch)
}

// drain takes what had been queued when it was called.
func (c *Controller) drain() {
	now := time.Now()
	for range len(c.queue) {
		c.observe(<-c.queue, now)
	}
}

// Known reports whether the policy has a route.
func (c *Controller) Known(id route.ID) bool { return (*c.routes.Load())[id] }

// RouteIDs are the routes of the policy, by id.
func (c *Controller) RouteIDs() []string {
	p := c.view.Load().Policy
	ids := make([]string, len(p.Routes))
	for i := range p.Routes {
		ids[i] = string(p.Routes[i].ID)
	}
	return ids
}

// Classes are the classes that the policy's lanes serve; route.AnyClass among them stands for all.
func (c *Controller) Classes() []string {
	p := c.view.Load().Policy
	var classes []string
	for i := range p.Lanes {
		if name := string(p.Lanes[i].Class); !slices.Contains(classes, name) {
			classes = append(classes, name)
		}
	}
	return classes
}

// Explain says why a route is where it is; it answers for the last round.
func (c *Controller) Explain(id route.ID, l route.Lane) (any, bool) {
	v := c.view.Load()
	e, ok := decide.Explain(v.Policy, v.World, v.seen(), l, id)
	return e, ok
}

// World is the state as the last round left it. Nothing in it may be changed.
func (c *Controller) World() route.World { return c.view.Load().World }

// StoreFailing is since when nothing can be made durable; zero while all can.
func (c *Controller) StoreFailing() time.Time {
	if since := c.failed.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// Ready says what keeps the controller from deciding, or nil.
func (c *Controller) Ready() error {
	if c.o.Model.Table() == nil {
		return errors.New("no table has been published yet")
	}
	return nil
}
