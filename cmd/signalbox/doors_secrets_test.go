package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A daemon that knows secrets, and is shown others, in right and in wrong places, repeats none of them: not in an answer, the
// log, the metrics, the files of its data folder, or the dump of its goroutines.
func TestNoSecretIsRepeated(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, o *daemonOptions) {
		s.secure(a, "")
		s.write("tokens.yml", "tokens: ["+s.lines["admin"]+"]\n")
	}) // for its files
	key, err := os.ReadFile(s.path("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"the TLS key": strings.Split(string(key), "\n")[1], "ann's password": annsPassword}
	for role, token := range s.tokens {
		secrets["the token of "+role] = token
	}
	env := []string{}
	for _, name := range []string{"ACME_PASSWORD", "PHONES_KEY", "KANNEL_KEY", "SINCH_KEY"} {
		secrets[name] = "very-secret-" + strings.ToLower(name)
		env = append(env, name+"="+secrets[name])
	}
	s.write("probes.yml", `version: 1
routes: {acme: {smpp: {address: "`+deadAddress(t)+`", system_id: probe, password: {env: ACME_PASSWORD}}}}
inbound: {phones: {secret: {env: PHONES_KEY}, from: $.from, text: $.text}}
receipts: {keys: {kannel: {secrets: [{env: KANNEL_KEY}]}, sinch: {secrets: [{env: SINCH_KEY}]}}}
`)
	s.write("web.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\nbasic_auth_users: {ann: '$2y$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi'}\n")
	s.writeTokens()
	p := startProgram(t, env, "run", "--policy", s.path("policy.yml"), "--data", s.path("own"), "--probes.file", s.path("probes.yml"), "--log.level", "debug",
		"--web.listen-address", "127.0.0.1:0", "--web.config.file", s.path("web.yml"), "--web.tokens-file", s.path("tokens.yml"))
	var said bytes.Buffer
	client := a.client()
	ask := func(method, path, header, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+p.address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", header)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		fmt.Fprintf(&said, "%s %s: %s %v\n", method, resp.Request.URL.Path, resp.Status, resp.Header)
		if _, err := io.Copy(&said, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	ann := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+annsPassword))
	admin := "Bearer " + s.tokens["admin"]
	for _, header := range []string{admin, ann, "Bearer " + s.tokens["expired"], s.tokens["admin"], "Bearer " + s.tokens["viewer"] + "," + s.tokens["viewer"]} {
		for _, path := range []string{"/routes", "/metrics", "/api/v1/policy", "/api/v1/probes", "/api/v1/lanes", "/api/v1/senders", "/api/v1/decisions?limit=" + s.tokens["viewer"][:1],
			"/api/v1/explain?route=acme&class=otp&network=GB", "/nothing", "/routes?token=" + s.tokens["viewer"], "/receipts/kannel?token=" + s.tokens["viewer"]} {
			ask("GET", path, header, "")
		}
	}
	for name, secret := range secrets {
		if strings.HasPrefix(secret, "very-secret-") {
			ask("GET", "/receipts/kannel?route=acme&id=1&status=1&key="+secret, "", "")
			ask("POST", "/receipts/sinch?route=acme&token="+secret, "Bearer "+secret, "{"+strconv.Quote(name)+":1}")
			ask("POST", "/inbound/phones?key="+secret, "", `{"from":1`)
			ask("POST", "/events", "Bearer "+secret, "not an event\n")
		}
	}
	for _, broken := range []string{"tokens: {" + s.tokens["admin"] + "}", "tokens: [{name: a, role: " + s.tokens["admin"] + ", sha256: " + s.tokens["admin"] + "}]", "tokens: [" + s.tokens["admin"], "\t" + s.tokens["admin"], "a: &" + s.tokens["admin"] + " *" + s.tokens["viewer"]} {
		s.write("tokens.yml", broken)
		ask("POST", "/-/reload", admin, "")
	}
	s.writeTokens()
	s.write("web.yml", "tls_server_config: {cert_file: server.crt, key: '"+secrets["the TLS key"]+"'}\nbasic_auth_users: ["+annsPassword+"]\n")
	ask("POST", "/-/reload", admin, "")
	if !strings.Contains(said.String(), "422") || !strings.Contains(said.String(), "401") || !strings.Contains(said.String(), "200 OK") {
		t.Fatalf("the calls met no errors, or nothing else:\n%s", &said)
	}
	dump := p.quit(t)
	if !strings.Contains(dump, "SIGQUIT") || !strings.Contains(dump, "goroutine ") || !strings.Contains(dump, "call refused") {
		t.Fatalf("got no dump and no log:\n%.2000s", dump)
	}
	texts := map[string]string{"an answer": said.String(), "the log or the dump": dump}
	for path, text := range files(t, s.path("own")) {
		texts[path] = text
	}
	if len(texts) < 4 {
		t.Errorf("found %d texts: the test misses some", len(texts))
	}
	for where, text := range texts {
		for name, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s has %s: …%s…", where, name, text[max(0, i-120):min(len(text), i+len(secret)+20)])
			}
		}
	}
}

