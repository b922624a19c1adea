package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Caller is who calls: the name that a token or a user is bound to, and its role.
type Caller = struct {
	Name string
	Role string // sender, source, viewer, operator or admin
}

// Doors say who calls.
type Doors interface {
	// Admit says whose call it is. An error is told to the client: as it says of itself where it is a Refusal, else as
	// 401. It must not have a secret in it.
	Admit(r *http.Request) (Caller, error)
}

// Refusal is the error of Doors.
type Refusal interface {
	error
	Reason() string       // for metrics and the audit, of a closed set
	Challenges() []string // values of WWW-Authenticate
	After() time.Duration // above 0: it is not who calls but how often, and when to call again
}

// roles is a set of roles. They are no ladder: an operator may not post events, and a source may not read.
type roles uint8

const (
	roleSender roles = 1 << iota
	roleSource
	roleViewer
	roleOperator
	roleAdmin
	anybody // also those whom nobody knows

	readers = roleViewer | roleOperator | roleAdmin
	orders  = roleOperator | roleAdmin
	known   = roleSender | roleSource | readers
)

// roleWords are the names of single roles, in the order of their bits.
var roleWords = [...]string{"sender", "source", "viewer", "operator", "admin"}

// roleOf is the role with a name; none has another name, and it may do nothing.
func roleOf(word string) roles {
	for i, w := range roleWords {
		if w == word {
			return 1 << i
		}
	}
	return 0
}

