package api

import (
	_ "embed" // openapi.yaml
	"errors"
	"net/http"
)

//go:embed openapi.yaml
var openAPI []byte

func (a *api) getOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "max-age=3600")
	write(w, r, http.StatusOK, openAPI)
}

func (a *api) getHealthy(w http.ResponseWriter, r *http.Request) {
	say(w, r, "signalbox is healthy\n")
}

func (a *api) getReady(w http.ResponseWriter, r *http.Request) {
	if err := a.Ready(); err != nil {
		a.unavailable(w, r, "not-ready", err.Error())
		return
	}
	say(w, r, "signalbox is ready\n")
}

func say(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	write(w, r, http.StatusOK, []byte(text))
}

func (a *api) getPolicy(w http.ResponseWriter, r *http.Request) {
	a.reply(w, r, http.StatusOK, a.Policy.Status())
}

func (a *api) postReload(w http.ResponseWriter, r *http.Request) {
	if err := a.Reloader.Reload(r.Context()); err != nil {
		a.fail(w, r, problem{Type: "policy-rejected", Status: http.StatusUnprocessableEntity,
			Detail: "the policy in force stays", Problems: problemsOf(err)})
		return
	}
	revision := ""
	if a.Policy != nil {
		revision = a.Policy.Status().Revision
	}
	a.reply(w, r, http.StatusOK, struct {
		Revision string `json:"revision"`
	}{revision})
}

// problemsOf takes an error that is several apart.
func problemsOf(err error) []string {
	var told interface{ Problems() []string }
	if errors.As(err, &told) {
		return told.Problems()
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []string{err.Error()}
	}
	var all []string
	for _, one := range joined.Unwrap() {
		all = append(all, problemsOf(one)...)
	}
	return all
}
