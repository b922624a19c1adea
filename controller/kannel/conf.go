// Package kannel lets the table move the messages of a Kannel site whose senders cannot read it: it writes into Kannel's
// configuration which links take the messages of a label, has bearerbox read it again without a link being bound anew,
// and looks whether the messages follow. Senders send with smsc= the label, and know of no route.
package kannel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// conf is a configuration of Kannel, as it lies in its files. What is not changed in it stays as it is, byte for byte.
type conf struct{ files []*confFile }

type confFile struct {
	path    string
	mode    fs.FileMode
	lines   []string // without their ends
	groups  []group  // of links
	changed bool
}

// group is one "group = smsc", the lines from..to of a file.
type group struct {
	file     *confFile
	from, to int
}

// maxFiles bounds what includes may lead to.
const maxFiles = 256

// readConf reads a file and what it includes.
func readConf(path string) (*conf, error) {
	c := &conf{}
	return c, c.read(path)
}

func (c *conf) read(path string) error {
	if slices.ContainsFunc(c.files, func(f *confFile) bool { return f.path == path }) || len(c.files) == maxFiles {
		return fmt.Errorf("%s: included in a circle, or too many files", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f := &confFile{path: path, mode: info.Mode().Perm(), lines: strings.Split(string(data), "\n")}
	c.files = append(c.files, f)
	f.groups = f.findGroups()
	for _, l := range f.lines {
		if name, value, ok := setting(l); ok && name == "include" {
			if err := c.include(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// include reads an included file, or all files of an included folder.
func (c *conf) include(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return c.read(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), unfinished) {
			if err := c.read(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// unfinished is how the names of files begin that are being written, or that a kill left behind.
const unfinished = ".signalbox-"

// findGroups finds the links. A group ends at an empty line.
func (f *confFile) findGroups() (found []group) {
	for i := 0; i < len(f.lines); i++ {
		if name, value, ok := setting(f.lines[i]); !ok || name != "group" || value != "smsc" {
			continue
		}
		g := group{file: f, from: i, to: i + 1}
		for g.to < len(f.lines) && strings.TrimSpace(f.lines[g.to]) != "" {
			g.to++
		}
		found = append(found, g)
		i = g.to
	}
	return found
}

// setting reads "name = value", whose value may stand in quotes.
func setting(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return "", "", false
	}
	name, value, ok = strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return strings.TrimSpace(name), value, ok
}

// at is the line of a setting in a group, or -1.
func (g group) at(name string) int {
	for i := g.from; i < g.to; i++ {
		if n, _, ok := setting(g.file.lines[i]); ok && n == name {
			return i
		}
	}
	return -1
}

func (g group) value(name string) (value string, ok bool) {
	i := g.at(name)
	if i < 0 {
		return "", false
	}
	_, value, _ = setting(g.file.lines[i])
	return value, true
}

// linksOf are the groups of one smsc-id: a route may have several binds.
func (c *conf) linksOf(id string) (found []group) {
	for _, f := range c.files {
		for _, g := range f.groups {
			if v, _ := g.value("smsc-id"); v == id {
				found = append(found, g)
			}
		}
	}
	return found
}

// ids are the smsc-ids that there are, each once.
func (c *conf) ids() (ids []string) {
	for _, f := range c.files {
		for _, g := range f.groups {
			if v, ok := g.value("smsc-id"); ok && !slices.Contains(ids, v) {
				ids = append(ids, v)
			}
		}
	}
	return ids
}

// The settings that are written.
const (
	allowed   = "allowed-smsc-id"
	preferred = "preferred-smsc-id"
)

// usable says why the links of an smsc-id cannot be told whether they take the messages of a label.
func (c *conf) usable(id, label string) error {
	links := c.linksOf(id)
	if len(links) == 0 {
		return fmt.Errorf("want a group = smsc with smsc-id = %q, got none", id)
	}
	for _, g := range links {
		list, ok := g.value(allowed)
		if !ok || !slices.ContainsFunc(labels(list), func(l string) bool { return l != label }) {
			return fmt.Errorf(`%s: smsc-id = %q: want %s to name another label beside %q, such as the route's own id, so that it never gets empty`, g.file.path, id, allowed, label)
		}
	}
	return nil
}

// use writes whether the links of an smsc-id, which are usable, take the messages of a label, and whether they are
// preferred for them. Other labels stay as they are.
func (c *conf) use(id, label string, takes, prefers bool) {
	for n := range c.linksOf(id) {
		g := c.linksOf(id)[n] // an edit before may have moved it
		list, _ := g.value(allowed)
		g.set(allowed, with(labels(list), label, takes))
		g = c.linksOf(id)[n]
		list, _ = g.value(preferred)
		g.set(preferred, with(labels(list), label, prefers))
	}
}

func labels(list string) (all []string) {
	for _, l := range strings.Split(list, ";") {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	return all
}

// with is a list of labels with or without one.
func with(list []string, label string, in bool) []string {
	has := slices.Contains(list, label)
	switch {
	case in && !has:
		return append(slices.Clone(list), label)
	case !in && has:
		return slices.DeleteFunc(slices.Clone(list), func(l string) bool { return l == label })
	}
	return list
}

// set writes a list of labels; an empty one goes with its line.
func (g group) set(name string, list []string) {
	f, i := g.file, g.at(name)
	was, _ := g.value(name)
	if slices.Equal(labels(was), list) {
		return
	}
	line := name + ` = "` + strings.Join(list, ";") + `"`
	switch {
	case i >= 0 && len(list) == 0:
		f.lines = slices.Delete(f.lines, i, i+1)
	case i >= 0:
		f.lines[i] = line
	default:
		f.lines = slices.Insert(f.lines, g.at("smsc-id")+1, line)
	}
	f.changed, f.groups = true, f.findGroups()
}

// changed are the files that differ from what lies on disk.
func (c *conf) changed() (paths []string) {
	for _, f := range c.files {
		if f.changed {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// write writes the files that have changed, each whole or not at all, with the mode and the owner that it had.
func (c *conf) write() error {
	for _, f := range c.files {
		if !f.changed {
			continue
		}
		if err := f.write(); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		f.changed = false
	}
	return nil
}

func (f *confFile) write() (err error) {
	path, err := filepath.EvalSymlinks(f.path) // the link stays, and the file behind it changes
	if err != nil {
		return err
	}
	t, err := os.CreateTemp(filepath.Dir(path), unfinished+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close(), os.Remove(t.Name()))
		}
	}()
	if _, err = t.WriteString(strings.Join(f.lines, "\n")); err != nil {
		return err
	}
	if err = t.Chmod(f.mode); err != nil {
		return err
	}
	if err = keepOwner(t, path); err != nil {
		return err
	}
	if err = t.Sync(); err != nil {
		return err
	}
	if err = os.Rename(t.Name(), path); err != nil {
		return err
	}
	return t.Close()
}
