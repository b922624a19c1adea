package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"signalbox/controller/recording"
	"signalbox/rules/route"
)

// operation is one method on one path, as openapi.yaml has it.
type operation struct {
	method, path string
	roles        []string
}

// operations are those that openapi.yaml describes.
func operations(t *testing.T) (all []operation) {
	t.Helper()
	text, err := os.ReadFile(root + "/controller/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]yaml.Node
	}
	if err := yaml.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	for path, methods := range described.Paths {
		for method, node := range methods {
			var o struct {
				Roles []string `yaml:"x-roles"`
			}
			if method == "parameters" {
				continue
			}
			if err := node.Decode(&o); err != nil || len(o.Roles) == 0 {
				t.Errorf("%s %s: want x-roles, got none (%v)", method, path, err)
			}
			all = append(all, operation{strings.ToUpper(method), path, o.Roles})
		}
	}
	if len(all) < 20 {
		t.Fatalf("found %d operations: the test misses them", len(all))
	}
	return all
}

// fill makes a path of a pattern: what names the caller names it.
func fill(pattern, caller string) string {
	return strings.NewReplacer("{name}", caller, "{vantage}", caller, "{format}", "kannel", "{class}", "otp", "{network}", "GB", "{id}", "1-1-1").Replace(pattern)
}

// once is an answer whose request ends with its beginning, so that streams do too.
type once struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

// WriteHeader ends the request.
func (o once) WriteHeader(code int) {
	o.ResponseRecorder.WriteHeader(code)
	o.end()
}

// knock asks for an operation, and returns the status and the kind of problem.
func (s *guarded) knock(o operation, path, token string) (status int, kind string, h http.Header) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, o.method, path, strings.NewReader(""))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := once{httptest.NewRecorder(), cancel}
	s.d.server.Handler.ServeHTTP(rec, r)
	var p struct{ Type string }
	_ = json.Unmarshal(rec.Body.Bytes(), &p) // not every answer is a problem
	return rec.Code, strings.TrimPrefix(p.Type, "urn:signalbox:problem:"), rec.Header()
}

// Every endpoint takes the roles that openapi.yaml says, and nobody else.
func TestEveryEndpointTakesTheRolesThatAreDescribed(t *testing.T) {
	s := newGuarded(t, func(s *guarded, o *daemonOptions) {
		o.probes = s.path("probes.yml")
		t.Setenv("PHONES_KEY", "a secret of phones")
		s.write("probes.yml", probing(map[string]string{"acme": deadAddress(t)})+"inbound: {phones: {secret: {env: PHONES_KEY}, from: $.from, text: $.text}}\n")
	})
	calls := 0
	for _, o := range operations(t) {
		open := slices.Contains(o.roles, "anybody")
		for _, role := range []string{"sender", "source", "viewer", "operator", "admin"} {
			calls++
			status, kind, _ := s.knock(o, fill(o.path, role+"-1"), s.tokens[role])
			allowed := open || slices.Contains(o.roles, role)
			if refused := kind == "forbidden" || status == 401 || status == 429; refused == allowed || !allowed && status != 403 {
				t.Errorf("%s %s as %s: got %d %s, want it allowed: %t", o.method, o.path, role, status, kind, allowed)
			}
		}
		for who, token := range map[string]string{"nobody": "", "a stranger": "sbx_wrong", "an expired sender": s.tokens["expired"]} {
			calls++
			status, _, h := s.knock(o, fill(o.path, "late"), token)
			if refused := status == 401 || status == 429; refused == open {
				t.Errorf("%s %s as %s: got %d, want it open: %t", o.method, o.path, who, status, open)
			}
			if status == 401 && (len(h["Www-Authenticate"]) != 2 || h.Get("Signalbox-Generation") != "") {
				t.Errorf("%s %s as %s: got %v, want the ways to say who one is and nothing else", o.method, o.path, who, h)
			}
		}
	}
	if calls < 180 {
		t.Errorf("made %d calls: the test misses some", calls)
	}
}

// Those whom nobody knows do not even learn which paths there are; those who are known do.
func TestUnknownPathsAndMethodsAskWhoCalls(t *testing.T) {
	s := newGuarded(t, nil)
	for _, o := range []operation{{"GET", "/nothing", nil}, {"DELETE", "/routes", nil}, {"OPTIONS", "/routes", nil}, {"BREW", "/-/reload", nil}} {
		if status, _, _ := s.knock(o, o.path, ""); status != 401 {
			t.Errorf("%s %s of nobody: got %d, want 401", o.method, o.path, status)
		}
		if status, _, _ := s.knock(o, o.path, s.tokens["sender"]); status != 404 && status != 405 {
			t.Errorf("%s %s of a sender: got %d, want 404 or 405", o.method, o.path, status)
		}
	}
}

