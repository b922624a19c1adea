package receipts

import (
	"crypto/sha256"
	"net/http"

	"signalbox/rules/route"
)

// Sinch reads the delivery reports of its SMS API: those for each recipient, and the summary of a batch to one recipient. A
// batch to several has one id for all of them: give each message a client_reference, which then is its id, and ask for
// reports per recipient. Summaries of several recipients name no message, and are taken and not counted.
func Sinch(k Keys) Format {
	return Format{Name: "sinch", Methods: []string{http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.sinch(c); err != nil {
			return nil, err
		}
		var body struct {
			Type            string `json:"type"`
			BatchID         string `json:"batch_id"`
			ClientReference string `json:"client_reference"`
			Status          string `json:"status"`
			Code            text   `json:"code"`
			Total           int    `json:"total_message_count"`
			Statuses        []struct {
				Status string `json:"status"`
				Code   text   `json:"code"`
				Count  int    `json:"count"`
			} `json:"statuses"`
		}
		if err := readJSON(c, &body); err != nil {
			return nil, err
		}
		id := body.ClientReference
		if id == "" {
			id = body.BatchID
		}
		switch {
		case id == "":
			return nil, missing("batch_id", "")
		case body.Status != "":
			return c.one(id, sinchWords.status(body.Status), string(body.Code))
		case body.Total > 1 || len(body.Statuses) != 1:
			return nil, nil
		}
		return c.one(id, sinchWords.status(body.Statuses[0].Status), string(body.Statuses[0].Code))
	}}
}

// "Cancelled" and "Deleted" are the sender's own doing, and say nothing.
var sinchWords = words{
	"queued": route.StatusAccepted, "dispatched": route.StatusEnroute, "delivered": route.StatusDelivered,
	"failed": route.StatusFailed, "expired": route.StatusExpired, "rejected": route.StatusRejected, "aborted": route.StatusRejected,
}

// sinch checks HMAC-SHA256 over body, nonce and timestamp with dots between, in base64.
func (k Keys) sinch(c *Call) error {
	if k.none() {
		return nil
	}
	const header = "X-Sinch-Webhook-Signature"
	nonce, at := c.Header.Get(header+"-Nonce"), c.Header.Get(header+"-Timestamp")
	if nonce == "" || !timely(c, at) {
		return ErrSignature
	}
	text := string(c.Body) + "." + nonce + "." + at
	return k.any(func(secret string) bool { return sameBase64(sum(sha256.New, secret, text), c.Header.Get(header)) })
}
