package repo

import (
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

// put stores an object of a type and returns its hash.
func put(t *testing.T, s *memory.Storage, kind plumbing.ObjectType, write func(plumbing.EncodedObject) error) plumbing.Hash {
	t.Helper()
	o := s.NewEncodedObject()
	o.SetType(kind)
	if err := write(o); err != nil {
		t.Fatal(err)
	}
	h, err := s.SetEncodedObject(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func putText(t *testing.T, s *memory.Storage, kind plumbing.ObjectType, text string) plumbing.Hash {
	t.Helper()
	return put(t, s, kind, func(o plumbing.EncodedObject) error {
		w, err := o.Writer()
		if err != nil {
			return err
		}
		defer w.Close()
		_, err = w.Write([]byte(text))
		return err
	})
}

// putTree stores a folder. Names that end with @ are symbolic links to what is written, those with # are submodules.
func putTree(t *testing.T, s *memory.Storage, files map[string]string) plumbing.Hash {
	t.Helper()
	below := map[string]map[string]string{}
	tree := &object.Tree{}
	add := func(name string, mode filemode.FileMode, h plumbing.Hash) {
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: name, Mode: mode, Hash: h})
	}
	for name, text := range files {
		if folder, rest, ok := strings.Cut(name, "/"); ok {
			if below[folder] == nil {
				below[folder] = map[string]string{}
			}
			below[folder][rest] = text
			continue
		}
		switch {
		case strings.HasSuffix(name, "@"):
			add(name[:len(name)-1], filemode.Symlink, putText(t, s, plumbing.BlobObject, text))
		case strings.HasSuffix(name, "#"):
			add(name[:len(name)-1], filemode.Submodule, plumbing.NewHash("0123456789abcdef0123456789abcdef01234567"))
		default:
			add(name, filemode.Regular, putText(t, s, plumbing.BlobObject, text))
		}
	}
	for folder, files := range below {
		add(folder, filemode.Dir, putTree(t, s, files))
	}
	sort.Sort(object.TreeEntrySorter(tree.Entries))
	return put(t, s, plumbing.TreeObject, tree.Encode)
}

// commitOf is a commit that holds files.
func commitOf(t *testing.T, files map[string]string) *commit {
	t.Helper()
	s := memory.NewStorage()
	raw := fmt.Sprintf("tree %s\nauthor Ada <ada@example.org> 1772420400 +0000\ncommitter Ada <ada@example.org> 1772420400 +0000\n\npolicy\n", putTree(t, s, files))
	c, err := openCommit(s, putText(t, s, plumbing.CommitObject, raw).String())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// yaml wants what the tests call policy files.
func yaml(name string) bool { return path.Ext(name) == ".yml" && !strings.HasPrefix(name, ".") }

func TestWhatIsReadOfACommit(t *testing.T) {
	files := map[string]string{
		"README.md": "x", "a.yml": "a", "link.yml@": "policy/b.yml",
		"policy/c.yml": "c", "policy/b.yml": "b", "policy/.hidden.yml": "x", "policy/notes.txt": "x", "policy/deeper/d.yml": "d", "policy/libs#": "",
		"policy/up.yml@": "../a.yml", "policy/chain.yml@": "up.yml", "policy/deeper.yml@": "deeper/../deeper/./d.yml",
		"here@": "policy", "policy/self@": ".",
	}
	all := "policy/b.yml=b policy/c.yml=c policy/chain.yml=a policy/deeper.yml=d policy/up.yml=a"
	for at, want := range map[string]string{
		"":                 "a.yml=a link.yml=b",
		"policy":           all,
		"here":             all, // a folder behind a symbolic link
		"here/self/deeper": "policy/deeper/d.yml=d",
		"policy/deeper":    "policy/deeper/d.yml=d",
		"policy/c.yml":     "policy/c.yml=c",
		"policy/chain.yml": "a.yml=a",
		"README.md":        "README.md=x", // it was asked for by name
	} {
		t.Run(at, func(t *testing.T) {
			found, submodules, err := commitOf(t, files).files(at, yaml)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, f.Name+"="+string(f.Data))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("got %v, want %s", got, want)
			}
			if want == all && fmt.Sprint(submodules) != "[policy/libs]" {
				t.Errorf("got the submodules %v, want policy/libs", submodules)
			}
		})
	}
}

