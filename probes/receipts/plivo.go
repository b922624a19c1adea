package receipts

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"

	"signalbox/rules/route"
)

// Plivo reads the calls of a message's callback URL. In the USA and Canada "sent" is often the last word: final=sent in the
// URL makes it delivered. Calls may come in any order, and Sequence says which is right: states only rise, so that the
// order does not matter here.
func Plivo(k Keys) Format {
	return Format{Name: "plivo", Methods: []string{http.MethodPost, http.MethodGet}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.plivo(c); err != nil {
			return nil, err
		}
		id, word := c.Form.Get("MessageUUID"), c.Form.Get("Status")
		if id == "" || word == "" {
			return nil, missing("MessageUUID and Status", id+word)
		}
		status := plivoWords.status(word)
		if c.Query.Get("final") == "sent" && status == route.StatusEnroute {
			status = route.StatusDelivered
		}
		return c.one(id, status, c.Form.Get("ErrorCode"))
	}}
}

var plivoWords = words{
	"queued": route.StatusAccepted, "sent": route.StatusEnroute, "delivered": route.StatusDelivered, "read": route.StatusDelivered,
	"undelivered": route.StatusFailed, "failed": route.StatusFailed, "rejected": route.StatusRejected,
}

// Version 2 signs neither query nor form: whoever has seen one call can make others of it, which https prevents.
//
// plivo checks version 3 of the signature where it is there, else version 2: HMAC-SHA256 in base64 over the URL and a nonce.
// The header may have several, one for each token of the account.
func (k Keys) plivo(c *Call) error {
	if k.none() {
		return nil
	}
	u := k.called(c)
	text, given := u.Scheme+"://"+u.Host+u.Path, ""
	if given = c.Header.Get("X-Plivo-Signature-V3"); given != "" {
		text = plivoText(text, c) + "." + c.Header.Get("X-Plivo-Signature-V3-Nonce")
	} else {
		given = c.Header.Get("X-Plivo-Signature-V2")
		text += c.Header.Get("X-Plivo-Signature-V2-Nonce")
	}
	return k.any(func(secret string) bool {
		want, found := sum(sha256.New, secret, text), false
		for _, one := range strings.Split(given, ",") {
			found = sameBase64(want, one) || found
		}
		return found
	})
}

// plivoText is the URL with the fields of its query as name=value, and those of a posted form as they stand together, each in
// the order of their names.
func plivoText(base string, c *Call) string {
	query, form := c.Query, url.Values{}
	if c.Method == http.MethodPost {
		form = c.Posted
	}
	switch {
	case len(query) == 0 && len(form) == 0:
		return base
	case len(form) == 0:
		return base + "?" + concatenated(query, "=", "&")
	case len(query) == 0:
		return base + "?" + concatenated(form, "", "")
	default:
		return base + "?" + concatenated(query, "=", "&") + "." + concatenated(form, "", "")
	}
}
