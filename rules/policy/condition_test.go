package policy

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func mustCompile(t testing.TB, text string) *Condition {
	t.Helper()
	c, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	cond, faults := c.compile(text)
	if len(faults) > 0 {
		t.Fatalf("%s: got %v, want no faults", text, faults)
	}
	return cond
}

// sick is a route whose receipts are bad, whose conversions are not known, and which the bind probe still reaches.
func sick() *Env {
	known := route.Quality{Known: true, Age: route.Duration(2 * time.Second)}
	return &Env{
		Signals: &route.Signals{
			Lane: route.Lane{Class: "otp", Network: "234-15"},
			Rate: 12.5,
			Delivery: route.Delivery{Quality: known, Evidence: 14.5, Messages: 200, Ratio: .4, Low: .3, High: .5, Baseline: .94,
				Recovered: math.NaN(), Since: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)},
			Conversion: route.Conversion{Quality: route.Quality{Cause: "too few", Age: route.Duration(time.Minute)}, Evidence: 99},
			Within:     route.Within{Quality: known, Ratio: .35, Low: .3, High: .4, Baseline: .88, Messages: 180, Evidence: 20},
			Latency: route.Latency{Quality: known, P50: route.Duration(20 * time.Second), P95: route.Duration(2 * time.Minute), BaselineP95: route.Duration(42 * time.Second),
				Evidence: 30, Lateness: 25, Messages: 190},
			Others: route.Others{Delivery: route.Median[float64]{Value: .93, Routes: 2}, Latency: route.Median[route.Duration]{Value: route.Duration(40 * time.Second), Routes: 1}, Better: 1, Compared: 2},
			Score:  route.Score{Quality: known, Value: 31.5, Weight: .6},
			Submit: route.Submit{Quality: known, P95: route.Duration(300 * time.Millisecond)},
			Probes: map[string]route.Probe{
				"bind": {Quality: known, OK: 1, Successes: 30},
				"http": {Quality: route.Quality{}, Failures: 9},
			},
		},
		Route: &Route{ID: "acme-uk", Provider: "acme", Tags: map[string]string{"tier": "gold"},
			Prices: map[route.Network]route.Price{"GB": mustPrice("0.0312 EUR")}},
		State: Facts{Phase: route.Demoted, PhaseAge: time.Hour, Relapses: 2, Active: 1},
	}
}

func mustPrice(s string) route.Price {
	p, err := route.ParsePrice(s)
	if err != nil {
		panic(err)
	}
	return p
}

