package story

import (
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// kind is the kind of an expectation.
type kind int

const (
	kindAt        kind = iota // something is so at a moment, or becomes so within a time
	kindNever                 // something is not so in any round
	kindDecisions             // these decisions are made, and no others
)

// expectation is what must be so when.
type expectation struct {
	value   policy.Value
	kind    kind
	from    time.Duration // or at
	until   time.Duration // or at + within; open for the end of the story
	within  bool
	about   subject
	facts   facts
	wanted  []*expectation // of kindDecisions: each a decision, and the time in which it may be made
	anytime bool           // of a wanted decision: whenever it is made
}

// open is the end of a story that nobody set.
const open = time.Duration(1<<63 - 1)

// end is the last moment that the expectation needs.
func (e *expectation) end() time.Duration {
	end := e.from
	if e.until != open {
		end = max(end, e.until)
	}
	for _, w := range e.wanted {
		if !w.anytime {
			end = max(end, w.until)
		}
	}
	return end
}

// subject is the lane and the route that something is about; what it does not name is "", which is any.
type subject struct {
	value policy.Value
	lane  policy.Value
	named string // the lane as written
	scope
}

func (s *subject) covers(l route.Lane, id route.ID) bool {
	return (s.class == "" || s.class == l.Class) && (s.network == "" || s.network.Contains(l.Network)) && (s.route == "" || s.route == id)
}

// String is the subject in the form "otp/GB acme-uk".
func (s *subject) String() string {
	var out []string
	switch {
	case s.class != "" && s.network != "":
		out = append(out, string(s.class)+"/"+string(s.network))
	case s.class != "" || s.network != "":
		out = append(out, string(s.class)+string(s.network))
	}
	if s.route != "" {
		out = append(out, string(s.route))
	}
	return strings.Join(out, " ")
}

func readExpectation(v policy.Value) *expectation {
	o := v.Object()
	e := &expectation{value: v, until: open}
	switch {
	case o.Has("never"):
		e.kind = kindNever
		inner := o.At("never")
		e.about, e.facts = readSubject(inner.Object(), inner), readFacts(inner.Object())
		if f := inner.Object(); f.Read() && !saysAny(f) {
			inner.Say("want what must not be so, such as phase: demoted or enforced: true, got none")
		}
		refuse(o, "never", append(slices.Concat(subjectNames, stateNames, decisionNames), "within"))
	case o.Has("decisions"):
		e.kind = kindDecisions
		e.about = readSubject(o, v)
		e.facts = facts{enforced: readTruth(o, "enforced")}
		for _, item := range o.At("decisions").List() {
			e.wanted = append(e.wanted, readWanted(item))
		}
		refuse(o, "decisions", slices.DeleteFunc(append(slices.Concat(stateNames, decisionNames), "within"), func(s string) bool { return s == "enforced" }))
	default:
		e.about, e.facts = readSubject(o, v), readFacts(o)
		e.readWindow(o)
		if o.Has("at") && !saysAny(o) {
			v.Say("want what must be so, such as phase: demoted or reason: GuardHeld, got none")
		}
		refuse(o, "at", []string{"from", "until"})
		return e
	}
	e.from, _ = o.At("from").Duration()
	if d, ok := o.At("until").Duration(); ok {
		if e.until = d; d < e.from {
			o.At("until").Say("want a moment after %s, got %s", route.Duration(e.from), route.Duration(d))
		}
	}
	return e
}

func (e *expectation) readWindow(o policy.Fields) {
	e.from, _ = o.At("at").Duration()
	d, _ := o.At("within").Duration()
	e.until, e.within = e.from+d, o.Has("within")
}

func readWanted(v policy.Value) *expectation {
	o := v.Object()
	w := &expectation{value: v, about: readSubject(o, v), facts: readDecision(o), anytime: !o.Has("at")}
	w.readWindow(o)
	if o.Has("within") && w.anytime {
		o.At("within").Say("want at beside within, got none")
	}
	return w
}

// saysAny reports whether any fact is written.
func saysAny(o policy.Fields) bool {
	return slices.ContainsFunc(slices.Concat(stateNames, decisionNames), o.Has)
}

// refuse reports keys that mean nothing beside another one.
func refuse(o policy.Fields, beside string, names []string) {
	for _, name := range names {
		if o.Has(name) {
			o.At(name).Say("want no %s beside %s", name, beside)
		}
	}
}

func readSubject(o policy.Fields, v policy.Value) subject {
	s := subject{value: v, lane: o.At("lane")}
	s.named, _ = s.lane.Text()
	if class, network, ok := strings.Cut(s.named, "/"); ok {
		s.class, s.network = route.Class(class), route.Network(network)
	}
	for _, name := range []string{"class", "network"} {
		if s.named != "" && o.Has(name) {
			o.At(name).Say("want only one of lane and %s, got both", name)
		}
	}
	if c, ok := o.At("class").Text(); ok {
		s.class = route.Class(c)
	}
	if o.Has("network") {
		s.network = o.At("network").Network()
	}
	id, _ := o.At("route").Text()
	s.route = route.ID(id)
	return s
}

// bind checks the names of the subject against a policy; false where one of them is wrong.
func (s *subject) bind(p *policy.Policy) (ok bool) {
	if s.route != "" && p.Route(s.route) == nil {
		s.value.Object().At("route").Say("want a route of the policy, got %s%s", quote(string(s.route)), s.value.Meant(string(s.route), namesOf(p)))
	}
	lanes := p.LaneKeys()
	ok = s.route == "" || p.Route(s.route) != nil
	switch at := route.Find(lanes, s.class, s.network); {
	case s.named != "" && !slices.ContainsFunc(lanes, func(l route.Lane) bool { return l.String() == s.named }) && at < 0:
		var names []string
		for _, l := range lanes {
			names = append(names, l.String())
		}
		s.lane.Say("want %s of the policy, got %s%s", wantLane, quote(s.named), s.value.Meant(s.named, names))
		return false
	case s.named == "" && s.class != "" && !slices.ContainsFunc(lanes, func(l route.Lane) bool { return l.Class == s.class }):
		s.value.Object().At("class").Say("want a class that a lane of the policy has, got %s%s", quote(string(s.class)), s.value.Meant(string(s.class), namesOf(p)))
		return false
	}
	return ok
}

// lanes are those of a policy that the subject may mean: those that it names, or else the one that serves it.
func (s *subject) lanes(p *policy.Policy) []route.Lane {
	var out []route.Lane
	keys := p.LaneKeys()
	has := func(l route.Lane) bool { return s.route == "" || slices.Contains(p.Lane(l).Order, s.route) }
	for _, l := range keys {
		if s.covers(l, s.route) && has(l) {
			out = append(out, l)
		}
	}
	if i := route.Find(keys, s.class, s.network); len(out) == 0 && i >= 0 && has(keys[i]) {
		out = append(out, keys[i])
	}
	return out
}

// bind finds out what the names of the expectation mean in a policy.
func (e *expectation) bind(p *policy.Policy) {
	ok := e.about.bind(p)
	e.facts.bind(p)
	for _, w := range e.wanted {
		w.about.bind(p)
		w.facts.bind(p)
	}
	lanes := e.about.lanes(p)
	switch {
	case !ok || e.kind != kindAt || !e.facts.ofState():
	case e.facts.ofRoute() && e.about.route == "":
		e.value.Say("want a route beside %s, got none", e.facts.firstOfRoute())
	case len(lanes) > 1:
		var names []string
		for _, l := range lanes {
			names = append(names, l.String())
		}
		e.value.Say("want lane: %s, got none: the policy has several that fit", list(names))
	case len(lanes) == 0:
		e.value.Say("want a lane of the policy that fits, got none for %s", e.about.String())
	}
}
