package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"signalbox/rules/policy"
)

// readPolicy reads the policy at path: one file, or the .yml, .yaml and .json files of a folder.
func readPolicy(path string) ([]policy.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = policyFiles(path); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s: want at least one .yml, .yaml or .json file, got none", path)
		}
	}
	files := make([]policy.File, len(names))
	for i, name := range names {
		data, err := readFile(name)
		if err != nil {
			return nil, err
		}
		files[i] = policy.File{Name: name, Data: data}
	}
	return files, nil
}

// maxPolicyFile bounds what is read of one file; the parser refuses what is longer than its own bound.
const maxPolicyFile = 2 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPolicyFile))
}

// policyFiles are the policy's files in a folder, subfolders left out, and stories (.test.yml) too.
func policyFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && isPolicyFile(e.Name()) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	sort.Strings(names)
	return names, nil
}

// isPolicyFile reports whether a file in the folder of a policy is part of it, by its name.
func isPolicyFile(name string) bool {
	ext := filepath.Ext(name)
	if strings.HasPrefix(name, ".") || strings.HasSuffix(strings.TrimSuffix(name, ext), ".test") {
		return false
	}
	return ext == ".yml" || ext == ".yaml" || ext == ".json"
}

// loadPolicy reads and parses the policy at path, and names its revision: the git commit where the files are in a clean
// checkout, else a hash of what they say.
func loadPolicy(path string) (*policy.Policy, error) {
	if path == "" {
		return nil, wrong("signalbox check DIR tries one", errors.New("--policy: want a folder of YAML files, or one file, got nothing"))
	}
	before := gitRevision(path)
	files, err := readPolicy(path)
	if err != nil {
		return nil, wrong("a policy is a folder of YAML files, or one file", fmt.Errorf("read policy: %w", strip(err)))
	}
	p, err := policy.Parse(files)
	if err != nil {
		return nil, wrong("signalbox check "+path+" tries it again; signalbox schema helps your editor", refusedPolicy(err))
	}
	if before != "" && before == gitRevision(path) { // nothing else was checked out while the files were read
		p.Revision = before
	}
	return p, nil
}

// badPolicy is a policy that cannot be used, with all that is wrong with it.
type badPolicy struct{ found policy.Problems }

func refusedPolicy(err error) error {
	var found policy.Problems
	if errors.As(err, &found) {
		return &badPolicy{found}
	}
	return err
}

// Error is one line for each problem, each beginning with its place, so that terminals and editors can go there.
func (b *badPolicy) Error() string {
	return fmt.Sprintf("the policy has %s:\n%s", plural(len(b.found), "problem"), b.found.Error())
}

// Unwrap is the problems as the parser returned them.
func (b *badPolicy) Unwrap() error { return b.found }

// Problems are the problems one by one, for those who answer with a list.
func (b *badPolicy) Problems() []string {
	all := make([]string, len(b.found))
	for i, p := range b.found {
		all[i] = p.String()
	}
	return all
}

// strip says a file error once: the path and what is wrong with it.
func strip(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Path, pe.Err)
	}
	return err
}

// cause is what is wrong with a file, where its path has been said.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
