package story

import (
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// line is one line of a story: from a moment on, something is so.
type line struct {
	value policy.Value
	at    time.Duration
	names []word // of the route, the class and the network that it is about, as written
	where scope  // what the names mean
	does  action
}

// scope is what a line is about. What it does not name is "", which is all.
type scope struct {
	route   route.ID
	class   route.Class
	network route.Network
}

// covers reports whether messages are among those of the scope.
func (s scope) covers(k route.Key) bool {
	return (s.route == "" || s.route == k.Route) && (s.class == "" || s.class == k.Class) &&
		(s.network == "" || k.Network != "" && s.network.Contains(k.Network))
}

// action is what a line says.
type action interface {
	// check says what is wrong with the action on a scope.
	check(l *line, p *policy.Policy)
	// run lets it happen.
	run(l *line, p *player)
}

// The words that lines are made of. What stands before the first of them is a route, a class and a network.
var (
	termWords  = []string{"delivered", "failed", "refuses", "throttles", "times", "swallows", "forges", "converted", "delay", "answers", "receipts", "healthy"}
	probeKinds = []string{"tcp", "tls", "bind", "enquire", "queue", "throttle", "submit", "receipt", "handset", "http"}
	orderWords = []string{"pin", "drain", "freeze", "release", "unfreeze", "approve", "reject"}
	otherWords = []string{"probe", "baseline", "silent", "back", "from", "burst"}
	allWords   = slices.Concat(termWords, otherWords, probeKinds, orderWords)
)

// forms are shown where a line cannot be read at all.
const forms = `a line such as "otp 234-15 10/s", "acme-uk delivered 40%" or "gw-1 silent"`

// readLine reads what stands behind "at 2m:".
func readLine(v policy.Value, at time.Duration) (line, bool) {
	l := line{value: v, at: at}
	text, ok := v.Raw()
	if !ok {
		return l, false
	}
	w := readWords(v, text)
	switch first := w.peek(); {
	case first == "":
		w.wrong(w.next(), forms)
	case slices.Contains(orderWords, first):
		l.does = l.readOrder(w)
	case w.take("baseline"):
		l.names = w.names()
		l.does = readBaseline(w)
	default:
		l.names = w.names()
		l.does = l.readAction(w)
	}
	w.done()
	return l, !w.bad
}

// names takes the words up to the first one that says what happens.
func (w *words) names() []word {
	var out []word
	for isName(w.peek()) && len(out) < 3 {
		out = append(out, w.next())
	}
	if x := w.peek(); x != "" && !slices.Contains(allWords, x) && !rateRegexp.MatchString(x) {
		w.lost(out, "what happens, such as delivered 40% or 10/s, after a route, a class and a network")
	}
	return out
}

func isName(s string) bool {
	_, err := route.ParseNetwork(s)
	return err == nil || nameRegexp.MatchString(s) && !slices.Contains(allWords, s)
}

// lost says that nothing happens: where a name looks like a word that was misspelt, there.
func (w *words) lost(names []word, want string) {
	for i, x := range names {
		if i > 0 && policy.Nearest(x.text, allWords) != "" {
			w.wrong(x, want, allWords...)
			return
		}
	}
	w.wrong(w.next(), want, allWords...)
}

func (l *line) readAction(w *words) action {
	switch next := w.peek(); {
	case next == "silent" || next == "back":
		return l.readSource(w)
	case next == "probe" || slices.Contains(probeKinds, next):
		return readProbe(w)
	case next == "" && !w.bad:
		w.lost(l.names, "what happens, such as 10/s, delivered 40%, swallows, probe bind 0x3 or silent")
		return nil
	}
	t := &traffic{}
	if t.rate, t.sends = w.rate(); t.sends {
		t.rest(w)
	}
	t.terms = w.terms()
	return t
}

// readMoment reads "at 2m".
func readMoment(key string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(key, "at")
	d, err := route.ParseDuration(strings.TrimSpace(rest))
	return d.D(), ok && err == nil && rest != "" && isSpace(rune(rest[0])) && d.D() <= longest
}

// bind finds out what the names of the line mean.
func (l *line) bind(p *policy.Policy) {
	if _, ok := l.does.(*source); ok {
		return // its name is none of the policy's
	}
	l.where = scope{}
	for _, x := range l.names {
		if !l.means(p, x) {
			return
		}
	}
	l.does.check(l, p)
}

// means takes one name; false where it says what is wrong with it.
func (l *line) means(p *policy.Policy, x word) bool {
	s := &l.where
	network, err := route.ParseNetwork(x.text)
	isRoute, isClass := p.Route(route.ID(x.text)) != nil, isClass(p, route.Class(x.text))
	switch {
	case isRoute && *s == (scope{}):
		s.route = route.ID(x.text)
	case isClass && s.class == "" && s.network == "":
		s.class = route.Class(x.text)
	case err == nil && s.network == "":
		s.network = network
	case isRoute || isClass || err == nil:
		l.value.SayAt(x.at, "want a route, then a class, then a network, each once, got %s here", quote(x.text))
		return false
	default:
		l.value.SayAt(x.at, "want a route, a class or a network of the policy, got %s%s", quote(x.text), l.value.Meant(x.text, namesOf(p)))
		return false
	}
	return true
}

func isClass(p *policy.Policy, c route.Class) bool {
	return slices.ContainsFunc(p.Classes, func(x policy.Class) bool { return x.Name == c })
}

// namesOf are the routes and classes of a policy.
func namesOf(p *policy.Policy) []string {
	var out []string
	for i := range p.Routes {
		out = append(out, string(p.Routes[i].ID))
	}
	for i := range p.Classes {
		out = append(out, string(p.Classes[i].Name))
	}
	return out
}

// say reports a problem with the whole line.
func (l *line) say(format string, args ...any) { l.value.Say(format, args...) }
