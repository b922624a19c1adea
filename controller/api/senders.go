package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"signalbox/rules/route"
)

// Limits on what a sender says, in bytes.
const (
	maxReport = 4 << 10
	maxWhy    = 1 << 10
)

var senderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`)

// report is what a sender says; pointers, because both have to be there.
type report struct {
	Generation *route.Generation `json:"generation"`
	Applied    *bool             `json:"applied"`
	Why        string            `json:"why"`
}

func (a *api) putSender(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !senderName.MatchString(name) {
		a.fail(w, r, *bad("name", "want letters, digits and . _ : @ - only, at most 128"))
		return
	}
	said, wrong := readReport(w, r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	s := Sender{Name: name, Generation: *said.Generation, Applied: *said.Applied, Why: oneLine(said.Why), Seen: time.Now().UTC()}
	if err := a.Senders.PutSender(s); err != nil {
		a.Logger.Warn("sender not recorded", "err", err)
		a.unavailable(w, r, "senders-full", "there is no room for another sender now")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// oneLine is what a sender says on one line, without what would steer the terminal of those who read it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}

func readReport(w http.ResponseWriter, r *http.Request) (said report, wrong *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return said, &problem{Type: "too-large", Status: http.StatusRequestEntityTooLarge, Detail: "want a body of at most 4096 bytes"}
	}
	if err != nil {
		return said, bad("body", "it could not be read to its end")
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return said, bad("body", `want JSON such as {"generation":"1-42","applied":true}: `+clip(err.Error()))
	}
	switch {
	case said.Generation == nil:
		return said, bad("generation", `want a generation such as "1-42"`)
	case said.Applied == nil:
		return said, bad("applied", "want true or false")
	case len(said.Why) > maxWhy:
		return said, bad("why", "want at most 1024 bytes")
	}
	return said, nil
}

func (a *api) getSenders(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, struct {
		Generation route.Generation `json:"generation"` // in force
		Senders    []Sender         `json:"senders"`
	}{a.current(), orEmpty(a.Senders.Standings(time.Now()))})
}

// orEmpty makes nil an empty list in JSON.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
