package policy

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

const (
	maxCondition = 4 << 10 // bytes of a condition
	maxCost      = 10_000  // of judging it once, in CEL's units: about one for each name and operator
	maxNesting   = 64      // brackets within each other
)

// functions are what conditions can call. Nothing here can loop, read a clock or load a time zone.
var functions = []string{"contains", "double", "duration", "endsWith", "int", "size", "startsWith", "timestamp"}

// symbols are the operators that conditions can use.
var symbols = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
	operators.Index, operators.In,
}

// compiler turns the text of conditions into programs.
type compiler struct{ env *cel.Env }

func newCompiler() (*compiler, error) {
	subset := &env.LibrarySubset{IncludeMacros: []string{operators.Has}}
	for _, f := range append(symbols[:len(symbols):len(symbols)], functions...) {
		subset.IncludeFunctions = append(subset.IncludeFunctions, &env.Function{Name: f})
	}
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserErrorRecoveryLimit(4),
	}
	for _, v := range variables {
		opts = append(opts, cel.Variable(v.name, v.typ))
	}
	e, err := cel.NewCustomEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("prepare conditions: %w", err)
	}
	return &compiler{e}, nil
}

// fault is one problem of a condition.
type fault struct {
	offset  int // in characters from its beginning
	message string
}

// compile returns the condition, or what is wrong with it.
func (c *compiler) compile(text string) (*Condition, []fault) {
	if len(text) > maxCondition {
		return nil, []fault{{0, fmt.Sprintf("want a condition of at most %d bytes, got %d", maxCondition, len(text))}}
	}
	if strings.TrimSpace(text) == "" {
		return nil, []fault{{0, "want a condition such as delivery.evidence >= 12.0, got nothing"}}
	}
	parsed, issues := c.env.Parse(text)
	if issues.Err() != nil {
		return nil, []fault{syntaxFault(text, issues)}
	}
	names := &resolver{info: parsed.NativeRep().SourceInfo(), text: []rune(text)}
	if names.resolve(parsed.NativeRep().Expr()); len(names.faults) > 0 {
		return nil, names.faults
	}
	checked, issues := c.env.Check(parsed)
	if issues.Err() != nil {
		return nil, typeFaults(text, parsed.NativeRep(), issues)
	}
	if f := c.refuse(checked, names); f != nil {
		return nil, []fault{*f}
	}
	return c.plan(text, checked, names.reads)
}

// refuse reports a condition that is well formed and no use.
func (c *compiler) refuse(checked *cel.Ast, names *resolver) *fault {
	root := checked.NativeRep().Expr()
	if t := checked.OutputType(); !t.IsExactType(types.BoolType) {
		return &fault{names.start(root), fmt.Sprintf("want a condition that is true or false, got one of type %s%s", strings.ToLower(strings.TrimPrefix(t.String(), "google.protobuf.")), compareHint(t))}
	}
	if len(names.reads) == 0 {
		return &fault{names.start(root), "want a condition that reads a signal such as delivery.evidence, got one that is always the same"}
	}
	cost, err := c.env.EstimateCost(checked, sizes{})
	if err != nil || cost.Max > maxCost {
		return &fault{0, fmt.Sprintf("want a condition that is judged in %d steps, got one that may take more", maxCost)}
	}
	return nil
}

func compareHint(t *cel.Type) string {
	switch t.Kind() {
	case types.DoubleKind, types.IntKind:
		return " (compare it with a number, as in delivery.evidence >= 12.0)"
	case types.DurationKind:
		return ` (compare it with a duration, as in delivery.age < duration("60s"))`
	case types.StringKind:
		return ` (compare it with a text, as in lane.class == "otp")`
	}
	return ""
}

