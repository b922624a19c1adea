package policy

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"signalbox/rules/route"
)

// node is a value of a file together with what should stand there. Its readers report what is wrong and then return the
// zero value; those of a value that is absent are silent.
type node struct {
	p     *parser
	file  *source
	yaml  *yaml.Node // nil where absent
	shape *shape
	path  string
}

func (n node) present() bool { return n.yaml != nil && n.yaml.Kind != yaml.AliasNode }

func (n node) place() place {
	pl := place{file: n.file.name, line: 1, column: 1, path: n.path}
	if n.yaml != nil && n.yaml.Line > 0 {
		pl.line, pl.column = n.yaml.Line, n.yaml.Column
	}
	return pl
}

func (n node) say(format string, args ...any) {
	n.p.add(n.place().problem(fmt.Sprintf(format, args...)))
}

// wrong says that what stands here is not what the shape wants.
func (n node) wrong() { n.say("want %s, got %s", n.shape.want, n.got()) }

// got describes what stands here.
func (n node) got() string {
	switch n.yaml.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.yaml.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float", "!!bool":
		return shorten(n.yaml.Value)
	}
	return quote(n.yaml.Value)
}

// quote is s in double quotes, short enough for a message.
func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// entry is one key of a mapping and its value.
type entry struct {
	name  string
	key   node
	value node
}

// entries reads a mapping: its keys in their order, each once. ok is false where it is no mapping.
func (n node) entries() (out []entry, ok bool) {
	if !n.present() {
		return nil, false
	}
	if n.yaml.Kind != yaml.MappingNode {
		n.wrong()
		return nil, false
	}
	first := make(map[string]*yaml.Node, len(n.yaml.Content)/2)
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		k, v := n.yaml.Content[i], n.yaml.Content[i+1]
		e := entry{k.Value, n.child(k, join(n.path, k.Value)), n.child(v, join(n.path, k.Value))}
		if k.Kind == yaml.AliasNode {
			continue
		}
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" {
			e.key.path = n.path
			e.key.say("want a name as a key, got %s", e.key.got())
			continue
		}
		if before := first[e.name]; before != nil {
			e.key.say("want each key once, got %s again (first at %s)", quote(e.name), node{file: n.file, yaml: before}.place())
			continue
		}
		first[e.name] = k
		out = append(out, e)
	}
	return out, true
}

func (n node) child(y *yaml.Node, path string) node {
	return node{p: n.p, file: n.file, yaml: y, path: path}
}

func join(path, key string) string {
	if path == "" {
		return shorten(key)
	}
	return path + "." + shorten(key)
}

// fields is a mapping whose keys have been checked against its shape.
type fields struct {
	node
	values map[string]entry
}

// object reads a mapping with known keys. Keys that are absent read as absent values.
func (n node) object() fields {
	o := fields{node: n}
	entries, ok := n.entries()
	if !ok {
		return o
	}
	o.values = make(map[string]entry, len(entries))
	meant := map[string]bool{} // keys that were misspelt: they are told once, not missed too
	for _, e := range entries {
		if n.accepts(e) {
			o.values[e.name] = e
		} else {
			meant[Nearest(e.name, n.shape.known())] = true
		}
	}
	for _, k := range n.shape.keys {
		if k.required && !o.has(k.name) && !meant[k.name] {
			o.missing(k)
		}
	}
	o.checkEither(meant)
	return o
}

func (n node) accepts(e entry) bool {
	if n.shape.key(e.name) != nil {
		return true
	}
	known := n.shape.known()
	e.key.say("want %s, got %s%s", alternatives(known), quote(e.name), n.p.didYouMean(e.name, known))
	return false
}

func (o fields) missing(k key) {
	absent := o.node
	absent.path = join(o.path, k.name)
	if k.name == "promote" {
		absent.say("want %s, got nothing: without it the rule would keep every route out that it demotes", k.shape.want)
		return
	}
	absent.say("want %s, got nothing", k.shape.want)
}

// checkEither reports where none or several stand of keys that exclude each other; one that was misspelt has been told.
func (o fields) checkEither(meant map[string]bool) {
	var found []string
	for _, name := range o.shape.either {
		if _, ok := o.values[name]; ok {
			found = append(found, name)
		}
	}
	switch {
	case len(o.shape.either) == 0 || len(found) == 1:
	case len(found) == 0 && slices.ContainsFunc(o.shape.either, func(k string) bool { return meant[k] }):
	case len(found) == 0:
		o.say("want one of %s, got none", alternatives(o.shape.either))
	default:
		o.values[found[1]].key.say("want only one of %s, got both", alternatives(o.shape.either))
	}
}

