package signal

import (
	"fmt"
	"sort"
	"time"

	"signalbox/rules/route"
)

// How sources are trusted to tell the time.
const (
	silentAfter    = 25 * time.Second // a source that says nothing for so long is away
	forgottenAfter = time.Hour        // a source that has been away for so long is no longer expected
	lateAfter      = 30 * time.Second // a submit so far behind its source's own watermark is late and is not judged
	lagAllowed     = 60 * time.Second // receipts may reach us so late before the signal is given up
	skewAllowed    = 60 * time.Second // sources of one route may differ by so much
	disorderLeft   = 0.05             // share of late events above which a route's order is not to be trusted
	disorderMin    = 5                // and how many there must be
)

// source is one instance that reports: where it stands on its own clock, and when it last moved on ours.
type source struct {
	watermark time.Time
	moved     time.Time
	resumed   time.Time // its watermark when it came back from the last silence
}

// heard notes an event or heartbeat of the source.
func (s *source) heard(at, now time.Time) {
	if !s.watermark.IsZero() && at.Sub(s.watermark) > silentAfter {
		s.resumed = at
	}
	if at.After(s.watermark) {
		s.watermark, s.moved = at, now
	}
}

func (s *source) away(now time.Time) bool { return now.Sub(s.moved) > silentAfter }

// share counts events and how many of them were bad, over one to two minutes of our time.
type share struct {
	all, bad       float64
	wasAll, wasBad float64
	turn           time.Time
}

func (s *share) note(now time.Time, bad bool) {
	s.rotate(now)
	s.all++
	if bad {
		s.bad++
	}
}

func (s *share) rotate(now time.Time) {
	gap := now.Sub(s.turn)
	if gap < time.Minute && gap >= 0 {
		return
	}
	s.wasAll, s.wasBad = s.all, s.bad
	if gap >= 2*time.Minute || gap < 0 {
		s.wasAll, s.wasBad = 0, 0
	}
	s.all, s.bad, s.turn = 0, 0, now
}

func (s *share) high(now time.Time) bool {
	s.rotate(now)
	all, bad := s.all+s.wasAll, s.bad+s.wasBad
	return bad >= disorderMin && bad > disorderLeft*all
}

// clock tells the time of one route: how far its sources have got. Ages of its messages advance with it, never with the
// wall clock alone, so that a silent source makes no message look old.
type clock struct {
	own      source           // events that name no source
	sources  map[string]*link // those that do, or that list the route in a heartbeat
	late     share            // submits that came too late
	lagging  share            // receipts that came too late
	lag, was time.Duration    // the longest delay of receipts on their way to us, in this and the last five minutes
	lagTurn  time.Time
	cut      time.Time // messages submitted before are not judged
	mute     string    // a source that brought receipts and is away; nothing is judged until receipts flow again
}

// link is what one source means to one route.
type link struct {
	source   *source
	counted  bool // it counted towards the route's clock at the last reading
	receipts bool // it has brought receipts
}

// reading is what a clock says.
type reading struct {
	at    time.Time // how far the route's messages may be judged
	cut   time.Time // messages submitted before are not
	cause string    // why nothing may be judged; "" where something may
}

// read tells the time of the route.
func (c *clock) read(now time.Time) reading {
	names := make([]string, 0, len(c.sources))
	for name := range c.sources {
		names = append(names, name)
	}
	sort.Strings(names)
	oldest, newest, who := time.Time{}, time.Time{}, [2]string{}
	for _, name := range names {
		l := c.sources[name]
		if l.source.away(now) {
			c.drop(name, l, now)
			continue
		}
		l.counted = true
		c.skip(l.source.resumed)
		if w := l.source.watermark; oldest.IsZero() || w.Before(oldest) {
			oldest, who[0] = w, name
		}
		if w := l.source.watermark; w.After(newest) {
			newest, who[1] = w, name
		}
	}
	switch {
	case oldest.IsZero() && len(names) > 0:
		return reading{cause: fmt.Sprintf("no event and no heartbeat from %s for more than %s", list(names), route.Duration(silentAfter))}
	case newest.Sub(oldest) > skewAllowed:
		return reading{cause: fmt.Sprintf("the clocks of %s and %s differ by %s", who[0], who[1], route.Duration(newest.Sub(oldest).Round(time.Second)))}
	case oldest.IsZero():
		return c.readOwn(now)
	}
	if w := c.own.watermark; w.After(oldest) && w.Sub(oldest) <= silentAfter {
		oldest = w // between two heartbeats, the route's own events tell the time
	}
	return c.judge(oldest, now)
}

