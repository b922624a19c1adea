package api

import (
	"fmt"
	"net/http"
	"strings"

	"signalbox/rules/route"
)

// lookup is what the table says about one message.
type lookup struct {
	Generation route.Generation `json:"generation"`
	Lane       route.Lane       `json:"lane"`
	Mode       route.Mode       `json:"mode"`
	RetryAfter route.Duration   `json:"retry_after"`
	Key        string           `json:"key,omitempty"`
	Slot       *int             `json:"slot,omitempty"`  // 0..9999; with Key only
	Route      route.ID         `json:"route,omitempty"` // that the key gets; with Key only
	Walk       []step           `json:"walk"`            // the shares, in the order of the table
	Order      []route.ID       `json:"order"`           // what to try, one after the other
	Why        string           `json:"why"`
}

// step is one route on the walk over the shares: it gets the slots from From up to, but not including, To.
type step struct {
	Route  route.ID    `json:"route"`
	Share  int         `json:"share"`
	From   int         `json:"from"`
	To     int         `json:"to"`
	Phase  route.Phase `json:"phase"`
	Admin  route.Admin `json:"admin,omitempty"`
	Chosen bool        `json:"chosen,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

func (a *api) getLookup(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	l, wrong := v.lane()
	key := ""
	if wrong == nil {
		key, wrong = v.one("key")
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	p := a.Tables.Table()
	if p == nil {
		a.notWarm(w, r)
		return
	}
	i := p.Table.Lookup(l.Class, l.Network)
	if i < 0 {
		a.noLane(w, r, l.Class, l.Network)
		return
	}
	w.Header()["Signalbox-Generation"] = a.pages.of(p).generation
	found := look(&p.Table.Lanes[i], l, key)
	found.Generation = p.Table.Generation
	a.reply(w, r, http.StatusOK, found)
}

func (a *api) noLane(w http.ResponseWriter, r *http.Request, c route.Class, n route.Network) {
	asked := route.Lane{Class: c, Network: n}
	a.fail(w, r, problem{Type: "no-lane", Status: http.StatusNotFound,
		Detail: "no lane serves " + clip(asked.String()) + "; /routes has all lanes"})
}

// look finds what the lane says about the key; an empty key has no slot.
func look(l *route.LaneTable, asked route.Lane, key string) lookup {
	out := lookup{Lane: l.Lane(), Mode: l.Mode, RetryAfter: l.RetryAfter, Key: key}
	chosen := -1
	if key != "" {
		slot := route.Slot(key)
		chosen = l.Pick(key)
		out.Slot = &slot
		if chosen >= 0 {
			out.Route = l.Routes[chosen].Route
		}
	}
	out.Walk = walk(l, chosen)
	out.Order = tryOrder(l, chosen)
	out.Why = whyLane(l.Lane(), asked) + whyRoute(&out, chosen)
	return out
}

func walk(l *route.LaneTable, chosen int) []step {
	steps := make([]step, len(l.Routes))
	from := 0
	for i, e := range l.Routes {
		steps[i] = step{Route: e.Route, Share: e.Share, From: from, To: from + e.Share, Phase: e.Phase, Admin: e.Admin, Chosen: i == chosen}
		if e.Reason != nil {
			steps[i].Reason = e.Reason.Text
		}
		from += e.Share
	}
	return steps
}

// tryOrder is the chosen route, then the active ones that follow it, and then those before it. Without a chosen one it
// is all that are active.
func tryOrder(l *route.LaneTable, chosen int) []route.ID {
	order := []route.ID{}
	if chosen >= 0 {
		order = append(order, l.Routes[chosen].Route)
	}
	for i := range l.Routes {
		at := (chosen + 1 + i) % len(l.Routes)
		if at != chosen && standsIn(&l.Routes[at]) {
			order = append(order, l.Routes[at].Route)
		}
	}
	return order
}

// standsIn reports whether a route may be tried after another one failed.
func standsIn(e *route.Entry) bool {
	return e.Admin != route.AdminDrained && (e.Phase == route.Active || e.Phase == "" || e.Admin == route.AdminPinned)
}

func whyLane(l, asked route.Lane) string {
	if l == asked {
		return fmt.Sprintf("lane %s is the one asked for", l)
	}
	var why []string
	if l.Class != asked.Class {
		why = append(why, fmt.Sprintf("class %s has no lane of its own there", asked.Class))
	}
	if l.Network != asked.Network {
		why = append(why, fmt.Sprintf("%s is the most specific network with a lane that %s lies in", l.Network, asked.Network))
	}
	return fmt.Sprintf("lane %s: %s", l, strings.Join(why, ", and "))
}

func whyRoute(l *lookup, chosen int) string {
	switch {
	case l.Slot == nil:
		return ""
	case chosen < 0:
		return fmt.Sprintf("; slot %d is beyond the shares", *l.Slot)
	}
	s := l.Walk[chosen]
	return fmt.Sprintf("; the key's slot is %d, and %s has slots %d to %d", *l.Slot, s.Route, s.From, s.To-1)
}
