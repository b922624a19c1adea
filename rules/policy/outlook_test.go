package policy

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"signalbox/rules/route"
)

func TestTheMeasuredTableHasAllOfItsCells(t *testing.T) {
	if len(measuredAlarms) != len(Gauges) || len(measuredDelays) != len(Gauges) || len(Watched) != len(Rates) || measuredMonths < 1 || measuredRuns < 1 {
		t.Fatalf("got %d and %d gauges, want %d", len(measuredAlarms), len(measuredDelays), len(Gauges))
	}
	for g := range Gauges {
		n := len(Gauges[g].Thresholds)
		if variableByName[Gauges[g].Signal] == nil {
			t.Errorf("%s is no signal", Gauges[g].Signal)
		}
		if len(measuredAlarms[g]) != len(Lasting) || len(measuredDelays[g]) != int(Faults) {
			t.Fatalf("%s: got %d durations and %d faults, want %d and %d", Gauges[g].Signal, len(measuredAlarms[g]), len(measuredDelays[g]), len(Lasting), Faults)
		}
		for d := range measuredAlarms[g] {
			if len(measuredAlarms[g][d]) != n {
				t.Errorf("%s: got %d thresholds, want %d", Gauges[g].Signal, len(measuredAlarms[g][d]), n)
			}
		}
		for f := range measuredDelays[g] {
			for r := range measuredDelays[g][f] {
				if len(measuredDelays[g][f]) != len(Rates) || len(measuredDelays[g][f][r]) != n {
					t.Errorf("%s, %s: got %d rates and %d thresholds, want %d and %d", Gauges[g].Signal, Fault(f), len(measuredDelays[g][f]), len(measuredDelays[g][f][r]), len(Rates), n)
				}
			}
		}
	}
}

