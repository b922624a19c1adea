//go:build integration

package smpp

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/probes"
)

//go:embed testdata/smsc.pl
var perlSMSC []byte

// startPerl runs an SMSC on Debian's Net::SMPP. It fails where perl or the package libnet-smpp-perl are missing.
func startPerl(t *testing.T) (addr string) {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "smsc.pl")
	if err := os.WriteFile(script, perlSMSC, 0o600); err != nil {
		t.Fatal(err)
	}
	return startScript(t, command(t, dir, "perl", script))
}

// startScript runs a server that prints its port and ends with its input.
func startScript(t *testing.T, c *exec.Cmd) (addr string) {
	t.Helper()
	var complaints bytes.Buffer
	c.Stderr = &complaints
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v\n%s", c.Path, err, complaints.String())
			}
		case <-time.After(2 * patience):
			_ = c.Process.Kill() // it does not end with its input
			t.Errorf("%s does not end\n%s", c.Path, complaints.String())
		}
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("port of %s: %v\n%s", c.Path, err, complaints.String())
	}
	return "127.0.0.1:" + strings.TrimSpace(port)
}

// The whole ladder against SMSCs of other people's making: link, message, receipt, and what they refuse.
func TestLadderAgainstOtherPeoplesSMSCs(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{"npm smpp": startNode, "Net::SMPP": startPerl} {
		t.Run(name, func(t *testing.T) {
			addr := start(t)
			for _, bind := range []Bind{Transmitter, Transceiver} {
				l := linkTo(t, addr, func(o *LinkOptions) {
					o.Session.Bind, o.DedicatedAccount, o.EnquireTimeout, o.Session.PhaseTimeout = bind, bind != Transmitter, patience, patience
				})
				for _, want := range []string{"tcp, bind, enquire", "bind, enquire"} {
					if got := look(t, l); told(got) != want {
						t.Errorf("%s: got %s (%+v), want %s", bind, told(got), got.Transcript, want)
					}
				}
				if err := l.Close(within(t, patience)); err != nil {
					t.Errorf("%s: %v", bind, err)
				}
			}
			wrong := linkTo(t, addr, func(o *LinkOptions) { o.Session.Password, o.Session.PhaseTimeout = "other", patience })
			if got := look(t, wrong); told(got) != "tcp, bind? 0x0000000e" || got.Stop == "" {
				t.Errorf("a wrong password: got %s, stop %q", told(got), got.Stop)
			}
			box := probes.NewMailbox()
			l, m := messagesTo(t, addr, box, func(lo *LinkOptions, o *MessageOptions) {
				lo.Session.PhaseTimeout, lo.EnquireTimeout = patience, patience
				o.SubmitTimeout, o.Errand.ReceiptTimeout = patience, patience
			})
			look(t, l)
			for range 3 {
				if got := look(t, m); told(got) != "submit, receipt" {
					t.Errorf("got %s (%+v)", told(got), got.Transcript)
				}
			}
		})
	}
}

// startNodeOverTLS runs node's SMSC with a certificate for smsc.example, which it returns.
func startNodeOverTLS(t *testing.T) (addr string, pem []byte) {
	t.Helper()
	dir := t.TempDir()
	make := command(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=smsc.example", "-addext", "subjectAltName=DNS:smsc.example")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return startNodeIn(t, dir), pem
}

// The same over TLS: node's smpp with a certificate of ours.
func TestLadderAgainstNodeOverTLS(t *testing.T) {
	addr, pem := startNodeOverTLS(t)
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"trusted":      {&tls.Config{RootCAs: pool(t, pem), ServerName: "smsc.example"}, "tcp, tls, bind, enquire"},
		"another name": {&tls.Config{RootCAs: pool(t, pem), ServerName: "other.example"}, "tcp, tls! certificate"},
		"not trusted":  {&tls.Config{ServerName: "smsc.example"}, "tcp, tls! certificate"},
	} {
		l := linkTo(t, addr, func(o *LinkOptions) {
			o.Session.TLS, o.Session.PhaseTimeout, o.EnquireTimeout = c.config, patience, patience
		})
		if got := look(t, l); told(got) != c.want {
			t.Errorf("%s: got %s (%+v), want %s", name, told(got), got.Transcript, c.want)
		}
	}
	plain := linkTo(t, addr, func(o *LinkOptions) { o.Session.PhaseTimeout = patience })
	if got := told(look(t, plain)); got != "tcp, bind! closed" {
		t.Errorf("plain SMPP to a TLS port: got %s", got)
	}
}

// Kannel's own load driver is an SMSC, if a poor one: it binds transmitters, hangs up on transceivers, and wants a bearerbox.
func TestLadderAgainstKannelsDriver(t *testing.T) {
	const driver = "/usr/lib/kannel/test/drive_smpp"
	if _, err := os.Stat(driver); err != nil {
		t.Fatalf("this test needs Debian's kannel-extras: %v", err)
	}
	dir := t.TempDir()
	conf := fmt.Sprintf("group = core\nadmin-port = %d\nadmin-password = a\nsmsbox-port = 13001\nbox-deny-ip = \"*.*.*.*\"\nbox-allow-ip = \"127.0.0.1\"\nlog-file = %q\nlog-level = 0\ndlr-storage = internal\n\ngroup = smsc\nsmsc = fake\nsmsc-id = fake\nport = %d\nconnect-allow-ip = 127.0.0.1\n\ngroup = smsbox\nbearerbox-host = 127.0.0.1\n",
		freePort(t), filepath.Join(dir, "bearerbox.log"), freePort(t))
	if err := os.WriteFile(filepath.Join(dir, "kannel.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, command(t, dir, "bearerbox", "-v", "4", "kannel.conf"))
	waitForPort(t, "127.0.0.1:13001")
	port := freePort(t)
	run(t, exec.Command(driver, "-p", fmt.Sprint(port), "-m", "1", "-v", "4"))
	l := linkTo(t, fmt.Sprintf("127.0.0.1:%d", port), func(o *LinkOptions) { o.Session.PhaseTimeout, o.EnquireTimeout = patience, patience })
	var got probes.Look
	waitFor(t, "the driver", func() bool { got = look(t, l); return told(got) != "tcp! refused" })
	if !strings.HasPrefix(told(got), "tcp, bind") || strings.Contains(told(got), "bind!") {
		t.Errorf("got %s (%+v), want it to bind", told(got), got.Transcript)
	}
}

// run starts a program, and kills it when the test ends.
func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Path, err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()         // killed is no success
		if t.Failed() {
			t.Logf("%s:\n%s", c.Path, out.String())
		}
	})
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

func waitForPort(t *testing.T, addr string) {
	t.Helper()
	waitFor(t, addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func pool(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return p
}
