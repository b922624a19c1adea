// Package way remembers which way messages of late went: by which routes, when, with what answer, on the word of which
// table, and what came back. It holds hashes of ids and moments, never an id, a number or a text, and its size is bounded.
package way

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"signalbox/rules/route"
)

// The defaults of Options.
const (
	DefaultKept = 100_000
	DefaultAge  = 24 * time.Hour
	maxKept     = 1 << 28
	maxAge      = 20 * 24 * time.Hour // ages of receipts are kept in 31 bits of milliseconds
)

// Options of a Way. Message and Route are required: the hash of an observation is Message of its id ^ Route of its route.
type Options struct {
	Kept    int           // submits remembered, the oldest of which go first; 0 remembers none
	Age     time.Duration // how long one is remembered; default DefaultAge, at most 20 days
	Sample  float64       // share of the ids that are remembered, by their hash: an id on all routes or on none; above 0, at most 1
	Message func(id string) uint64
	Route   func(route.ID) uint64
}

// Way is the window of messages. It may be used by many goroutines.
type Way struct {
	o      Options
	limit  uint64    // hashes of sampled ids are at most this
	since  time.Time // when it began
	tables Tables

	mu      sync.Mutex // guards what follows
	ring    ring
	index   index
	keys    keys
	codes   codes
	dropped uint64 // records that made room or were too old
}

// New returns a Way that remembers nothing yet; now is when it begins to.
func New(o Options, now time.Time) (*Way, error) {
	if o.Age == 0 {
		o.Age = DefaultAge
	}
	switch {
	case o.Kept < 0 || o.Kept > maxKept:
		return nil, fmt.Errorf("messages kept: want 0 to %d, got %d", maxKept, o.Kept)
	case o.Age < time.Second || o.Age > maxAge:
		return nil, fmt.Errorf("age of messages: want 1s to 20d, got %s", o.Age)
	case !(o.Sample > 0 && o.Sample <= 1):
		return nil, fmt.Errorf("sample of messages: want a share above 0 and at most 1, got %g", o.Sample)
	case o.Message == nil || o.Route == nil:
		return nil, errors.New("way: want the hashes of messages and routes")
	}
	w := &Way{o: o, limit: math.MaxUint64, since: now.Round(0).UTC(), ring: ring{max: uint32(o.Kept)}, codes: newCodes()}
	if o.Sample < 1 {
		w.limit = uint64(o.Sample * (1 << 63) * 2)
	}
	if o.Kept > 0 {
		w.index = newIndex(o.Kept)
	}
	return w, nil
}

// Published is told of each table once senders can see it.
func (w *Way) Published(t *route.Table) { w.tables.add(t) }

// Took remembers joined observations at the moment now. It keeps nothing of the batch but values.
func (w *Way) Took(batch []route.Observation, now time.Time) {
	if w.o.Kept == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expire(now)
	for i := range batch {
		if o := &batch[i]; o.Hash != 0 && !o.Undated && w.sampled(o) {
			w.take(o, now)
		}
	}
}

func (w *Way) sampled(o *route.Observation) bool {
	return w.limit == math.MaxUint64 || o.Hash^w.o.Route(o.Route) <= w.limit
}

// expire forgets what is too old.
func (w *Way) expire(now time.Time) {
	for w.ring.n > 0 && int64(w.ring.oldest().born)+int64(w.o.Age/time.Second) < now.Unix() {
		w.drop()
	}
}

func (w *Way) drop() {
	r, at := w.ring.oldest(), w.ring.first
	w.index.remove(r.hash, at) // it is not there where its message was submitted again
	w.keys.release(r.key)
	w.ring.pop()
	w.dropped++
}

func (w *Way) take(o *route.Observation, now time.Time) {
	switch o.Kind {
	case route.KindSubmit:
		w.submit(o, now)
	case route.KindReceipt, route.KindConversion, route.KindContradiction:
		if r := w.answered(o, now); r != nil {
			r.answer(o, w.codes.of(o.Code))
		}
	case route.KindWithdrawn:
		if r := w.find(o.Hash); r != nil {
			r.flags |= flagWithdrawn
			r.code, r.fault = w.codes.of(o.Code), o.Fault
		}
	case route.KindLost:
		if r := w.find(o.Hash); r != nil {
			r.flags |= flagForgotten
		}
	}
}

func (w *Way) find(hash uint64) *record {
	if at, ok := w.index.find(hash, &w.ring); ok {
		return w.ring.at(at)
	}
	return nil
}

