package repo

import (
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"signalbox/rules/policy"
)

const (
	maxPolicyFile  = 1 << 20  // bytes of one file; the parser takes no longer one
	maxPolicyFiles = 1_000    // as many as the parser takes
	maxPolicyBytes = 64 << 20 // of all files
	maxLinks       = 16       // symbolic links on the way to a file
)

// content is said of what the commit holds.
func content(format string, args ...any) error {
	return &contentError{fmt.Sprintf(format, args...)}
}

// files reads the policy at a path in the commit: one file, or the wanted files of a folder, without those of folders in
// it. It also returns the submodules that lie in the folder, which are not looked into.
func (c *commit) files(at string, wanted func(string) bool) (files []policy.File, submodules []string, err error) {
	name, e, err := c.resolve(at)
	if err != nil {
		return nil, nil, err
	}
	names := []string{name}
	if e.Mode == filemode.Dir {
		if names, submodules, err = c.list(name, e, wanted); err != nil {
			return nil, nil, err
		}
		if len(names) == 0 {
			return nil, nil, content("%s: want at least one .yml, .yaml or .json file, got none", shown(at))
		}
	}
	if len(names) > maxPolicyFiles {
		return nil, nil, content("%s: want at most %d files, got %d", shown(at), maxPolicyFiles, len(names))
	}
	total := 0
	for _, name := range names {
		data, err := c.file(name)
		if err != nil {
			return nil, nil, err
		}
		if total += len(data); total > maxPolicyBytes {
			return nil, nil, content("%s: want at most %d MiB of policy, got more", shown(at), maxPolicyBytes>>20)
		}
		files = append(files, policy.File{Name: name, Data: data})
	}
	return files, submodules, nil
}

// list names the wanted files of a folder, and its submodules.
func (c *commit) list(folder string, e object.TreeEntry, wanted func(string) bool) (names, submodules []string, err error) {
	t, err := c.folder(folder, e)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range t.Entries {
		name := path.Join(folder, e.Name)
		switch {
		case e.Mode == filemode.Submodule:
			submodules = append(submodules, name)
		case e.Mode == filemode.Dir, !wanted(e.Name):
		case e.Name == "" || strings.Contains(e.Name, "/"):
			return nil, nil, content("%q: want a file's name, got one that is none", name)
		default:
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, submodules, nil
}

// resolve finds what stands at a path, and follows symbolic links as far as they stay within the repository. It returns
// the path that they lead to.
func (c *commit) resolve(at string) (string, object.TreeEntry, error) {
	root := object.TreeEntry{Mode: filemode.Dir, Hash: c.root}
	rest, done, here, links := split(at), "", root, 0
	for len(rest) > 0 {
		step := rest[0]
		rest = rest[1:]
		t, err := c.folder(done, here)
		if err != nil {
			return "", here, err
		}
		next := path.Join(done, step)
		e, err := find(t, next, step)
		if err != nil {
			return "", here, err
		}
		if e.Mode != filemode.Symlink {
			done, here = next, *e
			continue
		}
		if links++; links > maxLinks {
			return "", here, content("%s: want at most %d symbolic links on the way, got more", next, maxLinks)
		}
		target, err := c.target(next, e)
		if err != nil {
			return "", here, err
		}
		rest, done, here = append(split(target), rest...), "", root // the target is said from the root
	}
	if here.Mode == filemode.Submodule {
		return "", here, content("%s: want a folder or file of the repository itself, got a submodule", shown(done))
	}
	return done, here, nil
}

func split(p string) []string {
	if p == "" || p == "." {
		return nil
	}
	return strings.Split(p, "/")
}

func find(t *object.Tree, name, step string) (*object.TreeEntry, error) {
	e, err := t.FindEntry(step)
	if err == nil {
		return e, nil
	}
	if !errors.Is(err, object.ErrEntryNotFound) && !errors.Is(err, object.ErrDirectoryNotFound) {
		return nil, err
	}
	var names []string
	for _, e := range t.Entries {
		names = append(names, e.Name)
	}
	meant := ""
	if near := policy.Nearest(step, names); near != "" {
		meant = fmt.Sprintf(" (did you mean %q?)", path.Join(path.Dir(name), near))
	}
	return nil, content("%s: no such file or folder in the repository%s", name, meant)
}

// folder reads an entry that must be a folder.
func (c *commit) folder(name string, e object.TreeEntry) (*object.Tree, error) {
	switch e.Mode {
	case filemode.Dir:
		return object.GetTree(c.store, e.Hash)
	case filemode.Submodule:
		return nil, content("%s: want a folder of the repository itself, got a submodule", name)
	}
	return nil, content("%s: want a folder, got a file", name)
}

// target is where a symbolic link leads, from the root of the repository.
func (c *commit) target(name string, e *object.TreeEntry) (string, error) {
	const longest = 4096
	data, err := c.blob(e.Hash, longest)
	if err != nil {
		return "", err
	}
	to := path.Join(path.Dir(name), string(data))
	if len(data) == longest || path.IsAbs(string(data)) || to == ".." || strings.HasPrefix(to, "../") || strings.ContainsRune(to, 0) {
		return "", content("%s: want a symbolic link that stays within the repository, got one to %.80q", name, data)
	}
	return to, nil
}

// file reads one file.
func (c *commit) file(name string) ([]byte, error) {
	at, e, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	if !e.Mode.IsFile() {
		return nil, content("%s: want a file, got what is none at %s", name, shown(at))
	}
	size, err := c.store.EncodedObjectSize(e.Hash)
	if err != nil {
		return nil, err
	}
	if size > maxPolicyFile {
		return nil, content("%s: want a file of at most %d bytes, got %d", name, maxPolicyFile, size)
	}
	return c.blob(e.Hash, maxPolicyFile)
}

// shown is a path for people.
func shown(p string) string {
	if p == "" {
		return "the root of the repository"
	}
	return p
}

var errNoBlob = errors.New("want a file, got another object")

// blob reads at most so many bytes.
func (c *commit) blob(h plumbing.Hash, most int64) ([]byte, error) {
	o, err := c.store.EncodedObject(plumbing.BlobObject, h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBlob, err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}