func (c *compiler) plan(text string, checked *cel.Ast, reads []*variable) (*Condition, []fault) {
	program, err := c.env.Program(checked, programOptions(reads)...)
	if err != nil {
		return nil, []fault{{0, fmt.Sprintf("want a condition that can be judged, got one that cannot: %v", err)}}
	}
	root := checked.NativeRep().Expr()
	cond := &Condition{text: text, program: program, reads: reads, expr: root, info: checked.NativeRep().SourceInfo(), can: possibly(root, heard), idle: possibly(root, noTraffic), unheard: possibly(root, nothing)}
	cond.atoms = c.findAtoms(checked.NativeRep(), reads)
	return cond, nil
}

// programOptions bound the cost of judging. Where everything that is read has a fixed size, the estimate at load is the
// bound, and counting again each time would only make judging six times slower.
func programOptions(reads []*variable) []cel.ProgramOption {
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	for _, v := range reads {
		if k := v.typ.Kind(); k == types.StringKind || k == types.MapKind {
			return append(opts, cel.CostLimit(maxCost))
		}
	}
	return opts
}

// sizes tells the cost estimate how long the texts are that conditions read.
type sizes struct{}

// EstimateSize bounds a text, or the number of tags of a route.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: maxText}
}

// EstimateCallCost leaves functions to CEL.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// resolver replaces chains of names by the variables that they mean, and reports those that mean none.
type resolver struct {
	info   *ast.SourceInfo
	text   []rune
	reads  []*variable
	faults []fault
}

func (r *resolver) resolve(e ast.Expr) {
	if chain, ok := chainOf(e); ok && r.replace(e, chain) {
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		r.selection(e)
	case ast.CallKind:
		r.call(e)
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.resolve(x)
		}
	case ast.MapKind, ast.StructKind:
		r.fault(e, "want a condition over signals, got {…}, which has no use here")
	}
}

// chainOf is the chain of names that e is, such as delivery, evidence or probe, bind, failures.
func chainOf(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return []string{e.AsIdent()}, true
	case ast.SelectKind:
		s := e.AsSelect()
		if chain, ok := chainOf(s.Operand()); ok && !s.IsTestOnly() {
			return append(chain, s.FieldName()), true
		}
	case ast.CallKind:
		if kind, ok := probeKey(e); ok && kind.Kind() == ast.LiteralKind {
			if s, ok := kind.AsLiteral().(types.String); ok {
				return []string{"probe", string(s)}, true
			}
		}
	}
	return nil, false
}

// probeKey is what stands in the brackets of probe[…].
func probeKey(e ast.Expr) (ast.Expr, bool) {
	call := e.AsCall()
	if call.FunctionName() != operators.Index || len(call.Args()) != 2 {
		return nil, false
	}
	of := call.Args()[0]
	return call.Args()[1], of.Kind() == ast.IdentKind && of.AsIdent() == "probe"
}

// replace turns the chain into its variable. It returns false where a part of it has to be looked at by itself: the
// fields of route.tags.
func (r *resolver) replace(e ast.Expr, chain []string) bool {
	if v := variableByName[strings.Join(chain, ".")]; v != nil {
		r.info.SetOffsetRange(e.ID(), ast.OffsetRange{Start: int32(r.start(e)), Stop: int32(r.start(e) + len(v.label))})
		e.SetKindCase(ast.NewExprFactory().NewIdent(e.ID(), v.name))
		r.read(v)
		return true
	}
	if len(chain) == 3 && chain[0] == "route" && chain[1] == "tags" {
		return false
	}
	r.faults = append(r.faults, r.misnamed(e, chain))
	return true
}

func (r *resolver) read(v *variable) {
	for _, seen := range r.reads {
		if seen == v {
			return
		}
	}
	r.reads = append(r.reads, v)
}

func (r *resolver) selection(e ast.Expr) {
	s := e.AsSelect()
	if s.IsTestOnly() {
		if chain, ok := chainOf(s.Operand()); !ok || strings.Join(chain, ".") != "route.tags" {
			r.fault(e, "want a tag such as route.tags.tier in has(…), got something else (whether a signal is known is, for example, delivery.known)")
			return
		}
	}
	r.resolve(s.Operand())
}