func (w *Way) submit(o *route.Observation, now time.Time) {
	r := w.push(o, o.Time, now)
	r.flags |= flagSubmitted
	r.result, r.fault, r.code = o.Result, o.Fault, w.codes.of(o.Code)
	r.latency = latencyOf(o.Latency)
	if o.Used.Epoch <= math.MaxUint32 && o.Used.Number <= math.MaxUint32 {
		r.epoch, r.number = uint32(o.Used.Epoch), uint32(o.Used.Number)
	}
}

// answered is the record that an answer belongs to: the last submit of its message on its route, or, where none was seen
// and the answer says when it was, one made of that.
func (w *Way) answered(o *route.Observation, now time.Time) *record {
	if r := w.find(o.Hash); r != nil || o.Submitted.IsZero() || o.Class == "" {
		return r
	}
	return w.push(o, o.Submitted, now)
}

// push makes a record, and forgets the oldest where there is no room.
func (w *Way) push(o *route.Observation, submitted, now time.Time) *record {
	if w.ring.n == w.ring.max {
		w.drop()
	}
	earlier := uint32(0)
	at, again := w.index.find(o.Hash, &w.ring)
	if again {
		earlier = at + 1
		w.index.remove(o.Hash, at)
	}
	at = w.ring.push(record{hash: o.Hash, submitted: submitted.UnixNano(), born: uint32(now.Unix()), key: w.keys.take(o.Key()), earlier: earlier})
	w.index.insert(o.Hash, at)
	return w.ring.at(at)
}

// Window says what is remembered. It is an alias, so that those who serve it can declare the same fields.
type Window = struct {
	Since    time.Time      `json:"since"`    // when the oldest that is remembered came; where none was forgotten, when remembering began
	Messages int            `json:"messages"` // submits that are remembered
	Kept     int            `json:"kept"`     // at most
	Age      route.Duration `json:"age"`      // at most
	Sample   float64        `json:"sample"`   // share of the ids
}

func (w *Way) window() Window {
	out := Window{Since: w.since, Messages: int(w.ring.n), Kept: w.o.Kept, Age: route.Duration(w.o.Age), Sample: w.o.Sample}
	if w.dropped > 0 && w.ring.n > 0 {
		out.Since = time.Unix(int64(w.ring.oldest().born), 0).UTC()
	}
	return out
}

// Find returns the attempts of a message by the moment of their submit, on the route by or, where that is empty, on all.
// The error says why there are none.
func (w *Way) Find(id string, by route.ID, now time.Time) ([]Attempt, Window, error) {
	if w.o.Kept == 0 {
		return nil, Window{}, errors.New("messages are not kept, as signalbox runs with --messages.kept 0")
	}
	hash := w.o.Message(id)
	found, window, err := w.search(hash, by, now)
	for i := range found {
		w.tables.stand(&found[i])
	}
	return found, window, err
}

func (w *Way) search(hash uint64, by route.ID, now time.Time) ([]Attempt, Window, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expire(now)
	var found []Attempt
	elsewhere := false
	for _, id := range w.keys.routes() {
		at, ok := w.index.find(hash^w.o.Route(id), &w.ring)
		if elsewhere = elsewhere || ok; ok && (by == "" || by == id) {
			found = w.chain(found, at)
		}
	}
	slices.SortStableFunc(found, func(a, b Attempt) int { return a.Time.Compare(b.Time) })
	if len(found) == 0 {
		return nil, w.window(), w.missing(hash, by, elsewhere)
	}
	return found, w.window(), nil
}

// chain adds the record at a place and those of the same message and route before it.
func (w *Way) chain(found []Attempt, at uint32) []Attempt {
	for {
		r := w.ring.at(at)
		found = append(found, w.attempt(r))
		if r.earlier == 0 {
			return found
		}
		next := r.earlier - 1
		if w.ring.age(next) >= w.ring.age(at) || w.ring.at(next).hash != r.hash {
			return found // the earlier one has been forgotten, and something else is there
		}
		at = next
	}
}

// missing says why a message is not there.
func (w *Way) missing(hash uint64, by route.ID, elsewhere bool) error {
	x := w.window()
	since := x.Since.Format(time.RFC3339)
	switch {
	case elsewhere:
		return fmt.Errorf("the message did not go by route %.64q since %s; it went by others", by, since)
	case hash > w.limit:
		return fmt.Errorf("the id is not in the sample: --messages.sample keeps %g%% of the ids, and this is not one", 100*w.o.Sample)
	case w.dropped == 0:
		return fmt.Errorf("no message with this id has come since %s, when signalbox began to remember messages", since)
	case w.ring.n == 0:
		return fmt.Errorf("no message of the last %s is remembered, so it never came or is older", x.Age)
	}
	return fmt.Errorf("no message with this id is among the %d that are remembered, the oldest of which came at %s: it never came or is older; at most %d are kept, for at most %s", x.Messages, since, x.Kept, x.Age)
}
