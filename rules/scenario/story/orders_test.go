package story

import (
	"strings"
	"testing"
)

func TestOperatorsInStories(t *testing.T) {
	text := `
observe:
  - at 0s: otp 234-15 10/s
tests:
  - name: a pinned route stays, and the decision that would have been is recorded
    observe:
      - at 1m: pin acme-uk otp GB for 10m by eve because the carrier asked for it
      - at 2m: acme-uk otp delivered 10% failed 90%
    expect:
      - {at: 1m, within: 5s, lane: otp/GB, route: acme-uk, reason: OverrideSet, text: 'pinned by eve until 2026-01-05 12:11:00: the carrier asked for it'}
      - {at: 2m, within: 30s, lane: otp/GB, route: acme-uk, reason: GuardHeld, to: demoted, text: pinned by eve}
      - {at: 5m, lane: otp/GB, route: acme-uk, phase: active, admin: pinned}
      - {at: 11m, within: 1m, lane: otp/GB, route: acme-uk, phase: demoted, admin: auto}
  - name: a drained route carries nothing, and the last one is not drained by mistake
    observe:
      - at 1m: drain acme-uk otp
      - at 2m: drain bolt-uk otp refused
      - at 4m: release acme-uk
    expect:
      - {at: 3m, lane: otp/GB, route: acme-uk, share: 0%, admin: drained}
      - {at: 3m, lane: otp/GB, route: bolt-uk, share: 100%}
      - {at: 4m10s, lane: otp/GB, route: acme-uk, share: 60%, admin: auto}
  - name: it is drained all the same where somebody insists
    observe:
      - at 1m: drain acme-uk otp
      - at 2m: drain bolt-uk otp force
    expect:
      - {at: 3m, lane: otp/GB, route: bolt-uk, admin: drained}
  - name: rules change nothing in a frozen lane
    observe:
      - at 1m: freeze otp GB demotions
      - at 2m: acme-uk otp delivered 10% failed 90%
      - at 5m: unfreeze
    expect:
      - {never: {phase: demoted}, until: 5m}
      - {at: 4m, lane: otp/GB, route: acme-uk, reason: Frozen}
      - {at: 5m, within: 30s, lane: otp/GB, route: acme-uk, phase: demoted}
  - name: a proposal waits for a person
    mode: propose
    observe:
      - at 2m: acme-uk otp delivered 10% failed 90%
      - at 3m: approve acme-uk by ann
    expect:
      - {at: 2m, within: 30s, lane: otp/GB, route: acme-uk, reason: Proposed, mode: propose}
      - {never: {phase: demoted}, until: 3m}
      - {at: 3m5s, lane: otp/GB, route: acme-uk, phase: demoted, reason: Approved}
  - name: a proposal that is rejected changes nothing
    mode: propose
    observe:
      - at 2m: acme-uk otp delivered 10% failed 90%
      - at 3m: reject acme-uk because it is planned work
    expect:
      - {at: 3m5s, lane: otp/GB, route: acme-uk, phase: active, reason: Rejected, text: planned work}
      - never: {phase: demoted}
`
	if got := told(playAll(t, text)); got != "" {
		t.Error(got)
	}
}

func TestOrdersThatFail(t *testing.T) {
	got := told(playAll(t, test([]string{
		"at 0s: otp 234-15 10/s",
		"at 1m: drain acme-uk otp refused",
		"at 2m: drain bolt-uk otp",
		"at 3m: unfreeze",
		"at 4m: approve acme-uk",
	}, "{at: 4m, lane: otp/GB, route: acme-uk, admin: drained}")))
	want := []string{
		"s:5: t: at 1m, acme-uk otp: want drain to be refused, got it taken",
		"s:6: t: at 2m, bolt-uk otp: want drain to be taken, got min_active: ",
		"s:7: t: at 3m: want unfreeze to be taken, got no such order in force",
		"s:8: t: at 4m, acme-uk: want approve to be taken, got no proposal that waits",
	}
	lines := strings.Split(got, "\n")
	for i := range max(len(lines), len(want)) {
		if i >= len(lines) || i >= len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
}

func TestProblemsOfOrders(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"pin", `16: tests[0].observe[0].at 2m: want a route after pin, such as pin acme-uk, got nothing`},
		{"pin acme-ul", `20: tests[0].observe[0].at 2m: want a route, a class or a network of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		{"freeze acme-uk", `16: tests[0].observe[0].at 2m: want a class and a network after freeze, as it is about every route, got "acme-uk"`},
		{"drain acme-uk demotions", `30: tests[0].observe[0].at 2m: want no such word, as it is about freezes, got "demotions"`},
		{"release acme-uk for 1h", `16: tests[0].observe[0].at 2m: want no time after release, got for 1h`},
		{"pin acme-uk for ever", `32: tests[0].observe[0].at 2m: want a duration such as 30s, from 1s to 31d, got "ever"`},
		{"pin acme-uk by", `30: tests[0].observe[0].at 2m: want a name, got the end of the line`},
		{"pin acme-uk because", `35: tests[0].observe[0].at 2m: want a reason, got the end of the line`},
		{"pin acme-uk otp GB becuase of it", `35: tests[0].observe[0].at 2m: want for, by, force, refused or because after a route, a class and a network, got "becuase" (did you mean "because"?)`},
	} {
		got := problemsOf(t, test([]string{"at 2m: " + c.line}, "{at: 3m, route: core-uk, phase: active}"))
		if got != "4:"+c.want {
			t.Errorf("%s:\ngot  %s\nwant 4:%s", c.line, got, c.want)
		}
	}
}
