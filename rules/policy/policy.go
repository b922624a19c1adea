// Package policy turns the YAML files that people review into a Policy: routes, classes, lanes, rules with compiled
// conditions, and guards. It reports every problem at once with its place, and does no I/O: files come in as bytes.
package policy

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// Select says how a lane chooses among its routes.
type Select string

// The ways to choose. The empty one is Ordered.
const (
	Ordered  Select = "ordered"  // the first active route carries everything
	Weighted Select = "weighted" // every active route carries its share
)

// Policy is everything that people decided beforehand. It is read-only once parsed.
type Policy struct {
	// Revision is "sha256:" and twelve hex digits over names and contents of the files. Callers that know better, such as
	// a git commit, overwrite it.
	Revision string
	Routes   []Route // by id
	Classes  []Class // by name
	Lanes    []Lane  // in the order of the files' names, then as written
	Rules    []Rule  // in the order of the files' names, then as written
	Guards   Guards
	Windows  []Window // in the order of the files' names, then as written

	anyClass *Class // how lanes of class "*" are treated where the class is not declared
	written  written
}

// written is what advice has to know of how the policy was written.
type written struct {
	guards  map[string]place // the guards that were written, and where
	classes place            // the first class
	modes   bool             // whether any class or rule has a mode
}

// Route is one way to deliver messages.
type Route struct {
	ID       route.ID
	Provider string                        // the company behind it
	Networks []route.Network               // where it may be used; never empty
	Capacity float64                       // messages a second that it can carry; 0 is unknown
	Prices   map[route.Network]route.Price // of one message; empty is unknown
	Trickle  int                           // share it keeps while demoted, in ten-thousandths, 0..5000; default 0
	// Senders lists the networks in which sender IDs are registered, by class. A class that is absent is registered
	// everywhere.
	Senders map[route.Class][]route.Network
	Tags    map[string]string // free words for conditions

	place place
}

// Class is how a class of traffic is treated.
type Class struct {
	Name            route.Class
	Mode            route.Mode    // default route.Observe
	Within          time.Duration // in which a message should arrive; 0 is not said
	Objective       float64       // share that should arrive in that time, 0..1; 0 is not said
	Select          Select        // default Ordered
	RetryAfter      time.Duration // after which a sender may try the next route; 0 is not said
	ReceiptDeadline time.Duration // silence younger than this is ignored; default 0 where Within is under 5m, else 5m
	UnknownAfter    time.Duration // after which a condition that stays unknown is reported; default 2m
	Approval        time.Duration // after which a proposal expires; default 15m

	chosen bool // whether select was written
}

// Lane is a class and a network, and the routes that may serve them.
type Lane struct {
	route.Lane
	Order  []route.ID // as written, most wanted first; never empty
	Select Select     // Weighted where shares were written, else Ordered
	// Shares are ten-thousandths that sum to route.FullShare, rounded by largest remainder, ties by id. Nil where the
	// lane has an order and no shares.
	Shares       map[route.ID]int
	UnknownAfter time.Duration // of the class
	Approval     time.Duration // of the class

	sorted []route.ID // the routes of Order, sorted
	place  place
	places []place // of each route in Order
}

// Sorted are the routes of the lane by id. They must not be changed.
func (l *Lane) Sorted() []route.ID { return l.sorted }

// Has reports whether the lane has a route.
func (l *Lane) Has(id route.ID) bool {
	_, there := slices.BinarySearch(l.sorted, id)
	return there
}

// Per is what a rule judges a route by, and where it moves it.
type Per string

// What a rule may judge. The empty one is PerLane.
const (
	PerLane    Per = "lane"    // its messages in the lane
	PerNetwork Per = "network" // its messages to each MCC-MNC of the lane; it is moved there alone
	PerRoute   Per = "route"   // its messages in all lanes; it is moved in each of them
)

// Rule is a named pair of conditions: when to demote a route and when to let it back.
type Rule struct {
	Name     string
	Classes  []route.Class // "*" is every class
	Per      Per           // what the rule judges
	Mode     route.Mode    // "" is the mode of the class
	Demote   Clause
	Promote  Clause
	HoldDown HoldDown

	place place
}

// Clause is one half of a rule.
type Clause struct {
	When *Condition
	For  time.Duration // known and true for so long; default 0
	Ramp []int         // promote only: shares of the way back in ten-thousandths, rising to 10000; default {10000}
	Step time.Duration // promote only: time at each share of the ramp; default 2m
	Mode route.Mode    // promote only; "" is the mode of the rule
}

// HoldDown is how long a demoted route stays out at least: Base × Factor^relapses, no longer than Max.
type HoldDown struct {
	Base   time.Duration // default 5m
	Factor float64       // 1..100, default 2
	Max    time.Duration // never under Base; default 4h, or Base where that is longer
	Decay  time.Duration // a demotion within this time of the last promotion is a relapse; default 6h
}

