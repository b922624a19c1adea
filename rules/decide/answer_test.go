package decide

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// proposed is a story in which the demotion of a waits for a person.
func proposed(t tester) (*story, route.Decision) {
	t.Helper()
	s := inMode("propose", "", "").begin(t)
	d := only(t, s.look("a", failing).round())
	if d.Reason != route.Proposed {
		t.Fatalf("got %+v, want a proposal", d)
	}
	return s, d
}

func TestAnApprovedProposalIsMadeAtOnce(t *testing.T) {
	s, p := proposed(t)
	first := s.world
	s.jump(2 * time.Second) // between two rounds
	out, err := s.reply(Reply{Proposal: p.ID, Approve: true})
	if err != nil {
		t.Fatal(err)
	}
	d := only(t, out.Decisions)
	if !d.Enforced || d.Reason != route.Approved || d.Actor == nil || *d.Actor != "ann" || d.Mode != route.Act || d.To != route.Demoted || len(d.Guards) != len(guardOrder) || !d.Time.Equal(s.now) {
		t.Errorf("got %+v", d)
	}
	s.wantRow(otpGB, "b 9900, c 0, a 100 demoted")
	if st := s.state("a"); st.Proposal != "" || st.ProposedBy != "" || st.Decision != d.ID || st.HoldUntil.Sub(s.now) != 5*time.Minute {
		t.Errorf("got %+v", st)
	}
	s.retold(first, out.Decisions)
	if _, err := s.reply(Reply{Proposal: p.ID, Approve: true}); err == nil || err.Error() != `want the id of a proposal that waits, got "`+p.ID+`"` {
		t.Errorf("approved again: got %v", err)
	}
	s.jump(3 * time.Second)
	s.now = s.now.Truncate(signal.Tick).Add(-signal.Tick)
	none(t, s.rounds(time.Minute)) // what the rounds go on from is what was approved
}

func TestAnApprovalOfWhatIsSoNoMoreNamesTheProposal(t *testing.T) {
	for _, c := range []struct {
		name string
		now  look
		want string
	}{
		{"so still", failing, "of 240 messages since 09:59:10 whose receipts should be back"},
		{"not so", well, "as proposed in 1-1-1; since then delivery.evidence is 0 (>= 12)"},
		{"not known", away, "as proposed in 1-1-1; since then delivery.evidence is unknown (>= 12)"},
	} {
		s, p := proposed(t)
		s.look("a", c.now).round()
		out, err := s.reply(Reply{Proposal: p.ID, Approve: true, Force: true})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if d := only(t, out.Decisions); !strings.HasPrefix(d.Text, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, d.Text, c.want)
		}
	}
}

func TestAnApprovalAsksTheGuardsAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		mind   func(*story) // what happens in between
		guard  string
		forced bool // whether force lets it pass
	}{
		{"the lane has just changed", func(s *story) { s.world.Lane(otpGB).Changes = []time.Time{s.now} }, guardSettle, true},
		{"the others have the trouble too", func(s *story) { s.look("a", look{failure: 20, peers: 9, bind: -3}).round() }, guardCommonCause, true},
		{"the route is pinned", func(s *story) { s.order(route.Override{Kind: route.Pin, Route: "a"}) }, guardPinned, true},
		{"the lane is frozen", func(s *story) { s.order(route.Override{Kind: route.Freeze}) }, guardFrozen, true},
		{"it is the last one", func(s *story) {
			s.order(route.Override{Kind: route.Drain, Route: "b"})
			s.order(route.Override{Kind: route.Drain, Route: "c"})
		}, guardMinActive, false},
		{"it is pinned and the last one", func(s *story) {
			s.order(route.Override{Kind: route.Drain, Route: "b"})
			s.order(route.Override{Kind: route.Drain, Route: "c"})
			s.order(route.Override{Kind: route.Pin, Route: "a"})
		}, guardPinned, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, p := proposed(t)
			c.mind(s)
			was := s.row(otpGB)
			_, err := s.reply(Reply{Proposal: p.ID, Approve: true})
			var refused *Refused
			if !errors.As(err, &refused) || refused.Guard != c.guard || refused.Frees == "" || !strings.HasPrefix(err.Error(), c.guard+": ") {
				t.Fatalf("got %v, want it refused by %s", err, c.guard)
			}
			s.wantRow(otpGB, was)
			out, err := s.reply(Reply{Proposal: p.ID, Approve: true, Force: true})
			if (err == nil) != c.forced {
				t.Fatalf("forced: got %v, want it to pass: %t", err, c.forced)
			}
			if !c.forced {
				if !errors.As(err, &refused) || refused.Guard != guardMinActive {
					t.Errorf("forced: got %v, want %s", err, guardMinActive)
				}
				return
			}
			if d := only(t, out.Decisions); d.Reason != route.Approved || answer(t, d, c.guard).Result != hold || answer(t, d, guardMinActive).Result != pass {
				t.Errorf("got %+v, want the record to say which guard was passed over", d)
			}
			s.phase("a", route.Demoted)
		})
	}
}

