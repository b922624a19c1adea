package signal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func TestAMessageRefusedByNobodysIllnessWasNeverSubmitted(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for fault, throttled := range map[route.Fault]uint32{route.FaultCapacity: 1, route.FaultMessage: 0} {
		b := New(Options{})
		submit := route.Observation{Kind: route.KindSubmit, Time: at, Route: "a", Class: "otp", Network: "GB"}
		b.Observe(&submit, at)
		b.Observe(&submit, at)
		refused := submit
		refused.Kind, refused.Result, refused.Fault, refused.Submitted = route.KindWithdrawn, route.Refused, fault, at
		b.Observe(&refused, at)
		k := b.keys[route.Key{Route: "a", Class: "otp", Network: "GB"}]
		got := k.ring.at(k.ring.slot(tickOf(at)))
		if got[fieldSubmitted] != 1 || got[fieldThrottled] != throttled || got[fieldFailed] != 0 {
			t.Errorf("fault %d: got %v, want one submitted and %d throttled", fault, got, throttled)
		}
	}
}

func TestReceiptsThatMatchNothingMakeTheRouteUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		kind   route.Kind
		share  int // of a hundred receipts
		excuse bool
		known  bool
	}{
		"all match": {route.KindReceipt, 0, false, true},
		"a twentieth never matches, as after a day":   {route.KindUnmatched, 5, false, true},
		"a fifth never matches":                       {route.KindUnmatched, 20, false, false},
		"a fifth waits just now":                      {route.KindEarly, 20, false, true},
		"half wait":                                   {route.KindEarly, 50, false, false},
		"all waited, and then their submits came too": {route.KindEarly, 50, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var c2 clock
			now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
			b := New(Options{})
			b.routes["a"] = &account{clock: clock{began: now.Add(-time.Hour)}}
			for i := range 100 {
				now = now.Add(100 * time.Millisecond)
				o := route.Observation{Kind: route.KindReceipt, Time: now, Submitted: now.Add(-time.Second), Route: "a", Class: "otp", Network: "GB", Status: route.StatusDelivered, Final: true}
				if i%100 < c.share {
					stray := o
					stray.Kind = c.kind
					b.Observe(&stray, now)
					o.Waited = true
					if !c.excuse {
						continue
					}
				}
				b.Observe(&o, now)
			}
			c2 = b.routes["a"].clock
			r := c2.read(now)
			if (r.cause == "") != c.known {
				t.Errorf("got cause %q, want known %v", r.cause, c.known)
			}
			if !c.known && !strings.Contains(r.cause, "match no submit") {
				t.Error(fmt.Sprint("got cause ", r.cause))
			}
		})
	}
}

func TestReceiptsOfMessagesFromBeforeTheBeginningAreExcused(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	c := clock{began: now}
	for i := range 60 {
		now = now.Add(time.Second)
		c.own.heard(now, now)
		c.astray.note(now, astrayMemory, i < 20)
		c.astray.note(now, astrayMemory, false)
		if r := c.read(now); r.cause != "" {
			t.Fatalf("after %d s: got cause %q, want none", i+1, r.cause)
		}
	}
}

func TestWhatCameWhileReceiptsWentAstrayIsNeverJudged(t *testing.T) {
	c, now := clock{}, time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for range 20 {
		now = now.Add(time.Second)
		c.own.heard(now, now)
		c.astray.note(now, astrayMemory, true)
		c.read(now)
	}
	wrong := now
	for range 180 {
		now = now.Add(time.Second)
		c.own.heard(now, now)
		c.astray.note(now, astrayMemory, false)
		c.read(now)
	}
	r := c.read(now)
	if r.cause != "" || r.cut.Before(wrong) {
		t.Errorf("three minutes later: got cause %q and messages judged from %s, want none and none before %s", r.cause, r.cut, wrong)
	}
}
