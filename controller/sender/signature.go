package sender

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

// ReadKeys reads public keys as openssl pkey -pubout writes them, in PEM, one after the other.
func ReadKeys(file []byte) (keys []ed25519.PublicKey, err error) {
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("key %d: want an Ed25519 public key in PEM, got %.40s that is none", len(keys)+1, block.Type)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("want an Ed25519 public key in PEM, got none")
	}
	return keys, nil
}

// keyID is the first 16 hexadecimal digits of SHA-256 of the key's 32 bytes.
func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// verify reports whether one of the keys has signed the bytes. header is the value of Signalbox-Signature: signatures
// of the form ed25519;keyid=…;sig=… with commas between them. Without keys nothing is looked at.
func verify(keys []ed25519.PublicKey, header string, plain []byte) error {
	if len(keys) == 0 {
		return nil
	}
	if strings.TrimSpace(header) == "" {
		return errors.New("it is not signed")
	}
	known := false
	for one := range strings.SplitSeq(header, ",") {
		id, sig := readSignature(one)
		for _, k := range keys {
			if id != keyID(k) {
				continue
			}
			if known = true; ed25519.Verify(k, plain, sig) {
				return nil
			}
		}
	}
	if known {
		return errors.New("its signature does not hold")
	}
	return errors.New("it is not signed by a key that is known here")
}

// readSignature reads one signature; what it cannot read is no signature by anybody.
func readSignature(s string) (id string, sig []byte) {
	parts := strings.Split(strings.TrimSpace(s), ";")
	if parts[0] != "ed25519" {
		return "", nil
	}
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, "=")
		switch name {
		case "keyid":
			id = value
		case "sig":
			sig, _ = base64.StdEncoding.DecodeString(value)
		}
	}
	return id, sig
}
