package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// misnamed says what is wrong with a chain of names that is no variable.
func (r *resolver) misnamed(e ast.Expr, chain []string) fault {
	got := strings.Join(chain, ".")
	at := r.start(e)
	if chain[0] == "probe" && len(chain) > 1 && !slices.Contains(probeKinds, chain[1]) {
		return fault{r.keyStart(e, at), fmt.Sprintf("want a kind of probe (%s), got %s%s", alternatives(probeKinds), quote(chain[1]), didYouMean(chain[1], probeKinds))}
	}
	if chain[0] == "probe" && len(chain) > 1 {
		got = `probe["` + chain[1] + `"]` + strings.Join(append([]string{""}, chain[2:]...), ".")
	}
	if fields := fieldsOf(got); len(fields) > 0 {
		return fault{at, fmt.Sprintf("want a field of it, such as %s, got %s", fields[0], asWritten(got))}
	}
	return fault{at, fmt.Sprintf("want a signal such as delivery.evidence, got %s%s", asWritten(got), suggestSignal(got))}
}

// keyStart is where the key in the brackets of probe[…] begins.
func (r *resolver) keyStart(e ast.Expr, otherwise int) int {
	for e.Kind() == ast.SelectKind {
		e = e.AsSelect().Operand()
	}
	if e.Kind() == ast.CallKind {
		if key, ok := probeKey(e); ok {
			return r.start(key)
		}
	}
	return otherwise
}

// fieldsOf are the variables under a name such as delivery.
func fieldsOf(prefix string) []string {
	var out []string
	for _, v := range variables {
		if v.label != prefix && under(v.label, prefix) {
			out = append(out, v.label)
		}
	}
	return out
}

// suggestSignal proposes the variable that is written most like got, or that ends with it.
func suggestSignal(got string) string {
	labels := make([]string, len(variables))
	for i, v := range variables {
		labels[i] = v.label
	}
	if s := Nearest(got, labels); s != "" {
		return suggestion(s)
	}
	for _, label := range labels {
		if strings.HasSuffix(label, "."+got) {
			return suggestion(label)
		}
	}
	return ""
}

func suggestion(label string) string { return " (did you mean " + asWritten(label) + "?)" }

// asWritten quotes a name, unless it has quotes of its own.
func asWritten(name string) string {
	if strings.Contains(name, `"`) {
		return shorten(name)
	}
	return quote(name)
}

// offsetOf is the offset in characters of a place that the parser names by line and column.
func offsetOf(text string, at common.Location) int {
	offset := at.Column()
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < at.Line()-1 && i < len(lines); i++ {
		offset += len([]rune(lines[i]))
	}
	return max(0, offset)
}

var (
	unexpected = regexp.MustCompile(`(?:mismatched input|extraneous input|no viable alternative at input|token recognition error at:) '(.*?)'(?:$| expecting)`)
	missing    = regexp.MustCompile(`missing '(.*?)' at`)
)

// habits are what people write who know other languages, and what they mean here.
var habits = map[string]string{"=": `"=="`, "and": `"&&"`, "or": `"||"`, "not": `"!"`, "AND": `"&&"`, "OR": `"||"`, "NOT": `"!"`, "&": `"&&"`, "|": `"||"`, "<>": `"!="`}

// syntaxFault says the first thing that keeps the text from being read; what follows it is seldom worth saying.
func syntaxFault(text string, issues *cel.Issues) fault {
	first := issues.Errors()[0]
	for _, e := range issues.Errors() {
		if l, f := e.Location, first.Location; l.Line() < f.Line() || l.Line() == f.Line() && l.Column() < f.Column() {
			first = e
		}
	}
	at := offsetOf(text, first.Location)
	runes := []rune(text)
	if at >= len(runes) || strings.Contains(first.Message, "'<EOF>'") {
		return unfinished(text)
	}
	if m := missing.FindStringSubmatch(first.Message); m != nil {
		return fault{at, fmt.Sprintf("want %q here, got %s", m[1], quote(wordAt(runes, at)))}
	}
	if !unexpected.MatchString(first.Message) && !strings.HasPrefix(first.Message, "Syntax error") {
		return fault{at, fmt.Sprintf("want a condition such as delivery.evidence >= 12.0, got one that cannot be read (%s)", shorten(first.Message))}
	}
	got := wordAt(runes, at)
	hint := ""
	if meant, ok := habits[got]; ok {
		hint = " (did you mean " + meant + "?)"
	}
	if before := habitBefore(runes, at, got); before != "" {
		hint = before
	}
	return fault{at, fmt.Sprintf("want a condition such as delivery.evidence >= 12.0, got %s, which does not fit here%s", quote(got), hint)}
}

var (
	endsInDigit = regexp.MustCompile(`[0-9]$`)
	endsInShare = regexp.MustCompile(`%(\s+(and|or|AND|OR))?$`)
)

