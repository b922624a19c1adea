package main

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// wellFormed wants a file to be XML.
func wellFormed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: well-formed FILE")
	}
	d := xml.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for n := 0; ; n++ {
		if _, err := d.Token(); errors.Is(err, io.EOF) && n > 0 {
			return
		} else if err != nil {
			ts.Fatalf("got XML that cannot be read: %v", err)
		}
	}
}

// Every story of the examples and of the tests holds.
func TestStories(t *testing.T) {
	n := 0
	for _, top := range []string{root + "/examples", "testdata"} {
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && e.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if err != nil || !strings.HasSuffix(path, ".test.yml") {
				return err
			}
			n++
			t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) {
				t.Parallel()
				playStories(t, path)
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 3 {
		t.Errorf("found %d files of stories, want those of every example", n)
	}
}

func TestEveryStoryInTheDocsHolds(t *testing.T) {
	n := 0
	for path, text := range documents(t) {
		for _, block := range blocks(text, "yaml") {
			if !strings.Contains("\n"+block, "\ntests:") {
				continue
			}
			n++
			f := (&tester{only: regexp.MustCompile("")}).play(t.Context(), filepath.Join(root, path), []byte(block))
			for _, problem := range f.Problems {
				t.Error(problem)
			}
			if failed(f.Tests) > 0 || len(f.Tests) == 0 {
				t.Errorf("%s: got %d of %d tests failed", path, failed(f.Tests), len(f.Tests))
			}
		}
	}
	if n == 0 {
		t.Error("no story found in any document")
	}
}

// Every line that help shows can be read, and means something to a policy.
func TestLinesThatHelpShows(t *testing.T) {
	text := "policy: policy.yml\ntests:\n  - name: t\n    expect: [{never: {phase: demoted}}]\n    observe:\n      - at 0s: otp 234-15 1/s from gw-2\n"
	n := 0
	for _, line := range strings.Split(storyLines, "\n") {
		line, shown := strings.CutPrefix(line, "  ")
		if line, _, _ = strings.Cut(line, "   "); shown && line != "" {
			n++
			text += "      - at 1m: " + line + "\n"
		}
	}
	if n < 20 {
		t.Fatalf("got %d lines from help, want all of them", n)
	}
	f := (&tester{only: regexp.MustCompile("")}).play(t.Context(), "testdata/story.yml", []byte(strings.ReplaceAll(text, "policy.yml", "policy")))
	for _, problem := range f.Problems {
		t.Error(problem)
	}
}

func playStories(t *testing.T, path string) {
	tester := tester{only: regexp.MustCompile("")}
	f := tester.file(t.Context(), path)
	for _, problem := range f.Problems {
		t.Error(problem)
	}
	for _, s := range f.Tests {
		for _, failure := range s.Failures {
			t.Error(failure)
		}
	}
	if len(f.Tests) == 0 {
		t.Error("got no test")
	}
}

// A path with signs that mean something in patterns is a folder like any other.
func TestStoriesOfAFolderWithAnOddName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a[1]*?`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.test.yml", "b.yml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("tests: []"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := storyFiles([]string{dir})
	if err != nil || len(got) != 1 || filepath.Base(got[0]) != "a.test.yml" {
		t.Errorf("got %v, %v; want the one story", got, err)
	}
}
