package policy

import (
	"cmp"
	"slices"

	"signalbox/rules/route"
)

func (p *parser) parseLanes() {
	first := make(map[string]place)
	for _, top := range p.tops {
		for _, n := range top.at("lanes").list() {
			lane, ok := n.lane()
			if ok && !n.repeats(first, lane.String(), "lane") {
				p.policy.Lanes = append(p.policy.Lanes, lane)
			}
		}
	}
	if n := len(p.policy.Lanes); n > maxLanes {
		p.tops[0].say("want at most %d lanes, got %d", maxLanes, n)
	}
}

// lane reads one lane; ok is false where its key cannot be told.
func (n node) lane() (Lane, bool) {
	o := n.object()
	l := Lane{place: n.place(), Select: Ordered}
	class, known := o.at("class").declaredClass()
	network, ok := o.at("network").network()
	l.Lane = route.Lane{Class: class, Network: network}
	if o.has("share") {
		l.Select = Weighted
	}
	n.p.readOrder(o.at("order"), &l)
	if !o.has("order") {
		n.p.readShares(o.at("share"), &l)
	}
	l.sorted = slices.Sorted(slices.Values(l.Order))
	if c := n.p.policy.Class(class); c != nil {
		l.UnknownAfter, l.Approval = c.UnknownAfter, c.Approval
		o.checkSelect(c)
	}
	return l, ok && known
}

// declaredClass reads a class that has to be declared; "*" need not be.
func (n node) declaredClass() (route.Class, bool) {
	s, ok := n.text()
	c := route.Class(s)
	if !ok || c == route.AnyClass || n.p.classes[c] != nil {
		return c, ok
	}
	n.say("want %s, got %s%s", n.shape.want, quote(s), n.p.didYouMean(s, n.p.names.classes))
	return c, false
}

// classList reads a list of classes without repeats.
func (n node) classList() []route.Class {
	var out []route.Class
	for _, item := range n.list() {
		c, ok := item.declaredClass()
		if ok && slices.Contains(out, c) {
			item.say("want each class once, got %s again", quote(string(c)))
			continue
		}
		if ok {
			out = append(out, c)
		}
	}
	return out
}

// checkSelect reports a lane that is written for another way to choose than its class says.
func (o fields) checkSelect(c *Class) {
	if !c.chosen || o.has("order") == o.has("share") {
		return
	}
	if c.Select == Weighted && o.has("order") {
		o.values["order"].key.say("want share, as class %q selects weighted, got order", c.Name)
	}
	if c.Select == Ordered && o.has("share") {
		o.values["share"].key.say("want order, as class %q selects ordered, got share", c.Name)
	}
}

func (p *parser) readOrder(n node, l *Lane) {
	for i, item := range n.list() {
		if s, ok := item.text(); ok && p.laneRoute(item, s, l) {
			l.Order, l.places = append(l.Order, route.ID(s)), append(l.places, item.place())
			p.mayCarry(item, route.ID(s), l, i == 0)
		}
	}
}

func (p *parser) readShares(n node, l *Lane) {
	weights := make(map[route.ID]int64)
	var sum int64
	entries := n.dictionary()
	for _, e := range entries {
		if p.laneRoute(e.key, e.name, l) {
			l.Order, l.places = append(l.Order, route.ID(e.name)), append(l.places, e.key.place())
		}
		w := e.value.number()
		p.mayCarry(e.key, route.ID(e.name), l, w > 0)
		weights[route.ID(e.name)] = w
		sum += w
	}
	if len(entries) > 0 && sum == 0 {
		n.say("want at least one weight above 0, got none")
	}
	if sum > 0 {
		l.Shares = shares(weights, sum)
	}
}

// laneRoute checks a route of a lane: declared, usable in the lane's network, not yet there.
func (p *parser) laneRoute(n node, id string, l *Lane) bool {
	r := p.routes[route.ID(id)]
	switch {
	case r == nil:
		n.say("want a route id declared under routes, got %s%s", quote(id), p.didYouMean(id, p.names.routes))
	case slices.Contains(l.Order, r.ID):
		n.say("want each route once, got %s again", quote(id))
	case l.Network != "" && len(r.Networks) > 0 && !r.serves(l.Network):
		n.say("want a route for network %s, got %s, which is for %s only", l.Network, quote(id), networkNames(r.Networks))
	default:
		return true
	}
	return false
}

// mayCarry reports a route that is to carry a lane's traffic by right, and whose sender IDs are not registered there.
func (p *parser) mayCarry(n node, id route.ID, l *Lane, byRight bool) {
	if r := p.routes[id]; byRight && r != nil && l.Network != "" && !r.Registered(l.Class, l.Network) {
		n.say("want a route whose sender IDs are registered for %s in %s, got %s, whose senders do not say so", l.Class, l.Network, quote(string(id)))
	}
}

func networkNames(networks []route.Network) string {
	var names []string
	for _, n := range networks[:min(len(networks), 5)] {
		names = append(names, string(n))
	}
	if len(networks) > 5 {
		names = append(names, "others")
	}
	return alternatives(names)
}

// shares divides route.FullShare in proportion to the weights, whose sum is above 0. What rounding leaves goes to the
// largest remainders, and among equals to the smaller id.
func shares(weights map[route.ID]int64, sum int64) map[route.ID]int {
	ids := make([]route.ID, 0, len(weights))
	out := make(map[route.ID]int, len(weights))
	left := route.FullShare
	for id, w := range weights {
		ids = append(ids, id)
		out[id] = int(w * route.FullShare / sum)
		left -= out[id]
	}
	slices.SortFunc(ids, func(a, b route.ID) int {
		ra, rb := weights[a]*route.FullShare%sum, weights[b]*route.FullShare%sum
		return cmp.Or(cmp.Compare(rb, ra), cmp.Compare(a, b))
	})
	for _, id := range ids[:left] {
		out[id]++
	}
	return out
}
