package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

func TestPutSender(t *testing.T) {
	w := newWorld(t)
	rec := w.do("PUT", "/senders/gw-1", `{"generation":"1-42","applied":true,"new":1}`)
	if rec.Code != 204 || rec.Body.Len() != 0 || rec.Header().Get("Signalbox-Generation") != "1-42" {
		t.Errorf("got %d %s, want 204 with the generation", rec.Code, rec.Body)
	}
	w.do("PUT", "/senders/gw-2", `{"generation":"1-43","applied":false,"why":"signature"}`)
	if s := w.senders["gw-1"]; s.Generation != gen(42) || !s.Applied || time.Since(s.Seen) > time.Minute {
		t.Errorf("got %+v", s)
	}
	if s := w.senders["gw-2"]; s.Generation != gen(43) || s.Applied || s.Why != "signature" {
		t.Errorf("got %+v", s)
	}
	if rec := w.get("/api/v1/senders"); !strings.Contains(rec.Body.String(), `"generation":"1-42","senders":[{"name":"gw-`) {
		t.Errorf("got %s", rec.Body)
	}
}

// What a sender says is read in terminals and in pages of those on call.
func TestWhyASenderRefusesIsOneLineThatSteersNothing(t *testing.T) {
	w := newWorld(t)
	rec := w.do("PUT", "/senders/gw-1", `{"generation":"1-42","applied":false,"why":"route acme:\n\twant a link\u001b[2J, got \u009b none €"}`)
	if rec.Code != 204 || len(w.senders) != 1 {
		t.Fatalf("got %d, %+v", rec.Code, w.senders)
	}
	if got, want := w.senders["gw-1"].Why, "route acme: want a link?[2J, got ? none €"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSendersAreCountedByHowTheyStand(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]Sender{
		"gw-1": {Standing: "current"}, "gw-2": {Standing: "current"}, "gw-3": {Standing: "behind", Behind: 90.5},
		"gw-4": {Standing: "refused", Behind: 30}, "gw-5": {Standing: "silent", Behind: 9000},
	} {
		w.senders[name] = s
	}
	for state, want := range map[string]float64{"current": 2, "behind": 1, "refused": 1, "silent": 1} {
		if got := w.metric(t, "signalbox_senders", "state="+state); got != want {
			t.Errorf("%s: got %v, want %v", state, got, want)
		}
	}
	if got := w.metric(t, "signalbox_sender_behind_seconds"); got != 90.5 {
		t.Errorf("behind: got %v, want 90.5: silent ones are gone", got)
	}
}

func TestBadSenders(t *testing.T) {
	const good = `{"generation":"1-42","applied":true}`
	for name, tc := range map[string]struct {
		path, body string
		status     int
		parameter  string
	}{
		"name with a space":      {"/senders/a%20b", good, 400, "name"},
		"name with a slash":      {"/senders/a%2Fb", good, 400, "name"},
		"name with a zero byte":  {"/senders/a%00", good, 400, "name"},
		"name that is too long":  {"/senders/" + strings.Repeat("a", 129), good, 400, "name"},
		"name of dots":           {"/senders/%2E%2E", good, 400, "name"},
		"no body":                {"/senders/a", "", 400, "body"},
		"no JSON":                {"/senders/a", "{", 400, "body"},
		"two values":             {"/senders/a", good + good, 400, "body"},
		"no object":              {"/senders/a", "[]", 400, "body"},
		"null":                   {"/senders/a", "null", 400, "generation"},
		"no generation":          {"/senders/a", `{"applied":true}`, 400, "generation"},
		"generation of no form":  {"/senders/a", `{"generation":"42","applied":true}`, 400, "body"},
		"generation as a number": {"/senders/a", `{"generation":42,"applied":true}`, 400, "body"},
		"not said whether":       {"/senders/a", `{"generation":"1-42"}`, 400, "applied"},
		"why that is too long":   {"/senders/a", `{"generation":"1-42","applied":false,"why":"` + strings.Repeat("x", maxWhy+1) + `"}`, 400, "why"},
		"body that is too large": {"/senders/a", good + strings.Repeat(" ", maxReport), 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			kind := map[int]string{400: "bad-parameter", 413: "too-large"}[tc.status]
			if p := wantProblem(t, w.do("PUT", tc.path, tc.body), tc.status, kind); p.Parameter != tc.parameter {
				t.Errorf("got %q, want %q", p.Parameter, tc.parameter)
			}
			if len(w.senders) != 0 {
				t.Errorf("got %v recorded, want nothing", w.senders)
			}
		})
	}
}

