package repo

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"
)

const goodPolicy = `version: 1
routes:
  acme: {provider: acme, networks: [GB]}
  bolt: {provider: bolt, networks: [GB]}
classes:
  otp: {mode: act}
lanes:
  - {class: otp, network: GB, order: [acme, bolt]}
`

// otherPolicy is a policy that says something else.
var otherPolicy = strings.Replace(goodPolicy, "[acme, bolt]", "[bolt, acme]", 1)

var day = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

// origin is the repository that a test follows: a real one, in a folder.
type origin struct {
	t      testing.TB
	dir    string
	repo   *git.Repository
	signer git.Signer // of what is committed next; nil: nobody
	n      int
}

// needGit skips tests of what asks a remote: only git's own server can serve one.
func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	needGit(t)
	o := &origin{t: t, dir: filepath.Join(t.TempDir(), "origin")}
	var err error
	o.repo, err = git.PlainInitWithOptions(o.dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: "refs/heads/main"}})
	o.check(err)
	return o
}

func (o *origin) check(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *origin) url() string { return "file://" + o.dir }

// commit writes a file, commits it on the branch that is checked out, and returns the commit.
func (o *origin) commit(name, text string) string {
	o.t.Helper()
	w, err := o.repo.Worktree()
	o.check(err)
	path := filepath.Join(o.dir, name)
	o.check(os.MkdirAll(filepath.Dir(path), 0o755))
	o.check(os.WriteFile(path, []byte(text), 0o600))
	_, err = w.Add(name)
	o.check(err)
	o.n++
	who := &object.Signature{Name: "Ada", Email: "ada@example.org", When: day.Add(time.Duration(o.n) * time.Minute)}
	h, err := w.Commit("policy", &git.CommitOptions{Author: who, Signer: o.signer, AllowEmptyCommits: true})
	o.check(err)
	return h.String()
}

// force sets a ref to a commit, wherever it stood.
func (o *origin) force(ref, commit string) {
	o.t.Helper()
	o.check(o.repo.Storer.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(ref), plumbing.NewHash(commit))))
}

// away moves the repository to where nobody finds it, and returns what brings it back.
func (o *origin) away() (back func()) {
	o.t.Helper()
	o.check(os.Rename(o.dir, o.dir+".away"))
	return func() { o.check(os.Rename(o.dir+".away", o.dir)) }
}

// follower is a Repo with what it was made from and said.
type follower struct {
	*Repo
	t        testing.TB
	log      *bytes.Buffer
	registry *prometheus.Registry
}

// follow makes a Repo of what is at the URL; change may set more options.
func follow(t testing.TB, url, dir string, change func(*Options)) *follower {
	t.Helper()
	f := &follower{t: t, log: &bytes.Buffer{}, registry: prometheus.NewRegistry()}
	o := Options{URL: url, Dir: dir, Timeout: 20 * time.Second, Changed: func(context.Context) error { return nil },
		Logger: slog.New(slog.NewTextHandler(f.log, nil)), Registerer: f.registry}
	if change != nil {
		change(&o)
	}
	var err error
	if f.Repo, err = New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

// loads wants the policy of a commit.
func (f *follower) loads(commit string) {
	f.t.Helper()
	p, err := f.Load(f.t.Context())
	if err != nil {
		f.t.Fatalf("load: got %v, want commit %s", err, short(commit))
	}
	if p.Revision != "git:"+commit[:12] || len(p.Lanes) != 1 {
		f.t.Fatalf("got policy %s of %d lanes, want git:%s of 1", p.Revision, len(p.Lanes), commit[:12])
	}
	if s := f.Status(); s.Commit != commit {
		f.t.Errorf("got status of commit %s, want %s", s.Commit, commit)
	}
}

// fails wants Load to fail, with all of these words in its error.
func (f *follower) fails(words ...string) {
	f.t.Helper()
	p, err := f.Load(f.t.Context())
	if err == nil {
		f.t.Fatalf("got policy %s, want an error with %q", p.Revision, words)
	}
	wantWords(f.t, err.Error(), words...)
}

func wantWords(t testing.TB, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("got %q, want it to say %q", got, w)
		}
	}
}

// metric is the sum of a counter or a gauge over its labels.
func (f *follower) metric(name string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	f.t.Fatalf("no metric %s", name)
	return 0
}

// writeFile writes a file of a test's own and returns its path.
func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sshSigner signs as ssh-keygen -Y sign does.
type sshSigner struct {
	key       ssh.Signer
	namespace string
	algorithm string // "" for the key's own
}

// Sign implements git.Signer.
func (s sshSigner) Sign(message io.Reader) ([]byte, error) {
	data, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(data)
	signed := append([]byte(sshMagic), ssh.Marshal(sshSigned{s.namespace, "", "sha512", sum[:]})...)
	var sig *ssh.Signature
	if a, ok := s.key.(ssh.AlgorithmSigner); ok && s.algorithm != "" {
		sig, err = a.SignWithAlgorithm(nil, signed, s.algorithm)
	} else {
		sig, err = s.key.Sign(nil, signed)
	}
	if err != nil {
		return nil, err
	}
	body := ssh.Marshal(sshSignature{sshVersion, s.key.PublicKey().Marshal(), s.namespace, "", "sha512", ssh.Marshal(sig)})
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: append([]byte(sshMagic), body...)}), nil
}

// allowed is the line of allowed_signers for a key.
func allowed(options string, key ssh.PublicKey) string {
	return "ada@example.org " + options + string(ssh.MarshalAuthorizedKey(key))
}
