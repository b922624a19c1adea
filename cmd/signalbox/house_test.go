package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// arrows are the imports of our own that each folder may have; a folder that is not listed may have those of the nearest
// one above it that is.
var arrows = map[string][]string{
	"rules/route":    {},
	"rules/signal":   {"rules/route"},
	"rules/policy":   {"rules/route"},
	"rules/decide":   {"rules/route", "rules/signal", "rules/policy"},
	"rules/ledger":   {"rules/route", "rules/policy"},
	"rules/scenario": {"rules/route", "rules/signal", "rules/policy", "rules/decide", "rules/ledger"},
	"probes":         {"rules/route", "probes"}, // the root has the words, its leaves import it and never each other
	"controller":     {"rules/route", "rules/signal", "rules/policy", "rules/decide", "rules/ledger", "rules/scenario", "controller/store", "controller/state"},
	// Leaves of the controller: rules, never each other.
	"controller/alert":     {"rules/route", "rules/policy"},
	"controller/access":    {},
	"controller/api":       {"rules/route", "rules/signal", "rules/policy", "rules/decide"},
	"controller/recording": {"rules/route"},
	"controller/repo":      {"rules/policy"},
	"controller/sender":    {}, // users copy it: see TestTheSenderStandsAlone
	"controller/state":     {"rules/route"},
	"controller/store":     {"rules/route"},
	"controller/way":       {"rules/route"},
	// Stories are played in a scenario.
	"rules/scenario/story": {"rules/route", "rules/signal", "rules/policy", "rules/decide", "rules/scenario"},
}

// testArrows are those that only test files may have beside them.
var testArrows = map[string][]string{
	"probes/smpp":    {"probes/smsctest"}, // sessions and collectors are tested against the server
	"probes/gateway": {"probes/smsctest"},
	// Its outbox is the store's.
	"controller/alert": {"controller/store"},
}

// pure are the imports that nothing under rules may have: the core has no clock, no chance, no locks and no I/O.
var pure = []string{"context", "os", "os/exec", "net", "net/http", "sync", "sync/atomic", "log", "log/slog", "math/rand", "math/rand/v2", "io/ioutil", "syscall"}

func TestImportArrows(t *testing.T) {
	eachGoFile(t, func(folder, path string, imports []string) {
		if strings.HasPrefix(folder, "cmd") || strings.HasPrefix(folder, "examples") {
			return
		}
		allowed, known := allowedFor(folder)
		if !known {
			t.Errorf("%s: %s is no room of the house", path, folder)
			return
		}
		if strings.HasSuffix(path, "_test.go") {
			allowed = append(slices.Clone(allowed), append(testArrows[folder], folder)...)
		}
		for _, i := range imports {
			ours, is := strings.CutPrefix(i, "signalbox/")
			if is && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: want only %v", path, ours, allowed)
			}
		}
	})
}

// TestTheSenderStandsAlone: whoever sends messages imports or copies the client, and gets nothing else with it.
func TestTheSenderStandsAlone(t *testing.T) {
	n := 0
	eachGoFile(t, func(folder, path string, imports []string) {
		if folder != "controller/sender" {
			return
		}
		n++
		for _, i := range imports {
			if first, _, _ := strings.Cut(i, "/"); strings.Contains(first, ".") || first == "signalbox" && (i != "signalbox/controller/sender" || !strings.HasSuffix(path, "_test.go")) {
				t.Errorf("%s imports %s: want the standard library only", path, i)
			}
		}
	})
	if n == 0 {
		t.Error("found no file of the client")
	}
}

func allowedFor(folder string) ([]string, bool) {
	for f := folder; f != "."; f = filepath.Dir(f) {
		if a, ok := arrows[f]; ok {
			return a, true
		}
	}
	return nil, false
}

// goes matches a statement that starts a goroutine.
var goes = regexp.MustCompile(`(?m)^\s*go (func\b|[\w.]+\()`)

func TestRulesArePure(t *testing.T) {
	eachGoFile(t, func(folder, path string, imports []string) {
		if !strings.HasPrefix(folder, "rules") || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range imports {
			if slices.Contains(pure, i) {
				t.Errorf("%s imports %s: nothing under rules may", path, i)
			}
		}
		source, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if goes.Match(source) {
			t.Errorf("%s starts a goroutine: nothing under rules may, so that the race detector need not look there", path)
		}
		for _, call := range []string{"time.Now(", "time.Since(", "time.Until("} {
			if strings.Contains(string(source), call) {
				t.Errorf("%s calls %s): the moment is an argument", path, call)
			}
		}
	})
}

func TestTopLevel(t *testing.T) {
	want := []string{"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "cmd", "controller", "dashboards", "examples", "go.mod", "go.sum", "probes", "rules"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(want, name) && !ignored(name) {
			t.Errorf("%s stands at the top level: want only %v", name, want)
		}
	}
}

// ignored are what builds and runs leave behind; .gitignore has them too.
func ignored(name string) bool {
	return name == "signalbox" || name == "signalbox-data" || name == "dist" || strings.HasPrefix(name, "coverage.")
}

// eachGoFile calls do with every Go file of the project, its folder and its imports, all below the root.
func eachGoFile(t *testing.T, do func(folder, path string, imports []string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range file.Imports {
			i, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, i)
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		n++
		do(filepath.Dir(below), below, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Fatalf("found %d Go files: the walk misses the project", n)
	}
}
