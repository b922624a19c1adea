package api

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// keyPEM is a new private key in PEM, and its public key.
func keyPEM(t *testing.T) (string, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM(t, private), public
}

func inPEM(t *testing.T, private any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// wantSigned checks one signature of a header against the bytes that were signed.
func wantSigned(t *testing.T, value string, plain []byte, public ed25519.PublicKey) {
	t.Helper()
	sum := sha256.Sum256(public)
	text, ok := strings.CutPrefix(value, "ed25519;keyid="+hex.EncodeToString(sum[:])[:16]+";sig=")
	sig, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || !ed25519.Verify(public, plain, sig) {
		t.Errorf("got %q (%v), want a signature of %.40s", value, err, plain)
	}
}

func TestTablesAreSigned(t *testing.T) {
	file, public := keyPEM(t)
	keys, err := ReadKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	o := w.options()
	o.Signer, o.Registerer = keys, nil
	if w.handler, err = New(o); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/routes", "/routes?class=otp", "/routes?index=41&wait=1s"} {
		for _, coding := range []string{"identity", "gzip", "zstd"} {
			rec := w.get(target, "Accept-Encoding: "+coding)
			if coding == "identity" {
				coding = ""
			}
			if got := rec.Header().Get("Content-Encoding"); got != coding {
				t.Fatalf("%s: got coding %q, want %q", target, got, coding)
			}
			wantSigned(t, rec.Header().Get("Signalbox-Signature"), unpack(t, coding, rec.Body.Bytes()), public)
		}
	}
	for name, rec := range map[string]*http.Response{
		"unchanged": w.get("/routes", `If-None-Match: "1-42"`).Result(),
		"no lane":   w.get("/routes?class=otp&network=FR").Result(),
		"lookup":    w.get("/routes/lookup?class=otp&network=GB").Result(),
	} {
		if got := rec.Header.Get("Signalbox-Signature"); got != "" {
			t.Errorf("%s: got the signature %s, want none", name, got)
		}
	}
	if got := newWorld(t).get("/routes").Header()["Signalbox-Signature"]; got != nil {
		t.Errorf("without a key: got the signature %s, want none", got)
	}
}

func TestEachKeySigns(t *testing.T) {
	first, one := keyPEM(t)
	second, two := keyPEM(t)
	keys, err := ReadKeys([]byte(first + "\n" + second))
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(keys.Sign([]byte("bytes")), ", ")
	if len(values) != 2 || len(keys.IDs()) != 2 || !strings.Contains(values[1], keys.IDs()[1]) {
		t.Fatalf("got %q by %q, want two signatures", values, keys.IDs())
	}
	wantSigned(t, values[0], []byte("bytes"), one)
	wantSigned(t, values[1], []byte("bytes"), two)
}

func TestBadKeys(t *testing.T) {
	good, _ := keyPEM(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ file, want string }{
		"nothing":           {"", "want a private key in PEM as openssl genpkey -algorithm ed25519 writes it, got none"},
		"no PEM":            {"secret", "want a private key in PEM"},
		"another algorithm": {inPEM(t, other), "key 1: want an Ed25519 key, got *ecdsa.PrivateKey"},
		"a public key":      {good + strings.ReplaceAll(good, "PRIVATE", "PUBLIC"), "key 2: want PRIVATE KEY (PKCS #8), got PUBLIC KEY"},
		"cut off":           {"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "key 1: want an Ed25519 key in PKCS #8, got what cannot be read"},
		"something after":   {good + "secret", "want keys in PEM only, got something else after them"},
		"too many":          {strings.Repeat(good, 5), "want at most 4 keys, got 5"},
	} {
		_, err := ReadKeys([]byte(tc.file))
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

// countingSigner counts what it signs.
type countingSigner struct{ n atomic.Int64 }

func (c *countingSigner) Sign([]byte) string {
	c.n.Add(1)
	return "signed"
}

func TestAViewIsSignedOnce(t *testing.T) {
	signer := &countingSigner{}
	ps := &pages{signer: signer}
	whole, view, next := encode(tableOf(42)), encode(tableOf(42)), encode(tableOf(43))
	for range 3 {
		ps.of(whole)
		ps.view(view)
	}
	if n := signer.n.Load(); n != 2 {
		t.Errorf("got %d signatures of a table and its view, want 2", n)
	}
	ps.view(next)
	if len(ps.views) != 1 || ps.view(next).signature[0] != "signed" {
		t.Errorf("got %d views kept after a new generation, want 1", len(ps.views))
	}
	for range maxPages + 10 {
		ps.view(encode(tableOf(43)))
	}
	if len(ps.views) > maxPages {
		t.Errorf("got %d views kept, want at most %d", len(ps.views), maxPages)
	}
}
