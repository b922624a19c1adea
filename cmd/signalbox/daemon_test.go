package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestATakenPortIsSaidAndLetsGoOfTheStore(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(lawsPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for range 2 { // a store that is still held would say so the second time
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"run", "--policy", policy, "--data", filepath.Join(dir, "data"), "--web.listen-address", taken.Addr().String()}, &stdout, &stderr)
		if code != exitWrong || !strings.Contains(stderr.String(), "address already in use") || !strings.Contains(stderr.String(), "hint: ") {
			t.Errorf("got exit code %d and %q, want %d, the reason and a hint", code, stderr.String(), exitWrong)
		}
	}
}
