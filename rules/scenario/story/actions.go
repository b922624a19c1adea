package story

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

// traffic is messages, and how they fare.
type traffic struct {
	sends bool
	rate  float64 // messages a second
	burst scenario.Burst
	from  string // the source that sends it
	terms terms
}

// rest reads what may stand behind a rate: "from gw-2 burst 10000 in 20s every 5m".
func (t *traffic) rest(w *words) {
	t.from = scenario.DefaultSource
	if w.take("from") {
		x := w.next()
		if t.from = x.text; !nameRegexp.MatchString(x.text) {
			w.wrong(x, "the name of a source, such as gw-2")
		}
	}
	if w.take("burst") {
		t.burst = w.burst()
	}
}

var nameRegexp = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// burst reads "10000 in 20s every 5m".
func (w *words) burst() scenario.Burst {
	b := scenario.Burst{Messages: int(w.count(1e6))}
	w.expect("in")
	b.Over = w.duration(time.Second, time.Hour)
	w.expect("every")
	b.Every = w.duration(time.Second, longest)
	return b
}

func (t *traffic) check(l *line, p *policy.Policy) {
	if !t.sends {
		return
	}
	lane := route.Find(p.LaneKeys(), l.where.class, l.where.network)
	switch {
	case l.where.class == "" || l.where.network == "" || l.where.network == route.AnyNetwork:
		l.say("want a class and a network before a rate, such as otp 234-15 10/s, got %s", l.text())
	case l.where.route == "" && lane < 0:
		l.say("want a class and a network that a lane of the policy serves, got %s %s", l.where.class, l.where.network)
	}
}

// text is the names of the line, as something that there is.
func (l *line) text() string {
	if len(l.names) == 0 {
		return "nothing"
	}
	return quote(strings.Join(l.written(), " "))
}

// written is the names of the line.
func (l *line) written() []string {
	var out []string
	for _, x := range l.names {
		out = append(out, x.text)
	}
	return out
}

func (t *traffic) run(l *line, p *player) {
	p.treat(l.where, &t.terms)
	if t.sends {
		p.sim.Send(scenario.Stream{Route: l.where.route, Class: l.where.class, Network: l.where.network, Source: t.from, Rate: t.rate, Burst: t.burst})
	}
}

// source is an instance that tells what it sends, and what it does.
type source struct {
	name   string
	silent bool
}

func (l *line) readSource(w *words) action {
	x := w.next()
	if len(l.names) != 1 {
		w.wrong(x, "the name of a source before it, such as gw-1")
		return nil
	}
	return &source{name: l.names[0].text, silent: x.text == "silent"}
}

func (s *source) check(*line, *policy.Policy) {}

func (s *source) run(_ *line, p *player) { p.sim.Mute(s.name, s.silent) }

// baseline tells what is normal.
type baseline struct {
	terms    terms
	messages float64
}

func readBaseline(w *words) action {
	b := &baseline{messages: usualMessages}
	for i, x := range w.rest {
		if x.text == "messages" && i+1 < len(w.rest) {
			n := &words{value: w.value, rest: w.rest[i+1:], end: w.end}
			b.messages = n.count(route.MaxBaselineMessages)
			w.bad = w.bad || n.bad
			w.rest = append(slices.Clone(w.rest[:i]), n.rest...)
			break
		}
	}
	if b.terms = w.terms(); b.terms.count == 0 {
		w.wrong(w.next(), "what is normal, such as delivered 95% failed 2.5%", termWords...)
	}
	return b
}

// usualMessages is how many messages a baseline rests on where a story does not say.
const usualMessages = 5000

func (b *baseline) check(l *line, _ *policy.Policy) {
	if l.where.route == "" || l.where.class == "" || l.where.network == "" {
		l.say("want a route, a class and a network after baseline, such as baseline acme-uk otp 234-15 delivered 95%%, got %s", l.text())
	}
	if h := b.health(); !(h.Delivered > 0) {
		l.say("want a baseline in which messages are delivered, got none")
	}
}

func (b *baseline) health() scenario.Health {
	return b.terms.apply(scenario.Healthy(), scenario.Healthy(), time.Time{})
}

func (b *baseline) run(l *line, p *player) {
	h := b.health()
	p.sim.Tell(route.Observation{Kind: route.KindBaseline, Route: l.where.route, Class: l.where.class, Network: l.where.network, Baseline: h.Baseline(b.messages)})
}

// probe is synthetic probes of a route.
type probe struct {
	kind    string
	network route.Network
	every   time.Duration // 0 is the interval of the story
	values  []sample      // results one after the other; nil where they follow how the route treats messages
	again   bool          // the values are repeated until another line says otherwise
	stops   bool
}

// readProbe reads "probe bind 0x3 1x20", "probe handset 234-15 every 30s" or "bind fails".
func readProbe(w *words) action {
	w.take("probe")
	p := &probe{}
	x := w.next()
	if p.kind = x.text; !slices.Contains(probeKinds, p.kind) {
		w.wrong(x, "a kind of probe ("+list(probeKinds)+")", probeKinds...)
	}
	if n, err := route.ParseNetwork(w.peek()); err == nil {
		p.network = n
		w.next()
	}
	if w.take("every") {
		p.every = w.duration(time.Second, time.Hour)
	}
	switch next := w.peek(); {
	case w.take("stops"):
		p.stops = true
	case w.take("ok"):
		p.values, p.again = []sample{{value: 1}}, true
	case w.take("fails"):
		p.values, p.again = []sample{{value: 0}}, true
	case next != "":
		p.values = w.samples()
	case p.every == 0:
		w.wrong(w.next(), "ok, fails, stops, every 30s, or results such as 0x3 1x20", "ok", "fails", "stops", "every")
	}
	return p
}

// samples reads results in promtool's notation up to the end of the line.
func (w *words) samples() []sample {
	var out []sample
	for w.peek() != "" {
		x := w.next()
		values, problem := readSamples(x.text, len(out))
		if problem == "" {
			problem = results(values)
		}
		if problem != "" {
			w.wrong(x, problem)
		}
		out = append(out, values...)
	}
	return out
}

// results says what keeps samples from being results of probes.
func results(values []sample) string {
	for _, v := range values {
		if v.kind == sampleValue && v.value != 0 && v.value != 1 {
			return "results of a probe: 1 is a success, 0 is a failure, _ is none"
		}
	}
	return ""
}

func (b *probe) check(l *line, _ *policy.Policy) {
	if l.where.route == "" || l.where.class != "" {
		l.say("want a route before a probe, such as acme-uk probe bind fails, got %s", l.text())
	}
	if l.where.network != "" && b.network == "" {
		b.network = l.where.network
	}
}

func (b *probe) run(l *line, p *player) {
	id := prober{l.where.route, b.kind, b.network}
	delete(p.patterns, id)
	p.sim.Probe(id.route, b.kind, b.network, 0)
	switch {
	case b.stops:
	case b.values == nil:
		p.sim.Probe(id.route, b.kind, b.network, b.every)
	default:
		p.patterns[id] = &pattern{began: l.at, every: orElse(b.every, p.file.Interval), values: b.values, again: b.again}
	}
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