// outlookOf is the only outlook of a rule on the lane otp/GB of the site.
func outlookOf(t testing.TB, demote string, edits ...string) Outlook {
	t.Helper()
	text := strings.Replace(site, "{when: 'delivery.evidence >= 12 && delivery.messages >= 5'}", demote, 1)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("nothing to edit: %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	all := mustParse(t, text).Outlooks(Assumptions{})
	if len(all) != 1 {
		t.Fatalf("got %d outlooks, want 1", len(all))
	}
	return all[0]
}

func (o *Outlook) at(f Fault, rate string) string {
	for i := range o.Found {
		if o.Found[i].Fault == f.String() && (o.Found[i].Rate == rate || f == ProbeFails) {
			return o.Found[i].String()
		}
	}
	return "nothing"
}

// evidence is what the table holds of 12 nats, with waits added to the second number.
func evidence(f Fault, rate int, waits time.Duration) string {
	d := Held(0, 12).Delays[f][rate]
	x := Found{Told: true, Typical: route.Duration(time.Duration(d[0]) * time.Second), Slow: route.Duration(time.Duration(d[1])*time.Second + waits)}
	return x.String()
}

func TestDelays(t *testing.T) {
	const e = "delivery.evidence >= 12"
	for _, c := range []struct {
		claim, demote string
		fault         Fault
		rate          string
		edits         []string
		want          string
	}{
		{"as measured, and the guards wait at the same time", "{when: '" + e + "'}", BlackHole, "1/s", nil, evidence(BlackHole, 2, time.Minute)},
		{"failures bear out what a standby cannot", "{when: '" + e + "'}", LossFailing, "1/s", nil, evidence(LossFailing, 2, 0)},
		{"routes that all carry are compared", "{when: '" + e + "'}", LossFailing, "1/s", []string{"order: [a, b]", "share: {a: 1, b: 1}"}, evidence(LossFailing, 2, time.Minute)},
		{"corroborate waits longer", "{when: '" + e + "'}", BlackHole, "1/s", []string{"signals: [silence]", "signals: [silence], wait: 5m"}, evidence(BlackHole, 2, 5*time.Minute)},
		{"corroborate of another signal", "{when: '" + e + "'}", BlackHole, "1/s", []string{"signals: [silence]", "signals: [latency], wait: 5m"}, evidence(BlackHole, 2, time.Minute)},
		{"a silence that must be older", "{when: '" + e + "'}", LossFailing, "1/s", []string{"within: 30s", "within: 30s, receipt_deadline: 10m"}, evidence(LossFailing, 2, 0)},
		{"refusals are no silence", "{when: 'delivery.silence >= 12'}", Refused, "1/s", nil, "never"},
		{"failures do not show a black hole", "{when: 'delivery.failure >= 12'}", BlackHole, "10/s", nil, "never"},
		{"enough messages take their time", "{when: '" + e + " && delivery.messages >= 600'}", Refused, "1/s", nil, "10m..10m"},
		{"the sooner of both", "{when: '" + e + " || delivery.failure >= 12'}", BlackHole, "1/s", nil, evidence(BlackHole, 2, time.Minute)},
		{"both, and one never is", "{when: '" + e + " && delivery.failure >= 12'}", BlackHole, "1/s", nil, "never"},
		{"a rate that is not reached", "{when: '" + e + " && lane.rate > 0.5'}", BlackHole, "0.2/s", nil, "never"},
		{"a rate that is", "{when: '" + e + " && lane.rate > 0.5'}", BlackHole, "1/s", nil, evidence(BlackHole, 2, time.Minute)},
		{"what was not measured", "{when: '" + e + " && submit.timeouts > 0.1'}", BlackHole, "1/s", nil, "not told"},
		{"or something else", "{when: '" + e + " || submit.timeouts > 0.1'}", BlackHole, "1/s", nil, evidence(BlackHole, 2, time.Minute)},
		{"not that", "{when: '!(" + e + ")'}", BlackHole, "1/s", nil, "not told"},
		{"noise", "{when: 'delivery.ratio < 0.9'}", BlackHole, "1/s", nil, "not told"},
		{"a fact alone", "{when: 'route.provider == \"p\"'}", BlackHole, "1/s", nil, "not told"},
		{"more messages than anybody waits for", "{when: '" + e + " && delivery.messages >= 1.0e300'}", BlackHole, "1/s", nil, "not told"},
		{"more probes than anybody waits for", `{when: 'probe["bind"].failures >= 1000000'}`, ProbeFails, "", nil, "not told"},
		{"beyond the table", "{when: 'delivery.evidence >= 1000'}", BlackHole, "1/s", nil, "not told"},
		{"a bind sees no black hole", `{when: 'probe["bind"].failures >= 3'}`, BlackHole, "1/s", nil, "never"},
		{"three probes and a timeout, and for", `{when: 'probe["bind"].failures >= 3', for: 10s}`, ProbeFails, "", nil, "40s..45s"},
		{"more than three probes", `{when: 'probe["bind"].failures > 3'}`, ProbeFails, "", nil, "40s..45s"},
		{"the greater part of ten", `{when: 'probe["bind"].ok < 0.5'}`, ProbeFails, "", nil, "1m..1m5s"},
		{"a handset sees a black hole", `{when: 'probe["handset"].failures >= 2'}`, BlackHole, "1/s", nil, "2m30s..3m"},
		{"a handset sees some loss", `{when: 'probe["handset"].failures >= 2'}`, LossSilent, "1/s", nil, "not told"},
	} {
		o := outlookOf(t, c.demote, c.edits...)
		if got := o.at(c.fault, c.rate); got != c.want {
			t.Errorf("%s, %s: got %s, want %s", c.claim, c.fault, got, c.want)
		}
	}
}

func TestADeadlinePutsSilenceOff(t *testing.T) {
	at := func(deadline string) route.Duration {
		o := outlookOf(t, "{when: delivery.evidence >= 12}", "within: 30s", "receipt_deadline: "+deadline)
		return o.Found[2].Typical // a black hole, 1/s
	}
	if was, is := at("0s"), at("10m"); is != was+route.Duration(10*time.Minute) {
		t.Errorf("got %s, want 10m more than %s", is, was)
	}
}

func TestFalseDemotions(t *testing.T) {
	const e = "delivery.evidence >= 6"
	six := float64(Held(0, 6).Alarms) / measuredMonths
	failures := float64(measuredAlarms[2][0][2]) / measuredMonths
	probes := month.Seconds() / 10
	for _, c := range []struct {
		claim, demote string
		edits         []string
		want          FalseDemotions
	}{
		{"as measured", "{when: '" + e + "'}", nil, FalseDemotions{Told: true, PerRoute: six, PerLane: six, Routes: 1}},
		{"of each route that carries", "{when: '" + e + "'}", []string{"order: [a, b]", "share: {a: 1, b: 1}"}, FalseDemotions{Told: true, PerRoute: six, PerLane: 2 * six, Routes: 2}},
		{"of each network", "{when: '" + e + "'}", []string{"class: [otp]\n", "class: [otp]\n    per: network\n"}, FalseDemotions{Told: true, PerRoute: six, PerLane: six, Routes: 1, PerNetwork: true}},
		{"for a time", "{when: '" + e + "', for: 15s}", nil, FalseDemotions{Told: true, PerRoute: float64(measuredAlarms[0][1][2]) / measuredMonths, PerLane: float64(measuredAlarms[0][1][2]) / measuredMonths, Routes: 1}},
		{"both: the rarer", "{when: '" + e + " && delivery.failure >= 6'}", nil, FalseDemotions{Told: true, PerRoute: failures, PerLane: failures, Routes: 1}},
		{"either: the sum", "{when: '" + e + " || delivery.failure >= 6'}", nil, FalseDemotions{Told: true, PerRoute: six + failures, PerLane: six + failures, Routes: 1}},
		{"enough messages are there", "{when: '" + e + " && delivery.messages >= 5'}", nil, FalseDemotions{Told: true, PerRoute: six, PerLane: six, Routes: 1}},
		{"what nobody measured makes it rarer", "{when: '" + e + " && submit.timeouts > 0.1'}", nil, FalseDemotions{Told: true, PerRoute: six, PerLane: six, Routes: 1, Bound: "under"}},
		{"or more often", "{when: '" + e + " || submit.timeouts > 0.1'}", nil, FalseDemotions{Routes: 1}},
		{"refusals depend on the carrier", "{when: submit.refused > 0.5}", nil, FalseDemotions{Routes: 1}},
		{"three probes in a row", `{when: 'probe["bind"].failures >= 3'}`, nil, FalseDemotions{Told: true, PerRoute: probes * .99 * 1e-6, PerLane: probes * .99 * 1e-6, Routes: 1}},
		{"three and ten seconds", `{when: 'probe["bind"].failures >= 3', for: 10s}`, nil, FalseDemotions{Told: true, PerRoute: probes * .99 * 1e-8, PerLane: probes * .99 * 1e-8, Routes: 1}},
		{"two of ten", `{when: 'probe["bind"].ok <= 0.8'}`, nil, FalseDemotions{Told: true, PerRoute: probes * 9 * 1e-4 * math.Pow(.99, 9), PerLane: probes * 9 * 1e-4 * math.Pow(.99, 9), Routes: 1}},
		{"a rate that is not reached", "{when: '" + e + " && lane.rate > 2.0'}", nil, FalseDemotions{Told: true, Routes: 1}},
	} {
		got := outlookOf(t, c.demote, c.edits...).False
		if got.Told == (got.Cause != "") || got.Told && got.From == "" {
			t.Errorf("%s: got told %v, from %q, because %q", c.claim, got.Told, got.From, got.Cause)
		}
		near := math.Abs(got.PerRoute-c.want.PerRoute) <= 1e-9*c.want.PerRoute && math.Abs(got.PerLane-c.want.PerLane) <= 1e-9*c.want.PerLane
		got.From, got.Cause, got.PerRoute, got.PerLane = "", "", c.want.PerRoute, c.want.PerLane
		if !near || got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.claim, outlookOf(t, c.demote, c.edits...).False, c.want)
		}
	}
}

