package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// order is what an operator does.
type order struct {
	verb    string
	changes string        // of a freeze
	lasts   time.Duration // 0 is until it is released
	by      string
	why     string
	force   bool
	refused bool // the story says that it is refused
}

// orderTails are the words that may stand behind the names of an order.
var orderTails = []string{"promotions", "demotions", "changes", "for", "by", "force", "refused", "because"}

// readOrder reads "drain acme-uk otp GB for 1h by eve force because the carrier asked for it".
func (l *line) readOrder(w *words) action {
	o := &order{verb: w.next().text, by: "story", why: "the story says so"}
	for x := w.peek(); isName(x) && !slices.Contains(orderTails, x) && len(l.names) < 3; x = w.peek() {
		l.names = append(l.names, w.next())
	}
	for w.peek() != "" {
		o.tail(w, w.next())
	}
	return o
}

func (o *order) tail(w *words, x word) {
	switch x.text {
	case "promotions", "demotions", "changes":
		if o.changes = x.text; o.verb != "freeze" {
			w.wrong(x, "no such word, as it is about freezes")
		}
	case "for":
		o.lasts = w.duration(time.Second, longest)
	case "by":
		name := w.next()
		if o.by = name.text; o.by == "" {
			w.wrong(name, "a name")
		}
	case "force":
		o.force = true
	case "refused":
		o.refused = true
	case "because":
		o.why = ""
		for w.peek() != "" {
			o.why = strings.TrimSpace(o.why + " " + w.next().text)
		}
		if o.why == "" {
			w.wrong(w.next(), "a reason")
		}
	default:
		w.wrong(x, "for, by, force, refused or because after a route, a class and a network", orderTails...)
	}
}

func (o *order) check(l *line, _ *policy.Policy) {
	frost := o.verb == "freeze" || o.verb == "unfreeze"
	switch {
	case frost && l.where.route != "":
		l.say("want a class and a network after %s, as it is about every route, got %s", o.verb, l.text())
	case !frost && l.where.route == "":
		l.say("want a route after %s, such as %s acme-uk, got %s", o.verb, o.verb, l.text())
	case o.lasts > 0 && !slices.Contains([]string{"pin", "drain", "freeze"}, o.verb):
		l.say("want no time after %s, got for %s", o.verb, route.Duration(o.lasts))
	}
}

// run gives the order. One that is refused against what the story says, or is not although the story says so, fails it.
func (o *order) run(l *line, p *player) {
	err := o.give(l, p)
	if (err != nil) == o.refused {
		return
	}
	want, got := o.verb+" to be taken", ""
	if o.refused {
		want, got = o.verb+" to be refused", "it taken"
	} else {
		got = err.Error()
	}
	at := route.Duration(l.at).String()
	p.failures = append(p.failures, Failure{File: p.file.Name, Line: l.value.Line(), Test: p.test.Name, At: at, About: strings.Join(l.written(), " "), Want: want, Got: got})
}

func (o *order) give(l *line, p *player) error {
	switch o.verb {
	case "approve", "reject":
		return o.answer(l, p)
	case "release", "unfreeze":
		return o.end(l, p)
	}
	e := p.sim.Engine()
	x := route.Override{Kind: route.OverrideKind(o.verb), Class: cmp.Or(l.where.class, route.AnyClass), Network: cmp.Or(l.where.network, route.AnyNetwork),
		Route: l.where.route, Changes: o.changes, Actor: o.by, Reason: o.why}
	if o.lasts > 0 {
		x.Until = p.sim.Now().Add(o.lasts)
	}
	out, err := decide.Override(p.policy, e.World, x, p.sim.Now(), o.force)
	if err == nil {
		p.sim.Keep(out)
	}
	return err
}

// end takes back every order on the route, or every freeze, of the lanes that the line names.
func (o *order) end(l *line, p *player) error {
	e := p.sim.Engine()
	ended := 0
	for _, x := range slices.Clone(e.World.Overrides) {
		freeze := x.Kind == route.Freeze
		if freeze != (o.verb == "unfreeze") || x.Route != l.where.route || l.where.class != "" && x.Class != l.where.class || l.where.network != "" && x.Network != l.where.network {
			continue
		}
		out, err := decide.EndOverride(p.policy, e.World, x.ID, o.by, "", p.sim.Now())
		if err != nil {
			return err
		}
		p.sim.Keep(out)
		ended++
	}
	if ended == 0 {
		return fmt.Errorf("no such order in force")
	}
	return nil
}

// answer approves or rejects every proposal about the route that waits in the lanes that the line names.
func (o *order) answer(l *line, p *player) error {
	e := p.sim.Engine()
	waiting := o.waiting(l, &e.World)
	if len(waiting) == 0 {
		return fmt.Errorf("no proposal that waits")
	}
	for _, id := range waiting {
		reply := decide.Reply{Proposal: id, Approve: o.verb == "approve", Actor: o.by, Reason: o.why, Force: o.force}
		out, err := decide.Answer(p.policy, e.World, decide.Seen{Signals: e.Signals, Wide: e.Wide}, reply, p.sim.Now())
		if err != nil {
			return err
		}
		p.sim.Keep(out)
	}
	return nil
}

// waiting are the ids of the proposals that an answer is about.
func (o *order) waiting(l *line, w *route.World) []string {
	var out []string
	about := func(lane route.Lane, all []route.State) {
		s := subject{scope: l.where}
		for i := range all {
			if id := all[i].Proposal; id != "" && s.covers(lane, all[i].Route) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	for i := range w.Lanes {
		lane := &w.Lanes[i]
		about(lane.Lane, lane.Routes)
		for k := range lane.Networks {
			about(route.Lane{Class: lane.Lane.Class, Network: lane.Networks[k].Network}, lane.Networks[k].Routes)
		}
	}
	return out
}