func TestEval(t *testing.T) {
	for _, c := range []struct {
		when string
		want Truth
	}{
		// What is known.
		{"delivery.evidence >= 12.0 && delivery.messages >= 5.0", True},
		{"delivery.evidence >= 12 && delivery.messages >= 5", True},
		{"delivery.messages == 200", True},
		{"delivery.messages * 2 + 1 == 401", True},
		{"3 < delivery.messages", True},
		{"delivery.high < delivery.baseline - 0.1", True},
		{"delivery.evidence < 12.0", False},
		{"delivery.since < timestamp('2026-11-23T10:00:01Z')", True},
		{"delivery.age <= duration('2s')", True},
		{"submit.p95 > duration('250ms')", True},
		{`probe["bind"].successes >= 3`, True},
		{`probe["bind"].successes >= 3.5`, True},
		{"probe.bind.ok > 0.9", True},
		{`route.id == "acme-uk" && route.provider.startsWith("ac") && route.price == "0.0312 EUR"`, True},
		{`route.tags["tier"] == "gold" && route.tags.tier != "tin" && has(route.tags.tier) && "tier" in route.tags`, True},
		{`lane.class in ["otp", "bulk"] && lane.network == "234-15" && lane.rate > 12 && lane.active == 1`, True},
		{`state.phase == "demoted" && state.age >= duration("1h") && state.relapses > 1`, True},
		{"within.ratio < 0.5 && within.high < within.baseline && within.messages > 100 && within.evidence >= 12", True},
		{"latency.p95 > duration('90s') && latency.p95 > latency.baseline_p95 && latency.p50 < latency.p95", True},
		{"latency.evidence >= 12 && latency.lateness >= 12 && latency.messages >= 5 && latency.recovered == 0", True},
		{"peers.delivery > delivery.ratio && peers.latency < latency.p95 && peers.better >= 1", True},
		{"score < 50 && score.weight > 0.5 && score.known && latency.known && within.age < duration('1m')", True},
		{"lane.class == 'otp' ? delivery.evidence > 12 : delivery.evidence > 20", True},

		// What is not.
		{"conversion.evidence >= 12.0", Unknown},
		{"!(conversion.evidence >= 12.0)", Unknown},
		{"conversion.evidence >= 12.0 || delivery.evidence >= 12.0", True},
		{"conversion.evidence >= 12.0 && delivery.evidence >= 12.0", Unknown},
		{"conversion.evidence >= 12.0 && delivery.evidence < 12.0", False},
		{"conversion.evidence >= 12.0 || delivery.evidence < 12.0", Unknown},
		{"conversion.evidence >= 12.0 ? true : false", Unknown},
		{"conversion.age > duration('1s')", Unknown},
		{"!conversion.known && delivery.known", True},
		{"open.messages > 0", Unknown},
		{"latency.p99 > duration('1s')", Unknown}, // nobody can tell it yet
		{"peers.within > 0.5", Unknown},           // no other route has it
		{"peers.conversion > 0.5 || peers.better == 0", Unknown},
		{`probe["http"].failures >= 3`, Unknown},
		{`probe["tcp"].failures >= 3 || probe["bind"].failures >= 3`, Unknown},
		{`probe["tcp"].known || probe["http"].known`, False},
		{"delivery.recovered < 5.0", Unknown}, // not a number

		// What fails while it is judged.
		{`route.tags["nothing"] == "gold"`, Unknown},
		{`route.tags["nothing"] == "gold" || delivery.known`, True},
		{"state.relapses * 9223372036854775807 > 0", Unknown},
		{"1 / (state.relapses - 2) > 0", Unknown},
		{"int(delivery.ratio / 0) > 0", Unknown},
	} {
		if got := mustCompile(t, c.when).Eval(sick()); got != c.want {
			t.Errorf("%s: got %v, want %v", c.when, got, c.want)
		}
	}
}

func TestEvalKnowsNothingOfNothing(t *testing.T) {
	c := mustCompile(t, `delivery.evidence > 1 && route.provider == "p" && route.price == "1 EUR" && probe["tcp"].ok < 0.5 && lane.rate > 0`)
	for claim, e := range map[string]*Env{"no environment": nil, "an empty one": {}, "empty signals": {Signals: &route.Signals{}, Route: &Route{}}} {
		if got := c.Eval(e); got == True {
			t.Errorf("%s: got %v, want no truth", claim, got)
		}
		c.Inputs(e)
	}
	if got := (*Condition)(nil).Eval(sick()); got != Unknown {
		t.Errorf("no condition: got %v, want unknown", got)
	}
	if got := mustCompile(t, `state.phase == "active"`).Eval(&Env{}); got != True {
		t.Errorf("no phase: got %v, want active", got)
	}
}

