package policy

import (
	"time"

	"signalbox/rules/route"
)

func (p *parser) parseRules() {
	first := make(map[string]place)
	for _, top := range p.tops {
		for _, n := range top.at("rules").list() {
			p.policy.Rules = append(p.policy.Rules, n.rule(first))
		}
	}
	if n := len(p.policy.Rules); n > maxRules {
		p.tops[0].say("want at most %d rules, got %d", maxRules, n)
	}
}

func (n node) rule(first map[string]place) Rule {
	o := n.object()
	r := Rule{place: n.place()}
	if name, ok := o.at("name").name(); ok {
		o.at("name").repeats(first, name, "rule")
		r.Name = name
		r.place = o.at("name").place()
	}
	r.Classes = o.at("class").classList()
	r.Per = Per(o.at("per").word())
	r.Mode = o.at("mode").mode()
	n.p.policy.written.modes = n.p.policy.written.modes || o.has("mode")
	r.Demote = o.at("demote").demotion()
	r.Promote = o.at("promote").promotion()
	r.HoldDown = o.at("hold_down").holdDown()
	return r
}

func (n node) demotion() Clause {
	o := n.object()
	if !o.present() {
		return Clause{}
	}
	return Clause{When: o.at("when").condition(), For: o.at("for").duration()}
}

func (n node) promotion() Clause {
	o := n.object()
	if !o.present() {
		return Clause{}
	}
	return Clause{
		When: o.at("when").condition(),
		For:  o.at("for").duration(),
		Ramp: o.at("ramp").ramp(),
		Step: o.at("step").duration(),
		Mode: o.at("mode").mode(),
	}
}

// ramp reads shares that rise to the whole.
func (n node) ramp() []int {
	if !n.present() {
		return []int{route.FullShare}
	}
	var out []int
	last := 0
	items := n.list()
	for i, item := range items {
		step := item.percent()
		if step == 0 {
			continue
		}
		if step <= last {
			item.say("want a share above %s, the one before, got %s", percentText(int64(last)), item.got())
		} else if i == len(items)-1 && step != route.FullShare {
			item.say("want 100%% as the last share, got %s", item.got())
		}
		last = step
		out = append(out, step)
	}
	return out
}

func (n node) holdDown() HoldDown {
	o := n.object()
	h := HoldDown{
		Base:   o.at("base").duration(),
		Factor: float64(o.at("factor").number()) / 1e6,
		Decay:  o.at("decay").duration(),
	}
	longest, ok := o.at("max").readDuration()
	if !o.has("max") {
		longest = max(4*time.Hour, h.Base)
	} else if ok && longest < h.Base {
		o.at("max").say("want %s, the base, or more, got %s", route.Duration(h.Base), o.at("max").got())
	}
	h.Max = longest
	return h
}

// condition compiles a condition; each of its problems is said at its place within the text.
func (n node) condition() *Condition {
	text, ok := n.scalar("!!str")
	if !ok {
		return nil
	}
	if n.p.compiler == nil {
		c, err := newCompiler()
		if err != nil {
			n.say("want a condition, got none that can be compiled: %v", err)
			return nil
		}
		n.p.compiler = c
	}
	c, faults := n.p.compiler.compile(text)
	for _, f := range faults {
		at := n.place()
		at.line, at.column = n.file.locate(n.yaml, f.offset)
		n.p.add(at.problem(f.message))
	}
	if c != nil {
		c.place = n.place()
	}
	return c
}

func (p *parser) parseGuards() {
	sections := make(map[string]node)
	var top fields
	for _, t := range p.tops {
		o := t.at("guards").object()
		for _, k := range guardsShape.known() {
			before, twice := sections[k]
			switch {
			case o.has(k) && twice:
				o.at(k).say("want guards.%s in one file, got it again (first at %s)", k, before.place())
			case o.has(k):
				sections[k] = o.at(k)
			}
		}
		top = o
	}
	for _, k := range guardsShape.known() {
		if _, ok := sections[k]; !ok {
			sections[k] = fields{node: top.node}.at(k)
		}
	}
	p.policy.Guards = p.guards(sections)
	for k, n := range sections {
		if n.present() {
			put(&p.policy.written.guards, k, n.place())
		}
	}
}

func (p *parser) guards(sections map[string]node) Guards {
	g := Guards{MinActive: sections["min_active"].minActive(), Settle: sections["settle"].duration(),
		MaxDemoted: sections["max_demoted"].percent(), Capacity: Then(sections["capacity"].word())}

	cause := sections["common_cause"].object()
	g.CommonCause = CommonCause{Share: float64(cause.at("share").percent()) / route.FullShare, Wait: cause.at("wait").duration()}

	velocity := sections["velocity"].object()
	g.Velocity = Velocity{Changes: velocity.at("changes").integer(), In: velocity.at("in").duration()}

	if rise := sections["price_rise"]; rise.present() {
		o := rise.object()
		g.PriceRise = PriceRise{Limit: o.at("limit").percent(), Then: Then(o.at("then").word())}
	}

	if second := sections["corroborate"]; second.present() {
		o := second.object()
		g.Corroborate = Corroborate{Classes: o.at("class").classList(), Signals: o.at("signals").signals(), Wait: o.at("wait").duration()}
	}
	return g
}

func (n node) minActive() int {
	if n.yaml.Value == "0" {
		n.say("want 1 or more (1 cannot be lowered), got 0")
		return 0
	}
	return n.integer()
}

// signals reads the evidence that needs a second channel; both where the key is absent.
func (n node) signals() []string {
	if !n.present() {
		return n.shape.each.words
	}
	var out []string
	for _, item := range n.list() {
		if s := item.word(); s != "" {
			out = append(out, s)
		}
	}
	return out
}
