package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// Limits on an order, in bytes.
const (
	maxOrder  = 16 << 10
	maxReason = 512
)

// override is an operator's order as it is sent. Exactly one of for, until and no_end says when it ends.
type override struct {
	Kind     route.OverrideKind `json:"kind"`
	Class    route.Class        `json:"class"`
	Network  route.Network      `json:"network"`
	Route    route.ID           `json:"route"`
	Changes  string             `json:"changes"`
	Actor    string             `json:"actor"`
	Reason   string             `json:"reason"`
	For      string             `json:"for"`
	Until    time.Time          `json:"until"`
	NoEnd    bool               `json:"no_end"`
	Replaces string             `json:"replaces"`
	Accept   []string           `json:"accept"`
}

const wantOverride = `want JSON such as {"kind":"drain","class":"otp","network":"GB","route":"acme-uk","actor":"ann","reason":"maintenance","for":"2h"}`

func (a *api) getOverrides(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, struct {
		Generation route.Generation `json:"generation"` // in force
		Overrides  []route.Override `json:"overrides"`
	}{a.current(), orEmpty(a.Operators.Overrides())})
}

// postOverride puts an operator's order in force, or shows what that would change.
func (a *api) postOverride(w http.ResponseWriter, r *http.Request) {
	var said override
	wrong := readJSON(w, r, wantOverride, &said)
	var until time.Time
	if wrong == nil {
		until, wrong = said.end(time.Now())
	}
	if wrong == nil {
		wrong = checkWords(said.Reason, said.Accept)
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	a.order(w, r, said.Actor, route.Order{Reason: said.Reason, Replaces: said.Replaces, Accept: said.Accept, Override: &route.Override{
		Kind: said.Kind, Class: said.Class, Network: said.Network, Route: said.Route, Changes: said.Changes, Until: until}})
}

// end is when an order ends; zero where somebody has to end it.
func (o *override) end(now time.Time) (until time.Time, wrong *problem) {
	ways := 0
	for _, given := range []bool{o.For != "", !o.Until.IsZero(), o.NoEnd} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return until, bad("for", `want one of for such as "2h", until such as "2026-11-23T12:00:00Z", and no_end: true`)
	case o.For == "":
		return o.Until.UTC(), nil
	}
	d, err := route.ParseDuration(o.For)
	if err != nil || d <= 0 {
		return until, bad("for", `want a duration above 0 such as "2h", got "`+clip(o.For)+`"`)
	}
	return now.Add(d.D()).Round(0).UTC().Truncate(time.Second), nil
}

