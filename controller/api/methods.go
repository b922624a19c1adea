package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// methods is all that one path can do.
type methods struct {
	api   *api
	name  string
	by    map[string]http.HandlerFunc
	get   http.HandlerFunc // by["GET"], without the map
	allow string
}

func (m *methods) finish() {
	m.get = m.by["GET"]
	m.allow = strings.Join(slices.Sorted(maps.Keys(m.by)), ", ")
}

func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == "GET" && m.get != nil {
		m.get(w, r)
		return
	}
	if h := m.by[r.Method]; h != nil {
		h(w, r)
		return
	}
	w.Header().Set("Allow", m.allow)
	m.api.fail(w, r, problem{Type: "method-not-allowed", Status: http.StatusMethodNotAllowed,
		Detail: "want " + m.allow + ", got " + clip(r.Method)})
}

func (a *api) unknown(w http.ResponseWriter, r *http.Request) {
	a.fail(w, r, problem{Type: "not-found", Status: http.StatusNotFound,
		Detail: "nothing is at " + clip(r.URL.Path) + "; look at the paths under see", See: a.see})
}

func (a *api) tooLong(w http.ResponseWriter, r *http.Request) {
	r.Body = http.NoBody
	a.fail(w, r, problem{Type: "too-long", Status: http.StatusRequestURITooLong, Detail: "want a URL of at most 8192 bytes"})
}
