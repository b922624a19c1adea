package decide

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// quick has guards that never make a change wait, so that one guard can be seen by itself.
const quick = `{min_active: %d, common_cause: {share: 100%%, wait: 0s}, settle: 0s, velocity: {changes: 10, in: 1m}}`

func TestTheLastActiveRoutesAreNeverDemoted(t *testing.T) {
	for _, c := range []struct {
		order string
		least int
		want  int // routes that may go
	}{
		{"[a]", 1, 0}, {"[a, b]", 1, 1}, {"[a, b, c]", 1, 2}, {"[a, b, c]", 2, 1}, {"[a, b, c]", 3, 0}, {"[a, b]", 2, 0},
	} {
		t.Run(fmt.Sprintf("%s keeps %d", c.order, c.least), func(t *testing.T) {
			s := site{lanes: `
  - {class: otp, network: GB, order: ` + c.order + `}`, guards: fmt.Sprintf(quick, c.least)}.begin(t)
			for _, id := range []route.ID{"a", "b", "c"} {
				s.look(id, failing)
			}
			gone := 0
			for _, d := range s.rounds(time.Hour) {
				switch {
				case d.Enforced:
					gone++
				case d.Reason == route.GuardHeld && answer(t, d, guardMinActive).Result != hold:
					t.Errorf("got held by another guard: %+v", d.Guards)
				}
			}
			if gone != c.want {
				t.Errorf("got %d demoted, want %d\n%s", gone, c.want, tail(s.journal))
			}
		})
	}
}

func TestCommonCause(t *testing.T) {
	for _, c := range []struct {
		name    string
		b, c    float64 // what b and c say of sharing the trouble of a
		rounds  int     // after which it is demoted; 0 for never in ten minutes
		because string
	}{
		{"a peer proven better lets it go at once", -5, 0, 1, "b is proven better"},
		{"the second peer proven better does as well", 9, -5, 1, "c is proven better"},
		{"all in the same trouble hold it for ever", 3, 3, 0, ""},
		{"most in the same trouble hold it for ever", 3, 0, 0, ""},
		{"nobody can tell: it waits and goes", 0, 0, 13, "no other route proved better"},
		{"just short of proof is no proof", -4.5, 1.9, 13, "no other route proved better"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plain.begin(t)
			n, went := 0, route.Decision{}
			for ; n < 120 && went.ID == ""; n++ {
				s.now = s.now.Add(signal.Tick)
				s.take(judge(s.policy, s.world, s.now, Options{}, func(key route.Lane, ids []route.ID) []route.Signals {
					out := s.look("a", failing).signals(key, ids)
					out[0].Peers = []route.Peer{{Route: "b", Known: true, Delivery: c.b}, {Route: "c", Known: true, Delivery: c.c}}
					return out
				}))
				if last := s.journal[len(s.journal)-1]; last.Enforced {
					went = last
				}
			}
			if c.rounds == 0 {
				if went.ID != "" {
					t.Fatalf("got demoted in round %d, want never", n)
				}
				wantReasons(t, s.journal, "a GuardHeld")
				return
			}
			if n != c.rounds || !strings.Contains(answer(t, went, guardCommonCause).Why, c.because) {
				t.Errorf("got round %d because %q, want %d because %q", n, answer(t, went, guardCommonCause).Why, c.rounds, c.because)
			}
		})
	}
}

