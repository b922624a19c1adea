package story

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/rules/policy"
)

// Whatever a story says, it is played or refused with a place for every reason; and what can be played is played to its
// end.
func FuzzStory(f *testing.F) {
	f.Add(test(trouble, "{at: 3m, lane: otp/GB, route: acme-uk, phase: demoted}"))
	f.Add("series: {}\n" + test(nil, "{decisions: [{at: 1m, within: 3s, to: demoted}], from: 3s}"))
	f.Add("tests: [{name: a, series: {'probe[\"bind\"].ok{route=\"acme-uk\"}': 1x3 _ stale}, expect: [{never: {order: [acme-uk], text: a}}]}]")
	f.Add("tests: [{expect: [{never}]}]")
	files, err := filepath.Glob("../../../examples/*/*.test.yml")
	if err != nil || len(files) == 0 {
		f.Fatalf("found no stories (%v)", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.NewReplacer("acme ", "acme-uk ", "acme,", "acme-uk,", "bolt,", "bolt-uk,", "core,", "core-uk,").Replace(string(data)))
	}
	p := testPolicy(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(policy.File{Name: "s", Data: []byte(text)})
		if bound := s.Bind(p); bound != nil {
			err = bound
		}
		if err != nil {
			havePlaces(t, text, err)
			return
		}
		for i := range s.Tests {
			x := &s.Tests[i]
			if x.Lasts <= 2*time.Minute && x.messages() <= 2000 {
				s.Play(x, p)
			}
		}
	})
}

// havePlaces fails where a problem has no place in the text.
func havePlaces(t *testing.T, text string, err error) {
	t.Helper()
	var problems policy.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("got %v, want problems", err)
	}
	lines := strings.Count(strings.ReplaceAll(text, "\r", "\n"), "\n") + 2
	for _, x := range problems {
		if x.File != "s" || x.Line < 1 || x.Line > lines || x.Column < 1 || x.Message == "" || strings.Contains(x.Message, "\n") {
			t.Errorf("got %q at %d:%d of %d lines", x, x.Line, x.Column, lines)
		}
	}
}

// The text of a line is found in its file again, whatever it stands in.
func TestPlacesWithinLines(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`at 2m: acme-uk delivered x`, "4:34"},
		{`"at 2m": "acme-uk  delivered x"`, "4:38"},
		{`{at 2m: 'acme-uk delivered x'}`, "4:36"},
		{`at 2m: [otp 234-15 1/s, acme-uk delivered x]`, "4:51"},
		{"at 2m: >-\n          acme-uk\n          delivered\n          x", "7:11"},
	} {
		got := problemsOf(t, test([]string{c.line}, "{at: 3m, route: core-uk, phase: active}"))
		if !strings.HasPrefix(got, c.want+": ") {
			t.Errorf("%s: got %s, want it at %s", c.line, got, c.want)
		}
	}
}
