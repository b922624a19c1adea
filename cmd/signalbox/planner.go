package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"signalbox/controller/api"
	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

// planner says what another policy would change: now, from what the last round saw, and over the recording, of which it
// reads one stretch at a time and for one asker at a time. The loop has no part in it.
type planner struct {
	control   planning
	recording string // its folder; "" where nothing is recorded
	mode      route.Mode
	within    time.Duration // how long the recording is read at most
	reading   sync.Mutex    // held while the recording is read
}

// planning is what the planner asks of the controller.
type planning interface {
	Plan(candidate *policy.Policy) (decide.Planned, error)
	Policy() *policy.Policy // in force
}

// planWithin is how long the recording is read for one plan: less than the server gives an answer.
const planWithin = time.Minute

// mostTold is how many moves and stretches an answer has of each.
const mostTold = 1000

// planAnswer is the answer to a plan.
type planAnswer struct {
	decide.Planned
	Recording    *scenario.Comparison `json:"recording,omitempty"`
	RecordingWhy string               `json:"recording_why,omitempty"`
	Said         []string             `json:"said,omitempty"` // what is to be known of the recording
}

// Plan answers what the policy in the files would change.
func (p *planner) Plan(ctx context.Context, files []policy.File, since time.Time) (any, error) {
	candidate, err := policy.Parse(files)
	if err != nil {
		return nil, refusedPolicy(err)
	}
	planned, err := p.control.Plan(candidate)
	if err != nil {
		return nil, refusedPolicy(policy.Problems{{File: files[0].Name, Line: 1, Column: 1, Path: "lanes", Message: "want at least one lane, got none"}})
	}
	a := planAnswer{Planned: planned}
	return &a, p.replay(ctx, candidate, since, &a)
}

// replay adds what both policies would have decided over the recording.
func (p *planner) replay(ctx context.Context, candidate *policy.Policy, since time.Time, a *planAnswer) error {
	if p.recording == "" {
		a.RecordingWhy = "nothing is recorded: signalbox run --recording.dir DIR does it"
		return nil
	}
	if !p.reading.TryLock() {
		return api.ErrBusy
	}
	defer p.reading.Unlock()
	inForce := p.control.Policy()
	x := scenario.NewAgainst(inForce, candidate, signal.Options{}, p.mode, since)
	deadline := time.Now().Add(p.within)
	r := &reading{to: x, policies: []*policy.Policy{inForce, candidate}, window: window{since: since}, live: true}
	r.stop = func() error {
		if time.Now().After(deadline) {
			return errLate
		}
		return ctx.Err()
	}
	err := r.read([]string{p.recording})
	switch {
	case errors.Is(err, errLate):
		x.End()
		a.Said = append(a.Said, fmt.Sprintf("the recording was read for %s and then left: what came after %s is not in it; a later --since reads less", p.within, moment(x.Now())))
	case errors.Is(err, errNoSegments):
		a.RecordingWhy = "nothing has been recorded yet"
		return nil
	case err != nil:
		return err
	}
	c := x.Result()
	a.Recording = &c
	a.Said = append(a.Said, r.words...)
	a.shorten()
	return nil
}

// errLate ends the reading of a recording that takes too long.
var errLate = errors.New("it takes too long")

// shorten leaves out of a long answer what came last, and says so.
func (a *planAnswer) shorten() {
	c := a.Recording
	if n := len(c.Moves) - mostTold; n > 0 {
		c.Moves = c.Moves[:mostTold]
		a.Said = append(a.Said, fmt.Sprintf("%s more differ; signalbox replay --against tells of all", plural(n, "change")))
	}
	if n := len(c.Stretches) - mostTold; n > 0 {
		c.Stretches = c.Stretches[:mostTold]
		a.Said = append(a.Said, fmt.Sprintf("the tables differ at %s more, which the total has in it", plural(n, "time")))
	}
}
