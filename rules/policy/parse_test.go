package policy

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestBrokenPolicy compares the problems of a policy in which much is wrong: everything is reported, at its place.
func TestBrokenPolicy(t *testing.T) {
	var texts []string
	for _, name := range []string{"a.yml", "b.yml"} {
		b, err := os.ReadFile("testdata/broken/" + name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	const golden = "testdata/broken/problems.txt"
	got := problemsOf(t, texts...)
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("problem %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

func TestParseProblems(t *testing.T) {
	long := strings.Repeat("x", maxFile+1)
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	rule := func(rest string) string {
		return skeleton + "rules: [{name: r, class: [otp], demote: {when: delivery.evidence > 12}, promote: {when: delivery.recovered > 4}, " + rest + "}]"
	}
	for _, c := range []struct{ claim, text, want string }{
		{"JSON is YAML", bench, ""},
		{"a policy needs no rules", skeleton, ""},
		{"nothing", "", "a.yml:1:1: version: want version: 1 in one of the files, got none"},
		{"a version and no more", "version: 1", "a.yml:1:1: lanes: want at least one lane in one of the files, got none"},
		{"a version that is text", skeleton[len("version: 1"):] + "version: '1'", `a.yml:5:10: version: want 1, got "1"`},
		{"no mapping", "- 1", "a.yml:1:1: want a policy, got a list\na.yml:1:1: version: want version: 1 in one of the files, got none"},
		{"two documents", skeleton + "---\nversion: 1\n", "a.yml:5:1: want one document in a file, got a second one"},
		{"broken YAML", skeleton + "guards: {a: [}\n", "a.yml:5:1: want YAML, got text that cannot be read as such (did not find expected node content)"},
		{"not UTF-8", "\xff\xfe\xfd", "a.yml:1:1: want YAML, got text that cannot be read as such (incomplete UTF-16 character)"},
		{"a file too long", long, "a.yml:1:1: want a file of at most 1048576 bytes, got 1048577"},
		{"nested too deep", skeleton + "rules: " + deep, "a.yml:5:39: want at most 32 lists and mappings within each other, got more\na.yml:5:9: rules[0]: want a rule with name, class, demote and promote, got a list"},
		{"an alias", skeleton + "guards: &g {settle: 10s}\napproval: *g", "a.yml:5:9: want the value itself, got the anchor &g: anchors are not supported\na.yml:6:11: want the value itself, got the alias *g: aliases are not supported"},
		{"a merged mapping", skeleton + "guards: {<<: {settle: 10s}}", `a.yml:5:10: guards.<<: want min_active, common_cause, corroborate, velocity, settle, max_demoted, capacity or price_rise, got "<<"`},
		{"a key without a name", skeleton + "guards: {[1]: 2, ~: 3}", "a.yml:5:10: guards: want a name as a key, got a list\na.yml:5:18: guards: want a name as a key, got nothing"},
		{"an empty rule says why promote is needed", skeleton + "rules: [{name: r, class: [otp], demote: {when: delivery.evidence > 12}}]",
			"a.yml:5:9: rules[0].promote: want when a demoted route may come back, such as {when: delivery.recovered >= 4.6}, got nothing: without it the rule would keep every route out that it demotes"},
		{"a rule per route", rule("per: route"), ""},
		{"a rule per network", rule("per: network"), ""},
		{"a rule per moon", rule("per: moon"), `a.yml:5:119: rules[0].per: want lane, network or route, got "moon"`},
		{"a hold-down that shrinks", rule("hold_down: {factor: 0.9}"), "a.yml:5:134: rules[0].hold_down.factor: want a factor, from 1 to 100, got 0.9"},
		{"a hold-down of no number", rule("hold_down: {factor: .nan}"), "a.yml:5:134: rules[0].hold_down.factor: want a factor, from 1 to 100, got .nan"},
		{"a base above the default max moves it", rule("hold_down: {base: 5h}"), ""},
		{"guards that say too little", skeleton + "guards: {capacity: lots, price_rise: {}}",
			"a.yml:5:20: guards.capacity: want hold or propose, got \"lots\"\na.yml:5:38: guards.price_rise.limit: want how much dearer, such as 50%, got nothing"},
		{"a price rise of nothing", skeleton + "guards: {price_rise: {limit: 0%}}", `a.yml:5:30: guards.price_rise.limit: want a share from 0.01% to 999%, got "0%"`},
		{"a window that does nothing", skeleton + "windows: [{name: w, days: [sat]}]", "a.yml:5:11: windows[0]: want one of freeze or ignore, got none"},
		{"a window that does both", skeleton + "windows: [{name: w, freeze: changes, ignore: refusals}]", "a.yml:5:38: windows[0].ignore: want only one of freeze or ignore, got both"},
		{"a window in no zone", skeleton + "windows: [{name: w, freeze: changes, zone: Europe/Lundon}]", `a.yml:5:44: windows[0].zone: want a time zone such as Europe/London, got "Europe/Lundon"`},
		{"a window of half a time", skeleton + "windows: [{name: w, freeze: changes, from: '10:00'}]", "a.yml:5:11: windows[0]: want both from and to, got one of them"},
		{"a window within and outside", skeleton + "windows: [{name: w, freeze: changes, from: '10:00', to: '11:00', outside: {from: '01:00', to: '02:00'}}]",
			"a.yml:5:38: windows[0].from: want only one of from with to, or outside, got both\na.yml:5:53: windows[0].to: want only one of from with to, or outside, got both"},
		{"a window of no length", skeleton + "windows: [{name: w, freeze: changes, from: '10:00', to: '10:00'}]", `a.yml:5:57: windows[0].to: want another time than from, got "10:00" again`},
		{"a time of day there is not", skeleton + "windows: [{name: w, freeze: changes, from: '25:00', to: '24:30'}]",
			"a.yml:5:44: windows[0].from: want a time of day such as 21:00, got \"25:00\"\na.yml:5:57: windows[0].to: want a time of day such as 21:00, got \"24:30\""},
		{"a day there is not", skeleton + "windows: [{name: w, freeze: changes, days: [sta], dates: [2026-02-30, 2026-12-31..2026-12-01]}]",
			"a.yml:5:45: windows[0].days[0]: want sun, mon, tue, wed, thu, fri or sat, got \"sta\" (did you mean \"sat\"?)\n" +
				"a.yml:5:59: windows[0].dates[0]: want a day such as 2026-12-25, or days such as 2026-12-24..2026-12-26, got \"2026-02-30\"\n" +
				"a.yml:5:71: windows[0].dates[1]: want days from an earlier to a later one, got \"2026-12-31..2026-12-01\""},
		{"a calendar there is not", skeleton + "calendars: {holidays: [2026-12-25]}\nwindows: [{name: w, freeze: changes, calendars: [holliday]}]",
			`a.yml:6:50: windows[0].calendars[0]: want a calendar declared under calendars, got "holliday" (did you mean "holidays"?)`},
		{"two windows of a name", skeleton + "windows: [{name: w, freeze: changes}, {name: w, freeze: changes}]", `a.yml:5:46: windows[1].name: want each window once, got "w" again (first at a.yml:5:18)`},
		{"a first route whose sender IDs are not registered", strings.Replace(skeleton, "trickle: 1%", "senders: {otp: [GB]}", 1),
			`a.yml:4:44: lanes[0].order[0]: want a route whose sender IDs are registered for otp in *, got "a", whose senders do not say so`},
		{"a fallback whose sender IDs are not", strings.Replace(strings.Replace(skeleton, "trickle: 1%", "senders: {otp: [GB]}", 1), "[a, b]", "[b, a]", 1), ""},
		{"a min_active below 1", skeleton + "guards: {min_active: -1}", "a.yml:5:22: guards.min_active: want a whole number from 1 to 1000, got -1"},
		{"a number too long", skeleton + "guards: {min_active: 99999999999999999999}", "a.yml:5:22: guards.min_active: want a whole number from 1 to 1000, got 99999999999999999999"},
		{"senders of a class that is not declared", strings.Replace(skeleton, "trickle: 1%", "senders: {opt: [GB]}", 1), `a.yml:2:54: routes.a.senders.opt: want a class declared under classes, got "opt" (did you mean "otp"?)`},
		{"a weight below 0", strings.Replace(skeleton, "order: [a, b]", "share: {a: -1, b: 1}", 1), "a.yml:4:47: lanes[0].share.a: want a weight such as 60, from 0 to 1000000, got -1"},
		{"a price with an exponent", strings.Replace(skeleton, "trickle: 1%", "price: {GB: 1e9999999 EUR}", 1), `a.yml:2:56: routes.a.price.GB: want a price such as 0.0312 EUR, got "1e9999999 EUR"`},
		{"a share too fine", strings.Replace(skeleton, "trickle: 1%", "trickle: 0.001%", 1), `a.yml:2:53: routes.a.trickle: want a share such as 60%, in steps of 0.01%, got "0.001%"`},
	} {
		got, want := problemsOf(t, c.text), sortedLines(c.want)
		if !slices.Equal(sortedLines(strings.Join(got, "\n")), want) {
			t.Errorf("%s:\n got %s\nwant %s", c.claim, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

func sortedLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return lines
}

func TestProblemsAcrossFilesNameBothPlaces(t *testing.T) {
	second := "version: 1\napproval: 1h\nguards: {settle: 10s}\nclasses: {otp: {}}\nroutes: {a: {provider: p, networks: [GB]}}\nlanes: [{class: otp, network: '*', order: [a]}]\n"
	got := problemsOf(t, skeleton+"approval: 2h\nguards: {settle: 20s}\n", second)
	want := []string{
		"b.yml:2:11: approval: want approval in one file, got it again (first at a.yml:5:11)",
		"b.yml:3:18: guards.settle: want guards.settle in one file, got it again (first at a.yml:6:18)",
		`b.yml:4:11: classes.otp: want each class once, got "otp" again (first at a.yml:3:11)`,
		`b.yml:5:10: routes.a: want each route once, got "a" again (first at a.yml:2:10)`,
		`b.yml:6:9: lanes[0]: want each lane once, got "otp/*" again (first at a.yml:4:9)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestGuardsMayStandInSeveralFiles(t *testing.T) {
	p := mustParse(t, skeleton+"guards: {settle: 20s}\n", "guards: {min_active: 2}\n")
	if p.Guards.Settle != 20*time.Second || p.Guards.MinActive != 2 {
		t.Errorf("got guards %+v, want those of both files", p.Guards)
	}
}

func TestTooManyOfAThing(t *testing.T) {
	var routes strings.Builder
	for i := range maxRoutes/2 + 1 {
		fmt.Fprintf(&routes, " r%d: {provider: p, networks: [GB]}\n", i)
	}
	other := strings.ReplaceAll(routes.String(), " r", " s")
	got := problemsOf(t, skeleton, "routes:\n"+routes.String(), "routes:\n"+other)
	if len(got) != 1 || !strings.HasSuffix(got[0], "want at most 10000 routes, got 10004") {
		t.Errorf("got %q, want one problem about the number of routes", got)
	}
}

// skeleton is a policy without its rules.
const skeleton = `version: 1
routes: {a: {provider: p, networks: ["*"], trickle: 1%}, b: {provider: q, networks: ["*"], trickle: 1%}}
classes: {otp: {mode: act}}
lanes: [{class: otp, network: "*", order: [a, b]}]
`

func withCondition(when string) string {
	return skeleton + fmt.Sprintf("rules:\n- name: r\n  class: [otp]\n  promote: {when: delivery.recovered > 4}\n  demote:\n    when: %s\n", when)
}

func TestConditionPlaces(t *testing.T) {
	for _, c := range []struct{ claim, when, place string }{
		{"plain", `lane.active > 0 && delivry.evidence > 1`, "10:30"},
		{"single quotes", `'lane.active > 0 && delivry.evidence > 1'`, "10:31"},
		{"single quotes within", `'lane.class == ''x'' && delivry.evidence > 1'`, "10:35"},
		{"double quotes", `"lane.active > 0 && delivry.evidence > 1"`, "10:31"},
		{"double quotes within", `"lane.class == \"x\" && delivry.evidence > 1"`, "10:35"},
		{"letters escaped", `"lane.\u0061ctive > 0 && delivry.evidence > 1"`, "10:36"},
		{"letters beyond ASCII", `lane.class == 'ü€' && delivry.evidence > 1`, "10:33"},
		{"a literal block", "|\n      lane.active > 0 &&\n      delivry.evidence > 1", "12:7"},
		{"a folded block", ">-\n        lane.active > 0 &&\n\n        !(delivry.evidence > 1)", "13:11"},
		{"a block with a comment", "| # why\n      lane.active > 0 && delivry.evidence > 1", "11:26"},
		{"plain over two lines", "lane.active > 0 &&\n      delivry.evidence > 1", "11:7"},
		{"a tag before it: the scalar", "!!str lane.active > 0 && delivry.evidence > 1", "10:11"},
		{"its end", `lane.active > 0 &&`, "10:29"},
	} {
		got := problemsOf(t, withCondition(c.when))
		if len(got) != 1 || !strings.HasPrefix(got[0], "a.yml:"+c.place+": rules[0].demote.when: want ") {
			t.Errorf("%s: got %q, want one at %s", c.claim, got, c.place)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole), []byte(benchRules))
	f.Add([]byte(bench), []byte(benchRules))
	f.Add([]byte(withCondition("|\n      a.b['c'].d > 1 ? x : !y")), []byte("a: &x [*x]\n--- b"))
	f.Add([]byte("{{{[[["), []byte("\xff\xfe\x00"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		p, err := Parse([]File{{"a.yml", a}, {"b.yml", b}})
		if err == nil {
			p.Advice()
			p.Outlooks(Assumptions{})
			return
		}
		for _, problem := range err.(Problems) {
			if problem.Line < 1 || problem.Column < 1 || !strings.Contains(problem.Message, "want ") {
				t.Errorf("got problem %+v, want a place and what is wanted", problem)
			}
		}
	})
}

// Any change of a few bytes of a policy gives a policy or problems, never a panic.
func TestParseNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(whole)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				data[at] = rapid.SampledFrom([]byte("\x00\t\n &*!|>'\"%@`{}[],:-#0a\xff")).Draw(t, "byte")
			case 1:
				data = append(data[:at:at], data[min(len(data), at+rapid.IntRange(1, 20).Draw(t, "cut")):]...)
			case 2:
				data = append(data[:at:at], append([]byte(rapid.SampledFrom([]string{"{", "- ", ": ", "null", "1e999", "&&"}).Draw(t, "text")), data[at:]...)...)
			}
			if len(data) == 0 {
				return
			}
		}
		if p, err := Parse([]File{{"a.yml", data}}); err == nil {
			p.Advice()
			p.Outlooks(Assumptions{})
		}
	})
}
