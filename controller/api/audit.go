package api

import (
	"net/http"
	"strings"
	"time"
)

// Call is one request as an audit keeps it.
type Call = struct {
	At       time.Time `json:"at"`
	Caller   string    `json:"caller,omitempty"` // "" where nobody is known
	Role     string    `json:"role,omitempty"`
	Method   string    `json:"method"`
	Path     string    `json:"path"` // without the query, which may have secrets, and without phone numbers; at most 128 bytes
	Status   int       `json:"status"`
	Remote   string    `json:"remote"`
	Refused  string    `json:"refused,omitempty"`  // why it was refused
	Decision string    `json:"decision,omitempty"` // the id of the decision that it led to
}

// Audit keeps calls: all that were refused, all of operators and admins, and all that only those may make.
type Audit interface {
	Keep(c Call)
}

// Reasons that the handler itself has to refuse a call. Doors have others.
const (
	reasonUnknown   = "unknown"   // nobody knows who calls
	reasonRole      = "role"      // whose role does not have it
	reasonName      = "name"      // that speaks for somebody else
	reasonSignature = "signature" // of a webhook that proves nothing
	reasonOrigin    = "origin"    // that a browser makes for another site
)

// decisionHeader is set by handlers whose order led to a decision.
const decisionHeader = "Signalbox-Decision"

// kept reports whether a call belongs in the audit.
func (m *measured) kept(rec *recorder, r *http.Request) bool {
	if rec.refused != "" {
		return true
	}
	need := m.door.takes(r.Method)
	return roleOf(rec.caller.Role)&orders != 0 || need&^orders == 0
}

// withoutPhones is a path without the phone numbers that somebody took for ids of messages.
func withoutPhones(path string) string {
	if !strings.Contains(path, "/+") {
		return path
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		if isPhone(parts[i]) {
			parts[i] = parts[i][:2] + "…"
		}
	}
	return strings.Join(parts, "/")
}

// audit counts what was refused, and keeps what belongs in the audit.
func (m *measured) audit(rec *recorder, r *http.Request) {
	code := rec.status()
	if rec.proven && (code == http.StatusForbidden || code == http.StatusUnauthorized) {
		rec.refused = reasonSignature
	}
	if !m.kept(rec, r) {
		return
	}
	if rec.refused != "" {
		m.api.metrics.refused.WithLabelValues(rec.refused).Inc()
	}
	if m.api.Audit == nil {
		return
	}
	m.api.Audit.Keep(Call{At: time.Now().UTC(), Caller: rec.caller.Name, Role: rec.caller.Role, Method: methodLabel(r.Method), Path: clip(withoutPhones(r.URL.Path)),
		Status: code, Remote: r.RemoteAddr, Refused: rec.refused, Decision: rec.Header().Get(decisionHeader)})
}
