package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

// How many decisions an answer has: where nothing is asked for, and at most.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

const ndjson = "application/x-ndjson"

func (a *api) getDecisions(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	q, wrong := readJournalQuery(v, time.Now())
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	if known, err := a.knows(q.Before); err != nil {
		a.broken(w, r, err)
		return
	} else if !known {
		a.fail(w, r, *bad("before", "want the id of a decision that is kept"))
		return
	}
	found, next, err := a.Journal.Decisions(q)
	if err != nil {
		a.broken(w, r, err)
		return
	}
	w.Header().Set("Vary", "Accept")
	if next != "" {
		w.Header().Set("Link", "<"+nextPage(v, next)+`>; rel="next"`)
	}
	if accepts(r.Header["Accept"], ndjson) {
		a.replyLines(w, r, found)
		return
	}
	a.reply(w, r, http.StatusOK, struct {
		Decisions []route.Decision `json:"decisions"`
		Next      string           `json:"next,omitempty"` // before, of the next page
	}{orEmpty(found), next})
}

// knows reports whether a page can begin after the decision.
func (a *api) knows(before string) (bool, error) {
	if before == "" {
		return true, nil
	}
	_, known, err := a.Journal.Decision(before)
	return known, err
}

// nextPage is the same request from the decision on.
func nextPage(v values, before string) string {
	next := url.Values{}
	for k, all := range v {
		next[k] = all
	}
	next["before"] = []string{before}
	return "/api/v1/decisions?" + next.Encode()
}

// replyLines answers with a decision on each line.
func (a *api) replyLines(w http.ResponseWriter, r *http.Request, found []route.Decision) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for i := range found {
		if err := enc.Encode(&found[i]); err != nil {
			a.broken(w, r, err)
			return
		}
	}
	w.Header().Set("Content-Type", ndjson)
	w.Header().Set("Cache-Control", "no-store")
	write(w, r, http.StatusOK, buf.Bytes())
}

func (a *api) getDecision(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d, ok, err := a.Journal.Decision(id)
	switch {
	case err != nil:
		a.broken(w, r, err)
	case !ok:
		a.fail(w, r, problem{Type: "not-found", Status: http.StatusNotFound, See: []string{"/api/v1/decisions"},
			Detail: "there is no decision " + clip(id) + ", or it is no longer kept"})
	default:
		a.reply(w, r, http.StatusOK, d)
	}
}

func readJournalQuery(v values, now time.Time) (q Query, wrong *problem) {
	if q.Since, wrong = v.moment("since", now); wrong != nil {
		return q, wrong
	}
	if q.Until, wrong = v.moment("until", now); wrong != nil {
		return q, wrong
	}
	id, wrong := v.name("route")
	if wrong != nil {
		return q, wrong
	}
	q.Route = route.ID(id)
	if q.Class, wrong = v.class(); wrong != nil {
		return q, wrong
	}
	if q.Network, wrong = v.network(); wrong != nil {
		return q, wrong
	}
	if q.Before, wrong = v.name("before"); wrong != nil {
		return q, wrong
	}
	q.Limit, wrong = v.limit()
	return q, wrong
}

// moment reads a moment, or how long ago it was; the zero time where it is not given.
func (v values) moment(name string, now time.Time) (time.Time, *problem) {
	s, wrong := v.one(name)
	if wrong != nil || s == "" {
		return time.Time{}, wrong
	}
	if d, err := route.ParseDuration(s); err == nil {
		return now.Add(-d.D()), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, bad(name, `want a moment such as 2026-11-23T10:00:00Z or a duration such as 2h, got "`+clip(s)+`"`)
	}
	return t, nil
}

func (v values) limit() (int, *problem) {
	s, wrong := v.one("limit")
	if wrong != nil || s == "" {
		return defaultLimit, wrong
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, bad("limit", `want a number from 1 to 1000, got "`+clip(s)+`"`)
	}
	return n, nil
}

// accepts reports whether the values of Accept name the media type, and do not refuse it.
func accepts(headers []string, media string) bool {
	for _, h := range headers {
		for item := range strings.SplitSeq(h, ",") {
			if name, weight := readCoding(item); weight > 0 && strings.EqualFold(name, media) {
				return true
			}
		}
	}
	return false
}
