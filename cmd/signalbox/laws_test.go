package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signalbox/rules/route"
)

// fact is one event of a healthy site: when it reached us, and the line that tells it.
type fact struct {
	at   float64 // seconds from the start
	kind string
	text func(shift float64) string // the line, with its time shifted by seconds
}

const lawsStart = 1_767_571_200

// healthySite is twenty minutes of two healthy routes at five messages a second each, told by a gateway that sends
// heartbeats. Where named is true, every event names its source.
func healthySite(seed uint64, named bool) []fact {
	random := rand.New(rand.NewPCG(seed, 9))
	source := func(name string) string {
		if !named {
			return ""
		}
		return fmt.Sprintf(`"source":%q,`, name)
	}
	var facts []fact
	add := func(at float64, kind, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		facts = append(facts, fact{at, kind, func(shift float64) string {
			return fmt.Sprintf(`{"time":%.3f,%s}`, lawsStart+at+shift, text)
		}})
	}
	for _, id := range []string{"A", "B"} {
		add(0, "baseline", `"type":"baseline","route":%q,"class":"otp","network":"262-01",%s`, id, lawsBaseline())
	}
	for second := range 1200 {
		if second%10 == 0 {
			add(float64(second), "heartbeat", `"type":"heartbeat","source":"gw","routes":["A","B"]`)
			if named {
				add(float64(second), "heartbeat of receipts", `"type":"heartbeat","source":"hooks","routes":["A","B"]`)
			}
		}
		for i := range 10 {
			id := fmt.Sprintf("m-%d-%d", second, i)
			sent := float64(second) + float64(i)/10
			add(sent, "submit", `%s"type":"submit","id":%q,"route":%q,"class":"otp","network":"262-01"`, source("gw"), id, []string{"A", "B"}[i%2])
			if back := sent + 4.5*math.Exp(0.75*random.NormFloat64()); random.Float64() < 0.97 && back < 1200 {
				add(back, "receipt", `%s"type":"receipt","id":%q,"route":%q,"status":%q`, source("hooks"), id, []string{"A", "B"}[i%2], pick(random, 0.975, "delivered", "failed"))
			}
		}
	}
	slices.SortStableFunc(facts, func(a, b fact) int { return cmp.Compare(a.at, b.at) })
	return facts
}

func pick(random *rand.Rand, chance float64, likely, other string) string {
	if random.Float64() < chance {
		return likely
	}
	return other
}

// lawsBaseline is what is normal of the healthy site.
func lawsBaseline() string {
	var ages, cdf []string
	for age := 0.5; age <= 600; age *= 1.5 {
		ages = append(ages, fmt.Sprintf("%.3f", age))
		cdf = append(cdf, fmt.Sprintf("%.5f", 0.5*math.Erfc(-math.Log(age/4.5)/0.75/math.Sqrt2)))
	}
	return fmt.Sprintf(`"delivered":0.946,"failed":0.024,"messages":5000,"ages":[%s],"cdf":[%s]`, strings.Join(ages, ","), strings.Join(cdf, ","))
}

const lawsPolicy = `{"version":1,"routes":{"A":{"provider":"a","networks":["*"]},"B":{"provider":"b","networks":["*"]}},
"classes":{"otp":{"mode":"act","within":"30s"}},"lanes":[{"class":"otp","network":"262-01","order":["A","B"]}],
"rules":[{"name":"receipts-collapse","class":["*"],"demote":{"when":"delivery.evidence >= 12.0"},"promote":{"when":"delivery.recovered >= 4.6"}}],
"guards":{"common_cause":{"share":"60%","wait":"0s"}}}`

