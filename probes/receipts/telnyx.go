package receipts

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"

	"signalbox/rules/route"
)

// Telnyx reads its version 2 webhooks message.sent and message.finalized; all other events are taken and say nothing. The
// secret is the account's public key in base64.
//
// delivery_unconfirmed means that the carrier tells nothing: no information, and no failure.
func Telnyx(k Keys) Format {
	return Format{Name: "telnyx", Methods: []string{http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.telnyx(c); err != nil {
			return nil, err
		}
		var body struct {
			Data struct {
				EventType string `json:"event_type"`
				Payload   struct {
					ID string `json:"id"`
					To []struct {
						Status string `json:"status"`
					} `json:"to"`
					Errors []struct {
						Code text `json:"code"`
					} `json:"errors"`
				} `json:"payload"`
			} `json:"data"`
		}
		if err := readJSON(c, &body); err != nil {
			return nil, err
		}
		p := &body.Data.Payload
		switch {
		case body.Data.EventType != "message.sent" && body.Data.EventType != "message.finalized":
			return nil, nil
		case p.ID == "" || len(p.To) == 0:
			return nil, missing("data.payload.id and data.payload.to[0].status", p.ID)
		}
		code := ""
		if len(p.Errors) > 0 {
			code = string(p.Errors[0].Code)
		}
		return c.one(p.ID, telnyxWords.status(p.To[0].Status), code)
	}}
}

var telnyxWords = words{
	"queued": route.StatusAccepted, "sending": route.StatusAccepted, "sent": route.StatusEnroute, "delivered": route.StatusDelivered,
	"sending_failed": route.StatusFailed, "delivery_failed": route.StatusFailed, "expired": route.StatusExpired,
}

// telnyx checks an Ed25519 signature over timestamp|body.
func (k Keys) telnyx(c *Call) error {
	if k.none() {
		return nil
	}
	at := c.Header.Get("Telnyx-Timestamp")
	signature, err := base64.StdEncoding.DecodeString(c.Header.Get("Telnyx-Signature-Ed25519"))
	if err != nil || !timely(c, at) {
		return ErrSignature
	}
	signed := append([]byte(at+"|"), c.Body...)
	return k.any(func(secret string) bool {
		key, err := base64.StdEncoding.DecodeString(secret)
		return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed, signature)
	})
}