func TestATokenSpeaksForItsOwnNameOnly(t *testing.T) {
	s := newGuarded(t, nil)
	const body = `{"generation":"1-1","applied":true}`
	s.wants(204, "PUT", "/senders/sender-1", s.tokens["sender"], body)
	s.wants(403, "PUT", "/senders/sender-2", s.tokens["sender"], body)
	s.wants(204, "PUT", "/api/v1/probes/source-1", s.tokens["source"], `{"probes":[]}`)
	s.wants(403, "PUT", "/api/v1/probes/source-2", s.tokens["source"], `{"probes":[]}`)
	s.wants(200, "POST", "/events", s.tokens["source"], `{"type":"heartbeat","time":"2026-11-23T10:00:00Z","source":"another","routes":["acme"]}`+"\n")
	if got := s.wants(200, "GET", "/routes", s.tokens["viewer"], ""); !strings.Contains(got, "acme") {
		t.Errorf("got %s, want the table", got)
	}
}

// Whatever source a line names, it counts for the one that the token is bound to.
func TestTheTokenIsTheSourceOfItsEvents(t *testing.T) {
	s := newGuarded(t, func(s *guarded, o *daemonOptions) { o.recording = recordingOptions{dir: s.path("recording")} })
	s.wants(200, "POST", "/events", s.tokens["source"], fmt.Sprintf(`{"type":"heartbeat","time":%d,"source":"another","routes":["acme"]}`+"\n", time.Now().Unix()))
	text := ""
	for end := time.Now().Add(time.Minute); !strings.Contains(text, "acme") && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text = recordedText(t, s.path("recording"))
	}
	if !strings.Contains(text, `"source":"source-1"`) || strings.Contains(text, "another") {
		t.Errorf("got %s, want the source that the token names", text)
	}
}

