package policy

import (
	"strings"
	"testing"
)

func TestHabitsOfOtherLanguagesAreUnderstood(t *testing.T) {
	for _, c := range []struct{ when, hint string }{
		{"delivery.ratio < 60% && delivery.messages > 30", "(a share of 60% is written 0.6)"},
		{"delivery.ratio < 60% and delivery.messages > 30", "(a share of 60% is written 0.6)"},
		{"latency.p95 > 45s", `(a duration is written duration("45s"))`},
		{"latency.p95 => 45", `(did you mean ">="?)`},
		{"not delivery.known", `(not is written "!")`},
		{"delivery.ratio <> 1.0", `(did you mean "!="?)`},
		{"delivery.ratio = 1.0", `(did you mean "=="?)`},
	} {
		got := problemsOf(t, withCondition("'"+c.when+"'"))
		if len(got) != 1 || !strings.HasSuffix(got[0], c.hint) {
			t.Errorf("%s: got %q, want the hint %s", c.when, got, c.hint)
		}
	}
}
