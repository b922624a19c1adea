package main

import (
	"os"
	"path/filepath"
	"testing"

	"signalbox/rules/policy"
)

// benchLanes are lanes such as the incidents have that examples/bench is replayed over.
const benchLanes = `version: 1
routes:
  a: {provider: a, networks: ["*"], trickle: 1%}
  b: {provider: b, networks: ["*"], trickle: 1%}
classes: {otp: {mode: act, within: 30s}, bulk: {mode: act, within: 1h}}
lanes:
  - {class: otp, network: 262-01, order: [a, b]}
  - {class: bulk, network: 262-01, share: {a: 60, b: 40}}
`

// The shipped examples are meant as they are: advice on them would be noise.
func TestTheExamplesNeedNoAdvice(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, "examples/bench/rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	bench, err := policy.Parse([]policy.File{{Name: "rules.yml", Data: rules}, {Name: "lanes.yml", Data: []byte(benchLanes)}})
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]*policy.Policy{"examples/bench": bench}
	for _, path := range []string{"examples/quickstart/policy", "examples/kannel/policy"} {
		if policies[path], err = loadPolicy(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	for path, p := range policies {
		for _, a := range p.Advice() {
			t.Errorf("%s: got advice %s", path, a)
		}
		for _, o := range p.Outlooks(policy.Assumptions{}) {
			if !o.False.Told || o.Note != "" {
				t.Errorf("%s: %s: got %+v, %q, want false demotions that are told", path, o.Rule, o.False, o.Note)
			}
		}
	}
}
