package alert

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"signalbox/rules/policy"
)

// Problem is one thing that is wrong with the settings, with its place.
type Problem struct {
	File         string
	Line, Column int
	Path         string // such as webhooks[0].url
	Text         string // want …, got …
}

// Error is the problem on one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Path, p.Text)
}

// Problems is everything that is wrong with the settings.
type Problems []Problem

// Error has a line for each.
func (ps Problems) Error() string { return strings.Join(ps.Problems(), "\n") }

// Problems are the lines one by one.
func (ps Problems) Problems() []string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return lines
}

// decoder fills Go values from YAML by their types: structs by the yaml tags of their fields, none of which may be
// unknown, maps, slices, pointers, texts and whole numbers. It notes the place of all that is wrong and goes on.
type decoder struct {
	file     string
	problems Problems
	places   map[string]*yaml.Node // by path, for what is checked later
}

func (d *decoder) say(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{d.file, n.Line, n.Column, path, fmt.Sprintf(format, args...)})
}

// at says what is wrong with what stands at a path that was read, or with the nearest one above it.
func (d *decoder) at(path, format string, args ...any) {
	up := path
	for d.places[up] == nil {
		i := strings.LastIndexAny(up, ".[")
		if i < 0 {
			d.say(&yaml.Node{Line: 1, Column: 1}, path, format, args...)
			return
		}
		up = up[:i]
	}
	d.say(d.places[up], path, format, args...)
}

// parse reads the one document of a file into v.
func (d *decoder) parse(data []byte, v any) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		d.say(&yaml.Node{Line: lineOf(err), Column: 1}, "file", "want YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if len(document.Content) == 0 {
		d.say(&yaml.Node{Line: 1, Column: 1}, "file", "want a mapping, got an empty file")
		return
	}
	d.decode(document.Content[0], "", reflect.ValueOf(v).Elem())
}

// lineOf is the line that an error of the YAML library names, or 1.
func lineOf(err error) int {
	line := 1
	if _, rest, found := strings.Cut(err.Error(), "line "); found {
		_, _ = fmt.Sscanf(rest, "%d", &line) // where it is no number, it stays 1
	}
	return line
}

func (d *decoder) decode(n *yaml.Node, path string, v reflect.Value) {
	d.places[path] = n
	if to, is := v.Addr().Interface().(*Secret); is {
		d.secret(n, path, to)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, path, v.Elem())
	case reflect.Struct:
		d.structure(n, path, v)
	case reflect.Map:
		d.mapping(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.Int:
		d.word(n, path, "a whole number", func(s string) bool {
			i, err := strconv.Atoi(s)
			v.SetInt(int64(i))
			return err == nil
		})
	case reflect.String:
		d.word(n, path, "a text", func(s string) bool { v.SetString(s); return true })
	default:
		panic("alert: no reader for " + v.Type().String())
	}
}

// secret reads where a secret is; one that is written down here is refused and not repeated.
func (d *decoder) secret(n *yaml.Node, path string, to *Secret) {
	if n.Kind != yaml.MappingNode {
		d.say(n, path, "want {env: NAME} or {file: PATH}, got a value: secrets do not belong into this file")
		return
	}
	d.structure(n, path, reflect.ValueOf(to).Elem())
	if (to.Env == "") == (to.File == "") {
		d.say(n, path, "want {env: NAME} or {file: PATH}, one of them")
	}
}

// word reads what stands in one word.
func (d *decoder) word(n *yaml.Node, path, want string, set func(s string) bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || !set(n.Value) {
		d.want(n, path, want)
	}
}

// want says that something else was wanted. A text is repeated only in part: it may be a secret in the wrong place.
func (d *decoder) want(n *yaml.Node, path, want string) {
	got := "a mapping"
	switch n.Kind {
	case yaml.SequenceNode:
		got = "a list"
	case yaml.AliasNode:
		got = "an alias"
	case yaml.ScalarNode:
		if got = "a text"; n.ShortTag() == "!!null" {
			got = "nothing"
		} else if len(n.Value) <= 12 {
			got = strconv.Quote(n.Value)
		}
	}
	d.say(n, path, "want %s, got %s", want, got)
}

// entries calls do with the keys of a mapping and their values, each key once.
func (d *decoder) entries(n *yaml.Node, path, want string, do func(key string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.want(n, path, want)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge":
			d.want(k, path, "a name as a key")
		case seen[k.Value]:
			d.say(k, join(path, k.Value), "want each key once, got it again")
		default:
			seen[k.Value] = true
			do(k.Value, k, v)
		}
	}
}

func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value) {
	fields, names := map[string]reflect.Value{}, []string{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name], names = v.Field(i), append(names, name)
	}
	d.entries(n, path, "a mapping of "+strings.Join(names, ", "), func(key string, k, value *yaml.Node) {
		if field, known := fields[key]; known {
			d.decode(value, join(path, key), field)
			return
		}
		d.say(k, join(path, key), "want one of %s, got %q%s", strings.Join(names, ", "), shorten(key), didYouMean(key, names))
	})
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.entries(n, path, "a mapping", func(key string, _, value *yaml.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, join(path, key), element)
		v.SetMapIndex(reflect.ValueOf(key), element)
	})
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.want(n, path, "a list")
		return
	}
	for i, value := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, fmt.Sprintf("%s[%d]", path, i), element)
		v.Set(reflect.Append(v, element))
	}
}

// result is all that is wrong, in the order of the places.
func (d *decoder) result() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return d.problems
}

func join(path, key string) string {
	if path == "" {
		return shorten(key)
	}
	return path + "." + shorten(key)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// didYouMean is a suggestion where a name is near.
func didYouMean(word string, names []string) string {
	if near := policy.Nearest(word, names); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}
