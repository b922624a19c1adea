package receipts

import (
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/rules/route"
)

// MessageBird reads the status reports of its REST API, which come as a query. They come for messages with a reference only.
func MessageBird(k Keys) Format {
	return Format{Name: "messagebird", Methods: []string{http.MethodGet, http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.messageBird(c); err != nil {
			return nil, err
		}
		id, word := c.Form.Get("id"), c.Form.Get("status")
		if id == "" || word == "" {
			return nil, missing("id and status", id+word)
		}
		return c.one(id, messageBirdWords.status(word), c.Form.Get("statusErrorCode"))
	}}
}

var messageBirdWords = words{
	"scheduled": route.StatusAccepted, "sent": route.StatusEnroute, "buffered": route.StatusEnroute, "delivered": route.StatusDelivered,
	"expired": route.StatusExpired, "delivery_failed": route.StatusFailed,
}

// birdClaims are the claims of MessageBird-Signature-JWT.
type birdClaims struct {
	URLHash     string `json:"url_hash"`
	PayloadHash string `json:"payload_hash"`
	jwt.RegisteredClaims
}

// birdLeeway is how far MessageBird's clock may be off, as its own library has it.
const birdLeeway = 5 * time.Second

// messageBird checks a JWT over HS256, HS384 or HS512 that holds the SHA-256 of the URL and of the body. Without a body the
// hash is left out, or is that of nothing. A token that never ends is not taken, which its own library would.
func (k Keys) messageBird(c *Call) error {
	if k.none() {
		return nil
	}
	address := sha256.Sum256([]byte(k.called(c).String()))
	return k.any(func(secret string) bool {
		var claims birdClaims
		_, err := jwt.ParseWithClaims(c.Header.Get("MessageBird-Signature-JWT"), &claims, func(*jwt.Token) (any, error) { return []byte(secret), nil },
			jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithIssuer("MessageBird"), jwt.WithLeeway(birdLeeway),
			jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return c.Now }))
		if err != nil || claims.ID == "" || !sameHex(address[:], claims.URLHash) {
			return false
		}
		if len(c.Body) == 0 && claims.PayloadHash == "" {
			return true
		}
		body := sha256.Sum256(c.Body)
		return sameHex(body[:], claims.PayloadHash)
	})
}
