package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func TestAFailingRouteGoesAndComesBackStepByStep(t *testing.T) {
	s := demoted(t, plain, failing)
	out := s.now
	s.wantShares(map[route.ID]int{"a": 100, "b": 9900, "c": 0})

	s.look("a", returned)
	wantReasons(t, s.rounds(5*time.Minute-signal.Tick), "a HoldDown")
	d := only(t, s.round())
	if d.From != route.Demoted || d.To != route.Recovering || !d.Enforced || d.Reason != route.RuleCleared || s.now.Sub(out) != 5*time.Minute {
		t.Fatalf("got %+v after %s, want the first step at the end of the hold-down", d, s.now.Sub(out))
	}
	s.wantShares(map[route.ID]int{"a": 500, "b": 9500, "c": 0})

	none(t, s.rounds(2*time.Minute-signal.Tick))
	wantReasons(t, s.round(), "a RuleCleared")
	s.wantShares(map[route.ID]int{"a": 2500, "b": 7500, "c": 0})
	if got := s.state("a"); got.Step != 1 || !got.Since.Equal(s.now) {
		t.Fatalf("got step %d since %s, want 1 since now", got.Step, got.Since)
	}

	none(t, s.rounds(2*time.Minute-signal.Tick))
	wantReasons(t, s.round(), "a RuleCleared")
	s.phase("a", route.Active)
	s.wantShares(map[route.ID]int{"a": 10000, "b": 0, "c": 0})
	if got := s.state("a"); len(got.Rules) > 0 || got.Accused != (route.Accused{}) || !got.HoldUntil.IsZero() || !got.PromotedAt.Equal(s.now) {
		t.Errorf("got %+v, want nothing left of the demotion but its count", got)
	}
}

func TestAStepWaitsUntilThePromoteConditionHoldsOnItsOwnMessages(t *testing.T) {
	s := recovering(t, plain)
	s.look("a", well) // no trouble, but not proven either
	none(t, s.rounds(time.Hour))
	s.phase("a", route.Recovering)
	if got := s.inquiries()[0]; !got.After.Equal(s.state("a").Since) || got.Accused.Delivered != 0.4 || got.Peace != 5*time.Minute {
		t.Errorf("got inquiry %+v, want one over the step's messages, against what the demotion accused, with the hold-down as peace", got)
	}
	s.look("a", returned)
	wantReasons(t, s.round(), "a RuleCleared")
}

// inquiries are what the next round asks about the first lane.
func (s *story) inquiries() (asks []route.Inquiry) {
	Round(s.policy, asking{s.source(), &asks}, s.world, s.now.Add(signal.Tick), s.options)
	return asks
}

// asking keeps what it is asked.
type asking struct {
	told
	asks *[]route.Inquiry
}

func (a asking) Judge(scope route.Scope, asks []route.Inquiry, now time.Time) []route.Signals {
	*a.asks = append(*a.asks, asks...)
	return a.told.Judge(scope, asks, now)
}

func TestInquiriesOfActiveRoutesAccuseNobody(t *testing.T) {
	s := plain.begin(t)
	for _, q := range s.inquiries() {
		if q.Accused != (route.Accused{}) || q.Peace != 0 || !q.After.IsZero() {
			t.Errorf("got %+v, want a plain question", q)
		}
	}
}

func TestARecoveringRouteIsDemotedAtOnce(t *testing.T) {
	slow := plain
	slow.rules = receiptsRule + `
  - name: slow
    class: ["*"]
    demote: {when: 'probe["bind"].failures >= 3', for: 1h}
    promote: {when: 'probe["bind"].successes >= 3'}
    hold_down: {base: 5m}`
	slow.guards = `{settle: 5m, velocity: {changes: 2, in: 1d}}`
	s := recovering(t, slow)
	s.look("a", unbound)
	d := only(t, s.round())
	if !d.Enforced || d.From != route.Recovering || d.To != route.Demoted || d.Rule != "slow" {
		t.Fatalf("got %+v, want a demotion that waits for neither its time nor settling", d)
	}
	if got := s.state("a"); got.Relapses != 1 || got.HoldUntil.Sub(s.now) != 10*time.Minute {
		t.Errorf("got %d relapses and hold-down %s, want 1 and 10m", got.Relapses, got.HoldUntil.Sub(s.now))
	}
	if got, want := s.state("a").Rules, []string{"slow", "receipts"}; !slices.Equal(got, want) {
		t.Errorf("got rules %q, want %q: both have to let it back", got, want)
	}
}

func TestARecoveringRouteStaysWhileEverythingLooksBad(t *testing.T) {
	s := recovering(t, plain)
	for _, id := range []route.ID{"a", "b", "c"} {
		s.look(id, look{silence: 20, peers: 9, bind: -3})
	}
	ds := s.rounds(10 * time.Minute)
	s.phase("a", route.Recovering)
	if slices.ContainsFunc(ds, func(d route.Decision) bool { return d.Enforced }) {
		t.Errorf("got a change while everything looks bad:\n%s", tail(ds))
	}
}

