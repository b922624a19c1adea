package signal

import (
	"time"

	"signalbox/rules/route"
)

// account is what is known of a route beside its messages.
type account struct {
	clock     clock
	probes    map[probeKey]probePlaces
	keys      []*key // of the route, in order
	probeLogs int    // in probes, over all places
	proven    bool   // a final receipt has come back on the route: it is known to bring them
	proof     bool   // a conversion has come back on the route
	// undated says that receipts come from counters, so that how long they take is not known.
	undated bool
	time    clocked
}

// clocked is the time that a route's clock told, kept while nothing changes it: a round asks for it in each lane of the route.
type clocked struct {
	reading
	last    time.Time // how far its sources have got
	at      time.Time // moment that it was asked for
	version uint64    // of the book
}

// read tells the time of the route.
func (a *account) read(version uint64, now time.Time) *clocked {
	if t := &a.time; t.version != version || !t.at.Equal(now) {
		*t = clocked{reading: a.clock.read(now), last: a.clock.heard(), at: now, version: version}
		if a.undated && t.timing == "" {
			t.timing = "its receipts are known from counters, which do not tell how long each took"
		}
	}
	return &a.time
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
