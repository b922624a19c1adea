package policy

import (
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

const probedSite = `
version: 1
routes:
  acme: {provider: acme, networks: [GB], trickle: 1%}
  bolt: {provider: bolt, networks: [GB], trickle: 1%}
classes: {otp: {mode: act}}
lanes: [{class: otp, network: GB, order: [acme, bolt]}]
rules:
  - name: bind-lost
    class: [otp]
    demote: {when: 'probe["bind"].failures >= 3'}
    promote: {when: 'probe["bind"].successes >= 3'}
`

func TestAdviceOnWhatNobodyLooksAt(t *testing.T) {
	p := mustParse(t, probedSite)
	for name, c := range map[string]struct {
		acme, bolt []string
		want       []string
	}{
		"both are bound to":      {[]string{"tcp", "bind"}, []string{"bind"}, nil},
		"nobody looks at one":    {[]string{"bind"}, nil, []string{"a.yml:5:3: routes.bolt: want a probe of bolt, got none"}},
		"one is asked by HTTP":   {[]string{"http"}, []string{"bind"}, []string{"a.yml:11:20: rules[0].demote.when: want a probe of kind bind of each route that the rule judges, got none of acme: "}},
		"nobody looks at either": {nil, nil, []string{"a.yml:4:3: routes.acme: want a probe", "a.yml:5:3: routes.bolt: want a probe"}},
	} {
		kinds := map[route.ID][]string{"acme": c.acme, "bolt": c.bolt}
		got := p.AdviseProbes(func(id route.ID) []string { return kinds[id] })
		if len(got) != len(c.want) {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].String(), c.want[i]) {
				t.Errorf("%s: got %s, want %s", name, got[i], c.want[i])
			}
		}
	}
}

// Three failures in a row come from the first look after the fault, and two rechecks.
func TestDetectionByProbesThatAreKnown(t *testing.T) {
	looks := func(every, recheck, timeout time.Duration) Assumptions {
		return Assumptions{Looks: map[string]Looking{"bind": {every, recheck, timeout}}}
	}
	for name, c := range map[string]struct {
		failures string
		assumes  Assumptions
		want     string
	}{
		"as assumed":             {"3", Assumptions{}, "30s..35s"},
		"with rechecks":          {"3", looks(20*time.Second, 2*time.Second, 5*time.Second), "29s..39s"},
		"without rechecks":       {"3", looks(20*time.Second, 0, 5*time.Second), "1m5s..1m15s"},
		"one failure":            {"1", looks(20*time.Second, 2*time.Second, 5*time.Second), "15s..25s"},
		"five: the rest is slow": {"5", looks(20*time.Second, 2*time.Second, 5*time.Second), "1m19s..1m29s"},
		"said otherwise":         {"3", Assumptions{ProbeInterval: time.Minute, Looks: looks(20*time.Second, 0, 5*time.Second).Looks}, "2m35s..3m5s"},
	} {
		p := mustParse(t, strings.Replace(probedSite, "failures >= 3", "failures >= "+c.failures, 1))
		o := p.Outlooks(c.assumes)[0]
		if got := o.at(ProbeFails, ""); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
