package controller

import (
	"errors"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/signal"
)

// errNoLane is why a policy without lanes is not put in force.
var errNoLane = errors.New("policy: want at least one lane, got none")

// Plan says what a policy would change if it came into force now. It reads what the last round saw, and leaves the loop
// alone.
func (c *Controller) Plan(candidate *policy.Policy) (decide.Planned, error) {
	if len(candidate.Lanes) == 0 {
		return decide.Planned{}, errNoLane
	}
	v := c.view.Load()
	next := time.Now().UTC().Truncate(signal.Tick).Add(signal.Tick)
	if !next.After(v.World.At) {
		next = v.World.At.Add(signal.Tick) // the clock was set back
	}
	return decide.Plan(v.Policy, candidate, v.World, v.seen(), next, decide.Options{Mode: c.o.Mode}), nil
}

// Policy is the policy in force.
func (c *Controller) Policy() *policy.Policy { return c.view.Load().Policy }
