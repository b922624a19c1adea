package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func adviceOf(t testing.TB, texts ...string) []string {
	t.Helper()
	var out []string
	for _, a := range mustParse(t, texts...).Advice() {
		out = append(out, a.String())
	}
	return out
}

func ruleOf(demote, promote string) string {
	return "rules:\n- name: r\n  class: [otp]\n  demote: {when: '" + demote + "'}\n  promote: {when: '" + promote + "'}\n"
}

func TestAdvice(t *testing.T) {
	still := strings.ReplaceAll(skeleton, ", trickle: 1%", "")
	const (
		d     = "delivery.evidence > 12"
		p     = "delivery.recovered > 4"
		noWay = "a.yml:9:19: rules[0].promote.when: want a condition that can be true, got one that no signal can meet: the rule never lets a route back"
	)
	inTime := strings.Replace(skeleton, "classes: {otp: {", "classes: {otp: {within: 30s, ", 1)
	stuck := func(signal string) string {
		return "a.yml:9:19: rules[0].promote.when: want traffic while demoted, got trickle 0% on a, b: without messages " + signal +
			" stays unknown; add a trickle such as 1% to the routes, or ask a receipt or handset probe after ||"
	}
	dark := `a.yml:4:47: lanes[0].order[1]: want a rule that asks a probe of b, such as probe["bind"].failures >= 3, got none: ` +
		"it carries nothing, so nobody knows whether it works when it is needed; a share in a weighted lane would tell too"
	for _, c := range []struct {
		claim, text string
		want        []string
	}{
		{"nothing to say", skeleton + ruleOf(d, p), nil},
		{"lanes that no rule judges, and a fallback without sender IDs", whole[:strings.Index(whole, "  - name: bind-lost")], []string{
			"a.yml:24:5: lanes[1]: want a rule for class bulk, got none: nothing demotes its routes",
			"a.yml:25:5: lanes[2]: want a rule for class *, got none: nothing demotes its routes",
			"a.yml:25:47: lanes[2].order[1]: want a route whose sender IDs are registered for * in *, got acme-uk: it takes nothing over; register them, or take it out of the lane"}},
		{"a route in no lane", strings.Replace(skeleton, "[a, b]", "[a]", 1), []string{
			"a.yml:2:58: routes.b: want a lane with this route, got none: b carries nothing",
			"a.yml:4:9: lanes[0]: want a second route, of another provider, got a alone: nothing can take its place"}},
		{"one provider", strings.Replace(skeleton, "provider: q", "provider: p", 1), []string{
			"a.yml:4:9: lanes[0]: want routes of two providers, got p only: its outage takes every route"}},
		{"a rule for a class without lanes", strings.Replace(skeleton, "classes: {", "classes: {bulk: {}, ", 1) + strings.Replace(ruleOf(d, p), "otp", "bulk", 1), []string{
			"a.yml:4:9: lanes[0]: want a rule for class otp, got none: nothing demotes its routes",
			"a.yml:6:9: rules[0].name: want a lane of class bulk, got none: the rule judges nothing"}},
		{"recovery without trickle", still + ruleOf(d, p), []string{dark, stuck("delivery.recovered")}},
		{"recovery with trickle", skeleton + ruleOf(d, p), nil},
		{"recovery without trickle on one route", strings.Replace(skeleton, ", trickle: 1%", "", 1) + ruleOf(d, p), []string{strings.Replace(stuck("delivery.recovered"), "a, b", "a", 1)}},
		{"recovery by a probe", still + ruleOf(d, p+` || probe["receipt"].successes > 3`), nil},
		{"recovery by a probe and receipts", still + ruleOf(d, p+` && probe["receipt"].successes > 3`), []string{stuck("delivery.recovered")}},
		{"recovery without being known", still + ruleOf(d, "!conversion.known && state.age > duration(\"1h\")"), []string{dark}},
		{"recovery that has to be known", still + ruleOf(d, "conversion.known"), []string{dark, stuck("conversion.known")}},
		{"a share above 1", skeleton + ruleOf(d, "delivery.ratio >= 90"), []string{noWay}},
		{"a count below 0", skeleton + ruleOf(d, "0 > delivery.messages"), []string{noWay}},
		{"a demotion that cannot be", skeleton + ruleOf("delivery.ratio < 0.0 || delivery.high > 1.5", p), []string{
			"a.yml:8:18: rules[0].demote.when: want a condition that can be true, got one that no signal can meet: the rule demotes nothing"}},
		{"a green bind for a bad delivery", skeleton + ruleOf(d, `probe["bind"].successes > 3`), []string{
			"a.yml:9:19: rules[0].promote.when: want the kind of evidence that demotes, got a condition without delivery: a healthy probe does not show that messages arrive"}},
		{"lateness recovers by lateness", skeleton + ruleOf("latency.evidence > 12", "latency.recovered > 4"), nil},
		{"lateness recovers by the share in time", inTime + ruleOf("latency.evidence > 12", "within.low > 0.8"), nil},
		{"a share in time of a class that says none", skeleton + ruleOf("within.ratio < 0.5", "latency.recovered > 4"), []string{
			"a.yml:6:9: rules[0].name: want within on class otp, got none: without it nobody knows what in time is, and within stays unknown"}},
		{"deliveries say nothing of lateness", skeleton + ruleOf("latency.evidence > 12", p), []string{
			"a.yml:9:19: rules[0].promote.when: want the kind of evidence that demotes, got a condition without latency: a healthy probe does not show that messages arrive"}},
		{"one of two kinds is enough", skeleton + ruleOf(d+" || latency.evidence > 12", p), nil},
		{"times are known by traffic only", still + ruleOf("latency.evidence > 12", "latency.recovered > 4"), []string{dark, stuck("latency.recovered")}},
		{"so are peers, and the score", still + ruleOf(d, "score > 90 && peers.better == 0 && "+p), []string{dark, stuck("score")}},
		{"a score above 100", skeleton + ruleOf(d, "score > 100"), []string{noWay,
			"a.yml:9:19: rules[0].promote.when: want the kind of evidence that demotes, got a condition without delivery: a healthy probe does not show that messages arrive"}},
	} {
		if got := adviceOf(t, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.claim, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

func TestAdviceOnConditionsThatDecideNothing(t *testing.T) {
	const p = "delivery.recovered > 4"
	always := func(then, hint string) []string {
		return []string{"a.yml:8:18: rules[0].demote.when: want a condition that can be false, got one that is true whenever it is known: " + then + hint}
	}
	part := func(text, is, hint string) []string {
		return []string{"a.yml:8:18: rules[0].demote.when: want comparisons that decide something, got " + text + ", which is always " + is + hint}
	}
	const demotes = "the rule demotes every route that it hears of"
	for _, c := range []struct {
		claim, when string
		want        []string
	}{
		{"a share in percent", "delivery.ratio < 80", always(demotes, "; shares are from 0 to 1: did you mean 0.8?")},
		{"evidence is never below 0", "delivery.evidence >= 0", always(demotes, "")},
		{"both parts are", "delivery.evidence >= 0 && delivery.silence >= 0.0", always(demotes, "")},
		{"one of either is", "delivery.evidence >= 12 || conversion.evidence >= 0", always(demotes, "")},
		{"one of both is", "delivery.evidence >= 12 && delivery.ratio <= 95.5", part("delivery.ratio <= 95.5", "true", "; shares are from 0 to 1: did you mean 0.955?")},
		{"one of either never is", "delivery.evidence >= 12 || submit.refused > 50", part("submit.refused > 50.0", "false", "; shares are from 0 to 1: did you mean 0.5?")},
		{"under a not", "delivery.evidence >= 12 && !(delivery.messages < 0)", part("delivery.messages < 0.0", "false", "")},
		{"1 is a share", "delivery.evidence >= 12 && delivery.ratio < 1", nil},
		{"a fact", "delivery.evidence >= 12 && lane.rate > 0.1 && route.tags.tier == \"gold\"", nil},
		{"a time", "delivery.evidence >= 12 && delivery.age < duration(\"60s\")", nil},
	} {
		if got := adviceOf(t, skeleton+ruleOf(c.when, p)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.claim, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

// site is a policy on which there is nothing to advise.
const site = `version: 1
routes:
  a: {provider: p, networks: ["*"], capacity: 50/s, price: {"*": 0.03 EUR}, trickle: 1%}
  b: {provider: q, networks: ["*"], capacity: 50/s, price: {"*": 0.04 EUR}, trickle: 1%}
classes:
  otp: {mode: act, within: 30s}
lanes:
  - {class: otp, network: GB, order: [a, b]}
rules:
  - name: r
    class: [otp]
    demote: {when: 'delivery.evidence >= 12 && delivery.messages >= 5'}
    promote: {when: 'delivery.recovered >= 4.6'}
    hold_down: {base: 5m}
guards:
  min_active: 1
  price_rise: {limit: 50%}
  corroborate: {class: [otp], signals: [silence]}
windows:
  - {name: w, freeze: promotions, days: [sat, sun]}
`

func TestAdviceOnCapacityAsIllness(t *testing.T) {
	const said = "a.yml:8:18: rules[0].demote.when: want evidence that messages fail, got a condition on queues and throttling alone: too much at once is no illness, and the next route gets it too"
	for when, want := range map[string]bool{
		`probe["queue"].failures >= 3`:                              true,
		`probe["throttle"].failures >= 3 || submit.throttled > 0.5`: true,
		`probe["queue"].failures >= 3 && delivery.evidence >= 12`:   false,
		`probe["bind"].failures >= 3`:                               false,
	} {
		if got := adviceOf(t, skeleton+ruleOf(when, "delivery.recovered > 4")); slices.Contains(got, said) != want {
			t.Errorf("%s: got %s", when, strings.Join(got, "\n     "))
		}
	}
}

func TestAdviceOnASite(t *testing.T) {
	type edit struct{ was, is string }
	for _, c := range []struct {
		claim string
		edits []edit
		want  string // of one piece of advice; "" is none
	}{
		{"nothing", nil, ""},
		{"a condition that healthy routes meet", []edit{{"evidence >= 12 && delivery.messages >= 5", "ratio < 0.8"}, {"  corroborate: {class: [otp], signals: [silence]}\n", ""}},
			"a.yml:12:20: rules[0].demote.when: want a condition that healthy routes meet less than once a day, got one that a healthy route with a message a second meets about "},
		{"one that healthy routes do not meet for long", []edit{{"evidence >= 12 && delivery.messages >= 5'}", "evidence >= 4', for: 2m}"}}, ""},
		{"no hold-down", []edit{{"base: 5m", "base: 0s"}}, "a.yml:10:11: rules[0].name: want a hold_down.base such as 5m, got 0s"},
		{"a mode that the class overrules", []edit{{"mode: act", "mode: propose"}, {"class: [otp]\n", "class: [otp]\n    mode: act\n"}}, "a.yml:10:11: rules[0].name: want classes whose mode allows act"},
		{"a mode that the class allows", []edit{{"class: [otp]\n", "class: [otp]\n    mode: propose\n"}}, ""},
		{"observe that was meant", []edit{{"mode: act", "mode: observe"}}, ""},
		{"observe that was not", []edit{{"mode: act, ", ""}}, "a.yml:6:3: classes.otp: want a mode, got none"},
		{"per network of one network", []edit{{"GB", "234-15"}, {"class: [otp]\n", "class: [otp]\n    per: network\n"}}, "a.yml:10:11: rules[0].name: want lanes of a country"},
		{"per network of a country", []edit{{"class: [otp]\n", "class: [otp]\n    per: network\n"}}, ""},
		{"a deadline after the time to arrive", []edit{{"within: 30s", "within: 30s, receipt_deadline: 1m"}}, "a.yml:12:20: rules[0].demote.when: want a receipt_deadline of no more than 30s for class otp"},
		{"a deadline beyond what is looked at", []edit{{"within: 30s", "receipt_deadline: 7h"}}, "a.yml:12:20: rules[0].demote.when: want a receipt_deadline under 7h for class otp"},
		{"a deadline for a rule over failures", []edit{{"within: 30s", "within: 30s, receipt_deadline: 1m"}, {"evidence >=", "failure >="}}, ""},
		{"a fallback that cannot carry it", []edit{{"q, networks: [\"*\"], capacity: 50/s", "q, networks: [\"*\"], capacity: 20/s"}}, "a.yml:8:5: lanes[0]: want routes that can carry the 50/s of a without it, got 20/s by b"},
		{"a fallback of unknown capacity", []edit{{"q, networks: [\"*\"], capacity: 50/s", "q, networks: [\"*\"]"}}, ""},
		{"shares that the rest cannot carry", []edit{{"order: [a, b]", "share: {a: 20, b: 80}"}, {"p, networks: [\"*\"], capacity: 50/s", "p, networks: [\"*\"], capacity: 20/s"}}, "a.yml:8:5: lanes[0]: want routes that can carry the 50/s of b"},
		{"a fallback without sender IDs", []edit{{"q, ", "q, senders: {otp: [FR]}, "}}, "a.yml:8:42: lanes[0].order[1]: want a route whose sender IDs are registered for otp in GB, got b"},
		{"a dark standby", []edit{{"0.04 EUR}, trickle: 1%", "0.04 EUR}"}, {"recovered >= 4.6", "recovered >= 4.6 || state.age > duration(\"1h\")"}}, "a.yml:8:42: lanes[0].order[1]: want a rule that asks a probe of b"},
		{"a dark standby that is probed", []edit{{"0.04 EUR}, trickle: 1%", "0.04 EUR}"}, {"recovered >= 4.6", `recovered >= 4.6 || probe["receipt"].successes > 3`}}, ""},
		{"a dark standby that carries elsewhere", []edit{{"0.04 EUR}, trickle: 1%", "0.04 EUR}"}, {"recovered >= 4.6", "recovered >= 4.6 || state.age > duration(\"1h\")"}, {"lanes:\n", "lanes:\n  - {class: otp, network: FR, order: [b, a]}\n"}}, ""},
		{"min_active as many as there are", []edit{{"min_active: 1", "min_active: 2"}}, "a.yml:16:15: guards.min_active: want fewer than the routes of each lane, got 2: no route of otp/GB can ever be demoted"},
		{"no price to compare", []edit{{"\"*\": 0.04 EUR", "FR: 0.04 EUR"}}, "a.yml:17:15: guards.price_rise: want a price for each route of a lane, got none for b in GB"},
		{"prices in two currencies", []edit{{"0.04 EUR", "0.04 USD"}}, "a.yml:17:15: guards.price_rise: want prices of a lane in one currency, got several in otp/GB"},
		{"no guard on prices", []edit{{"\"*\": 0.04 EUR", "FR: 0.04 EUR"}, {"  price_rise: {limit: 50%}\n", ""}}, ""},
		{"nothing to corroborate", []edit{{"delivery.evidence >= 12 && delivery.messages", "conversion.evidence >= 12 && conversion.messages"}}, "a.yml:18:16: guards.corroborate: want a rule that demotes by silence, got none for otp"},
		{"nobody to corroborate", []edit{{"{class: [otp], sig", "{class: [bulk], sig"}, {"classes:\n", "classes:\n  bulk: {}\n"}}, "a.yml:19:16: guards.corroborate: want a class that has a lane and a rule, got bulk"},
		{"a window that never closes", []edit{{"days: [sat, sun]", "zone: UTC"}}, "a.yml:20:12: windows[0].name: want a window that closes, got one that is open at all times: no route that was demoted ever comes back"},
		{"all days of the week", []edit{{"promotions, days: [sat, sun]", "demotions, days: [mon, tue, wed, thu, fri, sat, sun]"}}, "a.yml:20:12: windows[0].name: want a window that closes, got one that is open at all times: no route is ever demoted"},
		{"the whole day on all days", []edit{{"promotions, days: [sat, sun]", `changes, from: "00:00", to: "24:00"`}}, "a.yml:20:12: windows[0].name: want a window that closes, got one that is open at all times: nothing ever changes"},
		{"a window that never opens", []edit{{"sun]", `sun], outside: {from: "00:00", to: "24:00"}`}}, "a.yml:20:12: windows[0].name: want a time of day at which it is open"},
		{"a window of a calendar without days", []edit{{"days: [sat, sun]", "calendars: [c]"}, {"windows:", "calendars: {c: []}\nwindows:"}}, "a.yml:21:12: windows[0].name: want a day among its dates and calendars"},
		{"a window about no lane", []edit{{"sun]", "sun], network: [US]"}}, "a.yml:20:12: windows[0].name: want a lane that the window is about, got none"},
		{"a night", []edit{{"days: [sat, sun]", `from: "22:00", to: "06:00"`}}, ""},
	} {
		text := site
		for _, e := range c.edits {
			if !strings.Contains(text, e.was) {
				t.Fatalf("%s: nothing to edit: %q", c.claim, e.was)
			}
			text = strings.Replace(text, e.was, e.is, 1)
		}
		got := adviceOf(t, text)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.claim, strings.Join(got, "\n     "), c.want)
		}
	}
}

func TestOutdatedWindows(t *testing.T) {
	dated := strings.Replace(site, "days: [sat, sun]", "dates: [2026-01-01, 2025-12-24..2025-12-26]", 1)
	for _, c := range []struct {
		text, now string
		want      int
	}{
		{dated, "2025-06-01T00:00:00Z", 0},
		{dated, "2026-01-02T12:00:00Z", 0}, // a night that began the day before may still last
		{dated, "2026-01-03T00:00:00Z", 1},
		{site, "2030-01-01T00:00:00Z", 0},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := mustParse(t, c.text).Outdated(now); len(got) != c.want {
			t.Errorf("at %s: got %v, want %d", c.now, got, c.want)
		}
	}
}

// Advice of a window that never opens or closes agrees with what the window says of every moment of some weeks.
func TestWindowsAdvisedOnAreAsAdvised(t *testing.T) {
	for _, hours := range []string{"", `, from: "00:00", to: "24:00"`, `, from: "24:00", to: "00:00"`, `, from: "22:00", to: "06:00"`, `, outside: {from: "00:00", to: "24:00"}`,
		`, outside: {from: "24:00", to: "00:00"}`, `, outside: {from: "22:00", to: "06:00"}`, `, from: "00:00", to: "23:59"`} {
		for _, days := range []string{"", ", days: [sat]", ", days: [mon, tue, wed, thu, fri, sat, sun]", ", dates: [2026-01-07]"} {
			p := mustParse(t, strings.Replace(site, ", days: [sat, sun]", days+hours, 1))
			open, moments := 0, 0
			for at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC); at.Day() < 25; at = at.Add(7 * time.Minute) {
				moments++
				if p.Windows[0].Open(at) {
					open++
				}
			}
			advised := len(p.Advice()) > 0
			if constant := open == 0 || open == moments; advised != constant {
				t.Errorf("%s%s: open at %d of %d moments, got advice %v", days, hours, open, moments, p.Advice())
			}
		}
	}
}
