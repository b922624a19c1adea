package repo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// serveHTTP serves the folder above the origin with git's own program, to whoever has the password.
func (o *origin) serveHTTP(password string) *httptest.Server {
	o.t.Helper()
	program, err := exec.Command("git", "--exec-path").Output()
	o.check(err)
	backend := &cgi.Handler{Stderr: io.Discard, Path: filepath.Join(strings.TrimSpace(string(program)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}}
	if _, err := os.Stat(backend.Path); err != nil {
		o.t.Skip("git is installed without git-http-backend")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, got, _ := r.BasicAuth(); got != password {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	o.t.Cleanup(s.Close)
	return s
}

func TestOverHTTPTheTokenIsReadAnewAndNeverTold(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("policy/otp.yml", goodPolicy)
	url := o.serveHTTP("s3cret").URL + "/origin"
	token := writeFile(t, "token", "s3cret\n")
	f := follow(t, url, t.TempDir(), func(o *Options) { o.TokenFile, o.Path = token, "policy" })
	f.loads(first)
	o.check(os.WriteFile(token, []byte("ada:0ther"), 0o600))
	f.fails("fetch policy from "+url, "the remote refuses these credentials: see "+token)
	o.check(os.WriteFile(token, []byte("ada:s3cret"), 0o600))
	second := o.commit("policy/otp.yml", otherPolicy)
	f.loads(second)
	if told := f.log.String() + f.Status().LastError; strings.Contains(told, "s3cret") || strings.Contains(told, "0ther") {
		t.Errorf("got %s, which gives the token away", told)
	}
	follow(t, url, t.TempDir(), nil).fails("the remote refuses these credentials: want a token, got none (token-file)")
	follow(t, url+"-not", t.TempDir(), func(o *Options) { o.TokenFile = token }).fails("no repository is there")
}

func TestARemoteThatSaysNothingIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // it never accepts; the system takes connections for it
	key := writeFile(t, "id", privateKey(t, newRSA(t)))
	hosts := writeFile(t, "known_hosts", knownhosts.Line([]string{silent.Addr().String()}, newSSHKey(t).PublicKey())+"\n")
	for scheme, change := range map[string]func(*Options){"http": nil, "ssh": func(o *Options) { o.SSHKeyFile, o.KnownHosts = key, hosts }} {
		f := follow(t, scheme+"://"+silent.Addr().String()+"/policy", t.TempDir(), func(o *Options) {
			if change != nil {
				change(o)
			}
			o.Timeout = 50 * time.Millisecond
		})
		f.fails("fetch policy from "+scheme+"://", "no answer in 50ms")
	}
	f := follow(t, "http://"+silent.Addr().String()+"/policy", t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Load(ctx); !errors.Is(err, context.Canceled) || f.Status().Failures != 0 {
		t.Errorf("got %v and %+v, want the end and no failure", err, f.Status())
	}
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func privateKey(t *testing.T, key any) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// serveSSH serves git over ssh on loopback to one key, and returns the address.
func serveSSH(t *testing.T, client ssh.PublicKey, hosts ...ssh.Signer) string {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}}
	for _, host := range hosts {
		config.AddHostKey(host)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serveConnection(conn, config) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// serveConnection answers one command on one connection, as git's shell does.
func serveConnection(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			if r.Type != "exec" {
				r.Reply(r.Type == "env", nil)
				continue
			}
			r.Reply(true, nil)
			var command struct{ Text string }
			ssh.Unmarshal(r.Payload, &command)
			cmd := exec.Command("git", "shell", "-c", command.Text)
			cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
			in, err := cmd.StdinPipe() // Run would wait for the client to say all that it ever will
			if err != nil {
				return
			}
			go func() { io.Copy(in, channel); in.Close() }()
			status := uint32(0)
			if cmd.Run() != nil {
				status = 1
			}
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			channel.Close()
		}
	}
}

func TestOverSSHTheHostMustBeKnown(t *testing.T) {
	o := newOrigin(t)
	commit := o.commit("otp.yml", goodPolicy)
	host, stranger, client := newSSHKey(t), newSSHKey(t), newRSA(t)
	mine, err := ssh.NewSignerFromKey(client)
	o.check(err)
	second := signerOf(t, newRSA(t), nil) // servers have several keys, and known_hosts may have any one of them
	address := serveSSH(t, mine.PublicKey(), host, second)
	url := "ssh://git@" + address + o.dir
	keyFile := writeFile(t, "id", privateKey(t, client))
	known := func(key ssh.PublicKey, at string) string {
		return writeFile(t, "known_hosts", knownhosts.Line([]string{at}, key)+"\n")
	}
	with := func(key, hosts string) *follower {
		return follow(t, url, t.TempDir(), func(o *Options) { o.SSHKeyFile, o.KnownHosts = key, hosts })
	}
	good := known(host.PublicKey(), address)
	with(keyFile, good).loads(commit)
	with(keyFile, known(second.PublicKey(), address)).loads(commit)
	with(keyFile, known(host.PublicKey(), "git.example.org")).fails("the host key of " + address + " is not known")
	with(keyFile, known(stranger.PublicKey(), address)).fails("the host key of " + address + " is another than the known_hosts file says")
	with(writeFile(t, "other", privateKey(t, newRSA(t))), good).fails("fetch policy from "+url, "the remote refuses these credentials: see ")
	follow(t, url+"-not", t.TempDir(), func(o *Options) { o.SSHKeyFile, o.KnownHosts = keyFile, good }).fails("fetch policy from " + url + "-not")

	locked, err := ssh.MarshalPrivateKeyWithPassphrase(client, "", []byte("s3cret"))
	o.check(err)
	for name, c := range map[string]struct{ key, hosts, want string }{
		"a key with a passphrase": {writeFile(t, "locked", string(pem.EncodeToMemory(locked))), good, "want a key without a passphrase, got one that has it"},
		"no known hosts":          {keyFile, good + ".not", "ssh-known-hosts: want a file with the key of " + address},
	} {
		_, err := New(options(url, func(o *Options) { o.SSHKeyFile, o.KnownHosts = c.key, c.hosts }))
		if wantWords(t, fmt.Sprint(err), c.want); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
