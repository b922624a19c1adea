package way

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"signalbox/rules/route"
)

// Bounds of what is kept of tables.
const (
	maxVersions    = 32   // of each lane
	maxGenerations = 4096 // moments of publication
	maxLanes       = 50_000
)

// Tables keeps what tables of late said, each row once for as long as it stayed the same.
type Tables struct {
	mu        sync.Mutex // guards what follows
	published []publication
	lanes     map[route.Lane][]version // oldest first
}

type publication struct {
	generation route.Generation
	at         time.Time
}

// version is a row from a generation on. A row that is gone has no routes.
type version struct {
	publication
	routes []route.Entry // of a published table, which never changes
}

// Standing is what a table said of a route. It is an alias, so that those who serve it can declare the same fields.
type Standing = struct {
	Generation route.Generation `json:"generation"`
	Assumed    bool             `json:"assumed,omitempty"`     // the sender did not say which table it used: it is the one that was in force
	NotKept    string           `json:"not_kept,omitempty"`    // why what follows is not known
	Published  time.Time        `json:"published_at,omitzero"` // since when the row had been so
	Lane       route.Lane       `json:"lane,omitzero"`         // of the row that served the message
	Entry      *route.Entry     `json:"entry,omitempty"`       // absent where the row did not have the route
}

func (t *Tables) add(table *route.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := publication{table.Generation, table.PublishedAt}
	if n := len(t.published); n > 0 && !p.generation.Newer(t.published[n-1].generation) {
		return
	}
	t.published = trimmed(append(t.published, p), maxGenerations)
	if t.lanes == nil || len(t.lanes) > maxLanes {
		t.lanes = map[route.Lane][]version{}
		t.published = []publication{p}
	}
	stays := make(map[route.Lane]bool, len(table.Lanes))
	for i := range table.Lanes {
		row := &table.Lanes[i]
		stays[row.Lane()] = true
		t.turn(row.Lane(), version{p, row.Routes})
	}
	for lane := range t.lanes {
		if !stays[lane] {
			t.turn(lane, version{p, nil})
		}
	}
}

// turn adds a version of a row where it differs from the last one.
func (t *Tables) turn(lane route.Lane, v version) {
	all := t.lanes[lane]
	if n := len(all); n > 0 && slices.EqualFunc(all[n-1].routes, v.routes, sameEntry) {
		return
	}
	t.lanes[lane] = trimmed(append(all, v), maxVersions)
}

func trimmed[T any](all []T, most int) []T {
	if len(all) > most {
		return slices.Delete(all, 0, len(all)-most)
	}
	return all
}

func sameEntry(a, b route.Entry) bool {
	since, reason := equal(a.Since, b.Since), equal(a.Reason, b.Reason)
	a.Since, a.Reason, b.Since, b.Reason = nil, nil, nil, nil
	return since && reason && a == b
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// stand says of an attempt what the table said that its sender used, or that was in force where the sender did not say.
func (t *Tables) stand(a *Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &Standing{}
	if a.Generation != nil {
		s.Generation = *a.Generation
	} else {
		s.Assumed = true
		s.Generation, s.NotKept = t.inForce(a.Time)
	}
	if s.NotKept == "" {
		s.NotKept = t.unknown(s.Generation)
	}
	a.Table = s
	if s.NotKept != "" {
		return
	}
	lane, v, why := t.serving(s.Generation, a.Class, a.Network)
	if why != "" {
		s.NotKept = why
		return
	}
	if v == nil {
		a.Table = nil
		return
	}
	s.Lane, s.Published = lane, v.at
	if i := slices.IndexFunc(v.routes, func(e route.Entry) bool { return e.Route == a.Route }); i >= 0 {
		s.Entry = &v.routes[i]
	}
}

// inForce is the generation that was in force at a moment.
func (t *Tables) inForce(at time.Time) (g route.Generation, why string) {
	for _, p := range slices.Backward(t.published) {
		if !p.at.After(at) {
			return p.generation, ""
		}
	}
	return g, "the tables from before are not kept"
}

// unknown says why a generation is not known; "" where it is.
func (t *Tables) unknown(g route.Generation) string {
	n := len(t.published)
	switch {
	case n == 0:
		return "no table has been published yet"
	case t.published[0].generation.Newer(g):
		return fmt.Sprintf("tables are kept from generation %s on", t.published[0].generation)
	case g.Newer(t.published[n-1].generation):
		return fmt.Sprintf("no table of this generation has been published; the last one is %s", t.published[n-1].generation)
	}
	return ""
}

// serving is the row that served a message under a generation; nil where none did.
func (t *Tables) serving(g route.Generation, c route.Class, n route.Network) (route.Lane, *version, string) {
	var keys []route.Lane
	var rows []*version
	for lane, all := range t.lanes {
		if !lane.Matches(c, n) {
			continue
		}
		v := asOf(all, g)
		if v == nil && len(all) == maxVersions {
			return lane, nil, fmt.Sprintf("of lane %s only the last %d changes are kept", lane, maxVersions)
		}
		if v != nil && len(v.routes) > 0 {
			keys, rows = append(keys, lane), append(rows, v)
		}
	}
	if i := route.Find(keys, c, n); i >= 0 {
		return keys[i], rows[i], ""
	}
	return route.Lane{}, nil, ""
}

// asOf is the version that a generation had; nil where it had none, or it is not kept.
func asOf(all []version, g route.Generation) *version {
	for i := range slices.Backward(all) {
		if !all[i].generation.Newer(g) {
			return &all[i]
		}
	}
	return nil
}