func TestInputs(t *testing.T) {
	age := route.Duration(2 * time.Second)
	for _, c := range []struct {
		when string
		want []route.Input
	}{
		{"delivery.evidence >= 12 && delivery.messages >= 5.0", []route.Input{
			{Signal: "delivery.evidence", Value: 14.5, Operator: ">=", Threshold: 12.0, Messages: 200, Age: age},
			{Signal: "delivery.messages", Value: 200.0, Operator: ">=", Threshold: 5.0, Messages: 200, Age: age}}},
		{`5.0 < conversion.evidence || !(probe["bind"].failures >= 3)`, []route.Input{
			{Signal: "conversion.evidence", Operator: ">", Threshold: 5.0, Age: route.Duration(time.Minute)},
			{Signal: `probe["bind"].failures`, Value: 0.0, Operator: ">=", Threshold: 3.0, Age: age}}},
		{"delivery.high < delivery.baseline - 0.5", []route.Input{
			{Signal: "delivery.high", Value: .5, Operator: "<", Threshold: sick().Signals.Delivery.Baseline - .5, Messages: 200, Age: age}}},
		{"delivery.known && !conversion.known", []route.Input{
			{Signal: "delivery.known", Value: true, Operator: "==", Threshold: true, Messages: 200, Age: age},
			{Signal: "conversion.known", Value: false, Operator: "==", Threshold: false, Age: route.Duration(time.Minute)}}},
		{"submit.p95 > duration('1s') || delivery.since < timestamp('2026-01-01T00:00:00Z')", []route.Input{
			{Signal: "submit.p95", Value: "300ms", Operator: ">", Threshold: "1s", Age: age},
			{Signal: "delivery.since", Value: "2026-11-23T10:00:00Z", Operator: "<", Threshold: "2026-01-01T00:00:00Z", Messages: 200, Age: age}}},
		{`lane.class in ["otp", "bulk"] && route.id.startsWith("ac")`, []route.Input{
			{Signal: "lane.class", Value: "otp", Operator: "in", Threshold: `["otp", "bulk"]`},
			{Signal: "route.id", Value: "acme-uk", Operator: "startsWith", Threshold: "ac"}}},
		{`probe["bind"].failures + probe["http"].failures > 3`, []route.Input{
			{Signal: `probe["bind"].failures + probe["http"].failures`, Operator: ">", Threshold: 3.0, Age: age}}},
		{`route.tags["tier"] == "gold" || route.tags.none == "x"`, []route.Input{
			{Signal: `route.tags["tier"]`, Value: "gold", Operator: "==", Threshold: "gold"},
			{Signal: `route.tags.none`, Operator: "==", Threshold: "x"}}},
		{"(delivery.evidence > 1) == (delivery.messages > 2)", []route.Input{
			{Signal: "delivery.evidence", Value: 14.5, Operator: ">", Threshold: 1.0, Messages: 200, Age: age},
			{Signal: "delivery.messages", Value: 200.0, Operator: ">", Threshold: 2.0, Messages: 200, Age: age}}},
	} {
		if got := mustCompile(t, c.when).Inputs(sick()); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.when, got, c.want)
		}
	}
}

func TestReads(t *testing.T) {
	c := mustCompile(t, `delivery.evidence > 1 || probe["bind"].failures > 3 || route.tags.x == "y"`)
	for prefix, want := range map[string]bool{
		"delivery": true, "delivery.evidence": true, "delivery.ratio": false, "deliver": false, "conversion": false,
		"probe": true, "probe.bind": true, `probe["bind"]`: true, `probe["bind"].failures`: true, "probe.tcp": false, "route.tags": true, "": false,
	} {
		if got := c.Reads(prefix); got != want {
			t.Errorf("Reads(%q): got %v, want %v", prefix, got, want)
		}
	}
}