// TestNothingButTheRoutesDemotes replays healthy traffic whose telling is broken in every way that has been taken for a
// broken route somewhere. There is no second channel to save it, and the common-cause guard does not wait.
func TestNothingButTheRoutesDemotes(t *testing.T) {
	receipt := func(f fact) bool { return f.kind == "receipt" }
	submit := func(f fact) bool { return f.kind == "submit" }
	cases := map[string]func(facts []fact) []string{
		"told as it was": func(facts []fact) []string { return tell(facts, 0, nil) },
		"the source stops for five minutes": func(facts []fact) []string {
			return tell(slices.DeleteFunc(facts, func(f fact) bool { return f.at > 600 && f.at < 900 }), 0, nil)
		},
		"the source stops for good, probes go on": func(facts []fact) []string {
			lines := tell(slices.DeleteFunc(facts, func(f fact) bool { return f.at > 600 }), 0, nil)
			for at := 600; at < 1200; at += 10 {
				lines = append(lines, fmt.Sprintf(`{"type":"probe","time":%d,"route":"A","probe":"tcp","ok":true}`, lawsStart+at))
			}
			return lines
		},
		"all times an hour ahead":                       func(facts []fact) []string { return tell(facts, 3600, nil) },
		"submits told an hour ahead":                    func(facts []fact) []string { return tell(facts, 3600, submit) },
		"submits told an hour behind":                   func(facts []fact) []string { return tell(facts, -3600, submit) },
		"receipts told an hour ahead":                   func(facts []fact) []string { return tell(facts, 3600, receipt) },
		"receipts told an hour behind":                  func(facts []fact) []string { return tell(facts, -3600, receipt) },
		"the source's clock is set an hour on midway":   func(facts []fact) []string { return tell(facts, 3600, func(f fact) bool { return f.at > 600 }) },
		"the source's clock is set an hour back midway": func(facts []fact) []string { return tell(facts, -3600, func(f fact) bool { return f.at > 600 }) },
		"in random order":                               func(facts []fact) []string { return shuffled(tell(facts, 0, nil)) },
		"in random order within each five minutes": func(facts []fact) []string {
			lines := tell(facts, 0, nil)
			for chunk := range slices.Chunk(lines, 6000) {
				shuffled(chunk)
			}
			return lines
		},
		"told twice": func(facts []fact) []string { l := tell(facts, 0, nil); return append(l, l...) },
		"every line told twice": func(facts []fact) []string {
			var twice []string
			for _, l := range tell(facts, 0, nil) {
				twice = append(twice, l, l)
			}
			return twice
		},
		"receipts come to have other ids than submits": func(facts []fact) []string {
			return renamed(facts, func(f fact) bool { return receipt(f) && f.at > 600 })
		},
		"a third of the receipts come to have other ids": func(facts []fact) []string {
			n := 0
			return renamed(facts, func(f fact) bool { n++; return receipt(f) && f.at > 600 && n%3 == 0 })
		},
		"receipts told in batches of two minutes": func(facts []fact) []string {
			for i := range facts {
				if receipt(facts[i]) {
					facts[i].at = 120 * math.Ceil(facts[i].at/120)
				}
			}
			slices.SortStableFunc(facts, func(a, b fact) int { return cmp.Compare(a.at, b.at) })
			return tell(facts, 0, nil)
		},
	}
	for _, named := range []bool{false, true} {
		for name, tell := range cases {
			t.Run(fmt.Sprintf("%s, sources named %v", name, named), func(t *testing.T) {
				t.Parallel()
				for _, d := range replayLines(t, tell(healthySite(7, named))) {
					if d.Enforced && d.To == route.Demoted {
						t.Errorf("demoted at %s: %s", d.Time, d.Text)
					}
				}
			})
		}
	}
}

// TestTheRoutesDemote shows that the site above is not simply blind: a route that really goes silent is found.
func TestTheRoutesDemote(t *testing.T) {
	for _, named := range []bool{false, true} {
		facts := healthySite(7, named)
		dead := slices.DeleteFunc(facts, func(f fact) bool {
			return f.kind == "receipt" && f.at > 600 && strings.Contains(f.text(0), `"route":"A"`)
		})
		found := slices.ContainsFunc(replayLines(t, tell(dead, 0, nil)), func(d route.Decision) bool { return d.Enforced && d.To == route.Demoted && d.Route == "A" })
		if !found {
			t.Errorf("sources named %v: the silent route was not demoted", named)
		}
	}
}

