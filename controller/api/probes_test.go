package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestProbesOfAVantagePointAreTaken(t *testing.T) {
	w := newWorld(t)
	body := `{"probes":[{"route":"acme-uk","way":"smpp","vantage":"liar","every":"10s","last":{"route":"acme-uk","way":"smpp","time":"2026-11-25T12:00:00Z","steps":[{"name":"tcp","ok":true,"took":"12ms"}]}}]}`
	if rec := w.do("PUT", "/api/v1/probes/cork", body); rec.Code != 204 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if got := w.watches[0]; got.Vantage != "cork" || got.Last.Vantage != "cork" {
		t.Errorf("got %+v, want the place that told it", got)
	}
	for query, want := range map[string]bool{"": true, "?route=acme-uk": true, "?route=bolt-uk": false} {
		if rec := w.get("/api/v1/probes" + query); rec.Code != 200 || strings.Contains(rec.Body.String(), `"took":"12ms"`) != want {
			t.Errorf("%s: got %d %s", query, rec.Code, rec.Body)
		}
	}
	w.full = errors.New("too many places")
	wantProblem(t, w.do("PUT", "/api/v1/probes/cork", body), 503, "vantages-full")
}

func TestProbesThatAreNotTaken(t *testing.T) {
	steps := strings.Repeat(`{"name":"tcp","ok":true,"took":"1s"},`, 33)
	for name, c := range map[string]struct {
		vantage, body string
		code          int
		problem       string
	}{
		"no JSON":         {"cork", `{`, 400, "bad-parameter"},
		"no route":        {"cork", `{"probes":[{"way":"smpp"}]}`, 400, "bad-parameter"},
		"too many steps":  {"cork", `{"probes":[{"route":"a","way":"smpp","last":{"steps":[` + strings.TrimSuffix(steps, ",") + `]}}]}`, 400, "bad-parameter"},
		"a long text":     {"cork", fmt.Sprintf(`{"probes":[{"route":"a","way":"smpp","error":%q}]}`, strings.Repeat("x", 600)), 400, "bad-parameter"},
		"a strange place": {"co%20rk", `{"probes":[]}`, 400, "bad-parameter"},
		"far too long":    {"cork", strings.Repeat(" ", maxWatchBytes+1), 413, "too-large"},
	} {
		w := newWorld(t)
		rec := w.do("PUT", "/api/v1/probes/"+c.vantage, c.body)
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.problem) || len(w.watches) != 0 {
			t.Errorf("%s: got %d %s, want %d %s", name, rec.Code, rec.Body, c.code, c.problem)
		}
	}
}