func TestConditionProblems(t *testing.T) {
	const such = "want a condition such as delivery.evidence >= 12.0, got "
	for _, c := range []struct {
		when   string
		offset int
		want   string
	}{
		{"delivry.evidence > 3", 0, `want a signal such as delivery.evidence, got "delivry.evidence" (did you mean "delivery.evidence"?)`},
		{"1.0 < evidence", 6, `want a signal such as delivery.evidence, got "evidence" (did you mean "delivery.evidence"?)`},
		{"delivery > 3", 0, `want a field of it, such as delivery.evidence, got "delivery"`},
		{"delivery.evidence.x > 3", 0, `want a signal such as delivery.evidence, got "delivery.evidence.x" (did you mean "delivery.evidence"?)`},
		{`probe["bind"] > 3`, 0, `want a field of it, such as probe["bind"].failures, got probe["bind"]`},
		{`probe["bnd"].ok > 0.5`, 6, `want a kind of probe (tcp, tls, bind, enquire, queue, throttle, submit, receipt, handset or http), got "bnd" (did you mean "bind"?)`},
		{`probe["bind"].failure > 3`, 0, `want a signal such as delivery.evidence, got probe["bind"].failure (did you mean probe["bind"].failures?)`},
		{"probe[lane.class].ok > 0.5", 0, `want one of the kinds of probe in quotes, as in probe["bind"].failures, got something else in the brackets`},
		{"delivery.known && within.rato < 0.5", 18, `want a signal such as delivery.evidence, got "within.rato" (did you mean "within.ratio"?)`},
		{"latency > 3", 0, `want a field of it, such as latency.evidence, got "latency"`},
		{"latency.p95 > 3", 12, `want values that ">" can be used with, got a duration and a whole number (int) (a duration is written duration("30s"))`},
		{"peers.bettr > 3", 0, `want a signal such as delivery.evidence, got "peers.bettr" (did you mean "peers.better"?)`},
		{"score.value > 3", 0, `want a signal such as delivery.evidence, got "score.value" (did you mean "score.age"?)`},
		{"score", 0, "want a condition that is true or false, got one of type double (compare it with a number, as in delivery.evidence >= 12.0)"},
		{" delivery.evidence", 1, "want a condition that is true or false, got one of type double (compare it with a number, as in delivery.evidence >= 12.0)"},
		{"delivery.age", 0, `want a condition that is true or false, got one of type duration (compare it with a duration, as in delivery.age < duration("60s"))`},
		{"route.tags", 0, "want a condition that is true or false, got one of type map(string, string)"},
		{"1 < 2", 0, "want a condition that reads a signal such as delivery.evidence, got one that is always the same"},
		{"  ", 0, such + "nothing"},
		{"delivery.evidence >=", 20, "want the rest of the condition, got its end"},
		{"delivery.ratio < 60%", 20, "want the rest of the condition, got its end (a share of 60% is written 0.6)"},
		{"(delivery.evidence > 3", 22, "want the rest of the condition, got its end"},
		{"delivery.evidence > 3)", 21, such + `")", which does not fit here`},
		{"delivery.evidence = 3", 18, such + `"=", which does not fit here (did you mean "=="?)`},
		{"delivery.known and open.known", 15, such + `"and", which does not fit here (did you mean "&&"?)`},
		{"delivery.known || @", 18, such + `"@", which does not fit here`},
		{"delivery.age > 30s", 17, such + `"s", which does not fit here (a duration is written duration("45s"))`},
		{`delivery.evidence > "3"`, 18, `want values that ">" can be used with, got a number (double) and a text (string) (a number is written without quotes)`},
		{"delivery.age > 30", 13, `want values that ">" can be used with, got a duration and a whole number (int) (a duration is written duration("30s"))`},
		{"delivery.known && 3", 18, "want true or false (bool), got a whole number (int)"},
		{"!delivery.ratio", 0, `want something true or false after "!", got a number (double)`},
		{"delivery.ratio in 3", 15, `want a value and a list of such values around "in", got a number (double) and a whole number (int)`},
		{"route.id.startsWith(3)", 19, "want values that startsWith can be used with, got a text (string) and a whole number (int)"},
		{"delivery.age > duration('30 s')", 24, `want a duration such as duration("90s") or duration("1h30m"), got "30 s"`},
		{"delivery.since > timestamp('today')", 27, `want a time such as timestamp("2026-11-23T10:00:00Z"), got "today"`},
		{"has(delivery.ratio)", 0, "want a tag such as route.tags.tier in has(…), got something else (whether a signal is known is, for example, delivery.known)"},
		{"lane.class.matches('x')", 11, `want one of the functions contains, double, duration, endsWith, int, size, startsWith or timestamp, got "matches"`},
		{"[1].all(x, x > delivery.ratio)", 4, `want one of the functions contains, double, duration, endsWith, int, size, startsWith or timestamp, got "all"`},
		{"{'a': 1} == route.tags", 0, "want a condition over signals, got {…}, which has no use here"},
	} {
		compiler, err := newCompiler()
		if err != nil {
			t.Fatal(err)
		}
		cond, faults := compiler.compile(c.when)
		if cond != nil || len(faults) != 1 || faults[0] != (fault{c.offset, c.want}) {
			t.Errorf("%s:\n got %v\nwant {%d %s}", c.when, faults, c.offset, c.want)
		}
	}
}

