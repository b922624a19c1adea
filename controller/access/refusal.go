package access

import (
	"fmt"
	"net/http"
	"time"
)

// Caller is who calls: the name that a token or a user is bound to, and its role.
type Caller = struct {
	Name string
	Role string // sender, source, viewer, operator or admin
}

// Why somebody is not let in.
const (
	reasonMissing = "missing" // no credentials
	reasonUnknown = "unknown" // credentials of nobody
	reasonExpired = "expired" // the token was good once
	reasonRate    = "rate"    // the token is used more often than its rate
	reasonFailed  = "failed"  // too many failed attempts from one address
	reasonBusy    = "busy"    // too many passwords to check
)

// refusal says why somebody is not let in. It has no secret in it.
type refusal struct {
	reason     string
	text       string
	challenges []string
	after      time.Duration
}

// Error says what was wanted.
func (r *refusal) Error() string { return r.text }

// Reason is a word of a closed set.
func (r *refusal) Reason() string { return r.reason }

// Challenges are the values of WWW-Authenticate.
func (r *refusal) Challenges() []string { return r.challenges }

// After is when to call again; 0: it was not how often.
func (r *refusal) After() time.Duration { return r.after }

// The ways to say who one is, as RFC 6750 and RFC 7617 have them.
const (
	challengeBearer = `Bearer realm="signalbox"`
	challengeBasic  = `Basic realm="signalbox", charset="UTF-8"`
)

// challenges are those of the ways that are open.
func (r *Rules) challenges() []string {
	if len(r.users) > 0 {
		return []string{challengeBearer, challengeBasic}
	}
	return []string{challengeBearer}
}

func (r *Rules) missing() error {
	return &refusal{reason: reasonMissing, text: "want a bearer token or a user's name and password, got none", challenges: r.challenges()}
}

// unknown is the answer to credentials of nobody. It does not say which part of them is wrong.
func (k *Keeper) unknown(rules *Rules, request *http.Request, reason, text string) error {
	if !k.failures.note(addressOf(request), k.o.Now()) {
		return k.blocked(request)
	}
	return &refusal{reason: reason, text: text, challenges: rules.challenges()}
}

func (k *Keeper) blocked(request *http.Request) error {
	return &refusal{reason: reasonFailed, text: fmt.Sprintf("too many failed attempts from %s", addressOf(request)), after: failureEvery}
}
