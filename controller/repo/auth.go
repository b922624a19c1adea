package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"
)

// credentials are the files that let a fetch in. They are read anew each time, so that they can be changed under way.
type credentials struct {
	tokenFile, keyFile, knownHosts string
}

// fit refuses credentials that the URL has no use for, or would give away, and a URL that lacks them.
func (c credentials) fit(a address, signed bool) error {
	switch {
	case a.scheme == "http" && !a.loopback() && c.tokenFile != "":
		return errors.New("token-file: want an https URL, got an http one: the token could be read on the way")
	case a.scheme == "http" && !a.loopback() && !signed:
		return errors.New("url: want https, or keys that sign the commits, got http without: whoever stands on the way could write the policy")
	case c.tokenFile != "" && a.scheme != "https" && a.scheme != "http":
		return fmt.Errorf("token-file: want an https URL beside it, got one of %s", a.scheme)
	case a.scheme == "ssh" && c.keyFile == "":
		return errors.New("ssh-key-file: want the file of a private key for a URL of ssh, got none")
	case a.scheme != "ssh" && (c.keyFile != "" || c.knownHosts != ""):
		return fmt.Errorf("ssh-key-file: want a URL of ssh beside it, got one of %s", a.scheme)
	}
	return nil
}

// method is what go-git is let in by; nil where nothing is needed.
func (c credentials) method(a address) (transport.AuthMethod, error) {
	switch {
	case c.tokenFile != "":
		return readToken(c.tokenFile)
	case a.scheme == "ssh":
		return c.sshMethod(a)
	}
	return nil, nil
}

const maxSecret = 64 << 10 // bytes of a token or a key

// readSecret reads a small file. Its errors never show what is in it.
func readSecret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = fmt.Errorf("%s: want at most %d bytes, got more", name, maxSecret)
	}
	return data, err
}

// readToken reads a token, or NAME:PASSWORD. Hosts of git take a token as the password of any name.
func readToken(name string) (transport.AuthMethod, error) {
	data, err := readSecret(name)
	if err != nil {
		return nil, fmt.Errorf("token-file: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("token-file: %s: want one line, a token or NAME:PASSWORD, got another number of lines", name)
	}
	if user, password, ok := strings.Cut(text, ":"); ok {
		return &githttp.BasicAuth{Username: user, Password: password}, nil
	}
	return &githttp.BasicAuth{Username: "git", Password: text}, nil
}

// sshAuth is a key, and the host keys that are known.
type sshAuth struct {
	*gitssh.PublicKeys
}

func (c credentials) sshMethod(a address) (transport.AuthMethod, error) {
	pem, err := readSecret(c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("ssh-key-file: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, fmt.Errorf("ssh-key-file: %s: want a key without a passphrase, got one that has it", c.keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("ssh-key-file: %s: want a private key, got what cannot be read as one", c.keyFile)
	}
	var files []string
	if c.knownHosts != "" {
		files = []string{c.knownHosts}
	}
	known, err := gitssh.NewKnownHostsDb(files...)
	if err != nil {
		return nil, fmt.Errorf("ssh-known-hosts: want a file with the key of %s, got none that can be read: %w", a.host, err)
	}
	keys := &gitssh.PublicKeys{User: a.user, Signer: signer}
	keys.HostKeyCallback = known.HostKeyCallback()
	keys.HostKeyAlgorithms = known.HostKeyAlgorithms(a.host)
	return sshAuth{keys}, nil
}

// deadlineScheme names the dialer below among x/net's proxies.
const deadlineScheme = "signalbox-deadline"

var registerDeadline = sync.OnceFunc(func() {
	proxy.RegisterDialerType(deadlineScheme, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
		within, err := time.ParseDuration(u.Hostname())
		return deadlineDialer{within}, err
	})
})

// withDeadline has connections of ssh end after a time whatever the other side does: go-git does not watch the context
// while it shakes hands, and a side that says nothing would hold the fetch for ever.
func withDeadline(a address, within time.Duration) transport.ProxyOptions {
	if a.scheme != "ssh" {
		return transport.ProxyOptions{}
	}
	registerDeadline()
	return transport.ProxyOptions{URL: deadlineScheme + "://" + within.String()}
}

type deadlineDialer struct{ within time.Duration }

// Dial implements proxy.Dialer.
func (d deadlineDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// DialContext implements proxy.ContextDialer. It minds the proxies of the environment.
func (d deadlineDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	conn, err := proxy.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(d.within)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
