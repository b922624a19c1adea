package signal

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"signalbox/rules/route"
)

// clock tells the time of one route: how far its sources have got. Ages of its messages advance with it, never with the
// wall clock alone, so that a silent source makes no message look old.
type clock struct {
	own     source           // events that name no source
	links   []*link          // sources that name themselves, or list the route in a heartbeat; by name
	byName  map[string]*link // the same
	reached time.Time        // how far all of them had got at the last reading

	late      share         // submits that came too late
	lagging   share         // receipts that came too late
	tardy     share         // conversions that came too late, as where a batch job reports them
	early     share         // receipts that are dated before their messages
	astray    share         // receipts that wait for their message
	unmatched share         // receipts whose message never came
	began     time.Time     // when the first message of the route was heard of
	doubted   time.Time     // until when receipts are not trusted to find their messages
	lag, was  time.Duration // the longest delay of receipts on their way to us, in this and the last five minutes
	lagBegan  time.Time
	cut       time.Time // messages submitted before are not judged
	cutBy     string    // why: what happened then
	mute      string    // a source that brought receipts and is away; nothing is judged until receipts flow again
	muteProof string    // the same of conversions; only they are not judged
}

// maxLinks bounds the sources that one route's clock waits for.
const maxLinks = 1024

// reading is what a clock says.
type reading struct {
	at         time.Time // how far the route's messages may be judged
	heard      time.Time // how far the foremost source has got
	cut        time.Time // messages submitted before are not judged
	cutBy      string    // why
	cause      string    // why nothing may be judged; "" where something may
	confused   bool      // what comes in now cannot be dated, so that nothing can be learned from it
	conversion string    // why conversions may not be judged; "" where they may
	timing     string    // why nothing can be said of how long receipts take; "" where something can
}

// read tells the time of the route.
func (c *clock) read(now time.Time) reading {
	var oldest, newest *link
	counted, dropped := 0, ""
	for _, l := range c.links {
		if l.source.away(now) {
			if c.drop(l) {
				dropped = l.name
			}
			continue
		}
		l.counted = true
		counted++
		c.skip(l.source.resumed, l.name, cameBack)
		if oldest == nil || l.source.watermark.Before(oldest.source.watermark) {
			oldest = l
		}
		if newest == nil || l.source.watermark.After(newest.source.watermark) {
			newest = l
		}
	}
	switch {
	case oldest == nil && len(c.links) > 0:
		return reading{cause: fmt.Sprintf("no event and no heartbeat from %s for more than %s", list(c.links), route.Duration(silentAfter))}
	case oldest == nil:
		return c.readOwn(now)
	}
	if dropped != "" { // the clock that went away may have been a wrong one
		c.skip(newest.source.watermark, dropped, wentAway)
	}
	if skew := newest.source.watermark.Sub(oldest.source.watermark); skew > skewAllowed {
		return differ(oldest.name, newest.name, skew)
	}
	return c.readBeside(oldest, newest, counted, now)
}

// heard is how far the route's sources have got on their own clock.
func (c *clock) heard() time.Time {
	at := c.own.watermark
	for _, l := range c.links {
		if l.source.watermark.After(at) {
			at = l.source.watermark
		}
	}
	return at
}

// readBeside tells the time of a route whose sources, of which some are counted, agree on it, and of which events that
// name no source may tell too.
func (c *clock) readBeside(oldest, newest *link, counted int, now time.Time) reading {
	at := oldest.source.watermark
	if !c.own.away(now) {
		ahead := c.own.watermark.Sub(at)
		if ahead.Abs() > skewAllowed {
			return differ(oldest.name, "the events that name no source", ahead.Abs())
		}
		if counted == 1 && ahead > 0 && ahead <= silentAfter {
			at = c.own.watermark // between two heartbeats, the route's own events tell the time
		}
	}
	return c.judge(at, newest.source.watermark, now)
}

// differ is the reading of a route whose sources do not agree on the time.
func differ(a, b string, by time.Duration) reading {
	return reading{confused: true, cause: fmt.Sprintf("the clocks of %s and %s differ by %s", a, b, route.Duration(by.Round(time.Second)))}
}

// readOwn tells the time of a route whose events name no source.
func (c *clock) readOwn(now time.Time) reading {
	if c.own.watermark.IsZero() {
		return reading{cause: "no event and no heartbeat yet"}
	}
	if c.own.away(now) {
		return reading{cause: fmt.Sprintf("no event for more than %s, and no source sends heartbeats for the route", route.Duration(silentAfter))}
	}
	c.skip(c.own.resumed, "events", cameBack)
	return c.judge(c.own.watermark, c.own.watermark, now)
}

// Why messages are not judged.
const (
	wentAstray = "came whose ids matched nothing"
	wentAway   = "went silent"
	cameBack   = "came back from a silence"
	forgotten  = "were forgotten before their receipts came"
)

// drop leaves a source out that went away. The messages it had submitted may never be answered, so judging starts anew
// with those of the others; where it brought receipts, only once receipts flow again. It reports whether the source had
// counted until now.
func (c *clock) drop(l *link) bool {
	if !l.counted {
		return false
	}
	l.counted = false
	c.skip(l.source.watermark.Add(silentAfter), l.name, wentAway)
	if l.receipts {
		c.mute = l.name
	}
	if l.conversions {
		c.muteProof = l.name
	}
	return true
}

// forget drops the sources that are no longer expected.
func (c *clock) forget(now time.Time) {
	kept := c.links[:0]
	for _, l := range c.links {
		if now.Sub(l.source.moved) <= forgottenAfter {
			kept = append(kept, l)
			continue
		}
		c.drop(l)
		delete(c.byName, l.name)
	}
	clear(c.links[len(kept):])
	c.links = kept
}

