package story

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
)

func TestProblemsOfLines(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"acme-ul delivered 40%", `16: tests[0].observe[0].at 2m: want a route, a class or a network of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		{"acme-uk delivered 140%", `34: tests[0].observe[0].at 2m: want a share from 0% to 100%, such as 40%, got "140%"`},
		{"acme-uk delivered", `33: tests[0].observe[0].at 2m: want a share from 0% to 100%, such as 40%, got the end of the line`},
		{"acme-uk delivered 40% failed 70%", `16: tests[0].observe[0].at 2m: want shares of at most 100% together, got 110%`},
		{"acme-uk refuses 50% throttles 51%", `16: tests[0].observe[0].at 2m: want shares of at most 100% together, got 101%`},
		{"acme-uk delivered 40% delivered 30%", `38: tests[0].observe[0].at 2m: want each word once, got "delivered"`},
		{"acme-uk delivered 40% healthy", `38: tests[0].observe[0].at 2m: want healthy as the first word, as it takes back what stands before it, got "healthy"`},
		{"acme-uk swalows", `24: tests[0].observe[0].at 2m: want what happens, such as 10/s, delivered 40%, swallows, probe bind 0x3 or silent, got "swalows" (did you mean "swallows"?)`},
		{"acme-uk refuse 40%", `24: tests[0].observe[0].at 2m: want what happens, such as delivered 40% or 10/s, after a route, a class and a network, got "refuse" (did you mean "refuses"?)`},
		{"acme-uk 40%", `24: tests[0].observe[0].at 2m: want what happens, such as delivered 40% or 10/s, after a route, a class and a network, got "40%"`},
		{"acme-uk otp GB", `30: tests[0].observe[0].at 2m: want what happens, such as 10/s, delivered 40%, swallows, probe bind 0x3 or silent, got the end of the line`},
		{"acme-uk otp GB there 40%", `31: tests[0].observe[0].at 2m: want what happens, such as delivered 40% or 10/s, after a route, a class and a network, got "there"`},
		{"otp acme-uk delivered 40%", `20: tests[0].observe[0].at 2m: want a route, then a class, then a network, each once, got "acme-uk" here`},
		{"otp FR 10/s", `16: tests[0].observe[0].at 2m: want a class and a network that a lane of the policy serves, got otp FR`},
		{"otp 10/s", `16: tests[0].observe[0].at 2m: want a class and a network before a rate, such as otp 234-15 10/s, got "otp"`},
		{"10/s", `16: tests[0].observe[0].at 2m: want a class and a network before a rate, such as otp 234-15 10/s, got nothing`},
		{"otp 234-15 10001/s", `27: tests[0].observe[0].at 2m: want a rate from 0/s to 10000/s, got "10001/s"`},
		{"otp 234-15 10/s burst 100 in 10s", `48: tests[0].observe[0].at 2m: want "every", got the end of the line`},
		{"otp 234-15 10/s from", `36: tests[0].observe[0].at 2m: want the name of a source, such as gw-2, got the end of the line`},
		{"gw-2 silent", `16: tests[0].observe[0].at 2m: want a source that sends (gw-1), got "gw-2" (did you mean "gw-1"?)`},
		{"gw-1 silent for 3m", `28: tests[0].observe[0].at 2m: want the end of the line, got "for"`},
		{"acme-uk probe bnd 0x3", `30: tests[0].observe[0].at 2m: want a kind of probe (tcp, tls, bind, enquire, queue, throttle, submit, receipt, handset or http), got "bnd" (did you mean "bind"?)`},
		{"acme-uk probe bind", `34: tests[0].observe[0].at 2m: want ok, fails, stops, every 30s, or results such as 0x3 1x20, got the end of the line`},
		{"acme-uk bind 1 2x2", `31: tests[0].observe[0].at 2m: want results of a probe: 1 is a success, 0 is a failure, _ is none, got "2x2"`},
		{"otp bind fails", `16: tests[0].observe[0].at 2m: want a route before a probe, such as acme-uk probe bind fails, got "otp"`},
		{"acme-uk refuses 20% code 0x0b", `41: tests[0].observe[0].at 2m: want a command_status that is the route's fault or says that it is too much, such as 0x08 or 0x58, got "0x0b"`},
		{"acme-uk refuses 20% code x", `41: tests[0].observe[0].at 2m: want a command_status of SMPP, such as 0x58, got "x"`},
		{"acme-uk receipts pasue 5m", `33: tests[0].observe[0].at 2m: want receipts lost, receipts pause 5m, receipts batch 30s or receipts come, got "pasue" (did you mean "pause"?)`},
		{"acme-uk times 20%", `30: tests[0].observe[0].at 2m: want "out", got "20%"`},
		{"acme-uk delay 4s..2s", `30: tests[0].observe[0].at 2m: want a delay such as 4s (half of the receipts), 4s..40s (half, and 95% of them) or x3, up to 1d, got "4s..2s"`},
		{"acme-uk delay x0", `30: tests[0].observe[0].at 2m: want a factor such as x3, above 0 and at most 1000, got "x0"`},
		{"baseline acme-uk delivered 95%", `16: tests[0].observe[0].at 2m: want a route, a class and a network after baseline, such as baseline acme-uk otp 234-15 delivered 95%, got "acme-uk"`},
		{"baseline acme-uk otp 234-15 delivered 0%", `16: tests[0].observe[0].at 2m: want a baseline in which messages are delivered, got none`},
		{"baseline acme-uk otp 234-15", `43: tests[0].observe[0].at 2m: want what is normal, such as delivered 95% failed 2.5%, got the end of the line`},
		{"", `15: tests[0].observe[0].at 2m: want a line such as at 2m: acme-uk delivered 40%, got nothing`},
	} {
		got := problemsOf(t, test([]string{"at 2m: " + c.line}, "{at: 3m, route: core-uk, phase: active}"))
		if got != "4:"+c.want {
			t.Errorf("%s:\ngot  %s\nwant 4:%s", c.line, got, c.want)
		}
	}
}

