package story

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// The names of the keys of facts.
var (
	subjectNames  = []string{"lane", "class", "network", "route"}
	stateNames    = []string{"phase", "share", "admin", "order", "shares", "when"}
	decisionNames = []string{"to", "rule", "reason", "mode", "enforced", "text", "guard", "price_change"}
)

// facts are what is said of a route, a lane or a decision. What is not said is the zero value.
type facts struct {
	phase  route.Phase
	share  *int // ten-thousandths
	admin  route.Admin
	order  []route.ID
	shares []shareOf
	when   *policy.Condition

	to       route.Phase
	rule     string
	reason   route.Reason
	mode     route.Mode
	enforced *bool
	text     string
	guard    string
	price    string

	ruleAt policy.Value
	idsAt  []policy.Value // the route ids of order and shares
}

type shareOf struct {
	route route.ID
	share int
}

func readFacts(o policy.Fields) facts {
	f := readDecision(o)
	f.phase, f.admin, f.when = route.Phase(o.At("phase").Word()), route.Admin(o.At("admin").Word()), o.At("when").Condition()
	if o.Has("share") {
		f.share = ptr(o.At("share").Share())
	}
	for _, v := range o.At("order").List() {
		id, _ := v.Text()
		f.order, f.idsAt = append(f.order, route.ID(id)), append(f.idsAt, v)
	}
	for _, e := range o.At("shares").Dictionary() {
		f.shares, f.idsAt = append(f.shares, shareOf{route.ID(e.Name), e.Value.Share()}), append(f.idsAt, e.Key)
	}
	return f
}

// readDecision reads the facts of a decision.
func readDecision(o policy.Fields) facts {
	f := facts{
		to: route.Phase(o.At("to").Word()), reason: route.Reason(o.At("reason").Word()), mode: route.Mode(o.At("mode").Word()),
		enforced: readTruth(o, "enforced"), ruleAt: o.At("rule"),
	}
	f.rule, _ = f.ruleAt.Text()
	f.text, _ = o.At("text").Text()
	f.guard, _ = o.At("guard").Text()
	f.price, _ = o.At("price_change").Text()
	return f
}

func readTruth(o policy.Fields, name string) *bool {
	if !o.Has(name) {
		return nil
	}
	return ptr(o.At(name).Truth())
}

func (f *facts) bind(p *policy.Policy) {
	if f.rule != "" && !slices.ContainsFunc(p.Rules, func(r policy.Rule) bool { return r.Name == f.rule }) {
		var names []string
		for i := range p.Rules {
			names = append(names, p.Rules[i].Name)
		}
		f.ruleAt.Say("want a rule of the policy, got %s%s", quote(f.rule), f.ruleAt.Meant(f.rule, names))
	}
	for i, id := range f.ids() {
		if p.Route(id) == nil {
			f.idsAt[i].Say("want a route of the policy, got %s%s", quote(string(id)), f.idsAt[i].Meant(string(id), namesOf(p)))
		}
	}
}

// ids are the routes that the facts name, in the order of idsAt.
func (f *facts) ids() []route.ID {
	out := slices.Clone(f.order)
	for _, s := range f.shares {
		out = append(out, s.route)
	}
	return out
}

// ofState reports whether something is said that holds for a time.
func (f *facts) ofState() bool { return f.ofRoute() || f.order != nil || f.shares != nil }

// ofRoute reports whether something is said of one route.
func (f *facts) ofRoute() bool { return f.firstOfRoute() != "" }

// firstOfRoute is the key of the first thing that is said of one route.
func (f *facts) firstOfRoute() string {
	switch {
	case f.phase != "":
		return "phase"
	case f.share != nil:
		return "share"
	case f.admin != "":
		return "admin"
	case f.when != nil:
		return "when"
	}
	return ""
}

func (f *facts) ofDecision() bool {
	return f.to != "" || f.rule != "" || f.reason != "" || f.mode != "" || f.enforced != nil || f.text != "" || f.guard != "" || f.price != ""
}

// fact is one thing that is wanted, and what there is.
type fact struct {
	name string
	want string
	got  string
	ok   bool
}