// at is the value of a key; where it is absent, the default of its shape.
func (o fields) at(name string) node {
	k := o.shape.key(name)
	if e, ok := o.values[name]; ok {
		e.value.shape = k.shape
		return e.value
	}
	n := node{p: o.p, file: o.file, shape: k.shape, path: join(o.path, name)}
	if k.shape.byDefault != "" {
		n.yaml = &yaml.Node{Kind: yaml.ScalarNode, Value: k.shape.byDefault}
	}
	return n
}

// has reports whether the key was written.
func (o fields) has(name string) bool { _, ok := o.values[name]; return ok }

// dictionary reads a mapping with keys of the author's choice, checked against the shape of its names.
func (n node) dictionary() []entry {
	entries, ok := n.entries()
	if !ok || !n.fits(len(entries)) {
		return nil
	}
	out := entries[:0]
	for _, e := range entries {
		e.key.shape, e.value.shape = n.shape.names, n.shape.each
		if e.key.fitsName(e.name) {
			out = append(out, e)
		}
	}
	return out
}

// fitsName checks a key of a dictionary, which is text even where YAML would read a number.
func (n node) fitsName(name string) bool {
	if n.shape.kind == kindNetwork {
		if _, err := route.ParseNetwork(name); err != nil {
			n.say("%s", err)
			return false
		}
		return true
	}
	if n.shape.kind == kindText && name != "" && len(name) <= maxText {
		return true
	}
	if n.shape.kind == kindName && (nameRegexp.MatchString(name) || slices.Contains(n.shape.words, name)) {
		return true
	}
	n.say("want %s (letters, digits, '.', '_' and '-', at most %d), got %s", n.shape.want, maxWord, quote(name))
	return false
}

var nameRegexp = regexp.MustCompile(namePattern)

// fits checks the number of entries against the shape's bounds.
func (n node) fits(count int) bool {
	if int64(count) >= n.shape.min && int64(count) <= n.shape.max {
		return true
	}
	n.say("want %s with %d to %d entries, got %d", n.shape.want, n.shape.min, n.shape.max, count)
	return false
}

// list reads a sequence.
func (n node) list() []node {
	if !n.present() {
		return nil
	}
	if n.yaml.Kind != yaml.SequenceNode {
		n.wrong()
		return nil
	}
	if !n.fits(len(n.yaml.Content)) {
		return nil
	}
	out := make([]node, len(n.yaml.Content))
	for i, y := range n.yaml.Content {
		out[i] = n.child(y, n.path+"["+strconv.Itoa(i)+"]")
		out[i].shape = n.shape.each
	}
	return out
}

// scalar is the text of a single value with one of the tags.
func (n node) scalar(tags ...string) (string, bool) {
	if !n.present() {
		return "", false
	}
	if n.yaml.Kind != yaml.ScalarNode || !slices.Contains(tags, n.yaml.ShortTag()) {
		n.wrong()
		return "", false
	}
	return n.yaml.Value, true
}

// text reads text that is not empty. Numbers and truths have to be quoted.
func (n node) text() (string, bool) {
	if n.present() && n.yaml.Kind == yaml.ScalarNode && slices.Contains([]string{"!!int", "!!float", "!!bool"}, n.yaml.ShortTag()) {
		n.say("want %s, got %s (put it in quotes: %s)", n.shape.want, n.got(), quote(n.yaml.Value))
		return "", false
	}
	s, ok := n.scalar("!!str", "!!timestamp")
	if ok && (s == "" || len(s) > maxText) {
		n.say("want %s of 1 to %d bytes, got %d", n.shape.want, maxText, len(s))
		return "", false
	}
	return s, ok
}

// name reads an id.
func (n node) name() (string, bool) {
	s, ok := n.text()
	return s, ok && n.fitsName(s)
}

// word reads one of the shape's words.
func (n node) word() string {
	s, ok := n.scalar("!!str")
	if !ok || slices.Contains(n.shape.words, s) {
		return s
	}
	n.say("want %s, got %s%s", n.shape.want, quote(s), n.p.didYouMean(s, n.shape.words))
	return ""
}

