package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// hasty is a policy whose rule demotes on next to nothing.
const hasty = `version: 1
routes:
  a: {provider: p, networks: ["*"], trickle: 5%}
  b: {provider: q, networks: ["*"], trickle: 5%}
classes: {otp: {mode: act, within: 30s}}
lanes:
  - {class: otp, network: GB, share: {a: 50, b: 50}}
rules:
  - name: hasty
    class: ["*"]
    demote: {when: delivery.evidence >= 3}
    promote: {when: delivery.recovered >= 4.6}
  - name: patient
    class: ["*"]
    demote: {when: delivery.evidence >= 60}
    promote: {when: delivery.recovered >= 4.6}
`

// edited is a policy with some of its text replaced, pair by pair.
func edited(t testing.TB, text string, edits ...string) *policy.Policy {
	t.Helper()
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("nothing to edit: %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	p, err := policy.Parse([]policy.File{{Name: "a.yml", Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func siteOf(t testing.TB, seed uint64, lasts time.Duration, edits ...string) *Site {
	t.Helper()
	s := NewSite(edited(t, hasty, edits...), SiteOptions{Seed: seed})
	s.Advance(lasts)
	return s
}

func TestASiteCountsTheDemotionsOfHastyRules(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	hours := 6 * time.Hour
	acts := siteOf(t, 1, hours).Tallies()
	if acts[0].Rule != "hasty" || acts[0].Made == 0 || acts[0].Recorded+acts[0].Proposed > 0 {
		t.Errorf("mode act: got %+v, want demotions that were made", acts[0])
	}
	if acts[1] != (Tally{Rule: "patient"}) {
		t.Errorf("got %+v, want nothing of 60 nats", acts[1])
	}
	if observed := siteOf(t, 1, hours, "mode: act", "mode: observe").Tallies()[0]; observed.Recorded == 0 || observed.Made+observed.Proposed > 0 {
		t.Errorf("mode observe: got %+v, want demotions that were only recorded", observed)
	}
	if proposed := siteOf(t, 1, hours, "mode: act", "mode: propose").Tallies()[0]; proposed.Proposed == 0 || proposed.Made+proposed.Recorded > 0 {
		t.Errorf("mode propose: got %+v, want proposals", proposed)
	}
	if held := siteOf(t, 1, hours, "share: {a: 50, b: 50}", "order: [a]").Tallies()[0]; held.Held == 0 || held.Made > 0 {
		t.Errorf("one route: got %+v, want demotions that were held", held)
	}
}

func TestTheSameSeedGivesTheSameSite(t *testing.T) {
	tell := func(seed uint64) string {
		s := siteOf(t, seed, 3*time.Hour)
		return fmt.Sprint(s.Tallies(), s.Messages())
	}
	if a, b := tell(7), tell(7); a != b {
		t.Errorf("got %s, then %s", a, b)
	}
	if a, b := tell(7), tell(8); a == b {
		t.Errorf("got %s of two seeds", a)
	}
}

func TestASiteSendsByEveryLane(t *testing.T) {
	lanes := `
  - {class: otp, network: 234-01, order: [a, b]}
  - {class: otp, network: "*", order: [a, b]}
  - {class: "*", network: GB, order: [a, b]}
  - {class: otp, network: XX, order: [a, b]}
`
	s := siteOf(t, 1, 10*time.Minute, "share: {a: 50, b: 50}}\n", "order: [a, b]}"+lanes)
	if got := fmt.Sprint(s.Skipped()); got != "[otp/XX]" {
		t.Errorf("left out %s, want the lane of a country without networks only", got)
	}
	if got := s.Messages(); got < 4*600*9/10 || got > 4*600*11/10 {
		t.Errorf("got %d messages in 10 minutes, want 2400 or so of four lanes", got)
	}
	var streams []string
	for name := range s.sim.flows {
		streams = append(streams, name)
	}
	slices.Sort(streams)
	if got, want := fmt.Sprint(streams), "[gw-1||other|234-01 gw-1||otp|234-01 gw-1||otp|234-02 gw-1||otp|901-01]"; got != want {
		t.Errorf("got streams %s, want %s", got, want)
	}
}

func TestARulePerNetworkHasSeveral(t *testing.T) {
	s := siteOf(t, 1, 10*time.Minute, "class: [\"*\"]\n", "class: [\"*\"]\n    per: network\n")
	if n := len(s.sim.flows); n != networksOfLane {
		t.Errorf("got %d networks, want %d", n, networksOfLane)
	}
	if got := s.Messages(); got < 540 || got > 660 {
		t.Errorf("got %d messages in 10 minutes, want 600 or so of the lane", got)
	}
}

func TestProbesOfASiteFailAsOftenAsAssumed(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays hours; the full run does")
	}
	for _, c := range []struct {
		kind  string
		every time.Duration
	}{{"bind", 10 * time.Second}, {"handset", time.Minute}} {
		s := NewSite(edited(t, hasty, "delivery.evidence >= 60", `'probe["`+c.kind+`"].failures >= 30'`), SiteOptions{Seed: 3, Assumptions: policy.Assumptions{ProbeFailures: 0.2}})
		probes, failed := 0, 0
		s.sim.observe = func(o *route.Observation) {
			if o.Kind == route.KindProbe {
				if probes++; !o.OK {
					failed++
				}
			}
		}
		s.Advance(12 * time.Hour)
		if want := 2 * int(12*time.Hour/c.every); probes < want-4 || probes > want {
			t.Errorf("%s: got %d probes of two routes, want %d", c.kind, probes, want)
		}
		if share := float64(failed) / float64(probes); share < 0.16 || share > 0.24 {
			t.Errorf("%s: got %.2f of the probes failing, want 0.2", c.kind, share)
		}
	}
}