func TestConditionsAreBounded(t *testing.T) {
	compiler, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	for claim, when := range map[string]string{
		"too long":    "delivery.known && " + strings.Repeat("true && ", 600) + "true",
		"too deep":    strings.Repeat("(", 200) + "delivery.known" + strings.Repeat(")", 200),
		"too costly":  strings.Repeat("route.id.contains(route.provider) && ", 100) + "delivery.known",
		"many errors": strings.Repeat("@ ", 2000),
	} {
		if c, faults := compiler.compile(when); c != nil || len(faults) != 1 || !strings.HasPrefix(faults[0].message, "want ") {
			t.Errorf("%s: got %v, %v, want one fault", claim, c, faults)
		} else {
			t.Logf("%s: %s", claim, faults[0].message)
		}
	}
}

// What is not known never turns a condition true or false that the known values could make otherwise: taking knowledge
// away from a signal moves the verdict to unknown or leaves it.
func TestUnknownNeverDecides(t *testing.T) {
	parts := []string{"delivery.evidence >= 12.0", "conversion.ratio < 0.5", "submit.refused > 0.1", `probe["bind"].failures >= 3`, "open.messages > 9.0", "lane.active > 1"}
	compiler, err := newCompiler()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c, faults := compiler.compile(grow(t, parts, 3))
		if len(faults) > 0 {
			t.Fatalf("got %v", faults)
		}
		full := drawSignals(t)
		before := c.Eval(&Env{Signals: full, State: Facts{Active: 2}})
		less := *full
		for _, q := range []*route.Quality{&less.Delivery.Quality, &less.Conversion.Quality, &less.Submit.Quality, &less.Open.Quality} {
			q.Known = q.Known && rapid.Bool().Draw(t, "still known")
		}
		if rapid.Bool().Draw(t, "no probes") {
			less.Probes = nil
		}
		if after := c.Eval(&Env{Signals: &less, State: Facts{Active: 2}}); after != before && after != Unknown {
			t.Fatalf("%s: got %v with less known, %v with more", c, after, before)
		}
	})
}

// grow draws a condition of at most the depth.
func grow(t *rapid.T, parts []string, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom(parts).Draw(t, "part")
	}
	a, b := grow(t, parts, depth-1), grow(t, parts, depth-1)
	switch rapid.IntRange(0, 4).Draw(t, "joined by") {
	case 0:
		return "(" + a + ") && (" + b + ")"
	case 1:
		return "(" + a + ") || (" + b + ")"
	case 2:
		return "!(" + a + ")"
	case 3:
		return "(" + a + ") ? (" + b + ") : !(" + a + ")"
	}
	return a
}

func drawSignals(t *rapid.T) *route.Signals {
	known := func() route.Quality { return route.Quality{Known: rapid.Bool().Draw(t, "known")} }
	return &route.Signals{
		Delivery:   route.Delivery{Quality: known(), Evidence: rapid.Float64Range(0, 24).Draw(t, "evidence")},
		Conversion: route.Conversion{Quality: known(), Ratio: rapid.Float64Range(0, 1).Draw(t, "ratio")},
		Submit:     route.Submit{Quality: known(), Refused: rapid.Float64Range(0, 1).Draw(t, "refused")},
		Open:       route.Open{Quality: known(), Messages: rapid.Float64Range(0, 20).Draw(t, "open")},
		Probes:     map[string]route.Probe{"bind": {Quality: known(), Failures: rapid.Int64Range(0, 6).Draw(t, "failures")}},
	}
}

func BenchmarkEval(b *testing.B) {
	for name, when := range map[string]string{
		"evidence": "delivery.evidence >= 12.0 && delivery.messages >= 5.0",
		"unknown":  "conversion.evidence >= 12.0 && delivery.messages >= 5.0",
		"probe":    `probe["bind"].failures >= 3`,
		"text":     `lane.class == "otp" && delivery.evidence >= 12.0`,
	} {
		b.Run(name, func(b *testing.B) {
			c, e := mustCompile(b, when), sick()
			b.ReportAllocs()
			for b.Loop() {
				c.Eval(e)
			}
		})
	}
}

func BenchmarkInputs(b *testing.B) {
	c, e := mustCompile(b, "delivery.evidence >= 12.0 && delivery.messages >= 5.0"), sick()
	b.ReportAllocs()
	for b.Loop() {
		c.Inputs(e)
	}
}
