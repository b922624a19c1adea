package decide

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func inMode(class, rule, promote string) site {
	s := plain
	s.classes = "\n  otp: {mode: " + class + ", approval: 15m}"
	s.rules = receiptsRule
	if rule != "" {
		s.rules = strings.Replace(s.rules, "    demote:", "    mode: "+rule+"\n    demote:", 1)
	}
	if promote != "" {
		s.rules = strings.Replace(s.rules, "step: 2m}", "step: 2m, mode: "+promote+"}", 1)
	}
	return s
}

func TestTheMostCarefulModeWins(t *testing.T) {
	for _, c := range []struct {
		class, rule string
		process     route.Mode
		want        route.Reason
	}{
		{"act", "", "", route.RuleMatched},
		{"act", "act", "act", route.RuleMatched},
		{"act", "", "propose", route.Proposed},
		{"act", "propose", "", route.Proposed},
		{"propose", "act", "act", route.Proposed},
		{"act", "observe", "act", route.ShadowOnly},
		{"propose", "act", "observe", route.ShadowOnly},
		{"observe", "propose", "act", route.ShadowOnly},
		{"observe", "", "", route.ShadowOnly},
	} {
		t.Run(c.class+" "+c.rule+" "+string(c.process), func(t *testing.T) {
			s := inMode(c.class, c.rule, "").begin(t)
			s.options.Mode = c.process
			d := only(t, s.look("a", failing).round())
			if d.Reason != c.want || d.Enforced != (c.want == route.RuleMatched) {
				t.Errorf("got %s, enforced %t, want %s", d.Reason, d.Enforced, c.want)
			}
			if (s.state("a").Phase == route.Demoted) != d.Enforced {
				t.Errorf("got phase %s after %s", s.state("a").Phase, d.Reason)
			}
		})
	}
}

func TestPromotionMayHaveAModeOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		class, rule, promote string
		want                 route.Reason
	}{
		{"act", "", "", route.RuleCleared},
		{"act", "act", "propose", route.Proposed},
		{"act", "", "observe", route.ShadowOnly},
		{"propose", "", "act", route.Proposed},
	} {
		t.Run(c.class+" "+c.promote, func(t *testing.T) {
			from := inMode("act", "", "")
			s := demoted(t, from, failing)
			s.rounds(6 * time.Minute)
			s.reload(inMode(c.class, c.rule, c.promote))
			d := only(t, s.look("a", returned).round())
			if d.Reason != c.want || d.Verdict != route.VerdictPromote {
				t.Errorf("got %s %s, want %s", d.Verdict, d.Reason, c.want)
			}
		})
	}
}

func TestTheMostCarefulPromoteModeOfARoutesRulesCounts(t *testing.T) {
	rules := plain
	rules.rules = receiptsRule + strings.Replace(bindRule, "successes >= 3'}", "successes >= 3', mode: observe}", 1)
	s := demoted(t, rules, look{failure: 20, bind: 3, peers: -9})
	s.look("a", returned).rounds(6 * time.Minute)
	s.phase("a", route.Demoted)
	if last := s.journal[len(s.journal)-1]; last.Reason != route.ShadowOnly {
		t.Errorf("got %s, want the promotion only observed, as one of the rules wants", last.Reason)
	}
}

func TestObservedVerdictsAreToldOnceInAnEpisode(t *testing.T) {
	s := inMode("observe", "", "").begin(t)
	wantReasons(t, s.look("a", failing).rounds(time.Hour), "a ShadowOnly")
	none(t, s.look("a", well).rounds(4*time.Minute))
	none(t, s.look("a", failing).rounds(time.Minute))
	none(t, s.look("a", well).rounds(6*time.Minute))
	if len(s.state("a").Told) > 0 {
		t.Errorf("got %+v, want nothing left after the episode", s.state("a").Told)
	}
	wantReasons(t, s.look("a", failing).rounds(time.Minute), "a ShadowOnly")
	s.phase("a", route.Active)
}

func TestEveryRuleHasItsSay(t *testing.T) {
	rules := plain
	rules.rules = strings.Replace(bindRule, "    demote:", "    mode: observe\n    demote:", 1) + receiptsRule
	s := rules.begin(t)
	wantReasons(t, s.look("a", unbound).rounds(time.Minute), "a ShadowOnly")
	d := only(t, s.look("a", look{bind: 3, failure: 20, peers: -9}).round())
	if !d.Enforced || d.Rule != "receipts" {
		t.Errorf("got %+v, want the rule that may act to act beside the one that only observes", d)
	}
	if got := s.state("a").Rules; len(got) != 1 || got[0] != "receipts" {
		t.Errorf("got rules %q, want none that only observes", got)
	}
}

func TestAHeldRuleDoesNotKeepAnotherFromActing(t *testing.T) {
	s := site{guards: corroborating}.begin(t)
	wantReasons(t, s.look("a", look{silence: 20, peers: -9, bind: -3, second: -9, hasSecond: true}).rounds(time.Minute), "a GuardHeld")
	d := only(t, s.look("a", look{silence: 20, peers: -9, bind: 3, second: -9, hasSecond: true}).round())
	if !d.Enforced || d.Rule != "bind" {
		t.Errorf("got %+v, want bind to act while receipts is held", d)
	}
	if got := s.state("a").Rules; len(got) != 1 {
		t.Errorf("got rules %q, want only the one whose guards passed", got)
	}
}

