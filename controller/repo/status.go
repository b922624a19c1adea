package repo

import (
	"errors"
	"strings"
	"time"
)

// Status tells where the policy in force comes from and how the last looks at the remote ended.
type Status struct {
	URL           string    `json:"url"`
	Ref           string    `json:"ref,omitempty"`            // as it was asked for; empty: the default branch
	Path          string    `json:"path,omitempty"`           // empty: the root
	Commit        string    `json:"commit,omitempty"`         // that the last good policy is of
	SignedBy      string    `json:"signed_by,omitempty"`      // empty where signatures are not asked for
	FetchedAt     time.Time `json:"fetched_at,omitzero"`      // when that commit was fetched
	ConfirmedAt   time.Time `json:"confirmed_at,omitzero"`    // when the remote was last seen, in this run or the one that kept the copy
	Ignored       []string  `json:"ignored,omitempty"`        // submodules in the folder
	RefusedCommit string    `json:"refused_commit,omitempty"` // that the remote has, and must not be used
	RefusedWhy    string    `json:"refused_why,omitempty"`
	LastError     string    `json:"last_error,omitempty"` // of the last look or fetch; empty where it succeeded
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
	Failures      int       `json:"failures"` // looks and fetches that failed, in a row
}

// Status is a copy of the status now.
func (r *Repo) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (s *Status) inForce(c *copied) {
	s.Commit, s.SignedBy, s.Ignored, s.FetchedAt = c.Commit, c.signer, c.ignored, c.FetchedAt
	if s.ConfirmedAt.IsZero() {
		s.ConfirmedAt = c.CheckedAt
	}
}

func (s *Status) refused(c *copied, err error) {
	if !isRefusal(err) {
		s.LastError, s.LastErrorAt = firstLine(err), time.Now().Round(0).UTC()
		return
	}
	s.RefusedCommit, s.RefusedWhy = c.Commit, firstLine(err)
}

func (s *Status) failed(err error, now time.Time) {
	s.Failures++
	s.LastError, s.LastErrorAt = firstLine(err), now.Round(0).UTC()
}

func (s *Status) confirmed(now time.Time) {
	s.ConfirmedAt = now.Round(0).UTC()
	s.Failures, s.LastError, s.LastErrorAt = 0, "", time.Time{}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// The causes of a refusal: a closed set, for a label.
const (
	whySignature = "signature"
	whyContent   = "content"
	whyPolicy    = "policy"
)

// Refusal is a commit that must not be used, whoever has it to give.
type Refusal struct {
	Commit string // its whole id
	why    string
	err    error
}

// Error begins with the commit.
func (r *Refusal) Error() string { return "commit " + short(r.Commit) + ": " + r.err.Error() }

// Unwrap is what is wrong with it: a policy.Problems where it is the policy.
func (r *Refusal) Unwrap() error { return r.err }

func isRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// refuse makes what a commit holds a refusal; a copy that cannot be read stays an error of the copy.
func refuse(commit string, err error) error {
	var c *contentError
	if errors.As(err, &c) {
		return &Refusal{commit, whyContent, err}
	}
	return err
}

// contentError is said of what a commit holds.
type contentError struct{ text string }

func (c *contentError) Error() string { return c.text }
