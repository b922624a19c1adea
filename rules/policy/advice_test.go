package policy

import (
	"slices"
	"strings"
	"testing"
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
	for _, c := range []struct {
		claim, text string
		want        []string
	}{
		{"nothing to say", whole[:strings.Index(whole, "  - name: bind-lost")], nil},
		{"a route in no lane", strings.Replace(skeleton, "[a, b]", "[a]", 1), []string{
			"a.yml:2:58: routes.b: want a lane with this route, got none: b carries nothing",
			"a.yml:4:9: lanes[0]: want a second route, of another provider, got a alone: nothing can take its place"}},
		{"one provider", strings.Replace(skeleton, "provider: q", "provider: p", 1), []string{
			"a.yml:4:9: lanes[0]: want routes of two providers, got p only: its outage takes every route"}},
		{"a rule for a class without lanes", strings.Replace(skeleton, "classes: {", "classes: {bulk: {}, ", 1) + strings.Replace(ruleOf(d, p), "otp", "bulk", 1), []string{
			"a.yml:6:9: rules[0].name: want a lane of class bulk, got none: the rule judges nothing"}},
		{"recovery without trickle", still + ruleOf(d, p), []string{stuck("delivery.recovered")}},
		{"recovery with trickle", skeleton + ruleOf(d, p), nil},
		{"recovery without trickle on one route", strings.Replace(skeleton, ", trickle: 1%", "", 1) + ruleOf(d, p), []string{strings.Replace(stuck("delivery.recovered"), "a, b", "a", 1)}},
		{"recovery by a probe", still + ruleOf(d, p+` || probe["receipt"].successes > 3`), nil},
		{"recovery by a probe and receipts", still + ruleOf(d, p+` && probe["receipt"].successes > 3`), []string{stuck("delivery.recovered")}},
		{"recovery without being known", still + ruleOf(d, "!conversion.known && state.age > duration(\"1h\")"), nil},
		{"recovery that has to be known", still + ruleOf(d, "conversion.known"), []string{stuck("conversion.known")}},
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
		{"times are known by traffic only", still + ruleOf("latency.evidence > 12", "latency.recovered > 4"), []string{stuck("latency.recovered")}},
		{"so are peers, and the score", still + ruleOf(d, "score > 90 && peers.better == 0 && "+p), []string{stuck("score")}},
		{"a score above 100", skeleton + ruleOf(d, "score > 100"), []string{noWay,
			"a.yml:9:19: rules[0].promote.when: want the kind of evidence that demotes, got a condition without delivery: a healthy probe does not show that messages arrive"}},
	} {
		if got := adviceOf(t, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.claim, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}