func TestWhatOfACommitIsRefused(t *testing.T) {
	big := strings.Repeat("#", maxPolicyFile+1)
	many := map[string]string{}
	for i := range maxPolicyFiles + 1 {
		many[fmt.Sprintf("p/%d.yml", i)] = "x"
	}
	for name, c := range map[string]struct {
		files map[string]string
		at    string
		want  string
	}{
		"nothing there":            {map[string]string{"policy/a.yml": "a"}, "polcy", `polcy: no such file or folder in the repository (did you mean "policy"?)`},
		"nothing there, deeper":    {map[string]string{"policy/otp.yml": "a"}, "policy/opt.yml", `policy/opt.yml: no such file or folder in the repository (did you mean "policy/otp.yml"?)`},
		"below a file":             {map[string]string{"policy/a.yml": "a"}, "policy/a.yml/b", "policy/a.yml: want a folder, got a file"},
		"no file of a policy":      {map[string]string{"policy/README.md": "a"}, "policy", "policy: want at least one .yml, .yaml or .json file, got none"},
		"nothing at all":           {map[string]string{"policy/a.yml": "a"}, "", "the root of the repository: want at least one"},
		"a submodule":              {map[string]string{"policy#": ""}, "policy", "policy: want a folder or file of the repository itself, got a submodule"},
		"in a submodule":           {map[string]string{"policy#": ""}, "policy/otp", "policy: want a folder of the repository itself, got a submodule"},
		"a big file":               {map[string]string{"a.yml": big}, "", "a.yml: want a file of at most 1048576 bytes, got 1048577"},
		"many files":               {many, "p", "p: want at most 1000 files, got 1001"},
		"a link to an absolute":    {map[string]string{"a.yml@": "/etc/passwd"}, "", `a.yml: want a symbolic link that stays within the repository, got one to "/etc/passwd"`},
		"a link up and out":        {map[string]string{"p/a.yml@": "../../secret"}, "p", "p/a.yml: want a symbolic link that stays within"},
		"a link out and back":      {map[string]string{"p/a.yml@": "../../p/b.yml", "p/b.yml": "b"}, "p", "p/a.yml: want a symbolic link that stays within"},
		"a folder behind one":      {map[string]string{"p@": "../elsewhere"}, "p/a.yml", "p: want a symbolic link that stays within"},
		"a link to itself":         {map[string]string{"a.yml@": "a.yml"}, "", "a.yml: want at most 16 symbolic links on the way, got more"},
		"two links in a circle":    {map[string]string{"a@": "b", "b@": "a"}, "a", "want at most 16 symbolic links"},
		"a link to nothing":        {map[string]string{"a.yml@": "b.yml"}, "", "b.yml: no such file or folder in the repository"},
		"a link to a folder":       {map[string]string{"a.yml@": "b", "b/c.yml": "c"}, "", "a.yml: want a file, got what is none at b"},
		"a link to a long address": {map[string]string{"a.yml@": strings.Repeat("x", 5000)}, "", "a.yml: want a symbolic link that stays within"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := commitOf(t, c.files).files(c.at, yaml)
			var said *contentError
			if !errors.As(err, &said) {
				t.Fatalf("got %v, want what is wrong with the content", err)
			}
			wantWords(t, err.Error(), c.want)
		})
	}
}

func TestAPathStaysWithinTheRepository(t *testing.T) {
	for p, want := range map[string]string{"": "", ".": "", "./policy/": "policy", "a/../b": "b", "a/..": "", "..policy": "..policy"} {
		if got, err := cleanPath(p); got != want || err != nil {
			t.Errorf("%q: got %q and %v, want %q", p, got, err, want)
		}
	}
	for _, p := range []string{"..", "../x", "a/../../x", "/etc"} {
		if got, err := cleanPath(p); err == nil {
			t.Errorf("%q: got %q, want it refused", p, got)
		}
	}
}
