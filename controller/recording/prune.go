package recording

import (
	"os"
	"time"
)

// segmentSize is the size from which on the next segment is begun.
func (r *Recorder) segmentSize() int64 { return min(maxSegment, r.o.Size/16) }

// prune forgets the oldest segments beyond the bounds of size and age, and leaves room for the one that is written.
func (r *Recorder) prune(now time.Time) {
	r.prunedAt = now
	for len(r.closed) > 0 && (r.tooMuch() || r.tooOld(now)) {
		oldest := r.closed[0]
		if err := os.Remove(oldest.Path); err != nil && !os.IsNotExist(err) {
			r.log.Warn("segment not removed", "file", oldest.Path, "err", err)
			break
		}
		r.closed = r.closed[1:]
		r.size -= oldest.Size
	}
}

func (r *Recorder) tooMuch() bool {
	room := r.segmentSize()
	if r.now != nil {
		room = max(room, r.now.size())
	}
	return r.size+room > r.o.Size
}

// tooOld reports whether the oldest segment ended too long ago: it ended where the next one begins.
func (r *Recorder) tooOld(now time.Time) bool {
	end := now
	switch {
	case len(r.closed) > 1:
		end = r.closed[1].Begins
	case r.now != nil:
		end = r.now.began
	}
	return now.Sub(end) > r.o.Age
}