// Guards are the safety rules over the state that a change would leave.
type Guards struct {
	MinActive   int // routes that stay active in every lane; never under 1, default 1
	CommonCause CommonCause
	Corroborate Corroborate
	MaxDemoted  int           // share of a lane's routes that may be out, in ten-thousandths; 0 is no bound
	Settle      time.Duration // rest of a lane after a change; default 60s
	Velocity    Velocity
	Capacity    Then // what becomes of a change that the remaining routes cannot carry; default ThenHold
	PriceRise   PriceRise
}

// Then is what a guard does with a change that it does not let pass.
type Then string

// What a guard can do.
const (
	ThenHold    Then = "hold"
	ThenPropose Then = "propose" // a person may approve it
)

// PriceRise bounds how much dearer a change may make a lane. It is off where Limit is 0.
type PriceRise struct {
	Limit int  // in ten-thousandths of the price before: 5000 is half as much again
	Then  Then // default ThenPropose
}

// CommonCause holds demotions while much of a lane suffers at once.
type CommonCause struct {
	Share float64       // of the lane's routes, 0..1; default 0.6
	Wait  time.Duration // how long an unclear comparison may hold a demotion; default 60s
}

// Corroborate asks for a second channel before receipts alone demote. It is off where Classes is empty.
type Corroborate struct {
	Classes []route.Class
	Signals []string      // silence, latency; default both
	Wait    time.Duration // for the second channel; default 40s
}

// Velocity bounds the changes of a lane.
type Velocity struct {
	Changes int           // default 2
	In      time.Duration // default 10m
}

// Route returns the route id, or nil where there is none.
func (p *Policy) Route(id route.ID) *Route {
	for lo, hi := 0, len(p.Routes); lo < hi; {
		switch mid := int(uint(lo+hi) >> 1); {
		case p.Routes[mid].ID == id:
			return &p.Routes[mid]
		case p.Routes[mid].ID < id:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil
}

// Class returns the class by its name, or nil where it is not declared. route.AnyClass is there in every
// parsed policy, with the defaults unless the policy declares it.
func (p *Policy) Class(name route.Class) *Class {
	for i := range p.Classes {
		if p.Classes[i].Name == name {
			return &p.Classes[i]
		}
	}
	if name == route.AnyClass {
		return p.anyClass
	}
	return nil
}

// Lane returns the lane by its key, or nil where there is none.
func (p *Policy) Lane(key route.Lane) *Lane {
	for i := range p.Lanes {
		if p.Lanes[i].Lane == key {
			return &p.Lanes[i]
		}
	}
	return nil
}

// LaneKeys are the lanes in the order of the policy, in the form that route.Find takes.
func (p *Policy) LaneKeys() []route.Lane {
	keys := make([]route.Lane, len(p.Lanes))
	for i := range p.Lanes {
		keys[i] = p.Lanes[i].Lane
	}
	return keys
}

// RulesFor returns the rules that judge the lane, in the order of the policy. A rule of class "*" judges every lane; the
// lane of class "*" is judged only by those.
func (p *Policy) RulesFor(lane route.Lane) []*Rule {
	var out []*Rule
	for i := range p.Rules {
		if p.Rules[i].judges(lane.Class) {
			out = append(out, &p.Rules[i])
		}
	}
	return out
}

func (r *Rule) judges(class route.Class) bool {
	for _, c := range r.Classes {
		if c == class || c == route.AnyClass {
			return true
		}
	}
	return false
}

// Price is what a message to network n costs: the price of n itself, else of its country, else of "*". A network with
// none of them has the unknown price.
func (r *Route) Price(n route.Network) route.Price {
	for _, m := range [...]route.Network{n, n.Country(), route.AnyNetwork} {
		if p, ok := r.Prices[m]; ok {
			return p
		}
	}
	return route.Price{}
}

// Registered reports whether sender IDs of the class are registered in the whole of network n, so that the route may be
// a fallback there. For route.AnyClass every class that has a list must be.
func (r *Route) Registered(class route.Class, n route.Network) bool {
	if class == route.AnyClass {
		for _, networks := range r.Senders {
			if !contains(networks, n) {
				return false
			}
		}
		return true
	}
	networks, listed := r.Senders[class]
	return !listed || contains(networks, n)
}

func contains(networks []route.Network, n route.Network) bool {
	for _, m := range networks {
		if m.Contains(n) {
			return true
		}
	}
	return false
}

// serves reports whether the route may be used in some part of network n.
func (r *Route) serves(n route.Network) bool {
	for _, m := range r.Networks {
		if m.Contains(n) || n.Contains(m) {
			return true
		}
	}
	return false
}