// skip leaves out the messages submitted before a moment, because of what someone did.
func (c *clock) skip(to time.Time, who, what string) {
	if to.After(c.cut) {
		c.cut, c.cutBy = to, who+" "+what
	}
}

func (c *clock) judge(at, heard, now time.Time) reading {
	c.reached = at
	if c.cut.Sub(at) > setBackAfter { // made by a clock that has been set back since
		c.cut, c.cutBy = at, "the clock was set back"
	}
	switch {
	case c.mute != "":
		return reading{cause: "no receipt since " + c.mute + ", which brought receipts, went silent"}
	case c.late.above(now, lateMemory, disorderLeft):
		return reading{confused: true, cause: "submits arrive out of order, more than " + route.Duration(lateAfter).String() + " late"}
	case c.lagging.above(now, lagMemory, disorderLeft):
		return reading{confused: true, cause: "receipts arrive out of order, more than " + route.Duration(lagAllowed).String() + " late"}
	case c.early.above(now, lagMemory, disorderLeft):
		return reading{confused: true, cause: "receipts are dated before their messages were submitted: the clocks of the sources differ"}
	}
	if cause := c.strays(at, now); cause != "" {
		return reading{confused: true, cause: cause}
	}
	r := reading{at: at.Add(-c.delay(now)), heard: heard, cut: c.cut, cutBy: c.cutBy, timing: c.apart(now)}
	switch {
	case c.muteProof != "":
		r.conversion = "no conversion since " + c.muteProof + ", which brought conversions, went silent"
	case c.tardy.above(now, lagMemory, disorderLeft):
		r.conversion = "conversions arrive more than " + route.Duration(lagAllowed).String() + " late, as from a job that reports them in batches"
	}
	return r
}

// strays says what is wrong with the ids of receipts, or nothing. Receipts that belong to no message known leave their
// messages looking silent.
// It is doubted for a while, and the messages of that time are never judged.
func (c *clock) strays(at, now time.Time) string {
	astray, unmatched := astrayLeft, unmatchedLeft
	if now.Sub(c.began) < strayGrace {
		astray, unmatched = strayAll, strayAll
	}
	if c.astray.above(now, astrayMemory, astray) || c.unmatched.above(now, unmatchedMemory, unmatched) {
		c.doubted = now.Add(doubtFor)
	}
	if !now.Before(c.doubted) {
		return ""
	}
	c.skip(at, "receipts", wentAstray)
	return "receipts have ids that match no submit: look at how the carrier writes its ids"
}

// delay is how late receipts have been on their way from the source to us.
func (c *clock) delay(now time.Time) time.Duration {
	c.turn(now)
	return min(max(c.lag, c.was), lagAllowed)
}

func (c *clock) turn(now time.Time) {
	if gap := now.Sub(c.lagBegan); gap >= 5*time.Minute || gap < 0 {
		c.was, c.lag, c.lagBegan = c.lag, 0, now
		if gap >= 10*time.Minute || gap < 0 {
			c.was = 0
		}
	}
}

// link is what a named source means to the route, or nil beyond maxLinks; s is known to the book under the name.
func (c *clock) link(name string, s *source) *link {
	if l := c.byName[name]; l != nil {
		return l
	}
	if len(c.links) >= maxLinks {
		return nil
	}
	if c.byName == nil {
		c.byName = map[string]*link{}
	}
	l := &link{name: name, source: s}
	c.byName[name] = l
	at := sort.Search(len(c.links), func(i int) bool { return c.links[i].name >= name })
	c.links = append(c.links, nil)
	copy(c.links[at+1:], c.links[at:])
	c.links[at] = l
	return l
}

// submit notes a submit and reports whether it came in time to be judged.
func (c *clock) submit(s *source, at, now time.Time) bool {
	late := c.behind(s, at) > lateAfter
	c.late.note(now, lateMemory, late)
	return !late
}

// behind is how far an event lies behind its source, or behind what has been judged, whichever is more.
func (c *clock) behind(s *source, at time.Time) time.Duration {
	if c.reached.After(s.watermark) {
		return c.reached.Sub(at)
	}
	return s.watermark.Sub(at)
}

// receipt notes a receipt or conversion of a message of the given age.
func (c *clock) receipt(s *source, l *link, o *route.Observation, now time.Time) {
	if o.Kind == route.KindConversion {
		c.muteProof = ""
	} else {
		c.mute = ""
		c.astray.note(now, astrayMemory, false)
		if o.Waited {
			c.astray.excuse()
		}
		c.unmatched.note(now, unmatchedMemory, false)
	}
	if l != nil {
		l.conversions = l.conversions || o.Kind == route.KindConversion
		l.receipts = l.receipts || o.Kind == route.KindReceipt
	}
	behind := c.behind(s, o.Time)
	if o.Kind == route.KindConversion {
		c.tardy.note(now, lagMemory, behind > lagAllowed)
	} else {
		c.lagging.note(now, lagMemory, behind > lagAllowed)
	}
	c.early.note(now, lagMemory, o.Submitted.Sub(o.Time) > earlyAllowed)
	if batch := o.Kind == route.KindConversion && behind > lagAllowed; behind > tickSeconds*time.Second && !batch {
		c.turn(now)
		c.lag = max(c.lag, min(behind, lagAllowed))
	}
}

func list(links []*link) string {
	if len(links) > 3 {
		return fmt.Sprintf("%s, %s and %d more", links[0].name, links[1].name, len(links)-2)
	}
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = l.name
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return names[0]
}
