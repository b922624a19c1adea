package controller

import (
	"errors"
	"sort"
	"time"

	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// settleAfterJump is how long nothing is changed once the clock has jumped.
const settleAfterJump = time.Minute

// pruneEvery is how often the journal drops what is older than its retention, and journalMost how many decisions it
// keeps at the most.
const (
	pruneEvery  = 10 * time.Minute
	journalMost = 1_000_000
)

// baselinesEvery is how often what was learned is made durable where nothing else is.
const baselinesEvery = time.Minute

// round judges once, makes the outcome durable and publishes it.
func (c *Controller) round(now time.Time) {
	began := time.Now()
	c.watchClock(now, c.passed(c.last, now))
	tick := now.Round(0).UTC().Truncate(signal.Tick) // what is judged is the tick, however late the timer was
	held := now.Before(c.holdUntil)
	outcome := c.engine.Round(tick, held)
	c.collectBaselines()
	if c.commit(outcome, now) {
		c.show(outcome)
	}
	c.recordRound(tick, held, outcome.World.At)
	c.prune(now)
	c.metrics.round.Observe(time.Since(began).Seconds())
}

// watchClock notices a wall clock that moved otherwise than the time that passed, or that is behind the state. Then the
// loop only watches for a while, and the moments of the state move with the clock: hold-downs and conditions must neither
// end nor last because somebody set it.
func (c *Controller) watchClock(now time.Time, passed time.Duration) {
	jump := time.Duration(0)
	if !c.last.IsZero() {
		jump = now.Round(0).Sub(c.last.Round(0)) - passed
	}
	c.last = now
	behind := c.engine.World.At.Sub(now)
	if jump.Abs() <= signal.Tick && behind <= signal.Tick {
		return
	}
	c.holdUntil = now.Add(settleAfterJump)
	if jump.Abs() <= signal.Tick {
		jump = -behind - signal.Tick // the clock was set back between two runs
	}
	c.engine.World = decide.Shift(c.engine.World, jump)
	c.recordJump(now, jump)
	c.owing = true
	c.metrics.jumps.Inc()
	c.log.Warn("clock jumped", "took", jump.String(), "reason", "no change for "+settleAfterJump.String())
}

// commit makes an outcome durable. Where that fails nothing has happened: senders keep what they see, and the next round
// decides again from the state before. While the store fails every round tries it, so that it is known when it works again.
func (c *Controller) commit(o decide.Outcome, now time.Time) bool {
	save := now.Sub(c.savedAt) >= baselinesEvery && (len(c.baselines) > 0 || c.engine.Ledger.Dirty())
	if !o.Changed && !save && !c.owing && c.failing == nil {
		c.engine.Keep(o)
		return true
	}
	change := store.Change{Was: c.engine.World.Generation, World: o.World, Table: o.Table, Decisions: o.Decisions}
	if save {
		change.Baselines = c.pendingBaselines()
	}
	if c.o.Announce != nil && len(o.Decisions) > 0 {
		change.Letters = c.o.Announce(o.Decisions)
	}
	change.Ledger = c.pages(save || len(o.Decisions) > 0)
	err := c.o.Store.Commit(change)
	c.noteCommit(err)
	if err != nil {
		c.resume(o, err)
		return false
	}
	if change.Ledger != nil {
		c.engine.Ledger.Saved()
	}
	if save {
		c.savedAt = now
		clear(c.baselines)
	}
	c.engine.Keep(o)
	decided := append(c.unsure, o.Decisions...)
	if o.Table != nil || c.owing {
		c.engine.Account(decided)
		c.publishNewer(c.engine.Table)
	}
	c.owing, c.unsure = false, nil
	c.tell(decided)
	return true
}

// resume goes on from what the store holds where that is not what the loop believed: a change that the disk did not
// confirm stands in it, or another writer came first. What is there is published, and its decisions are told, once a
// commit after it has succeeded.
func (c *Controller) resume(o decide.Outcome, err error) {
	if !errors.Is(err, store.ErrUnsure) && !errors.Is(err, store.ErrStale) {
		return
	}
	saved, err := c.o.Store.Load()
	if err != nil {
		c.log.Error("state not read", "err", err)
		return
	}
	c.engine.World, c.engine.Table, c.owing = saved.World, saved.Table, true
	if c.holds(o) {
		c.unsure = append(c.unsure, o.Decisions...)
	}
}

// holds reports whether the state is the one that an outcome led to.
func (c *Controller) holds(o decide.Outcome) bool {
	w := &c.engine.World
	return w.Generation == o.World.Generation && w.Ordinal == o.World.Ordinal && w.At.Equal(o.World.At)
}

// publishNewer publishes a table unless senders have it already.
func (c *Controller) publishNewer(t *route.Table) {
	if now := c.o.Model.Table(); now != nil && !t.Generation.Newer(now.Table.Generation) {
		return
	}
	if err := c.publish(t); err != nil {
		c.log.Error("table not published", "generation", t.Generation.String(), "err", err)
	}
}

// noteCommit tells of a store that begins or ceases to fail, once each.
func (c *Controller) noteCommit(err error) {
	switch {
	case err != nil:
		c.metrics.commitErrors.Inc()
		if c.failing == nil {
			since := time.Now().Round(0).UTC()
			c.failed.Store(&since)
			c.log.Error("state not stored", "err", err, "reason", "nothing changes until it can be")
		}
	case c.failing != nil:
		c.failed.Store(nil)
		c.log.Info("state stored again")
	}
	c.failing = err
}

func (c *Controller) publish(t *route.Table) error {
	p, err := state.Encode(t)
	if err != nil {
		return err
	}
	if err = c.o.Model.Publish(p); err == nil && c.o.Published != nil {
		c.o.Published(t)
	}
	return err
}

func (c *Controller) tell(decisions []route.Decision) {
	for i := range decisions {
		d := &decisions[i]
		c.metrics.decided(d)
		if d.Override != nil {
			c.log.Info("order "+ordinance(d), "order", d.Override.Kind, "id", d.Override.ID, "route", d.Route, "class", d.Lane.Class, "network", d.Lane.Network, "generation", d.Generation.String(), "text", d.Text)
		} else if d.Enforced {
			c.log.Info("route "+moved(d), "route", d.Route, "class", d.Lane.Class, "network", d.Lane.Network, "generation", d.Generation.String(), "from", d.From, "to", d.To, "rule", d.Rule, "reason", d.Reason)
		} else {
			c.log.Debug("change not made", "route", d.Route, "class", d.Lane.Class, "network", d.Lane.Network, "from", d.From, "to", d.To, "rule", d.Rule, "reason", d.Reason)
		}
	}
	if c.o.Decided != nil && len(decisions) > 0 {
		c.o.Decided(decisions)
	}
}

// ordinance is what became of an operator's order.
func ordinance(d *route.Decision) string {
	if d.Reason == route.OverrideEnded {
		return "ended"
	}
	return "set"
}

func moved(d *route.Decision) string {
	switch {
	case d.To == route.Recovering:
		return "ramped"
	case d.From == d.To:
		return "kept"
	case d.To == route.Demoted:
		return "demoted"
	case d.To == route.Active:
		return "promoted"
	}
	return "changed"
}

// show lets viewers see what the round saw.
func (c *Controller) show(o decide.Outcome) {
	v := &View{Policy: c.engine.Policy, World: o.World, Signals: o.Signals, Wide: o.Wide, Stats: c.engine.Book.Stats()}
	v.spent, v.changed = c.engine.Ledger.Totals(o.World.At)
	c.view.Store(v)
	if err := c.o.Model.PutLanes(rows(c, o)); err != nil {
		c.log.Error("lanes not shown", "err", err)
	}
}

// rows are the lanes as viewers see them, and after each the networks of it that were judged apart. Of a route that there
// was nothing to judge of the signals are nil.
func rows(c *Controller, o decide.Outcome) []state.LaneRow {
	judged := map[route.Lane][]route.Signals{}
	for i := 0; i < len(o.Signals); {
		from := i
		for i < len(o.Signals) && o.Signals[i].Lane == o.Signals[from].Lane {
			i++
		}
		judged[o.Signals[from].Lane] = o.Signals[from:i]
	}
	out := make([]state.LaneRow, 0, len(o.World.Lanes))
	for i := range o.World.Lanes {
		l := &o.World.Lanes[i]
		pl := c.engine.Policy.Lane(l.Lane)
		if pl == nil {
			continue
		}
		row := c.row(l.Lane, pl, o.World.At)
		for _, id := range pl.Sorted() {
			row.Routes = append(row.Routes, routeRow(id, l.State(id), judged[l.Lane]))
		}
		out = append(out, row)
		out = append(out, c.networkRows(l, pl, o, judged)...)
	}
	return out
}

// networkRows are the networks of a lane that were judged apart: the routes that there was something to judge of there.
func (c *Controller) networkRows(l *route.LaneState, pl *policy.Lane, o decide.Outcome, judged map[route.Lane][]route.Signals) []state.LaneRow {
	var out []state.LaneRow
	for _, n := range (decide.Seen{Signals: o.Signals}).Networks(l.Lane) {
		key := route.Lane{Class: l.Lane.Class, Network: n}
		if c.engine.Policy.Lane(key) != nil || len(judged[key]) == 0 {
			continue
		}
		row := c.row(key, pl, o.World.At)
		for i := range judged[key] {
			id := judged[key][i].Route
			row.Routes = append(row.Routes, routeRow(id, l.On(n, id), judged[key]))
		}
		out = append(out, row)
	}
	return out
}

func (c *Controller) row(key route.Lane, pl *policy.Lane, at time.Time) state.LaneRow {
	row := state.LaneRow{Class: key.Class, Network: key.Network, At: at}
	if class := c.engine.Policy.Class(pl.Class); class != nil {
		row.Mode = class.Mode
	}
	return row
}

func routeRow(id route.ID, remembered *route.State, judged []route.Signals) state.RouteRow {
	r := state.RouteRow{Route: id, State: route.Fresh(id)}
	if remembered != nil {
		r.State = *remembered
	}
	if i := sort.Search(len(judged), func(i int) bool { return judged[i].Route >= id }); i < len(judged) && judged[i].Route == id {
		r.Signals = &judged[i]
	}
	return r
}

func (c *Controller) collectBaselines() {
	for _, s := range c.engine.Book.Changed() {
		c.baselines[s.Key] = s.Data
	}
}

// pendingBaselines are those not yet durable, in the order of their keys.
func (c *Controller) pendingBaselines() []store.Baseline {
	out := make([]store.Baseline, 0, len(c.baselines))
	for key, data := range c.baselines {
		out = append(out, store.Baseline{Key: key, Data: data})
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].Key, out[j].Key
		if a.Route != b.Route {
			return a.Route < b.Route
		}
		if a.Class != b.Class {
			return a.Class < b.Class
		}
		return a.Network < b.Network
	})
	return out
}

// saveBaselines makes what was learned and counted durable at the end of a run.
func (c *Controller) saveBaselines(now time.Time, force bool) {
	c.collectBaselines()
	c.engine.Ledger.Settle()
	if len(c.baselines) == 0 && !c.engine.Ledger.Dirty() || !force {
		return
	}
	c.savedAt = time.Time{}
	c.commit(decide.Outcome{World: c.engine.World}, now)
}

func (c *Controller) prune(now time.Time) {
	if now.Sub(c.prunedAt) < pruneEvery {
		return
	}
	c.prunedAt = now
	newest, _, err := c.o.Store.Decisions(store.Query{Limit: 1})
	if err == nil && len(newest) > 0 {
		// Reckoned from the newest decision, so that a clock that is years ahead does not empty the journal.
		_, err = c.o.Store.Prune(earlier(now, newest[0].Time).Add(-c.o.Retention), journalMost)
	}
	if err != nil {
		c.log.Warn("journal not pruned", "err", err)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
