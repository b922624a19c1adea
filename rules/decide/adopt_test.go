package decide

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func TestTheFirstPolicyStartsEveryRouteActive(t *testing.T) {
	p := plain.parse(t)
	o := Adopt(p, route.World{}, nil, began)
	if o.Table == nil || o.World.Generation.String() != "1-1" || o.World.Policy != p.Revision || !o.Changed || len(o.Decisions) != 0 {
		t.Fatalf("got %+v, want the first table and no word of a change", o)
	}
	if got, want := shareLine(&o.Table.Lanes[0]), "a 10000, b 0, c 0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheSamePolicyChangesNothing(t *testing.T) {
	for _, from := range []*story{plain.begin(t), demoted(t, plain, failing), recovering(t, plain)} {
		was := encode(from.world)
		o := Adopt(from.policy, from.world, from.table, from.now.Add(time.Hour))
		if o.Changed || o.Table != nil || len(o.Decisions) > 0 || encode(o.World) != was {
			t.Errorf("got %+v, want nothing", o)
		}
		if again := Adopt(from.policy, decode(t, was), from.table, from.now); again.Changed {
			t.Error("got a change by a restart")
		}
	}
}

func TestWhatStaysKeepsItsPhaseAndHoldDown(t *testing.T) {
	s := demoted(t, plain, failing)
	was := encode(s.state("a"))
	next := plain
	next.lanes = `
  - {class: otp, network: FR, order: [d]}
  - {class: otp, network: GB, order: [b, d, a]}`
	next.routes += `
  d: {provider: pd, networks: ["*"]}`
	s.reload(next)
	if got := encode(s.state("a")); got != was {
		t.Errorf("got %s, want %s", got, was)
	}
	if s.phase("d", route.Active); s.world.Lane(otpGB).State("c") != nil {
		t.Error("got a route that the lane no longer has")
	}
	s.look("a", returned).rounds(5*time.Minute - 5*time.Second)
	s.phase("a", route.Demoted)
	s.round()
	s.phase("a", route.Recovering)
}

func TestAHoldDownIsNotCutShortByAShorterOne(t *testing.T) {
	s := demoted(t, plain, failing)
	until := s.state("a").HoldUntil
	next := plain
	next.rules = strings.ReplaceAll(plain.rules, "{base: 5m, factor: 2, max: 15m, decay: 1h}", "{base: 0s, max: 0s}")
	s.reload(next)
	s.look("a", returned).rounds(until.Sub(s.now) - 5*time.Second)
	s.phase("a", route.Demoted)
}

func TestAClockRunsOnOverAReload(t *testing.T) {
	s := site{rules: waitingRule}.begin(t)
	play(s, "tt", map[rune]look{'t': unbound})
	s.reload(site{rules: waitingRule + receiptsRule})
	if got := play(s, "ttt", map[rune]look{'t': unbound}); got != 1 {
		t.Errorf("got demoted in round %d after the reload, want 1", got)
	}
}

func TestARouteWhoseRuleIsGoneComesBackBySmallSteps(t *testing.T) {
	s := demoted(t, plain, failing)
	s.reload(site{rules: bindRule})
	none(t, s.look("a", failing).rounds(4*time.Minute + 55*time.Second - 5*time.Second)[1:])
	s.phase("a", route.Demoted)
	ds := s.rounds(time.Minute)
	wantReasons(t, ds, "a RuleCleared")
	if d := ds[0]; d.Rule != "receipts" || !strings.Contains(d.Text, "no longer in the policy") {
		t.Errorf("got %s: %s", d.Rule, d.Text)
	}
	s.wantShares(map[route.ID]int{"a": 500, "b": 9500, "c": 0})
	s.rounds(90 * time.Second)
	s.wantShares(map[route.ID]int{"a": 2500, "b": 7500, "c": 0})
	wantReasons(t, s.look("a", unbound).round(), "a RuleMatched") // the rules that there are still watch
	s.phase("a", route.Demoted)
}

func TestOfSeveralRulesTheOneThatIsGoneHoldsNothing(t *testing.T) {
	s := demoted(t, plain, look{failure: 20, bind: 3, peers: -9})
	s.reload(site{rules: bindRule})
	s.look("a", look{bind: -3}).rounds(6 * time.Minute)
	s.phase("a", route.Active)
}

func TestAShorterRampNeverJumpsToTheWhole(t *testing.T) {
	s := recovering(t, plain)
	s.reload(site{rules: strings.Replace(receiptsRule, "ramp: [5%, 25%, 100%]", "ramp: [100%]", 1) + bindRule})
	if got := s.shares()["a"]; got != 500 {
		t.Errorf("got share %d, want 500 still", got)
	}
	s.rounds(3 * time.Minute)
	s.phase("a", route.Active)
}

func TestAReloadTellsOfEveryLaneThatChanged(t *testing.T) {
	two := plain
	two.classes += "\n  bulk: {mode: act}\n  alert: {mode: act}"
	two.lanes = plain.lanes + `
  - {class: bulk, network: GB, share: {a: 60, b: 40}}
  - {class: alert, network: GB, order: [c, b]}`
	s := two.begin(t)
	was := s.policy.Revision
	next := two
	next.lanes = plain.lanes + `
  - {class: bulk, network: GB, order: [b, a]}
  - {class: "*", network: GB, order: [b]}`
	o := s.reload(next)
	by := "policy " + s.policy.Revision + " replaced " + was
	want := []string{
		"bulk/GB b " + by + ": now b 100%, a standby",
		"*/GB b " + by + " and brought this lane: b 100%",
		"alert/GB c " + by + " and has no such lane any more; its messages go by lane */GB: b 100%",
	}
	for i, d := range o.Decisions {
		if got := d.Lane.String() + " " + string(d.Route) + " " + d.Text; i >= len(want) || got != want[i] {
			t.Errorf("got %s", got)
		}
		if d.Reason != route.PolicyChanged || !d.Enforced || d.From != d.To || d.Verdict != route.VerdictNothing || d.Generation != s.table.Generation || d.Rule != "" {
			t.Errorf("got %+v", d)
		}
	}
	if len(o.Decisions) != len(want) || s.table.Generation.String() != "1-2" {
		t.Errorf("got %d decisions in generation %s, want %d in 1-2", len(o.Decisions), s.table.Generation, len(want))
	}
}

func TestALaneThatNobodyServesAnyMoreIsTold(t *testing.T) {
	two := plain
	two.classes += "\n  bulk: {mode: act}"
	two.lanes += `
  - {class: bulk, network: GB, order: [a]}`
	s := two.begin(t)
	d := only(t, s.reload(plain).Decisions)
	if d.Lane.Class != "bulk" || !strings.HasSuffix(d.Text, "no lane serves all of its messages now") {
		t.Errorf("got %s: %s", d.Lane, d.Text)
	}
}

func TestAPolicyThatChangesNoLaneIsPublishedWithoutDecisions(t *testing.T) {
	s := demoted(t, plain, failing)
	next := plain
	next.guards = `{settle: 2m}`
	o := s.reload(next)
	if o.Table == nil || len(o.Decisions) > 0 || o.World.Generation.Number != 3 || o.Table.Policy != s.policy.Revision {
		t.Errorf("got %+v, want a table of the new revision and no decision", o)
	}
}
