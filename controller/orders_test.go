package controller

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"signalbox/controller/store"
	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// running is a controller whose loop runs until the test ends.
func running(t *testing.T, s Store) *Controller {
	t.Helper()
	c := newController(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); ended.Wait() })
	return c
}

func drainOrder(id route.ID, actor string) route.Order {
	return route.Order{Actor: actor, Reason: "maintenance", Override: &route.Override{Kind: route.Drain, Class: "otp", Network: "GB", Route: id}}
}

func TestAnOrderIsDoneAndShownFirst(t *testing.T) {
	s := openStore(t, t.TempDir())
	t.Cleanup(func() { s.Close() })
	c := running(t, s)
	o := drainOrder("acme", "ann")
	would, err := c.Preview(o)
	if err != nil || would.Done || would.Generation.Number != 1 || len(would.Lanes) != 1 || len(c.Overrides()) != 0 {
		t.Fatalf("shown: got %+v, %v", would, err)
	}
	o.Saw = would.Generation
	done, err := c.Order(t.Context(), o)
	if err != nil || !done.Done || done.Generation.Number != 2 || len(done.Decisions) != 1 || done.Decisions[0].ID != would.Decisions[0].ID {
		t.Fatalf("done: got %+v, %v", done, err)
	}
	if got, want := shown(c), "1-2 bolt:active:10000 acme:active:0"; got != want {
		t.Errorf("got table %s, want %s", got, want)
	}
	if all := c.Overrides(); len(all) != 1 || all[0].ID != done.Decisions[0].ID {
		t.Errorf("got %+v in force", all)
	}
	found, _, err := s.Decisions(store.Query{Limit: 1})
	if err != nil || len(found) != 1 || found[0].Reason != route.OverrideSet {
		t.Errorf("got %+v, %v in the journal", found, err)
	}
}

