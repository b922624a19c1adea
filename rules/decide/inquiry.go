package decide

import (
	"time"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// maxPeace is the longest time without trouble that is asked of a route before it can count as recovered.
const maxPeace = 5 * time.Minute

// Inquiries are what a round asks the book about a lane. A route that is out must show as long a peace as the hold-down
// of its rules, up to maxPeace.
func Inquiries(p *policy.Policy, l *route.LaneState) []route.Inquiry {
	asks := make([]route.Inquiry, len(l.Routes))
	for i := range l.Routes {
		s := &l.Routes[i]
		asks[i] = route.Inquiry{Route: s.Route, After: s.Since}
		if s.Phase != route.Active {
			asks[i].Accused, asks[i].Peace = s.Accused, peace(p, s)
		}
	}
	return asks
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
