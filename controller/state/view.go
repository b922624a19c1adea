package state

import (
	"encoding/binary"
	"sync"

	"signalbox/rules/route"
)

// maxViews bounds the encoded views of one generation, and maxFilters the filters that are remembered for them. Beyond
// the first, views are encoded for each request and not compressed.
const (
	maxViews   = 256
	maxFilters = 4096
)

type filter struct {
	class   route.Class
	network route.Network
}

// views are the narrowed tables of one generation.
type views struct {
	of *Published

	mu       sync.Mutex // guards what follows; encoding happens under it, once for each view
	byFilter map[filter]*Published
	byLanes  map[string]*Published // by the indices of their lanes: different filters often keep the same
}

// Filtered is the table in force with only the lanes that a sender of these messages can come across: of the class or of
// "*", and of networks that lie in network or that it lies in. Lookups within the filter so have the same result as in
// the whole table. The empty class and the empty network narrow nothing. It is nil where there is no table, or no such
// lane in it.
func (m *Model) Filtered(c route.Class, n route.Network) *Published {
	p := m.table.Load()
	if p == nil || c == "" && n == "" {
		return p
	}
	return m.viewsOf(p).get(filter{c, n})
}

// viewsOf returns the views of p, new ones where p is not the table that they were last made of.
func (m *Model) viewsOf(p *Published) *views {
	for {
		v := m.views.Load()
		if v != nil && v.of == p {
			return v
		}
		fresh := &views{of: p, byFilter: map[filter]*Published{}, byLanes: map[string]*Published{}}
		if m.views.CompareAndSwap(v, fresh) {
			return fresh
		}
	}
}

func (v *views) get(f filter) *Published {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p, ok := v.byFilter[f]; ok {
		return p
	}
	p := v.narrow(f)
	if len(v.byFilter) < maxFilters {
		v.byFilter[f] = p
	}
	return p
}

func (v *views) narrow(f filter) *Published {
	t, lanes := v.of.Table, []byte(nil)
	narrow := *t
	narrow.Lanes = nil
	for i := range t.Lanes {
		if f.keeps(&t.Lanes[i]) {
			narrow.Lanes = append(narrow.Lanes, t.Lanes[i])
			lanes = binary.AppendUvarint(lanes, uint64(i))
		}
	}
	switch {
	case len(narrow.Lanes) == 0:
		return nil
	case len(narrow.Lanes) == len(t.Lanes):
		return v.of
	}
	if p, ok := v.byLanes[string(lanes)]; ok {
		return p
	}
	return v.encode(&narrow, string(lanes))
}

// encode cannot fail where the whole table could be encoded; if it did, there would be no such view.
func (v *views) encode(t *route.Table, lanes string) *Published {
	if len(v.byLanes) >= maxViews {
		p, _ := encodePlain(t)
		return p
	}
	p, err := Encode(t)
	if err != nil {
		return nil
	}
	v.byLanes[lanes] = p
	return p
}

func (f filter) keeps(l *route.LaneTable) bool {
	return (f.class == "" || l.Class == f.class || l.Class == route.AnyClass) &&
		(f.network == "" || l.Network.Contains(f.network) || f.network.Contains(l.Network))
}
