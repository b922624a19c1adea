package repo

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"
)

func newSSHKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return signerOf(t, key, err)
}

func signerOf(t testing.TB, key any, err error) ssh.Signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// payload is what a commit of the day is signed over.
const payload = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Ada <ada@example.org> 1772420400 +0000\ncommitter Ada <ada@example.org> 1772420400 +0000\n\npolicy\n"

func TestWhoseSSHSignatureIsGood(t *testing.T) {
	ed, other := newSSHKey(t), newSSHKey(t)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec := signerOf(t, ecKey, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	rs := signerOf(t, rsaKey, err)
	for name, c := range map[string]struct {
		signer  sshSigner
		file    string // of allowed_signers
		message string
		want    string // in the error; "" for a good one
	}{
		"an ed25519 key":             {sshSigner{key: ed}, allowed("", ed.PublicKey()), payload, ""},
		"an ecdsa key":               {sshSigner{key: ec}, allowed("", ec.PublicKey()), payload, ""},
		"an RSA key with SHA-512":    {sshSigner{key: rs, algorithm: ssh.KeyAlgoRSASHA512}, allowed("", rs.PublicKey()), payload, ""},
		"an RSA key with SHA-1":      {sshSigner{key: rs, algorithm: ssh.KeyAlgoRSA}, allowed("", rs.PublicKey()), payload, `want a signature of ed25519, ecdsa or rsa-sha2, got "ssh-rsa"`},
		"the second of two lines":    {sshSigner{key: ed}, "# who may\n\n" + allowed("", other.PublicKey()) + allowed("", ed.PublicKey()), payload, ""},
		"a key that is not listed":   {sshSigner{key: ed}, allowed("", other.PublicKey()), payload, "it is not among them"},
		"another message":            {sshSigner{key: ed}, allowed("", ed.PublicKey()), strings.Replace(payload, "Ada", "Eve", 1), "that is not good"},
		"another namespace":          {sshSigner{key: ed, namespace: "file"}, allowed("", ed.PublicKey()), payload, `want the namespace "git", got "file"`},
		"namespaces with git":        {sshSigner{key: ed}, allowed(`namespaces="file,g?t" `, ed.PublicKey()), payload, ""},
		"namespaces without git":     {sshSigner{key: ed}, allowed(`namespaces="file" `, ed.PublicKey()), payload, `its namespaces do not have "git"`},
		"namespaces that forbid git": {sshSigner{key: ed}, allowed(`namespaces="*,!git" `, ed.PublicKey()), payload, `its namespaces do not have "git"`},
		"a key of that day":          {sshSigner{key: ed}, allowed(`valid-after="20260301Z",valid-before="20260303000000Z" `, ed.PublicKey()), payload, ""},
		"a key not valid yet":        {sshSigner{key: ed}, allowed(`valid-after="20260303Z" `, ed.PublicKey()), payload, "it is valid only after 2026-03-03T00:00:00Z"},
		"a key no longer valid":      {sshSigner{key: ed}, allowed(`valid-before="202603020300Z" `, ed.PublicKey()), payload, "it was valid only before 2026-03-02T03:00:00Z"},
		"one line of two allows it":  {sshSigner{key: ed}, allowed(`valid-before="20200101Z" `, ed.PublicKey()) + allowed("", ed.PublicKey()), payload, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.signer.namespace == "" {
				c.signer.namespace = gitNamespace
			}
			signature, err := c.signer.Sign(strings.NewReader(payload))
			if err != nil {
				t.Fatal(err)
			}
			verifies(t, writeFile(t, "allowed_signers", c.file), c.message, signature, c.want)
		})
	}
}

