//go:build integration

package alert

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/verify.js
var verifyJS []byte

// verified is what other people's receiver says of webhooks, a word or two for each.
func verified(t *testing.T, input []byte) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "verify.js"), verifyJS, 0o600); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "standardwebhooks@1.0.0", "cloudevents@8.0.2")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", install.Args, err, out)
	}
	node := exec.Command("node", "verify.js")
	node.Dir, node.Stdin = dir, bytes.NewReader(input)
	out, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestStandardWebhooksLibraryAcceptsOurSignatures posts over a real socket what the npm library then verifies.
func TestStandardWebhooksLibraryAcceptsOurSignatures(t *testing.T) {
	const second = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	hook := &receiver{}
	server := httptest.NewServer(hook)
	defer server.Close()
	s := newSite(t, "version: 1\n")
	s.stop()
	s.net.hosts = nil
	s.write("secret", secretText+"\n"+second+"\n") // one takes the other's place
	setup := s.setup("version: 1\nwebhooks: [{name: pager, url: \"" + server.URL + "\", secret_file: secret}]\n")
	if tried, err := setup.Try(t.Context(), "pager", (&net.Dialer{Timeout: 5 * time.Second}).DialContext); err != nil || tried[0].Result != resultDelivered {
		t.Fatalf("got %v, %v", tried, err)
	}
	g := hook.all()[0]
	var input bytes.Buffer
	ask := func(secret, body string) {
		headers := map[string]string{}
		for _, name := range []string{"content-type", "webhook-id", "webhook-timestamp", "webhook-signature"} {
			headers[name] = g.headers.Get(name)
		}
		if err := json.NewEncoder(&input).Encode(map[string]any{"secret": secret, "headers": headers, "body": body}); err != nil {
			t.Fatal(err)
		}
	}
	ask(secretText, string(g.body))
	ask(second, string(g.body))
	ask("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", string(g.body))
	ask(secretText, string(g.body)+" ")
	got := verified(t, input.Bytes())
	const told, not = "1.0 signalbox.test signalbox true", "No matching signature found"
	if want := []string{told, told, not, not}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: both secrets, and neither another secret nor another body", got, want)
	}
}
