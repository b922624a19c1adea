package story

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// trouble is a story in which acme-uk fails from 2m to 6m in one lane of two.
var trouble = []string{
	"at 0s: [otp 234-15 10/s, bulk 234-15 4/s]",
	"at 2m: acme-uk otp delivered 10% failed 90%",
	"at 6m: acme-uk healthy",
}

func TestExpectationsThatHold(t *testing.T) {
	entries := []string{
		"{at: 0s, lane: otp/GB, route: acme-uk, phase: active, share: 60%, admin: auto}",
		"{at: 1m, lane: otp/GB, order: [acme-uk, bolt-uk], shares: {bolt-uk: 40%}}",
		"{at: 2m, within: 3m, lane: otp/GB, route: acme-uk, phase: demoted, to: demoted, rule: receipts-collapse, reason: RuleMatched, mode: act, enforced: true, text: came back delivered}",
		"{at: 2m, within: 3m, class: otp, network: GB, route: acme-uk, phase: demoted}",
		"{at: 2m, within: 3m, network: 234-15, class: otp, route: acme-uk, phase: demoted}", // the lane that serves it
		"{at: 2m, within: 3m, route: bolt-uk, phase: active}",                               // it is in one lane only
		"{at: 2m, within: 3m, reason: RuleMatched}",
		"{at: 5m32s, lane: otp/GB, route: acme-uk, phase: demoted, share: 0.6%, rule: receipts-collapse, price_change: +3.4%}",
		"{at: 5m30s, lane: otp/GB, route: acme-uk, when: state.phase == 'demoted' && delivery.recovered < 4.6 && lane.active == 1 && state.age > duration('1s')}",
		"{at: 5m30s, lane: bulk/GB, route: acme-uk, phase: active, when: delivery.evidence < 6}",
		"{never: {lane: bulk/GB, phase: demoted}}",
		"{never: {route: bolt-uk, phase: demoted}}",
		"{never: {phase: demoted}, until: 2m}",
		"{never: {enforced: true}, from: 1s, until: 2m}",
		"{never: {lane: otp/GB, route: acme-uk, share: 60%}, from: 5m30s, until: 6m}",
		"{never: {lane: otp/GB, order: [acme-uk, bolt-uk]}, from: 5m30s, until: 6m}",
		"{never: {when: delivery.evidence >= 12}, until: 2m}",
		"{decisions: [], lane: bulk/GB, enforced: true}",
		"{decisions: [{at: 2m, within: 3m, to: demoted}], from: 2m, until: 6m, lane: otp/GB, enforced: true}",
		"{decisions: [{to: demoted}, {to: recovering}, {to: active}], lane: otp/GB, enforced: true}",
		"{at: 30m, lane: otp/GB, route: acme-uk, phase: active}",
	}
	if got := told(playAll(t, test(trouble, entries...))); got != "" {
		t.Error(got)
	}
}

// demotedAt is when the first route was demoted.
func demotedAt(t *testing.T, r Result) string {
	t.Helper()
	for i := range r.Decisions {
		if d := &r.Decisions[i]; d.Enforced && d.To == route.Demoted {
			return route.Duration(d.Time.Sub(r.Start)).String()
		}
	}
	return "never"
}

