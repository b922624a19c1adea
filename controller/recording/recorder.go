// Package recording keeps what the loop took and when it judged, in compressed files that signalbox replay reads: lines
// of JSON as POST /events takes them, joined, with marks between them. It is bounded, and never in the way of a decision:
// what cannot be written is counted and left out.
package recording

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/rules/route"
)

// What happens how often.
const (
	retryAfter = 10 * time.Second // once writing failed
	syncEvery  = 30 * time.Second // what was flushed is made to outlive a loss of power
	pruneEvery = time.Minute
)

// maxSegment is the size of a segment, in bytes, from which on the next one is begun; smaller where Size is small, so that
// there are always some, and dropping the oldest drops little.
const maxSegment = 64 << 20

// Recorder takes what the loop hands over and writes it in a goroutine of its own. Its methods may be called by one
// goroutine beside Run, and never wait.
//
// What was flushed outlives the death of the process, by whatever signal; what was synced outlives the machine's. A
// segment is synced when it ends and every 30 seconds. The file that a death leaves ends in the middle of a block: who
// reads it gets all that was flushed. No file is ever written to again by another process.
type Recorder struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	queue   chan entry
	waiting atomic.Int64  // observations in queue
	due     atomic.Bool   // whether a new segment is wanted
	missing atomic.Uint64 // observations and marks dropped since the last mark that says so
	pool    sync.Pool     // of *[]route.Observation

	// What follows belongs to Run.
	open     func(name string) (*os.File, error)
	closed   []Segment // by their order, without the one that is written
	size     int64     // of those
	number   int       // of the newest segment
	now      *segment  // nil where none could be opened
	failed   time.Time // when writing failed last; zero where it works
	prunedAt time.Time
}

// entry is what the loop hands over: a batch, a mark, or the beginning of a segment with what is known.
type entry struct {
	batch []route.Observation
	mark  route.Mark
	begin bool
}

// New looks at what is recorded already and returns a recorder; nothing is written before Run.
func New(o Options) (*Recorder, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	found, err := Segments(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, log: o.Logger, queue: make(chan entry, 1024), open: create, closed: found}
	for _, s := range found {
		r.size += s.Size
		r.number = max(r.number, s.Number)
	}
	r.due.Store(true)
	r.metrics = newMetrics(o.Registerer)
	r.metrics.show(r.size, len(r.closed))
	return r, nil
}

// create makes a file that must not be there yet.
func create(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Took hands over observations that the loop took at a moment. They are copied.
func (r *Recorder) Took(batch []route.Observation, at time.Time) {
	n := len(batch)
	if n == 0 {
		return
	}
	if r.waiting.Add(int64(n)) > int64(r.o.Queue) {
		r.waiting.Add(-int64(n))
		r.drop(n)
		return
	}
	copied := r.batch(n)
	copy(copied, batch)
	r.put(entry{batch: copied, mark: route.Mark{At: at}})
}

// Mark hands over what the loop did.
func (r *Recorder) Mark(m route.Mark) { r.put(entry{mark: m}) }

// Due reports whether a new segment is wanted; the loop then calls Begin when it next can.
func (r *Recorder) Due() bool { return r.due.Load() }

// Begin begins a segment with the baselines that are known now. The first mark of a process is NoteStart, that of the
// later segments NoteCarried, which says nothing.
func (r *Recorder) Begin(m route.Mark, known []route.Observation) {
	if r.put(entry{batch: known, mark: m, begin: true}) {
		r.due.Store(false)
	}
}

// put reports whether there was room.
func (r *Recorder) put(e entry) bool {
	select {
	case r.queue <- e:
		return true
	default:
	}
	switch {
	case e.begin: // it is asked for again
	case e.mark.Note == route.NoteTaken:
		r.waiting.Add(-int64(len(e.batch)))
		r.drop(len(e.batch))
	default:
		r.missing.Add(1) // a mark that is missing spoils as much as an observation
	}
	return false
}

func (r *Recorder) drop(n int) {
	r.missing.Add(uint64(n))
	r.metrics.dropped.Add(float64(n))
}

func (r *Recorder) batch(n int) []route.Observation {
	if b, ok := r.pool.Get().(*[]route.Observation); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]route.Observation, n, max(n, 256))
}

