// Package scenario drives signals and decisions over observations, in their own time: what the daemon does as they come
// in, and what replay does over a recording, by the same code.
package scenario

import (
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Engine holds the cohorts, the policy and the state, and judges them round by round. It is not safe for use by several
// goroutines.
type Engine struct {
	Book   *signal.Book
	Policy *policy.Policy
	World  route.World
	Table  *route.Table
	Mode   route.Mode // the most that may be done with any verdict; route.Act where it is empty

	Signals []route.Signals // as the last round judged them, of lanes and networks
	Wide    []route.Signals // of routes over all lanes, by the lane whose rules ask for it
	Source  decide.Source   // what rounds are judged by; nil is the book
}

// Adopt makes p the policy in force at now. What it leads to is not yet part of the engine: it takes effect by Keep.
func (e *Engine) Adopt(p *policy.Policy, now time.Time) decide.Outcome {
	return decide.Adopt(p, e.World, e.Table, now)
}

// Use makes p the policy that observations are filed and rounds are judged by.
func (e *Engine) Use(p *policy.Policy) {
	e.Policy = p
	terms := map[route.Class]signal.Terms{}
	for i := range p.Classes {
		terms[p.Classes[i].Name] = signal.Terms{Deadline: p.Classes[i].ReceiptDeadline, Within: p.Classes[i].Within}
	}
	e.Book.SetLanes(p.LaneKeys(), terms)
}

// Round judges every lane at now. What it leads to is not yet part of the engine: it takes effect by Keep, so that a
// caller can make it durable first.
func (e *Engine) Round(now time.Time, hold bool) decide.Outcome {
	source := e.Source
	if source == nil {
		source = e.Book
	}
	return decide.Round(e.Policy, source, e.World, now, decide.Options{Mode: e.Mode, Hold: hold})
}

// Keep takes over what a round or an adoption led to.
func (e *Engine) Keep(o decide.Outcome) {
	e.World = o.World
	if o.Signals != nil {
		e.Signals, e.Wide = o.Signals, o.Wide
	}
	if o.Table != nil {
		e.Table = o.Table
	}
}