func TestHoldDownGrowsWithRelapsesUpToItsMostAndDecays(t *testing.T) {
	s := plain.begin(t)
	for n, want := range []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		s.look("a", failing).rounds(11 * time.Minute)
		s.phase("a", route.Demoted)
		st := s.state("a")
		if got := st.HoldUntil.Sub(st.Since); got != want || st.Relapses != n {
			t.Fatalf("demotion %d: got hold-down %s and %d relapses, want %s", n+1, got, st.Relapses, want)
		}
		s.look("a", returned).rounds(40 * time.Minute)
		s.phase("a", route.Active)
	}
	s.rounds(time.Hour)
	if got := s.state("a").Relapses; got != 0 {
		t.Errorf("got %d relapses after an hour of peace, want 0", got)
	}
	s.look("a", failing).round()
	if got := s.state("a"); got.HoldUntil.Sub(s.now) != 5*time.Minute {
		t.Errorf("got hold-down %s after long peace, want 5m", got.HoldUntil.Sub(s.now))
	}
}

func TestHoldDownArithmetic(t *testing.T) {
	h := policy.HoldDown{Base: time.Minute, Factor: 2, Max: time.Hour}
	for _, c := range []struct {
		h        policy.HoldDown
		relapses int
		want     time.Duration
	}{
		{h, 0, time.Minute},
		{h, 3, 8 * time.Minute},
		{h, 6, time.Hour},
		{h, 5000, time.Hour},
		{policy.HoldDown{Base: 0, Factor: 100, Max: time.Hour}, 5000, 0},
		{policy.HoldDown{Base: time.Minute, Factor: 1, Max: time.Minute}, 9, time.Minute},
	} {
		if got := holdDown(c.h, c.relapses); got != c.want {
			t.Errorf("%+v after %d relapses: got %s, want %s", c.h, c.relapses, got, c.want)
		}
	}
}

func TestARouteOfSeveralRulesReturnsWhenAllLetIt(t *testing.T) {
	rules := plain
	rules.rules = conversionsRule + receiptsRule + bindRule
	s := rules.begin(t)
	d := only(t, s.look("a", look{failure: 20, lost: 20, peers: -9, bind: -3}).round())
	if got := s.state("a").Rules; !slices.Equal(got, []string{"conversions", "receipts"}) || d.Rule != "conversions" {
		t.Fatalf("got rules %q and decision by %s, want both rules that asked, and the first of them", got, d.Rule)
	}
	if got := s.state("a"); got.Accused.Conversion != 0.25 || got.Accused.Delivered != 0.4 || got.HoldUntil.Sub(s.now) != 10*time.Minute {
		t.Errorf("got accused %+v and hold-down %s, want both troubles and the longer one", got.Accused, got.HoldUntil.Sub(s.now))
	}
	none(t, s.look("a", look{recovered: 9, bind: -3}).rounds(time.Hour))
	none(t, s.look("a", look{converts: 9, bind: -3}).rounds(time.Hour))
	wantReasons(t, s.look("a", look{recovered: 9, converts: 9, bind: -3}).round(), "a RuleCleared")
}

func TestARuleJoinsThoseThatKeepARouteOut(t *testing.T) {
	s := demoted(t, plain, failing)
	generation := s.world.Generation
	s.rounds(time.Minute)
	d := only(t, s.look("a", look{bind: 3, recovered: 9}).round())
	if !d.Enforced || d.From != route.Demoted || d.To != route.Demoted || d.Rule != "bind" {
		t.Fatalf("got %+v, want bind to join", d)
	}
	if s.world.Generation != generation {
		t.Error("got a new table where senders see nothing of it")
	}
	none(t, s.look("a", look{bind: 3, recovered: 9}).rounds(time.Hour))
	wantReasons(t, s.look("a", returned).round(), "a RuleCleared")
}

func TestARuleDoesNotJoinWhileAllRoutesHaveTheTrouble(t *testing.T) {
	s := demoted(t, plain, failing)
	for _, id := range []route.ID{"b", "c"} {
		s.look(id, unbound)
	}
	s.look("a", look{bind: 3, recovered: 9}).rounds(time.Hour)
	if got := s.state("a").Rules; !slices.Equal(got, []string{"receipts"}) {
		t.Errorf("got rules %q, want only the one whose accusation stands", got)
	}
}

func TestARecoveringRouteIsAccusedOfNewTroubleToo(t *testing.T) {
	rules := plain
	rules.rules = receiptsRule + conversionsRule
	s := recovering(t, rules)
	s.look("a", look{lost: 20, peers: -9}).round()
	s.phase("a", route.Demoted)
	if got, want := s.state("a").Accused, (route.Accused{Delivered: 0.4, Conversion: 0.25}); got != want {
		t.Errorf("got accused %+v, want %+v: else it could never prove to convert again", got, want)
	}
}

