//go:build integration

package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gitSigned is an origin whose commits git itself signs, by what the settings say.
type gitSigned struct {
	*origin
	settings []string
}

func (g *gitSigned) run(name string, args ...string) string {
	g.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = g.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (g *gitSigned) commitSigned(text string) string {
	g.t.Helper()
	g.check(os.WriteFile(filepath.Join(g.dir, "otp.yml"), []byte(text), 0o600))
	args := []string{"-c", "user.name=Ada", "-c", "user.email=ada@example.org"}
	for _, s := range g.settings {
		args = append(args, "-c", s)
	}
	g.run("git", "add", "otp.yml")
	g.run("git", append(args, "commit", "-q", "-S", "--allow-empty", "-m", "Grüße\n\ngpgsig in the text\n")...)
	return g.run("git", "rev-parse", "HEAD")
}

// wantSigned follows the origin with a file of keys: what git signed is taken, and what it did not is refused.
func (g *gitSigned) wantSigned(keys, by string) {
	g.t.Helper()
	f := follow(g.t, g.url(), g.t.TempDir(), func(o *Options) { o.Keys = []string{keys} })
	f.loads(g.commitSigned(goodPolicy))
	if got := f.Status().SignedBy; !strings.Contains(got, by) {
		g.t.Errorf("got it signed by %q, want %q", got, by)
	}
	f.loads(g.commitSigned(otherPolicy))
	g.commit("otp.yml", goodPolicy)
	f.fails("got none")
}

func TestWhatGitSignsWithSSHIsGood(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			g := &gitSigned{origin: newOrigin(t)}
			key := filepath.Join(t.TempDir(), "id")
			g.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ada's", "-f", key)
			public, err := os.ReadFile(key + ".pub")
			g.check(err)
			g.settings = []string{"gpg.format=ssh", "user.signingkey=" + key + ".pub"}
			keys := writeFile(t, "allowed_signers", `ada@example.org namespaces="git" `+string(public))
			g.wantSigned(keys, "ada@example.org (SHA256:")
			g.run("git", "-c", "gpg.ssh.allowedSignersFile="+keys, "verify-commit", "HEAD~1") // git agrees
		})
	}
}

func TestWhatGitSignsWithOpenPGPIsGood(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	home, err := os.MkdirTemp("", "g") // gpg's socket must have a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		exec.Command("gpgconf", "--kill", "all").Run() // it may not have one
		os.RemoveAll(home)
	})
	g := &gitSigned{origin: newOrigin(t)}
	g.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Ada <ada@example.org>", "rsa3072", "sign", "2y")
	g.run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-add-key", fingerprint(g), "ed25519", "sign", "1y")
	keys := writeFile(t, "keys.asc", g.run("gpg", "--armor", "--export", "ada@example.org")+"\n")
	g.settings = []string{"user.signingkey=ada@example.org"} // gpg signs with the subkey
	g.wantSigned(keys, "Ada <ada@example.org>")
	g.settings = []string{"user.signingkey=" + fingerprint(g) + "!"} // and now with the key itself
	g.wantSigned(keys, "Ada <ada@example.org>")
}

// fingerprint is that of Ada's primary key.
func fingerprint(g *gitSigned) string {
	g.t.Helper()
	for _, line := range strings.Split(g.run("gpg", "--with-colons", "--list-keys", "ada@example.org"), "\n") {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	g.t.Fatal("gpg lists no key")
	return ""
}
