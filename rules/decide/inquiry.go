package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// maxPeace is the longest time without trouble that is asked of a route before it can count as recovered.
const maxPeace = 5 * time.Minute

// inquiries are what a round asks the source about a row. A route that is out must show as long a peace as the hold-down
// of its rules, up to maxPeace. Of a lane, the messages to networks where the route is out already are left aside: they
// have been decided on.
func (l *lane) inquiries() []route.Inquiry {
	asks, refusals := make([]route.Inquiry, len(l.states)), l.refusals()
	for i := range l.states {
		s := &l.states[i]
		asks[i] = route.Inquiry{Route: s.Route, After: s.Since, Refusals: refusals}
		if s.Phase != route.Active {
			asks[i].Accused, asks[i].Peace = s.Accused, peace(l.round.policy, s)
		}
		if l.within == nil {
			asks[i].Without = l.outOn(s.Route)
		} else if lane := l.within.state(s.Route); lane != nil {
			asks[i].After = later(asks[i].After, lane.Since)
		}
	}
	return asks
}

// outOn are the networks of the lane on which a route is not active, sorted.
func (f *family) outOn(id route.ID) []route.Network {
	var out []route.Network
	for i := range f.from.Networks {
		if s := f.from.On(f.from.Networks[i].Network, id); s != nil && s.Phase != route.Active {
			out = append(out, f.from.Networks[i].Network)
		}
	}
	return out
}

// refusals is the moment from which refusals count: not within a window that ignores them, and then from its end.
func (l *lane) refusals() time.Time {
	from := time.Time{}
	for _, w := range l.windows() {
		switch {
		case !w.IgnoreRefusals:
		case w.Open(l.now):
			return l.now.Add(signal.Tick)
		default:
			from = later(from, w.Ended(l.now, signal.Memory))
		}
	}
	return from
}

func peace(p *policy.Policy, s *route.State) time.Duration {
	longest := time.Duration(0)
	for i := range p.Rules {
		if holds(s, p.Rules[i].Name) {
			longest = max(longest, p.Rules[i].HoldDown.Base)
		}
	}
	return min(longest, maxPeace)
}

// holds reports whether a rule keeps a route out.
func holds(s *route.State, rule string) bool {
	for _, name := range s.Rules {
		if name == rule {
			return true
		}
	}
	return false
}