func TestCommonCauseDoesNotWaitForRoutesThatCarryNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		look   look
		second route.Second
		rounds int
	}{
		{"statuses that failed are no broken receipt path", failing, route.Second{}, 1},
		{"conversions fail too", silent, route.Second{ConversionKnown: true, Conversion: 3.5}, 1},
		{"conversions cannot tell yet", silent, route.Second{ConversionKnown: true, Conversion: 1}, 13},
		{"receipts of earlier messages still come", silent, route.Second{Path: 4}, 1},
		{"they do not come either", silent, route.Second{Path: -9}, 13},
		{"there is no second channel", silent, route.Second{}, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := plain.begin(t)
			n := 0
			for gone := false; n < 120 && !gone; n++ {
				s.now = s.now.Add(signal.Tick)
				s.take(judge(s.policy, s.world, s.now, Options{}, func(key route.Lane, ids []route.ID) []route.Signals {
					out := s.look("a", c.look).signals(key, ids)
					out[0].Peers, out[0].Second = []route.Peer{{Route: "b"}, {Route: "c"}}, c.second
					return out
				}))
				gone = s.journal[len(s.journal)-1].Enforced
			}
			if n != c.rounds {
				t.Errorf("got demoted in round %d, want %d", n, c.rounds)
			}
		})
	}
}

func TestCommonCauseComparesWhatARuleReads(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules string
		a, b  look
		want  bool // whether a goes in the first round
	}{
		{"a probe that others answer is the route's own trouble", bindRule, unbound, look{bind: -3}, true},
		{"a probe that nobody answers is not", bindRule, unbound, unbound, false},
		{"a probe that the others do not have proves nothing", bindRule, unbound, look{}, false},
		{"conversions are compared with conversions", conversionsRule, look{lost: 20, peers: -9}, well, true},
		{"conversions that all lack are not the route's", conversionsRule, look{lost: 20, peers: 9}, well, false},
		{"lateness is compared with lateness", lateRule, look{late: 20, peers: -9}, well, true},
		{"receipts that are late on all are not the route's", lateRule, look{late: 20, peers: 9}, well, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{rules: c.rules}.begin(t)
			s.look("a", c.a).look("b", c.b).look("c", c.b).round()
			if got := s.state("a").Phase == route.Demoted; got != c.want {
				t.Errorf("got demoted %t, want %t\n%s", got, c.want, tail(s.journal))
			}
		})
	}
}

func TestARuleOfTwoChannelsComparesTheOneThatAccuses(t *testing.T) {
	s := site{rules: `
  - name: either
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0 || conversion.evidence >= 12.0}
    promote: {when: delivery.recovered >= 4.6}`}.begin(t)
	s.now = s.now.Add(signal.Tick)
	s.take(judge(s.policy, s.world, s.now, Options{}, func(key route.Lane, ids []route.ID) []route.Signals {
		out := s.look("a", look{lost: 20}).signals(key, ids)
		out[0].Peers = []route.Peer{{Route: "b", Known: true, Conversion: -9}} // receipts accuse nobody: 0
		return out
	}))
	s.phase("a", route.Demoted)
}

const corroborating = `{corroborate: {class: [otp], signals: [silence], wait: 40s}, settle: 1m, velocity: {changes: 2, in: 10m}}`

