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

// possibly looks at what a condition could ever say; with idle, of a route that carries no messages, so that nothing
// that comes from traffic is known.
func possibly(e ast.Expr, idle bool) possible {
	switch e.Kind() {
	case ast.LiteralKind:
		b, ok := e.AsLiteral().(types.Bool)
		if !ok {
			return either
		}
		return possible{true: b == types.True, false: b == types.False}
	case ast.CallKind:
		return possiblyCall(e.AsCall(), idle)
	}
	return leaf(e, idle)
}

func possiblyCall(call ast.CallExpr, idle bool) possible {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd:
		a, b := possibly(args[0], idle), possibly(args[1], idle)
		return possible{true: a.true && b.true, false: a.false || b.false}
	case operators.LogicalOr:
		a, b := possibly(args[0], idle), possibly(args[1], idle)
		return possible{true: a.true || b.true, false: a.false && b.false}
	case operators.LogicalNot:
		a := possibly(args[0], idle)
		return possible{true: a.false, false: a.true}
	case operators.Conditional:
		c, a, b := possibly(args[0], idle), possibly(args[1], idle), possibly(args[2], idle)
		return possible{true: c.true && a.true || c.false && b.true, false: c.true && a.false || c.false && b.false}
	}
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	for _, x := range args {
		if idle && readsTraffic(x) {
			return possible{}
		}
	}
	if len(args) == 2 {
		return compared(call.FunctionName(), args[0], args[1])
	}
	return either
}

// leaf is a truth by itself: a name, a tag.
func leaf(e ast.Expr, idle bool) possible {
	v := firstRead(e)
	if v == nil || !idle || !v.traffic {
		return either
	}
	return possible{false: v.known} // no traffic: .known says so, the rest says nothing
}

// readsTraffic reports whether the value of e depends on a signal that comes from traffic.
func readsTraffic(e ast.Expr) bool {
	found := false
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.IdentKind {
			v := variableByName[x.AsIdent()]
			found = found || v != nil && v.traffic && !v.known
		}
	}))
	return found
}

// compared judges a comparison of a number with a constant by the values that the number can have at all.
func compared(function string, a, b ast.Expr) possible {
	swapped := map[string]string{
		operators.Less: operators.Greater, operators.LessEquals: operators.GreaterEquals,
		operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals,
		operators.Equals: operators.Equals, operators.NotEquals: operators.NotEquals,
	}
	if a.Kind() == ast.LiteralKind {
		a, b, function = b, a, swapped[function]
	}
	v, x, ok := bounded(a, b)
	if !ok {
		return either
	}
	switch function {
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
