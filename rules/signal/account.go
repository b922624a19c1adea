package signal

import "signalbox/rules/route"

// account is what is known of a route beside its messages.
type account struct {
	clock  clock
	probes map[probeKey]*probeLog
	keys   []*key // of the route, in order
	proven bool   // a final receipt has come back on the route: it is known to bring them
	proof  bool   // a conversion has come back on the route
}

// account is what is known of a route that is judged.
func (b *Book) account(id route.ID) *account {
	a := b.routes[id]
	if a == nil {
		a = &account{}
		b.routes[id] = a
	}
	return a
}

// reported is what is known of a route that an observation names, or nil beyond the bound of routes.
func (b *Book) reported(id route.ID) *account {
	if a := b.routes[id]; a != nil {
		return a
	}
	if len(b.routes) >= b.maxKeys {
		b.stats.Overflow++
		return nil
	}
	return b.account(id)
}

// source is the source of a name, or nil beyond the bound of sources.
func (b *Book) source(name string) *source {
	s := b.sources[name]
	if s == nil {
		if len(b.sources) >= b.maxKeys {
			b.stats.Overflow++
			return nil
		}
		s = &source{}
		b.sources[name] = s
	}
	return s
}

// reporter is the source of an observation, and what it means to the route: the one that the observation names, else the
// only one that names the route in its heartbeats, else the route's own nameless one.
func (b *Book) reporter(a *account, o *route.Observation) (*source, *link) {
	if o.Source == "" && len(a.clock.links) == 1 {
		l := a.clock.links[0]
		return l.source, l
	}
	if l := a.clock.byName[o.Source]; l != nil {
		return l.source, l
	}
	if o.Source != "" {
		if s := b.source(o.Source); s != nil {
			return s, a.clock.link(o.Source, s)
		}
	}
	return &a.clock.own, nil
}
