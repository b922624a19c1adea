package policy

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"signalbox/rules/route"
)

// The kinds of values that documents of other kinds have beside those of policies.
const (
	kindTruth kind = iota + 100 // true or false
	kindRaw                     // text that YAML may take for a number
)

// Document is a YAML file of another kind than a policy, such as a story. It is read as strictly as a policy, its problems
// are told in the same words and with their places, and its JSON Schema is made from the same tables.
type Document struct {
	parser *parser
	top    Value
}

// OpenDocument reads a file whose top should have the shape. It never fails: what is wrong is among the Problems.
func OpenDocument(f File, s Shape) *Document {
	d := &Document{parser: &parser{policy: &Policy{}, budget: maxComparisons}}
	src := &source{name: f.Name, data: f.Data}
	d.top = Value{node{p: d.parser, file: src, yaml: d.parser.load(src), shape: s.shape}}
	if !d.top.Present() && len(d.parser.problems) == 0 {
		d.top.Say("want %s, got nothing", s.shape.want)
	}
	return d
}

// Top is the whole file.
func (d *Document) Top() Value { return d.top }

// Problems are all that is wrong, by place; nil where nothing is.
func (d *Document) Problems() Problems { return Problems(sorted(slices.Clone(d.parser.problems))) }

// Value is one value of a document, together with what should stand there. Its readers report what is wrong and then
// return the zero value; those of a value that is absent are silent.
type Value struct{ node node }

// Present reports whether the value was written.
func (v Value) Present() bool { return v.node.present() }

// Line is the line of the value in its file, from 1.
func (v Value) Line() int { return v.node.place().line }

// Say reports a problem with the value.
func (v Value) Say(format string, args ...any) { v.node.say(format, args...) }

// SayAt reports a problem with the part of the value's text that begins at a character, from 0.
func (v Value) SayAt(offset int, format string, args ...any) {
	at := v
	if v.Present() {
		at.node.yaml.Line, at.node.yaml.Column = v.Locate(offset)
	}
	at.Say(format, args...)
}

// Locate returns the line and the column in the file of a character of the value's text.
func (v Value) Locate(offset int) (line, column int) {
	return v.node.file.locate(v.node.yaml, offset)
}

// Meant is a suggestion of the candidate that a word was probably meant to be, in brackets after a space, or nothing.
func (v Value) Meant(word string, candidates []string) string {
	return v.node.p.didYouMean(word, candidates)
}

// Raw is the text of a single value as it was written, be it a number, a truth or text.
func (v Value) Raw() (string, bool) {
	s, ok := v.node.scalar("!!str", "!!int", "!!float", "!!bool", "!!timestamp")
	if ok && (strings.TrimSpace(s) == "" || len(s) > maxLine) {
		v.Say("want %s of 1 to %d bytes, got %d", v.node.shape.want, maxLine, len(s))
		return "", false
	}
	return s, ok
}

// maxLine bounds the text of a Raw value, in bytes.
const maxLine = 4096

// Text reads text that is not empty.
func (v Value) Text() (string, bool) { return v.node.text() }

// Word reads one of the words of the shape; "" where it is none of them.
func (v Value) Word() string { return v.node.word() }

// Truth reads true or false.
func (v Value) Truth() bool {
	s, _ := v.node.scalar("!!bool")
	return strings.EqualFold(s, "true")
}

// Duration reads a duration; ok is false where it is none or absent.
func (v Value) Duration() (d time.Duration, ok bool) { return v.node.readDuration() }

// Share reads a share in ten-thousandths.
func (v Value) Share() int { return v.node.percent() }

// Integer reads a whole number.
func (v Value) Integer() int { return v.node.integer() }

// Network reads a network.
func (v Value) Network() route.Network { n, _ := v.node.network(); return n }

// Condition reads and compiles a condition; nil where it has problems or is absent.
func (v Value) Condition() *Condition { return v.node.condition() }

// List reads a list.
func (v Value) List() []Value {
	var out []Value
	for _, n := range v.node.list() {
		out = append(out, Value{n})
	}
	return out
}

// OneOrMore reads a value that may be a list in place of a single one, as of Either; nil where it is absent.
func (v Value) OneOrMore() []Value {
	if !v.Present() {
		return nil
	}
	if v.node.yaml.Kind == yaml.SequenceNode {
		v.node.shape = v.node.shape.orList
		return v.List()
	}
	return []Value{v}
}