// deleteOverride ends an operator's order before its time.
func (a *api) deleteOverride(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	var actor, reason string
	if wrong == nil {
		actor, wrong = v.name("actor")
	}
	if wrong == nil {
		reason, wrong = v.one("reason")
	}
	if wrong == nil {
		wrong = checkWords(reason, nil)
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	a.order(w, r, actor, route.Order{End: r.PathValue("id"), Reason: reason})
}

// checkWords bounds what an operator writes.
func checkWords(reason string, accept []string) *problem {
	switch {
	case len(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl):
		return bad("reason", fmt.Sprintf("want at most %d bytes without control characters", maxReason))
	case len(accept) > 16 || slices.ContainsFunc(accept, func(g string) bool { return len(g) > maxName }):
		return bad("accept", "want the names of guards")
	}
	return nil
}

// order gives an order in the name of its actor, or previews it, and answers with what it leads to.
func (a *api) order(w http.ResponseWriter, r *http.Request, actor string, o route.Order) {
	wrong := a.sign(r, actor, &o)
	if wrong == nil {
		o.Saw, wrong = saw(r)
	}
	var preview bool
	if wrong == nil {
		preview, wrong = wantsPreview(r)
	}
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	var done Ordered
	var err error
	if preview {
		done, err = a.Operators.Preview(o)
	} else {
		ctx, cancel := untilDrain(r.Context())
		defer cancel()
		done, err = a.Operators.Order(ctx, o)
	}
	if err != nil {
		a.refuseOrder(w, r, &o, err)
		return
	}
	w.Header().Set("ETag", etag(done.Generation))
	status := http.StatusOK
	if o.Override != nil && done.Done {
		status = http.StatusCreated
	}
	if done.Done && len(done.Decisions) > 0 {
		w.Header().Set(decisionHeader, done.Decisions[0].ID)
	}
	done.Decisions, done.Lanes = orEmpty(done.Decisions), orEmpty(done.Lanes)
	a.reply(w, r, status, done)
}

// sign writes who orders into an order: who calls, where that is known, whatever the order says.
func (a *api) sign(r *http.Request, actor string, o *route.Order) *problem {
	if who, known := callerOf(r); known {
		actor = who.Name
	}
	if len(actor) > maxName || strings.ContainsFunc(actor, unicode.IsControl) {
		return bad("actor", "want a name of at most 128 bytes without control characters")
	}
	o.Actor = strings.TrimSpace(actor)
	return nil
}

// saw is the generation that the one who orders saw, where If-Match says it.
func saw(r *http.Request) (g route.Generation, wrong *problem) {
	tag := r.Header.Get("If-Match")
	if tag == "" || tag == "*" {
		return g, nil
	}
	g, err := route.ParseGeneration(strings.Trim(tag, `"`))
	if err != nil {
		return g, bad("If-Match", `want the generation that was looked at, such as "1-42", got `+clip(tag))
	}
	return g, nil
}

func wantsPreview(r *http.Request) (bool, *problem) {
	v, wrong := query(r)
	if wrong != nil {
		return false, wrong
	}
	s, wrong := v.one("dry_run")
	switch {
	case wrong != nil:
		return false, wrong
	case s == "" || s == "false":
		return false, nil
	case s == "true":
		return true, nil
	}
	return false, bad("dry_run", `want true or false, got "`+clip(s)+`"`)
}

// refuseOrder answers an order that was not obeyed: which guard refused it and what passes it over, or what came before.
func (a *api) refuseOrder(w http.ResponseWriter, r *http.Request, o *route.Order, err error) {
	var stale *decide.Stale
	var refused *decide.Refused
	var conflict *decide.Conflict
	var stored interface{ NotStored() bool }
	switch {
	case errors.As(err, &stale):
		w.Header().Set("ETag", etag(stale.Is))
		a.fail(w, r, problem{Type: "stale", Status: http.StatusPreconditionFailed, Detail: err.Error() + ": look again"})
	case errors.As(err, &refused):
		a.fail(w, r, guardRefused(o, refused))
	case errors.As(err, &conflict) && o.End != "":
		a.fail(w, r, problem{Type: "not-found", Status: http.StatusNotFound, Detail: conflict.Text, See: []string{"/api/v1/overrides"}})
	case errors.As(err, &conflict):
		a.fail(w, r, problem{Type: "conflict", Status: http.StatusConflict, Detail: conflict.Text + a.answered(conflict.With), With: clip(conflict.With)})
	case errors.As(err, &stored):
		a.unavailable(w, r, "not-stored", err.Error())
	case errors.Is(err, context.Canceled):
		a.unavailable(w, r, "stopped", "signalbox stops; the order was not given")
	default:
		field, _, _ := strings.Cut(err.Error(), ":")
		a.fail(w, r, problem{Type: "bad-parameter", Status: http.StatusBadRequest, Parameter: field, Detail: err.Error()})
	}
}

// guardRefused names the guard, what would free it, and how an operator passes it over.
func guardRefused(o *route.Order, refused *decide.Refused) problem {
	p := problem{Type: "guard-refused", Status: http.StatusConflict, Detail: refused.Error(), Guard: refused.Guard, Frees: refused.Frees}
	if o.Override != nil || refused.Guard != "min_active" {
		p.Override = fmt.Sprintf(`"accept":[%q]`, refused.Guard)
	}
	return p
}

// answered says what became of a proposal that no longer waits; nothing where nobody knows.
func (a *api) answered(id string) string {
	if a.Journal == nil {
		return ""
	}
	p, found, err := a.Journal.Decision(id)
	if err != nil || !found || p.Reason != route.Proposed {
		return ""
	}
	later, _, err := a.Journal.Decisions(Query{Since: p.Time, Route: p.Route, Class: p.Lane.Class, Network: p.Lane.Network, Limit: maxLimit})
	if err != nil {
		return ""
	}
	for i := len(later) - 1; i >= 0; i-- {
		d := &later[i]
		if d.Lane != p.Lane || d.ID == id || !slices.Contains([]route.Reason{route.Approved, route.Rejected, route.Expired}, d.Reason) {
			continue
		}
		by := ""
		if d.Actor != nil {
			by = " by " + *d.Actor
		}
		return fmt.Sprintf("; it was %s%s at %s (%s)", strings.ToLower(string(d.Reason)), by, d.Time.UTC().Format(time.TimeOnly), d.ID)
	}
	return ""
}

// readJSON reads a body of JSON whose fields are all known; want is what was wanted.
func readJSON(w http.ResponseWriter, r *http.Request, want string, into any) *problem {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &problem{Type: "unsupported-media-type", Status: http.StatusUnsupportedMediaType, Detail: "want application/json, got " + orNothing(r.Header.Get("Content-Type"))}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &problem{Type: "too-large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("want a body of at most %d bytes", maxOrder)}
	}
	if err != nil {
		return bad("body", want+": "+clip(err.Error()))
	}
	return nil
}