// The beginning of what is told of an expectation that does not hold: all but the numbers that it was made from.
func TestExpectationsThatDoNotHold(t *testing.T) {
	const demoted = "last decided at $T: RuleMatched (acme-uk active → demoted, by receipts-collapse): of "
	for _, c := range []struct {
		entry string
		want  []string
	}{
		{"{at: 2m, lane: otp/GB, route: acme-uk, phase: demoted, share: 1%}",
			[]string{"s:8: t: at 2m, otp/GB acme-uk: want phase demoted, share 1%, got phase active, share 60%; nothing was decided about it; receipts-collapse demotes if delivery.evidence >= 12 && delivery.messages >= 5: delivery.evidence is 0, delivery.messages is "}},
		{"{at: 2m, within: 5s, lane: otp/GB, route: acme-uk, phase: demoted, reason: RuleMatched}",
			[]string{"s:8: t: at 2m..2m5s, otp/GB acme-uk: want phase demoted, reason RuleMatched, got phase active, no decision; nothing was decided"}},
		{"{at: 2m, within: 3m, lane: otp/GB, route: acme-uk, reason: Frozen, guard: settle}",
			[]string{"s:8: t: at 2m..5m, otp/GB acme-uk: want reason Frozen, guard settle, got reason RuleMatched, guard none; " + demoted}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, rule: bind-lost}",
			[]string{"s:8: t: at 5m30s, otp/GB acme-uk: want rule bind-lost, got rule receipts-collapse; " + demoted}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, phase: demoted, mode: propose, enforced: false, to: active, price_change: +9.9%}",
			[]string{"s:8: t: at 5m30s, otp/GB acme-uk: want phase demoted, to active, mode propose, enforced false, price_change +9.9%, got to demoted, mode act, enforced true, price_change +3.4%; " + demoted}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, text: hello}",
			[]string{`s:8: t: at 5m30s, otp/GB acme-uk: want text "hello", got text "of `}},
		{"{at: 5m30s, lane: otp/GB, order: [acme-uk, bolt-uk], shares: {acme-uk: 60%}}",
			[]string{"s:8: t: at 5m30s, otp/GB: want order [acme-uk, bolt-uk], shares [acme-uk 60%], got order [bolt-uk, acme-uk], shares [bolt-uk 99.4%, acme-uk 0.6%]; bolt-uk: nothing was decided about it; receipts-collapse demotes if"}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, when: delivery.ratio > 0.5}",
			[]string{"s:8: t: at 5m30s, otp/GB acme-uk: want delivery.ratio > 0.5, got delivery.ratio is 0"}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, when: conversion.ratio > 0.5}",
			[]string{"s:8: t: at 5m30s, otp/GB acme-uk: want conversion.ratio > 0.5, got conversion.ratio is unknown (no conversion"}},
		{"{at: 5m30s, lane: otp/GB, route: acme-uk, phase: active, rule: bind-lost}",
			[]string{"s:8: t: at 5m30s, otp/GB acme-uk: want phase active, rule bind-lost, got phase demoted, rule receipts-collapse; " + demoted}},
		{"{never: {lane: otp/GB, phase: demoted}}",
			[]string{"s:8: t: at $T, otp/GB acme-uk: want never phase demoted, got phase demoted; " + demoted}},
		{"{never: {lane: otp/GB, enforced: true}, from: 1m}",
			[]string{"s:8: t: at $T, otp/GB acme-uk: want never enforced true, got RuleMatched (acme-uk active → demoted, by receipts-collapse); of "}},
		{"{never: {lane: otp/GB, route: acme-uk, phase: demoted, rule: receipts-collapse}}",
			[]string{"s:8: t: at $T, otp/GB acme-uk: want never phase demoted, rule receipts-collapse, got phase demoted, rule receipts-collapse; "}},
		{"{decisions: [], lane: otp/GB, enforced: true, until: 5m30s}",
			[]string{"s:8: t: at $T, otp/GB acme-uk: want no other decision, got RuleMatched (acme-uk active → demoted, by receipts-collapse); of "}},
		{"{decisions: [{at: 1m, to: demoted}, {at: 2m, within: 3m, to: demoted}, {to: active}], lane: otp/GB, enforced: true, until: 5m30s}", []string{
			"s:8: t: at 1m: want a decision with to demoted, got next RuleMatched (acme-uk active → demoted, by receipts-collapse) at $T",
			"s:8: t: at any time: want a decision with to active, got none"}},
		{"{decisions: [{route: acme-uk, rule: bind-lost}], lane: otp/GB, enforced: true, until: 5m30s}", []string{
			"s:8: t: at any time, acme-uk: want a decision with rule bind-lost, got next RuleMatched (acme-uk active → demoted, by receipts-collapse) at $T",
			"s:8: t: at $T, otp/GB acme-uk: want no other decision, got RuleMatched (acme-uk active → demoted, by receipts-collapse); of "}},
	} {
		results := playAll(t, test(trouble, c.entry))
		got := strings.Split(told(results), "\n")
		for i := range c.want {
			c.want[i] = strings.ReplaceAll(c.want[i], "$T", demotedAt(t, results[0]))
		}
		for i := range max(len(got), len(c.want)) {
			if i >= len(got) || i >= len(c.want) || !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s:\ngot  %s\nwant %s", c.entry, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
				break
			}
		}
	}
}

