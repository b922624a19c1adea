package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"

	"signalbox/rules/route"
)

// adviseParts names conditions that are always true, and parts of others that are always the same.
func (r *Rule) adviseParts() []Problem {
	var out []Problem
	for _, c := range []struct {
		when *Condition
		then string
	}{
		{r.Demote.When, "the rule demotes every route that it hears of"},
		{r.Promote.When, "every route comes back as soon as its hold-down is over"},
	} {
		switch can := c.when.can; {
		case !can.true: // said elsewhere
		case !can.false:
			out = append(out, c.when.place.problem("want a condition that can be false, got one that is true whenever it is known: "+c.then+c.when.hint()))
		default:
			out = append(out, c.when.adviseLeaves()...)
		}
	}
	return out
}

// readsCapacityOnly reports whether all that the condition reads is how much a route is asked to carry.
func (c *Condition) readsCapacityOnly() bool {
	for _, v := range c.reads {
		if !(under(v.label, `probe["queue"]`) || under(v.label, `probe["throttle"]`) || v.name == "submit.throttled") {
			return false
		}
	}
	return len(c.reads) > 0
}

// adviseLeaves names the comparisons of the condition that are always the same.
func (c *Condition) adviseLeaves() []Problem {
	var out []Problem
	eachLeaf(c.expr, func(e ast.Expr) {
		can := possibly(e, heard)
		if can == either || can == (possible{}) {
			return
		}
		always := "true"
		if !can.true {
			always = "false"
		}
		out = append(out, c.place.problem(fmt.Sprintf("want comparisons that decide something, got %s, which is always %s%s", c.textOf(e), always, hintOf(e))))
	})
	return out
}

// eachLeaf calls do with every part of a condition that is true or false by itself.
func eachLeaf(e ast.Expr, do func(ast.Expr)) {
	if e.Kind() == ast.CallKind {
		switch call := e.AsCall(); call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
			for _, x := range call.Args() {
				eachLeaf(x, do)
			}
			return
		}
	}
	do(e)
}

// hint is that of the first comparison that has one.
func (c *Condition) hint() (hint string) {
	eachLeaf(c.expr, func(e ast.Expr) {
		if hint == "" {
			hint = hintOf(e)
		}
	})
	return hint
}

// hintOf says what was probably meant by a comparison of a share with more than 1.
func hintOf(e ast.Expr) string {
	l, ok := compares(e)
	if !ok || l.v.high != 1 || !(l.x > 1 && l.x <= 100) {
		return ""
	}
	return fmt.Sprintf("; shares are from 0 to 1: did you mean %s?", trimmed(l.x/100))
}

// trimmed is a number as people write it.
func trimmed(x float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", x), "0"), ".")
}

// adviseHabits names rules that work and are hardly meant: without a hold-down, with a mode that its classes overrule, by
// receipts that come too late to count.
func (p *Policy) adviseHabits(r *Rule) []Problem {
	lanes := p.lanesOf(r)
	if len(lanes) == 0 {
		return nil
	}
	var out []Problem
	if r.HoldDown.Base == 0 {
		out = append(out, r.place.problem("want a hold_down.base such as 5m, got 0s: a route that comes and goes is let back every time, and relapses have nothing to multiply"))
	}
	if r.Mode != "" && r.Mode != route.Observe && !p.allows(r.Mode, lanes) {
		out = append(out, r.place.problem(fmt.Sprintf("want classes whose mode allows %s, got none: of a class and its rule the more careful mode counts", r.Mode)))
	}
	if r.Per == PerNetwork && everyLane(lanes, func(l *Lane) bool { return l.Network.Country() != l.Network && l.Network != route.AnyNetwork }) {
		out = append(out, r.place.problem("want lanes of a country or \"*\" for per: network, got lanes of one network each: per: lane judges the same, and says so"))
	}
	out = append(out, r.adviseNoise()...)
	return append(out, p.adviseDeadlines(r, lanes)...)
}

// tooOften is how many false demotions a month are more than anybody means: one a day.
const tooOften = 30

// adviseNoise names a rule that demotes routes on which all is well every day, by what was measured.
func (r *Rule) adviseNoise() []Problem {
	when := r.Demote.When
	if !when.can.true || !when.can.false || when.Reads("probe") {
		return nil // said elsewhere, or assumed and not measured
	}
	w := world{rate: slices.Index(Rates, 1), lasts: r.Demote.For}
	o := w.often(when, when.expr)
	if o.told != numbers || o.times < tooOften || o.bound == "under" {
		return nil
	}
	return []Problem{when.place.problem(fmt.Sprintf("want a condition that healthy routes meet less than once a day, got one that a healthy route with a message a second meets about %.0f times a month: ask for more evidence, or let it last with for", o.times))}
}

// allows reports whether the class of one of the lanes lets a rule do what the mode says.
func (p *Policy) allows(m route.Mode, lanes []*Lane) bool {
	for _, l := range lanes {
		if c := p.classOf(l); c.Mode == route.Act || c.Mode == m {
			return true
		}
	}
	return false
}

// classOf is how a lane is treated.
func (p *Policy) classOf(l *Lane) *Class {
	if c := p.Class(l.Class); c != nil {
		return c
	}
	return p.anyClass
}

func everyLane(lanes []*Lane, is func(*Lane) bool) bool {
	for _, l := range lanes {
		if !is(l) {
			return false
		}
	}
	return true
}

// LongestWindow is how old messages are, at most, that evidence is looked for in.
const LongestWindow = 7 * time.Hour

// adviseDeadlines names classes in which a rule over receipts hears of silence too late.
func (p *Policy) adviseDeadlines(r *Rule, lanes []*Lane) []Problem {
	if !r.Demote.When.Reads("delivery.evidence") && !r.Demote.When.Reads("delivery.silence") {
		return nil
	}
	var out []Problem
	for _, l := range lanes {
		switch c := p.classOf(l); {
		case c.ReceiptDeadline >= LongestWindow:
			out = append(out, r.Demote.When.place.problem(fmt.Sprintf("want a receipt_deadline under %s for class %s, got %s: silence older than that is not looked at, so the rule never sees any",
				route.Duration(LongestWindow), c.Name, route.Duration(c.ReceiptDeadline))))
		case c.Within > 0 && c.ReceiptDeadline > c.Within:
			out = append(out, r.Demote.When.place.problem(fmt.Sprintf("want a receipt_deadline of no more than %s for class %s, the time in which its messages should arrive, got %s: a silent route is not seen for so long",
				route.Duration(c.Within), c.Name, route.Duration(c.ReceiptDeadline))))
		}
	}
	return sorted(out)
}