// A bolder threshold is never passed later or less often than a more careful one.
func TestMoreEvidenceIsLaterAndRarer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := rapid.IntRange(0, len(Gauges)-1).Draw(t, "gauge")
		grid := Gauges[g].Thresholds
		draw := func(name string) float64 {
			return rapid.Float64Range(math.Min(grid[0], grid[len(grid)-1]), math.Max(grid[0], grid[len(grid)-1])).Draw(t, name)
		}
		easy, hard := draw("x"), draw("y")
		if (easy > hard) != Gauges[g].Below {
			easy, hard = hard, easy
		}
		lasts := rapid.SampledFrom(Lasting).Draw(t, "for")
		if a, b := alarms(g, easy, lasts), alarms(g, hard, lasts); a.times < b.times*(1-1e-9) {
			t.Fatalf("%s: got %v false alarms at %v, %v at %v", Gauges[g].Signal, a.times, easy, b.times, hard)
		}
		w := world{fault: Fault(rapid.IntRange(0, int(Faults)-1).Draw(t, "fault")), rate: rapid.IntRange(0, len(Rates)-1).Draw(t, "rate")}
		a, b := w.measured(g, easy, "x"), w.measured(g, hard, "x")
		if a.told == numbers && b.told == numbers && (a.typical > b.typical || a.slow > b.slow) {
			t.Fatalf("%s, %s: got %v at %v, %v at %v", Gauges[g].Signal, w.fault, a, easy, b, hard)
		}
		if a.told == numbers && (a.typical > a.slow || a.typical > Watched[w.rate]) {
			t.Fatalf("%s, %s: got %v", Gauges[g].Signal, w.fault, a)
		}
	})
}

func TestOutlooksAreTheSameForLanesThatAreAlike(t *testing.T) {
	p := mustParse(t, strings.Replace(site, "lanes:\n", "lanes:\n  - {class: otp, network: FR, order: [b, a]}\n  - {class: otp, network: DE, order: [a]}\n", 1))
	var got []string
	for _, o := range p.Outlooks(Assumptions{}) {
		got = append(got, fmt.Sprint(o.Lanes, o.Note != ""))
	}
	if want := "[[otp/FR otp/GB] false [otp/DE] true]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
func TestADeadlineBeyondWhatIsLookedAtHidesSilence(t *testing.T) {
	o := outlookOf(t, "{when: delivery.evidence >= 12}", "within: 30s", "receipt_deadline: 8h")
	if got := o.at(BlackHole, "1/s"); got != "never" {
		t.Errorf("a black hole: got %s, want never", got)
	}
	if got, want := o.at(LossFailing, "1/s"), evidence(LossFailing, 2, 0); got != want {
		t.Errorf("failures: got %s, want %s", got, want)
	}
}
