package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// until plays rounds until ok, at most n.
func until(t *testing.T, w *world, c *Controller, n int, what string, ok func() bool) {
	t.Helper()
	for range n {
		if w.play(c); ok() {
			return
		}
	}
	t.Fatalf("after %d rounds: want %s, got %s", n, what, shown(c))
}

// healthy is a controller over a store that has watched healthy carriers for two minutes.
func healthy(t *testing.T, s Store, seed uint64) (*Controller, *world) {
	t.Helper()
	c, w := newController(t, s), newWorld(seed, time.Now().Truncate(5*time.Second))
	c.observe(w.baselines(), w.now)
	for range 24 {
		w.play(c)
	}
	return c, w
}

func phase(c *Controller, id route.ID) route.Phase {
	return remembered(c, id).Phase
}

// remembered is what is remembered of a route in the first lane.
func remembered(c *Controller, id route.ID) route.State {
	if s := c.engine.World.Lanes[0].State(id); s != nil {
		return *s
	}
	return route.Fresh(id)
}

func TestStoryFromSilenceToThePlaceBack(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c, w := healthy(t, s, 1)
	if got, want := shown(c), "1-1 acme:active:10000 bolt:active:0"; got != want {
		t.Fatalf("after two healthy minutes: got table %s, want %s", got, want)
	}
	w.dead["acme"] = true
	until(t, w, c, 24, "acme demoted", func() bool { return phase(c, "acme") == route.Demoted })
	if got, want := shown(c), "1-2 bolt:active:9800 acme:demoted:200"; got != want {
		t.Errorf("once demoted: got table %s, want %s", got, want)
	}
	w.dead["acme"] = false
	until(t, w, c, 60, "acme recovering", func() bool { return phase(c, "acme") == route.Recovering })
	if got, want := shown(c), "1-3 bolt:active:9500 acme:recovering:500"; got != want {
		t.Errorf("on its way back: got table %s, want %s", got, want)
	}
	until(t, w, c, 60, "acme active", func() bool { return phase(c, "acme") == route.Active })
	if got, want := shown(c), "1-4 acme:active:10000 bolt:active:0"; got != want {
		t.Errorf("back: got table %s, want %s", got, want)
	}
	found, _, err := s.Decisions(store.Query{Route: "acme", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found); n < 3 || found[0].To != route.Active || !found[0].Enforced {
		t.Errorf("journal: got %d decisions, newest %+v; want at least 3, newest the promotion", n, found)
	}
}

func TestAFullDiskChangesNothingThatSendersSee(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c, w := healthy(t, s, 2)
	before := shown(c)
	s.fail(errDiskFull)
	w.dead["acme"] = true
	for range 24 {
		w.play(c)
	}
	if got := shown(c); got != before {
		t.Errorf("while the disk is full: got table %s, want %s", got, before)
	}
	s.fail(nil)
	until(t, w, c, 3, "acme demoted once there is room", func() bool { return phase(c, "acme") == route.Demoted })
}

func TestAnUnconfirmedChangeIsPublishedOnlyOnceALaterOneIsConfirmed(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c, w := healthy(t, s, 3)
	before := shown(c)
	s.fail(store.ErrUnsure)
	w.dead["acme"] = true
	until(t, w, c, 24, "a table that the disk has not confirmed", func() bool { return c.owing && c.engine.World.Generation.Number == 2 })
	if got := shown(c); got != before {
		t.Errorf("unconfirmed: got table %s, want %s", got, before)
	}
	s.fail(nil)
	w.play(c)
	if got, want := shown(c), "1-2 bolt:active:9800 acme:demoted:200"; got != want {
		t.Errorf("confirmed: got table %s, want %s", got, want)
	}
}

func TestARestartChangesNothingThatSendersSee(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, w := healthy(t, s, 4)
	w.dead["acme"] = true
	until(t, w, c, 24, "acme demoted", func() bool { return phase(c, "acme") == route.Demoted })
	table, held := string(c.o.Model.Table().Plain), remembered(c, "acme").HoldUntil
	c.saveBaselines(w.now, true)
	s.Close()

	s = openStore(t, dir)
	defer s.Close()
	c = newController(t, s)
	if got := string(c.o.Model.Table().Plain); got != table {
		t.Errorf("table after the restart: got %s, want %s", got, table)
	}
	if got := remembered(c, "acme").HoldUntil; !got.Equal(held) {
		t.Errorf("hold-down after the restart: got %s, want %s", got, held)
	}
	if got := len(c.engine.Book.Baselines()); got != 2 {
		t.Errorf("baselines after the restart: got %d, want 2", got)
	}
}

func TestTheClockOfAConditionOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, w := healthy(t, s, 6)
	w.dead["acme"] = true
	held := func(c *Controller) route.Duration {
		for _, clock := range remembered(c, "acme").Clocks {
			return clock.Held
		}
		return 0
	}
	until(t, w, c, 24, "a condition that has been true for a while", func() bool { return held(c) > 0 })
	want := held(c)
	s.Close()
	s = openStore(t, dir)
	defer s.Close()
	if got := held(newController(t, s)); got != want || got == 0 {
		t.Errorf("for clock after the restart: got %s, want %s", got, want)
	}
}

