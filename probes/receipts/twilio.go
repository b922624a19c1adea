package receipts

import (
	"crypto/sha1"
	"crypto/sha256"
	"net"
	"net/http"
	"net/url"

	"signalbox/rules/route"
)

// Twilio reads the calls of a StatusCallback. ErrorCode tells whose fault a failure is: 30003, 30005 and 30006 are the
// subscriber's.
func Twilio(k Keys) Format {
	return Format{Name: "twilio", Methods: []string{http.MethodPost, http.MethodGet}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.twilio(c); err != nil {
			return nil, err
		}
		id, word := first(c.Form, "MessageSid", "SmsSid"), first(c.Form, "MessageStatus", "SmsStatus")
		if id == "" || word == "" {
			return nil, missing("MessageSid and MessageStatus", id+word)
		}
		return c.one(id, twilioWords.status(word), c.Form.Get("ErrorCode"))
	}}
}

// "sent" is with the carrier; "read" is of channels that tell it; "canceled" is the sender's own doing and says nothing.
var twilioWords = words{
	"accepted": route.StatusAccepted, "scheduled": route.StatusAccepted, "queued": route.StatusAccepted, "sending": route.StatusAccepted,
	"sent": route.StatusEnroute, "delivered": route.StatusDelivered, "read": route.StatusDelivered,
	"undelivered": route.StatusFailed, "failed": route.StatusFailed,
}

// first is the first of some fields that is there.
func first(v url.Values, names ...string) string {
	for _, name := range names {
		if s := v.Get(name); s != "" {
			return s
		}
	}
	return ""
}

// twilio checks X-Twilio-Signature: HMAC-SHA1 over the URL with the names and values of a form behind it, in base64. Of a
// body that is no form the URL has the hash, bodySHA256. Whether the URL has the usual port differs from call to call.
func (k Keys) twilio(c *Call) error {
	if k.none() {
		return nil
	}
	fields := ""
	if hash := c.Query.Get("bodySHA256"); hash != "" {
		if sum := sha256.Sum256(c.Body); !sameHex(sum[:], hash) {
			return ErrSignature
		}
	} else {
		fields = concatenated(c.Posted, "", "")
	}
	u := k.called(c)
	signature := c.Header.Get("X-Twilio-Signature")
	return k.any(func(secret string) bool {
		return sameBase64(sum(sha1.New, secret, withPort(u)+fields), signature) || sameBase64(sum(sha1.New, secret, withoutPort(u)+fields), signature)
	})
}

func withPort(u *url.URL) string {
	v := *u
	if v.Port() == "" {
		port := "443"
		if v.Scheme == "http" {
			port = "80"
		}
		v.Host = net.JoinHostPort(v.Hostname(), port)
	}
	return v.String()
}

func withoutPort(u *url.URL) string {
	v := *u
	v.Host = v.Hostname()
	return v.String()
}
