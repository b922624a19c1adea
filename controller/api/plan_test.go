package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const oneFile = `{"files":[{"name":"policy/otp.yml","data":"version: 1\n"}]}`

const isJSON = "Content-Type: application/json"

func TestPlanHandsOnFilesAndTheMoment(t *testing.T) {
	w := newWorld(t)
	rec := w.do("POST", "/api/v1/policy/plan", `{"files":[{"name":"b.yml","data":"é\n"},{"name":"a.yml","data":""}]}`, "Content-Type: application/json; charset=utf-8")
	if rec.Code != 200 || rec.Body.String() != "{\"files\":2}\n" {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if w.files[0].Name != "b.yml" || string(w.files[0].Data) != "é\n" || w.files[1].Name != "a.yml" || len(w.files[1].Data) != 0 {
		t.Errorf("got files %+v", w.files)
	}
	if age := time.Since(w.since); age < 24*time.Hour || age > 25*time.Hour {
		t.Errorf("got the moment %s ago, want a day", age)
	}
	w.do("POST", "/api/v1/policy/plan?since=2026-11-23T10:00:00Z", oneFile, isJSON)
	if want := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC); !w.since.Equal(want) {
		t.Errorf("got %s, want %s", w.since, want)
	}
}

// problems is an error of several.
type problems []string

func (p problems) Error() string      { return strings.Join(p, "\n") }
func (p problems) Problems() []string { return p }

func TestPlanTellsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.plan = fmt.Errorf("plan: %w", problems{"a.yml:1:1: one", "a.yml:2:1: two"})
	if p := wantProblem(t, w.do("POST", "/api/v1/policy/plan", oneFile, isJSON), 422, "policy-rejected"); len(p.Problems) != 2 || p.Problems[1] != "a.yml:2:1: two" {
		t.Errorf("got %+v", p)
	}
	w.plan = fmt.Errorf("plan: %w", ErrBusy)
	rec := w.do("POST", "/api/v1/policy/plan", oneFile, isJSON)
	wantProblem(t, rec, 429, "busy")
	if rec.Header().Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
	w.plan = errors.New("secret path")
	if rec := w.do("POST", "/api/v1/policy/plan", oneFile, isJSON); strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("got %s", rec.Body)
	} else {
		wantProblem(t, rec, 500, "internal")
	}
}

func TestPlanEndsWhenTheServerStops(t *testing.T) {
	w := newWorld(t)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	w.plan = context.Canceled
	served := w.handler
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		served.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), drainKey{}, stopped)))
	})
	wantProblem(t, w.do("POST", "/api/v1/policy/plan", oneFile, isJSON), 503, "stopped")
}

func TestHostilePlans(t *testing.T) {
	w := newWorld(t)
	file := func(name string) string { return fmt.Sprintf(`{"name":%q,"data":""}`, name) }
	for name, c := range map[string]struct {
		target, body, kind string
		status             int
		problem, parameter string
	}{
		"no body":             {"", "", isJSON, 400, "bad-parameter", "body"},
		"no type":             {"", oneFile, "X: y", 415, "unsupported-media-type", ""},
		"a form":              {"", oneFile, "Content-Type: application/x-www-form-urlencoded", 415, "unsupported-media-type", ""},
		"no JSON":             {"", "version: 1", isJSON, 400, "bad-parameter", "body"},
		"a list":              {"", "[]", isJSON, 400, "bad-parameter", "body"},
		"two objects":         {"", oneFile + oneFile, isJSON, 400, "bad-parameter", "body"},
		"another field":       {"", `{"files":[],"path":"/etc/passwd"}`, isJSON, 400, "bad-parameter", "body"},
		"data is no text":     {"", `{"files":[{"name":"a","data":{}}]}`, isJSON, 400, "bad-parameter", "body"},
		"no files":            {"", `{"files":[]}`, isJSON, 400, "bad-parameter", "files"},
		"null":                {"", `null`, isJSON, 400, "bad-parameter", "files"},
		"too many files":      {"", `{"files":[` + strings.Repeat(file("a")+",", maxFiles) + file("a") + `]}`, isJSON, 400, "bad-parameter", "files"},
		"no name":             {"", `{"files":[{"data":""}]}`, isJSON, 400, "bad-parameter", "files[0].name"},
		"no data":             {"", `{"files":[{"name":"a"}]}`, isJSON, 400, "bad-parameter", "files[0].data"},
		"a name twice":        {"", `{"files":[` + file("a") + "," + file("a") + `]}`, isJSON, 400, "bad-parameter", "files[1].name"},
		"a name with a break": {"", `{"files":[` + file("a\nb") + `]}`, isJSON, 400, "bad-parameter", "files[0].name"},
		"a long name":         {"", `{"files":[` + file(strings.Repeat("a", maxFileName+1)) + `]}`, isJSON, 400, "bad-parameter", "files[0].name"},
		"too large":           {"", `{"files":[{"name":"a","data":"` + strings.Repeat("a", maxCandidate) + `"}]}`, isJSON, 413, "too-large", ""},
		"no moment":           {"?since=yesterday", oneFile, isJSON, 400, "bad-parameter", "since"},
		"two moments":         {"?since=1h&since=2h", oneFile, isJSON, 400, "bad-parameter", "since"},
	} {
		t.Run(name, func(t *testing.T) {
			w.files = nil
			rec := w.do("POST", "/api/v1/policy/plan"+c.target, c.body, c.kind)
			if p := wantProblem(t, rec, c.status, c.problem); p.Parameter != c.parameter || w.files != nil {
				t.Errorf("got %+v, planned %d files", p, len(w.files))
			}
			if rec.Body.Len() > 1024 {
				t.Errorf("got an answer of %d bytes", rec.Body.Len())
			}
		})
	}
}

func FuzzCandidate(f *testing.F) {
	for _, seed := range []string{oneFile, `{"files":null}`, `{"files":[{"name":"\u0000","data":"\ud800"}]}`, `{"files":[{}]} `} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		w.files = nil
		rec := w.do("POST", "/api/v1/policy/plan", body, isJSON)
		if (rec.Code == 200) != (len(w.files) > 0) || rec.Code >= 500 {
			t.Errorf("got %d with %d files: %s", rec.Code, len(w.files), rec.Body)
		}
	})
}
