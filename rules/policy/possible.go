package policy

import (
	"math"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// possible is what an expression could say under some signals. Where neither holds, it is always unknown. It errs on
// the side of possible: a part that is not understood can be either.
type possible struct{ true, false bool }

var either = possible{true, true}

// hearing is what may be known of a route.
type hearing int

const (
	heard     hearing = iota // anything
	noTraffic                // nothing that comes from messages: it carries none
	nothing                  // nothing that comes from probes either
)

// deaf reports whether a variable is never known.
func (h hearing) deaf(v *variable) bool {
	return h >= noTraffic && v.traffic || h == nothing && under(v.name, "probe")
}

// possibly looks at what a condition could ever say where no more than that is known of the route.
func possibly(e ast.Expr, h hearing) possible {
	switch e.Kind() {
	case ast.LiteralKind:
		b, ok := e.AsLiteral().(types.Bool)
		if !ok {
			return either
		}
		return possible{true: b == types.True, false: b == types.False}
	case ast.CallKind:
		return possiblyCall(e.AsCall(), h)
	}
	return leaf(e, h)
}

func possiblyCall(call ast.CallExpr, h hearing) possible {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd:
		a, b := possibly(args[0], h), possibly(args[1], h)
		return possible{true: a.true && b.true, false: a.false || b.false}
	case operators.LogicalOr:
		a, b := possibly(args[0], h), possibly(args[1], h)
		return possible{true: a.true || b.true, false: a.false && b.false}
	case operators.LogicalNot:
		a := possibly(args[0], h)
		return possible{true: a.false, false: a.true}
	case operators.Conditional:
		c, a, b := possibly(args[0], h), possibly(args[1], h), possibly(args[2], h)
		return possible{true: c.true && a.true || c.false && b.true, false: c.true && a.false || c.false && b.false}
	}
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	for _, x := range args {
		if readsDeaf(x, h) {
			return possible{}
		}
	}
	if len(args) == 2 {
		return compared(call.FunctionName(), args[0], args[1])
	}
	return either
}

// leaf is a truth by itself: a name, a tag.
func leaf(e ast.Expr, h hearing) possible {
	v := firstRead(e)
	if v == nil || !h.deaf(v) {
		return either
	}
	return possible{false: v.known} // .known says that it is not, the rest says nothing
}

// readsDeaf reports whether the value of e depends on a signal that is never known.
func readsDeaf(e ast.Expr, h hearing) bool {
	found := false
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.IdentKind {
			v := variableByName[x.AsIdent()]
			found = found || v != nil && h.deaf(v) && !v.known
		}
	}))
	return found
}

// compared judges a comparison of a number with a constant by the values that the number can have at all.
func compared(function string, a, b ast.Expr) possible {
	l, ok := leafOf(function, a, b)
	if !ok {
		return either
	}
	v, x := l.v, l.x
	switch l.operator {
	case operators.Less:
		return possible{true: v.low < x, false: v.high >= x}
	case operators.LessEquals:
		return possible{true: v.low <= x, false: v.high > x}
	case operators.Greater:
		return possible{true: v.high > x, false: v.low <= x}
	case operators.GreaterEquals:
		return possible{true: v.high >= x, false: v.low < x}
	case operators.Equals:
		return possible{true: v.low <= x && x <= v.high, false: true}
	case operators.NotEquals:
		return possible{true: true, false: v.low <= x && x <= v.high}
	}
	return either
}

// bounded is the variable and the constant of a comparison; ok is false where it is of another kind.
func bounded(a, b ast.Expr) (v *variable, x float64, ok bool) {
	if a.Kind() != ast.IdentKind || b.Kind() != ast.LiteralKind {
		return nil, 0, false
	}
	switch lit := b.AsLiteral().(type) {
	case types.Double:
		x = float64(lit)
	case types.Int:
		x = float64(lit)
	default:
		return nil, 0, false
	}
	v = variableByName[a.AsIdent()]
	return v, x, v != nil && !math.IsNaN(x)
}

// comparison is a variable compared with a constant.
type comparison struct {
	v        *variable
	operator string // of package operators, with the variable on its left
	x        float64
}

// compares reads a part of a condition as a variable compared with a number.
func compares(e ast.Expr) (comparison, bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return comparison{}, false
	}
	call := e.AsCall()
	return leafOf(call.FunctionName(), call.Args()[0], call.Args()[1])
}

var swapped = map[string]string{
	operators.Less: operators.Greater, operators.LessEquals: operators.GreaterEquals,
	operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals,
	operators.Equals: operators.Equals, operators.NotEquals: operators.NotEquals,
}

func leafOf(function string, a, b ast.Expr) (comparison, bool) {
	if b.Kind() == ast.IdentKind {
		a, b, function = b, a, swapped[function]
	}
	v, x, ok := bounded(a, b)
	return comparison{v, function, x}, ok && swapped[function] != ""
}
