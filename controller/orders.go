package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// Ordered is what an operator's order led to, or would lead to. It is an alias, so that those who serve it can declare the
// same fields instead of importing this package.
type Ordered = struct {
	Done       bool                 `json:"done"`       // false: it is shown, and has not been done
	Generation route.Generation     `json:"generation"` // of the table before it, where it is shown; after it, where it is done
	Decisions  []route.Decision     `json:"decisions"`
	Lanes      []decide.PlannedLane `json:"lanes"`              // those that senders see change
	Warnings   []decide.Warning     `json:"warnings,omitempty"` // what guards hold against it that it passes over
}

// ErrNotStored is the answer to an order that could not be made durable: nothing has changed, unless the error says that
// the disk did not confirm it.
var ErrNotStored = errors.New("the order could not be stored")

type ordering struct {
	order route.Order
	done  chan answer
}

type answer struct {
	Ordered
	err error
}

// Order does what an operator orders, and returns once it is durable. Its errors are those of decide.Obey, ErrNotStored,
// and one that wraps context.Canceled where nobody is left to do it.
func (c *Controller) Order(ctx context.Context, o route.Order) (Ordered, error) {
	r := ordering{o, make(chan answer, 1)}
	select {
	case c.orders <- r:
	case <-ctx.Done():
		return Ordered{}, errStopped
	}
	a := <-r.done // the loop answers whatever it has taken
	return a.Ordered, a.err
}

// Preview says what an order would lead to now. It reads what the last round saw, and leaves the loop alone.
func (c *Controller) Preview(o route.Order) (Ordered, error) {
	v := c.view.Load()
	now := time.Now().Round(0).UTC()
	out, err := decide.Obey(v.Policy, v.World, v.seen(), o, now)
	if err != nil {
		return Ordered{}, err
	}
	return ordered(v, o, out, now), nil
}

func ordered(v *View, o route.Order, out decide.Outcome, now time.Time) Ordered {
	return Ordered{Generation: v.World.Generation, Decisions: out.Decisions, Lanes: decide.Effects(v.Policy, v.World, out, now),
		Warnings: decide.Warnings(v.Policy, v.World, v.seen(), o, now)}
}

// order does an operator's order in the loop.
func (c *Controller) order(o route.Order, now time.Time) (Ordered, error) {
	v := c.view.Load()
	c.watchClock(now, c.passed(c.last, now)) // what is done now must not be taken for what was there before a jump
	at := now.Round(0).UTC()
	before := View{Policy: c.engine.Policy, World: c.engine.World, Signals: v.Signals, Wide: v.Wide}
	out, err := decide.Obey(before.Policy, before.World, before.seen(), o, at)
	if err != nil {
		c.metrics.ordered("refused")
		return Ordered{}, err
	}
	out = c.engine.Priced(out)
	done := ordered(&before, o, out, at)
	if !c.commit(out, now) {
		c.metrics.ordered("not_stored")
		return Ordered{}, c.notStored(o, out, before.World, at)
	}
	c.recordOrder(o, before.World, at)
	out.Signals, out.Wide = v.Signals, v.Wide // until the next round
	c.show(out)
	c.metrics.ordered("done")
	done.Done, done.Generation = true, out.World.Generation
	return done, nil
}

// notStored says whether an order whose commit failed may stand all the same. One that does is recorded, as the rounds that
// follow go by it.
func (c *Controller) notStored(o route.Order, out decide.Outcome, was route.World, at time.Time) error {
	if c.holds(out) {
		c.recordOrder(o, was, at)
		return fmt.Errorf("%w: the disk did not confirm it, so that it may be in force or not: look before ordering it again", ErrNotStored)
	}
	return fmt.Errorf("%w, and nothing has changed: %v", ErrNotStored, c.failing) // the cause is for people alone
}

// Overrides are the operators' orders in force, oldest first.
func (c *Controller) Overrides() []route.Override { return c.view.Load().World.Overrides }

// Proposals are those that wait for a person now.
func (c *Controller) Proposals() []decide.Waiting {
	return decide.Proposals(c.view.Load().World, time.Now())
}
