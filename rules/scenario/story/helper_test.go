package story

import (
	"errors"
	"strings"
	"testing"

	"signalbox/rules/policy"
)

// twoLanes is a policy with a lane of its own for each class; acme-uk is in both.
const twoLanes = `
version: 1
routes:
  acme-uk: {provider: acme, networks: [GB], price: {GB: 0.0312 EUR}, trickle: 1%}
  bolt-uk: {provider: bolt, networks: [GB], price: {GB: 0.0330 EUR}, trickle: 1%}
  core-uk: {provider: core, networks: [GB], trickle: 1%}
classes:
  otp: {mode: act, within: 30s, retry_after: 20s}
  bulk: {mode: act, within: 1h}
lanes:
  - {class: otp, network: GB, share: {acme-uk: 60, bolt-uk: 40}}
  - {class: bulk, network: GB, share: {acme-uk: 50, core-uk: 50}}
rules:
  - name: receipts-collapse
    class: ["*"]
    demote: {when: delivery.evidence >= 12 && delivery.messages >= 5}
    promote: {when: delivery.recovered >= 4.6, ramp: [50%, 100%], step: 1m}
    hold_down: {base: 1m}
  - name: bind-lost
    class: [bulk]
    demote: {when: 'probe["bind"].failures >= 3', for: 10s}
    promote: {when: 'probe["bind"].successes >= 3'}
    hold_down: {base: 1m}
guards:
  corroborate: {class: [otp], signals: [silence], wait: 40s}
`

func testPolicy(t testing.TB) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]policy.File{{Name: "policy.yml", Data: []byte(twoLanes)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// problemsOf are the problems of a story, one a line, without its name.
func problemsOf(t testing.TB, text string) string {
	t.Helper()
	f, err := Parse(policy.File{Name: "s", Data: []byte(text)})
	if bound := f.Bind(testPolicy(t)); bound != nil {
		err = bound
	}
	if err == nil {
		return ""
	}
	var problems policy.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems with their places", err)
	}
	return strings.ReplaceAll("\n"+err.Error(), "\ns:", "\n")[1:]
}

// playAll plays every test of a story.
func playAll(t testing.TB, text string) []Result {
	t.Helper()
	f, err := Parse(policy.File{Name: "s", Data: []byte(text)})
	p := testPolicy(t)
	if bound := f.Bind(p); err != nil || bound != nil {
		t.Fatalf("%v\n%s", bound, text)
	}
	var out []Result
	for i := range f.Tests {
		out = append(out, f.Play(&f.Tests[i], p))
	}
	return out
}

// told is the failures of results, one a line.
func told(results []Result) string {
	var out []string
	for _, r := range results {
		for _, f := range r.Failures {
			out = append(out, f.String())
		}
	}
	return strings.Join(out, "\n")
}

// test is a story of one test: lines of observe and of expect.
func test(observe []string, expect ...string) string {
	text := "tests:\n  - name: t\n"
	if len(observe) > 0 {
		text += "    observe:\n"
	}
	for _, o := range observe {
		text += "      - " + o + "\n"
	}
	text += "    expect:\n"
	for _, e := range expect {
		text += "      - " + e + "\n"
	}
	return text
}