func TestCorroborate(t *testing.T) {
	silence := func(l look) look { l.silence, l.peers, l.bind = 20, -9, -3; return l }
	for _, c := range []struct {
		name   string
		guards string
		a      look
		rounds int // after which a is demoted; 0 for never
		why    string
	}{
		{"silence alone waits", corroborating, silence(look{}), 9, "silent for 40s"},
		{"failing conversions bear it out at once", corroborating, silence(look{second: 4, hasSecond: true}), 1, "conversions fail too"},
		{"conversions that come show that messages arrive", corroborating, silence(look{second: -4, hasSecond: true}), 0, ""},
		{"a handful of conversions cannot tell", corroborating, silence(look{second: 1, hasSecond: true}), 9, "silent for 40s"},
		{"handset probes that arrive contradict it", corroborating, silence(look{probesOK: 5}), 0, ""},
		{"receipts of earlier messages that still come bear it out at once", corroborating, silence(look{path: 3.5}), 1, "their path works"},
		{"with conversions that nearly do, a little of it is enough", corroborating, silence(look{path: 1, second: 2.5, hasSecond: true}), 1, "their path works"},
		{"a path that is broken for them too leaves it open", corroborating, silence(look{path: -30}), 9, "silent for 40s"},
		{"conversions that come outweigh any path", corroborating, silence(look{path: 100, second: -4, hasSecond: true}), 0, ""},
		{"failure receipts need no second channel", corroborating, look{failure: 20, peers: -9}, 1, "does not rest on silence"},
		{"nor does another class", `{corroborate: {class: [bulk], wait: 40s}}`, silence(look{}), 1, "not asked for class otp"},
		{"nor where only latency is to be borne out", `{corroborate: {class: [otp], signals: [latency], wait: 40s}}`, silence(look{}), 1, "does not rest on latency"},
		{"nor a rule that reads no receipts", corroborating, look{bind: 3}, 1, "does not rest on silence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{guards: c.guards, classes: plain.classes + "\n  bulk: {mode: act}"}.begin(t)
			s.look("a", c.a)
			n, went := 0, route.Decision{}
			for ; n < 400 && went.ID == ""; n++ {
				for _, d := range s.round() {
					if d.Enforced {
						went = d
					}
				}
			}
			if c.rounds == 0 {
				if went.ID != "" {
					t.Fatalf("got demoted in round %d, want never", n)
				}
				wantReasons(t, s.journal, "a GuardHeld")
				return
			}
			if n != c.rounds || !strings.Contains(answer(t, went, guardCorroborate).Why, c.why) {
				t.Errorf("got round %d because %q, want %d because %q", n, answer(t, went, guardCorroborate).Why, c.rounds, c.why)
			}
		})
	}
}

func TestCorroborateAsksAboutLatenessWhereItIsTo(t *testing.T) {
	late := func(l look) look { l.late, l.peers, l.bind = 20, -9, -3; return l }
	for _, c := range []struct {
		name    string
		signals string
		a       look
		rounds  int // after which a is demoted; 0 for never
		why     string
	}{
		{"lateness alone waits", "latency", late(look{}), 9, "late for 40s"},
		{"conversions that come show that only receipts are late", "latency", late(look{second: -4, hasSecond: true}), 0, ""},
		{"conversions that do not bear it out at once", "latency", late(look{second: 4, hasSecond: true}), 1, "conversions fail too"},
		{"where only silence is to be borne out nobody is asked", "silence", late(look{}), 1, "does not rest on silence"},
	} {
		s := site{rules: lateRule, guards: "{corroborate: {class: [otp], signals: [" + c.signals + "], wait: 40s}}"}.begin(t)
		s.look("a", c.a)
		n, went := 0, route.Decision{}
		for ; n < 100 && went.ID == ""; n++ {
			for _, d := range s.round() {
				if d.Enforced {
					went = d
				}
			}
		}
		switch {
		case c.rounds == 0 && went.ID != "", c.rounds > 0 && n != c.rounds:
			t.Errorf("%s: got demoted in round %d, want %d", c.name, n, c.rounds)
		case c.rounds > 0 && !strings.Contains(answer(t, went, guardCorroborate).Why, c.why):
			t.Errorf("%s: got %q, want %q", c.name, answer(t, went, guardCorroborate).Why, c.why)
		}
	}
}