// String lists the roles, such as "operator or admin".
func (s roles) String() string {
	var words []string
	for i, w := range roleWords {
		if s&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return strings.Join(words, "")
}

// needs are the roles that each endpoint takes. One that is not here is not served: New fails. HEAD takes what GET takes.
var needs = map[string]roles{
	"GET /-/healthy": anybody,
	"GET /-/ready":   anybody,

	"GET /routes":         roleSender | readers,
	"GET /routes/lookup":  roleSender | readers,
	"PUT /senders/{name}": roleSender,

	"POST /events":                 roleSender | roleSource,
	"GET /receipts/{format}":       roleSource,
	"POST /receipts/{format}":      roleSource,
	"GET /inbound/{name}":          roleSource,
	"POST /inbound/{name}":         roleSource,
	"PUT /api/v1/probes/{vantage}": roleSource,

	"GET /":                               readers,
	"GET /metrics":                        readers,
	"GET /api/v1/openapi.yaml":            readers,
	"GET /api/v1/senders":                 readers,
	"GET /api/v1/lanes":                   readers,
	"GET /api/v1/lanes/{class}/{network}": readers,
	"GET /api/v1/decisions":               readers,
	"GET /api/v1/decisions/{id}":          readers,
	"GET /api/v1/explain":                 readers,
	"GET /api/v1/probes":                  readers,
	"GET /api/v1/policy":                  readers,
	"POST /api/v1/policy/plan":            readers,
	"GET /api/v1/overrides":               readers,
	"GET /api/v1/proposals":               readers,
	"GET /api/v1/stream":                  readers,
	"GET /api/v1/prices":                  readers,
	"GET /api/v1/messages/{id}":           readers,
	"GET /api/v1/alerts":                  readers,

	"POST /api/v1/alerts/test":            orders,
	"POST /api/v1/overrides":              orders,
	"DELETE /api/v1/overrides/{id}":       orders,
	"POST /api/v1/proposals/{id}/approve": orders,
	"POST /api/v1/proposals/{id}/reject":  orders,

	"POST /-/reload": roleAdmin,
}

// own are the parts of paths that name the caller itself: a token may speak only for the name that it is bound to.
var own = map[string]string{"/senders/{name}": "name", "/api/v1/probes/{vantage}": "vantage"}

// door is who may do what at one path. The zero door is that of paths that do not exist: whoever is known may learn so.
type door struct {
	path string
	get  roles            // of GET and HEAD
	by   map[string]roles // of all methods
	own  string           // the part of the path that is the caller's name; "" where none is
}

// doorOf fails where an endpoint has no roles.
func doorOf(path string, methods map[string]http.HandlerFunc) (door, error) {
	d := door{path: path, by: map[string]roles{}, own: own[path]}
	for m := range methods {
		key := m + " " + path
		if m == "HEAD" {
			key = "GET " + path
		}
		if needs[key] == 0 {
			return d, fmt.Errorf("new api: want the roles that %s takes in needs, got none", key)
		}
		d.by[m] = needs[key]
	}
	d.get = d.by["GET"]
	return d, nil
}

// takes are the roles that may call by a method. Whoever is known may learn that there is no such method.
func (d *door) takes(method string) roles {
	if method == "GET" && d.get != 0 {
		return d.get
	}
	if s := d.by[method]; s != 0 {
		return s
	}
	return known
}

// callerKey is the key of the caller in a request's context.
type callerKey struct{}

// callerOf is who calls; false where nobody was asked. Requests of the table do not have it: nothing depends on who reads.
func callerOf(r *http.Request) (Caller, bool) {
	c, ok := r.Context().Value(callerKey{}).(Caller)
	return c, ok
}

// SourceOf is the name of the source or the sender that a request's token is bound to; "" where there is none.
func SourceOf(r *http.Request) string {
	if c, ok := callerOf(r); ok && roleOf(c.Role)&(roleSource|roleSender) != 0 {
		return c.Name
	}
	return ""
}

// sameOrigin knows requests that a browser makes for another site than this one.
var sameOrigin = http.NewCrossOriginProtection()

// foreign refuses orders that another site has a person's browser give: with a browser come the credentials that it keeps,
// and on loopback none are wanted.
func (m *measured) foreign(rec *recorder, r *http.Request) bool {
	if r.Method == "GET" || m.door.takes(r.Method)&orders == 0 {
		return false
	}
	err := sameOrigin.Check(r)
	if err != nil {
		rec.refused = reasonOrigin
		m.api.fail(rec, r, problem{Type: "forbidden", Status: http.StatusForbidden, Detail: "want a request of this site, got one that a browser makes for another"})
	}
	return err != nil
}

// enter lets a request in, or answers why it does not.
func (m *measured) enter(rec *recorder, r *http.Request) (*http.Request, bool) {
	a, need := m.api, m.door.takes(r.Method)
	if need&anybody != 0 {
		return r, true
	}
	if need == roleSource && a.Proven != nil && a.Proven(r) {
		rec.proven = true
		return r, true
	}
	who, err := a.Doors.Admit(r)
	if err != nil {
		a.turnAway(rec, r, err)
		return r, false
	}
	rec.caller = who
	switch {
	case roleOf(who.Role)&need == 0:
		rec.refused = reasonRole
		a.fail(rec, r, problem{Type: "forbidden", Status: http.StatusForbidden,
			Detail: "want the role " + need.String() + ", got " + who.Name + " of role " + who.Role})
		return r, false
	case m.door.own != "" && r.PathValue(m.door.own) != who.Name:
		rec.refused = reasonName
		a.fail(rec, r, problem{Type: "forbidden", Status: http.StatusForbidden,
			Detail: m.door.own + ": want " + who.Name + ", which the token is bound to, got " + clip(r.PathValue(m.door.own))})
		return r, false
	case m.door.path == "/routes":
		return r, true
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, who)), true
}

// turnAway answers those who are not known, or who call too often.
func (a *api) turnAway(rec *recorder, r *http.Request, err error) {
	h := rec.Header()
	delete(h, "Signalbox-Generation") // it is nobody's business
	p := problem{Type: "unauthenticated", Status: http.StatusUnauthorized, Detail: err.Error()}
	rec.refused = reasonUnknown
	var told Refusal
	if errors.As(err, &told) {
		rec.refused = told.Reason()
		if after := told.After(); after > 0 {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
			p.Type, p.Status = "too-many-requests", http.StatusTooManyRequests
		} else {
			h["Www-Authenticate"] = told.Challenges()
		}
	}
	a.fail(rec, r, p)
}
