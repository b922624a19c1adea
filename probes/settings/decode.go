package settings

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"signalbox/probes"
	"signalbox/rules/route"
)

// Problem is one thing that is wrong, with its place.
type Problem struct {
	File         string
	Line, Column int
	Path         string // such as routes.acme.smpp.address
	Text         string // want …, got …
}

// Error is the problem on one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Path, p.Text)
}

// Problems is everything that is wrong with a file.
type Problems []Problem

// Error has a line for each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort puts them in the order of their places.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Problems are the lines one by one.
func (ps Problems) Problems() []string {
	return strings.Split(ps.Error(), "\n")
}

// place is where something stands in the file, both from 1.
type place struct{ line, column int }

// Problem is one that is found with settings that were read, such as a file that they name and that is not there: at the
// path, such as routes.acme.smpp.tls, or the nearest one above it that was read.
func (s *Settings) Problem(path, text string) Problem {
	at := place{1, 1}
	for up := path; up != ""; up = above(up) {
		if found, ok := s.places[up]; ok {
			at = found
			break
		}
	}
	return Problem{s.file, at.line, at.column, path, withoutNumbers(text)}
}

// above is the path that another is a part of; "" is the whole file.
func above(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// decoder fills Go values from YAML by their types: structs by the yaml tags of their fields, none of which may be unknown;
// maps, slices, and the words below. It notes the place of all that is wrong and goes on.
type decoder struct {
	file     string
	problems Problems
	places   map[string]*yaml.Node // by path, for what is checked later
}

func (d *decoder) say(n *yaml.Node, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{d.file, n.Line, n.Column, path, withoutNumbers(fmt.Sprintf(format, args...))})
}

// phones are what may be phone numbers in a text. A test number in the wrong place is still nobody's business in a log.
var phones = regexp.MustCompile(`\+?\d{7,15}`)

func withoutNumbers(text string) string { return phones.ReplaceAllStringFunc(text, probes.Masked) }

// at says what is wrong with what stands at a path that was read, or with the nearest one above it.
func (d *decoder) at(path, format string, args ...any) {
	n := d.places[path]
	for up := above(path); n == nil && up != ""; up = above(up) {
		n = d.places[up]
	}
	if n == nil {
		n = &yaml.Node{Line: 1, Column: 1}
	}
	d.say(n, path, format, args...)
}

// want says that something else was wanted. What stands there is repeated only where it is short and no secret.
func (d *decoder) want(n *yaml.Node, path, want string) {
	got := "a mapping"
	switch n.Kind {
	case yaml.SequenceNode:
		got = "a list"
	case yaml.ScalarNode:
		if got = strconv.Quote(shorten(n.Value)); n.ShortTag() == "!!null" {
			got = "nothing"
		}
	case yaml.AliasNode:
		got = "an alias"
	}
	d.say(n, path, "want %s, got %s", want, got)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// words are the types that a scalar is read as, with what each wants.
type words interface {
	word(s string) error // reads a word; an error says what was wanted
}

func (d *decoder) decode(n *yaml.Node, path string, v reflect.Value) {
	d.places[path] = n
	if w, ok := v.Addr().Interface().(*Secret); ok {
		d.secret(n, path, w)
		return
	}
	if done := d.scalar(n, path, v); done {
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
	default:
		panic("settings: no reader for " + v.Type().String())
	}
}

// scalar reads what stands in one word, and reports false of other types.
func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) bool {
	read := func(want string, set func(s string) error) bool {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			d.want(n, path, want)
		} else if err := set(n.Value); err != nil {
			d.say(n, path, "%v", err)
		}
		return true
	}
	switch to := v.Addr().Interface().(type) {
	case words:
		return read("a word", to.word)
	case *route.Duration:
		return read("a duration such as 30s", func(s string) (err error) {
			if *to, err = route.ParseDuration(s); err == nil && *to <= 0 {
				err = fmt.Errorf("want a duration above 0, got %q", s)
			}
			return err
		})
	case *route.Price:
		return read(`a price such as "0.0312 EUR"`, func(s string) (err error) { *to, err = route.ParsePrice(s); return err })
	case *route.Network:
		return read(`a network such as "234-15" or "GB"`, func(s string) (err error) { *to, err = route.ParseNetwork(s); return err })
	case *bool:
		return read("true or false", func(s string) (err error) {
			if *to, err = strconv.ParseBool(s); err != nil {
				err = fmt.Errorf("want true or false, got %q", shorten(s))
			}
			return err
		})
	case *int:
		return read("a whole number", func(s string) (err error) {
			if *to, err = strconv.Atoi(s); err != nil || *to < 0 {
				err = fmt.Errorf("want a whole number of 0 or more, got %q", shorten(s))
			}
			return err
		})
	}
	if v.Kind() == reflect.String {
		return read("a text", func(s string) error { v.SetString(s); return nil })
	}
	return false
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
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" { // the others are not of the file
			fields[name], names = v.Field(i), append(names, name)
		}
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
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
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

func join(path, key string) string {
	if path == "" {
		return shorten(key)
	}
	return path + "." + shorten(key)
}

// didYouMean is a suggestion where a name is near.
func didYouMean(word string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		if n := distance(word, name); n < least {
			best, least = name, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters differ, after V. I. Levenshtein (1966); words that are far too long are far.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// parse reads the one document of a file into v.
func (d *decoder) parse(data []byte, v any) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		d.problems = append(d.problems, Problem{d.file, lineOf(err), 1, "file", "want YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")})
		return
	}
	if len(document.Content) == 0 {
		d.problems = append(d.problems, Problem{d.file, 1, 1, "file", "want a mapping, got an empty file"})
		return
	}
	if alias := findAlias(document.Content[0]); alias != nil {
		d.say(alias, "file", "want no aliases")
		return
	}
	d.decode(document.Content[0], "", reflect.ValueOf(v).Elem())
}

func findAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n
	}
	for _, c := range n.Content {
		if a := findAlias(c); a != nil {
			return a
		}
	}
	return nil
}

// lineOf is the line that an error of the YAML library names, or 1.
func lineOf(err error) int {
	var line int
	_, rest, found := strings.Cut(err.Error(), "line ")
	if _, scan := fmt.Sscanf(rest, "%d", &line); !found || scan != nil {
		return 1
	}
	return line
}

// result is what is wrong, in the order of the places; nil for nothing.
func (d *decoder) result() error {
	if len(d.problems) == 0 {
		return nil
	}
	d.problems.Sort()
	return d.problems
}
