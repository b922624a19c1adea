package access

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// keep writes calls down, to the end, and returns the log and the lines of the file.
func keep(t *testing.T, calls ...Call) (log string, lines []string) {
	t.Helper()
	dir, said := t.TempDir(), &bytes.Buffer{}
	a := NewAudit(dir, slog.New(slog.NewTextHandler(said, nil)), prometheus.NewRegistry())
	for _, c := range calls {
		a.Keep(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what waits is written first
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "audit.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	return said.String(), strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestAuditHasWhoDidWhat(t *testing.T) {
	log, lines := keep(t, Call{At: ten, Caller: "ann", Role: "operator", Method: "POST", Path: "/api/v1/overrides", Status: 201, Remote: "192.0.2.1:4", Decision: "1-44-1"})
	const want = `{"at":"2026-11-23T10:00:00Z","caller":"ann","role":"operator","method":"POST","path":"/api/v1/overrides","status":201,"remote":"192.0.2.1:4","decision":"1-44-1"}`
	if len(lines) != 1 || lines[0] != want {
		t.Errorf("got %s, want %s", lines, want)
	}
	if !strings.Contains(log, `msg="call answered" caller=ann role=operator method=POST path=/api/v1/overrides status=201 remote=192.0.2.1:4 decision=1-44-1`) {
		t.Errorf("got the log %s", log)
	}
}

// The same refusal again and again is a line a minute, and hides nobody else's.
func TestAuditOfOneThatKnocksOnIsALineAMinute(t *testing.T) {
	var calls []Call
	for i := range 601 {
		calls = append(calls, Call{At: ten.Add(time.Duration(i) * time.Second / 5), Path: "/routes", Status: 401, Remote: fmt.Sprintf("192.0.2.1:%d", 1000+i), Refused: "unknown"})
	}
	calls = append(calls, Call{At: ten.Add(2 * time.Minute), Path: "/routes", Status: 401, Remote: "192.0.2.2:1", Refused: "unknown"})
	_, lines := keep(t, calls...)
	if len(lines) != 4 || !strings.Contains(lines[1], `"unsaid":299`) || !strings.Contains(lines[3], "192.0.2.2") {
		t.Errorf("got %s, want three lines of one and one of the other", lines)
	}
}

// A flood of refused calls is a hundred lines and then one every five seconds, which says how many it stands for.
func TestAuditOfAFloodIsBounded(t *testing.T) {
	var calls []Call
	for i := range 10_000 {
		calls = append(calls, Call{At: ten.Add(time.Duration(i) * time.Millisecond), Method: "GET", Path: "/routes", Status: 401, Remote: fmt.Sprintf("198.51.%d.%d:1", i/250, i%250), Refused: "unknown"})
	}
	log, lines := keep(t, calls...)
	if len(lines) != 101 || strings.Count(log, "call refused") != 101 {
		t.Fatalf("got %d lines and %d in the log, want 101", len(lines), strings.Count(log, "call refused"))
	}
	var last struct{ Unsaid int }
	if err := json.Unmarshal([]byte(lines[100]), &last); err != nil || last.Unsaid < 4800 {
		t.Errorf("got %s, want how many were not written down", lines[100])
	}
}

func TestAuditIsPutAsideWhenItIsLarge(t *testing.T) {
	dir := t.TempDir()
	r := rotating{dir: dir}
	defer r.close()
	line := append(bytes.Repeat([]byte("a"), 1<<20-1), '\n')
	for range 16*auditFiles + 8 {
		if err := r.write(line); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != auditFiles {
		t.Fatalf("got %v, %v, want %d files", files, err, auditFiles)
	}
	for _, f := range files {
		if about, err := os.Stat(f); err != nil || about.Size() > auditMost || about.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %d bytes of mode %v, want at most %d for nobody else", f, about.Size(), about.Mode(), auditMost)
		}
	}
}

// A disk that refuses costs lines, and is said once.
func TestAuditCopesWithADiskThatRefuses(t *testing.T) {
	said := &bytes.Buffer{}
	a := NewAudit(filepath.Join(t.TempDir(), "nowhere"), slog.New(slog.NewTextHandler(said, nil)), prometheus.NewRegistry())
	for range 3 {
		a.Keep(Call{At: ten, Role: "admin", Method: "POST", Path: "/-/reload", Status: 200})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(said.String(), "audit not written"); got != 1 || testutil.ToFloat64(a.lost) != 3 {
		t.Errorf("said it %d times and counted %v, want once and 3", got, testutil.ToFloat64(a.lost))
	}
}
