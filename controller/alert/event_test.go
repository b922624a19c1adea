package alert

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// decision is one with everything that its type depends on.
func decision(from, to route.Phase, v route.Verdict, enforced bool, reason route.Reason) route.Decision {
	return route.Decision{ID: "1-43-1", Lane: route.Lane{Class: "otp", Network: "GB"}, Route: "acme-uk", From: from, To: to, Verdict: v, Enforced: enforced, Reason: reason, Rule: "receipts-collapse"}
}

func TestTypesOfDecisions(t *testing.T) {
	const a, r, d = route.Active, route.Recovering, route.Demoted
	demote, promote, nothing := route.VerdictDemote, route.VerdictPromote, route.VerdictNothing
	for name, c := range map[string]struct {
		d    route.Decision
		want string
	}{
		"demoted":                                {decision(a, d, demote, true, route.RuleMatched), "route.demoted"},
		"demoted on its way back":                {decision(r, d, demote, true, route.RuleMatched), "route.demoted"},
		"another rule keeps it out too":          {decision(d, d, demote, true, route.RuleMatched), ""},
		"first step back":                        {decision(d, r, promote, true, route.RuleCleared), "route.recovering"},
		"next step back":                         {decision(r, r, promote, true, route.RuleCleared), ""},
		"back":                                   {decision(r, a, promote, true, route.RuleCleared), "route.promoted"},
		"back without a ramp":                    {decision(d, a, promote, true, route.RuleCleared), "route.promoted"},
		"approved":                               {decision(a, d, demote, true, route.Approved), "proposal.approved route.demoted"},
		"a further step approved":                {decision(r, r, promote, true, route.Approved), "proposal.approved"},
		"proposed":                               {decision(a, d, demote, false, route.Proposed), "proposal.waiting"},
		"rejected":                               {decision(a, a, nothing, false, route.Rejected), "proposal.rejected"},
		"expired":                                {decision(a, a, nothing, false, route.Expired), "proposal.expired"},
		"held":                                   {decision(a, d, demote, false, route.GuardHeld), "guard.held"},
		"frozen":                                 {decision(a, d, demote, false, route.Frozen), "guard.held"},
		"a way back that is frozen":              {decision(d, r, promote, false, route.Frozen), ""},
		"a way back that waits for its time":     {decision(d, r, promote, false, route.HoldDown), ""},
		"a lane that settles":                    {decision(a, d, demote, false, route.Settling), ""},
		"another change under way":               {decision(d, r, promote, false, route.InFlight), ""},
		"only observed":                          {decision(a, d, demote, false, route.ShadowOnly), ""},
		"not known":                              {decision(a, a, route.VerdictUnknown, false, route.Unknown), "signal.unknown"},
		"too little evidence":                    {decision(a, a, route.VerdictUnknown, false, route.LowEvidence), "signal.unknown"},
		"a policy that changed a lane":           {decision(a, a, nothing, true, route.PolicyChanged), ""},
		"another lead":                           {decision(a, a, nothing, true, route.LeaderChanged), "lead.changed"},
		"an order, though the route was demoted": {decision(d, d, nothing, true, route.OverrideSet), "override.set"},
		"an order whose time is up":              {decision(a, a, nothing, true, route.OverrideEnded), "override.expired"},
	} {
		var got []string
		for _, e := range Tell(&c.d) {
			got = append(got, string(e.Type))
			if e.Summary == "" || e.About.Kind == "" || natures[e.About.Kind].severity == "" {
				t.Errorf("%s: got %+v, want a summary and what it is about", name, e)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
	}
}

func TestAnOrderThatAPersonEnded(t *testing.T) {
	who := "ann"
	d := decision(route.Active, route.Active, route.VerdictNothing, true, route.OverrideEnded)
	d.Actor, d.Override = &who, &route.Override{ID: "1-40-1", Kind: route.Drain, Class: "otp", Network: "GB", Route: "acme-uk", Actor: "ann"}
	e := Tell(&d)[0]
	if e.Type != OverrideEnded || e.About.Kind != KindRouteDrained || !e.Over || e.Summary != "drain of acme-uk in otp/GB was ended" {
		t.Errorf("got %+v", e)
	}
}

func TestEventsOfOneDecisionHaveIDsOfTheirOwn(t *testing.T) {
	d := decision(route.Active, route.Demoted, route.VerdictDemote, true, route.Approved)
	events := Tell(&d)
	if events[0].ID != "1-43-1-approval" || events[1].ID != "1-43-1" {
		t.Errorf("got %s and %s, want the change to have the decision's", events[0].ID, events[1].ID)
	}
}

func TestEveryTypeIsOfAKindAndCanBeAskedFor(t *testing.T) {
	for _, typ := range Types {
		if got := typesNamed(string(typ)); len(got) != 1 || got[0] != typ {
			t.Errorf("%s: got %v", typ, got)
		}
	}
	for kind, n := range natures {
		for _, typ := range []Type{n.begins, n.ends} {
			if typ != "" && len(typesNamed(string(typ))) != 1 {
				t.Errorf("%s: %s cannot be asked for", kind, typ)
			}
		}
		if n.ends != "" && !ends[n.ends] {
			t.Errorf("%s: %s ends nothing", kind, n.ends)
		}
	}
	if got := typesNamed("route.*"); len(got) != 3 {
		t.Errorf("route.*: got %v, want three", got)
	}
	for _, word := range []string{"", "*", "route", "route*", "test"} {
		if got := typesNamed(word); len(got) != 0 {
			t.Errorf("%q: got %v, want none", word, got)
		}
	}
}

func TestAValueThatJSONHasNotLosesNoEvent(t *testing.T) {
	d := demotion(1)
	d.Inputs = []route.Input{{Signal: "delivery.evidence", Value: math.Inf(1)}}
	var e Event
	if err := json.Unmarshal(Tell(&d)[0].letter(), &e); err != nil || e.ID != "1-1-1" || e.Decision != nil {
		t.Errorf("got %+v, %v, want the event without its decision", e, err)
	}
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestConditions(t *testing.T) {
	lane := func(states ...route.State) func(*Scene) {
		return func(s *Scene) {
			s.World.Lanes = []route.LaneState{{Lane: route.Lane{Class: "otp", Network: "GB"}, Routes: states}}
		}
	}
	hold := func(id route.ID, guard string, reason route.Reason, v route.Verdict, lasts time.Duration) route.State {
		return route.State{Route: id, Phase: route.Active, Hold: &route.Hold{Rule: "r", Verdict: v, Guard: guard, Reason: reason, Since: noon.Add(-lasts), Seen: noon, Why: "why", Frees: "frees"}}
	}
	order := func(o route.Override) func(*Scene) {
		return func(s *Scene) {
			o.Class, o.Network, o.Since = "otp", "GB", noon.Add(-time.Hour)
			s.World.Overrides = []route.Override{o}
		}
	}
	const demote = route.VerdictDemote
	for name, c := range map[string]struct {
		edit func(*Scene)
		want string // identities; those in brackets are quiet
	}{
		"nothing":                    {func(*Scene) {}, ""},
		"an active route":            {lane(route.State{Route: "a", Phase: route.Active, Since: noon}), ""},
		"demoted":                    {lane(route.State{Route: "a", Phase: route.Demoted}), "SignalboxRouteDemoted|otp|GB|a|"},
		"on its way back":            {lane(route.State{Route: "a", Phase: route.Recovering}), "SignalboxRouteDemoted|otp|GB|a|"},
		"proposed":                   {lane(route.State{Route: "a", Phase: route.Active, ProposedBy: "r", Proposal: "1-2-1"}), "SignalboxProposalWaiting|otp|GB|a|"},
		"held for long":              {lane(hold("a", "velocity", route.GuardHeld, demote, 3*time.Minute)), "SignalboxGuardHeld|otp|GB|a|"},
		"held for a moment":          {lane(hold("a", "corroborate", route.GuardHeld, demote, time.Minute)), "[SignalboxGuardHeld|otp|GB|a|]"},
		"held by its hold-down":      {lane(hold("a", "hold_down", route.HoldDown, route.VerdictPromote, time.Hour)), ""},
		"the last route":             {lane(hold("a", "min_active", route.GuardHeld, demote, 0)), "[SignalboxGuardHeld|otp|GB|a|] SignalboxLaneInTrouble|otp|GB||"},
		"common cause may be":        {lane(hold("a", "common_cause", route.GuardHeld, demote, 55*time.Second)), "[SignalboxGuardHeld|otp|GB|a|]"},
		"common cause after waiting": {lane(hold("a", "common_cause", route.GuardHeld, demote, time.Minute)), "[SignalboxGuardHeld|otp|GB|a|] SignalboxLaneInTrouble|otp|GB||"},
		"common cause of two": {lane(hold("a", "common_cause", route.GuardHeld, demote, 0), hold("b", "common_cause", route.GuardHeld, demote, 0)),
			"[SignalboxGuardHeld|otp|GB|a|] [SignalboxGuardHeld|otp|GB|b|] SignalboxLaneInTrouble|otp|GB||"},
		"unknown for a moment": {lane(route.State{Route: "a", Phase: route.Active, Unknown: noon}), ""},
		"unknown for too long": {lane(route.State{Route: "a", Phase: route.Active, Unknown: noon, Alerted: true}), "SignalboxSignalUnknown|otp|GB|a|"},
		"demoted on a network": {func(s *Scene) {
			s.World.Lanes = []route.LaneState{{Lane: route.Lane{Class: "otp", Network: "GB"}, Networks: []route.NetworkState{{Network: "234-15", Routes: []route.State{{Route: "a", Phase: route.Demoted}}}}}}
		}, "SignalboxRouteDemoted|otp|234-15|a|"},
		"no route is active": {func(s *Scene) {
			s.Table = &route.Table{Lanes: []route.LaneTable{{Class: "otp", Network: "GB", Routes: []route.Entry{{Route: "a", Phase: route.Demoted}, {Route: "b", Phase: route.Active, Admin: route.AdminDrained}}},
				{Class: "bulk", Network: "*", Routes: []route.Entry{{Route: "a", Phase: route.Active}}}}}
		}, "SignalboxLaneInTrouble|otp|GB||"},
		"pinned":                         {order(route.Override{Kind: route.Pin, Route: "a"}), "SignalboxRoutePinned|otp|GB|a|"},
		"drained, with an end":           {order(route.Override{Kind: route.Drain, Route: "a", Until: noon.Add(16 * time.Minute)}), "SignalboxRouteDrained|otp|GB|a|"},
		"drained, near its end":          {order(route.Override{Kind: route.Drain, Route: "a", Until: noon.Add(15 * time.Minute)}), "SignalboxRouteDrained|otp|GB|a| SignalboxOverrideExpiring|otp|GB|a|"},
		"frozen":                         {order(route.Override{Kind: route.Freeze, Changes: "changes"}), "SignalboxLaneFrozen|otp|GB||"},
		"a policy that was refused":      {func(s *Scene) { s.PolicyError = "the policy has 3 problems" }, "SignalboxPolicyRejected||||"},
		"a store that takes nothing":     {func(s *Scene) { s.StoreFailed = noon }, "SignalboxStoreAway||||"},
		"a route out, and another holds": {lane(route.State{Route: "a", Phase: route.Demoted}, hold("b", "min_active", route.GuardHeld, demote, 0)), "SignalboxRouteDemoted|otp|GB|a| [SignalboxGuardHeld|otp|GB|b|] SignalboxLaneInTrouble|otp|GB||"},
	} {
		s := Scene{CommonWait: time.Minute}
		c.edit(&s)
		var got []string
		for _, x := range conditions(&s, nil, noon) {
			text := x.About.key()
			if x.Quiet {
				text = "[" + text + "]"
			}
			if got = append(got, text); x.Summary == "" {
				t.Errorf("%s: %s has no summary", name, text)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
	lagging := []Sender{{Name: "gw-1", Generation: route.Generation{Epoch: 1, Number: 40}, Why: "bad signature"}}
	if got := conditions(&Scene{}, lagging, noon); len(got) != 1 || got[0].About.Sender != "gw-1" || got[0].Text != "it refused 1-40: bad signature" {
		t.Errorf("a sender: got %+v", got)
	}
	behind := Sender{Name: "gw-1", Applied: true, Runs: route.Generation{Epoch: 1, Number: 40}, Behind: 150.4}
	if got := senderCondition(&behind).Text; got != "it runs 1-40, and has not confirmed a newer one for 2m30s" {
		t.Errorf("a sender behind: got %q", got)
	}
}
