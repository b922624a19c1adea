//go:build integration

package senders_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/controller/sender"
)

// slow bounds every wait. It says nothing of how fast anything is: it is what a loaded machine may take at most.
const slow = 2 * time.Minute

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(slow); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, slow)
		}
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// site is a real signalbox that signs its tables.
type site struct {
	t       *testing.T // of the test that the site is for; signalbox ends with it
	dir     string
	url     string
	dead    string // the URL of a server that is not there
	policy  string
	changes int
	key     ed25519.PrivateKey
	keys    []ed25519.PublicKey
	public  string // file
	box     *process
}

const policy = `version: 1
routes:
  acme-uk: {provider: acme, networks: [GB]}
  bolt-uk: {provider: bolt, networks: [GB]}
classes:
  otp: {mode: act, retry_after: RETRY}
lanes:
  - {class: otp, network: GB, share: {acme-uk: 60, bolt-uk: 40}}
`

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), url: "http://" + freeAddress(t), dead: "http://" + freeAddress(t)}
	s.policy, s.public = filepath.Join(s.dir, "policy.yml"), filepath.Join(s.dir, "table.pub")
	private := filepath.Join(s.dir, "table.key")
	// As run --help says.
	command(t, "openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
	command(t, "openssl", "pkey", "-in", private, "-pubout", "-out", s.public)
	s.readKeys(t, private)
	command(t, "go", "build", "-o", filepath.Join(s.dir, "signalbox"), "signalbox/cmd/signalbox")
	s.writePolicy(t)
	s.startBox(t)
	return s
}

func (s *site) readKeys(t *testing.T, private string) {
	t.Helper()
	data, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	s.key = key.(ed25519.PrivateKey)
	if data, err = os.ReadFile(s.public); err != nil {
		t.Fatal(err)
	}
	if s.keys, err = sender.ReadKeys(data); err != nil {
		t.Fatal(err)
	}
}

// writePolicy writes a policy that is another one each time.
func (s *site) writePolicy(t *testing.T) {
	t.Helper()
	s.changes++
	if err := os.WriteFile(s.policy, []byte(strings.Replace(policy, "RETRY", strconv.Itoa(20+s.changes)+"s", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change makes signalbox publish another table.
func (s *site) change(t *testing.T) {
	t.Helper()
	s.writePolicy(t)
	resp, err := http.Post(s.url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("reload: got %s", resp.Status)
	}
}

// startBox starts signalbox, on the same data as ever.
func (s *site) startBox(t *testing.T) {
	t.Helper()
	s.box = start(s.t, exec.Command(filepath.Join(s.dir, "signalbox"), "run", "--policy", s.policy, "--data", filepath.Join(s.dir, "data"),
		"--web.listen-address", strings.TrimPrefix(s.url, "http://"), "--web.signing-key-file", filepath.Join(s.dir, "table.key")))
	await(t, "signalbox serves a table", func() bool {
		select {
		case <-s.box.ended:
			t.Fatal("signalbox has ended")
		default:
		}
		resp, err := http.Get(s.url + "/routes")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// kill ends signalbox at once, as a crash would.
func (s *site) kill(t *testing.T) {
	t.Helper()
	if err := s.box.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.box.ended
}

// metric is the value of one series; 0 where there is none yet.
func (s *site) metric(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(string(get(t, s.url+"/metrics"))) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// lie is an answer to polls, and what a client has to say of it.
type lie struct {
	name   string
	status int
	body   string
	signed bool
	why    string
}

// liar stands where signalbox stood.
type liar struct {
	site   *site
	server *http.Server
	ended  chan struct{}

	mu    sync.Mutex // guards what follows
	now   lie
	polls int
	words map[string][]string // by sender
}

func (s *site) lie(t *testing.T) *liar {
	t.Helper()
	l := &liar{site: s, ended: make(chan struct{}), words: map[string][]string{}}
	l.server = &http.Server{Handler: l}
	listener, err := net.Listen("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(l.ended); l.server.Serve(listener) }()
	t.Cleanup(l.stop)
	return l
}

func (l *liar) stop() { l.server.Close(); <-l.ended }

func (l *liar) tell(what lie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.polls, l.words = what, 0, map[string][]string{}
}

func (l *liar) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.polls
}

// heard reports whether a sender refused a table for a reason.
func (l *liar) heard(name, why string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.words[name] {
		var said struct {
			Applied *bool
			Why     string
		}
		if json.Unmarshal([]byte(w), &said) == nil && said.Applied != nil && !*said.Applied && strings.Contains(said.Why, why) {
			return true
		}
	}
	return false
}

// ServeHTTP lies.
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	if name, ok := strings.CutPrefix(r.URL.Path, "/senders/"); ok {
		l.words[name] = append(l.words[name], string(body))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	l.polls++
	if l.now.signed {
		w.Header().Set("Signalbox-Signature", sign(l.site.key, l.now.body))
	}
	w.WriteHeader(l.now.status)
	io.WriteString(w, l.now.body)
}

// process is a program that runs beside the test.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// start starts a program, which ends with the test at the latest; if the test fails, what it said is shown.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%v:\n%s", cmd.Args, p.log.String()[max(0, p.log.Len()-3000):])
		}
	})
	return p
}

// Write keeps what the program says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) said(what string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.log.String(), what)
}

// stop ends the program, in the end by force.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	force := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	defer force.Stop()
	<-p.ended
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
