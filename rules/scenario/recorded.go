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
		r.engine.Observe(o, m.At)
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
	case route.NoteOrder:
		r.obey(*m.Order, m.At)
	}
	r.now = later(r.now, m.At)
}

// obey gives an operator's order again. What it names has another id here. An order that this policy gives no sense to, or
// that is about what was there before the recording began, is left out.
func (r *Replay) obey(o route.Order, at time.Time) {
	o.Saw = route.Generation{}
	was := o.End
	if o.Override != nil {
		was, o.Replaces = o.Override.ID, r.alike(o.Override)
	}
	o.End = r.orders[o.End]
	if o.Proposal != "" {
		o.Proposal = r.waiting(o.Lane, o.Route, at)
	}
	out, err := decide.Obey(r.engine.Policy, r.engine.World, decide.Seen{Signals: r.engine.Signals, Wide: r.engine.Wide}, o, at)
	if err != nil {
		return
	}
	if o.Override != nil {
		r.orders[was] = out.World.Overrides[len(out.World.Overrides)-1].ID
	}
	out.Signals, out.Wide = r.engine.Signals, r.engine.Wide
	r.keep(r.engine.Priced(out))
}

// alike is the id of the override in force that another takes the place of; "" where there is none.
func (r *Replay) alike(o *route.Override) string {
	for i := range r.engine.World.Overrides {
		if x := &r.engine.World.Overrides[i]; o.Replaces(x) {
			return x.ID
		}
	}
	return ""
}

// waiting is the id of the proposal about a route that waits; "" where none does.
func (r *Replay) waiting(l route.Lane, id route.ID, at time.Time) string {
	for _, x := range decide.Proposals(r.engine.World, at) {
		if x.Lane == l && x.Route == id {
			return x.ID
		}
	}
	return ""
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