// files are what is in a folder, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// program is the real program in a process of its own.
type program struct {
	cmd     *exec.Cmd
	stderr  *safeBuffer
	address string
	ended   chan error
}

// startProgram starts it and waits until it says where it listens.
func startProgram(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: &exec.Cmd{Path: self, Args: append([]string{"signalbox"}, args...), Env: append(os.Environ(), append(env, "GOTRACEBACK=all")...)},
		stderr: &safeBuffer{}, ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p.stderr, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		p.cmd.Wait()
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, after, found := strings.Cut(p.stderr.String(), "msg=listening address="); found {
			p.address, _, _ = strings.Cut(after, "\n")
			return p
		}
	}
	t.Fatalf("it does not listen:\n%s", p.stderr)
	return nil
}

// quit ends it as an operator does who wants to see its goroutines, and returns all that it said.
func (p *program) quit(t *testing.T) string {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		t.Error("it ended well, want the dump of a quit")
	}
	return p.stderr.String()
}

// A signed webhook that is played again later is refused; one that the provider repeats at once is answered as before, and
// counts once.
func TestReplayedWebhooks(t *testing.T) {
	t.Setenv("SINCH_KEY", "a key of sinch")
	s := newGuarded(t, func(s *guarded, o *daemonOptions) {
		o.probes = s.path("probes.yml")
		s.write("probes.yml", probing(map[string]string{"acme": deadAddress(t)})+"receipts: {keys: {sinch: {secrets: [{env: SINCH_KEY}]}}}\n")
	})
	post := func(at time.Time, signature string) (int, string) {
		body := `{"type":"delivery_report_sms","batch_id":"m-1","total_message_count":1,"statuses":[{"code":0,"count":1,"status":"Delivered"}]}`
		stamp := strconv.FormatInt(at.Unix(), 10)
		m := hmac.New(sha256.New, []byte("a key of sinch"))
		fmt.Fprintf(m, "%s.%s.%s", body, "nonce", stamp)
		if signature == "" {
			signature = base64.StdEncoding.EncodeToString(m.Sum(nil))
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.d.address()+"/receipts/sinch?route=acme", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"": signature, "-Nonce": "nonce", "-Timestamp": stamp} {
			r.Header.Set("X-Sinch-Webhook-Signature"+name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(answer)
	}
	at := time.Now()
	s.wants(200, "POST", "/events", s.tokens["source"], fmt.Sprintf(`{"type":"submit","time":%d,"id":"m-1","route":"acme","class":"otp","network":"GB"}`+"\n", at.Unix()-5))
	for i, tc := range []struct {
		at        time.Time
		signature string
		want      int
	}{{at, "", 200}, {at, "", 200}, {at.Add(-6 * time.Minute), "", 403}, {at.Add(6 * time.Minute), "", 403}, {at, "AAAA", 403}} {
		if got, answer := post(tc.at, tc.signature); got != tc.want {
			t.Errorf("call %d: got %d %s, want %d", i, got, answer, tc.want)
		}
	}
	metrics := s.wants(200, "GET", "/metrics", s.tokens["viewer"], "")
	for _, want := range []string{`signalbox_http_refused_total{reason="signature"} 3`, `signalbox_receipts_calls_total{format="sinch",outcome="taken"} 2`, "signalbox_events_duplicate_total 1", "signalbox_messages_open 0"} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("want %s in the metrics", want)
		}
	}
}
