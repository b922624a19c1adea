package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits on streams.
const (
	maxStreams  = 1_000
	streamBeat  = 15 * time.Second // how often a stream that has nothing to tell says that it lives
	streamWrite = 10 * time.Second // how long one write may take before whoever does not read is cut off
)

// streams counts those that are open.
type streams struct {
	open atomic.Int64
	beat time.Duration // of tests; streamBeat where it is 0
}

func (s *streams) ticker() *time.Ticker { return time.NewTicker(cmp.Or(s.beat, streamBeat)) }

// getStream tells of tables, decisions and proposals as they come, as server-sent events. A client that comes back says
// with Last-Event-ID what it had last, and gets what it missed; where that is not kept any more, the event missed says so.
func (a *api) getStream(w http.ResponseWriter, r *http.Request) {
	if a.streams.open.Add(1) > maxStreams {
		a.streams.open.Add(-1)
		a.unavailable(w, r, "streams-full", fmt.Sprintf("%d streams are open, and no more may be", maxStreams))
		return
	}
	defer a.streams.open.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects answers would show nothing
	s := &stream{w: w, c: http.NewResponseController(w)}
	_ = s.c.SetReadDeadline(time.Time{}) // where that cannot be, the stream ends early and the client comes back
	if r.Method == "HEAD" {
		return
	}
	s.follow(a, r)
}

// stream is one client that follows.
type stream struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	last string // the id of the latest news that it was told
	buf  bytes.Buffer
}

// follow tells a client news until it goes away, may not come in any more, or the server stops.
func (s *stream) follow(a *api, r *http.Request) {
	ctx, cancel := untilDrain(r.Context())
	defer cancel()
	if s.last = r.Header.Get("Last-Event-ID"); s.last == "" {
		s.last = a.Feed.Latest()
		s.event(s.last, "generation", a.current())
	}
	beat := a.streams.ticker()
	defer beat.Stop()
	for {
		more := s.tell(a)
		if s.flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-beat.C:
			if !a.mayStay(r) {
				return // whoever comes back is told why
			}
			s.buf.WriteString(": \n\n")
		}
	}
}

// mayStay reports whether a reader that was let in would be let in now, but for how often it calls: its token may have been
// taken away, or have expired.
func (a *api) mayStay(r *http.Request) bool {
	if a.Doors == nil {
		return true
	}
	who, err := a.Doors.Admit(r)
	var told Refusal
	if errors.As(err, &told) && told.After() > 0 {
		return true
	}
	return err == nil && roleOf(who.Role)&readers != 0
}

// tell writes what came since the last news, and returns what is closed when there is more.
func (s *stream) tell(a *api) <-chan struct{} {
	news, missed, more := a.Feed.Follow(s.last)
	if missed && s.last != "" {
		if s.last = a.Feed.Latest(); len(news) == 0 {
			s.event(s.last, "missed", nil)
		} else {
			s.event("", "missed", nil)
		}
	}
	for _, n := range news {
		s.last = n.ID
		if n.Decision != nil {
			s.event(n.ID, n.Kind, n.Decision)
		} else {
			s.event(n.ID, n.Kind, n.ID)
		}
	}
	return more
}

// event writes one event; the id may be "".
func (s *stream) event(id, kind string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		return // decisions and texts always marshal
	}
	if id != "" {
		fmt.Fprintf(&s.buf, "id: %s\n", id)
	}
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", kind, body)
}

// flush sends what was written.
func (s *stream) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	if err := s.c.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := s.buf.WriteTo(s.w); err != nil {
		return err
	}
	return s.c.Flush()
}