func (r *resolver) call(e ast.Expr) {
	call := e.AsCall()
	if _, ok := probeKey(e); ok {
		r.fault(e, `want one of the kinds of probe in quotes, as in probe["bind"].failures, got something else in the brackets`)
		return
	}
	if f := call.FunctionName(); !known(f) {
		r.faults = append(r.faults, fault{r.nameStart(e, f), fmt.Sprintf("want one of the functions %s, got %s%s", alternatives(functions), quote(f), didYouMean(f, functions))})
		return
	}
	if call.IsMemberFunction() {
		r.resolve(call.Target())
	}
	for _, x := range call.Args() {
		r.resolve(x)
	}
	r.literal(call)
	coerce(e)
}

func known(function string) bool {
	for _, list := range [][]string{symbols, functions} {
		for _, f := range list {
			if f == function {
				return true
			}
		}
	}
	return false
}

// literal checks the text given to duration and timestamp, which would otherwise fail each time it is judged.
func (r *resolver) literal(call ast.CallExpr) {
	if len(call.Args()) != 1 || call.Args()[0].Kind() != ast.LiteralKind {
		return
	}
	s, ok := call.Args()[0].AsLiteral().(types.String)
	if !ok {
		return
	}
	switch call.FunctionName() {
	case "duration":
		if _, err := time.ParseDuration(string(s)); err != nil {
			r.fault(call.Args()[0], `want a duration such as duration("90s") or duration("1h30m"), got %s`, quote(string(s)))
		}
	case "timestamp":
		if _, err := time.Parse(time.RFC3339, string(s)); err != nil {
			r.fault(call.Args()[0], `want a time such as timestamp("2026-11-23T10:00:00Z"), got %s`, quote(string(s)))
		}
	case "double", "int":
		r.fault(call.Args()[0], "want a number, got %s", quote(string(s)))
	}
}

func (r *resolver) fault(e ast.Expr, format string, args ...any) {
	r.faults = append(r.faults, fault{r.start(e), fmt.Sprintf(format, args...)})
}

// start is where the text of e begins, which for a + b is where a does.
func (r *resolver) start(e ast.Expr) int {
	first := math.MaxInt
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		name := ""
		if x.Kind() == ast.CallKind {
			name = x.AsCall().FunctionName()
		} else if x.Kind() == ast.SelectKind && x.AsSelect().IsTestOnly() {
			name = operators.Has
		}
		first = min(first, r.nameStart(x, name))
	}))
	if first == math.MaxInt {
		return 0
	}
	return first
}

// nameStart is where e has its mark, or the name before it: the mark of a call is its bracket.
func (r *resolver) nameStart(e ast.Expr, name string) int {
	at, ok := r.info.GetOffsetRange(e.ID())
	if !ok {
		return math.MaxInt
	}
	mark := int(at.Start)
	if before := mark - len(name); before >= 0 && mark <= len(r.text) && string(r.text[before:mark]) == name {
		return before
	}
	return mark
}

// coerce writes a whole number beside a double as a double, so that delivery.messages == 5 means what it says.
func coerce(e ast.Expr) {
	call := e.AsCall()
	if len(call.Args()) != 2 || !numeric(call.FunctionName()) {
		return
	}
	a, b := call.Args()[0], call.Args()[1]
	if isDouble(a) {
		toDouble(b)
	}
	if isDouble(b) {
		toDouble(a)
	}
}

func numeric(function string) bool {
	switch function {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		return true
	}
	return false
}

// isDouble reports whether e is a double as far as can be told before types are checked.
func isDouble(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		v := variableByName[e.AsIdent()]
		return v != nil && v.typ.IsExactType(types.DoubleType)
	case ast.LiteralKind:
		_, ok := e.AsLiteral().(types.Double)
		return ok
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate:
			return isDouble(call.Args()[0])
		case "double":
			return true
		}
	}
	return false
}

func toDouble(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		return
	}
	if i, ok := e.AsLiteral().(types.Int); ok {
		e.SetKindCase(ast.NewExprFactory().NewLiteral(e.ID(), types.Double(i)))
	}
}