func same[T ~string](name string, want, got T) fact {
	return fact{name, string(want), cmp.Or(string(got), "none"), want == got}
}

// ofEntry compares what is said of a route with its entry in a lane's table.
func (f *facts) ofEntry(e *route.Entry) []fact {
	var out []fact
	if f.phase != "" {
		out = append(out, same("phase", f.phase, e.Phase))
	}
	if f.share != nil {
		out = append(out, fact{"share", percent(*f.share), percent(e.Share), *f.share == e.Share})
	}
	if f.admin != "" {
		out = append(out, same("admin", f.admin, cmp.Or(e.Admin, route.AdminAuto)))
	}
	return out
}

// ofTable compares what is said of a lane with its table.
func (f *facts) ofTable(l *route.LaneTable) []fact {
	var out []fact
	if f.order != nil {
		var got []string
		for _, e := range l.Routes {
			got = append(got, string(e.Route))
		}
		var want []string
		for _, id := range f.order {
			want = append(want, string(id))
		}
		out = append(out, fact{"order", bracket(want), bracket(got), slices.Equal(want, got)})
	}
	if f.shares != nil {
		out = append(out, f.compareShares(l))
	}
	return out
}

func (f *facts) compareShares(l *route.LaneTable) fact {
	var want, got []string
	ok := true
	for _, s := range f.shares {
		want = append(want, string(s.route)+" "+percent(s.share))
		i := slices.IndexFunc(l.Routes, func(e route.Entry) bool { return e.Route == s.route })
		ok = ok && i >= 0 && l.Routes[i].Share == s.share
	}
	for _, e := range l.Routes {
		got = append(got, string(e.Route)+" "+percent(e.Share))
	}
	return fact{"shares", bracket(want), bracket(got), ok}
}

// of compares what is said of a decision with one.
func (f *facts) of(d *route.Decision) []fact {
	var out []fact
	if f.to != "" {
		out = append(out, same("to", f.to, d.To))
	}
	if f.rule != "" {
		out = append(out, same("rule", f.rule, d.Rule))
	}
	if f.reason != "" {
		out = append(out, same("reason", f.reason, d.Reason))
	}
	if f.mode != "" {
		out = append(out, same("mode", f.mode, d.Mode))
	}
	if f.enforced != nil {
		out = append(out, fact{"enforced", strconv.FormatBool(*f.enforced), strconv.FormatBool(d.Enforced), *f.enforced == d.Enforced})
	}
	if f.text != "" {
		out = append(out, fact{"text", quote(f.text), strconv.Quote(d.Text), strings.Contains(d.Text, f.text)})
	}
	if f.guard != "" {
		got := holding(d)
		out = append(out, fact{"guard", f.guard, cmp.Or(strings.Join(got, " and "), "none"), slices.Contains(got, f.guard)})
	}
	if f.price != "" {
		out = append(out, same("price_change", f.price, d.PriceChange))
	}
	return out
}

// holding are the guards that hold a decision or lower its mode.
func holding(d *route.Decision) []string {
	var out []string
	for _, g := range d.Guards {
		if g.Result != "pass" && g.Result != "" {
			out = append(out, g.Guard)
		}
	}
	return out
}

// want is the facts in words.
func (f *facts) want() string {
	var out []string
	for _, x := range slices.Concat(f.ofEntry(&route.Entry{}), f.ofTable(&route.LaneTable{}), f.of(&route.Decision{})) {
		out = append(out, x.name+" "+x.want)
	}
	if f.when != nil {
		out = append(out, f.when.String())
	}
	return strings.Join(out, ", ")
}

func allOK(all []fact) bool { return !slices.ContainsFunc(all, func(f fact) bool { return !f.ok }) }

// failing are those facts that are otherwise, in words.
func failing(all []fact) string {
	var out []string
	for _, f := range all {
		if !f.ok {
			out = append(out, strings.TrimSpace(f.name+" "+f.got))
		}
	}
	return strings.Join(out, ", ")
}

// percent is ten-thousandths as an author would write them.
func percent(v int) string { return strconv.FormatFloat(float64(v)/100, 'f', -1, 64) + "%" }

func bracket(all []string) string { return fmt.Sprintf("[%s]", strings.Join(all, ", ")) }
