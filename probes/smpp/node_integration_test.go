//go:build integration

package smpp

import (
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed testdata/smsc.js
var nodeSMSC []byte

// startNode runs an SMSC of other people's making. It fails where node or npm are missing.
func startNode(t *testing.T) (addr string) {
	t.Helper()
	return startNodeIn(t, t.TempDir())
}

// startNodeIn runs it in a folder; a key and a certificate there make it speak TLS.
func startNodeIn(t *testing.T, dir string) (addr string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "smsc.js"), nodeSMSC, 0o600); err != nil {
		t.Fatal(err)
	}
	install := command(t, dir, "npm", "install", "--no-audit", "--no-fund", "smpp@0.5.1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install smpp@0.5.1: %v\n%s", err, out)
	}
	return startScript(t, command(t, dir, "node", "smsc.js"))
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: %v", name, err)
	}
	c := exec.Command(path, args...)
	c.Dir = dir
	return c
}

func TestAgainstNode(t *testing.T) {
	addr := startNode(t)

	t.Run("wrong password", func(t *testing.T) {
		o := options(addr)
		o.Password = "other"
		_, err := Dial(within(t, patience), o)
		wantPhase(t, err, PhaseBind, StatusInvPassword)
	})

	for _, bind := range []Bind{Transmitter, Receiver, Transceiver} {
		t.Run("bind as "+bind.String(), func(t *testing.T) {
			leavesNoGoroutine(t)
			o := options(addr)
			o.Bind = bind
			s := dial(t, o)
			enquire(t, s)
			if err := s.Unbind(within(t, patience)); err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("messages and receipts", func(t *testing.T) {
		leavesNoGoroutine(t)
		s := dial(t, options(addr))
		for range 20 {
			id := submit(t, s)
			r, err := ParseReceipt(nextDelivery(t, s))
			if err != nil || r.ID != id || r.State != StateDelivered || !r.Final || r.Err != "000" || r.Done.IsZero() {
				t.Fatalf("receipt: got %+v, %v, want %s delivered", r, err, id)
			}
		}
		m := message("hello")
		m.Dest.Number = "0"
		if _, err := s.Submit(within(t, patience), m); !errors.Is(err, StatusInvDstAddr) {
			t.Errorf("submit to 0: got %v, want %v", err, StatusInvDstAddr)
		}
		if err := s.Unbind(within(t, patience)); err != nil || s.Stats() != (Stats{}) {
			t.Errorf("unbind: %v; stats: %+v", err, s.Stats())
		}
	})
}
