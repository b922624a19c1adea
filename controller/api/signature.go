package api

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Keys sign tables with Ed25519. Each key signs, so that senders may know the old or the new one while keys change.
type Keys struct {
	all []signingKey
}

type signingKey struct {
	private ed25519.PrivateKey
	prefix  string // of its signatures
}

// maxKeys bounds the keys of a file: the header holds a signature by each.
const maxKeys = 4

// ReadKeys reads private keys as openssl genpkey -algorithm ed25519 writes them: PKCS #8 in PEM, one after the other.
// Errors say what was wanted, and never what a key holds.
func ReadKeys(file []byte) (*Keys, error) {
	k := &Keys{}
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			break
		}
		key, err := readKey(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(k.all)+1, err)
		}
		k.all = append(k.all, key)
	}
	switch {
	case len(k.all) == 0:
		return nil, errors.New("want a private key in PEM as openssl genpkey -algorithm ed25519 writes it, got none")
	case strings.TrimSpace(string(file)) != "":
		return nil, errors.New("want keys in PEM only, got something else after them")
	case len(k.all) > maxKeys:
		return nil, fmt.Errorf("want at most %d keys, got %d", maxKeys, len(k.all))
	}
	return k, nil
}

func readKey(b *pem.Block) (signingKey, error) {
	if b.Type != "PRIVATE KEY" {
		return signingKey{}, fmt.Errorf("want PRIVATE KEY (PKCS #8), got %s", clip(b.Type))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return signingKey{}, errors.New("want an Ed25519 key in PKCS #8, got what cannot be read")
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return signingKey{}, fmt.Errorf("want an Ed25519 key, got %T", parsed)
	}
	sum := sha256.Sum256(private.Public().(ed25519.PublicKey))
	return signingKey{private, "ed25519;keyid=" + hex.EncodeToString(sum[:8]) + ";sig="}, nil
}

// Sign returns the value of the header Signalbox-Signature: for each key ed25519;keyid=…;sig=…, with a comma between
// them. The keyid is the first 16 hexadecimal digits of SHA-256 of the public key's 32 bytes, sig is in base64.
func (k *Keys) Sign(plain []byte) string {
	signatures := make([]string, len(k.all))
	for i, key := range k.all {
		signatures[i] = key.prefix + base64.StdEncoding.EncodeToString(ed25519.Sign(key.private, plain))
	}
	return strings.Join(signatures, ", ")
}

// IDs are the keyids, in the order of the file.
func (k *Keys) IDs() []string {
	ids := make([]string, len(k.all))
	for i, key := range k.all {
		ids[i] = strings.TrimSuffix(strings.TrimPrefix(key.prefix, "ed25519;keyid="), ";sig=")
	}
	return ids
}