func TestAWaitThatIsOverIsNotAskedOfAPersonAgain(t *testing.T) {
	careful := inMode("propose", "", "")
	careful.guards = `{corroborate: {class: [otp], signals: [silence], wait: 40s}, common_cause: {wait: 1m}}`
	s := careful.begin(t)
	ds := s.look("a", look{silence: 20, bind: -3}).rounds(2 * time.Minute)
	wantReasons(t, ds, "a GuardHeld", "a Proposed")
	s.rounds(5 * time.Minute)
	if e := s.explain("a"); !strings.HasPrefix(e.Next, "a person may approve") {
		t.Errorf("got %q while a person is asked", e.Next)
	}
	if _, err := s.reply(Reply{Proposal: ds[1].ID, Approve: true}); err != nil {
		t.Errorf("got %v, want it to pass: the guards had their time", err)
	}
}

func TestARejectedProposalIsNotAskedAgainInTheSameEpisode(t *testing.T) {
	s, p := proposed(t)
	first := s.world
	out, err := s.reply(Reply{Proposal: p.ID, Reason: "planned work"})
	if err != nil {
		t.Fatal(err)
	}
	d := only(t, out.Decisions)
	if d.Reason != route.Rejected || d.Enforced || *d.Actor != "ann" || d.Text != "the proposal "+p.ID+" was rejected by ann: planned work" || out.Table != nil || !out.Changed {
		t.Errorf("got %+v", d)
	}
	s.retold(first, out.Decisions)
	none(t, s.rounds(time.Hour))
	s.phase("a", route.Active)
	s.look("a", well).rounds(6 * time.Minute)
	wantReasons(t, s.look("a", failing).round(), "a Proposed")
}

func TestAProposalIsOverAtItsMoment(t *testing.T) {
	for _, approve := range []bool{true, false} {
		s, p := proposed(t)
		none(t, s.rounds(15*time.Minute-signal.Tick))
		s.now = s.state("a").ExpiresAt
		if _, err := s.reply(Reply{Proposal: p.ID, Approve: approve}); err == nil || !strings.Contains(err.Error(), p.ID) {
			t.Errorf("approve %t: got %v at the moment of its end, want it to be over", approve, err)
		}
		s.now = s.now.Add(-signal.Tick)
		wantReasons(t, s.round(), "a Expired")
		s.phase("a", route.Active)
	}
}

func TestAPromotionIsApprovedStepByStep(t *testing.T) {
	s := demoted(t, plain, failing)
	s.rounds(6 * time.Minute)
	s.reload(inMode("act", "", "propose"))
	for _, want := range []string{"b 9500, c 0, a 500 recovering", "b 7500, c 0, a 2500 recovering", "a 10000, b 0, c 0"} {
		ds := s.look("a", returned).rounds(3 * time.Minute)
		p := only(t, ds)
		if p.Reason != route.Proposed || p.Verdict != route.VerdictPromote {
			t.Fatalf("got %+v, want a step proposed", p)
		}
		if _, err := s.reply(Reply{Proposal: p.ID, Approve: true}); err != nil {
			t.Fatal(err)
		}
		s.wantRow(otpGB, want)
	}
}

