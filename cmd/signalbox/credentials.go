package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"signalbox/controller/sender"
)

// tokenEnv is where commands find the token that they show.
const tokenEnv = "SIGNALBOX_TOKEN"

const anotherRole = "signalbox token new NAME --role ROLE makes a token of another role; its line belongs in the file of --web.tokens-file"

const saysWho = tokenEnv + " or --token-file FILE says who asks; signalbox token new NAME --role viewer makes a token"

// credentials are how a command shows who asks, and knows whom it asks.
type credentials struct {
	tokenFile string // "": SIGNALBOX_TOKEN in the environment, or no token
	caFile    string // "": the certificates that the system trusts
}

// addCredentials adds the flags. There is none for the token itself: others can see the words of a command.
func addCredentials(c *cobra.Command, to *credentials) {
	c.Flags().StringVar(&to.tokenFile, "token-file", "", "a file with the token to show to the server; "+tokenEnv+" in the environment may have it instead")
	c.Flags().StringVar(&to.caFile, "ca-file", "", "a file of certificates in PEM that the server's has to come from (default those that the system trusts)")
	for _, name := range []string{"token-file", "ca-file"} {
		_ = c.MarkFlagFilename(name) // the flag is there
	}
}

// credentialsOf reads the flags of a command that has them.
func credentialsOf(c *cobra.Command) (who credentials) {
	for name, to := range map[string]*string{"token-file": &who.tokenFile, "ca-file": &who.caFile} {
		*to, _ = c.Flags().GetString(name) // "" where it has none
	}
	return who
}

// tokenMost bounds a token, in bytes.
const tokenMost = 512

// token is what to show; "" where there is none.
func (c credentials) token() (string, error) {
	from, text := tokenEnv, os.Getenv(tokenEnv)
	if c.tokenFile != "" {
		from = c.tokenFile
		f, err := os.Open(c.tokenFile)
		if err != nil {
			return "", wrong("", fmt.Errorf("--token-file: %w", err))
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, tokenMost+2))
		if err != nil {
			return "", wrong("", fmt.Errorf("--token-file: %w", err))
		}
		if text = string(data); strings.TrimSpace(text) == "" {
			return "", wrong("", fmt.Errorf("--token-file: want a token in %s, got nothing", from))
		}
	}
	text = strings.TrimSpace(text)
	if len(text) > tokenMost || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", wrong("", fmt.Errorf("%s: want one token of at most %d letters, digits and signs, got something else", from, tokenMost))
	}
	return text, nil
}

// present lets the client show a token with every question, and trust the certificates.
func (c *client) present(who credentials) error {
	text, err := who.token()
	if err != nil {
		return err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	if who.caFile != "" {
		pem, err := os.ReadFile(who.caFile)
		if err != nil {
			return wrong("", fmt.Errorf("--ca-file: %w", err))
		}
		t.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return wrong("", fmt.Errorf("--ca-file: want certificates in PEM, got none in %s", who.caFile))
		}
	}
	c.who, c.tls = who, t.TLSClientConfig
	c.bearer = &bearer{server: c.base.Scheme + "://" + c.base.Host, next: t}
	c.bearer.token.Store(&text)
	c.http.Transport = c.bearer
	return nil
}

// asSender is a sender of the same server, that shows the same token and trusts the same certificates. A token in a file is
// read again for each request.
func (c *client) asSender() (sender.Options, error) {
	o := sender.Options{Servers: []string{c.base.String()}, TokenFile: c.who.tokenFile, TLS: c.tls}
	if o.TokenFile != "" {
		return o, nil
	}
	var err error
	o.Token, err = c.who.token()
	return o, err
}

// presentAgain reads the token again, which may be another one by now.
func (c *client) presentAgain(who credentials) error {
	text, err := who.token()
	if err == nil {
		c.bearer.token.Store(&text)
	}
	return err
}

// bearer shows a token to one server, and to no other.
type bearer struct {
	token  atomic.Pointer[string] // "" shows none
	server string
	next   http.RoundTripper
}

// RoundTrip adds the token.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if token := *b.token.Load(); token != "" && r.URL.Scheme+"://"+r.URL.Host == b.server {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return b.next.RoundTrip(r)
}

// sameServer follows redirects on one server only: what is said to it is for no other.
func sameServer(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; len(via) > 5 || r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// isStrange reports whether an error is that of a server whose certificate is not trusted.
func isStrange(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}
