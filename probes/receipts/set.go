package receipts

import (
	"fmt"

	"signalbox/rules/route"
)

// Set is by what a Handler reads calls: the formats with their keys, and the routes of connectors. It does not change.
type Set struct {
	formats map[string]Format
	routes  map[string]route.ID
}

// NewSet checks formats, each of which wants a reader and a name of its own. Routes are by the provider's connector or SMSC
// id; an id that is absent is the route's own.
func NewSet(formats []Format, routes map[string]route.ID) (*Set, error) {
	s := &Set{formats: make(map[string]Format, len(formats)), routes: routes}
	for _, f := range formats {
		if _, twice := s.formats[f.Name]; twice || f.Name == "" || f.Read == nil {
			return nil, fmt.Errorf("want formats with a reader and a name of their own, got %q", f.Name)
		}
		s.formats[f.Name] = f
	}
	return s, nil
}

func (s *Set) route(connector string) route.ID {
	if id, ok := s.routes[connector]; ok {
		return id
	}
	return route.ID(connector)
}
