package policy

import (
	"math"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"signalbox/rules/route"
)

// atom is one comparison of a condition, or one value that is true or false by itself.
type atom struct {
	left, right term
	operator    string
}

// term is one side of a comparison.
type term struct {
	text    string    // as an author writes it
	first   *variable // the first that it reads, nil where it reads none
	value   any       // of a term that reads none
	program cel.Program
}

// Inputs are the comparisons of the condition in the order of its text: the signal, its value, what it was compared
// with, and what the value rests on. Values are float64, string or bool; durations and times are text; nil is unknown.
func (c *Condition) Inputs(e *Env) []route.Input {
	if c == nil || e == nil {
		return nil
	}
	out := make([]route.Input, 0, len(c.atoms))
	for i := range c.atoms {
		a := &c.atoms[i]
		about := a.left.first.about(e)
		out = append(out, route.Input{
			Signal:    a.left.text,
			Value:     a.left.eval(e),
			Operator:  a.operator,
			Threshold: a.right.eval(e),
			Messages:  about.messages,
			Age:       about.age,
		})
	}
	return out
}

func (t *term) eval(e *Env) any {
	switch {
	case t.first == nil:
		return t.value
	case t.program == nil:
		return native(t.first.get(e))
	}
	out, _, err := t.program.Eval(activation{e})
	if err != nil {
		return nil
	}
	return native(out)
}

// native is a value as decisions record it; nil where it is not known.
func native(v ref.Val) any {
	switch x := v.(type) {
	case types.Double:
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil
		}
		return float64(x)
	case types.Int:
		return float64(x)
	case types.String:
		return string(x)
	case types.Bool:
		return bool(x)
	case types.Duration:
		return route.Duration(x.Duration).String()
	case types.Timestamp:
		return x.UTC().Format(time.RFC3339Nano)
	}
	return nil
}

// mirrored is the operator that says the same with its sides swapped.
var mirrored = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

// findAtoms collects the comparisons of a checked condition.
func (c *compiler) findAtoms(checked *ast.AST, reads []*variable) []atom {
	f := &atomFinder{compiler: c, checked: checked, reads: reads}
	f.visit(checked.Expr(), true)
	return f.atoms
}

type atomFinder struct {
	compiler *compiler
	checked  *ast.AST
	reads    []*variable
	atoms    []atom
}

// visit looks into what joins truths, and records what makes them. want is what the part has to be for the whole.
func (f *atomFinder) visit(e ast.Expr, want bool) {
	if e.Kind() != ast.CallKind {
		f.bare(e, want)
		return
	}
	call := e.AsCall()
	args := call.Args()
	switch fn := call.FunctionName(); {
	case fn == operators.LogicalNot:
		f.visit(args[0], !want)
	case fn == operators.LogicalAnd, fn == operators.LogicalOr, fn == operators.Conditional, f.joins(fn, args):
		for _, x := range args {
			f.visit(x, want)
		}
	case call.IsMemberFunction() && len(args) == 1:
		f.add(f.term(call.Target()), fn, f.term(args[0]))
	case len(args) == 2 && fn != operators.Index:
		f.add(f.term(args[0]), symbol(fn), f.term(args[1]))
	default:
		f.bare(e, want)
	}
}

// joins reports whether a comparison is one of truths with truths.
func (f *atomFinder) joins(function string, args []ast.Expr) bool {
	return (function == operators.Equals || function == operators.NotEquals) &&
		f.checked.GetType(args[0].ID()).IsExactType(types.BoolType) && args[0].Kind() == ast.CallKind
}

func symbol(function string) string {
	if s, ok := operators.FindReverse(function); ok && s != "" {
		return s
	}
	return function
}

// bare records what is true or false by itself, such as delivery.known.
func (f *atomFinder) bare(e ast.Expr, want bool) {
	f.add(f.term(e), "==", term{value: want, text: "true"})
}

// add records a comparison with the signal on its left side; one that reads nothing is no input.
func (f *atomFinder) add(left term, operator string, right term) {
	if m, ok := mirrored[operator]; ok && left.first == nil {
		left, right, operator = right, left, m
	}
	if left.first != nil {
		f.atoms = append(f.atoms, atom{left, right, operator})
	}
}

// term prepares one side of a comparison.
func (f *atomFinder) term(e ast.Expr) term {
	t := term{first: firstRead(e)}
	if e.Kind() == ast.IdentKind && t.first != nil {
		t.text = t.first.label
		return t
	}
	t.text = f.text(e)
	if e.Kind() == ast.LiteralKind {
		if t.value = native(e.AsLiteral()); t.value != nil {
			return t
		}
	}
	program, err := f.compiler.env.PlanProgram(ast.NewCheckedAST(ast.NewAST(e, f.checked.SourceInfo()), f.checked.TypeMap(), f.checked.ReferenceMap()), programOptions(f.reads)...)
	if err != nil {
		return t
	}
	t.program = program
	if t.first == nil {
		t.value = t.constant()
	}
	return t
}

// constant is the value of a term that reads nothing; a list is its text.
func (t *term) constant() any {
	out, _, err := t.program.Eval(activation{&Env{}})
	if err != nil {
		return t.text
	}
	if v := native(out); v != nil {
		return v
	}
	return t.text
}

func firstRead(e ast.Expr) *variable {
	var first *variable
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.IdentKind && first == nil {
			first = variableByName[x.AsIdent()]
		}
	}))
	return first
}

// text writes an expression as its author would.
func (f *atomFinder) text(e ast.Expr) string { return exprText(e, f.checked.SourceInfo()) }

// textOf writes a part of the condition as its author would.
func (c *Condition) textOf(e ast.Expr) string { return exprText(e, c.info) }

func exprText(e ast.Expr, info *ast.SourceInfo) string {
	s, err := cel.ExprToString(e, info)
	if err != nil {
		return ""
	}
	for _, kind := range probeKinds {
		s = strings.ReplaceAll(s, "probe."+kind+".", `probe["`+kind+`"].`)
	}
	return s
}
