package signal

import (
	"testing"
	"time"

	"signalbox/rules/route"
)

// A source that is heard of, without its event being counted yet, has got that far.
func TestHearMovesTheClockAndCountsNothing(t *testing.T) {
	for _, kind := range []route.Kind{route.KindHeartbeat, route.KindSubmit, route.KindReceipt, route.KindConversion, route.KindDuplicate, route.KindProbe, route.KindLost} {
		b := newBook()
		o := route.Observation{Kind: kind, Time: epoch, Submitted: epoch, Source: "node", Route: "acme", Class: "otp", Network: "234-15", Routes: []route.ID{"acme"}, Final: true}
		b.Hear(&o, epoch)
		moves := kind == route.KindHeartbeat || kind == route.KindSubmit || kind == route.KindReceipt || kind == route.KindConversion
		if heard := b.sources["node"] != nil; heard != moves || len(b.keys) != 0 || b.Stats() != (Stats{}) {
			t.Errorf("kind %d: heard %v, %+v", kind, heard, b.Stats())
		}
	}
}

// Cohorts of which submits came too late to be counted are not whole: their receipts would make the share look better.
func TestCohortsWithLateSubmitsTeachNothing(t *testing.T) {
	s := traffic{rate: 4, to: 110 * time.Minute, source: "node", seed: 21}
	n := 0
	events := each(s.events(), func(e *event) {
		if n++; e.Kind == route.KindSubmit && n%30 == 0 {
			e.at = e.at.Add(40 * time.Second) // three in a hundred
		}
	})
	inOrder(events)
	b := newBook()
	play(b, merged(events, beats("node", 0, s.to)), ask("acme"), s.to, nil)
	for id, k := range b.keys {
		if share := k.learned.returned() / max(1, k.learned.Submitted); k.learned.Submitted > 0 && share > normalDelivered+.015 {
			t.Errorf("%v learned %.3f of %v", id, share, k.learned.Submitted)
		}
	}
	if b.Stats().Late == 0 {
		t.Error("nothing was late")
	}
}

// Conversions of the same messages bear out what receipts say, or contradict it.
func TestConversionsAreTheSecondChannel(t *testing.T) {
	const from = 15 * time.Minute
	for claim, c := range map[string]struct {
		drop bool // receipts alone are missing, and messages arrive
		want func(float64) bool
	}{
		"messages arrive, receipts do not": {true, func(nats float64) bool { return nats < -3 }},
		"nothing arrives":                  {false, func(nats float64) bool { return nats > 3 }},
	} {
		s := traffic{rate: 4, to: from + 2*time.Minute, source: "node", seed: 22, converts: true}
		if !c.drop {
			s.health = onset(from, health{delivered: -1, failed: -1})
		}
		events := s.events()
		if c.drop {
			events = without(events, from, hour, isReceipt)
		}
		var last route.Signals
		play(newBook(), merged(s.tells(), events, beats("node", 0, s.to)), ask("acme"), s.to, func(_ time.Duration, x []route.Signals) { last = x[0] })
		if last.Delivery.Silence < enough || !last.Second.ConversionKnown || !c.want(last.Second.Conversion) {
			t.Errorf("%s: got %+v at %.1f nats of silence", claim, last.Second, last.Delivery.Silence)
		}
	}
}

// A source that resumes after a silence starts the windows anew: what it sent before may have been answered meanwhile.
func TestASilenceCutsTheWindows(t *testing.T) {
	s := healthyTraffic()
	everything := func(*event) bool { return true }
	events := without(beside(s.events(), "node"), 10*time.Minute, 12*time.Minute, everything)
	play(newBook(), merged(s.tells(), events), ask("acme"), s.to, func(at time.Duration, x []route.Signals) {
		d := x[0].Delivery
		if at > 12*time.Minute+15*time.Second && (!d.Known || d.Since.Before(epoch.Add(12*time.Minute))) {
			t.Fatalf("at %v: got %+v", at, d)
		}
	})
}
