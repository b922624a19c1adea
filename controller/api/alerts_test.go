package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAlertsAreReported(t *testing.T) {
	if rec := newWorld(t).get("/api/v1/alerts"); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != `{"receivers":["pager"]}` {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
}

func TestATestOfAlerts(t *testing.T) {
	w := newWorld(t)
	if rec := w.do("POST", "/api/v1/alerts/test?receiver=pager", ""); rec.Code != 200 || w.tried != "pager" || strings.TrimSpace(rec.Body.String()) != `{"tried":["200 OK"]}` {
		t.Errorf("got %d %s of %q", rec.Code, rec.Body, w.tried)
	}
	w.try = fmt.Errorf("%w: want pager", ErrNoReceiver)
	rec := w.do("POST", "/api/v1/alerts/test?receiver=pagr", "")
	wantProblem(t, rec, 400, "bad-parameter")
	if !strings.Contains(rec.Body.String(), "receiver: no such receiver: want pager") {
		t.Errorf("got %s, want what was wanted", rec.Body)
	}
	w.try = errors.New("broken")
	wantProblem(t, w.do("POST", "/api/v1/alerts/test", ""), 500, "internal")
	wantProblem(t, w.do("POST", "/api/v1/alerts/test?receiver=a&receiver=b", ""), 400, "bad-parameter")
	wantProblem(t, w.do("GET", "/api/v1/alerts/test", ""), 405, "method-not-allowed")
}
