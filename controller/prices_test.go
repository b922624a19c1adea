package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"signalbox/controller/state"
	"signalbox/rules/ledger"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// pricedPolicy is the test policy with prices.
var pricedPolicy = strings.NewReplacer("networks: [GB], trickle: 2%", "networks: [GB], price: {GB: 0.0312 EUR}, trickle: 2%",
	"bolt, networks: [GB]", "bolt, networks: [GB], price: {GB: 0.0330 EUR}").Replace(testPolicy)

func pricedController(t *testing.T, s Store, r prometheus.Registerer) *Controller {
	t.Helper()
	c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Registerer: r, Load: func() (*policy.Policy, error) { return parse(t, pricedPolicy), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// observeRoute lets a controller take n submits by a route.
func observeRoute(c *Controller, n int, id route.ID, at time.Time) {
	for range n {
		c.observe([]route.Observation{{Kind: route.KindSubmit, Time: at, Route: id, Class: "otp", Network: "234-15"}}, at)
	}
}

func accounts(t *testing.T, c *Controller) string {
	t.Helper()
	b, err := json.Marshal(c.engine.Ledger.Report(ledger.Query{}, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// drained orders acme out of the lane.
func drained(t *testing.T, c *Controller, at time.Time) string {
	t.Helper()
	x := route.Override{Kind: route.Drain, Class: "otp", Network: "GB", Route: "acme", Actor: "ann", Reason: "a test"}
	done, err := c.order(route.Order{Override: &x, Actor: "ann", Reason: "a test"}, at)
	if err != nil {
		t.Fatal(err)
	}
	return done.Decisions[0].ID
}

func TestPricesOutliveARestartAndTheEndOfAnOrderSaysWhatItCost(t *testing.T) {
	dir, now := t.TempDir(), time.Now().UTC()
	s := openStore(t, dir)
	c := pricedController(t, s, nil)
	observeRoute(c, 5, "acme", now)
	c.round(now.Add(5 * time.Second))
	id := drained(t, c, now.Add(6*time.Second))
	observeRoute(c, 3, "bolt", now.Add(7*time.Second))
	was := accounts(t, c)
	c.saveBaselines(now.Add(8*time.Second), true)
	s.Close()

	s = openStore(t, dir)
	defer s.Close()
	c = pricedController(t, s, nil)
	if got := accounts(t, c); got != was {
		t.Errorf("after the restart: got %s\nwant %s", got, was)
	}
	observeRoute(c, 1, "bolt", now.Add(9*time.Second))
	done, err := c.order(route.Order{End: id, Actor: "ann", Reason: "over"}, now.Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	cost := done.Decisions[0].Cost
	if cost == nil || cost.Messages != 4 || len(cost.Amount) != 1 || cost.Amount[0].String() != "0.0072 EUR" || len(cost.Changes) != 1 || cost.Changes[0] != id {
		t.Errorf("got cost %+v, want 4 × 0.0018 EUR of %s", cost, id)
	}
	kept, _, err := s.Decision(done.Decisions[0].ID)
	if err != nil || kept.Cost == nil || kept.Cost.Amount[0].String() != "0.0072 EUR" {
		t.Errorf("the journal has %+v, %v", kept.Cost, err)
	}
}

func TestPricesAreStoredOnceAMinuteAndAgainAfterADiskThatWasFull(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c, now := pricedController(t, s, nil), time.Now().UTC().Truncate(5*time.Second)
	stored := func() string {
		saved, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Restore(saved.Ledger)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(l.Report(ledger.Query{}, now).Total.Messages)
	}
	for i, want := range []string{"1", "1", "1"} {
		now = now.Add(5 * time.Second)
		observeRoute(c, 1, "acme", now)
		c.round(now)
		if got := stored(); got != want {
			t.Errorf("round %d: got %s messages stored, want %s", i+1, got, want)
		}
	}
	s.fail(errDiskFull)
	now = now.Add(time.Minute)
	if c.round(now); stored() != "1" {
		t.Errorf("got %s messages on a disk that was full", stored())
	}
	s.fail(nil)
	if c.round(now.Add(5 * time.Second)); stored() != "3" {
		t.Errorf("got %s messages once the disk has room, want 3", stored())
	}
}

func TestMetricsTellWhatMessagesCost(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	registry, now := prometheus.NewRegistry(), time.Now().UTC().Truncate(24*time.Hour).Add(36*time.Hour) // far from midnight
	c := pricedController(t, s, registry)
	drained(t, c, now)
	observeRoute(c, 10, "bolt", now.Add(time.Millisecond))
	c.round(now.Add(10 * time.Second))
	want := `
# HELP signalbox_changes_cost What the messages of this UTC day that were submitted under changes cost more than they would have cost while all is well, in units of the currency; negative where money was saved.
# TYPE signalbox_changes_cost gauge
signalbox_changes_cost{class="otp",currency="EUR",network="GB"} 0.018
# HELP signalbox_spend_total List price of the messages that routes accepted, in units of the currency, since the process began. A float by nature: /api/v1/prices has the exact amounts.
# TYPE signalbox_spend_total counter
signalbox_spend_total{class="otp",currency="EUR",network="GB",route="acme"} 0
signalbox_spend_total{class="otp",currency="EUR",network="GB",route="bolt"} 0.33
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "signalbox_spend_total", "signalbox_changes_cost", "signalbox_messages_unpriced_total"); err != nil {
		t.Error(err)
	}
}

func TestPricesAreAnsweredByTheLoopOrNotAtAll(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	c := pricedController(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	if r, err := c.Prices(t.Context(), ledger.Query{}); err != nil || r.Days == nil {
		t.Errorf("got %+v, %v", r, err)
	}
	cancel()
	<-ended
	if _, err := c.Prices(ctx, ledger.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from a loop that has ended", err)
	}
}

func TestThoseWhoWantToKnowAreToldOfTables(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	var told []string
	c, err := New(Options{Store: s, Model: state.New(), Logger: quiet(), Load: func() (*policy.Policy, error) { return parse(t, pricedPolicy), nil },
		Published: func(table *route.Table) { told = append(told, table.Generation.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	if drained(t, c, time.Now()); strings.Join(told, " ") != "1-1 1-2" {
		t.Errorf("got %v, want each generation once", told)
	}
}
