package decide

import (
	"sort"
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// Table draws up what senders are to see of a state. It is never empty: a lane without an active route gives its traffic
// to the least bad one.
func Table(p *policy.Policy, w route.World, now time.Time) route.Table {
	t := route.Table{Generation: w.Generation, PublishedAt: now.Round(0).UTC(), Policy: p.Revision}
	for i := range w.Lanes {
		if pl := p.Lane(w.Lanes[i].Lane); pl != nil {
			t.Lanes = append(t.Lanes, laneTable(p, pl, &w.Lanes[i]))
		}
	}
	return t
}

func laneTable(p *policy.Policy, pl *policy.Lane, l *route.LaneState) route.LaneTable {
	c := classOf(p, pl.Class)
	t := route.LaneTable{Class: pl.Class, Network: pl.Network, Mode: c.Mode, RetryAfter: route.Duration(c.RetryAfter)}
	order := inOrder(pl, l)
	shares := laneShares(p, pl, order)
	for i, s := range order {
		t.Routes = append(t.Routes, entry(p, pl, s, shares[i]))
	}
	return t
}

func entry(p *policy.Policy, pl *policy.Lane, s *route.State, share int) route.Entry {
	e := route.Entry{Route: s.Route, Share: share, Phase: s.Phase, Price: p.Route(s.Route).Price(pl.Network).String()}
	if !s.Since.IsZero() {
		since := s.Since.UTC()
		e.Since = &since
	}
	if s.Phase != route.Active {
		e.Reason = &route.Because{Rule: firstRule(s), Decision: s.Decision, Text: s.Text}
	}
	return e
}

func firstRule(s *route.State) string {
	if len(s.Rules) == 0 {
		return ""
	}
	return s.Rules[0]
}

// inOrder is the order to try: active routes first, then those on their way back, then the demoted, each in the order of
// the policy.
func inOrder(pl *policy.Lane, l *route.LaneState) []*route.State {
	order := make([]*route.State, 0, len(pl.Order))
	for _, id := range pl.Order {
		if s := l.State(id); s != nil {
			order = append(order, s)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return rank(order[i].Phase) < rank(order[j].Phase) })
	return order
}

func rank(p route.Phase) int {
	switch p {
	case route.Recovering:
		return 1
	case route.Demoted:
		return 2
	}
	return 0
}

// maxTrickles bounds what demoted routes get together, so that trials never crowd out what works.
const maxTrickles = route.FullShare / 2

// laneShares are the shares of the routes in order. A route on its way back gets the share of its ramp step, and a demoted
// one its trickle, of the whole lane under an order and of its own weight under weights. The rest goes to the first active
// route under an order, and to all active ones by weight under weights.
func laneShares(p *policy.Policy, pl *policy.Lane, order []*route.State) []int {
	shares := make([]int, len(order))
	left, trickles := route.FullShare, maxTrickles
	for i, s := range order {
		switch s.Phase {
		case route.Recovering:
			shares[i] = min(rampShare(p, pl, s), left)
		case route.Demoted:
			shares[i] = min(p.Route(s.Route).Trickle*weight(pl, s.Route)/route.FullShare, trickles, left)
			trickles -= shares[i]
		}
		left -= shares[i]
	}
	switch {
	case len(order) == 0:
	case order[0].Phase != route.Active:
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
func spread(shares []int, order []*route.State, pl *policy.Lane, left int) {
	total, n := 0, 0
	for ; n < len(order) && order[n].Phase == route.Active; n++ {
		total += pl.Shares[order[n].Route]
	}
	if total == 0 {
		shares[0] = left
		return
	}
	given := 0
	byRemainder := make([]int, n)
	for i := range n {
		shares[i] = left * pl.Shares[order[i].Route] / total
		given += shares[i]
		byRemainder[i] = i
	}
	remainder := func(i int) int { return left * pl.Shares[order[i].Route] % total }
	sort.SliceStable(byRemainder, func(a, b int) bool { return remainder(byRemainder[a]) > remainder(byRemainder[b]) })
	for _, i := range byRemainder[:left-given] {
		shares[i]++
	}
}
