package decide

import (
	"slices"
	"time"

	"signalbox/rules/route"
)

// Seen are the signals of the last round, and a Source that tells nothing newer.
type Seen struct {
	Signals []route.Signals // of lanes and networks
	Wide    []route.Signals // of routes over all lanes, by the lane that asked
	Also    route.ID        // a route that is looked at although nothing tells of it; "" is none
	lanes   []route.Lane    // of the policy; nil where it is not known
}

// Judge picks the signals that were seen; a route that was not judged has unknown ones.
func (s Seen) Judge(scope route.Scope, asks []route.Inquiry, _ time.Time) []route.Signals {
	from := s.Signals
	if scope.Wide {
		from = s.Wide
	}
	key := scope.Key()
	out := make([]route.Signals, len(asks))
	for i := range asks {
		q := route.Quality{Cause: "not judged yet"}
		out[i] = route.Signals{Lane: key, Route: asks[i].Route, Delivery: route.Delivery{Quality: q}, Within: route.Within{Quality: q}, Latency: route.Latency{Quality: q},
			Conversion: route.Conversion{Quality: q}, Submit: route.Submit{Quality: q}, Open: route.Open{Quality: q}, Score: route.Score{Quality: q}}
		for j := range from {
			if from[j].Lane == key && from[j].Route == asks[i].Route {
				out[i] = from[j]
				break
			}
		}
	}
	return out
}

// Live are the routes that were judged in a lane.
func (s Seen) Live(lane route.Lane) []route.ID {
	var out []route.ID
	for i := range s.Signals {
		if s.Signals[i].Lane == lane {
			out = append(out, s.Signals[i].Route)
		}
	}
	if s.Also != "" {
		out = append(out, s.Also)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Probed is nobody: whoever was judged is live.
func (s Seen) Probed() []route.ID { return nil }

// Networks are the networks of a lane that were judged; those that have a lane of their own are none of its.
func (s Seen) Networks(lane route.Lane) []route.Network {
	var out []route.Network
	for i := range s.Signals {
		if l := s.Signals[i].Lane; l != lane && l.Class == lane.Class && lane.Network.Contains(l.Network) && l.Network.Country() != l.Network && !slices.Contains(s.lanes, l) {
			out = append(out, l.Network)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
