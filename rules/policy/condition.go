package policy

import (
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Truth is what a condition says. Its zero value changes nothing.
type Truth int8

// The truths.
const (
	False Truth = iota
	True
	Unknown // a value that would decide is not known
)

// String is the truth in a word.
func (t Truth) String() string {
	switch t {
	case False:
		return "false"
	case True:
		return "true"
	}
	return "unknown"
}

// Condition is a compiled condition. It has no state of its own; one goroutine at a time may judge with it.
type Condition struct {
	text    string
	program cel.Program
	reads   []*variable // in the order of their first appearance
	atoms   []atom
	expr    ast.Expr
	info    *ast.SourceInfo
	can     possible // what it could ever say
	idle    possible // what it could say of a route that carries no messages
	unheard possible // what it could say of a route that neither messages nor probes tell of
	place   place
}

// String is the condition as it was written, without space around it.
func (c *Condition) String() string { return strings.TrimSpace(c.text) }

// Eval judges the condition. It never fails: a value that is not known, or an error in between such as a tag that the
// route does not have, makes it Unknown unless the rest decides.
func (c *Condition) Eval(e *Env) Truth {
	if c == nil || e == nil {
		return Unknown
	}
	out, _, err := c.program.Eval(activation{e})
	if err != nil {
		return Unknown
	}
	switch out {
	case types.True:
		return True
	case types.False:
		return False
	}
	return Unknown
}

// SaysOfUnheard reports whether the condition can be true of a route that neither messages nor probes tell of.
func (c *Condition) SaysOfUnheard() bool { return c != nil && c.unheard.true }

// Reads reports whether the condition reads a name under prefix: "conversion", "delivery.evidence", "probe",
// "probe.bind" or probe["bind"].
func (c *Condition) Reads(prefix string) bool {
	for _, v := range c.reads {
		if under(v.name, prefix) || under(v.label, prefix) {
			return true
		}
	}
	return false
}

// under reports whether name is prefix or one of its fields.
func under(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && prefix != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