// verifies wants a signature to be good, or not to be and the error to say why.
func verifies(t *testing.T, file, message string, signature []byte, want string) {
	t.Helper()
	k, err := readKeys([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	by, err := k.verify([]byte(message), signature)
	switch {
	case want == "" && (err != nil || !strings.Contains(by, "ada@example.org")):
		t.Errorf("got %q and %v, want it signed by ada@example.org", by, err)
	case want != "" && err == nil:
		t.Errorf("got it signed by %q, want an error with %q", by, want)
	case want != "":
		wantWords(t, err.Error(), want)
	}
}

// newPGPKey makes a key that is valid for a year from the day on.
func newPGPKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("Ada", "", "ada@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: 365 * 86400, Time: func() time.Time { return day }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func armored(t *testing.T, e *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String() + "\n"
}

func pgpSign(t *testing.T, e *openpgp.Entity, message string, at time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, e, strings.NewReader(message), &packet.Config{Time: func() time.Time { return at }}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhoseOpenPGPSignatureIsGood(t *testing.T) {
	ada, eve := newPGPKey(t), newPGPKey(t)
	revoked := newPGPKey(t)
	late := pgpSign(t, revoked, payload, day.Add(time.Hour))
	if err := revoked.RevokeKey(packet.KeyCompromised, "lost", &packet.Config{Time: func() time.Time { return day.Add(2 * time.Hour) }}); err != nil {
		t.Fatal(err)
	}
	good := pgpSign(t, ada, payload, day.Add(time.Hour))
	for name, c := range map[string]struct {
		keys, message string
		signature     []byte
		want          string
	}{
		"a key that is listed":              {armored(t, ada), payload, good, ""},
		"one block of two":                  {armored(t, eve) + armored(t, ada), payload, good, ""},
		"made before the key expired":       {armored(t, ada), payload, good, ""}, // whatever today is
		"made after the key expired":        {armored(t, ada), payload, expired(t, ada), "that is not good"},
		"a key that was lost":               {armored(t, revoked), payload, late, "that is not good"},
		"a key that is not listed":          {armored(t, eve), payload, good, "that is not good"},
		"another message":                   {armored(t, ada), strings.Replace(payload, "Ada", "Eve", 1), good, "that is not good"},
		"no signature":                      {armored(t, ada), payload, nil, "got none"},
		"a signature cut off":               {armored(t, ada), payload, good[:len(good)/2], "that cannot be read"},
		"a signature of another kind":       {armored(t, ada), payload, []byte("-----BEGIN SIGNED MESSAGE-----\n"), "want a signature of OpenPGP or ssh, got another kind"},
		"two signatures, one of the listed": {armored(t, ada), payload, twoSignatures(t, eve, ada), "want one signature in it"},
	} {
		t.Run(name, func(t *testing.T) { verifies(t, writeFile(t, "keys.asc", c.keys), c.message, c.signature, c.want) })
	}
}

// expired is a signature that somebody made with a key after its end.
func expired(t *testing.T, e *openpgp.Entity) []byte {
	t.Helper()
	sig := &packet.Signature{SigType: packet.SigTypeBinary, PubKeyAlgo: e.PrivateKey.PubKeyAlgo, Hash: crypto.SHA512, CreationTime: day.AddDate(2, 0, 0), IssuerKeyId: &e.PrivateKey.KeyId, IssuerFingerprint: e.PrivateKey.Fingerprint, Version: e.PrivateKey.Version}
	h := sig.Hash.New()
	h.Write([]byte(payload))
	if err := sig.Sign(h, e.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.SignatureType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.Serialize(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

// twoSignatures are those of two people in one armor.
func twoSignatures(t *testing.T, people ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.SignatureType, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range people {
		if err := openpgp.DetachSign(w, e, strings.NewReader(payload), &packet.Config{Time: func() time.Time { return day.Add(time.Hour) }}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

func TestFilesOfKeysThatAreNone(t *testing.T) {
	key := newSSHKey(t).PublicKey()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "want an armored OpenPGP public key, or a line of allowed_signers, got neither"},
		"only comments":   {"# nobody yet\n", "got neither"},
		"a private key":   {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "want public keys, got something else in armor"},
		"a key alone":     {string(ssh.MarshalAuthorizedKey(key)), "keys:1: want PRINCIPALS TYPE KEY, got a public key alone: put a name before it"},
		"prose":           {allowed("", key) + "\nhello world\n", "keys:3: want PRINCIPALS [OPTIONS] TYPE KEY"},
		"an authority":    {allowed("cert-authority ", key), "keys:1: want the keys themselves, got cert-authority"},
		"an odd option":   {allowed("no-touch-required ", key), `want the options namespaces, valid-after or valid-before, got "no-touch-required"`},
		"an odd time":     {allowed(`valid-after="tomorrow" `, key), `want a time such as 20261231 or 20261231235959Z, got "tomorrow"`},
		"a damaged block": {beginPGP + "\n\nAAAA\n" + endPGP, "want armored OpenPGP public keys, got what cannot be read as such"},
		"half a block":    {beginPGP + "\n\nAAAA\n", "a block has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readKeys([]string{writeFile(t, "keys", c.text)})
			if err == nil {
				t.Fatal("got no error")
			}
			wantWords(t, err.Error(), c.want)
		})
	}
}

func FuzzAllowedSigners(f *testing.F) {
	f.Add(`ada@example.org namespaces="git",valid-after="20260101" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk7yoDqqxR8Rd8fUZEkGp0PVUEgHDpBhQzXjCrGfFHg x`)
	f.Add("\"ada, eve\" cert-authority ssh-rsa AAAA\n# x\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseAllowedSigners("keys", []byte(text))
		if err != nil && len(found) > 0 {
			t.Errorf("got %d signers beside %v", len(found), err)
		}
		for _, a := range found {
			if _, err := ssh.ParsePublicKey(a.key); err != nil || a.principals == "" {
				t.Errorf("took %+v, which nobody can sign by: %v", a, err)
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"))
	f.Add([]byte("-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0=\n-----END PGP SIGNATURE-----\n"))
	k := &keys{files: []string{"nobody's"}}
	f.Fuzz(func(t *testing.T, signature []byte) {
		if by, err := k.verify([]byte(payload), signature); err == nil {
			t.Errorf("%q signed where nobody may", by)
		}
	})
}
