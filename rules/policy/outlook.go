package policy

import (
	"fmt"
	"slices"
	"time"

	"signalbox/rules/route"
)

// Outlook is how fast a rule finds faults in some lanes, and how often it demotes a route on which all is well. What
// cannot be told is said to be not told.
type Outlook struct {
	Rule  string         `json:"rule"`
	Lanes []route.Lane   `json:"lanes"` // those that it is the same for, in the order of the policy
	Mode  route.Mode     `json:"mode"`  // what may be done with the demotion
	Found []Found        `json:"detection"`
	False FalseDemotions `json:"false_demotions"`
	Note  string         `json:"note,omitempty"`
}

// Found is how long after a fault begins the rule demotes.
type Found struct {
	Fault string `json:"fault"`
	Rate  string `json:"rate"` // messages the route carries
	Told  bool   `json:"told"` // whether there are numbers
	// Typical is how long it takes in half of the cases, where no guard waits.
	Typical route.Duration `json:"typical,omitempty"`
	// Slow is how long it takes at most in 19 of 20 cases, with the guards waiting in full.
	Slow  route.Duration `json:"slow,omitempty"`
	More  bool           `json:"more,omitempty"`  // it was watched for no longer than Slow less the waits
	Never bool           `json:"never,omitempty"` // the rule does not see the fault
	Cause string         `json:"cause,omitempty"` // why it is not told
}

// FalseDemotions is how often a rule would demote a route on which all is well, a month, before guards.
type FalseDemotions struct {
	Told     bool    `json:"told"`
	PerRoute float64 `json:"per_route,omitempty"` // of one route that carries a message a second
	PerLane  float64 `json:"per_lane,omitempty"`  // of all routes that carry messages of a lane, such a stream each
	Routes   int     `json:"routes"`              // that many
	// PerNetwork means that each network of the lane is judged apart, and adds as much again.
	PerNetwork bool   `json:"per_network,omitempty"`
	Bound      string `json:"bound,omitempty"` // under or over, where the number is one
	From       string `json:"from,omitempty"`  // what was measured or assumed
	Cause      string `json:"cause,omitempty"` // why it is not told
}

// Outlooks are those of all rules that judge a lane, in the order of the policy.
func (p *Policy) Outlooks(a Assumptions) []Outlook {
	var out []Outlook
	for i := range p.Rules {
		r := &p.Rules[i]
		var kinds []setting
		lanes := map[setting][]route.Lane{}
		for _, l := range p.lanesOf(r) {
			s := p.settingOf(r, l)
			if lanes[s] == nil {
				kinds = append(kinds, s)
			}
			lanes[s] = append(lanes[s], l.Lane)
		}
		for _, s := range kinds {
			out = append(out, r.outlook(a, s, lanes[s]))
		}
	}
	return out
}

// setting is what makes the outlook of a rule differ from lane to lane.
type setting struct {
	mode     route.Mode
	deadline time.Duration
	silent   time.Duration // how long guards wait at most where receipts are missing
	failing  time.Duration // and where they say failed, or submits are refused
	carrying int           // routes that carry messages by right
	alone    bool          // no other route can take over
}

func (p *Policy) settingOf(r *Rule, l *Lane) setting {
	c := p.classOf(l)
	s := setting{mode: careful(c.Mode, r.Mode), deadline: c.ReceiptDeadline, carrying: 1}
	usable := 0
	for _, id := range l.Order {
		if p.Route(id).Registered(l.Class, l.Network) {
			usable++
		}
	}
	s.alone = usable <= max(1, p.Guards.MinActive)
	if l.Shares != nil {
		s.carrying = 0
		for _, share := range l.Shares {
			if share > 0 {
				s.carrying++
			}
		}
	}
	g := p.Guards
	if reads := r.Demote.When.Reads("delivery") || r.Demote.When.Reads("conversion"); reads && len(l.Order) > 1 {
		s.silent = g.CommonCause.Wait
		if s.carrying > 1 { // what the others carry may tell nothing for a while
			s.failing = g.CommonCause.Wait
		}
	}
	asked := slices.Contains(g.Corroborate.Classes, l.Class) || slices.Contains(g.Corroborate.Classes, route.AnyClass)
	if asked && slices.Contains(g.Corroborate.Signals, "silence") && r.Demote.When.Reads("delivery") {
		s.silent = max(s.silent, g.Corroborate.Wait) // both wait at the same time
	}
	return s
}

