package scenario

import (
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// Replay decides over recorded observations: those that Observe gets in the time of the observations, and those that Take
// gets as the daemon decided that took them, whose marks say when it judged. One replay gets only the ones or the others.
type Replay struct {
	engine  Engine
	options signal.Options
	now     time.Time // the latest time observed
	next    time.Time // of the next round
	started bool
	known   []route.Observation // baselines from before a restart, until the first observation after it
	orders  map[string]string   // by the id of an operator's override in the recording: its id here
	emit    func(decide.Outcome)
}

// idleRounds bounds the rounds judged over a stretch without observations; a longer one is jumped over, as nothing that
// needs observations can change in it.
const idleRounds = 24 * 60 * 60 / 5

// NewReplay returns a replay under policy p that hands each round which led to something to emit.
func NewReplay(p *policy.Policy, o signal.Options, mode route.Mode, emit func(decide.Outcome)) *Replay {
	r := &Replay{engine: Engine{Book: signal.New(o), Mode: mode}, options: o, orders: map[string]string{}, emit: emit}
	r.engine.Use(p)
	return r
}

// Engine is the engine that replays.
func (r *Replay) Engine() *Engine { return &r.engine }

// Observe takes the next observation, judging first all rounds that lie before it.
func (r *Replay) Observe(o *route.Observation) {
	if !r.started {
		r.start(o.Time)
	}
	if o.Time.After(r.now) {
		r.rounds(o, true)
		r.now = o.Time
	}
	r.engine.Observe(o, r.now)
}

// Pass lets the time of an observation come that is not counted, judging the rounds that lie before it.
func (r *Replay) Pass(o *route.Observation) {
	if !r.started {
		r.start(o.Time)
	}
	if o.Time.After(r.now) {
		r.rounds(o, false)
		r.now = o.Time
	}
}

func (r *Replay) start(at time.Time) {
	r.begin(at)
	r.next = at.Truncate(signal.Tick).Add(signal.Tick)
}

// begin puts the policy in force.
func (r *Replay) begin(at time.Time) {
	r.started, r.now = true, at
	r.keep(r.engine.Adopt(r.engine.Policy, at))
}

// rounds judges at every tick up to the time of o. With hear, the last of them knows that the source of o has got that
// far; those before it, after a silence, know that it had not.
func (r *Replay) rounds(o *route.Observation, hear bool) {
	if gap := o.Time.Sub(r.next); gap > idleRounds*signal.Tick {
		r.next = o.Time.Truncate(signal.Tick)
	}
	for !r.next.After(o.Time) {
		if hear && o.Time.Sub(r.next) < signal.Tick {
			r.engine.Book.Hear(o, r.next)
		}
		r.round()
	}
}

func (r *Replay) round() {
	r.keep(r.engine.Round(r.next, false))
	r.next = r.next.Add(signal.Tick)
}

// End judges the round that the last observation lies in. What was taken is judged by its marks alone.
func (r *Replay) End() {
	if !r.next.IsZero() {
		r.round()
	}
}

func (r *Replay) keep(o decide.Outcome) {
	r.engine.Keep(o)
	if len(o.Decisions) > 0 || o.Table != nil {
		r.emit(o)
	}
}
