package api

import (
	"net/http"

	"signalbox/rules/route"
)

func (a *api) getLanes(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, struct {
		Generation route.Generation `json:"generation"` // in force
		Lanes      []LaneRow        `json:"lanes"`
	}{a.current(), orEmpty(a.Lanes.Lanes())})
}

func (a *api) getLane(w http.ResponseWriter, r *http.Request) {
	l := route.Lane{Class: route.Class(r.PathValue("class")), Network: route.Network(r.PathValue("network"))}
	row, ok := a.Lanes.Lane(l)
	if !ok {
		a.fail(w, r, problem{Type: "no-lane", Status: http.StatusNotFound, See: []string{"/api/v1/lanes"},
			Detail: "there is no lane " + clip(l.String())})
		return
	}
	a.reply(w, r, http.StatusOK, row)
}

// getExplain explains a route in the lane that was named, or in the one that serves what was named.
func (a *api) getExplain(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	id, wrong := v.name("route")
	if wrong == nil && id == "" {
		wrong = bad("route", "want the id of a route")
	}
	var l route.Lane
	if wrong == nil {
		l, wrong = v.lane()
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	why, ok := a.explain(route.ID(id), l)
	if !ok {
		a.fail(w, r, problem{Type: "not-found", Status: http.StatusNotFound, See: []string{"/api/v1/lanes"},
			Detail: "there is no route " + clip(id) + " in lane " + clip(l.String())})
		return
	}
	a.reply(w, r, http.StatusOK, why)
}

func (a *api) explain(id route.ID, l route.Lane) (any, bool) {
	if why, ok := a.Explainer.Explain(id, l); ok {
		return why, true
	}
	p := a.Tables.Table()
	if p == nil {
		return nil, false
	}
	i := p.Table.Lookup(l.Class, l.Network)
	if i < 0 {
		return nil, false
	}
	return a.Explainer.Explain(id, p.Table.Lanes[i].Lane())
}
