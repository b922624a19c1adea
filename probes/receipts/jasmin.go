package receipts

import (
	"net/http"
	"strconv"
	"strings"

	"signalbox/rules/route"
)

// Jasmin reads the calls of its HTTP API's dlr-url. The answer must be exactly ACK/Jasmin, or Jasmin calls again. With
// dlr-level=3 it tells both what the SMSC said to the submit (level 1) and the receipt (level 2); its calls are not signed:
// give the URL a key. The route is the connector's, where the URL does not name one.
func Jasmin(k Keys) Format {
	return Format{Name: "jasmin", Methods: []string{http.MethodGet, http.MethodPost}, Answer: "ACK/Jasmin", Read: func(c *Call) ([]route.Observation, error) {
		if err := k.shared(c); err != nil {
			return nil, err
		}
		id, word := c.Form.Get("id"), strings.ToUpper(c.Form.Get("message_status"))
		if id == "" || word == "" {
			return nil, missing("id and message_status", id+word)
		}
		status, code := jasminStatus(word), c.Form.Get("err")
		if strings.HasPrefix(word, "ESME_R") && word != "ESME_ROK" {
			code = word
		}
		out, err := c.one(id, status, code)
		if err == nil && c.Query.Get("route") == "" {
			out[0].Route = c.Route(c.Form.Get("connector"))
		}
		return out, err
	}}
}

// jasminStatus is what a word says: that of a receipt, or, of level 1, the command_status of the submit by its name.
func jasminStatus(word string) route.Status {
	switch {
	case word == "ESME_ROK":
		return route.StatusAccepted
	case strings.HasPrefix(word, "ESME_R"):
		return route.StatusRejected
	}
	if n, err := strconv.Atoi(word); err == nil { // some SMSCs send the number of message_state
		word = []string{"", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD"}[min(max(n, 0), 8)]
	}
	return smppWords.status(word)
}

// smppWords are the states of SMPP receipts (SMPP 3.4, appendix B).
var smppWords = words{
	"enroute": route.StatusEnroute, "acceptd": route.StatusAccepted, "delivrd": route.StatusDelivered, "expired": route.StatusExpired,
	"deleted": route.StatusFailed, "undeliv": route.StatusFailed, "rejectd": route.StatusRejected,
}
