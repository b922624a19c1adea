package policy

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"signalbox/rules/route"
)

// compares reads a part of the condition as a variable compared with a number, or with a duration, in seconds.
func (c *Condition) compares(e ast.Expr) (comparison, bool) {
	if l, ok := compares(e); ok {
		return l, true
	}
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return comparison{}, false
	}
	function, a, b := e.AsCall().FunctionName(), e.AsCall().Args()[0], e.AsCall().Args()[1]
	if b.Kind() == ast.IdentKind {
		a, b, function = b, a, swapped[function]
	}
	x, ok := spanOf(b)
	if !ok || a.Kind() != ast.IdentKind || swapped[function] == "" {
		return comparison{}, false
	}
	v := variableByName[a.AsIdent()]
	return comparison{v, function, x}, v != nil
}

// spanOf is duration("90s"), in seconds.
func spanOf(e ast.Expr) (float64, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "duration" || len(e.AsCall().Args()) != 1 {
		return 0, false
	}
	arg := e.AsCall().Args()[0]
	if arg.Kind() != ast.LiteralKind {
		return 0, false
	}
	s, ok := arg.AsLiteral().(types.String)
	d, err := time.ParseDuration(string(s))
	return d.Seconds(), ok && err == nil
}

// unmeasured says of a part that was not measured whether it is a fact that a fault does not change.
func (c *Condition) unmeasured(e ast.Expr) told {
	out := given
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.IdentKind {
			return
		}
		v := variableByName[x.AsIdent()]
		if v != nil && !v.known && !under(v.name, "route") && !under(v.name, "lane") && !under(v.name, "state") {
			out = untold
		}
	}))
	return out
}

// above reports whether the comparison is true of large values; below of small ones.
func (l *comparison) above() bool {
	return l.operator == operators.Greater || l.operator == operators.GreaterEquals
}

func (l *comparison) below() bool {
	return l.operator == operators.Less || l.operator == operators.LessEquals
}

// holds says whether the comparison is true of a value.
func (l *comparison) holds(value float64) told {
	if l.above() && value >= l.x || l.below() && value <= l.x {
		return given
	}
	return never
}

// counts reports whether the comparison only asks for enough messages.
func (l *comparison) counts() bool { return l.above() && strings.HasSuffix(l.v.name, ".messages") }

// gaugeOf is the gauge that was measured of what the comparison asks; -1 where there is none.
func gaugeOf(l *comparison) int {
	for i := range Gauges {
		if Gauges[i].Signal == l.v.name && (Gauges[i].Below && l.below() || !Gauges[i].Below && l.above()) {
			return i
		}
	}
	return -1
}

// probeKind is the kind of probe that the variable is of, "" where it is of none.
func probeKind(v *variable) string {
	rest, ok := strings.CutPrefix(v.name, "probe.")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, ".")
	return kind
}

// Assumptions are what a policy does not say and its outlook depends on. Zero fields mean the defaults.
type Assumptions struct {
	ProbeInterval time.Duration // from one probe to the next; default 10s, and 60s for receipt and handset
	ProbeTimeout  time.Duration // after which a probe has failed; default 5s, and 60s for receipt and handset
	ProbeFailures float64       // share of probes that fail on a route on which all is well, 0..1; default 1 %

	// Looks are how probes look, by kind, where it is known and ProbeInterval and ProbeTimeout do not say otherwise.
	Looks map[string]Looking
}

// Looking is how often probes of a kind look.
type Looking struct {
	Every   time.Duration // from one look to the next
	Recheck time.Duration // after a failure, until three looks in a row say the same; 0: Every
	Timeout time.Duration // after which a look has failed
}

// settled is how many looks in a row, all good or all bad, end the rechecks.
const settled = 3

const (
	usualInterval = 10 * time.Second
	usualTimeout  = 5 * time.Second
	messageProbe  = time.Minute // interval and timeout of probes that wait for a message
	usualFailures = 0.01
)

// handsOver reports whether a kind of probe hands a message over and waits for what comes of it.
func handsOver(kind string) bool { return kind == "receipt" || kind == "handset" }

// Interval is the time from one probe of a kind to the next.
func (a *Assumptions) Interval(kind string) time.Duration {
	switch {
	case a.ProbeInterval > 0:
		return a.ProbeInterval
	case a.Looks[kind].Every > 0:
		return a.Looks[kind].Every
	case handsOver(kind):
		return messageProbe
	}
	return usualInterval
}