// Entry is one key of a dictionary and its value.
type Entry struct {
	Name  string
	Key   Value
	Value Value
}

// Dictionary reads a mapping with keys of the author's choice, in their order.
func (v Value) Dictionary() []Entry {
	var out []Entry
	for _, e := range v.node.dictionary() {
		out = append(out, Entry{e.name, Value{e.key}, Value{e.value}})
	}
	return out
}

// Fields are the values of a mapping with known keys.
type Fields struct{ fields fields }

// Object reads a mapping with known keys and reports the others.
func (v Value) Object() Fields { return Fields{v.node.object()} }

// Read reports whether there was a mapping to read.
func (f Fields) Read() bool { return f.fields.values != nil }

// At is the value of a key; where it was not written, its default.
func (f Fields) At(name string) Value { return Value{f.fields.at(name)} }

// Has reports whether the key was written.
func (f Fields) Has(name string) bool { return f.fields.has(name) }

// Offset is how many characters of text stand before a byte of it.
func Offset(text string, b int) int { return utf8.RuneCountInString(text[:b]) }

// Shape describes one value of a document: what is read there, what the problems say is wanted, and what editors show.
type Shape struct{ shape *shape }

// Key is one key of a mapping.
type Key struct{ key key }

// Required is a key that has to be there.
func Required(name string, s Shape) Key { return Key{required(name, s.shape)} }

// Optional is a key that may be left out.
func Optional(name string, s Shape) Key { return Key{optional(name, s.shape)} }

// WantObject is a mapping with known keys.
func WantObject(want, doc string, keys ...Key) Shape {
	s := object(want, doc)
	for _, k := range keys {
		s.keys = append(s.keys, k.key)
	}
	return Shape{s}
}

// WantList is a list of so many values.
func WantList(each Shape, least, most int64, want, doc string) Shape {
	return Shape{listOf(each.shape, least, most, want, doc)}
}

// WantMap is a mapping with keys of the author's choice.
func WantMap(names, each Shape, least, most int64, want, doc string) Shape {
	return Shape{mapOf(names.shape, each.shape, least, most, want, doc)}
}

// WantText is text. A pattern, where there is one, is for editors only.
func WantText(want, doc, pattern string) Shape {
	s := text(want, doc)
	s.pattern = pattern
	return Shape{s}
}

// WantRaw is text that YAML may take for a number, as 0x3; it is read by Raw. A pattern is for editors only.
func WantRaw(want, doc, pattern string) Shape {
	return Shape{&shape{kind: kindRaw, want: want, doc: doc, pattern: pattern}}
}

// WantWord is one of some words.
func WantWord(doc string, words ...string) Shape { return Shape{word(doc, words...)} }

// WantTruth is true or false.
func WantTruth(doc string) Shape {
	return Shape{&shape{kind: kindTruth, want: "true or false", doc: doc}}
}

// WantDuration is a duration.
func WantDuration(least, most time.Duration, doc string) Shape {
	return Shape{durationFrom(least, most, doc)}
}

// WantShare is a share such as 60%.
func WantShare(doc string) Shape { return Shape{percentFrom(0, route.FullShare, doc)} }

// WantInteger is a whole number.
func WantInteger(least, most int64, doc string) Shape { return Shape{integerFrom(least, most, doc)} }

// WantNetwork is a network.
func WantNetwork(doc string) Shape { return Shape{network.says(doc)} }

// WantCondition is a condition over signals.
func WantCondition(doc string) Shape { return Shape{condition.says(doc)} }

// Or is the shape with a default, as an author would write it.
func (s Shape) Or(def string) Shape { return Shape{s.shape.or(def)} }

// Says is the shape with another text for editors.
func (s Shape) Says(doc string) Shape { return Shape{s.shape.says(doc)} }

// ExactlyOne is the shape of a mapping that wants one of some keys.
func (s Shape) ExactlyOne(keys ...string) Shape {
	t := *s.shape
	return Shape{t.exactlyOne(keys...)}
}

// Either is the shape of a value that may also be a list of such values. It is read by OneOrMore.
func (s Shape) Either(list Shape) Shape {
	t := *s.shape
	t.orList = list.shape
	return Shape{&t}
}

// Schema is the JSON Schema (draft 2020-12) of a document of this shape.
func (s Shape) Schema(title string) []byte { return s.shape.document(title) }

// Signals are the names that conditions can read, as an author writes them.
func Signals() []string {
	var out []string
	for _, v := range variables {
		out = append(out, v.label)
	}
	return out
}
