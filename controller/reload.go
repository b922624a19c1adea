package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// PolicyStatus describes the policy in force and the last attempt to change it. It is an alias, so that those who serve
// it can declare the same fields instead of importing this package.
type PolicyStatus = struct {
	Revision    string    `json:"revision"`
	LoadedAt    time.Time `json:"loaded_at"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Problems    []string  `json:"problems,omitempty"`
	Source      any       `json:"source,omitempty"`
}

// Status describes the policy in force.
func (c *Controller) Status() PolicyStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Reload reads the policy again and puts it in force, whole or not at all: where it has problems, or cannot be made
// durable, the old one stays and the error says why.
func (c *Controller) Reload(ctx context.Context) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	p, err := c.o.Load()
	if err == nil {
		err = c.handOver(ctx, p)
	}
	if err != nil {
		c.refused(err)
	}
	return err
}

// Refuse notes that a reload was refused before the policy was read, because of something else that comes into force only
// together with it: the policy of the files is not in force.
func (c *Controller) Refuse(err error) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	c.refused(err)
}

func (c *Controller) handOver(ctx context.Context, p *policy.Policy) error {
	r := reload{p, make(chan error, 1)}
	select {
	case c.reloads <- r:
	case <-ctx.Done():
		return errStopped
	}
	return <-r.done // the loop answers whatever it has taken
}

// errStopped ends a reload that nobody is left to take.
var errStopped = fmt.Errorf("reload: %w", context.Canceled)

// adopt puts a policy in force.
func (c *Controller) adopt(p *policy.Policy, now time.Time) error {
	return c.putInForce(p, c.engine.Adopt(p, now.Round(0).UTC()), now)
}

// putInForce makes what adopting a policy led to durable, and then uses the policy. A change that the disk did not confirm
// stands in the store, and so does its policy.
func (c *Controller) putInForce(p *policy.Policy, outcome decide.Outcome, now time.Time) error {
	if outcome.Table != nil && len(outcome.Table.Lanes) == 0 {
		return errNoLane
	}
	old := c.engine.Policy
	c.engine.Use(p)
	if !c.commit(outcome, now) && (old == nil || !c.owing || c.engine.World.Policy != p.Revision) {
		if old != nil {
			c.engine.Use(old)
		}
		return errors.New("the policy could not be stored; the old one stays")
	}
	known := make(map[route.ID]bool, len(p.Routes))
	for i := range p.Routes {
		known[p.Routes[i].ID] = true
	}
	c.routes.Store(&known)
	outcome.World = c.engine.World
	if seen := c.view.Load(); seen != nil {
		outcome.Signals, outcome.Wide = seen.Signals, seen.Wide // until the next round
	}
	c.show(outcome)
	c.accepted(p, now)
	return nil
}

func (c *Controller) accepted(p *policy.Policy, now time.Time) {
	c.mu.Lock()
	c.status = PolicyStatus{Revision: p.Revision, LoadedAt: now.Round(0).UTC()}
	c.mu.Unlock()
	c.metrics.reloaded(true, now)
	c.log.Info("policy loaded", "policy", p.Revision)
}

func (c *Controller) refused(err error) {
	c.mu.Lock()
	c.status.LastError, c.status.LastErrorAt = firstLine(err.Error()), time.Now().Round(0).UTC()
	c.status.Problems = problemsOf(err)
	kept := c.status.Revision
	c.mu.Unlock()
	c.metrics.reloaded(false, time.Now())
	c.log.Error("policy refused", "policy", kept, "err", err)
}

// problemsOf are the problems of a policy, each with its place.
func problemsOf(err error) []string {
	var problems policy.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = p.String()
	}
	return out
}

func firstLine(s string) string {
	for i := range s {
		if s[i] == '\n' {
			return strings.TrimSuffix(s[:i], ":")
		}
	}
	return s
}
