package receipts

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"signalbox/rules/route"
)

// Kannel reads the calls of Kannel's dlr-url. That URL is the sender's own, with escapes that Kannel fills in; this one
// is recommended, on one line, URL-encoded in sendsms, and with dlr-mask=31:
//
//	http://127.0.0.1:9465/receipts/kannel?id=OWNID&route=%i&class=otp&network=234-15&status=%d&reply=%A&at=%T&fid=%F&submitted=UNIXSECONDS
//
//	id         the sender's own id of the message. Kannel's %I differs between the reports of one message, and is no use
//	route      the SMSC id that carried the message, %i, which need not be the one that was asked for
//	smsc       may be given with %i instead; route is then the one asked for, and counts where %i is empty
//	class      the traffic class; with network and submitted it lets a receipt count without remembering its message
//	network    MCC-MNC, country or *
//	status     %d, a set of bits: 1 delivered, 2 failed, 4 buffered, 8 accepted by the SMSC, 16 rejected by it, 32 not final
//	reply      %A: the SMSC's answer, or the whole text of the receipt. Only its status and error code are used
//	at         %T, when Kannel had the report, in Unix seconds; default: when the call came
//	submitted  when the message was handed to Kannel, in Unix seconds; default: at, of the report with bit 8 or 16
//
//	key        the secret, where one is configured: Kannel signs nothing
//
// Anything else, such as fid, is ignored. Bit 8 is what tells how many messages there were: without it in dlr-mask there
// are receipts of unknown messages only. It may come after the final report.
func Kannel(k Keys) Format {
	return Format{Name: "kannel", Methods: []string{http.MethodGet, http.MethodPost}, Read: func(c *Call) ([]route.Observation, error) {
		if err := k.shared(c); err != nil {
			return nil, err
		}
		return readKannel(c)
	}}
}

// The bits of %d. The last one is in no guide; Kannel sets it beside bitFailed for an expired message.
const (
	bitDelivered = 1 << iota
	bitFailed
	bitBuffered
	bitAccepted
	bitRejected
	bitIntermediate
	bitsKnown = 1<<iota - 1
)

func readKannel(c *Call) ([]route.Observation, error) {
	bits, err := strconv.ParseUint(c.Form.Get("status"), 10, 16)
	if err != nil || bits&bitsKnown == 0 || bits&bitDelivered != 0 && bits&bitFailed != 0 {
		return nil, fmt.Errorf("status: want %%d, the bits of Kannel's report, got %q", short(c.Form.Get("status")))
	}
	o, err := kannelMessage(c)
	if err != nil {
		return nil, err
	}
	reply := c.Form.Get("reply")
	switch {
	case bits&(bitDelivered|bitFailed) != 0:
		o.Kind, o.Status, o.Code = route.KindReceipt, kannelStatus(bits, reply), receiptCode(reply)
	case bits&bitRejected != 0:
		o.Kind, o.Result = route.KindSubmit, route.Refused
		o.Code, o.Fault = kannelFault(reply)
	case bits&bitAccepted != 0:
		o.Kind, o.Result = route.KindSubmit, route.Accepted
	case bits&bitBuffered != 0:
		o.Kind, o.Status = route.KindReceipt, route.StatusAccepted
	default:
		o.Kind, o.Status = route.KindReceipt, route.StatusEnroute
	}
	return kannelTimes(o)
}

// kannelMessage reads what every report has: which message, by which route, and when.
func kannelMessage(c *Call) (o route.Observation, err error) {
	connector := c.Form.Get("smsc")
	if connector == "" {
		connector = c.Form.Get("route")
	}
	o.Route = c.Route(connector)
	o.Message = c.Form.Get("id")
	o.Class, o.Network = route.Class(c.Form.Get("class")), route.Network(c.Form.Get("network"))
	if o.Time, err = unixTime(c, "at"); err != nil {
		return o, err
	}
	if o.Time.IsZero() {
		o.Time = c.Now
	}
	o.Submitted, err = unixTime(c, "submitted")
	return o, err
}

