package api

import (
	"net/http"
	"slices"

	"signalbox/rules/route"
)

// shapedBefore bounds the decisions that are looked through for those that shaped a lane.
const shapedBefore = 100

// tracedMessage is the way of a message with the decisions that led to it.
type tracedMessage struct {
	ID       string          `json:"id"` // as it was asked for
	Attempts []tracedAttempt `json:"attempts"`
	Window   any             `json:"window"`
}

type tracedAttempt struct {
	Attempt
	Decisions []because `json:"decisions"` // that the table followed there: the last one in the lane, and the last one about the route
}

// because is a decision in short.
type because struct {
	ID       string          `json:"id"`
	Time     string          `json:"time"`
	Route    route.ID        `json:"route"`
	From     route.Phase     `json:"from"`
	To       route.Phase     `json:"to"`
	Rule     string          `json:"rule"`
	Reason   route.Reason    `json:"reason"`
	Text     string          `json:"text"`
	Override *route.Override `json:"override,omitempty"`
}

func (a *api) getMessage(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	by, wrong := v.name("route")
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	id := r.PathValue("id")
	if wrong := checkMessageID(id); wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	found, window, err := a.Messages.Find(id, route.ID(by))
	if err != nil {
		a.fail(w, r, problem{Type: "no-message", Status: http.StatusNotFound, Detail: err.Error()})
		return
	}
	out := tracedMessage{ID: id, Window: window}
	for i := range found {
		t, err := a.trace(&found[i])
		if err != nil {
			a.broken(w, r, err)
			return
		}
		out.Attempts = append(out.Attempts, t)
	}
	a.reply(w, r, http.StatusOK, out)
}

// maxMessageID bounds ids as POST /events does, in bytes.
const maxMessageID = 256

func checkMessageID(id string) *problem {
	switch {
	case len(id) == 0 || len(id) > maxMessageID:
		return bad("id", "want a message id of 1 to 256 bytes")
	case isPhone(id):
		return bad("id", "want a message id, got a phone number; where ids are phone numbers only their hashes are kept, so that nobody can look them up")
	}
	return nil
}

// isPhone reports whether an id is a phone number in full, after ITU-T E.164, as POST /events reckons it.
func isPhone(id string) bool {
	if len(id) < 9 || len(id) > 16 || id[0] != '+' {
		return false
	}
	for _, c := range id[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// trace finds the decisions that the table of an attempt followed.
func (a *api) trace(x *Attempt) (tracedAttempt, error) {
	out := tracedAttempt{Attempt: *x, Decisions: []because{}}
	if x.Table == nil || x.Table.NotKept != "" || a.Journal == nil {
		return out, nil
	}
	all, err := a.before(x.Table)
	if err != nil {
		return out, err
	}
	for i := range all {
		d := &all[i]
		about := d.Route == x.Route
		if !d.Enforced || d.Override != nil && d.Override.Kind == route.Freeze || d.Generation.Newer(x.Table.Generation) || !d.Lane.Matches(x.Table.Lane.Class, x.Table.Lane.Network) {
			continue
		}
		if len(out.Decisions) == 0 || about {
			out.Decisions = append(out.Decisions, shorten(d))
		}
		if about {
			break
		}
	}
	return out, nil
}

// before are the decisions up to a table in lanes of its row's class, and those of operators in every class, newest first.
func (a *api) before(t *Standing) ([]route.Decision, error) {
	q := Query{Class: t.Lane.Class, Until: t.Published.Add(1), Limit: shapedBefore}
	all, _, err := a.Journal.Decisions(q)
	if err != nil || q.Class == route.AnyClass {
		return all, err
	}
	q.Class = route.AnyClass
	every, _, err := a.Journal.Decisions(q)
	all = append(slices.Clip(all), every...)
	slices.SortStableFunc(all, func(x, y route.Decision) int { return y.Time.Compare(x.Time) })
	return all, err
}

func shorten(d *route.Decision) because {
	return because{ID: d.ID, Time: d.Time.UTC().Format("2006-01-02T15:04:05.999Z"), Route: d.Route, From: d.From, To: d.To, Rule: d.Rule, Reason: d.Reason, Text: d.Text, Override: d.Override}
}
