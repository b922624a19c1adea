package alert

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// idle is how often a webhook is looked after where nobody wakes it; eager is how long after an attempt a new event may
// lead to the next one, whatever the back-off says.
const (
	idle  = 15 * time.Second
	eager = 30 * time.Second
)

// worker delivers the letters of one webhook, one after the other.
type worker struct {
	*hook
	team *team
	call *caller
	wake chan struct{} // of one element
	well atomic.Bool   // the receiver works again, as somebody found: the wait after a failure is over

	mu     sync.Mutex // guards status
	status Receiver

	// What follows belongs to run.
	upTo     uint64          // letters up to this number are delivered, whether or not the outbox could note it
	looseTo  int             // the same of loose letters
	told     map[string]bool // ids of loose letters that were delivered, which may come again from the outbox
	failures int             // in a row
	tried    time.Time       // when the last attempt began
	next     time.Time       // not before; of the head of the queue
	strict   bool            // next is what the receiver asked for
	newest   uint64          // the newest letter that was seen
	gone     bool            // it answered 410
}

func newWorker(h *hook, t *team) *worker {
	return &worker{hook: h, team: t, call: newCaller(h.post, t.o.Dial), wake: make(chan struct{}, 1), told: map[string]bool{},
		status: Receiver{Name: h.name, Kind: "webhook", Format: h.format}}
}

// nudge lets the worker look at once.
func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run delivers until ctx is done.
func (w *worker) run(ctx context.Context) {
	defer w.call.close()
	for ctx.Err() == nil {
		if w.well.Swap(false) {
			w.next, w.strict = time.Time{}, false
		}
		timer := time.NewTimer(w.step(ctx))
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// letter is the head of the queue.
type letter struct {
	seq   uint64 // 0: a loose one
	loose int    // its number among those
	event Event
}

// step delivers the head of the queue where it is time, and says how long to wait then.
func (w *worker) step(ctx context.Context) time.Duration {
	head, found := w.head()
	now := time.Now()
	switch {
	case !found || w.gone:
		return idle
	case now.Before(w.next):
		return min(w.next.Sub(now), idle)
	}
	w.deliver(ctx, head)
	return 0
}

// head is the oldest letter that was not delivered yet: from the outbox, or, where that has none, a loose one.
func (w *worker) head() (l letter, found bool) {
	if waiting, err := w.team.o.Outbox.Waiting(w.name); err == nil {
		w.noteWaiting(waiting)
	}
	for {
		posted, err := w.team.o.Outbox.Letters(w.name, w.upTo, 1)
		if err != nil {
			w.team.trouble("outbox not read", w.name, err)
		}
		if len(posted) == 0 {
			l.event, l.loose, found = w.team.watch.looseAfter(w.name, w.looseTo)
			return l, found
		}
		l = letter{seq: posted[0].Seq}
		err = json.Unmarshal(posted[0].Body, &l.event)
		if err == nil && !w.told[l.event.ID] {
			return l, true
		}
		if err != nil {
			w.team.o.Logger.Error("letter not understood", "to", w.name, "err", err)
			w.team.gaveUp(w.name, resultDropped, 1)
		}
		delete(w.told, l.event.ID)
		w.done(l) // it cannot be told, or was when the outbox could not take it
	}
}

// noteWaiting remembers how much waits; a new event shortens the wait after a failure.
func (w *worker) noteWaiting(q Waiting) {
	if q.Newest > w.newest {
		w.newest = q.Newest
		if soon := w.tried.Add(eager); !w.strict && w.next.After(soon) {
			w.next = soon
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Waiting, w.status.Oldest = q.Count, q.Oldest
}

// deliver makes one attempt.
func (w *worker) deliver(ctx context.Context, l letter) {
	w.tried, w.strict = time.Now(), false
	r := w.render(w.team.settings, &l.event)
	a := w.call.post(ctx, w.stamped(r, l.event.ID, w.tried), r.body)
	if ctx.Err() != nil && a.result != resultDelivered {
		return // it is tried again by whoever comes next
	}
	w.team.attempted(Attempt{Time: w.tried.UTC(), Receiver: w.name, Event: l.event.ID, Type: l.event.Type, Number: w.failures + 1, Result: a.result, Answer: a.text, Took: a.took.Seconds()})
	switch a.result {
	case resultDelivered:
		w.recovered()
		w.done(l)
	case resultGone:
		w.gone = true
		w.team.o.Logger.Error("webhook disabled", "to", w.name, "reason", "it answered 410 Gone; a reload tries it again, and what happens meanwhile waits")
	default:
		w.failed(l, a)
	}
	w.noteAttempt(a)
}

// recovered tells of a receiver that answers again.
func (w *worker) recovered() {
	if w.failures > 0 {
		w.team.o.Logger.Info("alerts delivered again", "to", w.name, "attempt", w.failures+1)
	}
	w.failures, w.next = 0, time.Time{}
}

// failed says when to try again, or gives the event up.
func (w *worker) failed(l letter, a answer) {
	if w.failures++; w.failures == 1 {
		w.team.o.Logger.Warn("alert not delivered", "to", w.name, "err", a.text, "reason", "it is tried again for 75 hours")
	}
	now := time.Now()
	end := l.event.Time.Add(giveUpAfter + w.team.ahead(now))
	if !now.Before(end) && w.team.settled(now) {
		w.team.gaveUp(w.name, resultGivenUp, 1)
		w.done(l)
	}
	w.next = now.Add(backOff(w.failures))
	if a.after > 0 {
		w.next, w.strict = now.Add(a.after), true
	}
	if now.Before(end) && w.next.After(end) {
		w.next = end // the last attempt
	}
}

// done takes a letter out of the queue. Where the outbox cannot note it, it does so with the next one.
func (w *worker) done(l letter) {
	if l.seq == 0 {
		w.looseTo, w.told[l.event.ID] = l.loose, true
		return
	}
	w.upTo = l.seq
	if err := w.team.o.Outbox.Delivered(w.name, l.seq); err != nil {
		w.team.trouble("delivery not noted", w.name, err)
	}
}

func (w *worker) noteAttempt(a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.LastTry, w.status.LastAnswer, w.status.Failures, w.status.Disabled = w.tried.UTC(), a.text, w.failures, w.gone
	w.status.NextTry = time.Time{}
	if w.failures > 0 && !w.gone {
		w.status.NextTry = w.next.UTC()
	}
}

// now is how the webhook stands.
func (w *worker) now() Receiver {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