func TestProblemsOfExpectations(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"{at: 4m, route: core-uk, phase: demotd}", `41: tests[0].expect[0].phase: want active, recovering or demoted, got "demotd" (did you mean "demoted"?)`},
		{"{at: 4m, route: core-ul, phase: demoted}", `25: tests[0].expect[0].route: want a route of the policy, got "core-ul" (did you mean "core-uk"?)`},
		{"{at: 4m, route: acme-uk, phase: demoted}", `9: tests[0].expect[0]: want lane: otp/GB or bulk/GB, got none: the policy has several that fit`},
		{"{at: 4m, lane: otp/GB, phase: demoted}", `9: tests[0].expect[0]: want a route beside phase, got none`},
		{"{at: 4m, lane: opt/GB, route: acme-uk, phase: demoted}", `24: tests[0].expect[0].lane: want a lane such as "otp/GB" of the policy, got "opt/GB" (did you mean "otp/GB"?)`},
		{"{at: 4m, class: opt, route: acme-uk, phase: demoted}", `25: tests[0].expect[0].class: want a class that a lane of the policy has, got "opt" (did you mean "otp"?)`},
		{"{at: 4m, lane: otp/GB, route: core-uk, phase: demoted}", `9: tests[0].expect[0]: want a lane of the policy that fits, got none for otp/GB core-uk`},
		{"{at: 4m, lane: otp/GB, class: otp, route: acme-uk, phase: demoted}", `39: tests[0].expect[0].class: want only one of lane and class, got both`},
		{"{at: 4m, route: core-uk}", `9: tests[0].expect[0]: want what must be so, such as phase: demoted or reason: GuardHeld, got none`},
		{"{route: core-uk, phase: demoted}", `9: tests[0].expect[0]: want one of at, never or decisions, got none`},
		{"{at: 4m, decisions: [], route: core-uk}", `18: tests[0].expect[0].decisions: want only one of at, never or decisions, got both`},
		{"{never: {route: core-uk}}", `17: tests[0].expect[0].never: want what must not be so, such as phase: demoted or enforced: true, got none`},
		{"{never: {phase: demoted}, route: core-uk}", `42: tests[0].expect[0].route: want no route beside never`},
		{"{never: {phase: demoted}, from: 5m, until: 4m}", `52: tests[0].expect[0].until: want a moment after 5m, got 4m`},
		{"{decisions: [], phase: demoted}", `32: tests[0].expect[0].phase: want no phase beside decisions`},
		{"{decisions: [{within: 5s}]}", `31: tests[0].expect[0].decisions[0].within: want at beside within, got none`},
		{"{decisions: [{share: 5%}]}", `23: tests[0].expect[0].decisions[0].share: want at, within, lane, class, network, route, to, rule, reason, mode, enforced, text, guard or price_change, got "share"`},
		{"{at: 4m, until: 5m, route: core-uk, phase: active}", `25: tests[0].expect[0].until: want no until beside at`},
		{"{at: 4m, rule: bind-lots}", `24: tests[0].expect[0].rule: want a rule of the policy, got "bind-lots" (did you mean "bind-lost"?)`},
		{"{at: 4m, lane: otp/GB, order: [acme-uk, bolt-ul]}", `49: tests[0].expect[0].order[1]: want a route of the policy, got "bolt-ul" (did you mean "bolt-uk"?)`},
		{"{at: 4m, lane: otp/GB, shares: {bolt-ul: 3%}}", `41: tests[0].expect[0].shares.bolt-ul: want a route of the policy, got "bolt-ul" (did you mean "bolt-uk"?)`},
		{"{at: 4m, route: core-uk, when: delivery.evidense > 3}", `40: tests[0].expect[0].when: want a signal such as delivery.evidence, got "delivery.evidense" (did you mean "delivery.evidence"?)`},
		{"{at: 4m, route: core-uk, reason: RuleMatch}", `42: tests[0].expect[0].reason: want RuleMatched`},
		{"{at: 32d, route: core-uk, phase: active}", `14: tests[0].expect[0].at: want a duration from 0s to 31d, got "32d"`},
	} {
		got := problemsOf(t, test(nil, c.entry))
		if !strings.HasPrefix(got, "4:"+c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s:\ngot  %s\nwant 4:%s", c.entry, got, c.want)
		}
	}
}

