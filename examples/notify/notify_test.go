package notify_test

import (
	"os"
	"reflect"
	"testing"

	"gopkg.in/yaml.v3"
)

// story is what of a story must be the same in both files.
type story struct {
	Seed    int
	Lasts   string
	Observe []map[string]any
}

func stories(t *testing.T, path string) []story {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Tests []story }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file.Tests
}

// A comparison of two rules is worth something only over the same observations.
func TestBothRulesSeeTheSame(t *testing.T) {
	theirs, ours := stories(t, "theirs.test.yml"), stories(t, "ours.test.yml")
	if len(theirs) == 0 || len(ours) != len(theirs) {
		t.Fatalf("got %d stories of theirs and %d of ours, want as many", len(theirs), len(ours))
	}
	for i := range theirs {
		if len(theirs[i].Observe) == 0 || !reflect.DeepEqual(ours[i], theirs[i]) {
			t.Errorf("story %d: got %v of ours, want %v", i+1, ours[i], theirs[i])
		}
	}
}
