// Package scenario drives signals and decisions over observations, in their own time: what the daemon does as they come
// in, and what replay does over a recording, by the same code.
package scenario

import (
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/ledger"
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
	Ledger  *ledger.Ledger  // what messages cost; Use makes an empty one where there is none
}

// Adopt makes p the policy in force at now. What it leads to is not yet part of the engine: it takes effect by Keep.
func (e *Engine) Adopt(p *policy.Policy, now time.Time) decide.Outcome {
	return e.Priced(decide.Adopt(p, e.World, e.Table, now))
}

// Priced says of the decisions of an outcome what the changes cost that they end.
func (e *Engine) Priced(o decide.Outcome) decide.Outcome {
	if e.Ledger != nil {
		e.Ledger.Costs(o.Table, o.Decisions)
	}
	return o
}

// Use makes p the policy that observations are filed and rounds are judged by.
func (e *Engine) Use(p *policy.Policy) {
	e.Policy = p
	terms := map[route.Class]signal.Terms{}
	for i := range p.Classes {
		terms[p.Classes[i].Name] = signal.Terms{Deadline: p.Classes[i].ReceiptDeadline, Within: p.Classes[i].Within}
	}
	e.Book.SetLanes(p.LaneKeys(), terms)
	e.usePrices(p)
}

// usePrices makes p the policy whose prices count.
func (e *Engine) usePrices(p *policy.Policy) {
	if e.Ledger == nil {
		e.Ledger = ledger.New()
	}
	rest := decide.Table(p, route.World{Lanes: fresh(p)}, time.Time{})
	e.Ledger.Use(p, &rest)
	e.Account(nil) // it was in force before a restart
}

// fresh are the states of lanes in which nothing has happened.
func fresh(p *policy.Policy) []route.LaneState {
	lanes := make([]route.LaneState, len(p.Lanes))
	for i := range p.Lanes {
		lanes[i].Lane = p.Lanes[i].Lane
	}
	return lanes
}

// Observe counts one joined observation at the moment now.
func (e *Engine) Observe(o *route.Observation, now time.Time) {
	e.Book.Observe(o, now)
	e.Ledger.Observe(o, now)
}

// Round judges every lane at now. What it leads to is not yet part of the engine: it takes effect by Keep, so that a
// caller can make it durable first.
func (e *Engine) Round(now time.Time, hold bool) decide.Outcome {
	source := e.Source
	if source == nil {
		source = e.Book
	}
	e.Ledger.Settle()
	return e.Priced(decide.Round(e.Policy, source, e.World, now, decide.Options{Mode: e.Mode, Hold: hold}))
}

// Keep takes over what a round or an adoption led to.
func (e *Engine) Keep(o decide.Outcome) {
	e.World = o.World
	if o.Signals != nil {
		e.Signals, e.Wide = o.Signals, o.Wide
	}
	if o.Table != nil {
		e.Table = o.Table
		e.Ledger.Turn(o.Table, o.Decisions)
	}
}

// Account lets what messages cost go by the table of the engine, where that came otherwise than by Keep; the decisions led
// to it.
func (e *Engine) Account(decisions []route.Decision) {
	if e.Table != nil && e.Ledger.Table() != e.Table {
		e.Ledger.Turn(e.Table, decisions)
	}
}
