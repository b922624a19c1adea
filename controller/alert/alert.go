// Package alert tells people and their tools what signalbox decides and what it suffers from: Alertmanager, which is told
// of everything that holds now, again and again, and webhooks, which are told of everything that happens, once each and in
// order. What a webhook is to be told of a decision stands in an outbox before anybody can see the decision, and stays
// there until the webhook has taken it. Nothing here is ever in the way of a decision.
package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

// Letter is what one receiver is to be told. It is an alias, so that the outbox can declare the same fields; so are the
// next three.
type Letter = struct {
	To   string // the receiver's name
	At   time.Time
	Body []byte
}

// Posted is a letter that waits.
type Posted = struct {
	Seq  uint64 // grows with each letter, over all receivers
	At   time.Time
	Body []byte
}

// Waiting is how the letters of one receiver stand.
type Waiting = struct {
	Count  int
	Oldest time.Time // of the letters that wait; zero where none does
	Newest uint64    // the number of the last one; 0 where none does
}

// Note is what must be remembered of something that holds until it ends; nil Data forgets the key.
type Note = struct {
	Key  string
	Data []byte // JSON
}

// Discarded counts the letters that were given up, by receiver.
type Discarded = struct {
	Old    map[string]int // written before the moment that was asked for
	Excess map[string]int // the oldest where there were too many
	Gone   map[string]int // to receivers that there are no more
}

// Outbox keeps letters until they are delivered, over restarts.
type Outbox interface {
	Announce(letters []Letter, notes []Note) error // both are durable then, or neither
	Notes() ([]Note, error)
	Letters(to string, after uint64, most int) ([]Posted, error) // the oldest with a greater number
	Waiting(to string) (Waiting, error)
	Delivered(to string, upTo uint64) error
	Discard(receivers []string, olderThan time.Time, most int) (Discarded, error)
}

// Senders tells which senders do not follow the table.
type Senders interface {
	Lagging(now time.Time) []Sender
}

// Options of Alerts. Setup, Outbox and Look are required; other zero fields mean the documented default.
type Options struct {
	Setup      *Setup
	Outbox     Outbox
	Look       func() Scene // what holds now; must not block
	Senders    Senders      // nil: nobody knows
	Dial       DialFunc     // default: the network
	Logger     *slog.Logger
	Registerer prometheus.Registerer // default: metrics are not registered
}

// Alerts tells all receivers.
type Alerts struct {
	o       Options
	metrics *metrics
	watch   *watch
	history *history
	team    atomic.Pointer[team] // in force
	reload  chan *Setup

	using sync.Mutex // held by Use, so that the setup that came last is the one in force
}

// New returns alerts that are told once Run runs; what is decided before stands in the outbox.
func New(o Options) (*Alerts, error) {
	if o.Setup == nil || o.Outbox == nil || o.Look == nil {
		return nil, errors.New("new alerts: want a setup, an outbox and what holds now")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &Alerts{o: o, reload: make(chan *Setup, 1), history: &history{}}
	a.metrics = newMetrics(o.Registerer, a)
	a.watch = newWatch(a)
	if err := a.watch.restore(); err != nil {
		return nil, fmt.Errorf("new alerts: %w", err)
	}
	a.team.Store(newTeam(a, o.Setup))
	return a, nil
}

// Announce writes what webhooks are to be told of decisions: nothing where no webhook wants it.
func (a *Alerts) Announce(decisions []route.Decision) []Letter {
	t := a.team.Load()
	var out []Letter
	for i := 0; len(t.workers) > 0 && i < len(decisions); i++ {
		for _, e := range Tell(&decisions[i]) {
			out = append(out, t.letters(&e)...)
		}
	}
	return out
}

// Wake lets receivers look for what is new, at once. It does not wait.
func (a *Alerts) Wake() {
	a.watch.nudge()
	for _, w := range a.team.Load().workers {
		w.nudge()
	}
}

// Use lets another setup come into force. Receivers that it does not have are told nothing any more, also not what waits.
func (a *Alerts) Use(s *Setup) {
	a.using.Lock()
	defer a.using.Unlock()
	select {
	case <-a.reload: // an older one that nobody has taken yet
	default:
	}
	a.reload <- s
}

// Run tells receivers until ctx is done. What they have not taken by then waits in the outbox.
func (a *Alerts) Run(ctx context.Context) error {
	watched := make(chan struct{})
	go func() { defer close(watched); a.watch.run(ctx) }()
	defer func() { <-watched }()
	for ctx.Err() == nil {
		working, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); a.team.Load().run(working) }()
		var next *Setup
		select {
		case <-ctx.Done():
		case next = <-a.reload:
		}
		stop()
		<-ended
		if next != nil {
			a.metrics.forget(a.team.Load(), next)
			a.team.Store(newTeam(a, next))
			a.o.Logger.Info("receivers of alerts loaded", "file", next.file)
		}
	}
	return nil
}
