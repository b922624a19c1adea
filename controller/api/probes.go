package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"signalbox/rules/route"
)

// Limits on what a vantage point tells.
const (
	maxWatchBytes = 8 << 20
	maxWatches    = 5_000
	maxSaid       = 512 // bytes of what a step says
)

func (a *api) getProbes(w http.ResponseWriter, r *http.Request) {
	v, wrong := query(r)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	name, wrong := v.name("route")
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	id := route.ID(name)
	out := []route.Watch{}
	for _, watch := range a.Probes.Watches() {
		if id == "" || watch.Route == id {
			out = append(out, watch)
		}
	}
	a.reply(w, r, http.StatusOK, struct {
		Probes []route.Watch `json:"probes"`
	}{out})
}

func (a *api) putProbes(w http.ResponseWriter, r *http.Request) {
	vantage := r.PathValue("vantage")
	if !senderName.MatchString(vantage) {
		a.fail(w, r, *bad("vantage", "want letters, digits and . _ : @ - only, at most 128"))
		return
	}
	watches, wrong := readWatches(w, r, vantage)
	if wrong != nil {
		a.fail(w, r, *wrong)
		return
	}
	if err := a.Probes.PutWatches(vantage, watches); err != nil {
		a.unavailable(w, r, "vantages-full", "there is no room for another vantage point now")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readWatches reads how the probes of a place stand, each held to its bounds.
func readWatches(w http.ResponseWriter, r *http.Request, vantage string) ([]route.Watch, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWatchBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &problem{Type: "too-large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("want a body of at most %d bytes", maxWatchBytes)}
	}
	if err != nil {
		return nil, bad("body", "it could not be read to its end")
	}
	var said struct {
		Probes []route.Watch `json:"probes"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, bad("body", `want JSON such as {"probes":[…]}: `+clip(err.Error()))
	}
	if len(said.Probes) > maxWatches {
		return nil, bad("probes", fmt.Sprintf("want at most %d, got %d", maxWatches, len(said.Probes)))
	}
	for i := range said.Probes {
		said.Probes[i].Vantage = vantage
		if err := checkWatch(&said.Probes[i]); err != nil {
			return nil, bad(fmt.Sprintf("probes[%d]", i), err.Error())
		}
	}
	return said.Probes, nil
}

func checkWatch(w *route.Watch) error {
	texts := []string{string(w.Route), w.Way, w.Stopped, w.Error}
	if w.Last != nil {
		if len(w.Last.Steps) > route.MaxSteps {
			return fmt.Errorf("last.steps: want at most %d, got %d", route.MaxSteps, len(w.Last.Steps))
		}
		w.Last.Vantage = w.Vantage
		texts = append(texts, w.Last.Hint, w.Last.Way, string(w.Last.Route))
		for _, s := range w.Last.Steps {
			texts = append(texts, s.Name, s.Code, s.Said)
		}
	}
	if w.Route == "" || w.Way == "" {
		return errors.New("want route and way")
	}
	for _, text := range texts {
		if len(text) > maxSaid {
			return fmt.Errorf("want texts of at most %d bytes, got %d", maxSaid, len(text))
		}
	}
	return nil
}