// TestABrokenReceiptPathDoesNotTakeALaneDownRouteByRoute has no receipts from minute ten on, whatever route carries the
// lane, and traffic that follows the table: the second silence is the same as the first.
func TestABrokenReceiptPathDoesNotTakeALaneDownRouteByRoute(t *testing.T) {
	policy := strings.NewReplacer(`"B":{"provider":"b","networks":["*"]}`, `"B":{"provider":"b","networks":["*"]},"C":{"provider":"c","networks":["*"]}`,
		`"order":["A","B"]`, `"order":["A","B","C"]`).Replace(lawsPolicy)
	var lines []string
	for _, id := range []string{"A", "B", "C"} {
		lines = append(lines, fmt.Sprintf(`{"time":%d,"type":"baseline","route":%q,"class":"otp","network":"262-01",%s}`, lawsStart, id, lawsBaseline()))
	}
	var due []line
	for second := range 1800 {
		if second%10 == 0 {
			due = append(due, line{float64(second), fmt.Sprintf(`{"time":%d,"type":"heartbeat","source":"gw","routes":["A","B","C"]}`, lawsStart+second)})
		}
		carrier := "A"
		if second > 720 {
			carrier = "B"
		}
		for i := range 5 {
			at := float64(second) + float64(i)/5
			id := fmt.Sprintf("m-%d-%d", second, i)
			due = append(due, line{at, fmt.Sprintf(`{"time":%.3f,"type":"submit","id":%q,"route":%q,"class":"otp","network":"262-01"}`, lawsStart+at, id, carrier)})
			if at+4 < 600 {
				due = append(due, line{at + 4, fmt.Sprintf(`{"time":%.3f,"type":"receipt","id":%q,"route":%q,"status":"delivered"}`, lawsStart+at+4, id, carrier)})
			}
		}
	}
	slices.SortStableFunc(due, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range due {
		lines = append(lines, l.text)
	}
	var gone []string
	for _, d := range replayWith(t, policy, lines) {
		if d.Enforced && d.From == route.Active && d.To == route.Demoted {
			gone = append(gone, string(d.Route))
		}
	}
	if !slices.Equal(gone, []string{"A"}) {
		t.Errorf("got %v demoted, want A alone", gone)
	}
}

// tell writes the lines of the facts, shifting the times of those that which picks, or of all.
func tell(facts []fact, shift float64, which func(fact) bool) []string {
	lines := make([]string, len(facts))
	for i, f := range facts {
		if which == nil || which(f) {
			lines[i] = f.text(shift)
		} else {
			lines[i] = f.text(0)
		}
	}
	return lines
}

// renamed writes the lines of the facts, with other ids in those that which picks.
func renamed(facts []fact, which func(fact) bool) []string {
	lines := tell(facts, 0, nil)
	for i, f := range facts {
		if which(f) {
			lines[i] = strings.Replace(lines[i], `"id":"m-`, `"id":"hex-`, 1)
		}
	}
	return lines
}

func shuffled(lines []string) []string {
	random := rand.New(rand.NewPCG(3, 4))
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

// replayLines is what the command decides over the lines.
func replayLines(t *testing.T, lines []string) []route.Decision {
	t.Helper()
	return replayWith(t, lawsPolicy, lines)
}

// replayWith is what the command decides over the lines under a policy.
func replayWith(t *testing.T, text string, lines []string) []route.Decision {
	t.Helper()
	dir := t.TempDir()
	policy, events := filepath.Join(dir, "policy.json"), filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(events, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"replay", "--policy", policy, events}, &stdout, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var out []route.Decision
	for d := json.NewDecoder(&stdout); d.More(); {
		var decision route.Decision
		if err := d.Decode(&decision); err != nil {
			t.Fatal(err)
		}
		out = append(out, decision)
	}
	return out
}
