//go:build integration

package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

// A real bearerbox with a link that is up and one whose carrier is gone.
func TestKannelsOwnStatus(t *testing.T) {
	carrier, err := smsctest.New(smsctest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- carrier.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	dir, admin, box := t.TempDir(), freePort(t), freePort(t)
	conf := fmt.Sprintf("group = core\nadmin-port = %d\nadmin-password = adm\nstatus-password = sta\nsmsbox-port = %d\nlog-file = %q\nlog-level = 0\ndlr-storage = internal\n", admin, box, filepath.Join(dir, "log"))
	_, port, _ := strings.Cut(carrier.Addr(), ":")
	for id, port := range map[string]string{"acme": port, "bolt": fmt.Sprint(freePort(t))} {
		conf += fmt.Sprintf("\ngroup = smsc\nsmsc = smpp\nsmsc-id = %s\nhost = 127.0.0.1\nport = %s\ntransceiver-mode = true\nsmsc-username = k\nsmsc-password = pw\nsystem-type = \"\"\ninterface-version = 34\nreconnect-delay = 1\n", id, port)
	}
	path := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(path, []byte(conf+"\ngroup = smsbox\nbearerbox-host = 127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("bearerbox", "-v", "4", path)
	c.Dir = dir
	if err := c.Start(); err != nil {
		t.Fatalf("this test needs Debian's kannel: %v", err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }() // killed is no success
	o := Options{Name: "k", URL: fmt.Sprintf("http://127.0.0.1:%d/status.xml", admin), Secret: "sta"}
	k, err := NewKannel(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []route.Observation
	binds := func() map[route.ID]bool {
		out := map[route.ID]bool{}
		for _, o := range got {
			if o.Probe == "bind" {
				out[o.Route] = o.OK
			}
		}
		return out
	}
	for end := time.Now().Add(20 * time.Second); len(binds()) != 2 || !binds()["acme"]; time.Sleep(100 * time.Millisecond) {
		if got, err = k.Collect(t.Context()); time.Now().After(end) {
			t.Fatalf("got %s, %v", told(got), err)
		}
	}
	if binds()["bolt"] {
		t.Errorf("got %s, want bolt to be down", told(got))
	}
	o.Secret = "wrong"
	if k, err = NewKannel(o); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Collect(t.Context()); err == nil || !strings.Contains(err.Error(), "password is refused") {
		t.Errorf("a wrong password: got %s, %v", told(got), err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