func TestOfTwoOperatorsOnOneTableOneWins(t *testing.T) {
	s := openStore(t, t.TempDir())
	t.Cleanup(func() { s.Close() })
	c := running(t, s)
	for round := range 20 {
		var won, stale atomic.Int64
		var all sync.WaitGroup
		saw := c.o.Model.Table().Table.Generation
		for i := range 8 {
			o := drainOrder([]route.ID{"acme", "bolt"}[i%2], fmt.Sprintf("operator-%d", i))
			o.Saw = saw
			all.Go(func() {
				_, err := c.Order(t.Context(), o)
				var late *decide.Stale
				switch {
				case err == nil:
					won.Add(1)
				case errors.As(err, &late):
					stale.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || stale.Load() != 7 {
			t.Fatalf("round %d: %d won and %d came late, want 1 and 7", round, won.Load(), stale.Load())
		}
		if _, err := c.Order(t.Context(), route.Order{End: c.Overrides()[0].ID, Actor: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnOrderThatTheDiskRefusesChangesNothing(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	t.Cleanup(func() { s.Close() })
	c := running(t, s)
	before := shown(c)
	s.fail(errDiskFull)
	if _, err := c.Order(t.Context(), drainOrder("acme", "ann")); !errors.Is(err, ErrNotStored) || !strings.HasSuffix(err.Error(), "and nothing has changed: "+errDiskFull.Error()) {
		t.Errorf("got %v", err)
	}
	if got := shown(c); got != before || len(c.Overrides()) != 0 {
		t.Errorf("got %s, %+v", got, c.Overrides())
	}
	s.fail(store.ErrUnsure)
	if _, err := c.Order(t.Context(), drainOrder("acme", "ann")); !errors.Is(err, ErrNotStored) || !strings.Contains(err.Error(), "did not confirm") {
		t.Errorf("got %v, want it said that it may stand", err)
	}
	s.fail(nil)
}

func TestAnOrderThatTheDiskDidNotConfirmIsToldOnceItIs(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c := newController(t, s)
	var told []string
	c.o.Decided = func(all []route.Decision) {
		for i := range all {
			told = append(told, all[i].ID)
		}
	}
	tape := &tape{}
	c.o.Recorder = tape
	now := time.Now()
	s.fail(store.ErrUnsure)
	if _, err := c.order(drainOrder("acme", "ann"), now); !errors.Is(err, ErrNotStored) || !strings.Contains(err.Error(), "did not confirm") {
		t.Fatalf("got %v", err)
	}
	stands := c.engine.World.Overrides[0].ID
	if len(told) != 0 || len(tape.marks) != 1 || tape.marks[0].Order == nil || tape.marks[0].Order.Override.ID != stands {
		t.Errorf("unconfirmed: got %v told and %+v recorded, want nothing told, and the order recorded, as rounds go by it", told, tape.marks)
	}
	s.fail(errDiskFull)
	if _, err := c.order(route.Order{End: stands, Actor: "bob"}, now.Add(time.Second)); err == nil || !strings.HasSuffix(err.Error(), "and nothing has changed: "+errDiskFull.Error()) {
		t.Errorf("one that did not even reach the file: got %v", err)
	}
	s.fail(nil)
	c.round(now.Add(10 * time.Second))
	if len(told) == 0 || told[0] != stands {
		t.Errorf("confirmed: got %v told, want %s among them first", told, stands)
	}
	if got := c.engine.Ledger.Table(); got != c.engine.Table {
		t.Errorf("messages are accounted by table %v, want by the one in force, %s", got.Generation, c.engine.Table.Generation)
	}
	if n := len(told); n > 0 {
		c.round(now.Add(20 * time.Second))
		if len(told) != n {
			t.Errorf("got %v told, want each once", told)
		}
	}
}

func TestAStoreThatFailedAnOrderIsTriedUntilItWorks(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c := newController(t, s)
	now := time.Now()
	c.round(now) // stores what is to be stored at the begin
	s.fail(errDiskFull)
	if _, err := c.order(drainOrder("acme", "ann"), now.Add(time.Second)); !strings.Contains(fmt.Sprint(err), "nothing has changed") {
		t.Fatalf("got %v", err)
	}
	c.round(now.Add(5 * time.Second))
	if c.StoreFailing().IsZero() {
		t.Error("while the disk is full: got a store that works")
	}
	s.fail(nil)
	c.round(now.Add(10 * time.Second)) // there is nothing to change
	if since := c.StoreFailing(); !since.IsZero() {
		t.Errorf("once there is room: the store still fails since %s, though it works", since)
	}
}

// A machine that slept, or whose clock was set, is asked something before the next round notices.
func TestAnOrderRightAfterTheClockJumpedIsOfTheNewTime(t *testing.T) {
	for name, jump := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			defer s.Close()
			c, w := healthy(t, s, 11)
			c.engine.Use(parse(t, strings.Replace(testPolicy, "mode: act", "mode: propose", 1)))
			w.dead["acme"] = true
			until(t, w, c, 24, "a proposal", func() bool { return remembered(c, "acme").Proposal != "" })
			c.passed = func(time.Time, time.Time) time.Duration { return time.Second }
			w.now, w.pending = w.now.Add(jump+time.Second), nil
			if _, err := c.order(route.Order{Proposal: remembered(c, "acme").Proposal, Approve: true, Actor: "ann"}, w.now); err != nil {
				t.Fatal(err)
			}
			held := remembered(c, "acme").HoldUntil
			if d := held.Sub(w.now); d != time.Minute {
				t.Errorf("approved: got a hold-down of %s, want 1m", d)
			}
			c.round(w.now.Add(time.Second))
			if got := remembered(c, "acme").HoldUntil; !got.Equal(held) {
				t.Errorf("after the next round: the hold-down moved by %s, want it where it was", got.Sub(held))
			}
			if !c.holdUntil.After(w.now) {
				t.Error("want rules to change nothing for a while")
			}
		})
	}
}

// Those who look do so beside the loop: with the race detector this says that they share nothing with it that changes.
func TestWhoLooksDisturbsNoRound(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c, w := healthy(t, s, 12)
	w.dead["acme"] = true
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	looked := atomic.Int64{}
	for _, look := range []func(){
		func() { _, _ = c.Preview(drainOrder("acme", "ann")) },
		func() { _, _ = c.Preview(drainOrder("bolt", "ann")) },
		func() { c.Explain("acme", route.Lane{Class: "otp", Network: "GB"}) },
		func() { c.Proposals(); c.Overrides(); c.World() },
	} {
		all.Go(func() {
			for ctx.Err() == nil {
				look()
				looked.Add(1)
			}
		})
	}
	for range 24 {
		w.play(c)
		if _, err := c.order(drainOrder("bolt", "ann"), w.now); err == nil {
			if _, err := c.order(route.Order{End: c.Overrides()[0].ID, Actor: "ann"}, w.now); err != nil {
				t.Error(err)
			}
		}
	}
	stop()
	all.Wait()
	if looked.Load() == 0 || phase(c, "acme") != route.Demoted {
		t.Errorf("looked %d times, and acme is %s", looked.Load(), phase(c, "acme"))
	}
}

func TestAnOrderToNobody(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c := newController(t, s) // its loop does not run
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Order(ctx, drainOrder("acme", "ann")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnOrderIsRecordedAsAReplayNeedsIt(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c := newController(t, s)
	tape := &tape{}
	c.o.Recorder = tape
	done, err := c.order(drainOrder("acme", "ann"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.order(route.Order{End: done.Decisions[0].ID, Actor: "ann"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.order(route.Order{End: "1-9-9", Actor: "ann"}, time.Now()); err == nil {
		t.Fatal("got an order that makes no sense obeyed")
	}
	if len(tape.marks) != 2 || tape.marks[0].Note != route.NoteOrder || tape.marks[0].Order.Override.ID != done.Decisions[0].ID || tape.marks[1].Order.End != done.Decisions[0].ID {
		t.Errorf("got %+v", tape.marks)
	}
}

// tape is a recorder that keeps marks.
type tape struct{ marks []route.Mark }

func (*tape) Took([]route.Observation, time.Time)   {}
func (t *tape) Mark(m route.Mark)                   { t.marks = append(t.marks, m) }
func (*tape) Due() bool                             { return false }
func (*tape) Begin(route.Mark, []route.Observation) {}

// ordersChild drains and undrains a route until it is killed, and says of each order what it was answered.
func ordersChild(dir string) {
	t := &fatal{}
	c := newController(t, openStore(t, dir))
	go func() { _ = c.Run(context.Background()) }()
	fmt.Println("ready")
	for {
		o := drainOrder("acme", "ann")
		if all := c.Overrides(); len(all) > 0 {
			o = route.Order{End: all[0].ID, Actor: "ann"}
		}
		done, err := c.Order(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("done", done.Decisions[0].ID, done.Decisions[0].Reason)
	}
}

// TestNothingThatWasOrderedIsLostByAKill kills a process right after it answered an operator, and looks at what is left.
func TestNothingThatWasOrderedIsLostByAKill(t *testing.T) {
	dir := t.TempDir()
	answered := 0
	for i := range 25 {
		last := killedOrders(t, dir, 1+rand.IntN(12))
		s := openStore(t, dir)
		saved, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range last {
			answered++
			if _, found, err := s.Decision(line[1]); err != nil || !found {
				t.Fatalf("kill %d: %v was answered and is not in the journal (%v)", i, line, err)
			}
		}
		final := last[len(last)-1]
		drained := len(saved.World.Overrides) == 1
		newer, _, err := s.Decisions(store.Query{Limit: 1}) // one order more may have been stored and not answered
		if err != nil {
			t.Fatal(err)
		}
		if want := newer[0].Reason == route.OverrideSet; drained != want {
			t.Fatalf("kill %d: %v was answered last, %s was stored last, and drained is %v", i, final, newer[0].ID, drained)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d orders answered", answered)
}

// killedOrders runs the child, kills it right after so many answers, and returns them.
func killedOrders(t *testing.T, dir string, answers int) (lines [][]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "SIGNALBOX_TEST_ORDERS_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for scan := bufio.NewScanner(out); scan.Scan(); {
		words := strings.Fields(scan.Text())
		switch {
		case words[0] == "fatal":
			t.Error(scan.Text())
		case words[0] == "done" && len(words) == 3:
			lines = append(lines, words)
		}
		if len(lines) == answers {
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
	}
	_ = cmd.Wait() // it was killed
	if len(lines) == 0 {
		t.Fatal("the child answered nothing")
	}
	return lines
}