func TestAClockThatJumpsHoldsChanges(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			defer s.Close()
			c, w := healthy(t, s, 5)
			w.now = w.now.Add(jump)
			w.pending = nil
			c.watchClock(w.now, 5*time.Second)
			w.dead["acme"] = true
			for range 11 {
				w.play(c)
			}
			if got, want := shown(c), "1-1 acme:active:10000 bolt:active:0"; got != want {
				t.Errorf("within a minute of the jump: got table %s, want %s", got, want)
			}
			if jump < 0 {
				// Sources that were set back are late on their own clock until they have caught up: unknown, not bad.
				if d := c.view.Load().Signals[0].Delivery; d.Known || !strings.Contains(d.Cause, "out of order") {
					t.Errorf("delivery: got known %v, cause %q; want it unknown, out of order", d.Known, d.Cause)
				}
				return
			}
			until(t, w, c, 24, "acme demoted once the clock is trusted again", func() bool { return phase(c, "acme") == route.Demoted })
		})
	}
}

func TestABadPolicyAtReloadLeavesTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir())
		defer s.Close()
		text := testPolicy
		c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Load: func() (*policy.Policy, error) {
			return policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(text)}})
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		before, revision := shown(c), c.Status().Revision
		text = strings.ReplaceAll(testPolicy, "order: [acme, bolt]", "order: [acme, blot]")
		err = c.Reload(ctx)
		var problems policy.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), `did you mean "bolt"?`) {
			t.Errorf("reload of a bad policy: got %v, want its problems", err)
		}
		if got := shown(c); got != before {
			t.Errorf("table after it: got %s, want %s", got, before)
		}
		if st := c.Status(); st.Revision != revision || st.LastError == "" || len(st.Problems) != 1 {
			t.Errorf("status after it: got %+v, want revision %s and one problem", st, revision)
		}
		text = strings.ReplaceAll(testPolicy, "order: [acme, bolt]", "order: [bolt, acme]")
		if err := c.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		if got, want := shown(c), "1-2 bolt:active:10000 acme:active:0"; got != want {
			t.Errorf("table after a good one: got %s, want %s", got, want)
		}
		if st := c.Status(); st.LastError != "" {
			t.Errorf("status after a good one: got %+v, want no error", st)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestAReloadThatTheDiskDidNotConfirmIsInForceAsItIsStored(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c := newController(t, s)
	other := parse(t, strings.ReplaceAll(testPolicy, "order: [acme, bolt]", "order: [bolt, acme]"))
	s.fail(store.ErrUnsure)
	if err := c.adopt(other, time.Now()); err != nil {
		t.Fatalf("got %v, want it taken as it stands in the store", err)
	}
	if got, want := shown(c), "1-1 acme:active:10000 bolt:active:0"; got != want {
		t.Errorf("unconfirmed: got table %s, want %s", got, want)
	}
	s.fail(nil)
	c.round(time.Now().Add(5 * time.Second))
	if got, want := shown(c), "1-2 bolt:active:10000 acme:active:0"; got != want || c.engine.Policy != other {
		t.Errorf("confirmed: got table %s, want %s, under the new policy", got, want)
	}
}

func TestANewEpochBeginsWhereItIsAskedFor(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	newController(t, s)
	c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Epoch: 3, Load: func() (*policy.Policy, error) { return parse(t, testPolicy), nil }})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shown(c), "3-1 acme:active:10000 bolt:active:0"; got != want {
		t.Errorf("got table %s, want %s", got, want)
	}
	if got := shown(newController(t, s)); got != "3-1 acme:active:10000 bolt:active:0" {
		t.Errorf("started again without it: got table %s, want the same", got)
	}
}

func TestTheJournalKeepsItsRetention(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c := newController(t, s)
	now := time.Now()
	w := c.engine.World
	for i, age := range []time.Duration{40 * 24 * time.Hour, 34 * 24 * time.Hour, time.Hour} {
		w.Ordinal++
		d := route.Decision{ID: fmt.Sprintf("1-1-%d", i+1), Generation: w.Generation, Time: now.Add(-age).UTC(), Lane: w.Lanes[0].Lane, Route: "acme"}
		if err := s.Commit(store.Change{Was: w.Generation, World: w, Decisions: []route.Decision{d}}); err != nil {
			t.Fatal(err)
		}
	}
	c.prune(now.Add(365 * 24 * time.Hour)) // a clock that is a year ahead
	found, _, err := s.Decisions(store.Query{Limit: 10})
	if err != nil || len(found) != 2 {
		t.Errorf("got %d decisions (%v), want the two of the last 35 days", len(found), err)
	}
}

func TestAJumpThatTheLoopSeesMovesTheStateAlong(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			defer s.Close()
			c, w := healthy(t, s, 7)
			w.dead["acme"] = true
			until(t, w, c, 24, "acme demoted", func() bool { return phase(c, "acme") == route.Demoted })
			left := remembered(c, "acme").HoldUntil.Sub(w.now)
			c.passed = func(time.Time, time.Time) time.Duration { return 5 * time.Second }
			w.now, w.pending = w.now.Add(jump), nil
			w.play(c)
			c.passed = func(since, now time.Time) time.Duration { return now.Sub(since) }
			if got := remembered(c, "acme").HoldUntil.Sub(w.now); got > left || got < left-10*time.Second {
				t.Errorf("hold-down left after the jump: got %s, want %s less a round", got, left)
			}
			if c.holdUntil.IsZero() {
				t.Error("the loop did not notice the jump")
			}
		})
	}
}

func TestTakeRefusesWhatTheQueueHasNoRoomFor(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Queue: 100, Load: func() (*policy.Policy, error) { return parse(t, testPolicy), nil }})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]route.Observation, 60)
	if err := c.Take(context.Background(), batch); err != nil {
		t.Fatalf("the first batch: %v", err)
	}
	if err := c.Take(context.Background(), batch); !errors.Is(err, ErrFull) {
		t.Errorf("the second batch: got %v, want %v", err, ErrFull)
	}
	c.drain()
	if err := c.Take(context.Background(), batch); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}
