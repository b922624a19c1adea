package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestTheWebConfigurationsHeadersAndRate(t *testing.T) {
	dir := t.TempDir()
	k, err := New(Options{WebConfig: write(t, dir, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\nrate_limit: {burst: 2, interval: 1h}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if k.TLS() != nil || k.Rules().Authenticate() {
		t.Error("got TLS or authentication, want none: the file has neither")
	}
	h := k.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "in") }))
	for i, want := range []int{200, 200, 429, 429} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		if rec.Code != want || rec.Header().Get("X-Frame-Options") != "deny" || want == 429 && rec.Header().Get("Retry-After") == "" {
			t.Errorf("call %d: got %d with %v, want %d", i, rec.Code, rec.Header(), want)
		}
	}
	if got := testutil.ToFloat64(k.crowded); got != 2 {
		t.Errorf("counted %v, want 2", got)
	}
}

// What needs a restart is refused, and so is what is wrong; what is in force stays.
func TestReadRefusesWhatNeedsARestart(t *testing.T) {
	k, _, o := keeper(t)
	before := k.Rules()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"no users any more": "{}", // the tokens file has a role for one
		"wrong":             "basic_auth_users: []",
		"a missing key":     "tls_server_config: {cert_file: a.crt, key_file: a.key}",
	} {
		k.o.WebConfig = write(t, dir, "web.yml", text)
		if _, err := k.Read(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	k.o.WebConfig, k.o.Tokens = write(t, dir, "web.yml", "{}"), ""
	if _, err := k.Read(); err == nil {
		t.Error("without anybody to ask for: got no error")
	}
	k.o = o
	if k.Rules() != before || testutil.ToFloat64(k.loaded) != 0 {
		t.Error("other rules are in force, or nothing says that those of the files are not")
	}
	next, err := k.Read()
	if err != nil {
		t.Fatal(err)
	}
	if k.Use(next); testutil.ToFloat64(k.loaded) != 1 {
		t.Error("nothing says that the files are in force again")
	}
	if got := reason(t, k, bearing("secret-gw-1")); got != "" {
		t.Errorf("got %q", got)
	}
}