func TestSendersThatAreTooMany(t *testing.T) {
	w := newWorld(t)
	w.full = errors.New("too many senders")
	rec := w.do("PUT", "/senders/gw-1", `{"generation":"1-42","applied":true}`)
	if wantProblem(t, rec, 503, "senders-full"); rec.Header().Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
}

func TestLanes(t *testing.T) {
	w := newWorld(t)
	if rec := w.get("/api/v1/lanes"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `{"generation":"1-42","lanes":[{"class":"otp","network":"*"`) {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	for _, path := range []string{"/api/v1/lanes/otp/*", "/api/v1/lanes/otp/%2A", "/api/v1/lanes/ot%70/%2a"} {
		if rec := w.get(path); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"route":"acme-uk"`) {
			t.Errorf("%s: got %d %s", path, rec.Code, rec.Body)
		}
	}
	wantProblem(t, w.get("/api/v1/lanes/otp/FR"), 404, "no-lane")
	wantProblem(t, w.get("/api/v1/lanes/otp"), 404, "not-found")
	wantProblem(t, w.get("/api/v1/lanes/otp/GB/x"), 404, "not-found")
}

func TestDecisionPages(t *testing.T) {
	w := newWorld(t)
	var got struct {
		Decisions []route.Decision
		Next      string
	}
	rec := w.get("/api/v1/decisions?limit=2&route=acme-uk&class=otp")
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || len(got.Decisions) != 2 || got.Next != "1-43-2" {
		t.Fatalf("got %s, %v, want two and the next", rec.Body, err)
	}
	want := `</api/v1/decisions?before=1-43-2&class=otp&limit=2&route=acme-uk>; rel="next"`
	if link := rec.Header().Get("Link"); link != want {
		t.Errorf("link: got %s, want %s", link, want)
	}
	rec = w.get("/api/v1/decisions?before=1-43-2")
	if rec.Code != 200 || w.asked.Before != "1-43-2" || w.asked.Limit != defaultLimit || rec.Header().Get("Link") != "" {
		t.Errorf("got %d, asked %+v, want before 1-43-2 and no next", rec.Code, w.asked)
	}
}

func TestDecisionQueries(t *testing.T) {
	w := newWorld(t)
	moment := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	rec := w.get("/api/v1/decisions?since=2026-11-23T10:00:00Z&until=2026-11-23T13:00:00%2B02:00&network=234-15")
	if q := w.asked; rec.Code != 200 || !q.Since.Equal(moment) || !q.Until.Equal(moment.Add(time.Hour)) || q.Network != "234-15" {
		t.Errorf("got %d, asked %+v", rec.Code, q)
	}
	w.get("/api/v1/decisions?since=2h")
	if ago := time.Since(w.asked.Since); ago < 2*time.Hour || ago > 2*time.Hour+time.Minute {
		t.Errorf("since=2h: got %s ago", ago)
	}
	for query, parameter := range map[string]string{
		"since=yesterday":   "since",
		"until=2026-11-23":  "until",
		"since=1h&since=2h": "since",
		"limit=0":           "limit",
		"limit=1001":        "limit",
		"limit=ten":         "limit",
		"network=x":         "network",
		"route=" + strings.Repeat("r", maxName+1): "route",
		"before=1-1-1": "before",
		"before=%0a":   "before",
		"%zz":          "query",
	} {
		if p := wantProblem(t, w.get("/api/v1/decisions?"+query), 400, "bad-parameter"); p.Parameter != parameter {
			t.Errorf("%s: got %s, want %s", query, p.Parameter, parameter)
		}
	}
}

func TestDecisionsAsLines(t *testing.T) {
	w := newWorld(t)
	rec := w.get("/api/v1/decisions?limit=2", "Accept: text/html;q=0.1, application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(rec.Body.String()), "\n")
	if rec.Header().Get("Content-Type") != ndjson || len(lines) != 2 || rec.Header().Get("Link") == "" {
		t.Fatalf("got %v %q, want two lines", rec.Header(), lines)
	}
	for i, l := range lines {
		var d route.Decision
		if err := json.Unmarshal([]byte(l), &d); err != nil || d.ID != w.decisions[i].ID {
			t.Errorf("line %d: got %s, %v", i, l, err)
		}
	}
	for _, accept := range []string{"application/json", "application/x-ndjson;q=0", "*/*"} {
		if rec := w.get("/api/v1/decisions", "Accept: "+accept); rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %s", accept, rec.Header().Get("Content-Type"))
		}
	}
}

func TestDecision(t *testing.T) {
	w := newWorld(t)
	if rec := w.get("/api/v1/decisions/1-43-2"); rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), `{"id":"1-43-2"`) {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	wantProblem(t, w.get("/api/v1/decisions/1-1-1"), 404, "not-found")
	w.journal = errors.New("read journal: input/output error")
	p := wantProblem(t, w.get("/api/v1/decisions"), 500, "internal")
	if strings.Contains(p.Detail, "input/output") || !strings.Contains(w.log.String(), "input/output") {
		t.Errorf("got %q to the client and %q to the log, want the cause in the log alone", p.Detail, w.log)
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]string{
		"route=acme-uk&class=otp&network=GB":     `{"lane":"otp/GB","route":"acme-uk"}`,
		"route=acme-uk&class=otp&network=234-15": `{"lane":"otp/GB","route":"acme-uk"}`,
	} {
		if rec := w.get("/api/v1/explain?" + query); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("%s: got %d %s, want %s", query, rec.Code, rec.Body, want)
		}
	}
	wantProblem(t, w.get("/api/v1/explain?route=zzz&class=otp&network=GB"), 404, "not-found")
	for query, parameter := range map[string]string{"class=otp&network=GB": "route", "route=a&network=GB": "class", "route=a&class=otp": "network"} {
		if p := wantProblem(t, w.get("/api/v1/explain?"+query), 400, "bad-parameter"); p.Parameter != parameter {
			t.Errorf("%s: got %s, want %s", query, p.Parameter, parameter)
		}
	}
	w.tables.publish(nil)
	wantProblem(t, w.get("/api/v1/explain?route=zzz&class=otp&network=GB"), 404, "not-found")
}

type rejected struct{}

func (rejected) Error() string      { return "policy rejected" }
func (rejected) Problems() []string { return []string{"a.yml:1:1: x", "a.yml:2:1: y"} }

func TestReload(t *testing.T) {
	w := newWorld(t)
	if rec := w.do("POST", "/-/reload", ""); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != `{"revision":"git:3f2a91c"}` {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"one":                   {errors.New("a"), "[a]"},
		"a join":                {errors.Join(errors.New("a"), errors.New("b")), "[a b]"},
		"a join, wrapped":       {fmt.Errorf("reload: %w", errors.Join(errors.New("a"), errors.New("b"))), "[a b]"},
		"one that has problems": {fmt.Errorf("reload: %w", rejected{}), "[a.yml:1:1: x a.yml:2:1: y]"},
	} {
		w.reload = tc.err
		if p := wantProblem(t, w.do("POST", "/-/reload", ""), 422, "policy-rejected"); fmt.Sprint(p.Problems) != tc.want {
			t.Errorf("%s: got %v, want %s", name, p.Problems, tc.want)
		}
	}
}

func TestOtherPaths(t *testing.T) {
	w := newWorld(t)
	for target, want := range map[string]string{
		"GET /api/v1/policy":       `{"revision":"git:3f2a91c","loaded_at"`,
		"GET /-/healthy":           "signalbox is healthy",
		"GET /-/ready":             "signalbox is ready",
		"GET /metrics":             "mounted /metrics",
		"POST /events":             "mounted /events",
		"POST /receipts/kannel":    "mounted /receipts/kannel",
		"GET /receipts/vonage?x=y": "mounted /receipts/vonage",
		"GET /api/v1/openapi.yaml": "openapi: 3.1.0",
	} {
		method, path, _ := strings.Cut(target, " ")
		if rec := w.do(method, path, ""); rec.Code != 200 || !strings.HasPrefix(rec.Body.String(), want) {
			t.Errorf("%s: got %d %.80s, want %s", target, rec.Code, rec.Body, want)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/routes", "/routes/lookup?class=otp&network=GB", "/api/v1/lanes", "/api/v1/policy", "/-/healthy", "/nothing"} {
		get, head := w.get(path), w.do("HEAD", path, "")
		if head.Code != get.Code || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(get.Body.Len()) {
			t.Errorf("%s: got %d, %d bytes, length %s, want %d, 0, %d", path, head.Code, head.Body.Len(), head.Header().Get("Content-Length"), get.Code, get.Body.Len())
		}
	}
}

func TestSourcesThatAreNilHaveNoPaths(t *testing.T) {
	w := newWorld(t)
	h, err := New(Options{Tables: w.tables})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/lanes", "/api/v1/decisions", "/api/v1/policy", "/events", "/metrics", "/-/reload", "/senders/a", "/receipts/x"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		wantProblem(t, rec, 404, "not-found")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/routes", nil))
	if rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), w.tables.Table().Plain) {
		t.Errorf("got %d %s, want the table", rec.Code, rec.Body)
	}
}
