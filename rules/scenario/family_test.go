package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// parsed is a policy of these lanes, rules, guards and windows, over routes a to c.
func parsed(t testing.TB, rest string) *policy.Policy {
	t.Helper()
	text := "version: 1\nroutes:\n"
	for _, id := range []string{"a", "b", "c"} {
		text += fmt.Sprintf("  %s: {provider: p%s, networks: [GB], trickle: 2%%}\n", id, id)
	}
	text += "classes:\n  otp: {mode: act, within: 30s, unknown_after: 2m}\n  bulk: {mode: act, within: 30s}\n" + rest
	p, err := policy.Parse([]policy.File{{Name: "town.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatalf("parse policy: %v\n%s", err, text)
	}
	return p
}

const (
	receiptsPer = `  - name: %s
    class: ["*"]
    per: %s
    demote: {when: delivery.evidence >= 12.0 && delivery.messages >= 5.0}
    promote: {when: delivery.recovered >= 4.6, ramp: [5%%, 100%%], step: 1m}
    hold_down: {base: 2m}
`
	briskGuards = "guards:\n  common_cause: {share: 60%, wait: 0s}\n  settle: 10s\n  velocity: {changes: 9, in: 10m}\n"
)

func TestOneNetworkThatFailsIsLeftAndComesBackWhileItsLaneStays(t *testing.T) {
	p := parsed(t, "lanes:\n  - {class: otp, network: GB, order: [a, b]}\nrules:\n"+fmt.Sprintf(receiptsPer, "there", "network")+fmt.Sprintf(receiptsPer, "lane", "lane")+briskGuards)
	for name, share := range map[string]float64{"nothing comes back": 0, "most fail": 0.2} {
		t.Run(name, func(t *testing.T) {
			all := town{lasts: minutes(60), seed: 21, streets: []street{
				{id: "a", network: "234-15", rate: 2, delivered: between(15, 20, share)}, {id: "a", network: "234-30", rate: 2},
				{id: "b", network: "234-15", rate: 1}, {id: "b", network: "234-30", rate: 1}}}.observations()
			ds, tables := play(t, p, all)
			var path []string
			for _, d := range enforced(ds) {
				if d.Route != "a" || d.Lane.Network != "234-15" {
					t.Errorf("got %s in %s, want only a on 234-15 moved", line(&d), d.Lane)
				}
				path = append(path, string(d.To))
			}
			if got, want := strings.Join(path, " "), "demoted recovering active"; got != want {
				t.Errorf("got the path %s, want %s\n%s", got, want, lines(enforced(ds)))
			}
			for _, table := range tables {
				if row := table.Lanes[0]; row.Network != "GB" || row.Routes[0].Route != "a" || row.Routes[0].Share != route.FullShare {
					t.Errorf("got the lane at %+v, want it as it was", row)
				}
			}
			if last := tables[len(tables)-1]; len(last.Lanes) != 1 {
				t.Errorf("got %d rows at the end, want the lane's alone", len(last.Lanes))
			}
		})
	}
}

func TestTwoLanesTooThinToDecideAloneAreEnoughTogether(t *testing.T) {
	lanes := "lanes:\n  - {class: otp, network: GB, order: [a, b]}\n  - {class: bulk, network: GB, order: [a, b]}\nrules:\n"
	var streets []street
	for _, class := range []route.Class{"otp", "bulk"} {
		streets = append(streets, street{id: "a", class: class, rate: 0.04, delivered: between(20, 21.2, 0.05)}, street{id: "b", class: class, rate: 0.3})
	}
	all := town{lasts: minutes(90), seed: 7, streets: streets}.observations()
	one, _ := play(t, parsed(t, lanes+fmt.Sprintf(receiptsPer, "receipts", "lane")+briskGuards), all)
	untouched(t, one)
	ds, tables := play(t, parsed(t, lanes+fmt.Sprintf(receiptsPer, "receipts", "route")+briskGuards), all)
	made := enforced(ds)
	if len(made) < 6 {
		t.Fatalf("got %d changes, want a out and back in both lanes:\n%s", len(made), lines(ds))
	}
	for i := 0; i < len(made); i += 2 {
		x, y := &made[i], &made[i+1]
		if x.Route != "a" || y.Route != "a" || x.Lane.Class != "otp" || y.Lane.Class != "bulk" || x.To != y.To || !x.Time.Equal(y.Time) || x.Generation != y.Generation {
			t.Errorf("got %s in %s and %s in %s, want one step in both lanes at once", line(x), x.Lane, line(y), y.Lane)
		}
	}
	if last := tables[len(tables)-1]; last.Lanes[0].Routes[0].Route != "a" || last.Lanes[1].Routes[0].Route != "a" {
		t.Errorf("got %+v at the end, want a back in both", last.Lanes)
	}
}

// night is a window in which refusals are ignored, from the 15th to the 30th minute after midnight.
const night = `windows:
  - {name: night, class: [bulk], ignore: refusals, from: "00:15", to: "00:30", zone: UTC}
`

func TestFailuresInAWindowThatIgnoresRefusalsSpeakAgainstNobody(t *testing.T) {
	lanes := "lanes:\n  - {class: bulk, network: GB, order: [a, b]}\nrules:\n" + fmt.Sprintf(receiptsPer, "receipts", "lane") + `  - name: refused
    class: ["*"]
    demote: {when: submit.refused > 0.5 && submit.messages >= 20.0}
    promote: {when: submit.refused < 0.1}
` + briskGuards
	all := func(from, to float64) map[string][]route.Observation {
		out := map[string][]route.Observation{}
		inside := func(share float64) func(time.Duration) float64 {
			return func(at time.Duration) float64 {
				if at >= minutes(from) && at < minutes(to) {
					return share
				}
				return 0
			}
		}
		out["receipts that say failed"] = town{lasts: minutes(50), seed: 8, blind: true, streets: []street{
			{id: "a", class: "bulk", rate: 2, delivered: between(from, to, 0.1)}, {id: "b", class: "bulk", rate: 1}}}.observations()
		out["refused submits"] = town{lasts: minutes(50), seed: 9, blind: true, streets: []street{
			{id: "a", class: "bulk", rate: 2, refused: inside(0.95)}, {id: "b", class: "bulk", rate: 1}}}.observations()
		return out
	}
	for name, events := range all(15, 30) {
		t.Run(name+" inside", func(t *testing.T) {
			ds, tables := play(t, parsed(t, lanes+night), events)
			untouched(t, ds)
			if len(tables) != 1 {
				t.Errorf("got %d tables", len(tables))
			}
			if without, _ := play(t, parsed(t, lanes), events); len(enforced(without)) == 0 {
				t.Error("got nothing without the window, so this shows nothing")
			}
		})
	}
	for name, events := range all(32, 40) {
		t.Run(name+" after it", func(t *testing.T) {
			ds, _ := play(t, parsed(t, lanes+night), events)
			if made := enforced(ds); len(made) == 0 || made[0].Time.After(midnight.Add(minutes(33))) {
				t.Errorf("got %s, want a out within a minute", lines(made))
			}
		})
	}
}

func TestSilenceInAWindowThatIgnoresRefusalsStillSpeaks(t *testing.T) {
	all := town{lasts: minutes(30), seed: 10, blind: true, streets: []street{
		{id: "a", class: "bulk", rate: 2, delivered: between(16, 30, 0)}, {id: "b", class: "bulk", rate: 1}}}.observations()
	ds, _ := play(t, parsed(t, "lanes:\n  - {class: bulk, network: GB, order: [a, b]}\nrules:\n"+fmt.Sprintf(receiptsPer, "receipts", "lane")+briskGuards+night), all)
	if made := enforced(ds); len(made) == 0 || made[0].To != route.Demoted || made[0].Time.After(midnight.Add(minutes(18))) {
		t.Errorf("got %s, want the black hole left within two minutes", lines(made))
	}
}

func TestWhatFailsInAWindowThatIgnoresRefusalsIsNotLearned(t *testing.T) {
	p := parsed(t, "lanes:\n  - {class: bulk, network: GB, order: [a, b]}\nrules:\n"+fmt.Sprintf(receiptsPer, "receipts", "lane")+briskGuards+night)
	r := NewReplay(p, signal.Options{}, route.Act, func(decide.Outcome) {})
	all := town{lasts: minutes(150), seed: 11, blind: true, streets: []street{
		{id: "a", class: "bulk", rate: 4, delivered: between(15, 30, 0.02)}, {id: "b", class: "bulk", rate: 1}}}.observations()
	for i := range all {
		r.Observe(&all[i])
	}
	r.End()
	for _, k := range r.Engine().Book.Baselines() {
		if k.Key.Route == "a" && (k.Baseline.Delivered < 0.93 || k.Baseline.Messages < 5000) {
			t.Errorf("got %.3f delivered as normal of %.0f messages, want what is normal outside of the window", k.Baseline.Delivered, k.Baseline.Messages)
		}
	}
}
