package decide

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

// pick draws one of some texts.
func pick(t *rapid.T, label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(t, label)
}

func drawMode(t *rapid.T) string {
	return pick(t, "mode", "act", "act", "act", "act", "propose", "observe")
}

// drawSite is a random policy over routes a to d.
func drawSite(t *rapid.T) site {
	var s site
	order := pick(t, "otp", "order: [a, b, c]", "order: [b, a]", "order: [c, d, a, b]", "order: [a]", "share: {a: 50, b: 30, d: 20}")
	for _, id := range []string{"a", "b", "c", "d"} {
		s.routes += fmt.Sprintf("\n  %s: {provider: p%s, networks: [GB], trickle: %s, price: {GB: 0.03%s EUR}%s%s}", id, id, pick(t, "trickle", "0%", "1%", "30%"), pick(t, "price", "0", "3", "6"),
			pick(t, "capacity", "", "", "", ", capacity: 9/s", ", capacity: 50/s"), drawSenders(t, id, order))
	}
	s.classes = fmt.Sprintf("\n  otp: {mode: %s, approval: %s, unknown_after: 1m}\n  bulk: {mode: act}", drawMode(t), pick(t, "approval", "30s", "15m"))
	s.lanes = "\n  - {class: otp, network: GB, " + order + "}"
	if rapid.Bool().Draw(t, "two lanes") {
		s.lanes += "\n  - {class: bulk, network: GB, " + pick(t, "bulk", "order: [a, b]", "share: {a: 1, b: 1, c: 1}") + "}"
	}
	if pick(t, "a lane of a network", "no", "no", "yes") == "yes" {
		s.lanes += "\n  - {class: otp, network: 234-15, " + pick(t, "its routes", "order: [a, b]", "order: [b, c, a]") + "}"
	}
	s.rules, s.guards, s.windows = drawRules(t), drawGuards(t), drawWindow(t)
	return s
}

// drawSenders leaves a route out of the fallbacks now and then, where the lane of otp does not rest on it.
func drawSenders(t *rapid.T, id, order string) string {
	if id != "d" || strings.HasPrefix(order, "share") {
		return ""
	}
	return pick(t, "senders", "", ", senders: {otp: [FR]}", ", senders: {otp: [234-15]}")
}

var drawnConditions = map[string][2]string{
	"receipts":    {"delivery.evidence >= 12.0", "delivery.recovered >= 4.6"},
	"bind":        {`probe["bind"].failures >= 3`, `probe["bind"].successes >= 3`},
	"conversions": {"conversion.evidence >= 12.0", "conversion.recovered >= 4.6"},
}

func drawRules(t *rapid.T) string {
	text := ""
	kinds := rapid.Permutation([]string{"receipts", "bind", "conversions"}).Draw(t, "rules")
	for _, name := range kinds[:rapid.IntRange(1, 3).Draw(t, "number of rules")] {
		text += fmt.Sprintf("\n  - name: %s\n    class: [%s]\n    per: %s\n    mode: %s\n    demote: {when: '%s', for: %s}\n    promote: {when: '%s', for: %s, ramp: %s, step: %s, mode: %s}\n    hold_down: {base: %s, factor: %s, max: 10m, decay: %s}",
			name, pick(t, "class", `"*"`, `"*"`, "otp"), pick(t, "per", "lane", "lane", "network", "route"), drawMode(t), drawnConditions[name][0], pick(t, "for", "0s", "0s", "10s"),
			drawnConditions[name][1], pick(t, "promote for", "0s", "15s"), pick(t, "ramp", "[100%]", "[5%, 100%]", "[5%, 60%, 100%]"), pick(t, "step", "0s", "20s"), drawMode(t),
			pick(t, "base", "0s", "30s", "2m"), pick(t, "factor", "1", "2", "3"), pick(t, "decay", "0s", "1m", "1h"))
	}
	return text
}

func drawGuards(t *rapid.T) string {
	return fmt.Sprintf("{min_active: %s, common_cause: {share: 60%%, wait: %s}, corroborate: {class: [%s], wait: 20s}, settle: %s, velocity: {changes: %s, in: %s}, capacity: %s%s%s}",
		pick(t, "min_active", "1", "1", "2"), pick(t, "cause wait", "0s", "20s"), pick(t, "corroborate", "otp", "bulk"), pick(t, "settle", "0s", "30s", "1m"), pick(t, "velocity", "1", "2", "20"), pick(t, "velocity in", "1m", "10m"),
		pick(t, "capacity guard", "hold", "propose"), pick(t, "max_demoted", "", "", ", max_demoted: 34%", ", max_demoted: 67%"), pick(t, "price_rise", "", "", ", price_rise: {limit: 5%, then: propose}", ", price_rise: {limit: 5%, then: hold}"))
}

func drawWindow(t *rapid.T) string {
	return pick(t, "window", "", "", `
  - {name: w, freeze: promotions, from: "10:05", to: "10:20", zone: UTC}`, `
  - {name: w, class: [otp], freeze: demotions, from: "10:03", to: "10:06", zone: UTC}`, `
  - {name: w, network: [234-15], freeze: changes, from: "10:03", to: "10:30", zone: UTC}`)
}

var looks = []look{well, well, silent, failing, unbound, returned, away, {},
	{failure: 20, peers: 9, bind: -3}, {failure: 20, bind: 3}, {lost: 20, peers: -9, bind: -3},
	{recovered: 9, converts: 9, bind: -3}, {recovered: 9, converts: 9, bind: -3}, {silence: 20, peers: -9, second: -9, hasSecond: true, bind: -3}}

// drawOrder is a random order of an operator.
func drawOrder(t *rapid.T, now time.Time) route.Override {
	o := route.Override{
		Kind:    rapid.SampledFrom([]route.OverrideKind{route.Pin, route.Drain, route.Freeze}).Draw(t, "order"),
		Class:   rapid.SampledFrom([]route.Class{"otp", "otp", "bulk", "*"}).Draw(t, "order class"),
		Network: rapid.SampledFrom([]route.Network{"GB", "GB", "234-15", "234-30", "*"}).Draw(t, "order network"),
	}
	if o.Kind == route.Freeze {
		o.Changes = pick(t, "changes", "promotions", "demotions", "changes")
	} else {
		o.Route = drawRoute(t)
	}
	if rapid.Bool().Draw(t, "ends") {
		o.Until = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "until")) * time.Second)
	}
	return o
}

func drawRoute(t *rapid.T) route.ID {
	return rapid.SampledFrom([]route.ID{"a", "b", "c", "d"}).Draw(t, "route")
}