// Timeout is when a probe of a kind has failed.
func (a *Assumptions) Timeout(kind string) time.Duration {
	switch {
	case a.ProbeTimeout > 0:
		return a.ProbeTimeout
	case a.Looks[kind].Timeout > 0:
		return a.Looks[kind].Timeout
	case handsOver(kind):
		return messageProbe
	}
	return usualTimeout
}

// Failures is the share of probes that fail on a route on which all is well.
func (a *Assumptions) Failures() float64 {
	if a.ProbeFailures > 0 {
		return a.ProbeFailures
	}
	return usualFailures
}

// inARow is how many probes must fail for the comparison to be true, of ten where it is about their share; 0 where that
// cannot be told.
func (l *comparison) inARow() (n int, ofTen bool) {
	switch {
	case strings.HasSuffix(l.v.name, ".failures") && l.above():
		if !(l.x >= 0 && l.x <= mostProbes) {
			return 0, false
		}
		n = int(math.Ceil(l.x))
		if l.operator == operators.Greater {
			n = int(math.Floor(l.x)) + 1
		}
		return n, false
	case strings.HasSuffix(l.v.name, ".ok") && l.below():
		for n = 1; n <= 10; n++ {
			if ok := float64(10-n) / 10; ok < l.x || ok == l.x && l.operator == operators.LessEquals {
				return n, true
			}
		}
	}
	return 0, false
}

// failing is how long after a fault so many probes in a row have failed at most. Where it is known how they look, each look
// begins when the one before has ended, and the second and third come soon.
func (a *Assumptions) failing(kind string, n int) time.Duration {
	every, timeout := a.Interval(kind), a.Timeout(kind)
	l, known := a.Looks[kind]
	if !known || a.ProbeInterval > 0 {
		return every*time.Duration(n) + timeout
	}
	if l.Recheck <= 0 || l.Recheck > every {
		l.Recheck = every
	}
	soon := min(n, settled) - 1
	return every + l.Recheck*time.Duration(soon) + every*time.Duration(n-1-soon) + timeout*time.Duration(n)
}

// probed is how long after the fault a comparison of probes is true: what failing says at most, and half an interval less
// typically.
func (w *world) probed(l *comparison, text string) delay {
	kind := probeKind(l.v)
	n, _ := l.inARow()
	switch {
	case n == 0:
		return delay{cause: text}
	case w.fault == Refused && (kind == "submit" || handsOver(kind)), w.fault == BlackHole && handsOver(kind), w.fault == ProbeFails:
	case handsOver(kind) || kind == "http":
		return delay{cause: text + " depends on what the probe sees of it"}
	default:
		return delay{told: never}
	}
	slow := w.failing(kind, n)
	return delay{told: numbers, typical: slow - w.Interval(kind)/2, slow: slow}
}

// probesFailing is how often probes fail by chance as the comparison asks.
func (w *world) probesFailing(l *comparison, text string) often {
	n, ofTen := l.inARow()
	if n == 0 {
		return often{cause: text}
	}
	kind, p := probeKind(l.v), w.Failures()
	every := w.Interval(kind)
	probes := month.Seconds() / every.Seconds()
	times := probes * (1 - p) * math.Pow(p, float64(n)+math.Ceil(w.lasts.Seconds()/every.Seconds()))
	if ofTen { // the window of ten takes a failure in, and lets a success go, with one failure less than asked among the other nine
		times = probes * (1 - p) * p * choose(9, n-1) * math.Pow(p, float64(n-1)) * math.Pow(1-p, float64(10-n))
	}
	return often{told: numbers, times: times, from: fmt.Sprintf("%s: one probe every %s, %s of them failing by chance", text, route.Duration(every), percentOf(p))}
}

func choose(n, k int) float64 {
	out := 1.0
	for i := range k {
		out *= float64(n-i) / float64(i+1)
	}
	return out
}

func percentOf(p float64) string { return trimmed(p*100) + "%" }

// month is what false demotions are counted by.
const month = 30 * 24 * time.Hour

// ProbeKinds are the kinds of probe, from the cheapest to the most telling.
func ProbeKinds() []string { return append([]string(nil), probeKinds...) }
