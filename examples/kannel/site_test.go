//go:build integration

package kannel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow bounds every wait. It says nothing of how fast anything is: it is what a loaded machine may take at most.
const slow = 2 * time.Minute

// TestMain has the password of the probes' account in the environment, as probes.yml wants it. The tests run side by side,
// each on a site of its own: most of the time they wait.
func TestMain(m *testing.M) {
	if err := os.Setenv("KANNEL_SMPP_PASSWORD", "secret"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// site is everything that runs on a Kannel site: two carriers, Kannel, signalbox and a sender. The files are those that
// people use, but for the ports and for the times of the rules, which would make the test half an hour long.
type site struct {
	dir           string
	acme, bolt    string // URLs of the carriers' controls
	signalbox     string // URL
	box           *process
	boxArgs       []string
	tap           *tap
	sender        *process
	kannel, admin string // URLs
}

// startSite starts all but the sender; flags are further ones of signalbox.
func startSite(t *testing.T, flags ...string) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	ports := freePorts(t, 8)
	url := func(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", ports[i]) }
	s.acme, s.bolt, s.signalbox, s.kannel, s.admin = url(0), url(1), url(2), url(3), url(4)

	for _, name := range []string{"package.json", "package-lock.json", "smsc.js", "send.js", "baseline.sh"} {
		s.copy(t, name)
	}
	s.copy(t, "kannel.conf", "13000", ports[4], "13001", ports[5], "13013", ports[3], "port = 2801", fmt.Sprint("port = ", ports[6]), "port = 2802", fmt.Sprint("port = ", ports[7]))
	s.copy(t, "probes.yml", "127.0.0.1:2801", fmt.Sprint("127.0.0.1:", ports[6]), "127.0.0.1:2802", fmt.Sprint("127.0.0.1:", ports[7]), "every: 5m", "every: 2s")
	s.copy(t, "policy/routes.yml")
	s.copy(t, "policy/rules.yml", "base: 5m", "base: 20s", "step: 2m", "step: 10s", "settle: 60s", "settle: 10s")

	command(t, s.dir, "npm", "ci", "--no-audit", "--no-fund")
	s.run(t, "node", "smsc.js", "acme", fmt.Sprint(ports[6]), fmt.Sprint(ports[0]))
	s.run(t, "node", "smsc.js", "bolt", fmt.Sprint(ports[7]), fmt.Sprint(ports[1]))
	await(t, "both carriers answer", func() bool { return reachable(s.acme) && reachable(s.bolt) })

	s.run(t, "bearerbox", "-v", "1", "kannel.conf")
	await(t, "both links are online", func() bool {
		return strings.Count(s.links(t), "(online") == 2
	})
	s.run(t, "smsbox", "-v", "2", "kannel.conf")
	await(t, "smsbox listens", func() bool { return reachable(s.kannel) })

	here, _ := os.Getwd()
	command(t, here, "go", "build", "-o", filepath.Join(s.dir, "signalbox"), "signalbox/cmd/signalbox")
	s.boxArgs = append([]string{"run", "--policy", "policy", "--data", "data", "--web.listen-address", strings.TrimPrefix(s.signalbox, "http://")}, flags...)
	s.startBox(t)
	s.tell(t, command(t, s.dir, "sh", "baseline.sh"))
	s.tap = newTap(t, s.signalbox)
	return s
}

// links is what Kannel says of its links.
func (s *site) links(t *testing.T) string {
	t.Helper()
	_, links, _ := strings.Cut(get(t, s.admin+"/status.txt?password=status"), "SMSC connections:")
	return links
}

// startBox starts signalbox, on the same data as ever.
func (s *site) startBox(t *testing.T) {
	t.Helper()
	s.box = s.run(t, "./signalbox", s.boxArgs...)
	await(t, "signalbox serves a table", func() bool {
		answer, err := http.Get(s.signalbox + "/routes")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// tell posts observations.
func (s *site) tell(t *testing.T, lines []byte) {
	t.Helper()
	answer, err := http.Post(s.signalbox+"/events", "application/x-ndjson", bytes.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"refused":[]`) {
		t.Fatalf("events: got %s %s", answer.Status, body)
	}
}

// startSender starts to send, so many messages a second.
func (s *site) startSender(t *testing.T, rate int) {
	t.Helper()
	s.startSenderAs(t, rate, "node", "send.js")
}

// startSenderAs starts another sender, which takes the same flags.
func (s *site) startSenderAs(t *testing.T, rate int, program ...string) {
	t.Helper()
	args := append(program[1:], "--rate", fmt.Sprint(rate), "--signalbox", s.signalbox, "--receipts", s.tap.url, "--kannel", s.kannel)
	s.sender = s.run(t, program[0], args...)
}

// copy brings a file of this folder into the site's, with replacements as pairs. A text that is not there is an error:
// the file has changed, and the test has not.
func (s *site) copy(t *testing.T, name string, replace ...any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(replace); i += 2 {
		old := replace[i].(string)
		if !strings.Contains(text, old) {
			t.Fatalf("%s: want %q in it", name, old)
		}
		text = strings.ReplaceAll(text, old, fmt.Sprint(replace[i+1]))
	}
	to := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// process is a program of the site.
type process struct {
	*exec.Cmd
	log string // file of what it says
}

// run starts a program, which ends with the test at the latest; if the test fails, the end of what it said is shown.
func (s *site) run(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program(t, s.dir, name), args...)}
	log, err := os.CreateTemp(s.dir, "*.log")
	if err != nil {
		t.Fatal(err)
	}
	p.log = log.Name()
	p.Dir, p.Stdout, p.Stderr = s.dir, log, log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	log.Close()
	t.Cleanup(func() {
		p.stop()
		if said, err := os.ReadFile(p.log); err == nil && t.Failed() {
			t.Logf("%s %v:\n%s", name, args, said[max(0, len(said)-3000):])
		}
	})
	return p
}

// stop ends a program, in the end by force.
func (p *process) stop() {
	if p.ProcessState != nil {
		return
	}
	p.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(15*time.Second, func() { p.Process.Kill() })
	defer force.Stop()
	p.Wait()
}

// kill ends a program at once, as a crash would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
}

// program is the path of a program; a missing one fails the test.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	if strings.HasPrefix(name, "./") {
		return filepath.Join(dir, name)
	}
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatalf("this test needs %s; README.md says how to install it", name)
	return ""
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	c := exec.CommandContext(ctx, program(t, dir, name), args...)
	var complaints bytes.Buffer
	c.Dir, c.Stderr = dir, &complaints
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, complaints.Bytes())
	}
	return out
}

// ports are those that sites were given, so that no two get the same one.
var ports struct {
	sync.Mutex // guards given
	given      map[int]bool
}

// freePorts are ports that nobody listens on, and that no other site has.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = map[int]bool{}
	}
	var free []int
	for len(free) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; !ports.given[port] {
			ports.given[port] = true
			free = append(free, port)
		}
	}
	return free
}

func reachable(url string) bool {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// await polls until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(slow); !holds(); time.Sleep(100 * time.Millisecond) {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// get is the body at a URL; what cannot be had is "".
func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

// read decodes the JSON at a URL.
func read[T any](t *testing.T, url string) T {
	t.Helper()
	var v T
	body := get(t, url)
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v in %q", url, err, body)
	}
	return v
}

// carried is what one of the two SMSCs has done for an account.
type carried struct {
	Accepted     int      `json:"accepted"`
	Receipts     int      `json:"receipts"`     // handed to a session of the account
	Unclaimed    int      `json:"unclaimed"`    // that no session of the account may receive
	Swallowed    []string `json:"swallowed"`    // by its own ids
	Transmitters int      `json:"transmitters"` // binds that may not receive

	ByTransmitter int `json:"byTransmitter"` // of Accepted, those that came by such a bind
}

// account is what an SMSC has done for an account, by its system_id.
func account(t *testing.T, control, id string) carried {
	t.Helper()
	return read[struct {
		Accounts map[string]carried `json:"accounts"`
	}](t, control).Accounts[id]
}

// kannels is what an SMSC has done for Kannel, which is bound as a transceiver: not for a probe that shares its account.
func kannels(t *testing.T, control string) carried {
	t.Helper()
	c := account(t, control, "kannel")
	c.Accepted -= c.ByTransmitter
	return c
}

// order tells a carrier to swallow, or to heal.
func order(t *testing.T, control, mode string) {
	t.Helper()
	answer, err := http.Post(control+"/"+mode, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v %v", mode, answer, err)
	}
	answer.Body.Close()
}