// readOwn tells the time of a route whose events name no source.
func (c *clock) readOwn(now time.Time) reading {
	if c.own.watermark.IsZero() {
		return reading{cause: "no event and no heartbeat yet"}
	}
	if c.own.away(now) {
		return reading{cause: fmt.Sprintf("no event for more than %s, and no source sends heartbeats for the route", route.Duration(silentAfter))}
	}
	c.skip(c.own.resumed)
	return c.judge(c.own.watermark, now)
}

// drop leaves a source out that went away. The messages it had submitted may never be answered, so judging starts anew
// with those of the others; where it brought receipts, only once receipts flow again.
func (c *clock) drop(name string, l *link, now time.Time) {
	if now.Sub(l.source.moved) > forgottenAfter {
		delete(c.sources, name)
	}
	if !l.counted {
		return
	}
	l.counted = false
	c.skip(l.source.watermark.Add(silentAfter))
	if l.receipts {
		c.mute = name
	}
}

func (c *clock) skip(to time.Time) {
	if to.After(c.cut) {
		c.cut = to
	}
}

func (c *clock) judge(at, now time.Time) reading {
	switch {
	case c.mute != "":
		return reading{cause: "no receipt since " + c.mute + ", which brought receipts, went silent"}
	case c.late.high(now):
		return reading{cause: "submits arrive out of order, more than " + route.Duration(lateAfter).String() + " late"}
	case c.lagging.high(now):
		return reading{cause: "receipts arrive out of order, more than " + route.Duration(lagAllowed).String() + " late"}
	}
	return reading{at: at.Add(-c.delay(now)), cut: c.cut}
}

// delay is how late receipts have been on their way from the source to us.
func (c *clock) delay(now time.Time) time.Duration {
	c.turn(now)
	return min(max(c.lag, c.was), lagAllowed)
}

func (c *clock) turn(now time.Time) {
	if gap := now.Sub(c.lagTurn); gap >= 5*time.Minute || gap < 0 {
		c.was, c.lag, c.lagTurn = c.lag, 0, now
		if gap >= 10*time.Minute || gap < 0 {
			c.was = 0
		}
	}
}

// link is what a named source means to the route; s is known to the book under the name.
func (c *clock) link(name string, s *source) *link {
	l := c.sources[name]
	if l == nil {
		if c.sources == nil {
			c.sources = map[string]*link{}
		}
		l = &link{source: s}
		c.sources[name] = l
	}
	return l
}

// submit notes a submit and reports whether it came in time to be judged.
func (c *clock) submit(s *source, at, now time.Time) bool {
	late := s.watermark.Sub(at) > lateAfter
	c.late.note(now, late)
	return !late
}

// receipt notes a receipt or conversion.
func (c *clock) receipt(s *source, l *link, at, now time.Time) {
	if l != nil {
		l.receipts = true
	}
	c.mute = ""
	behind := s.watermark.Sub(at)
	c.lagging.note(now, behind > lagAllowed)
	if behind > tickSeconds*time.Second {
		c.turn(now)
		c.lag = max(c.lag, min(behind, lagAllowed))
	}
}

func list(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s, %s and %d more", names[0], names[1], len(names)-2)
	}
	s := names[0]
	for i, n := range names[1:] {
		if i == len(names)-2 {
			s += " and " + n
		} else {
			s += ", " + n
		}
	}
	return s
}
