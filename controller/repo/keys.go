package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// keys are who may sign commits.
type keys struct {
	files   []string
	pgp     openpgp.EntityList
	signers []allowedSigner
}

const (
	beginPGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	endPGP   = "-----END PGP PUBLIC KEY BLOCK-----"
	beginAny = "-----BEGIN "
)

// readKeys reads files of keys: armored OpenPGP public keys, or lines of ssh's allowed_signers, as git verifies by either.
func readKeys(files []string) (*keys, error) {
	k := &keys{files: files}
	for _, name := range files {
		data, err := readSecret(name)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if err := k.add(name, data); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
	}
	return k, nil
}

func (k *keys) add(name string, data []byte) error {
	before := len(k.pgp) + len(k.signers)
	switch {
	case bytes.Contains(data, []byte(beginPGP)):
		found, err := readPGP(data)
		if err != nil {
			return fmt.Errorf("%s: want armored OpenPGP public keys, got what cannot be read as such: %w", name, err)
		}
		k.pgp = append(k.pgp, found...)
	case bytes.Contains(data, []byte(beginAny)):
		return fmt.Errorf("%s: want public keys, got something else in armor", name)
	default:
		found, err := parseAllowedSigners(name, data)
		if err != nil {
			return err
		}
		k.signers = append(k.signers, found...)
	}
	if len(k.pgp)+len(k.signers) == before {
		return fmt.Errorf("%s: want an armored OpenPGP public key, or a line of allowed_signers, got neither", name)
	}
	return nil
}

// readPGP reads every armored block of a file.
func readPGP(data []byte) (openpgp.EntityList, error) {
	var all openpgp.EntityList
	for {
		at := bytes.Index(data, []byte(beginPGP))
		if at < 0 {
			return all, nil
		}
		end := bytes.Index(data[at:], []byte(endPGP))
		if end < 0 {
			return nil, errors.New("a block has no end")
		}
		end += at + len(endPGP)
		found, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(data[at:end]))
		if err != nil {
			return nil, err
		}
		all, data = append(all, found...), data[end:]
	}
}

// verify returns who signed the payload, or why nobody who may did.
func (k *keys) verify(payload, signature []byte) (signer string, err error) {
	kind := bytes.TrimSpace(signature)
	switch {
	case len(kind) == 0:
		return "", fmt.Errorf("want a signature by a key of %s, got none", k.names())
	case bytes.HasPrefix(kind, []byte("-----BEGIN SSH SIGNATURE-----")):
		return k.verifySSH(payload, kind)
	case bytes.HasPrefix(kind, []byte("-----BEGIN PGP SIGNATURE-----")):
		return k.verifyPGP(payload, kind)
	}
	return "", errors.New("want a signature of OpenPGP or ssh, got another kind")
}

func (k *keys) names() string {
	text := ""
	for i, f := range k.files {
		if i > 0 {
			text += " or "
		}
		text += f
	}
	return text
}

// verifyPGP judges a key as of when the signature says that it was made, as git does: one that has expired since then does
// not take a policy away at the next restart, a revoked one does.
func (k *keys) verifyPGP(payload, armored []byte) (string, error) {
	made, err := signedAt(armored)
	if err != nil {
		return "", fmt.Errorf("want a signature by a key of %s, got one that cannot be read: %w", k.names(), err)
	}
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return "", err
	}
	at := &packet.Config{Time: func() time.Time { return made }}
	by, err := openpgp.CheckDetachedSignature(k.pgp, bytes.NewReader(payload), block.Body, at)
	if err != nil {
		return "", fmt.Errorf("want a signature by a key of %s, got one that is not good: %w", k.names(), err)
	}
	name := fmt.Sprintf("%X", by.PrimaryKey.Fingerprint)
	if id := by.PrimaryIdentity(); id != nil {
		name = id.Name + " (" + name + ")"
	}
	return name, nil
}

// signedAt is when a signature says that it was made.
func signedAt(armored []byte) (time.Time, error) {
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return time.Time{}, err
	}
	packets := packet.NewReader(block.Body)
	var made time.Time
	for n := 0; ; n++ {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) && n == 1 {
			return made, nil
		}
		s, ok := p.(*packet.Signature)
		if err != nil || !ok {
			return time.Time{}, errors.New("want one signature in it")
		}
		made = s.CreationTime
	}
}
