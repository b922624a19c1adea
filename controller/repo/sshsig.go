package repo

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// The format of ssh's signatures: PROTOCOL.sshsig of OpenSSH.
const (
	sshMagic     = "SSHSIG"
	sshVersion   = 1
	gitNamespace = "git" // that git signs in, so that nothing else a key signed passes for a commit
)

// sshSignature is what follows the magic word in a signature.
type sshSignature struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// sshSigned is what follows the magic word in what is signed.
type sshSigned struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

// parseSSHSignature reads an armored signature.
func parseSSHSignature(armored []byte) (*sshSignature, error) {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != "SSH SIGNATURE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one signature in armor")
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(sshMagic))
	var s sshSignature
	if !ok || ssh.Unmarshal(body, &s) != nil {
		return nil, errors.New("want the fields of a signature")
	}
	if s.Version != sshVersion {
		return nil, fmt.Errorf("want version %d, got %d", sshVersion, s.Version)
	}
	if s.Namespace != gitNamespace {
		return nil, fmt.Errorf("want the namespace %q, got %q", gitNamespace, s.Namespace)
	}
	return &s, nil
}

// check verifies the signature over a message.
func (s *sshSignature) check(key ssh.PublicKey, message []byte) error {
	var digest []byte
	switch s.Hash {
	case "sha256":
		sum := sha256.Sum256(message)
		digest = sum[:]
	case "sha512":
		sum := sha512.Sum512(message)
		digest = sum[:]
	default:
		return fmt.Errorf("want sha256 or sha512, got the hash %q", s.Hash)
	}
	var inner ssh.Signature
	if err := ssh.Unmarshal(s.Signature, &inner); err != nil {
		return errors.New("want the fields of a signature")
	}
	if err := strong(key, inner.Format); err != nil {
		return err
	}
	signed := append([]byte(sshMagic), ssh.Marshal(sshSigned{s.Namespace, s.Reserved, s.Hash, digest})...)
	return key.Verify(signed, &inner)
}

const minRSA = 2048 // bits

// strong refuses what ssh refuses for signatures: SHA-1, DSA and short keys.
func strong(key ssh.PublicKey, format string) error {
	switch format {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512:
		k, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return errors.New("want an RSA key")
		}
		if r, ok := k.CryptoPublicKey().(*rsa.PublicKey); !ok || r.N.BitLen() < minRSA {
			return fmt.Errorf("want an RSA key of at least %d bits", minRSA)
		}
		return nil
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	}
	return fmt.Errorf("want a signature of ed25519, ecdsa or rsa-sha2, got %q", format)
}

// verifySSH finds the line of allowed_signers by which the payload is signed.
func (k *keys) verifySSH(payload, armored []byte) (string, error) {
	s, err := parseSSHSignature(armored)
	if err != nil {
		return "", fmt.Errorf("want a signature by a key of %s, got one that cannot be read: %w", k.names(), err)
	}
	key, err := ssh.ParsePublicKey(s.PublicKey)
	if err != nil {
		return "", fmt.Errorf("want a signature by a key of %s, got one with a key that cannot be read", k.names())
	}
	print := ssh.FingerprintSHA256(key)
	if err := s.check(key, payload); err != nil {
		return "", fmt.Errorf("want a signature by a key of %s, got one by %s that is not good: %w", k.names(), print, err)
	}
	when, err := committedAt(payload)
	if err != nil {
		return "", err
	}
	refused := errors.New("it is not among them")
	for i := range k.signers {
		a := &k.signers[i]
		if !bytes.Equal(a.key, s.PublicKey) {
			continue
		}
		if refused = a.allows(when); refused == nil {
			return a.principals + " (" + print + ")", nil
		}
	}
	return "", fmt.Errorf("want a signature by a key of %s, got one by %s: %w", k.names(), print, refused)
}