func (n node) mode() route.Mode { return route.Mode(n.word()) }

func (n node) network() (route.Network, bool) {
	s, ok := n.scalar("!!str")
	if !ok {
		return "", false
	}
	net, err := route.ParseNetwork(s)
	if err != nil {
		n.say("%s", err)
	}
	return net, err == nil
}

// networks reads a list of networks without repeats.
func (n node) networks() []route.Network {
	var out []route.Network
	for _, item := range n.list() {
		net, ok := item.network()
		if ok && slices.Contains(out, net) {
			item.say("want each network once, got %s again", quote(string(net)))
			continue
		}
		if ok {
			out = append(out, net)
		}
	}
	return out
}

func (n node) duration() time.Duration { d, _ := n.readDuration(); return d }

func (n node) readDuration() (time.Duration, bool) {
	s, ok := n.scalar("!!str", "!!int")
	if !ok {
		return 0, false
	}
	d, err := route.ParseDuration(s)
	if err != nil {
		n.wrong()
		return 0, false
	}
	if int64(d) < n.shape.min || int64(d) > n.shape.max {
		n.say("want a duration from %s to %s, got %s", route.Duration(n.shape.min), route.Duration(n.shape.max), quote(s))
		return 0, false
	}
	return d.D(), true
}

// decimalRegexp is a plain decimal with at most six digits after the point: no sign, no exponent.
var decimalRegexp = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,6})?$`)

// millionths reads a plain decimal exactly, in millionths.
func millionths(s string) (int64, bool) {
	if !decimalRegexp.MatchString(s) {
		return 0, false
	}
	whole, part, _ := strings.Cut(s, ".")
	v, err := strconv.ParseInt(whole+(part + "000000")[:6], 10, 64)
	return v, err == nil
}

// percent reads a share in ten-thousandths.
func (n node) percent() int {
	s, ok := n.scalar("!!str", "!!int", "!!float")
	if !ok {
		return 0
	}
	v, ok := millionths(strings.TrimSuffix(s, "%"))
	if !ok || !strings.HasSuffix(s, "%") || v%10_000 != 0 {
		n.say("want %s, in steps of 0.01%%, got %s", n.shape.want, n.got())
		return 0
	}
	if v /= 10_000; v < n.shape.min || v > n.shape.max {
		n.say("want a share from %s to %s, got %s", percentText(n.shape.min), percentText(n.shape.max), n.got())
		return 0
	}
	return int(v)
}

// percentText is ten-thousandths as an author would write them.
func percentText(v int64) string { return strconv.FormatFloat(float64(v)/100, 'f', -1, 64) + "%" }

func (n node) integer() int {
	s, ok := n.scalar("!!int", "!!float")
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil || v < n.shape.min || v > n.shape.max {
		n.say("want %s from %d to %d, got %s", n.shape.want, n.shape.min, n.shape.max, n.got())
		return 0
	}
	return int(v)
}

// number reads a plain decimal in millionths.
func (n node) number() int64 {
	s, ok := n.scalar("!!int", "!!float")
	if !ok {
		return 0
	}
	v, ok := millionths(s)
	if !ok || v < n.shape.min*1_000_000 || v > n.shape.max*1_000_000 {
		n.say("want %s, from %d to %d, got %s", n.shape.want, n.shape.min, n.shape.max, n.got())
		return 0
	}
	return v
}

var rateRegexp = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,6})?)/([smh])$`)

// rate reads messages in a time, in messages a second.
func (n node) rate() float64 {
	s, ok := n.scalar("!!str", "!!int", "!!float")
	if !ok {
		return 0
	}
	m := rateRegexp.FindStringSubmatch(s)
	if m == nil {
		n.wrong()
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		n.wrong()
		return 0
	}
	return v / map[string]float64{"s": 1, "m": 60, "h": 3600}[m[2]]
}

var priceRegexp = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})? [A-Z]{3}$`)

func (n node) price() (route.Price, bool) {
	s, ok := n.scalar("!!str", "!!int", "!!float")
	if !ok {
		return route.Price{}, false
	}
	p, err := route.ParsePrice(s)
	if err != nil || !priceRegexp.MatchString(s) {
		n.wrong()
		return route.Price{}, false
	}
	return p, true
}
