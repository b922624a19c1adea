package signal

import "time"

// How sources are trusted to tell the time.
const (
	silentAfter    = 25 * time.Second // a source that says nothing for so long is away
	forgottenAfter = time.Hour        // a source that has been away for so long is no longer expected
	setBackAfter   = 5 * time.Minute  // a source that has been behind itself for so long has had its clock set back
	lateAfter      = 30 * time.Second // a submit so far behind its source's own watermark is late and is not judged
	lagAllowed     = 60 * time.Second // receipts may reach us so late before the signal is given up
	skewAllowed    = 60 * time.Second // sources of one route may differ by so much
	strayGrace     = 5 * time.Minute  // after the beginning, receipts of earlier messages match nothing
	doubtFor       = 60 * time.Second // receipts are doubted after too many matched nothing
	earlyAllowed   = 5 * time.Second  // a receipt may be dated so long before its submit
)

// source is one instance that reports: where it stands on its own clock, and when it last moved on ours.
type source struct {
	watermark time.Time
	moved     time.Time
	resumed   time.Time // its watermark when it came back from the last silence
	offset    offset    // of its clock to ours
}

// heard notes an event or heartbeat of the source.
func (s *source) heard(at, now time.Time) {
	setBack := s.watermark.Sub(at) > skewAllowed && now.Sub(s.moved) > setBackAfter
	if setBack || !s.watermark.IsZero() && at.Sub(s.watermark) > silentAfter {
		s.resumed = at
	}
	if setBack || at.After(s.watermark) {
		s.watermark, s.moved = at, now
		if setBack {
			s.offset = offset{}
		}
		s.offset.note(at, now)
	}
}

func (s *source) away(now time.Time) bool { return now.Sub(s.moved) > silentAfter }

// link is what one source means to one route.
type link struct {
	name        string
	source      *source
	counted     bool // it counted towards the route's clock at the last reading
	submits     bool // it has told of submits
	receipts    bool // it has brought receipts
	conversions bool // it has brought conversions
}

// How much disorder there may be among the events of a route.
const (
	disorderLeft  = 0.05 // share of bad events above which a route's order is not to be trusted
	disorderMin   = 5    // and how many there must be
	learnLeft     = 0.01 // share above which nothing is learned from them
	astrayLeft    = 0.25 // share of receipts waiting for their submit: it may be told some seconds after them
	unmatchedLeft = 0.1  // share of receipts whose submit never came
	strayAll      = 0.9  // both, while receipts of messages from before the beginning are still to come
)

// How long disorder is remembered, on our clock, before half of it is forgotten.
const (
	lateMemory      = time.Minute
	unmatchedMemory = time.Minute
	astrayMemory    = 15 * time.Second // it has to be noticed before the silence is
	lagMemory       = 10 * time.Minute // longer than the batches that receipts come in
)

// share counts events and how many of them were bad, over one to two turns of our time.
type share struct {
	all, bad       float64
	wasAll, wasBad float64
	began          int64 // nanoseconds since the Unix epoch
}

func (s *share) note(now time.Time, turn time.Duration, bad bool) {
	s.rotate(now, turn)
	s.all++
	if bad {
		s.bad++
	}
}

// excuse takes back that one event was bad.
func (s *share) excuse() {
	if s.bad > 0 {
		s.bad--
	} else {
		s.wasBad = max(0, s.wasBad-1)
	}
}

func (s *share) rotate(now time.Time, turn time.Duration) {
	gap := time.Duration(now.UnixNano() - s.began)
	if gap < turn && gap >= 0 {
		return
	}
	s.wasAll, s.wasBad = s.all, s.bad
	if gap >= 2*turn || gap < 0 {
		s.wasAll, s.wasBad = 0, 0
	}
	s.all, s.bad, s.began = 0, 0, now.UnixNano()
}

// above reports whether enough events, and more than a share of all, are bad.
func (s *share) above(now time.Time, turn time.Duration, limit float64) bool {
	s.rotate(now, turn)
	all, bad := s.all+s.wasAll, s.bad+s.wasBad
	return bad >= disorderMin && bad > limit*all
}