func TestARuleOverSharesRestsOnSilenceUnlessTheAnswersAloneAreBad(t *testing.T) {
	rules := `
  - name: share
    class: ["*"]
    demote: {when: delivery.high < 0.8}
    promote: {when: delivery.low > 0.9}`
	for _, c := range []struct {
		name              string
		delivered, failed float64
		want              string
	}{
		{"receipts are missing", 60, 0, hold},
		{"half of those that came say failed", 60, 60, pass},
		{"two failures are too few", 1, 2, hold},
		{"none came at all", 0, 0, hold},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site{rules: rules, guards: corroborating}.begin(t)
			s.now = s.now.Add(signal.Tick)
			o := judge(s.policy, s.world, s.now, Options{}, func(key route.Lane, ids []route.ID) []route.Signals {
				out := s.look("a", silent).signals(key, ids)
				out[0].Delivery.Delivered, out[0].Delivery.Failed = c.delivered, c.failed
				return out
			})
			if got := answer(t, only(t, o.Decisions), guardCorroborate); got.Result != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

func TestAWaitBeginsAnewAfterAPause(t *testing.T) {
	s := site{guards: corroborating}.begin(t)
	s.look("a", silent).rounds(35 * time.Second)
	s.look("a", away).rounds(15 * time.Second)
	s.look("a", silent).rounds(40 * time.Second)
	s.phase("a", route.Active)
	s.round()
	s.phase("a", route.Demoted)
	wantReasons(t, s.journal, "a GuardHeld", "a RuleMatched")
}

func TestVelocityBoundsTheChangesOfALane(t *testing.T) {
	s := site{guards: `{settle: 0s, velocity: {changes: 1, in: 10m}}`}.begin(t)
	s.look("a", failing).look("b", failing)
	ds := s.round()
	wantReasons(t, ds, "a RuleMatched", "b GuardHeld")
	d := ds[1]
	if g := answer(t, d, guardVelocity); d.Reason != route.GuardHeld || g.Result != hold || !strings.Contains(g.Frees, "10:10:05") {
		t.Fatalf("got %s, %+v", d.Reason, g)
	}
	s.rounds(10*time.Minute - signal.Tick)
	s.phase("b", route.Active)
	s.round()
	s.phase("b", route.Demoted)
}

func TestALaneSettlesAfterAChange(t *testing.T) {
	s := demoted(t, plain, failing)
	s.look("b", failing)
	wantReasons(t, s.rounds(time.Minute-signal.Tick), "b Settling")
	wantReasons(t, s.round(), "b RuleMatched")
}

func TestOneChangeInARound(t *testing.T) {
	s := site{guards: fmt.Sprintf(quick, 1)}.begin(t)
	s.look("a", failing).look("b", failing)
	wantReasons(t, s.round(), "a RuleMatched", "b InFlight")
	wantReasons(t, s.round(), "b RuleMatched")
}

func TestOneRouteOnItsWayBackAtATime(t *testing.T) {
	s := site{guards: fmt.Sprintf(quick, 1)}.begin(t)
	s.look("a", failing).look("b", failing).rounds(10 * time.Second)
	s.look("a", returned).look("b", returned).rounds(6 * time.Minute)
	s.phase("a", route.Recovering)
	s.phase("b", route.Demoted)
	s.rounds(4 * time.Minute)
	s.phase("a", route.Active)
	s.phase("b", route.Recovering)
}

func TestARouteMayGoWhileAnotherComesBack(t *testing.T) {
	lively := plain
	lively.guards = `{settle: 1m, velocity: {changes: 3, in: 10m}}`
	s := recovering(t, lively)
	s.rounds(time.Minute)
	wantReasons(t, s.look("b", failing).round(), "b RuleMatched")
	s.wantShares(map[route.ID]int{"a": 500, "b": 200, "c": 9300})
}

func TestEveryGuardAnswersInOrder(t *testing.T) {
	s := site{guards: `{min_active: 3, corroborate: {class: [otp], wait: 40s}}`}.begin(t)
	d := only(t, s.look("a", look{silence: 20, peers: 9, bind: -3}).round())
	want := []string{"min_active hold", "common_cause hold", "corroborate hold", "max_demoted pass", "velocity pass", "settle pass", "in_flight pass", "capacity pass", "price_rise pass", "windows pass"}
	for i, g := range d.Guards {
		if got := g.Guard + " " + g.Result; got != want[i] || g.Why == "" || (g.Frees != "") != (g.Result == hold) {
			t.Errorf("answer %d: got %+v, want %s and a reason", i, g, want[i])
		}
	}
	if len(d.Guards) != len(want) || s.state("a").Hold.Guard != guardMinActive {
		t.Errorf("got %d answers, held by %s; want %d, held by the first", len(d.Guards), s.state("a").Hold.Guard, len(want))
	}
}