// habitBefore is a hint where what stands before a place was meant otherwise: 60% of something, 45s, =>, not x, <>.
func habitBefore(runes []rune, at int, got string) string {
	text := string(runes[:at])
	before := strings.TrimRight(text, " \t\r\n")
	switch {
	case endsInShare.MatchString(before):
		return " (a share of 60% is written 0.6)"
	case slices.Contains([]string{"ms", "s", "m", "h", "d"}, got) && endsInDigit.MatchString(text):
		return ` (a duration is written duration("45s"))`
	case got == "=" && at+1 < len(runes) && runes[at+1] == '>':
		return ` (did you mean ">="?)`
	case before == "not" || strings.HasSuffix(before, " not"):
		return ` (not is written "!")`
	case got == ">" && strings.HasSuffix(text, "<"):
		return ` (did you mean "!="?)`
	}
	return ""
}

// unfinished says that something is missing at the end.
func unfinished(text string) fault {
	text = strings.TrimRight(text, " \t\r\n")
	hint := ""
	if strings.HasSuffix(text, "%") {
		hint = " (a share of 60% is written 0.6)"
	}
	return fault{len([]rune(text)), "want the rest of the condition, got its end" + hint}
}

// wordAt is the word at a place, or the sign that stands there.
func wordAt(runes []rune, at int) string {
	letter := func(r rune) bool {
		return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	end := at
	for end < len(runes) && letter(runes[end]) {
		end++
	}
	if end == at {
		end++
	}
	return string(runes[at:end])
}

var (
	overload  = regexp.MustCompile(`^found no matching overload for '(.+?)' applied to '(.*)'$`)
	otherType = regexp.MustCompile(`^expected type '(.+)' but found '(.+)'$`)
)

// typeFaults says which values do not go together.
func typeFaults(text string, parsed *ast.AST, issues *cel.Issues) []fault {
	var out []fault
	for _, e := range issues.Errors() {
		message := "want values that go together, got " + shorten(e.Message)
		if m := overload.FindStringSubmatch(e.Message); m != nil {
			message = mismatch(m[1], m[2])
		} else if m := otherType.FindStringSubmatch(e.Message); m != nil {
			message = fmt.Sprintf("want %s, got %s", typeName(m[1]), typeName(m[2]))
		}
		out = append(out, fault{offsetOf(text, e.Location), message})
	}
	return out
}

// mismatch says what a function or operator wants. The operands come in the form "(double, string)" or "text.(string)".
func mismatch(function, operands string) string {
	got := typeNames(operands)
	name := strings.Trim(strings.TrimPrefix(function, "@"), "_")
	switch function {
	case operators.LogicalAnd, operators.LogicalOr:
		return fmt.Sprintf("want something true or false on both sides of %q, got %s", name, got)
	case operators.LogicalNot:
		return fmt.Sprintf(`want something true or false after "!", got %s`, got)
	case operators.Conditional:
		return fmt.Sprintf(`want a condition before "?" and two values of one type around ":", got %s`, got)
	case operators.In:
		return fmt.Sprintf(`want a value and a list of such values around "in", got %s`, got)
	case operators.Index:
		return fmt.Sprintf(`want a text in the brackets, as in route.tags["tier"], got %s`, got)
	}
	if slices.Contains(symbols, function) {
		return fmt.Sprintf("want values that %q can be used with, got %s%s", name, got, mismatchHint(operands))
	}
	return fmt.Sprintf("want values that %s can be used with, got %s", function, got)
}

func mismatchHint(operands string) string {
	switch {
	case strings.Contains(operands, "duration"):
		return ` (a duration is written duration("30s"))`
	case strings.Contains(operands, "timestamp"):
		return ` (a time is written timestamp("2026-11-23T10:00:00Z"))`
	case strings.Contains(operands, "double") && strings.Contains(operands, "int"):
		return " (write both numbers with a point, as 5.0, or both without)"
	case strings.Contains(operands, "string") && (strings.Contains(operands, "double") || strings.Contains(operands, "int")):
		return " (a number is written without quotes)"
	}
	return ""
}

var typeWords = map[string]string{
	"double": "a number (double)", "int": "a whole number (int)", "bool": "true or false (bool)", "string": "a text (string)",
	"duration": "a duration", "google.protobuf.Duration": "a duration", "timestamp": "a time", "google.protobuf.Timestamp": "a time",
}

func typeName(t string) string {
	if w, ok := typeWords[t]; ok {
		return w
	}
	switch {
	case strings.HasPrefix(t, "map("):
		return "a mapping"
	case strings.HasPrefix(t, "list("):
		return "a list"
	}
	return t
}

// typeNames names the operands of a function, in the form "(double, string)" or "string.(double)".
func typeNames(operands string) string {
	var words []string
	depth, from := 0, 0
	flush := func(to int) {
		if t := strings.Trim(operands[from:to], " ."); t != "" {
			words = append(words, typeName(t))
		}
		from = to + 1
	}
	// The outermost brackets hold the arguments; what stands before them is called on.
	open := strings.Index("."+operands, ".(")
	if open < 0 {
		return operands
	}
	flush(open)
	for i := from; i < len(operands); i++ {
		switch {
		case operands[i] == '(':
			depth++
		case operands[i] == ')' && depth > 0:
			depth--
		case operands[i] == ')', operands[i] == ',' && depth == 0:
			flush(i)
		}
	}
	return strings.Join(words, " and ")
}
