package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheRevisionIsTheCommitOnlyWhereTheFilesAreIt(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(args ...string) {
		t.Helper()
		if out, ok := git(dir, args...); !ok {
			t.Fatalf("git %v: %s", args, out)
		}
	}
	write("version: 1")
	want := func(name string, commit bool) {
		t.Helper()
		for _, path := range []string{dir, file} {
			if got := gitRevision(path); strings.HasPrefix(got, "git:") != commit || !commit && got != "" {
				t.Errorf("%s: got %q of %s, want a commit: %v", name, got, path, commit)
			}
		}
	}
	want("no checkout", false)
	must("init", "-q")
	want("not tracked", false)
	must("add", ".")
	must("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "policy")
	want("clean", true)
	write("version: 1 # edited")
	want("edited", false)
}
