package repo

import (
	"context"
	"strings"
	"testing"
	"time"
)

func options(url string, change func(*Options)) Options {
	o := Options{URL: url, Dir: "unused", Changed: func(context.Context) error { return nil }}
	if change != nil {
		change(&o)
	}
	return o
}

func TestURLsOfARepository(t *testing.T) {
	for text, want := range map[string]address{
		"https://git.example.org/sms/policy.git":  {scheme: "https", host: "git.example.org"},
		"ssh://git@git.example.org/sms/policy":    {scheme: "ssh", user: "git", host: "git.example.org:22"},
		"ssh://git.example.org:2222/sms/policy":   {scheme: "ssh", user: "git", host: "git.example.org:2222"},
		"deploy@git.example.org:sms/policy.git":   {scheme: "ssh", user: "deploy", host: "git.example.org:22"},
		"deploy@[2001:db8::1]:sms/policy.git":     {scheme: "ssh", user: "deploy", host: "[2001:db8::1]:22"},
		"file:///srv/git/policy.git":              {scheme: "file"},
		"http://127.0.0.1:3000/sms/policy.git":    {scheme: "http", host: "127.0.0.1:3000"},
		"https://git.example.org:8443/policy.git": {scheme: "https", host: "git.example.org:8443"},
	} {
		want.text = text
		if got, err := parseURL(text); got != want || err != nil {
			t.Errorf("%s: got %+v and %v, want %+v", text, got, err, want)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	token := writeFile(t, "token", "s3cret\n")
	lines := writeFile(t, "lines", "s3cret\ns3cret\n")
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"nothing":                    {options("", nil), "url: want https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or file:///PATH, got what is none"},
		"no URL":                     {options("http://[::1", nil), "got what is none"},
		"a path":                     {options("/srv/policy.git", nil), `(did you mean "file:///srv/policy.git"?)`},
		"a word":                     {options("policy", nil), `got "policy"`},
		"another scheme":             {options("git://git.example.org/policy", nil), "git is not among them"},
		"a helper of git":            {options("ext::sh -c touch% /tmp/x", nil), "url: want "},
		"no path":                    {options("https://git.example.org/", nil), "url: want "},
		"a file on a host":           {options("file://host/policy", nil), "url: want "},
		"a password":                 {options("https://ada:s3cret@git.example.org/policy", nil), "url: want no name and no password in it"},
		"a token for a name":         {options("https://s3cret@git.example.org/policy", nil), "put them into a file (token-file)"},
		"a password of ssh":          {options("ssh://ada:s3cret@git.example.org/policy", nil), "url: want no password in it"},
		"a password, another scheme": {options("ftp://ada:s3cret@git.example.org/policy", nil), "url: want no password in it"},
		"a token behind it":          {options("https://git.example.org/policy?token=s3cret", nil), "url: want nothing behind the path"},
		"a short form with one":      {options("ada:s3cret@git.example.org:policy", nil), "url: want "},
		"http":                       {options("http://git.example.org/policy", nil), "url: want https, or keys that sign the commits"},
		"a token over http":          {options("http://git.example.org/policy", func(o *Options) { o.TokenFile = token }), "token-file: want an https URL, got an http one"},
		"a token over ssh":           {options("git@git.example.org:policy", func(o *Options) { o.TokenFile = token }), "token-file: want an https URL beside it, got one of ssh"},
		"no token":                   {options("https://git.example.org/policy", func(o *Options) { o.TokenFile = token + ".not" }), "token-file: open "},
		"two tokens":                 {options("https://git.example.org/policy", func(o *Options) { o.TokenFile = lines }), "want one line, a token or NAME:PASSWORD"},
		"ssh without a key":          {options("git@git.example.org:policy", nil), "ssh-key-file: want the file of a private key for a URL of ssh, got none"},
		"ssh with no key in it":      {options("git@git.example.org:policy", func(o *Options) { o.SSHKeyFile = token }), "want a private key, got what cannot be read as one"},
		"a key over https":           {options("https://git.example.org/policy", func(o *Options) { o.SSHKeyFile = token }), "ssh-key-file: want a URL of ssh beside it, got one of https"},
		"a path out of it":           {options("file:///srv/policy", func(o *Options) { o.Path = "../x" }), `path: want a folder or file within the repository, such as policy, got "../x"`},
		"a ref that is a range":      {options("file:///srv/policy", func(o *Options) { o.Ref = "main~1" }), `ref: want a branch, a tag or a whole commit id, got "main~1"`},
		"a ref that is a flag":       {options("file:///srv/policy", func(o *Options) { o.Ref = "-x" }), "ref: want "},
		"often":                      {options("file:///srv/policy", func(o *Options) { o.Interval = time.Millisecond }), "interval: want 1s to 24h0m0s, got 1ms"},
		"no keys":                    {options("file:///srv/policy", func(o *Options) { o.Keys = []string{token + ".not"} }), "keys: open "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.o)
			if err == nil {
				t.Fatal("got no error")
			}
			wantWords(t, err.Error(), c.want)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %q, which gives the secret away", err)
			}
		})
	}
}

func TestUnsignedHTTPIsForThisMachineAlone(t *testing.T) {
	for url, want := range map[string]bool{"http://127.0.0.1/p": true, "http://localhost:80/p": true, "http://[::1]:80/p": true,
		"http://127.0.0.1.example.org/p": false, "http://10.0.0.1/p": false} {
		if _, err := New(options(url, nil)); (err == nil) != want {
			t.Errorf("%s: got %v, want it taken: %v", url, err, want)
		}
	}
}
