package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// problem is an error as RFC 9457 has it, with members of ours.
type problem struct {
	Type      string   `json:"type"` // the last part of its URN
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail,omitempty"`
	Instance  string   `json:"instance,omitempty"`  // the path
	Parameter string   `json:"parameter,omitempty"` // the one that is wrong
	Problems  []string `json:"problems,omitempty"`  // all that is wrong, where it is several things
	See       []string `json:"see,omitempty"`       // paths that exist
	Guard     string   `json:"guard,omitempty"`     // that refused an order
	Frees     string   `json:"frees,omitempty"`     // what would free it
	Override  string   `json:"override,omitempty"`  // how an operator passes it over; absent where nobody can
	With      string   `json:"with,omitempty"`      // the id of what came before an order
}

const problemURN = "urn:signalbox:problem:"

// fail answers with a problem. Type and Status have to be set.
func (a *api) fail(w http.ResponseWriter, r *http.Request, p problem) {
	p.Type = problemURN + p.Type
	p.Title = http.StatusText(p.Status)
	p.Instance = clip(r.URL.Path)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	write(w, r, p.Status, append(body, '\n'))
}

// bad is the problem of a parameter that is not what was wanted.
func bad(parameter, detail string) *problem {
	return &problem{Type: "bad-parameter", Status: http.StatusBadRequest, Parameter: parameter, Detail: parameter + ": " + detail}
}

// unavailable answers that something may work in a few seconds.
func (a *api) unavailable(w http.ResponseWriter, r *http.Request, kind, detail string) {
	w.Header().Set("Retry-After", "2")
	a.fail(w, r, problem{Type: kind, Status: http.StatusServiceUnavailable, Detail: detail})
}

// broken answers that signalbox itself failed, and tells the log why.
func (a *api) broken(w http.ResponseWriter, r *http.Request, err error) {
	a.Logger.Error("request failed", "err", err)
	a.fail(w, r, problem{Type: "internal", Status: http.StatusInternalServerError, Detail: "the log of signalbox says why"})
}

// reply answers with v as JSON.
func (a *api) reply(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.broken(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	write(w, r, status, append(body, '\n'))
}

func write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != "HEAD" {
		w.Write(body) // an error means that the client has gone
	}
}

// clip shortens what a stranger sent, so that an answer repeats little of it.
func clip(s string) string {
	const most = 128
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	end := most
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