func TestProblemsOfSeries(t *testing.T) {
	for _, c := range []struct{ series, want string }{
		{`delivery.evidense{route="acme-uk"}: 0x10`, `7: tests[0].series.delivery.evidense{route="acme-uk"}: want a signal with a number, such as delivery.evidence, got "delivery.evidense" (did you mean "delivery.evidence"?)`},
		{`delivery.evidence: 0x10`, `7: tests[0].series.delivery.evidence: want a signal with a route, such as delivery.evidence{route="acme-uk"}, got "delivery.evidence"`},
		{`delivery.evidence{class="otp"}: 0x10`, `7: tests[0].series.delivery.evidence{class="otp"}: want the label route with a route of the policy, got ""`},
		{`delivery.evidence{route="acme-ul"}: 0x10`, `7: tests[0].series.delivery.evidence{route="acme-ul"}: want the label route with a route of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		{`delivery.evidence{route="acme-uk",class="opt"}: 0x10`, `7: tests[0].series.delivery.evidence{route="acme-uk",class="opt"}: want a class of the policy, got "opt" (did you mean "otp"?)`},
		{`delivery.evidence{rout="acme-uk"}: 0x10`, `7: tests[0].series.delivery.evidence{rout="acme-uk"}: want labels such as {route="acme-uk",network="234-15"}, each once, got "rout=\"acme-uk\"" (did you mean "route"?)`},
		{`delivery.evidence{route="acme-uk"}: 0x10 x`, `48: tests[0].series.delivery.evidence{route="acme-uk"}: want a value in promtool's notation, such as 1, 0x3 (four times 0), 1+2x3 (1 3 5 7), _, _x5 or stale, got "x"`},
		{`probe["bind"].ok{route="acme-uk"}: 0x10 2`, `47: tests[0].series.probe["bind"].ok{route="acme-uk"}: want results of a probe: 1 is a success, 0 is a failure, _ is none, got "2"`},
		{`probe["bnd"].ok{route="acme-uk"}: 0x10`, `7: tests[0].series.probe["bnd"].ok{route="acme-uk"}: want a kind of probe, as in probe["bind"].ok, got "probe[\"bnd\"].ok" (did you mean "bind"?)`},
		{`route.id{route="acme-uk"}: 1`, `7: tests[0].series.route.id{route="acme-uk"}: want a signal with a number, such as delivery.evidence, got "route.id"`},
	} {
		text := test(nil, "{at: 3m, route: core-uk, phase: active}") + "    series:\n      " + c.series + "\n"
		if got := problemsOf(t, text); got != "6:"+c.want {
			t.Errorf("%s:\ngot  %s\nwant 6:%s", c.series, got, c.want)
		}
	}
}

func TestProblemsOfFiles(t *testing.T) {
	rest := "\n" + test(nil, "{at: 3m, route: core-uk, phase: active}")
	for _, c := range []struct{ text, want string }{
		{"", "1:1: want a file of stories, got nothing"},
		{"- a", "1:1: want a file of stories, got a list"},
		{"tests: []", "1:8: tests: want a list of tests with 1 to 1000 entries, got 0"},
		{"sead: 3" + rest, `1:1: sead: want policy, start, interval, seed, cold, observe or tests, got "sead" (did you mean "seed"?)`},
		{"start: 2026-01-05T12:00:03Z" + rest, `1:8: start: want a time of RFC 3339 such as 2026-01-05T12:00:00Z, on whole five seconds, got "2026-01-05T12:00:03Z"`},
		{"start: noon" + rest, `1:8: start: want a time of RFC 3339 such as 2026-01-05T12:00:00Z, on whole five seconds, got "noon"`},
		{"interval: 0s" + rest, `1:11: interval: want a duration from 1s to 1h, got "0s"`},
		{"cold: maybe" + rest, `1:7: cold: want true or false, got "maybe"`},
		{"policy: []" + rest, `1:9: policy: want folders and files of the policy with 1 to 100 entries, got 0`},
		{"observe: [at 2m]" + rest, `1:11: observe[0]: want a line such as at 2m: acme-uk delivered 40%, got "at 2m"`},
		{"observe: [{2m: otp 234-15 1/s}]" + rest, `1:12: observe[0].2m: want a moment such as at 2m, up to 31d, got "2m"`},
		{"observe: [{at 0s: otp 234-15 9000/s}]\ntests: [{name: t, lasts: 1h, expect: [{never: {phase: demoted}}]}]", `2:9: tests[0]: want at most 5000000 messages in a test, got about 32400000 in 1h`},
		{strings.Replace(rest, "tests:\n", "tests:\n  - {name: t, expect: [{never: {phase: demoted}}]}\n", 1), `4:11: tests[1].name: want each test once, got "t" again (first at line 3)`},
	} {
		if got := problemsOf(t, c.text); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestWhatAFileSaysOfItself(t *testing.T) {
	f, err := Parse(policy.File{Name: "s", Data: []byte("policy: [a, b/c.yml]\nstart: 2026-03-02T03:00:00+02:00\ninterval: 1m\nseed: 4\ncold: true\n" + `
tests:
  - {name: own, seed: 0, cold: false, mode: propose, lasts: 31s, expect: [{never: {phase: demoted}}]}
  - {name: common, expect: [{at: 1m, within: 2m, reason: Unknown}, {never: {phase: demoted}, until: 4m1s}]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	own, common := f.Tests[0], f.Tests[1]
	got := fmt.Sprintln(f.Policy, f.Start, f.Interval, own.Seed, own.Cold, own.Mode, own.Lasts, own.Line, common.Seed, common.Cold, common.Mode, common.Lasts)
	if want := "[a b/c.yml] 2026-03-02 01:00:00 +0000 UTC 1m0s 0 false propose 30s 8 4 true act 4m5s\n"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f, err = Parse(policy.File{Name: "s", Data: []byte(test(nil, "{at: 3s, route: core-uk, phase: active}"))})
	if got := fmt.Sprintln(f.Policy, f.Start.Format(time.RFC3339), f.Interval, f.Tests[0].Lasts); err != nil || got != "[.] 2026-01-05T12:00:00Z 5s 5s\n" {
		t.Errorf("got %s (%v), want the defaults", got, err)
	}
}

func TestSchemaHasTheKeysOfStories(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	properties := func(m any) map[string]any { p, _ := m.(map[string]any)["properties"].(map[string]any); return p }
	items := func(m any) any { return m.(map[string]any)["items"] }
	top := properties(s)
	one := properties(items(top["tests"]))
	expect := properties(items(one["expect"]))
	for _, c := range []struct {
		got  map[string]any
		want []string
	}{
		{top, []string{"cold", "interval", "observe", "policy", "seed", "start", "tests"}},
		{one, []string{"cold", "expect", "lasts", "mode", "name", "observe", "seed", "series"}},
		{expect, slices.Concat([]string{"at", "within", "never", "decisions", "from", "until"}, subjectNames, stateNames, decisionNames)},
		{properties(expect["never"]), slices.Concat(subjectNames, stateNames, decisionNames)},
		{properties(items(expect["decisions"])), slices.Concat([]string{"at", "within"}, subjectNames, decisionNames)},
	} {
		slices.Sort(c.want)
		if got := slices.Sorted(maps.Keys(c.got)); !slices.Equal(got, c.want) {
			t.Errorf("got the keys %v, want %v", got, c.want)
		}
	}
}
