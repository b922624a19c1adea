package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"signalbox/rules/route"
)

// guarded is a daemon behind doors, with a token for each role, an expired one, and a user.
type guarded struct {
	t      *testing.T
	dir    string
	d      *daemon
	tokens map[string]string // by role, and that of "expired", a sender
	lines  map[string]string // of the tokens file
	log    *safeBuffer
}

// safeBuffer is a buffer that a logger may write to while a test reads it.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const annsPassword = "correct horse battery staple"

// newGuarded runs a daemon; change may change its options and write further files to the site's folder.
func newGuarded(t *testing.T, change func(s *guarded, o *daemonOptions)) *guarded {
	t.Helper()
	s := &guarded{t: t, dir: t.TempDir(), tokens: map[string]string{}, lines: map[string]string{}, log: &safeBuffer{}}
	for _, role := range []string{"sender", "source", "viewer", "operator", "admin"} {
		m := mint(role+"-1", role, "", 0, time.Now())
		s.tokens[role], s.lines[role] = m.Token, m.Line
	}
	m := mint("late", "sender", "", 0, time.Now())
	s.tokens["expired"], s.lines["expired"] = m.Token, m.Line[:len(m.Line)-1]+", not_after: 2020-01-01}"
	hashed, err := bcrypt.GenerateFromPassword([]byte(annsPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s.write("policy.yml", bindPolicy)
	s.write("web.yml", "basic_auth_users: {ann: '"+string(hashed)+"'}\n")
	s.writeTokens()
	o := daemonOptions{policy: s.path("policy.yml"), data: s.path("data"), listen: "127.0.0.1:0", mode: route.Act,
		web:    webOptions{config: s.path("web.yml"), tokens: s.path("tokens.yml")},
		logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(s, &o)
	}
	if s.d, err = newDaemon(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.d.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *guarded) path(name string) string { return filepath.Join(s.dir, name) }

func (s *guarded) write(name, text string) {
	s.t.Helper()
	writeText(s.t, s.path(name), text)
}

func (s *guarded) writeTokens() {
	s.t.Helper()
	text := "tokens:\n"
	for _, line := range s.lines {
		text += "  - " + line + "\n"
	}
	s.write("tokens.yml", text+"users: {ann: operator}\n")
}

// call asks the daemon with a token, "" with none, and returns the status and the answer.
func (s *guarded) call(client *http.Client, method, path, token, body string) (int, string) {
	s.t.Helper()
	scheme := "http://"
	if s.d.doors.tls() != nil {
		scheme = "https://"
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, scheme+s.d.address()+path, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// wants calls, and wants a status.
func (s *guarded) wants(status int, method, path, token, body string) string {
	s.t.Helper()
	got, answer := s.call(http.DefaultClient, method, path, token, body)
	if got != status {
		s.t.Errorf("%s %s: got %d %s, want %d", method, path, got, answer, status)
	}
	return answer
}

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var err error
	if a.cert, a.key, a.pem, _, err = a.issue("a test's authority", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return a
}

// loopbackPair is a certificate for loopback with its key and its authority, all in PEM.
func loopbackPair() (ca, cert, key []byte, err error) {
	a := &authority{}
	if a.cert, a.key, a.pem, _, err = a.issue("a test's authority", time.Now().Add(time.Hour)); err != nil {
		return nil, nil, nil, err
	}
	_, _, cert, key, err = a.issue("localhost", time.Now().Add(time.Hour))
	return a.pem, cert, key, err
}

// issue makes a certificate for a name and loopback, signed by the authority, or by itself where that has none yet.
func (a *authority) issue(name string, until time.Time) (cert *x509.Certificate, key *ecdsa.PrivateKey, certPEM, keyPEM []byte, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage, template.DNSNames = true, x509.KeyUsageCertSign, nil, nil
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		return nil, nil, nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

// pair is a certificate for a client.
func (a *authority) pair(name string, until time.Time) tls.Certificate {
	a.t.Helper()
	_, _, cert, key, err := a.issue(name, until)
	if err != nil {
		a.t.Fatal(err)
	}
	p, err := tls.X509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// client trusts the authority, and shows a certificate where one is given.
func (a *authority) client(pairs ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: pairs}, ForceAttemptHTTP2: true}
	a.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

// secure gives the site's web configuration TLS.
func (s *guarded) secure(a *authority, further string) {
	s.t.Helper()
	_, _, cert, key, err := a.issue("localhost", time.Now().Add(time.Hour))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("server.crt", string(cert))
	s.write("server.key", string(key))
	s.write("ca.crt", string(a.pem))
	s.write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"+further)
}
