package decide

import (
	"slices"
	"sort"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Table draws up what senders are to see of a state: a row for each lane, and after it one for each network of the lane
// on which a route stands otherwise than in the lane. It is never empty: a lane without an active route gives its traffic
// to the least bad one.
func Table(p *policy.Policy, w route.World, now time.Time) route.Table {
	now = now.Round(0).UTC()
	t := route.Table{Generation: w.Generation, PublishedAt: now, Policy: p.Revision}
	for i := range w.Lanes {
		if pl := p.Lane(w.Lanes[i].Lane); pl != nil {
			t.Lanes = append(t.Lanes, laneRows(p, pl, &w.Lanes[i], w.Overrides)...)
		}
	}
	return t
}

// laneRows are the rows of a lane: its own, and those of its networks that differ.
func laneRows(p *policy.Policy, pl *policy.Lane, l *route.LaneState, overrides []route.Override) []route.LaneTable {
	own := row(p, pl, pl.Lane, covering(overrides, pl.Lane), inWorld(l, pl.Network))
	rows := []route.LaneTable{laneTable(p, pl, pl.Lane, own)}
	for _, n := range apart(p, pl, l, overrides) {
		key := route.Lane{Class: pl.Class, Network: n}
		on := row(p, pl, key, covering(overrides, key), inWorld(l, n))
		if differ(own, on) {
			rows = append(rows, laneTable(p, pl, key, on))
		}
	}
	return rows
}

// apart are the networks of a lane on which something is remembered or ordered, or sender IDs are registered, sorted.
func apart(p *policy.Policy, pl *policy.Lane, l *route.LaneState, overrides []route.Override) []route.Network {
	var out []route.Network
	for i := range l.Networks {
		out = append(out, l.Networks[i].Network)
	}
	for i := range overrides {
		if o := &overrides[i]; (o.Class == pl.Class || o.Class == route.AnyClass) && isWithin(p, pl, o.Network) {
			out = append(out, o.Network)
		}
	}
	for _, id := range pl.Order {
		for class, registered := range p.Route(id).Senders {
			if class != pl.Class && pl.Class != route.AnyClass {
				continue
			}
			for _, n := range registered {
				if isWithin(p, pl, n) {
					out = append(out, n)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// registers reports whether the policy says of any route where its sender IDs are registered.
func registers(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Routes, func(r policy.Route) bool { return len(r.Senders) > 0 })
}

// isWithin reports whether a network is an MCC-MNC that a lane serves among others.
func isWithin(p *policy.Policy, pl *policy.Lane, n route.Network) bool {
	if n == pl.Network || !pl.Network.Contains(n) || n.Country() == n {
		return false
	}
	keys := p.LaneKeys()
	at := route.Find(keys, pl.Class, n)
	return at >= 0 && keys[at] == pl.Lane
}

// differ reports whether senders have to treat a network otherwise than its lane.
func differ(lane, network []standing) bool {
	for i := range lane {
		a, b := &lane[i], &network[i]
		if a.phase != b.phase || a.admin != b.admin || b.phase == route.Recovering && a.state != b.state {
			return true
		}
	}
	return false
}

// laneTable is one row of the table.
func laneTable(p *policy.Policy, pl *policy.Lane, key route.Lane, row []standing) route.LaneTable {
	c := classOf(p, pl.Class)
	t := route.LaneTable{Class: key.Class, Network: key.Network, Mode: c.Mode, RetryAfter: route.Duration(c.RetryAfter)}
	order := inOrder(row)
	shares := laneShares(p, pl, order)
	for i := range order {
		t.Routes = append(t.Routes, entry(p, key, &order[i], shares[i]))
	}
	return t
}

func entry(p *policy.Policy, key route.Lane, s *standing, share int) route.Entry {
	e := route.Entry{Route: s.id, Share: share, Phase: s.phase, Price: p.Route(s.id).Price(key.Network).String()}
	if s.state != nil && !s.state.Since.IsZero() {
		since := s.state.Since.UTC()
		e.Since = &since
	}
	if s.phase != route.Active {
		e.Reason = &route.Because{Rule: firstRule(s.state), Decision: s.state.Decision, Text: s.state.Text}
	}
	if s.admin != route.AdminAuto {
		e.Admin = s.admin
		e.Reason = &route.Because{Decision: s.set, Text: s.by}
	}
	if s.admin == route.AdminUnregistered {
		e.Phase = route.Demoted // a sender that knows no admin state must not try it either
	}
	return e
}

func firstRule(s *route.State) string {
	if len(s.Rules) == 0 {
		return ""
	}
	return s.Rules[0]
}

// maxTrickles bounds what demoted routes get together, so that trials never crowd out what works.
const maxTrickles = route.FullShare / 2

// laneShares are the shares of the routes in order. A route on its way back gets the share of its ramp step, and a demoted
// one its trickle, of the whole lane under an order and of its own weight under weights. The rest goes to the first active
// route under an order, and to all active ones by weight under weights. One that may not be used gets nothing while there
// is another.
func laneShares(p *policy.Policy, pl *policy.Lane, order []standing) []int {
	shares := make([]int, len(order))
	left, trickles := route.FullShare, maxTrickles
	for i := range order {
		s := &order[i]
		switch {
		case !s.trials():
		case s.phase == route.Recovering:
			shares[i] = min(rampShare(p, pl, s.state), left)
		default:
			shares[i] = min(p.Route(s.id).Trickle*weight(pl, s.id)/route.FullShare, trickles, left)
			trickles -= shares[i]
		}
		left -= shares[i]
	}
	switch {
	case len(order) == 0:
	case !order[0].usable():
		shares[0] += left
	default:
		spread(shares, order, pl, left)
	}
	return shares
}

// weight is the share of the lane that is a route's own while all is well; under an order that may be all of it.
func weight(pl *policy.Lane, id route.ID) int {
	if pl.Shares == nil {
		return route.FullShare
	}
	return pl.Shares[id]
}

// rampShare is the share of the ramp step that a route on its way back stands on. A step that a reload took away is the
// highest that is left below the whole.
func rampShare(p *policy.Policy, pl *policy.Lane, s *route.State) int {
	ramp := leader(p.RulesFor(pl.Lane), s).Promote.Ramp
	if len(ramp) < 2 {
		ramp = carefulRamp
	}
	return ramp[min(s.Step, len(ramp)-2)] * weight(pl, s.Route) / route.FullShare
}

// spread gives the active routes, which come first, what is left: rounded by the largest remainder, ties by order.
func spread(shares []int, order []standing, pl *policy.Lane, left int) {
	total, n := 0, 0
	for ; n < len(order) && order[n].usable(); n++ {
		total += pl.Shares[order[n].id]
	}
	if total == 0 {
		shares[0] = left
		return
	}
	given := 0
	byRemainder := make([]int, n)
	for i := range n {
		shares[i] = left * pl.Shares[order[i].id] / total
		given += shares[i]
		byRemainder[i] = i
	}
	remainder := func(i int) int { return left * pl.Shares[order[i].id] % total }
	sort.SliceStable(byRemainder, func(a, b int) bool { return remainder(byRemainder[a]) > remainder(byRemainder[b]) })
	for _, i := range byRemainder[:left-given] {
		shares[i]++
	}
}