// careful is the more careful of two modes; the empty one says nothing.
func careful(a, b route.Mode) route.Mode {
	for _, m := range []route.Mode{route.Observe, route.Propose} {
		if a == m || b == m {
			return m
		}
	}
	return route.Act
}

func (r *Rule) outlook(a Assumptions, s setting, lanes []route.Lane) Outlook {
	out := Outlook{Rule: r.Name, Lanes: lanes, Mode: s.mode, Found: []Found{}, False: r.falseDemotions(a, s)}
	switch {
	case s.alone:
		out.Note = "min_active holds every demotion: no other route can take over"
	case s.mode == route.Observe:
		out.Note = "mode observe: demotions are recorded, not made"
	case s.mode == route.Propose:
		out.Note = "mode propose: and then as long as a person takes"
	}
	for f := range Faults {
		for rate := range Rates {
			out.Found = append(out.Found, r.found(a, s, f, rate))
		}
	}
	if r.Demote.When.Reads("probe") {
		f := r.found(a, s, ProbeFails, 0)
		f.Rate = "any"
		out.Found = append(out.Found, f)
	}
	return out
}

func (r *Rule) found(a Assumptions, s setting, f Fault, rate int) Found {
	w := world{Assumptions: a, fault: f, rate: rate, deadline: s.deadline}
	out := Found{Fault: f.String(), Rate: RateText(Rates[rate])}
	d := w.delay(r.Demote.When, r.Demote.When.expr)
	waits := s.failing
	switch {
	case f == ProbeFails:
		waits = 0
	case f <= LossSilent:
		waits = s.silent
	}
	switch d.told {
	case never:
		out.Never = true
	case given:
		out.Cause = "the condition is true or not, whatever the route does"
	case untold:
		out.Cause = d.cause
	default:
		out.Told, out.More = true, d.more
		out.Typical, out.Slow = route.Duration(d.typical+r.Demote.For), route.Duration(d.slow+r.Demote.For+waits)
	}
	return out
}

func (r *Rule) falseDemotions(a Assumptions, s setting) FalseDemotions {
	out := FalseDemotions{Routes: s.carrying, PerNetwork: r.Per == PerNetwork}
	w := world{Assumptions: a, lasts: r.Demote.For, rate: slices.Index(Rates, 1)}
	o := w.often(r.Demote.When, r.Demote.When.expr)
	switch o.told {
	case never:
		out.Told, out.From = true, "the condition is never true"
	case given:
		out.Cause = "the condition is true or not, whatever the route does"
	case untold:
		out.Cause = o.cause
	default:
		out.Told, out.Bound, out.From = true, o.bound, o.from
		out.PerRoute, out.PerLane = o.times, o.times*float64(s.carrying)
	}
	return out
}

// RateText is a rate as people write it: 1/min, 0.2/s.
func RateText(rate float64) string {
	if rate < 0.1 {
		return trimmed(rate*60) + "/min"
	}
	return trimmed(rate) + "/s"
}

// String is the delay in short: "17s..1m20s".
func (f *Found) String() string {
	switch {
	case f.Never:
		return "never"
	case !f.Told:
		return "not told"
	case f.More:
		return fmt.Sprintf("%s..over %s", rough(f.Typical), rough(f.Slow))
	}
	return fmt.Sprintf("%s..%s", rough(f.Typical), rough(f.Slow))
}

// rough is a time no finer than it was measured.
func rough(d route.Duration) string {
	to := time.Second
	switch {
	case d.D() >= time.Hour:
		to = time.Minute
	case d.D() >= 5*time.Minute:
		to = 10 * time.Second
	}
	return route.Duration(d.D().Round(to)).String()
}
