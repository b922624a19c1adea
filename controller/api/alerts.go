package api

import (
	"errors"
	"net/http"
)

func (a *api) getAlerts(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, a.Alerts.Report())
}

// postAlertsTest answers what receivers answered to a test, also where they answered badly.
func (a *api) postAlertsTest(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	name, wrong := v.name("receiver")
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	tried, err := a.Alerts.Try(r.Context(), name)
	switch {
	case errors.Is(err, ErrNoReceiver):
		a.fail(w, r, *bad("receiver", err.Error()))
	case err != nil:
		a.broken(w, r, err)
	default:
		a.reply(w, r, http.StatusOK, struct {
			Tried any `json:"tried"`
		}{tried})
	}
}
