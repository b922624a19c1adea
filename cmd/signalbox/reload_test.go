package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// A reload is whole or not at all, so that a policy that was mended is not in force where the tokens beside it are broken:
// whoever looks at the policy has to see that.
func TestAPolicyThatOtherFilesKeepOutIsSeenToBeOut(t *testing.T) {
	s := newGuarded(t, nil)
	policy, err := os.ReadFile(s.path("policy.yml"))
	if err != nil {
		t.Fatal(err)
	}
	status := func() string { return s.wants(200, "GET", "/api/v1/policy", s.tokens["viewer"], "") }
	loaded := func() bool {
		return strings.Contains(s.wants(200, "GET", "/metrics", s.tokens["viewer"], ""), "signalbox_policy_last_reload_successful 1")
	}
	before := status()
	s.write("policy.yml", strings.Replace(string(policy), "mode: act", "mode: propose", 1))
	s.write("tokens.yml", "tokens: [{name: gw-1}]\n")
	if _, answer := s.call(http.DefaultClient, "POST", "/-/reload", s.tokens["admin"], ""); !strings.Contains(answer, "tokens") {
		t.Fatalf("got %s, want the tokens refused", answer)
	}
	if got := status(); !strings.Contains(got, `"last_error":`) || !strings.Contains(got, "tokens.yml") || loaded() {
		t.Errorf("got %s, want it said that the last reload was refused, and why", got)
	}
	s.writeTokens()
	s.wants(200, "POST", "/-/reload", s.tokens["admin"], "")
	if got := status(); strings.Contains(got, "last_error") || !loaded() || got == before {
		t.Errorf("mended: got %s", got)
	}
}
