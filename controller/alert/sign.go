package alert

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// secret is a symmetric secret of Standard Webhooks.
type secret []byte

// parseSecrets reads one secret, or two that hold at once while one takes the other's place, in the form of the Standard
// Webhooks specification: whsec_ and 24 to 64 bytes in base64. Errors do not repeat them.
func parseSecrets(text string) ([]secret, error) {
	words := strings.Fields(text)
	if len(words) < 1 || len(words) > 2 {
		return nil, fmt.Errorf("want one secret, or two while one takes the other's place, got %d", len(words))
	}
	var out []secret
	for _, w := range words {
		encoded, prefixed := strings.CutPrefix(w, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("want whsec_ and 24 to 64 bytes in base64; echo whsec_$(openssl rand -base64 32) makes one")
		}
		out = append(out, key)
	}
	return out, nil
}

// signature is the value of webhook-signature: a signature by each secret, after Standard Webhooks 1.0.0.
func signature(secrets []secret, id string, at time.Time, body []byte) string {
	out := make([]string, len(secrets))
	for i, key := range secrets {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")) // a hash takes everything
		mac.Write(body)
		out[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(out, " ")
}