// kannelTimes gives a submit the time at which the message was submitted, and leaves on a receipt the key and the
// submit time only where it has all of them.
func kannelTimes(o route.Observation) ([]route.Observation, error) {
	switch {
	case o.Kind == route.KindSubmit:
		if !o.Submitted.IsZero() {
			o.Time, o.Submitted = o.Submitted, time.Time{}
		}
	case o.Class == "" || o.Network == "" || o.Submitted.IsZero():
		o.Class, o.Network, o.Submitted = "", "", time.Time{}
	}
	return []route.Observation{o}, nil
}

// unixTime reads a parameter of Unix seconds, with or without a fraction; the zero time where it is not given.
func unixTime(c *Call, name string) (time.Time, error) {
	text := c.Form.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	sec, err := strconv.ParseFloat(text, 64)
	if err != nil || !(sec >= 0 && sec < 1<<33) {
		return time.Time{}, fmt.Errorf("%s: want Unix seconds, got %q", name, short(text))
	}
	return time.UnixMicro(int64(sec * 1e6)).UTC(), nil
}

// kannelStatus is the final status of a report. Kannel calls failed whatever is not delivered; the text of the receipt
// knows more. It also calls failed what the SMSC says it does not know, which is no news of the message.
func kannelStatus(bits uint64, reply string) route.Status {
	if bits&bitDelivered != 0 {
		return route.StatusDelivered
	}
	switch strings.ToUpper(receiptField(reply, "stat:")) {
	case "EXPIRED":
		return route.StatusExpired
	case "REJECTD":
		return route.StatusRejected
	case "UNKNOWN":
		return route.StatusUnknown
	}
	return route.StatusFailed
}

// receiptCode is the error code in the text of a receipt; 000 is none.
func receiptCode(reply string) string {
	code := receiptField(reply, "err:")
	if strings.Trim(code, "0") == "" || !isCode(code) {
		return ""
	}
	return code
}

// receiptField finds a field such as stat: in the text of a receipt (SMPP 3.4, appendix B, which nobody keeps to: any
// order, any case, any part missing). What stands after text: is the message's, and is not looked at.
func receiptField(text, field string) string {
	lower := asciiLower(text)
	if i := strings.Index(" "+lower, " text:"); i >= 0 {
		text, lower = text[:i], lower[:i]
	}
	i := strings.Index(" "+lower, " "+field)
	if i < 0 {
		return ""
	}
	value, _, _ := strings.Cut(strings.TrimLeft(text[i+len(field):], " "), " ")
	return value
}

// asciiLower keeps the length, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// isCode bounds what is kept of a text from outside to the size and the letters of a code. Longer runs of digits could
// be a phone number.
func isCode(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s != "" && len(s) <= 8
}

// kannelFault reads why a submit was refused, and says whose fault it is.
//
//	NACK/0x00000045/Submit failed   the SMSC's command_status
//	NACK/no SMSC                    Kannel has no link up that may carry it: no route, which counts against the route
//	NACK/MALFORMED SMS              Kannel could not encode it: the message's fault
//	NACK/Retries Exceeded           a temporary refusal, for as often as Kannel retries
//
// Kannel retries after four answers, two for want of capacity and two of a sick SMSC, and does not say after which. What
// cannot be told apart must not count as illness: it is capacity, and shows as throttled.
func kannelFault(reply string) (code string, fault route.Fault) {
	why, _ := strings.CutPrefix(reply, "NACK/")
	switch why {
	case "no SMSC":
		return why, route.FaultRoute
	case "Retries Exceeded":
		return why, route.FaultCapacity
	case "MALFORMED SMS":
		return why, route.FaultMessage
	}
	hex, _, _ := strings.Cut(why, "/")
	digits, ok := strings.CutPrefix(hex, "0x")
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil {
		return "", route.FaultMessage // whatever Kannel means by it, nobody can say that the route is to blame
	}
	return fmt.Sprintf("0x%08x", n), route.FaultOfStatus(uint32(n))
}
