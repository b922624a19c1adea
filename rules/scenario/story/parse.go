package story

import (
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

func (f *File) read(top policy.Value) {
	if !top.Present() {
		return
	}
	o := top.Object()
	f.where = o.At("policy")
	for _, v := range f.where.OneOrMore() {
		if s, ok := v.Text(); ok {
			f.Policy = append(f.Policy, s)
		}
	}
	if f.Policy == nil {
		f.Policy = []string{"."}
	}
	f.Start = readStart(o.At("start"))
	f.Interval, _ = o.At("interval").Duration()
	common := readLines(o.At("observe"))
	first := map[string]policy.Value{}
	for _, v := range o.At("tests").List() {
		t := f.readTest(v, o)
		if t.Name != "" && repeated(first, t.Name, v) {
			continue
		}
		t.lines = append(slices.Clone(common), t.lines...)
		t.inOrder()
		t.Lasts = max(t.Lasts, t.lasts(f.Interval))
		f.Tests = append(f.Tests, t)
	}
}

// repeated reports a name that has been used before.
func repeated(first map[string]policy.Value, name string, v policy.Value) bool {
	before, ok := first[name]
	if ok {
		v.Object().At("name").Say("want each test once, got %s again (first at line %d)", quote(name), before.Line())
	}
	first[name] = v
	return ok
}

// usualStart is a Monday at noon, when people are at work.
var usualStart = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func readStart(v policy.Value) time.Time {
	s, ok := v.Text()
	if !ok {
		return usualStart
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !t.Equal(t.Truncate(signal.Tick)) || t.Year() < 1971 || t.Year() > 2200 {
		v.Say("want a time of RFC 3339 such as 2026-01-05T12:00:00Z, on whole five seconds, got %s", quote(s))
		return usualStart
	}
	return t.UTC()
}

// readTest reads a test; what it does not say of chance and of what is normal, the file says.
func (f *File) readTest(v policy.Value, file policy.Fields) Test {
	o := v.Object()
	own := func(name string) policy.Value {
		if o.Has(name) {
			return o.At(name)
		}
		return file.At(name)
	}
	t := Test{Line: v.Line(), value: v, Mode: route.Mode(o.At("mode").Word()), Seed: uint64(own("seed").Integer()), Cold: own("cold").Truth()}
	t.Name, _ = o.At("name").Text()
	t.Lasts, _ = o.At("lasts").Duration()
	t.Lasts = t.Lasts.Truncate(signal.Tick)
	t.lines = readLines(o.At("observe"))
	for _, e := range o.At("series").Dictionary() {
		if s, ok := readSeries(e); ok {
			t.series = append(t.series, s)
		}
	}
	for _, item := range o.At("expect").List() {
		t.expects = append(t.expects, readExpectation(item))
	}
	return t
}

func readLines(v policy.Value) []line {
	var out []line
	for _, item := range v.List() {
		for _, e := range item.Dictionary() {
			at, ok := readMoment(e.Name)
			if !ok {
				e.Key.Say("want a moment such as at 2m, up to %s, got %s", route.Duration(longest), quote(e.Name))
				continue
			}
			for _, value := range e.Value.OneOrMore() {
				if l, ok := readLine(value, at); ok {
					out = append(out, l)
				}
			}
		}
	}
	return out
}

// series is the values of one signal from the beginning of the story on, one each interval.
type series struct {
	key     policy.Value
	signal  string // such as delivery.evidence
	labels  map[string]string
	where   scope
	values  []sample
	setter  setter
	results bool // the values are results of a probe; else they force a signal
}

func readSeries(e policy.Entry) (series, bool) {
	s := series{key: e.Key}
	text, ok := e.Value.Raw()
	if !ok || !s.readKey(e) {
		return s, false
	}
	w := readWords(e.Value, text)
	for w.peek() != "" {
		x := w.next()
		values, problem := readSamples(x.text, len(s.values))
		if problem == "" && s.results {
			problem = results(values)
		}
		if problem != "" {
			w.wrong(x, problem)
		}
		s.values = append(s.values, values...)
	}
	return s, !w.bad
}

const wantSignal = `a signal with a route, such as delivery.evidence{route="acme-uk"}`

// readKey reads probe["bind"].ok{route="acme-uk",network="234-15"}.
func (s *series) readKey(e policy.Entry) bool {
	name, labels, ok := strings.Cut(e.Name, "{")
	labels, closed := strings.CutSuffix(strings.TrimSpace(labels), "}")
	if s.signal = strings.TrimSpace(name); !ok || !closed {
		e.Key.Say("want %s, got %s", wantSignal, quote(e.Name))
		return false
	}
	s.labels = map[string]string{}
	for _, pair := range strings.Split(labels, ",") {
		k, v, ok := strings.Cut(pair, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		quoted := len(v) > 2 && v[0] == '"' && v[len(v)-1] == '"'
		if known := []string{"route", "class", "network"}; !ok || !quoted || !slices.Contains(known, k) || s.labels[k] != "" {
			e.Key.Say(`want labels such as {route="acme-uk",network="234-15"}, each once, got %s%s`, quote(strings.TrimSpace(pair)), e.Key.Meant(k, known))
			return false
		}
		s.labels[k] = v[1 : len(v)-1]
	}
	var problem string
	s.setter, problem = findSetter(s.signal)
	s.results = s.setter.probe != "" && strings.HasSuffix(s.signal, ".ok")
	switch {
	case problem == "":
	case s.setter.probe != "":
		e.Key.Say("want %s, got %s%s", problem, quote(s.signal), e.Key.Meant(s.setter.probe, probeKinds))
	default:
		e.Key.Say("want %s, got %s%s", problem, quote(s.signal), e.Key.Meant(s.signal, policy.Signals()))
	}
	return problem == ""
}

// bind finds out what the labels mean.
func (s *series) bind(p *policy.Policy) {
	s.where = scope{route: route.ID(s.labels["route"]), class: route.Class(s.labels["class"]), network: route.Network(s.labels["network"])}
	if s.where.route == "" || p.Route(s.where.route) == nil {
		s.key.Say("want the label route with a route of the policy, got %s%s", quote(s.labels["route"]), s.key.Meant(s.labels["route"], namesOf(p)))
	}
	if c := s.where.class; c != "" && !isClass(p, c) {
		s.key.Say("want a class of the policy, got %s%s", quote(string(c)), s.key.Meant(string(c), namesOf(p)))
	}
	if n := s.where.network; n != "" {
		if _, err := route.ParseNetwork(string(n)); err != nil {
			s.key.Say("%s", err)
		}
	}
}