// What is so at a round is what must not never be so in it: each of the two is told where the other holds.
func TestAtAndNeverAreOpposites(t *testing.T) {
	facts := []string{
		"lane: otp/GB, route: acme-uk, phase: active", "lane: otp/GB, route: acme-uk, phase: demoted", "lane: otp/GB, route: acme-uk, phase: recovering",
		"lane: otp/GB, route: acme-uk, share: 60%", "lane: otp/GB, route: bolt-uk, share: 99.4%", "route: bolt-uk, phase: active",
		"lane: otp/GB, order: [bolt-uk, acme-uk]", "lane: otp/GB, shares: {acme-uk: 0.6%}",
		"lane: otp/GB, route: acme-uk, when: delivery.evidence >= 12", "lane: otp/GB, route: acme-uk, when: conversion.evidence >= 12",
		"lane: otp/GB, route: acme-uk, phase: demoted, share: 60%",
	}
	var at, never []string
	for _, moment := range []string{"5s", "2m", "2m10s", "2m30s", "5m30s", "9m30s", "12m", "20m"} {
		for _, f := range facts {
			at = append(at, fmt.Sprintf("{at: %s, %s}", moment, f))
			never = append(never, fmt.Sprintf("{never: {%s}, from: %s, until: %s}", f, moment, moment))
		}
	}
	lines := func(expect []string) map[int]bool {
		out := map[int]bool{}
		for _, f := range playAll(t, test(trouble, expect...))[0].Failures {
			out[f.Line] = true
		}
		return out
	}
	so, notSo := lines(at), lines(never)
	for i := range at {
		if line := 8 + i; so[line] == notSo[line] {
			t.Errorf("%s and %s: got both failed %v", at[i], never[i], so[line])
		}
	}
	if len(so) < 20 || len(notSo) < 20 {
		t.Errorf("got %d and %d failures, want many of both", len(so), len(notSo))
	}
}

