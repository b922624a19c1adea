package controller

import (
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// beginRecording begins a segment of the recording; the first one of a run says that the run began.
func (c *Controller) beginRecording(n route.Note, at time.Time) {
	if c.o.Recorder != nil {
		c.o.Recorder.Begin(route.Mark{Note: n, At: at.Round(0).UTC()}, c.engine.Book.Carried())
	}
}

func (c *Controller) recordTaken(batch []route.Observation, now time.Time) {
	if c.o.Recorder != nil {
		c.o.Recorder.Took(batch, now)
	}
}

// recordRound records that all lanes were judged, and what became of it; at is the moment of the state that it led to.
// Where that state is not in force, it could not be made durable.
func (c *Controller) recordRound(tick time.Time, held bool, at time.Time) {
	if c.o.Recorder == nil {
		return
	}
	m := route.Mark{Note: route.NoteRound, At: tick}
	switch {
	case !c.engine.World.At.Equal(at):
		m.Note = route.NoteUnkept
	case held:
		m.Note = route.NoteHeld
	}
	c.o.Recorder.Mark(m)
	if c.o.Recorder.Due() {
		c.beginRecording(route.NoteCarried, tick)
	}
}

func (c *Controller) recordJump(now time.Time, by time.Duration) {
	if c.o.Recorder != nil {
		c.o.Recorder.Mark(route.Mark{Note: route.NoteJump, At: now.Round(0).UTC(), By: by})
	}
}

// recordOrder records what an operator ordered on a world, so that a replay obeys it too.
func (c *Controller) recordOrder(o route.Order, was route.World, at time.Time) {
	if c.o.Recorder == nil {
		return
	}
	if o.Override != nil {
		o.Override = &c.engine.World.Overrides[len(c.engine.World.Overrides)-1]
	}
	for _, w := range decide.Proposals(was, at) {
		if w.ID == o.Proposal {
			o.Lane, o.Route = w.Lane, w.Route
		}
	}
	c.o.Recorder.Mark(route.Mark{Note: route.NoteOrder, At: at, Order: &o})
}