// Run writes until ctx is done, and then what had been handed over before.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(r.o.Flush)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for range len(r.queue) {
				r.take(<-r.queue, time.Now())
			}
			r.close()
			return nil
		case e := <-r.queue:
			r.take(e, time.Now())
		case now := <-tick.C:
			r.tick(now)
		}
	}
}

// take writes one entry.
func (r *Recorder) take(e entry, now time.Time) {
	switch {
	case e.begin:
		r.begin(e, now)
	case e.mark.Note != route.NoteTaken:
		if !r.write(func(s *segment) error { return s.mark(e.mark) }) {
			r.missing.Add(1)
		}
	default:
		r.waiting.Add(-int64(len(e.batch)))
		r.takeBatch(e)
	}
}

func (r *Recorder) takeBatch(e entry) {
	if !r.write(func(s *segment) error { return s.batch(e.batch, e.mark.At) }) {
		r.drop(len(e.batch))
	} else {
		r.metrics.recorded.Add(float64(len(e.batch)))
	}
	clear(e.batch)
	r.pool.Put(&e.batch)
}

// begin ends the segment that is written and begins the next.
func (r *Recorder) begin(e entry, now time.Time) {
	r.close()
	r.prune(now)
	s, err := r.next(e.mark.At)
	if err != nil {
		r.fail(err, now)
		return
	}
	r.now = s
	if !r.write(func(s *segment) error { return s.first(e.mark, e.batch) }) || r.failed.IsZero() {
		return
	}
	r.failed = time.Time{}
	r.log.Info("recording resumed", "file", s.name)
}

// next opens the next segment.
func (r *Recorder) next(at time.Time) (*segment, error) {
	r.number++
	name := fileName(r.o.Dir, at, r.number)
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	return newSegment(f, name, at, r.number)
}

// write does something to the segment that is written, after the mark of what is missing before it. It reports whether it
// could be done.
func (r *Recorder) write(do func(*segment) error) bool {
	if r.now == nil {
		return false
	}
	err := r.confess()
	if err == nil {
		err = do(r.now)
	}
	if err == nil && r.now.marked {
		err = r.now.flush()
	}
	if err != nil {
		r.fail(err, time.Now())
		return false
	}
	if r.now.size() >= r.segmentSize() {
		r.due.Store(true)
	}
	return true
}

// confess writes that observations are missing, where some are.
func (r *Recorder) confess() error {
	n := r.missing.Swap(0)
	if n == 0 {
		return nil
	}
	return r.now.mark(route.Mark{Note: route.NoteGap, At: r.now.lastAt(), Missing: n})
}

// fail gives up the segment that is written; the next one is tried later.
func (r *Recorder) fail(err error, now time.Time) {
	if r.failed.IsZero() {
		r.log.Error("recording stopped", "err", err, "reason", "what is taken meanwhile is not recorded; deciding goes on")
	}
	r.metrics.errors.Inc()
	r.failed = now
	r.close()
}

// close ends the segment that is written, as far as that can be done.
func (r *Recorder) close() {
	if r.now == nil {
		return
	}
	s := r.now
	r.now = nil
	if err := s.close(); err != nil && r.failed.IsZero() {
		r.log.Warn("segment not closed", "file", s.name, "err", err)
	}
	if s.size() == 0 && os.Remove(s.name) == nil { // a disk that is full leaves nothing but names
		r.show()
		return
	}
	r.closed = append(r.closed, Segment{Path: s.name, Begins: s.began, Number: s.number, Size: s.size()})
	r.size += s.size()
	r.show()
}

func (r *Recorder) show() {
	size, n := r.size, len(r.closed)
	if r.now != nil {
		size, n = size+r.now.size(), n+1
	}
	r.metrics.show(size, n)
}

// tick flushes, asks for the next segment when it is time, and forgets what is beyond the bounds.
func (r *Recorder) tick(now time.Time) {
	if r.now == nil {
		if now.Sub(r.failed) >= retryAfter {
			r.due.Store(true)
		}
		return
	}
	if err := r.now.settle(now); err != nil {
		r.fail(err, now)
		return
	}
	if now.Sub(r.now.opened) >= r.o.Segment {
		r.due.Store(true)
	}
	if now.Sub(r.prunedAt) >= pruneEvery || r.size+r.now.size() > r.o.Size {
		r.prune(now)
	}
	r.show()
}
