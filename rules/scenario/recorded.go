package scenario

import (
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Take takes what a recording has next. An observation counts at the moment at which it was taken; a mark repeats what was
// done then: where it says that every lane was judged, every lane is judged, at the same moment.
func (r *Replay) Take(o *route.Observation, m route.Mark) {
	if !r.started {
		r.begin(m.At)
	}
	if m.Note != route.NoteCarried {
		r.recall()
	}
	switch m.Note {
	case route.NoteTaken:
		r.engine.Book.Observe(o, m.At)
	case route.NoteCarried:
		r.engine.Book.Carry(o)
	case route.NoteStart:
		r.restart()
	case route.NoteRound, route.NoteHeld:
		r.keep(r.engine.Round(m.At, m.Note == route.NoteHeld))
	case route.NoteUnkept:
		r.engine.Round(m.At, false)
	case route.NoteJump:
		r.engine.World = decide.Shift(r.engine.World, m.By)
	}
	r.now = later(r.now, m.At)
}

// restart forgets what a process does that ends: what it had seen. Its state is kept, as the store kept it, and its
// baselines are those that the segment carries, which were stored too.
func (r *Replay) restart() {
	r.known = r.engine.Book.Carried()
	r.engine.Book = signal.New(r.options)
	r.engine.Use(r.engine.Policy)
}

// recall keeps the baselines from before a restart of which the segment carried none: of lanes that only this policy has.
func (r *Replay) recall() {
	for i := range r.known {
		r.engine.Book.Carry(&r.known[i])
	}
	r.known = nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