func TestTwoHeldRulesDoNotFloodTheJournal(t *testing.T) {
	s := site{guards: corroborating, lanes: `
  - {class: otp, network: GB, order: [a]}`}.begin(t)
	ds := s.look("a", look{silence: 20, bind: 3}).rounds(time.Hour)
	wantReasons(t, ds, "a GuardHeld", "a GuardHeld")
	if ds[0].Rule == ds[1].Rule {
		t.Errorf("got %s twice, want each rule told of once", ds[0].Rule)
	}
}

func TestAHeldChangeIsToldOnceForEachGuard(t *testing.T) {
	s := demoted(t, plain, failing)
	ds := s.look("b", look{failure: 20, peers: 9, bind: -3}).rounds(10 * time.Minute)
	wantReasons(t, ds, "b GuardHeld")
	ds = s.look("b", failing).rounds(time.Minute)
	wantReasons(t, ds, "b RuleMatched")

	again := demoted(t, plain, failing)
	again.look("b", failing).rounds(10 * time.Second)
	again.look("b", look{failure: 20, peers: 9, bind: -3}).rounds(10 * time.Second)
	again.look("b", failing).rounds(30 * time.Second)
	wantReasons(t, again.journal, "a RuleMatched", "b Settling", "b GuardHeld")
}

func TestAHoldSaysWhoHoldsWhatAndWhatFreesIt(t *testing.T) {
	s := site{guards: corroborating}.begin(t)
	d := only(t, s.look("a", silent).round())
	h := s.state("a").Hold
	if h == nil || h.Rule != "receipts" || h.Verdict != route.VerdictDemote || h.Guard != guardCorroborate || h.Reason != route.GuardHeld || h.Why == "" || h.Frees == "" || !h.Since.Equal(s.now) {
		t.Fatalf("got hold %+v", h)
	}
	if d.Enforced || d.From != route.Active || d.To != route.Demoted || d.Mode != route.Act {
		t.Errorf("got %+v, want a change that was not made", d)
	}
	s.look("a", well).rounds(5*time.Minute + signal.Tick)
	if s.state("a").Hold != nil {
		t.Error("got a hold five minutes after anything was asked for")
	}
}

func TestAProposalWaitsForAPersonAndExpires(t *testing.T) {
	s := inMode("propose", "", "").begin(t)
	d := only(t, s.look("a", failing).round())
	st := s.state("a")
	if d.Reason != route.Proposed || d.Enforced || d.Mode != route.Propose || st.Proposal != d.ID || st.ProposedBy != "receipts" || st.ExpiresAt.Sub(s.now) != 15*time.Minute {
		t.Fatalf("got %+v and state %+v", d, st)
	}
	none(t, s.rounds(15*time.Minute-signal.Tick))
	x := only(t, s.round())
	if x.Reason != route.Expired || x.Rule != "receipts" || !strings.Contains(x.Text, d.ID) || x.From != route.Active || x.To != route.Active {
		t.Errorf("got %+v, want the end of %s", x, d.ID)
	}
	if st := s.state("a"); st.Proposal != "" || st.ProposedBy != "" || !st.ExpiresAt.IsZero() || st.Phase != route.Active {
		t.Errorf("got state %+v, want nothing changed", st)
	}
	none(t, s.rounds(time.Hour)) // the same trouble is not proposed again
	s.look("a", well).rounds(6 * time.Minute)
	wantReasons(t, s.look("a", failing).round(), "a Proposed")
}

func TestAChangeThatIsMadeEndsTheProposalOfAnother(t *testing.T) {
	rules := plain
	rules.rules = strings.Replace(receiptsRule, "    demote:", "    mode: propose\n    demote:", 1) + bindRule
	s := rules.begin(t)
	wantReasons(t, s.look("a", failing).round(), "a Proposed")
	ds := s.look("a", unbound).round()
	wantReasons(t, ds, "a Expired", "a RuleMatched")
	if s.state("a").Proposal != "" {
		t.Error("got a proposal for a route that has gone already")
	}
}

func TestARecoveringRouteInProposeModeAsksOnce(t *testing.T) {
	s := recovering(t, plain)
	s.reload(inMode("act", "", "propose"))
	s.rounds(30 * time.Second)
	wantReasons(t, s.rounds(10*time.Minute), "a Proposed")
	s.phase("a", route.Recovering)
}

func TestIDsCountWithinAGeneration(t *testing.T) {
	s := site{guards: corroborating}.begin(t)
	var ids []string
	for _, d := range s.look("a", silent).look("b", silent).rounds(3 * time.Minute) {
		ids = append(ids, d.ID)
		if !strings.HasPrefix(d.ID, d.Generation.String()+"-") || d.Policy != s.policy.Revision {
			t.Errorf("got id %s in generation %s under %q", d.ID, d.Generation, d.Policy)
		}
	}
	if got, want := strings.Join(ids, " "), "1-1-1 1-1-2 1-2-1 1-2-2 1-3-1"; got != want {
		t.Errorf("got %s, want %s\n%s", got, want, tail(s.journal))
	}
	if s.state("a").Decision != "1-2-1" || s.state("b").Decision != "1-3-1" {
		t.Errorf("got decisions %s and %s behind the states", s.state("a").Decision, s.state("b").Decision)
	}
}
