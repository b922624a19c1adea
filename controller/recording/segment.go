package recording

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"signalbox/rules/route"
)

// segment is a file that is written: one frame of zstd, in which each flush ends a block.
type segment struct {
	name    string
	number  int
	began   time.Time // by the loop
	opened  time.Time // with its monotonic reading
	file    *os.File
	written counter
	zip     *zstd.Encoder
	buf     []byte
	at      time.Time // as written last
	dirty   bool      // not flushed
	marked  bool      // a mark was written and is not flushed
	unsure  bool      // flushed and not synced
	synced  time.Time
}

// counter counts what goes to the file.
type counter struct {
	to *os.File
	n  int64
}

// Write writes on.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	return n, err
}

// window is how far back the compression looks: little, because there is one for each reader and writer.
const window = 1 << 20

func newSegment(f *os.File, name string, at time.Time, number int) (*segment, error) {
	now := time.Now()
	s := &segment{name: name, number: number, began: at, opened: now, synced: now, file: f, written: counter{to: f}}
	zip, err := zstd.NewWriter(&s.written, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("segment %s: %w", name, err)
	}
	s.zip = zip
	syncFolder(filepath.Dir(name))
	return s, nil
}

// syncFolder makes a new name outlive a loss of power, where the system can do that.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // without it, at the worst a file is missing
		d.Close()
	}
}

func (s *segment) size() int64 { return s.written.n }

func (s *segment) lastAt() time.Time {
	if s.at.IsZero() {
		return s.began
	}
	return s.at
}

// first writes what a segment begins with: the mark of a new process, where it is one, and the baselines.
func (s *segment) first(m route.Mark, known []route.Observation) error {
	if m.Note != route.NoteCarried {
		if err := s.mark(m); err != nil {
			return err
		}
	}
	for i := range known {
		if err := s.line(appendCarried(s.buf[:0], &known[i], m.At)); err != nil {
			return err
		}
	}
	s.at, s.marked = m.At, true // that is, flushed
	return nil
}

// batch writes observations that were taken at a moment.
func (s *segment) batch(batch []route.Observation, at time.Time) error {
	for i := range batch {
		o := &batch[i]
		if o.Kind == route.KindDuplicate { // it counts nowhere
			continue
		}
		var when time.Time
		if !at.Equal(s.at) {
			when = at
		}
		if err := s.line(appendObservation(s.buf[:0], o, when)); err != nil {
			return err
		}
		s.at = at
	}
	return nil
}

// mark writes what was done.
func (s *segment) mark(m route.Mark) error {
	s.marked = true
	s.at = m.At
	return s.line(appendMark(s.buf[:0], m))
}

func (s *segment) line(b []byte) error {
	s.buf, s.dirty = b, true
	_, err := s.zip.Write(b)
	return err
}

// flush hands over to the system what was written.
func (s *segment) flush() error {
	s.dirty, s.marked, s.unsure = false, false, true
	return s.zip.Flush()
}

// settle flushes what is not, and syncs now and then.
func (s *segment) settle(now time.Time) error {
	if s.dirty {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if !s.unsure || now.Sub(s.synced) < syncEvery {
		return nil
	}
	s.unsure, s.synced = false, now
	return s.file.Sync()
}

func (s *segment) close() error {
	err := s.zip.Close()
	if err == nil {
		err = s.file.Sync()
	}
	if closing := s.file.Close(); err == nil {
		err = closing
	}
	return err
}
