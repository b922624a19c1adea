//go:build integration

package smsctest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slow is how long a test waits for Kannel, which starts and retries by the second.
const slow = 30 * time.Second

const kannelConf = `
group = core
admin-port = %[1]d
admin-password = admin
status-password = status
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = %[2]d
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
log-file = "bearerbox.log"
log-level = 0
dlr-storage = internal
sms-resend-freq = 1
sms-resend-retry = 1

group = smsc
smsc = smpp
smsc-id = route-a
host = 127.0.0.1
port = %[4]s
transceiver-mode = true
smsc-username = "kannel"
smsc-password = "secret"
system-type = ""
interface-version = 34
enquire-link-interval = 1
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[3]d
log-file = "smsbox.log"
log-level = 0

group = sendsms-user
username = tester
password = foobar

group = sms-service
keyword = default
catch-all = true
text = "none"
max-messages = 0
`

// kannel is a gateway of other people's making, whose SMPP client is bound to one of our servers.
type kannel struct {
	adminPort, boxPort, sendPort int
	reports                      chan string // mid and d of each call back, such as "a 8"
	callback                     string
}

func startKannel(t *testing.T, s *Server) *kannel {
	t.Helper()
	k := &kannel{reports: make(chan string, 100)}
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		k.reports <- r.FormValue("mid") + " " + r.FormValue("d")
	}))
	t.Cleanup(back.Close)
	k.callback = back.URL
	k.adminPort, k.boxPort, k.sendPort = freePort(t), freePort(t), freePort(t)

	dir := t.TempDir()
	_, smscPort, _ := net.SplitHostPort(s.Addr())
	conf := fmt.Sprintf(kannelConf, k.adminPort, k.boxPort, k.sendPort, smscPort)
	if err := os.WriteFile(filepath.Join(dir, "kannel.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	box(t, dir, "bearerbox")
	k.await(t, "bearerbox is online", func() bool { return strings.Contains(k.status(), "online") })
	box(t, dir, "smsbox")
	k.await(t, "smsbox listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", k.sendPort))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return k
}

// box runs one of Kannel's programs until the test ends. It fails where Kannel is not installed.
func box(t *testing.T, dir, name string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs Kannel: %v", err)
	}
	command := exec.Command(path, "-v", "4", "kannel.conf")
	command.Dir = dir
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		force := time.AfterFunc(slow, func() { command.Process.Kill() })
		defer force.Stop()
		command.Wait()
		if log, err := os.ReadFile(filepath.Join(dir, name+".log")); err == nil && t.Failed() {
			t.Logf("%s.log:\n%s", name, log[max(0, len(log)-8000):])
		}
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (k *kannel) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(slow); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func get(address string) string {
	response, err := http.Get(address)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

func (k *kannel) status() string {
	return get(fmt.Sprintf("http://127.0.0.1:%d/status.txt?password=status", k.adminPort))
}

// send hands a message to Kannel, with reports of all kinds asked for.
func (k *kannel) send(t *testing.T, mid string) {
	t.Helper()
	query := url.Values{
		"username": {"tester"}, "password": {"foobar"}, "from": {"447700900001"}, "to": {"447700900118136"},
		"text": {"hello from kannel"}, "dlr-mask": {"31"}, "dlr-url": {k.callback + "/?d=%d&mid=" + mid},
	}
	answer := get(fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms?%s", k.sendPort, query.Encode()))
	if !strings.HasPrefix(answer, "0: Accepted") {
		t.Fatalf("sendsms: %s", answer)
	}
}

// wantReports waits for as many reports as are wanted; reports of different messages may come in any order.
func (k *kannel) wantReports(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		select {
		case report := <-k.reports:
			got = append(got, report)
		case <-time.After(slow):
			t.Fatalf("reports: got %q, want %q", got, want)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("reports: got %q, want %q", got, want)
	}
}

// The numbers are Kannel's: 1 delivered, 2 failed, 8 accepted by the SMSC, 16 rejected by it, 32 beside another.
func TestKannelIsAClient(t *testing.T) {
	s := start(t, Options{SystemID: "kannel", Password: "secret"})
	k := startKannel(t, s)

	k.send(t, "good")
	k.wantReports(t, "good 8", "good 1")

	s.SetBehaviour(Behaviour{Accept: 1, Failed: 1})
	k.send(t, "failed")
	k.wantReports(t, "failed 8", "failed 2")

	s.SetBehaviour(Behaviour{Accept: 1, Failed: 1, FailedAs: "EXPIRED"})
	k.send(t, "expired")
	k.wantReports(t, "expired 8", "expired 34")

	s.SetBehaviour(Behaviour{SubmitStatus: StatusSubmitFail})
	k.send(t, "refused")
	k.wantReports(t, "refused 16")

	s.SetBehaviour(Behaviour{SubmitStatus: StatusThrottled})
	k.send(t, "throttled")
	k.wantReports(t, "throttled 16")

	s.SetBehaviour(Behaviour{Accept: 1, Delivered: 1, Swallow: true})
	k.send(t, "swallowed")
	k.wantReports(t, "swallowed 8")

	enquires := s.Counters().Enquires
	k.await(t, "Kannel enquires", func() bool { return s.Counters().Enquires > enquires })

	s.SetBehaviour(Healthy())
	binds := s.Counters().Binds
	s.Drop()
	k.await(t, "Kannel binds again", func() bool { return s.Counters().Binds > binds })
	for range 100 {
		k.send(t, "many")
	}
	k.wantReports(t, slices.Concat(slices.Repeat([]string{"many 8"}, 100), slices.Repeat([]string{"many 1"}, 100))...)
	t.Logf("counters: %+v", s.Counters())
}

// A gateway cannot see this one: the bind is online, and nobody answers.
func TestKannelSeesABlackHoleAsOnline(t *testing.T) {
	s := start(t, Options{Behaviour: &Behaviour{IgnoreSubmit: true}})
	k := startKannel(t, s)
	k.send(t, "lost")
	k.await(t, "the message came", func() bool { return s.Counters().Submits > 0 })
	if status := k.status(); !strings.Contains(status, "online") {
		t.Errorf("status: got %s", status)
	}
	select {
	case report := <-k.reports:
		t.Errorf("report: got %q, want none", report)
	default:
	}
}
