package receipts

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Keys are what the signatures of one format are checked by. Where there are none, calls are taken without.
type Keys struct {
	Secrets []string // any of them may have signed, so that they can be changed one after the other
	URL     string   // scheme and host, such as https://hooks.example.net, that the provider calls; "": those of the request
	Topics  []string // aws: ARNs of the topics that are taken
}

func (k Keys) none() bool { return len(k.Secrets) == 0 }

// any reports whether a check holds with one of the secrets.
func (k Keys) any(check func(secret string) bool) error {
	for _, secret := range k.Secrets {
		if secret != "" && check(secret) {
			return nil
		}
	}
	return ErrSignature
}

// tolerance is how old, or how far ahead, a signed call may be.
const tolerance = 5 * time.Minute

// timely reports whether Unix seconds lie within the tolerance of the call.
func timely(c *Call, seconds string) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	return err == nil && c.Now.Sub(time.Unix(n, 0)).Abs() <= tolerance
}

// called is the URL as the provider called it, which signatures are made of.
func (k Keys) called(c *Call) *url.URL {
	u := *c.URL
	if k.URL != "" {
		if base, err := url.Parse(k.URL); err == nil {
			u.Scheme, u.Host = base.Scheme, base.Host
			u.Path = strings.TrimSuffix(base.Path, "/") + u.Path
			u.RawPath = ""
		}
	}
	if u.Host == "" {
		u.Host = c.Header.Get("Host")
	}
	if u.Scheme == "" {
		u.Scheme = "https" // providers call nothing else in production
	}
	return &u
}

func sum(h func() hash.Hash, secret, text string) []byte {
	m := hmac.New(h, []byte(secret))
	_, _ = m.Write([]byte(text)) // a hash takes everything
	return m.Sum(nil)
}

func sameBase64(want []byte, got string) bool {
	return same(base64.StdEncoding.EncodeToString(want), strings.TrimSpace(got))
}

func sameHex(want []byte, got string) bool {
	return same(hex.EncodeToString(want), strings.ToLower(strings.TrimSpace(got)))
}

// same compares in a time that does not depend on what differs.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// concatenated are the names and values of fields, in the order of the names, each with the first of its values.
func concatenated(v url.Values, between, after string) string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(after)
		}
		b.WriteString(name + between + v.Get(name))
	}
	return b.String()
}

// shared checks the secret of formats whose providers sign nothing: it stands in the URL as key=, or is a bearer token.
func (k Keys) shared(c *Call) error {
	if k.none() {
		return nil
	}
	given := c.Query.Get("key")
	if bearer, is := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer "); is {
		given = bearer
	}
	return k.any(func(secret string) bool {
		a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
		return subtle.ConstantTimeCompare(a[:], b[:]) == 1
	})
}
