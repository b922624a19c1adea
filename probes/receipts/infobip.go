package receipts

import (
	"net/http"

	"signalbox/rules/route"
)

// Infobip reads its delivery reports, which come in batches. Its calls are not signed by default: give the URL a key.
//
// DELIVERED_TO_OPERATOR, status 2, stands in the group DELIVERED and says only that the carrier has the message.
func Infobip(k Keys) Format {
	return Format{Name: "infobip", Methods: []string{http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.shared(c); err != nil {
			return nil, err
		}
		var body struct {
			Results []struct {
				MessageID string `json:"messageId"`
				Status    struct {
					ID        int    `json:"id"`
					GroupName string `json:"groupName"`
				} `json:"status"`
				Error struct {
					ID   int    `json:"id"`
					Name string `json:"name"`
				} `json:"error"`
			} `json:"results"`
		}
		if err := readJSON(c, &body); err != nil {
			return nil, err
		}
		var out []route.Observation
		for _, r := range body.Results {
			status := infobipWords.status(r.Status.GroupName)
			if r.Status.ID == toOperator {
				status = route.StatusEnroute
			}
			code := ""
			if r.Error.ID != 0 {
				code = r.Error.Name
			}
			o, err := c.report(r.MessageID, status, code)
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		}
		return out, nil
	}}
}

// toOperator is the status DELIVERED_TO_OPERATOR.
const toOperator = 2

var infobipWords = words{
	"pending": route.StatusAccepted, "accepted": route.StatusAccepted, "delivered": route.StatusDelivered,
	"undeliverable": route.StatusFailed, "expired": route.StatusExpired, "rejected": route.StatusRejected,
}
