package repo

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// address is a URL of a repository, with nothing secret in it.
type address struct {
	text   string // as it is given to git
	scheme string // https, http, ssh or file
	user   string // of ssh
	host   string // of ssh, with its port
}

// scpLike matches git's short form of ssh: user@host:path.
var scpLike = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([^:].*)$`)

const wantURL = "url: want https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or file:///PATH"

// parseURL reads a URL. Its errors show nothing that could be a secret.
func parseURL(text string) (address, error) {
	if m := scpLike.FindStringSubmatch(text); m != nil {
		return address{text: text, scheme: "ssh", user: m[1], host: net.JoinHostPort(strings.Trim(m[2], "[]"), "22")}, nil
	}
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Opaque != "" { // what stands there may be a secret
		return address{}, errors.New(wantURL + ", got what is none")
	}
	if err := keepsNoSecret(u); err != nil {
		return address{}, err
	}
	shown := u.Redacted()
	switch u.Scheme {
	case "":
		return address{}, fmt.Errorf("%s, got %q%s", wantURL, shown, meantFile(shown))
	case "https", "http", "ssh":
		if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
			return address{}, fmt.Errorf("%s, got %q", wantURL, shown)
		}
	case "file":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/" {
			return address{}, fmt.Errorf("%s, got %q", wantURL, shown)
		}
	default:
		return address{}, fmt.Errorf("%s, got %q: %s is not among them", wantURL, shown, u.Scheme)
	}
	return ofURL(text, u), nil
}

func ofURL(text string, u *url.URL) address {
	a := address{text: text, scheme: u.Scheme, user: u.User.Username(), host: u.Host}
	if u.Scheme == "ssh" && a.user == "" {
		a.user = "git"
	}
	if u.Scheme == "ssh" && u.Port() == "" {
		a.host = net.JoinHostPort(u.Hostname(), "22")
	}
	return a
}

// keepsNoSecret refuses URLs in which a password or a token stands, where every list of processes shows it.
func keepsNoSecret(u *url.URL) error {
	_, password := u.User.Password()
	switch {
	case u.User != nil && (u.Scheme == "https" || u.Scheme == "http"):
		return fmt.Errorf("url: want no name and no password in it, got some before %q: put them into a file (token-file)", u.Host)
	case password:
		return fmt.Errorf("url: want no password in it, got one before %q: put a key into a file (ssh-key-file)", u.Host)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return fmt.Errorf("url: want nothing behind the path, got something behind %q", u.Host+u.Path)
	}
	return nil
}

func meantFile(path string) string {
	if strings.HasPrefix(path, "/") {
		return fmt.Sprintf(" (did you mean %q?)", "file://"+path)
	}
	return ""
}

// loopback reports whether the host is this machine.
func (a address) loopback() bool {
	host := a.host
	if h, _, err := net.SplitHostPort(a.host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