// What lines mean for the world is seen by what the signals say of it: nothing is left to chance, so shares are exact.
func TestWhatLinesMean(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		when  string // true of acme-uk in otp/GB at 4m
	}{
		{"a route's own traffic, whatever the table says", []string{"at 0s: acme-uk otp GB 7/s"}, "lane.rate == 7.0"},
		{"traffic follows the table", []string{"at 0s: otp 234-15 10/s"}, "lane.rate == 6.0"},
		{"a later rate takes the place of the first", []string{"at 0s: otp 234-15 10/s", "at 2m: otp 234-15 0/s"}, "lane.rate == 0.0"},
		{"delivered", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk delivered 40%"}, "delivery.ratio > 0.38 && delivery.ratio < 0.42 && delivery.failed < 0.1 * delivery.messages"},
		{"traffic and how it fares, in one line", []string{"at 2m: acme-uk otp GB 10/s delivered 40%"}, "lane.rate == 10.0 && delivery.ratio > 0.36 && delivery.ratio < 0.44 && delivery.baseline == 0.95"},
		{"failed makes room", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk failed 60%"}, "delivery.ratio > 0.38 && delivery.ratio < 0.42 && delivery.failed > 0.5 * delivery.messages"},
		{"of another class", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk bulk swallows"}, "delivery.evidence < 1"},
		{"of another network", []string{"at 0s: acme-uk otp 234-15 10/s", "at 1m: acme-uk 234-20 swallows"}, "delivery.evidence < 1"},
		{"of the country", []string{"at 0s: acme-uk otp 234-15 10/s", "at 1m: GB swallows"}, "delivery.evidence > 100"},
		{"of everything", []string{"at 0s: acme-uk otp 234-15 10/s", "at 1m: swallows"}, "delivery.evidence > 100"},
		{"what is so at 0s is normal", []string{"at 0s: acme-uk otp GB 10/s delivered 50% failed 50%"}, "delivery.baseline == 0.5 && delivery.evidence < 1"},
		{"healthy is as at 0s", []string{"at 0s: acme-uk otp GB 10/s delivered 50%", "at 1m: acme-uk delivered 10%", "at 1m5s: acme-uk healthy"}, "delivery.evidence < 12 && delivery.baseline == 0.5"},
		{"a baseline that is told", []string{"at 0s: [acme-uk otp GB 10/s, baseline acme-uk otp GB delivered 70% failed 5% messages 9000]"}, "delivery.baseline == 0.7"},
		{"refused", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk refuses 80%"}, "submit.refused > 0.79 && submit.refused < 0.81 && submit.throttled == 0.0"},
		{"refused as too much", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk refuses 80% code 0x58"}, "submit.throttled > 0.79 && submit.throttled < 0.81 && submit.refused == 0.0"},
		{"throttled", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk throttles 30%"}, "submit.throttled > 0.29 && submit.throttled < 0.31"},
		{"not answered", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk times out 50%"}, "submit.timeouts > 0.49 && submit.timeouts < 0.51"},
		{"answered late", []string{"at 0s: acme-uk otp GB 10/s answers in 2s"}, "submit.p95 >= duration('2s') && submit.p95 <= duration('2500ms')"},
		{"converted", []string{"at 0s: acme-uk otp GB 10/s converted 80%", "at 1m: acme-uk converted 20%"}, "conversion.evidence > 12 && delivery.evidence < 1"},
		{"receipts lost", []string{"at 0s: acme-uk otp GB 10/s converted 80%", "at 1m: acme-uk receipts lost"}, "delivery.evidence > 100 && conversion.evidence < 1"},
		{"receipts that come again", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk receipts lost", "at 1m5s: acme-uk receipts come"}, "delivery.evidence < 100"},
		{"receipts held back", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk receipts pause 2m50s"}, "delivery.evidence < 1 && open.messages < 250.0"},
		{"receipts still held back", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk receipts pause 3m5s"}, "delivery.evidence > 100 && open.messages > 1500.0"},
		{"forged receipts", []string{"at 0s: [acme-uk otp GB 10/s converted 80%, bolt-uk otp GB 10/s converted 80%]", "at 1m: acme-uk forges receipts"}, "delivery.evidence < 6 && conversion.evidence > 100"},
		{"late receipts", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk delay x20"}, "delivery.silence > 12"},
		{"late receipts by their median", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: acme-uk delay 2m"}, "delivery.silence > 12"},
		{"late receipts that are normal", []string{"at 0s: acme-uk otp GB 10/s delay 60s..4m"}, "delivery.evidence < 1"},
		{"a silent source", []string{"at 0s: acme-uk otp GB 10/s", "at 3m: gw-1 silent"}, "!delivery.known"},
		{"a source that is back", []string{"at 0s: acme-uk otp GB 10/s", "at 1m: gw-1 silent", "at 1m30s: gw-1 back"}, "delivery.known"},
		{"one of two sources silent", []string{"at 0s: [acme-uk otp GB 5/s, acme-uk otp GB 3/s from gw-2]", "at 2m: gw-2 silent"}, "lane.rate == 5.0"},
		{"probes that fail", []string{"at 3m: acme-uk bind fails"}, "probe['bind'].failures == 13 && probe['bind'].ok == 0.0"},
		{"probes that fail at their own pace", []string{"at 3m: acme-uk probe bind every 20s fails"}, "probe['bind'].failures == 4"},
		{"results of probes", []string{"at 3m: acme-uk probe bind 0x3 1x1"}, "probe['bind'].successes == 2 && probe['bind'].ok > 0.3 && probe['bind'].ok < 0.4"},
		{"probes that stop", []string{"at 1m: acme-uk bind fails", "at 1m15s: acme-uk bind stops"}, "!probe['bind'].known"},
		{"probes that follow the route", []string{"at 1m: acme-uk probe bind every 10s", "at 2m: acme-uk times out"}, "probe['bind'].failures >= 5"},
		{"probes of a network", []string{"at 3m: acme-uk probe handset 234-15 ok"}, "probe['handset'].successes == 13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "tests:\n  - name: t\n    mode: observe\n    observe:\n"
			for _, l := range c.lines {
				text += "      - " + l + "\n"
			}
			text += fmt.Sprintf("    expect:\n      - {at: 4m, lane: otp/GB, route: acme-uk, when: %q}\n", c.when)
			if got := told(playAll(t, text)); got != "" {
				t.Error(got)
			}
		})
	}
}

func TestAColdStoryKnowsNothingOfWhatIsNormal(t *testing.T) {
	for cold, want := range map[string]string{"true": "!delivery.known", "false": "delivery.known"} {
		text := "cold: " + cold + "\n" + test(trouble[:1], fmt.Sprintf("{at: 1m, lane: otp/GB, route: acme-uk, when: %q}", want))
		if got := told(playAll(t, text)); got != "" {
			t.Error(got)
		}
	}
}

func TestTheModeOfATestIsACap(t *testing.T) {
	text := strings.Replace(test(trouble, "{never: {phase: demoted}}", "{at: 2m, within: 3m, lane: otp/GB, route: acme-uk, reason: ShadowOnly, mode: observe}"), "name: t\n", "name: t\n    mode: observe\n", 1)
	if got := told(playAll(t, text)); got != "" {
		t.Error(got)
	}
}

// Every number that conditions can read can be forced, and the round of that moment sees it.
func TestEverySignalThatSeriesCanForce(t *testing.T) {
	n := 0
	for _, label := range policy.Signals() {
		if _, problem := findSetter(label); problem != "" || strings.HasPrefix(label, `probe[`) && strings.HasSuffix(label, ".ok") {
			continue
		}
		n++
		value, known := "1", strings.HasSuffix(label, ".known")
		switch {
		case strings.HasSuffix(label, "p95"), strings.HasSuffix(label, "p50"), strings.HasSuffix(label, "p99"), strings.HasSuffix(label, ".age"):
			value = `duration("1s")`
		case known:
			value = "true"
		}
		signal, _, _ := strings.Cut(label, ".")
		text := fmt.Sprintf("tests:\n  - name: t\n    series:\n      %s{route=\"acme-uk\",class=\"otp\"}: _x2 1x0 _x2 stale\n    expect:\n", label)
		text += fmt.Sprintf("      - {at: 10s, lane: otp/GB, route: acme-uk, when: '%s == %s'}\n", label, value)
		if signal != "lane" {
			text += fmt.Sprintf("      - {at: 5s, lane: otp/GB, route: acme-uk, when: '!%s.known'}\n", signal)
			text += fmt.Sprintf("      - {at: 25s, lane: otp/GB, route: acme-uk, when: '!%s.known'}\n", signal)
			text += fmt.Sprintf("      - {at: 10s, lane: bulk/GB, route: acme-uk, when: '!%s.known'}\n", signal)
		}
		if got := told(playAll(t, text)); got != "" {
			t.Errorf("%s:\n%s", label, got)
		}
	}
	if n < 40 {
		t.Errorf("got %d signals that can be forced, want most of them", n)
	}
}

func TestResultsOfProbesInASeries(t *testing.T) {
	text := `
interval: 10s
tests:
  - name: t
    series:
      probe["bind"].ok{route="acme-uk"}: 1x5 0x14 _x2 stale _x5 1x20
    expect:
      - {at: 50s, lane: bulk/GB, route: acme-uk, when: 'probe["bind"].successes == 6'}
      - {at: 55s, lane: bulk/GB, route: acme-uk, when: 'probe["bind"].successes == 6'}
      - {at: 60s, lane: bulk/GB, route: acme-uk, when: 'probe["bind"].failures == 1'}
      - {at: 80s, within: 90s, lane: bulk/GB, route: acme-uk, phase: demoted, rule: bind-lost}
      - {at: 225s, lane: bulk/GB, route: acme-uk, when: 'probe["bind"].failures == 15'}
      - {at: 230s, lane: bulk/GB, route: acme-uk, when: '!probe["bind"].known'}
      - {at: 285s, lane: bulk/GB, route: acme-uk, when: '!probe["bind"].known'}
      - {at: 290s, lane: bulk/GB, route: acme-uk, when: 'probe["bind"].successes == 1'}
      - {at: 310s, within: 1m, lane: bulk/GB, route: acme-uk, phase: active, rule: bind-lost, reason: RuleCleared}
`
	if got := told(playAll(t, text)); got != "" {
		t.Error(got)
	}
}

// The same story gives the same result, however often it is played; with another seed it is another world.
func TestAStoryIsPlayedTheSameEachTime(t *testing.T) {
	var by []string
	for _, seed := range []string{"0", "0", "1", "1", "2"} {
		results := playAll(t, "seed: "+seed+"\n"+test(trouble, "{at: 10m, lane: otp/GB, route: acme-uk, when: delivery.ratio > 2}"))
		data, err := json.Marshal(results)
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, string(data))
	}
	if by[0] != by[1] || by[2] != by[3] {
		t.Error("got two results of one story")
	}
	if by[0] == by[2] || by[2] == by[4] {
		t.Error("got the same result by different seeds")
	}
	f, err := Parse(policy.File{Name: "s", Data: []byte(test(trouble, "{never: {phase: demoted}}"))})
	p := testPolicy(t)
	if bound := f.Bind(p); err != nil || bound != nil {
		t.Fatal(err, bound)
	}
	if bound := f.Bind(p); bound != nil {
		t.Errorf("got %v when it was bound a second time", bound)
	}
	first, second := f.Play(&f.Tests[0], p), f.Play(&f.Tests[0], p)
	if fmt.Sprint(first) != fmt.Sprint(second) || len(first.Failures) != 1 {
		t.Errorf("got\n%v\nand then\n%v", first.Failures, second.Failures)
	}
}

func TestTermsMakeRoomForEachOther(t *testing.T) {
	share := func(f float64) *float64 { return &f }
	for _, c := range []struct {
		terms             terms
		delivered, failed float64
	}{
		{terms{delivered: share(0.4)}, 0.4, 0.025},
		{terms{delivered: share(1)}, 1, 0},
		{terms{failed: share(0.5)}, 0.5, 0.5},
		{terms{delivered: share(0.4), failed: share(0.3)}, 0.4, 0.3},
		{terms{forged: true}, 0, 0},
		{terms{forged: true, delivered: share(0.5)}, 0.5, 0},
	} {
		h := c.terms.apply(scenario.Healthy(), scenario.Healthy(), time.Time{})
		if h.Delivered != c.delivered || h.Failed != c.failed {
			t.Errorf("%+v: got delivered %v, failed %v; want %v, %v", c.terms, h.Delivered, h.Failed, c.delivered, c.failed)
		}
	}
}
