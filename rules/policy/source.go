package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 32      // of mappings and lists within each other; a policy needs eight
)

// source is one file.
type source struct {
	name  string
	data  []byte
	lines []string // of data, split when first asked for
}

// load reads the file's one document; nil where it holds nothing or cannot be read.
func (p *parser) load(src *source) *yaml.Node {
	top := node{p: p, file: src}
	if len(src.data) > maxFile {
		p.unreadable = true
		top.say("want a file of at most %d bytes, got %d", maxFile, len(src.data))
		return nil
	}
	doc, more, err := decode(src.data)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		p.unreadable = true
		top.yaml = &yaml.Node{Line: errorLine(err), Column: 1}
		top.say("want YAML, got text that cannot be read as such (%s)", errorText(err))
		return nil
	case more != nil:
		node{p: p, file: src, yaml: more}.say("want one document in a file, got a second one")
	}
	p.tame(src, doc, 0)
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].ShortTag() == "!!null" {
		return nil
	}
	return doc.Content[0]
}

// decode reads the first document and, where there is one, the second.
func decode(data []byte) (doc, more *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the decoder is fed with bytes from outside
			err = fmt.Errorf("the YAML reader failed: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, nil, err
	}
	more = new(yaml.Node)
	if err := dec.Decode(more); errors.Is(err, io.EOF) {
		return doc, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	return doc, more, nil
}

var yamlLine = regexp.MustCompile(`line ([0-9]+): `)

// fromZero are the beginnings of errors whose line the YAML reader counts from 0: those of its parser, not its scanner.
var fromZero = regexp.MustCompile(`: (did not find expected (node content|key|',' or|'-' indicator|<)|found (duplicate %|undefined tag|incompatible YAML))`)

func errorLine(err error) int {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return 1
	}
	line, err2 := strconv.Atoi(m[1])
	if err2 != nil {
		return 1
	}
	if fromZero.MatchString(err.Error()) {
		line++
	}
	return max(1, line)
}

func errorText(err error) string {
	return shorten(yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), ""))
}

// tame reports what YAML can do and policies do not need: anchors, aliases, and nesting without end. What lies too deep
// is cut off, so that nothing after it recurses further.
func (p *parser) tame(src *source, y *yaml.Node, depth int) {
	n := node{p: p, file: src, yaml: y}
	switch {
	case y.Kind == yaml.AliasNode:
		n.say("want the value itself, got the alias *%s: aliases are not supported", shorten(y.Value))
		y.Alias = nil
	case y.Anchor != "":
		n.say("want the value itself, got the anchor &%s: anchors are not supported", shorten(y.Anchor))
	}
	if depth > maxDepth && len(y.Content) > 0 {
		n.say("want at most %d lists and mappings within each other, got more", maxDepth)
		*y = yaml.Node{Kind: yaml.AliasNode, Line: y.Line, Column: y.Column}
	}
	for _, c := range y.Content {
		p.tame(src, c, depth+1)
	}
}

// locate returns the line and column in the file of the character at offset (in characters) of the scalar y. YAML may
// quote, escape and fold what it holds; where the walk along both loses its way, it returns the place of the scalar.
func (s *source) locate(y *yaml.Node, offset int) (line, column int) {
	c := s.cursor(y)
	i := 0
	for _, r := range y.Value {
		if unicode.IsSpace(r) {
			if i == offset {
				return c.line, c.column
			}
			i++
			continue
		}
		c.skipSpace()
		if i == offset {
			return c.line, c.column
		}
		if !c.consume(r) {
			return y.Line, y.Column
		}
		i++
	}
	return c.line, c.column
}

// cursor walks over the source of a scalar.
type cursor struct {
	source       *source
	style        yaml.Style
	rest         string // of the current line, with "\n" at its end
	line, column int
}

// cursor stands before the first character of the scalar's content.
func (s *source) cursor(y *yaml.Node) *cursor {
	if s.lines == nil {
		s.lines = strings.SplitAfter(strings.ReplaceAll(string(s.data), "\r\n", "\n"), "\n")
	}
	c := &cursor{source: s, style: y.Style}
	c.toLine(y.Line)
	switch {
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		c.toLine(y.Line + 1)
	default:
		for c.column < y.Column && c.rest != "" {
			c.next()
		}
		if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			c.next()
		}
	}
	return c
}

func (c *cursor) toLine(line int) {
	c.line, c.column, c.rest = line, 1, ""
	if line >= 1 && line <= len(c.source.lines) {
		c.rest = c.source.lines[line-1]
	}
}

// next steps over one character and returns it; utf8.RuneError at the end of the file.
func (c *cursor) next() rune {
	r, size := utf8.DecodeRuneInString(c.rest)
	c.rest = c.rest[size:]
	c.column++
	if c.rest == "" {
		c.toLine(c.line + 1)
	}
	return r
}

func (c *cursor) skipSpace() {
	for c.rest != "" {
		if r, _ := utf8.DecodeRuneInString(c.rest); unicode.IsSpace(r) {
			c.next()
			continue
		}
		if c.style&yaml.DoubleQuotedStyle == 0 || len(c.rest) < 2 || c.rest[0] != '\\' || !strings.ContainsRune("nrt \n\t", rune(c.rest[1])) {
			return
		}
		c.next()
		c.next()
	}
}

// consume steps over the source of the character r; false where something else stands there.
func (c *cursor) consume(r rune) bool {
	got := c.next()
	switch {
	case c.style&yaml.DoubleQuotedStyle != 0 && got == '\\':
		for range map[rune]int{'x': 2, 'u': 4, 'U': 8}[c.next()] {
			c.next()
		}
		return true
	case c.style&yaml.SingleQuotedStyle != 0 && got == '\'' && r == '\'':
		return c.next() == '\''
	}
	return got == r
}
