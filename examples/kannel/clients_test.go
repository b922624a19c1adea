//go:build integration

package kannel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/rules/route"
)

// The same incident with senders that go by signalbox's own clients: the table moves their messages too, and nothing is
// lost.
func TestSendersByTheirClients(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]func(*testing.T, *site) []string{
		"Go": func(t *testing.T, s *site) []string {
			command(t, here, "go", "build", "-o", filepath.Join(s.dir, "send"), "signalbox/examples/kannel/send")
			return []string{"./send"}
		},
		"Python": func(t *testing.T, s *site) []string {
			s.copy(t, "send.py")
			return []string{"python3", "send.py", "--client", filepath.Join(here, "../senders")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSite(t)
			s.startSenderAs(t, 12, start(t, s)...)
			demoted := s.demotes(t)
			s.wantDemotion(t, demoted)
			s.awaitGeneration(t, demoted)
			followed := s.sendMore(t, 100)
			if n := asked(followed, acme); n > len(followed)/4 {
				t.Errorf("after the demotion: got %d of %d messages for %s, want about 5%%", n, len(followed), acme)
			}
			s.sender.Process.Signal(syscall.SIGUSR2)
			s.wantNothingLost(t)
			s.wantSender(t, "gw-1", demoted)
		})
	}
}

// A sender that knows nothing of routes sends by a label, and the actuator tells Kannel which link that means. Once it
// has, each receipt comes back by the other link, as Kannel's own smsc-id says, and no link was bound anew. Until then the
// other link has no messages to compare with, so that the demotion waits for the minute of common_cause.
func TestActuator(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	edit(t, filepath.Join(s.dir, "kannel.conf"), "any", "otp")
	s.copy(t, "actuator.yml", "http://127.0.0.1:13000", s.admin, "password_env: KANNEL_ADMIN_PASSWORD", "password_file: admin-password")
	if err := os.WriteFile(filepath.Join(s.dir, "admin-password"), []byte("admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get(t, s.admin+"/graceful-restart?password=admin")
	follow := s.run(t, "./signalbox", "kannel", "follow", "--settings", "actuator.yml", "--server", s.signalbox, "--name", "kannel")
	s.startSenderAs(t, 12, "node", "send.js", "--label", "otp")
	demoted := s.demotes(t)
	s.wantSender(t, "kannel", demoted)
	time.Sleep(2 * time.Second) // receipts of messages from before are on their way for as long
	before := len(s.tap.taken())
	s.sendMore(t, 100)
	by := map[string]int{}
	for _, c := range s.tap.taken()[before:] {
		if c.final() {
			by[c.carried]++
		}
	}
	if by["bolt-uk"] < 50 || by["acme-uk"] > 0 {
		t.Errorf("receipts by link since the demotion: got %v, want those of bolt-uk only", by)
	}
	if said, err := os.ReadFile(follow.log); err != nil || !strings.Contains(string(said), "kannel reconfigured") || strings.Contains(string(said), "bound anew") {
		t.Errorf("the actuator said %s (%v)", said, err)
	}
	if status := s.links(t); strings.Count(status, "(online") != 2 {
		t.Errorf("got links %s", status)
	}
	s.sender.Process.Signal(syscall.SIGUSR2)
	s.wantNothingLost(t)
}

// demotes waits until acme can be judged, has acme swallow, and returns the table in which it is out.
func (s *site) demotes(t *testing.T) route.Table {
	t.Helper()
	await(t, "acme-uk can be judged", func() bool { return s.known(t, acme) }) // through the actuator nothing else goes by bolt-uk
	s.sendMore(t, 100)
	order(t, s.acme, "swallow")
	swallowed := time.Now()
	demoted := s.awaitPhase(t, route.Demoted)
	t.Logf("demoted %s after the first message was swallowed", time.Since(swallowed).Round(time.Second))
	return demoted
}

// wantSender wants a sender to have confirmed a table.
func (s *site) wantSender(t *testing.T, name string, table route.Table) {
	t.Helper()
	await(t, name+" confirms "+table.Generation.String(), func() bool {
		return strings.Contains(get(t, s.signalbox+"/api/v1/senders"), fmt.Sprintf(`{"name":%q,"generation":%q,"applied":true`, name, table.Generation))
	})
}

// edit replaces a word in a file of the site.
func edit(t *testing.T, path, was, is string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), was, is)), 0o600); err != nil {
		t.Fatal(err)
	}
}
