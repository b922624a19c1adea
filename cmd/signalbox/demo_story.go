package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

const (
	demoLook     = 250 * time.Millisecond // how often the story looks at what has changed
	demoLongest  = 6 * time.Minute        // from the healing to the full return, before the story gives up
	demoSteady   = 10 * time.Second       // between two lines about traffic while nothing happens
	demoUntouch  = 30 * time.Second       // after the healing, where there was no demotion
	demoNothing  = 1.0                    // evidence below is no news
	demoEvidence = "delivery.evidence"
	demoRecovery = "delivery.recovered"
)

// demoStory makes the incident happen and tells what becomes of it. It knows nothing but what the HTTP interface says
// and the carriers count.
type demoStory struct {
	*demo
	web    *demoWeb
	sender *demoSender
	sick   *demoCarrier // the one that falls silent

	seen    map[string]bool     // decisions that have been told
	table   route.Generation    // the last table that was told
	now     decide.Explanation  // of the sick carrier, as of the last round
	asked   map[string]bool     // guards that were told to hold a change
	counted map[route.ID]uint64 // messages that each carrier had taken when traffic was last told
	told    time.Time           // when that was
	toldOf  time.Time           // when the carrier that is out was last told of

	known    bool      // whether the baseline has been told
	silent   *demoMark // when it fell silent; nil before
	out      *demoMark // when it was seen demoted
	outAt    time.Time // when that was decided
	decision string    // by which decision
	healed   *demoMark // when it was well again
	held     bool      // whether the end of the hold-down is still to be told
	back     time.Time // when it was decided that it is active again; zero before
	moved    bool      // whether a new table was told, and not yet where the traffic went
	peace    bool      // whether it has been told that recovery takes time
	over     bool      // whether the summary has been told
}

// demoMark is a moment and what the sick carrier had counted by then.
type demoMark struct {
	at       time.Time
	taken    uint64
	receipts uint64
}

func newDemoStory(d *demo, web *demoWeb, sender *demoSender) *demoStory {
	return &demoStory{demo: d, web: web, sender: sender, sick: d.carriers[0], seen: map[string]bool{}, asked: map[string]bool{}, counted: map[route.ID]uint64{}, told: time.Now()}
}

func (s *demoStory) mark() *demoMark {
	return &demoMark{time.Now(), s.sick.server.Counters().Accepted, s.sick.receipts.Load()}
}

// run tells the story until ctx is done, or until it is over where that ends the demo.
func (s *demoStory) run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	look := time.NewTicker(demoLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.stopped()
		case <-look.C:
		}
		if err := s.look(ctx); err != nil {
			if ctx.Err() != nil {
				return s.stopped()
			}
			return err
		}
		if s.over && s.o.exit {
			return nil
		}
		if s.healed != nil && !s.over && time.Since(s.healed.at) > demoLongest && s.o.exit {
			return no("", fmt.Errorf("%s is not back %s after it was well again: %s", s.sick.id, demoLongest, s.now.Next))
		}
	}
}

// look does what is due, and tells what is new. A round is told in its own order: what was found, what was decided upon
// it, and what senders see of that.
func (s *demoStory) look(ctx context.Context) error {
	if err := s.incident(); err != nil {
		return err
	}
	at, was := s.now.At, s.now.State.Phase
	if err := s.explain(ctx); err != nil {
		return err
	}
	if s.now.At.After(at) {
		if err := s.judged(was); err != nil {
			return err
		}
	}
	return s.changes(ctx)
}

// incident makes the carrier fall silent, and well again, each at its time.
func (s *demoStory) incident() error {
	switch {
	case s.silent == nil && s.print.elapsed() >= s.o.after:
		s.sick.fallSilent()
		s.silent = s.mark()
		return s.say("incident", fmt.Sprintf("%s begins to swallow messages: it accepts each one and sends no receipt.", s.sick.id),
			"No error, no lost bind. signalbox is not told.")
	case s.silent != nil && s.healed == nil && time.Since(s.silent.at) >= s.o.lasting:
		s.sick.heal()
		s.healed = s.mark()
		return s.say("healed", fmt.Sprintf("%s delivers again. signalbox is not told of this either.", s.sick.id),
			fmt.Sprintf("While it was silent it took %d messages.", s.healed.taken-s.silent.taken))
	}
	return nil
}

// explain asks why the sick carrier is where it is.
func (s *demoStory) explain(ctx context.Context) error {
	q := url.Values{"route": {string(s.sick.id)}, "class": {string(demoLane.Class)}, "network": {string(demoLane.Network)}}
	var e decide.Explanation
	if err := s.web.get(ctx, "/api/v1/explain?"+q.Encode(), &e); err != nil {
		return err
	}
	s.now = e
	return nil
}

// changes tells the decisions and the tables that are new, oldest first, up to the round that was told last.
func (s *demoStory) changes(ctx context.Context) error {
	var journal struct {
		Decisions []route.Decision `json:"decisions"`
	}
	if err := s.web.get(ctx, "/api/v1/decisions", &journal); err != nil {
		return err
	}
	for i := len(journal.Decisions) - 1; i >= 0; i-- {
		d := &journal.Decisions[i]
		if s.seen[d.ID] || d.Time.After(s.now.At) {
			continue
		}
		s.seen[d.ID] = true
		if err := s.decided(d); err != nil {
			return err
		}
	}
	var t route.Table
	if err := s.web.get(ctx, "/routes", &t); err != nil {
		return err
	}
	if !t.Generation.Newer(s.table) || s.table.Epoch > 0 && t.PublishedAt.After(s.now.At) {
		return nil
	}
	s.table, s.moved = t.Generation, s.table.Epoch > 0
	return s.published(&t)
}

// judged tells what the round that has just been judged found of the sick carrier, which stood at the phase was.
func (s *demoStory) judged(was route.Phase) error {
	switch d := &s.now.Signals.Delivery; {
	case s.over: // what is advised stays on the screen
		return nil
	case s.finished():
		return s.end()
	case s.moved:
		s.moved = false
		return s.traffic()
	case !s.known && d.Known:
		s.known = true
		return s.normal()
	case was == route.Recovering:
		return s.recovery()
	case was == route.Demoted:
		return s.outside()
	case d.Known && (s.silent != nil && s.healed == nil || d.Evidence >= demoNothing):
		return s.accusation()
	case time.Since(s.told) < demoSteady-demoLook:
		return nil
	}
	return s.traffic()
}

// finished reports whether there is nothing more to come: the carrier is back, or it was never out.
func (s *demoStory) finished() bool {
	if s.healed == nil {
		return false
	}
	if s.out == nil {
		return time.Since(s.healed.at) > demoUntouch
	}
	return !s.back.IsZero() && time.Since(s.back) > demoSteady
}

// threshold is what a signal is compared with in the rules of the policy, as the explanation shows them; 0 where it is not.
func (s *demoStory) threshold(signal string) float64 {
	for _, r := range s.now.Rules {
		for _, in := range append(r.Demote.Inputs, r.Promote.Inputs...) {
			if limit, ok := in.Threshold.(float64); ok && in.Signal == signal {
				return limit
			}
		}
	}
	return 0
}

// say prints an event that has no numbers behind it.
func (s *demoStory) say(event, text string, more ...string) error {
	return s.print.print(demoEvent{Event: event, Text: text, More: more})
}

// names lists carriers as people do.
func (s *demoStory) names() string {
	var names []string
	for _, c := range s.carriers {
		names = append(names, string(c.id))
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