// recordedText is what a recording has by now.
func recordedText(t *testing.T, dir string) string {
	t.Helper()
	found, err := recording.Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, segment := range found {
		r, err := recording.Open(segment.Path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		text = append(text, data...)
	}
	return string(text)
}

// A token is changed without a restart and without a moment in which neither is good: both lines, then the new one alone.
func TestTokensAreRotatedWithoutARestart(t *testing.T) {
	s := newGuarded(t, nil)
	old, fresh := s.tokens["viewer"], mint("viewer-1", "viewer", "", 0, time.Now())
	s.lines["fresh"] = fresh.Line
	s.writeTokens()
	s.wants(401, "GET", "/metrics", fresh.Token, "")
	s.wants(200, "POST", "/-/reload", s.tokens["admin"], "")
	s.wants(200, "GET", "/metrics", fresh.Token, "")
	s.wants(200, "GET", "/metrics", old, "")

	s.lines["broken"] = `{name: "a name", role: viewer, sha256: "` + s.tokens["admin"] + `"}`
	delete(s.lines, "viewer")
	s.writeTokens()
	answer := s.wants(422, "POST", "/-/reload", s.tokens["admin"], "")
	if !strings.Contains(answer, "tokens.yml:") || !strings.Contains(answer, "sha256: want 64 hex digits") || strings.Contains(answer, s.tokens["admin"]) {
		t.Errorf("got %s, want every problem with its place and without the secret", answer)
	}
	s.wants(200, "GET", "/metrics", old, "") // refused whole

	delete(s.lines, "broken")
	s.writeTokens()
	s.wants(200, "POST", "/-/reload", s.tokens["admin"], "")
	s.wants(401, "GET", "/metrics", old, "")
	s.wants(200, "GET", "/metrics", fresh.Token, "")

	s.write("tokens.yml", "") // as a disk that is full leaves it
	s.wants(422, "POST", "/-/reload", s.tokens["admin"], "")
	s.wants(200, "GET", "/metrics", fresh.Token, "")
}

// Providers cannot always send headers: /receipts and /inbound take the token in the query, and nothing else does.
func TestTheTokenMayStandInTheQueryOfWebhooksOnly(t *testing.T) {
	s := newGuarded(t, nil)
	call := "/receipts/kannel?route=acme&id=m-1&status=1&token="
	s.wants(401, "GET", "/receipts/kannel?route=acme&id=m-1&status=1", "", "")
	s.wants(401, "GET", call+"wrong", "", "")
	s.wants(403, "GET", call+s.tokens["viewer"], "", "")
	if status, answer := s.call(http.DefaultClient, "GET", call+s.tokens["source"], "", ""); status == 401 || status == 403 {
		t.Errorf("got %d %s, want it let in", status, answer)
	}
	s.wants(401, "GET", "/routes?token="+s.tokens["viewer"], "", "")
	s.wants(401, "POST", "/events?token="+s.tokens["source"], "", "")
}

func TestUsersHaveTheirRoles(t *testing.T) {
	s := newGuarded(t, nil)
	ask := func(name, password, method, path string) int {
		r := httptest.NewRequest(method, path, nil)
		r.SetBasicAuth(name, password)
		rec := httptest.NewRecorder()
		s.d.server.Handler.ServeHTTP(rec, r)
		return rec.Code
	}
	for _, tc := range []struct {
		name, password, method, path string
		want                         int
	}{
		{"ann", annsPassword, "GET", "/api/v1/lanes", 200},
		{"ann", annsPassword, "POST", "/-/reload", 403}, // an operator
		{"ann", "wrong", "GET", "/api/v1/lanes", 401},
		{"bob", annsPassword, "GET", "/api/v1/lanes", 401},
		{"viewer-1", s.tokens["viewer"], "GET", "/api/v1/lanes", 200}, // a token as the password of its name
		{"admin-1", s.tokens["viewer"], "GET", "/api/v1/lanes", 401},
	} {
		if got := ask(tc.name, tc.password, tc.method, tc.path); got != tc.want {
			t.Errorf("%s %s as %s: got %d, want %d", tc.method, tc.path, tc.name, got, tc.want)
		}
	}
}

// Nothing listens beyond loopback without both; the error says what is missing, and how to get it.
func TestBeyondLoopbackWantsTLSAndAuthentication(t *testing.T) {
	s := newGuarded(t, nil) // for its files
	a := newAuthority(t)
	users, err := os.ReadFile(s.path("web.yml"))
	if err != nil {
		t.Fatal(err)
	}
	s.secure(a, string(users))
	s.write("plain.yml", string(users))
	s.write("tls.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
	s.write("bare.yml", "tokens:\n  - "+s.lines["viewer"]+"\n")
	for name, tc := range map[string]struct {
		web  webOptions
		open bool
		want string // "" is allowed
	}{
		"nothing":        {webOptions{}, false, "without TLS and authentication"},
		"TLS alone":      {webOptions{config: s.path("tls.yml")}, false, "without authentication"},
		"users alone":    {webOptions{config: s.path("plain.yml")}, false, "without TLS"},
		"tokens alone":   {webOptions{tokens: s.path("bare.yml")}, false, "without TLS"},
		"TLS and users":  {webOptions{config: s.path("web.yml")}, false, ""},
		"TLS and tokens": {webOptions{config: s.path("tls.yml"), tokens: s.path("bare.yml")}, false, ""},
		"said so":        {webOptions{}, true, ""},
	} {
		o := s.d.o
		o.listen, o.web, o.allowOpen = "0.0.0.0:0", tc.web, tc.open
		_, err := openDoors(o, newRegistry())
		if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// A vantage point shows its token, and speaks for the name of it only.
func TestAVantagePointShowsItsToken(t *testing.T) {
	s := newGuarded(t, nil)
	s.write("probes.yml", probing(map[string]string{"acme": deadAddress(t)}))
	s.write("source.token", s.tokens["source"]+"\n")
	of := func(name, token string) *vantage {
		t.Helper()
		v, err := newVantage(vantageOptions{name: name, controller: "http://" + s.d.address(), credentials: credentials{tokenFile: s.path(token)},
			file: s.path("probes.yml"), data: s.path(name), logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	seen := []route.Observation{{Kind: route.KindProbe, Time: time.Now(), Route: "acme", Probe: "bind", OK: true}}
	if err := of("source-1", "source.token").report(t.Context(), seen); err != nil {
		t.Errorf("with its token: got %v", err)
	}
	put := func(v *vantage) error {
		return v.call(t.Context(), "PUT", "/api/v1/probes/"+v.o.name, "application/json", strings.NewReader(`{"probes":[]}`))
	}
	if err := put(of("source-1", "source.token")); err != nil {
		t.Errorf("how its probes stand: got %v", err)
	}
	err := put(of("cork", "source.token"))
	if err == nil || !strings.Contains(err.Error(), "vantage: want source-1, which the token is bound to, got cork") {
		t.Errorf("with another's token: got %v, want what is wrong", err)
	}
	s.write("wrong.token", "sbx_wrong")
	if err := of("source-1", "wrong.token").report(t.Context(), seen); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong token: got %v, want 401", err)
	}
	metrics := s.wants(200, "GET", "/metrics", s.tokens["viewer"], "")
	if !strings.Contains(metrics, `signalbox_events_total{type="probe"} 1`) {
		t.Error("the controller did not take what was seen")
	}
}

// A token is shown to the server that it is for, and not to where that one points.
func TestATokenIsShownToNoOtherServer(t *testing.T) {
	shown := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown <- r.Header.Get("Authorization") }))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("got %q, want the token", r.Header.Get("Authorization"))
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer first.Close()
	t.Setenv(tokenEnv, "secret")
	c, err := newClient("--server", first.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.present(credentials{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(t.Context(), "/routes", nil); err == nil {
		t.Error("got an answer, want the redirect refused")
	}
	select {
	case got := <-shown:
		t.Errorf("the other server was asked, with %q", got)
	default:
	}
}
