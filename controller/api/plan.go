package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"signalbox/rules/policy"
)

// Limits on a candidate.
const (
	maxCandidate  = 8 << 20 // bytes of the body
	maxFiles      = 256
	maxFileName   = 512 // bytes
	planByDefault = 24 * time.Hour
)

// candidate is a policy as it is sent.
type candidate struct {
	Files []candidateFile `json:"files"`
}

type candidateFile struct {
	Name string  `json:"name"`
	Data *string `json:"data"`
}

// postPlan answers what a candidate would change. It changes nothing.
func (a *api) postPlan(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	since := time.Time{}
	if wrong == nil {
		since, wrong = v.moment("since", time.Now())
	}
	var files []policy.File
	if wrong == nil {
		files, wrong = readCandidate(w, r)
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	if since.IsZero() {
		since = time.Now().Add(-planByDefault)
	}
	ctx, cancel := untilDrain(r.Context())
	defer cancel()
	planned, err := a.Planner.Plan(ctx, files, since)
	var told interface{ Problems() []string }
	switch {
	case errors.Is(err, ErrBusy):
		w.Header().Set("Retry-After", "5")
		a.fail(w, r, problem{Type: "busy", Status: http.StatusTooManyRequests, Detail: err.Error()})
	case errors.As(err, &told):
		a.fail(w, r, problem{Type: "policy-rejected", Status: http.StatusUnprocessableEntity, Detail: "the candidate is no policy", Problems: told.Problems()})
	case err != nil && ctx.Err() != nil:
		a.unavailable(w, r, "stopped", "signalbox stops, or the one who asked went away")
	case err != nil:
		a.broken(w, r, err)
	default:
		a.reply(w, r, http.StatusOK, planned)
	}
}

const wantCandidate = `want JSON such as {"files":[{"name":"policy/otp.yml","data":"version: 1\n…"}]}`

func readCandidate(w http.ResponseWriter, r *http.Request) ([]policy.File, *problem) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &problem{Type: "unsupported-media-type", Status: http.StatusUnsupportedMediaType, Detail: "want application/json, got " + orNothing(r.Header.Get("Content-Type"))}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCandidate))
	d.DisallowUnknownFields()
	var c candidate
	err := d.Decode(&c)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &problem{Type: "too-large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("want a body of at most %d bytes", maxCandidate)}
	}
	if err != nil {
		return nil, bad("body", wantCandidate+": "+clip(err.Error()))
	}
	return c.files()
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return clip(s)
}

func (c *candidate) files() ([]policy.File, *problem) {
	if n := len(c.Files); n == 0 || n > maxFiles {
		return nil, bad("files", fmt.Sprintf("want 1 to %d files, got %d", maxFiles, n))
	}
	files := make([]policy.File, len(c.Files))
	seen := map[string]bool{}
	for i, f := range c.Files {
		at := fmt.Sprintf("files[%d].", i)
		switch {
		case f.Name == "" || len(f.Name) > maxFileName || strings.ContainsFunc(f.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, bad(at+"name", fmt.Sprintf("want a name of 1 to %d bytes without control characters, got %q", maxFileName, clip(f.Name)))
		case seen[f.Name]:
			return nil, bad(at+"name", fmt.Sprintf("want each file once, got %q again", clip(f.Name)))
		case f.Data == nil:
			return nil, bad(at+"data", "want the text of the file")
		}
		seen[f.Name] = true
		files[i] = policy.File{Name: f.Name, Data: []byte(*f.Data)}
	}
	return files, nil
}
