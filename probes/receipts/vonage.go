package receipts

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/rules/route"
)

// Vonage reads the delivery receipts of its SMS API, which come as query, form or JSON, and the status calls of its Messages
// API, which are JSON and name the message message_uuid.
func Vonage(k Keys) Format {
	return Format{Name: "vonage", Methods: []string{http.MethodGet, http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		fields, err := vonageFields(c)
		if err != nil {
			return nil, err
		}
		if err := k.vonage(c, fields); err != nil {
			return nil, err
		}
		if id := fields.Get("message_uuid"); id != "" {
			return c.one(id, vonageWords.status(fields.Get("status")), fields.Get("error"))
		}
		id, word := first(fields, "messageId", "message-id"), fields.Get("status")
		if id == "" || word == "" {
			return nil, missing("messageId and status", id+word)
		}
		return c.one(id, vonageWords.status(word), fields.Get("err-code"))
	}}
}

// "accepted" is the last word for some countries and says no more than that: the message is with the carrier.
var vonageWords = words{
	"submitted": route.StatusAccepted, "accepted": route.StatusAccepted, "buffered": route.StatusEnroute,
	"delivered": route.StatusDelivered, "read": route.StatusDelivered,
	"failed": route.StatusFailed, "undeliverable": route.StatusFailed, "expired": route.StatusExpired, "rejected": route.StatusRejected,
}

// vonageFields are the fields of a call in whichever way it came. Our own parameters of the URL are among them, as the
// provider signs them too.
func vonageFields(c *Call) (url.Values, error) {
	body := bytes.TrimSpace(c.Body)
	if len(body) == 0 || body[0] != '{' {
		return c.Form, nil
	}
	var object map[string]json.RawMessage
	if err := readJSON(c, &object); err != nil {
		return nil, err
	}
	fields := url.Values{}
	for name, raw := range object {
		var t text
		if t.UnmarshalJSON(raw) == nil {
			fields.Set(name, string(t))
		}
	}
	var failure struct {
		Error struct{ Title, Type text } `json:"error"`
	}
	if json.Unmarshal(c.Body, &failure) == nil && failure.Error.Title != "" {
		fields.Set("error", string(failure.Error.Title))
	}
	return fields, nil
}

// vonage checks the JWT of the Messages API, or the sig of the SMS API.
func (k Keys) vonage(c *Call, fields url.Values) error {
	if k.none() {
		return nil
	}
	if bearer, is := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer "); is {
		return k.any(func(secret string) bool { return vonageToken(c, bearer, secret) })
	}
	if !timely(c, fields.Get("timestamp")) {
		return ErrSignature
	}
	return k.any(func(secret string) bool {
		return vonageSigned(fields, secret) || len(c.Posted) > 0 && vonageSigned(c.Posted, secret) // the URL's own fields may be left out
	})
}

// vonageToken checks a JWT over HS256 whose payload_hash is the SHA-256 of the body.
func vonageToken(c *Call, token, secret string) bool {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(secret), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return c.Now }))
	if err != nil {
		return false
	}
	issued, err := claims.GetIssuedAt()
	if err != nil || issued == nil || c.Now.Sub(issued.Time).Abs() > tolerance {
		return false
	}
	hash, _ := claims["payload_hash"].(string)
	sum := sha256.Sum256(c.Body)
	return sameHex(sum[:], hash)
}

// vonageSigned checks sig: the fields but sig itself as &name=value in the order of the names, with & and = in values made _,
// hashed with the secret behind by MD5, or by an HMAC of the account's choice.
func vonageSigned(fields url.Values, secret string) bool {
	signed := url.Values{}
	for name := range fields {
		if name != "sig" {
			signed.Set(name, strings.NewReplacer("&", "_", "=", "_").Replace(fields.Get(name)))
		}
	}
	text, sig := "&"+concatenated(signed, "=", "&"), fields.Get("sig")
	for _, h := range []func() hash.Hash{sha256.New, sha512.New, sha1.New, md5.New} {
		if sameHex(sum(h, secret, text), sig) {
			return true
		}
	}
	plain := md5.Sum([]byte(text + secret))
	return sameHex(plain[:], sig)
}