func TestAnApprovalCutsNoHoldDownShortUnlessItIsForced(t *testing.T) {
	s := demoted(t, plain, failing)
	s.rounds(6 * time.Minute)
	s.reload(inMode("act", "", "propose"))
	p := only(t, s.look("a", returned).round())
	s.world.Lane(otpGB).State("a").HoldUntil = s.now.Add(time.Minute)
	_, err := s.reply(Reply{Proposal: p.ID, Approve: true})
	if refused, ok := err.(*Refused); !ok || refused.Guard != guardHoldDown {
		t.Errorf("got %v, want the hold-down to refuse", err)
	}
}

func TestAGuardThatLowersAChangeAsksAPerson(t *testing.T) {
	dear := plain
	dear.guards = `{price_rise: {limit: 5%, then: propose}}`
	s := dear.begin(t)
	p := only(t, s.look("a", failing).round())
	g := answer(t, p, guardPriceRise)
	if p.Reason != route.Proposed || p.Mode != route.Propose || p.PriceChange != "+10.0%" || g.Result != lower || !strings.HasPrefix(g.Frees, "a person who approves it, or ") {
		t.Fatalf("got %+v, want a proposal in mode act", p)
	}
	out, err := s.reply(Reply{Proposal: p.ID, Approve: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := only(t, out.Decisions); answer(t, d, guardPriceRise).Result != lower || d.Mode != route.Act {
		t.Errorf("got %+v", d)
	}
	s.phase("a", route.Demoted)
}

func TestAProposalOfANetworkIsApprovedThere(t *testing.T) {
	asked := abroad()
	asked.rules = strings.Replace(thereRule, "    demote:", "    mode: propose\n    demote:", 1) + bindRule
	s := asked.beginAbroad(t)
	p := only(t, s.there(otp15, "a", failing).round())
	if _, err := s.reply(Reply{Proposal: p.ID, Approve: true}); err != nil {
		t.Fatal(err)
	}
	s.wantRow(otp15, "b 9900, c 0, a 100 demoted")
	s.wantRow(otpGB, "a 10000, b 0, c 0")
}

func TestAProposalOutlivesARestart(t *testing.T) {
	s, p := proposed(t)
	s.world = decode(t, encode(s.world))
	s.last = Outcome{} // nothing is seen yet
	out, err := s.reply(Reply{Proposal: p.ID, Approve: true})
	if refused, ok := err.(*Refused); ok && refused.Guard == guardCommonCause {
		out, err = s.reply(Reply{Proposal: p.ID, Approve: true, Force: true})
	}
	if err != nil {
		t.Fatalf("got %v, want it answered before the first round", err)
	}
	if d := only(t, out.Decisions); !d.Enforced || d.Route != "a" {
		t.Errorf("got %+v", d)
	}
}

func TestAWrongAnswerSaysWhatIsWanted(t *testing.T) {
	s, p := proposed(t)
	seen := Seen{Signals: s.last.Signals}
	for _, c := range []struct {
		a    Reply
		want string
	}{
		{Reply{Proposal: "1-9-9", Actor: "ann", Approve: true}, `want the id of a proposal that waits, got "1-9-9"`},
		{Reply{Actor: "ann"}, `want the id of a proposal that waits, got ""`},
		{Reply{Proposal: p.ID, Approve: true}, "actor: want the name of who answers, got nothing"},
	} {
		if _, err := Answer(s.policy, s.world, seen, c.a, s.now); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v, want %s", c.a, err, c.want)
		}
	}
	s.reload(site{rules: bindRule})
	want := `want a rule of the policy in force, got the proposal of "receipts", which it has no more`
	if _, err := s.reply(Reply{Proposal: p.ID, Approve: true}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := s.reply(Reply{Proposal: p.ID}); err != nil {
		t.Errorf("reject: got %v", err)
	}
}

func TestNothingIsProposedBesideAProposal(t *testing.T) {
	both := plain
	both.rules = strings.ReplaceAll(receiptsRule+bindRule, "    demote:", "    mode: propose\n    demote:")
	s := both.begin(t)
	ds := s.look("a", look{failure: 20, bind: 3, peers: -9}).rounds(time.Minute)
	wantReasons(t, ds, "a Proposed")
	if got := fmt.Sprint(s.state("a").ProposedBy); got != "receipts" {
		t.Errorf("got %s", got)
	}
}