func TestADemotionForLatenessAsksForTimesBack(t *testing.T) {
	s := site{rules: lateRule}.begin(t)
	s.look("a", look{late: 20, peers: -9}).round()
	s.phase("a", route.Demoted)
	if got, want := s.inquiries()[0].Accused, (route.Accused{Latency: 0.27}); got != want {
		t.Errorf("got accused %+v, want %+v", got, want)
	}
}

// Where a rule read other numbers than the evidence, they are what its demotion accuses a route of.
func TestWhatARuleOverTimesAccuses(t *testing.T) {
	for _, c := range []struct {
		when   string
		change func(*route.Signals)
		want   route.Accused
	}{
		{"latency.evidence >= 12.0", func(s *route.Signals) { s.Suspect.Latency = 0.3 }, route.Accused{Latency: 0.3}},
		{`latency.p95 > duration("30s")`, func(s *route.Signals) { s.Latency.OnTime = 0.375 }, route.Accused{Latency: 0.5}},
		{`latency.p95 > duration("30s")`, func(s *route.Signals) { s.Within.Ratio = 0.44 }, route.Accused{Latency: 0.5}},
		{"within.ratio < 0.5", func(s *route.Signals) { s.Latency, s.Within.Ratio = route.Latency{}, 0.001 }, route.Accused{Latency: 0.02}},
		{"within.ratio < 0.95", func(*route.Signals) {}, route.Accused{Latency: 0.94}},
		{"delivery.ratio < 0.95", func(s *route.Signals) { s.Latency.OnTime = 0.3 }, route.Accused{Arrival: 0.94}},
		{"delivery.ratio < 0.95", func(s *route.Signals) { s.Suspect.Latency = 0.3 }, route.Accused{Arrival: 0.94, Latency: 0.3}},
	} {
		s := site{rules: strings.Replace(lateRule, "latency.evidence >= 12.0", "'"+c.when+"'", 1)}.begin(t)
		sig := well.signals(otpGB, "a", nil, s.now)
		c.change(&sig)
		if got := suspect(&sig, s.policy.Rules[0].Demote.When); got != c.want {
			t.Errorf("%s: got accused %+v, want %+v", c.when, got, c.want)
		}
	}
}

func TestARouteThatARuleWantsOutDoesNotComeBack(t *testing.T) {
	rules := plain
	rules.rules = `
  - name: both
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0}
    promote: {when: delivery.evidence >= 1.0}
    hold_down: {base: 0s, max: 0s}`
	s := demoted(t, rules, failing)
	none(t, s.rounds(time.Hour))
	s.phase("a", route.Demoted)
}

func TestUnknownMovesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(tester) *story
	}{
		{"an active route", func(t tester) *story { return plain.begin(t) }},
		{"a demoted one", func(t tester) *story { return demoted(t, plain, failing) }},
		{"a recovering one", func(t tester) *story { return recovering(t, plain) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.from(t)
			was, table := s.state("a").Phase, encode(s.table)
			for _, d := range s.look("a", away).rounds(time.Hour) {
				if d.Enforced {
					t.Errorf("got %s", tail([]route.Decision{d}))
				}
			}
			if s.phase("a", was); encode(s.table) != table {
				t.Error("got another table")
			}
		})
	}
}

func TestUnknownThatLastsIsToldOnce(t *testing.T) {
	s := plain.begin(t)
	none(t, s.look("a", away).rounds(2*time.Minute))
	d := only(t, s.rounds(2*time.Hour))
	if d.Reason != route.Unknown || d.Verdict != route.VerdictUnknown || d.Enforced || d.Rule != "receipts" {
		t.Fatalf("got %+v, want one word of what cannot be judged", d)
	}
	none(t, s.look("a", well).rounds(time.Minute))
	wantReasons(t, s.look("a", away).rounds(3*time.Minute), "a Unknown")
}

func TestTooLittleToJudgeByIsLowEvidence(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause string
		want  route.Reason
	}{
		{"a source that is away", "", route.Unknown},
		{"a cold baseline under a source that is heard", "the baseline is cold", route.LowEvidence},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plain.begin(t)
			var got []route.Decision
			for range 30 {
				s.now = s.now.Add(signal.Tick)
				o := judge(s.policy, s.world, s.now, Options{}, func(key route.Lane, ids []route.ID) []route.Signals {
					out := s.look("a", away).signals(key, ids)
					if c.cause != "" {
						out[0].Delivery.Cause = c.cause
					}
					return out
				})
				s.take(o)
				got = append(got, o.Decisions...)
			}
			if d := only(t, got); d.Reason != c.want {
				t.Errorf("got %s, want %s: %s", d.Reason, c.want, d.Text)
			}
		})
	}
}
