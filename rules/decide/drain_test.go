package decide

import (
	"fmt"
	"testing"

	"signalbox/rules/route"
)

func TestADrainedRouteGetsNothingAndIsNobodysFallback(t *testing.T) {
	for _, c := range []struct{ name, lanes, want string }{
		{"the first in order", "order: [a, b, c]", "b 10000, c 0, a 0 drained"},
		{"one of those that share", "share: {a: 50, b: 30, c: 20}", "b 6000, c 4000, a 0 drained"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{lanes: "\n  - {class: otp, network: GB, " + c.lanes + "}"}.begin(t)
			was, first := s.row(otpGB), s.world
			d := s.order(route.Override{Kind: route.Drain, Route: "a"})
			s.wantRow(otpGB, c.want)
			if d.Reason != route.OverrideSet || !d.Enforced || d.Actor == nil || *d.Actor != "ann" || d.Text != "drained by ann: maintenance" || d.Override == nil || d.Override.ID != d.ID {
				t.Errorf("got %+v", d)
			}
			over := s.ends(d.ID)
			if over.Reason != route.OverrideEnded || *over.Actor != "bob" || over.Text != "ended by bob: drained by ann: maintenance" || over.Override.ID != d.ID {
				t.Errorf("got %+v", over)
			}
			s.wantRow(otpGB, was)
			s.retold(first, s.journal)
		})
	}
}

func TestADrainKeepsItsTrickleAndItsRampFromARoute(t *testing.T) {
	s := recovering(t, plain)
	s.wantRow(otpGB, "b 9500, c 0, a 500 recovering")
	s.order(route.Override{Kind: route.Drain, Route: "a"})
	s.wantRow(otpGB, "b 10000, c 0, a 0 recovering drained")
}

func TestADrainThatLeavesALaneNoRouteIsRefusedUnlessItIsForced(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(tester) *story
		o    route.Override
		want string // why it is refused; "" where it passes
		row  string // where it is forced
	}{
		{"the only one of a lane", func(t tester) *story {
			return site{lanes: "\n  - {class: otp, network: GB, order: [a]}"}.begin(t)
		}, route.Override{Route: "a"}, "0 routes would stay usable in otp/GB, and at least 1 must", "a 10000 drained"},
		{"the other one is demoted", func(t tester) *story {
			two := plain
			two.lanes = "\n  - {class: otp, network: GB, order: [a, b]}"
			return demoted(t, two, failing)
		}, route.Override{Route: "b"}, "0 routes would stay usable in otp/GB, and at least 1 must", "a 10000 demoted, b 0 drained"},
		{"the one that is demoted may be", func(t tester) *story {
			two := plain
			two.lanes = "\n  - {class: otp, network: GB, order: [a, b]}"
			return demoted(t, two, failing)
		}, route.Override{Route: "a"}, "", "b 10000, a 0 demoted drained"},
		{"one that carries nothing any more may be, too", func(t tester) *story {
			s := site{guards: fmt.Sprintf(quick, 2), lanes: "\n  - {class: otp, network: GB, order: [a, b]}"}.begin(t)
			if _, err := s.tryOrder(route.Override{Kind: route.Drain, Route: "a"}, true); err != nil {
				t.Fatalf("force: %v", err)
			}
			return s
		}, route.Override{Class: "*", Route: "a"}, "", "b 10000, a 0 drained"},
		{"where min_active is two", func(t tester) *story {
			return site{guards: fmt.Sprintf(quick, 2), lanes: "\n  - {class: otp, network: GB, order: [a, b]}"}.begin(t)
		}, route.Override{Route: "a"}, "1 route would stay usable in otp/GB, and at least 2 must", "b 10000, a 0 drained"},
		{"on one network", func(t tester) *story {
			two := abroad()
			two.lanes = "\n  - {class: otp, network: GB, order: [a, b]}"
			return outThere(t, two)
		}, route.Override{Route: "b", Network: "234-15"}, "0 routes would stay usable in otp/234-15, and at least 1 must", "a 10000, b 0"},
		{"in a lane, on one of its networks", func(t tester) *story {
			two := abroad()
			two.lanes = "\n  - {class: otp, network: GB, order: [a, b]}"
			return outThere(t, two)
		}, route.Override{Route: "b"}, "0 routes would stay usable in otp/234-15, and at least 1 must", "a 10000, b 0 drained"},
		{"of every class", func(t tester) *story {
			return site{classes: plain.classes + "\n  bulk: {mode: act}", lanes: plain.lanes + "\n  - {class: bulk, network: GB, order: [b]}"}.begin(t)
		}, route.Override{Class: "*", Route: "b"}, "0 routes would stay usable in bulk/GB, and at least 1 must", "a 10000, c 0, b 0 drained"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.from(t)
			c.o.Kind = route.Drain
			was := encode(s.table)
			_, err := s.tryOrder(c.o, false)
			if c.want == "" {
				if err != nil {
					t.Fatalf("got %v, want it to pass: it takes nothing away", err)
				}
				s.wantRow(otpGB, c.row)
				return
			}
			refused, ok := err.(*Refused)
			if !ok || refused.Guard != guardMinActive || refused.Why != c.want || refused.Frees == "" {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if encode(s.table) != was {
				t.Error("got another table by an order that was refused")
			}
			if _, err := s.tryOrder(c.o, true); err != nil {
				t.Fatalf("forced: %v", err)
			}
			s.wantRow(otpGB, c.row)
			for _, l := range s.table.Lanes {
				sum := 0
				for _, e := range l.Routes {
					sum += e.Share
				}
				if sum != route.FullShare {
					t.Errorf("got shares of %s that sum to %d", l.Lane(), sum)
				}
			}
		})
	}
}
