package receipts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// callTo is a call of a provider's webhook: a body of JSON or of a form, or none.
func callTo(format, query, body string) *http.Request {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, "https://hooks.example.net/receipts/"+format+query, strings.NewReader(body))
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// told posts a call and says in short what was taken of it: route, message, status and code of each observation.
func told(t testing.TB, formats []Format, r *http.Request) (answer, string) {
	t.Helper()
	var lines []string
	h := newHandler(t, Options{Formats: formats, Routes: map[string]route.ID{"smppcc-1": "acme"}, Take: func(_ context.Context, list []route.Observation) error {
		for i := range list {
			o := &list[i]
			what := o.Status.String()
			if o.Kind == route.KindSubmit {
				what = "submit"
			}
			lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %s %s %s", o.Route, o.Message, what, o.Code), " "))
			if o.Final || !o.Time.Equal(now) && o.Kind == route.KindReceipt && !strings.Contains(r.URL.Path, "kannel") {
				t.Errorf("got %+v, want the time of the call, and joining to say what is final", o)
			}
		}
		return nil
	}})
	return do(t, h, r), strings.Join(lines, "; ")
}

// Each format says of each state what it is: the words are those of the providers' documentation.
func TestFormatsReadWhatProvidersSend(t *testing.T) {
	twilio := func(status, code string) string {
		return "SmsSid=SM1&SmsStatus=" + status + "&MessageStatus=" + status + "&To=%2B447700900001&MessageSid=SM1&AccountSid=AC1&From=ACME&ApiVersion=2010-04-01&ErrorCode=" + code
	}
	infobip := func(group string, id int, failure string) string {
		return fmt.Sprintf(`{"results":[{"bulkId":"b","messageId":"ib-1","to":"447700900001","sentAt":"2026-11-23T09:25:24.000+0000","doneAt":"2026-11-23T09:25:26.000+0000","smsCount":1,
			"price":{"pricePerMessage":0.01,"currency":"EUR"},"status":{"groupId":3,"groupName":%q,"id":%d,"name":"X","description":"x"},"error":%s}]}`, group, id, failure)
	}
	const none = `{"groupId":0,"groupName":"OK","id":0,"name":"NO_ERROR","description":"No Error","permanent":false}`
	sinch := func(status string, code int) string {
		return fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":"01FC","recipient":"447700900001","code":%d,"status":%q,"at":"2026-11-23T09:25:26.123Z"}`, code, status)
	}
	telnyx := func(event, status, errors string) string {
		return fmt.Sprintf(`{"data":{"event_type":%q,"id":"e-1","occurred_at":"2026-11-23T09:25:26Z","payload":{"id":"tx-1","errors":%s,"to":[{"phone_number":"+447700900001","status":%q}],"text":"hello"}},"meta":{"attempt":1}}`, event, errors, status)
	}
	for name, c := range map[string]struct{ format, query, body, want string }{
		"twilio delivered":        {"twilio", "?route=nova", twilio("delivered", ""), "nova SM1 delivered"},
		"twilio queued":           {"twilio", "?route=nova", twilio("queued", ""), "nova SM1 accepted"},
		"twilio sent":             {"twilio", "?route=nova", twilio("sent", ""), "nova SM1 enroute"},
		"twilio undelivered":      {"twilio", "?route=nova", twilio("undelivered", "30003"), "nova SM1 failed 30003"},
		"twilio failed":           {"twilio", "?route=nova", twilio("failed", "30008"), "nova SM1 failed 30008"},
		"twilio canceled":         {"twilio", "?route=nova", twilio("canceled", ""), "nova SM1 unknown"},
		"twilio's next word":      {"twilio", "?route=nova", twilio("teleported", ""), "nova SM1 unknown"},
		"twilio sent, counted":    {"twilio", "?route=nova&class=otp&network=GB&count=sent", twilio("sent", ""), "nova SM1 submit"},
		"vonage by query":         {"vonage", "?route=nova&messageId=v1&status=delivered&err-code=0&msisdn=447700900001&scts=2611230925&message-timestamp=2026-11-23+09:25:26", "", "nova v1 delivered"},
		"vonage by form":          {"vonage", "?route=nova", "messageId=v1&status=failed&err-code=6&msisdn=447700900001", "nova v1 failed 6"},
		"vonage by JSON":          {"vonage", "?route=nova", `{"messageId":"v1","status":"expired","err-code":"4","msisdn":"447700900001"}`, "nova v1 expired 4"},
		"vonage accepted":         {"vonage", "?route=nova&messageId=v1&status=accepted&err-code=0", "", "nova v1 accepted"},
		"vonage buffered":         {"vonage", "?route=nova&messageId=v1&status=buffered&err-code=0", "", "nova v1 enroute"},
		"vonage messages":         {"vonage", "?route=nova", `{"message_uuid":"aaaa-1","to":"447700900001","from":"ACME","timestamp":"2026-11-23T09:25:26Z","status":"delivered","channel":"sms"}`, "nova aaaa-1 delivered"},
		"vonage messages refused": {"vonage", "?route=nova", `{"message_uuid":"aaaa-1","status":"undeliverable","error":{"type":"https://x","title":1260,"detail":"Destination unreachable"}}`, "nova aaaa-1 failed 1260"},
		"infobip delivered":       {"infobip", "?route=nova", infobip("DELIVERED", 5, none), "nova ib-1 delivered"},
		"infobip to the operator": {"infobip", "?route=nova", infobip("DELIVERED", 2, none), "nova ib-1 enroute"},
		"infobip undeliverable":   {"infobip", "?route=nova", infobip("UNDELIVERABLE", 9, `{"id":1,"groupName":"HANDSET_ERRORS","name":"EC_UNKNOWN_SUBSCRIBER","permanent":true}`), "nova ib-1 failed EC_UNKNOWN_SUBSCRIBER"},
		"infobip expired":         {"infobip", "?route=nova", infobip("EXPIRED", 15, none), "nova ib-1 expired"},
		"infobip rejected":        {"infobip", "?route=nova", infobip("REJECTED", 6, none), "nova ib-1 rejected"},
		"infobip in a batch": {"infobip", "?route=nova", `{"results":[{"messageId":"a","status":{"groupName":"DELIVERED","id":5}},{"messageId":"b","status":{"groupName":"PENDING","id":26}}]}`,
			"nova a delivered; nova b accepted"},
		"infobip of nothing":       {"infobip", "?route=nova", `{"results":[]}`, ""},
		"sinch delivered":          {"sinch", "?route=nova", sinch("Delivered", 0), "nova 01FC delivered"},
		"sinch dispatched":         {"sinch", "?route=nova", sinch("Dispatched", 401), "nova 01FC enroute 401"},
		"sinch failed":             {"sinch", "?route=nova", sinch("Failed", 404), "nova 01FC failed 404"},
		"sinch by reference":       {"sinch", "?route=nova", `{"type":"recipient_delivery_report_sms","batch_id":"01FC","client_reference":"m-1","status":"Expired","code":406}`, "nova m-1 expired 406"},
		"sinch summary of one":     {"sinch", "?route=nova", `{"type":"delivery_report_sms","batch_id":"01FC","total_message_count":1,"statuses":[{"code":0,"status":"Delivered","count":1}]}`, "nova 01FC delivered"},
		"sinch summary of many":    {"sinch", "?route=nova", `{"type":"delivery_report_sms","batch_id":"01FC","total_message_count":3,"statuses":[{"code":0,"status":"Delivered","count":3}]}`, ""},
		"plivo delivered":          {"plivo", "?route=nova", "Status=delivered&MessageUUID=p1&To=447700900001&Sequence=3&MCC=234&MNC=15", "nova p1 delivered"},
		"plivo sent":               {"plivo", "?route=nova", "Status=sent&MessageUUID=p1&Sequence=2", "nova p1 enroute"},
		"plivo sent, and no more":  {"plivo", "?route=nova&final=sent", "Status=sent&MessageUUID=p1", "nova p1 delivered"},
		"plivo undelivered":        {"plivo", "?route=nova", "Status=undelivered&MessageUUID=p1&ErrorCode=30", "nova p1 failed 30"},
		"plivo by query":           {"plivo", "?route=nova&Status=failed&MessageUUID=p1&ErrorCode=200", "", "nova p1 failed 200"},
		"telnyx delivered":         {"telnyx", "?route=nova", telnyx("message.finalized", "delivered", "[]"), "nova tx-1 delivered"},
		"telnyx sent":              {"telnyx", "?route=nova", telnyx("message.sent", "sent", "[]"), "nova tx-1 enroute"},
		"telnyx failed":            {"telnyx", "?route=nova", telnyx("message.finalized", "delivery_failed", `[{"code":"40008","title":"Undeliverable"}]`), "nova tx-1 failed 40008"},
		"telnyx unconfirmed":       {"telnyx", "?route=nova", telnyx("message.finalized", "delivery_unconfirmed", "[]"), "nova tx-1 unknown"},
		"telnyx, another event":    {"telnyx", "?route=nova", telnyx("message.received", "delivered", "[]"), ""},
		"messagebird delivered":    {"messagebird", "?route=nova&id=mb1&reference=m-1&recipient=447700900001&status=delivered&statusDatetime=2026-11-23T09:25:26%2B00:00", "", "nova mb1 delivered"},
		"messagebird failed":       {"messagebird", "?route=nova&id=mb1&status=delivery_failed&statusErrorCode=1", "", "nova mb1 failed 1"},
		"messagebird buffered":     {"messagebird", "?route=nova&id=mb1&status=buffered", "", "nova mb1 enroute"},
		"jasmin delivered":         {"jasmin", "", "id=j1&id_smsc=7&message_status=DELIVRD&level=2&connector=smppcc-1&subdate=2611230925&donedate=2611230925&sub=001&dlvrd=001&err=000&text=hello", "acme j1 delivered"},
		"jasmin, an unknown link":  {"jasmin", "", "id=j1&message_status=UNDELIV&level=2&connector=bolt&err=011", "bolt j1 failed 011"},
		"jasmin level 1":           {"jasmin", "", "id=j1&message_status=ESME_ROK&level=1&connector=smppcc-1", "acme j1 accepted"},
		"jasmin level 1 refused":   {"jasmin", "", "id=j1&message_status=ESME_RINVDSTADR&level=1&connector=smppcc-1", "acme j1 rejected ESME_RINVDSTADR"},
		"jasmin by number":         {"jasmin", "", "id=j1&message_status=2&level=2&connector=smppcc-1&err=000", "acme j1 delivered"},
		"a code that is a number":  {"twilio", "?route=nova", twilio("failed", "447700900001"), "nova SM1 failed"},
		"a code with a text in it": {"twilio", "?route=nova", twilio("failed", "your+code+is"), "nova SM1 failed"},
	} {
		a, got := told(t, nil, callTo(c.format, c.query, c.body))
		if a.code != http.StatusOK || got != c.want {
			t.Errorf("%s: got %d %s, %q, want %q", name, a.code, a.detail, got, c.want)
		}
		if want := map[string]string{"jasmin": "ACK/Jasmin"}[c.format]; a.body != want {
			t.Errorf("%s: answered %q, want %q", name, a.body, want)
		}
	}
}

// A receipt counts without its message being remembered where our own parameters of the URL say all of its key.
func TestFormatsTakeTheKeyFromTheURL(t *testing.T) {
	for name, c := range map[string]struct {
		query string
		keyed bool
	}{
		"all of it":    {"?route=nova&class=otp&network=234-15&submitted=1795425924", true},
		"no submitted": {"?route=nova&class=otp&network=234-15", false},
		"no class":     {"?route=nova&network=234-15&submitted=1795425924", false},
	} {
		var got route.Observation
		h := newHandler(t, Options{Take: func(_ context.Context, list []route.Observation) error { got = list[0]; return nil }})
		if a := do(t, h, callTo("plivo", c.query, "Status=delivered&MessageUUID=p1")); a.code != http.StatusOK {
			t.Fatalf("%s: got %d %s", name, a.code, a.detail)
		}
		if keyed := got.Class == "otp" && got.Network == "234-15" && got.Submitted.Equal(submitted); keyed != c.keyed || !c.keyed && (got.Class != "" || got.Network != "" || !got.Submitted.IsZero()) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestFormatsRefuseWhatTheyCannotRead(t *testing.T) {
	for name, c := range map[string]struct{ format, query, body, want string }{
		"twilio without a status":  {"twilio", "?route=nova", "MessageSid=SM1", `MessageSid and MessageStatus: want it, got "SM1"`},
		"vonage without an id":     {"vonage", "?route=nova&status=delivered", "", `messageId and status: want it`},
		"infobip that is no JSON":  {"infobip", "?route=nova", "hello=1", "body: want JSON"},
		"infobip of another shape": {"infobip", "?route=nova", `{"results":{"a":1}}`, "body: results: want"},
		"infobip without an id":    {"infobip", "?route=nova", `{"results":[{"status":{"groupName":"DELIVERED"}}]}`, "id: want a message id"},
		"sinch without an id":      {"sinch", "?route=nova", `{"status":"Delivered"}`, "batch_id: want it"},
		"plivo without an id":      {"plivo", "?route=nova", "Status=sent", "MessageUUID and Status"},
		"telnyx without an id":     {"telnyx", "?route=nova", `{"data":{"event_type":"message.sent","payload":{}}}`, "data.payload.id"},
		"messagebird of nothing":   {"messagebird", "?route=nova", "", "id and status"},
		"jasmin of nothing":        {"jasmin", "", "level=1", "id and message_status"},
		"no route":                 {"plivo", "", "Status=sent&MessageUUID=p1", "route: want a route id"},
		"a class that is none":     {"plivo", "?route=nova&class=o+p&network=GB&submitted=1795425924", "Status=sent&MessageUUID=p1", "class: want a class"},
		"seconds that are none":    {"plivo", "?route=nova&submitted=yesterday", "Status=sent&MessageUUID=p1", "submitted: want Unix seconds"},
		"counted without a key":    {"plivo", "?route=nova&count=sent", "Status=sent&MessageUUID=p1", "class: want a class"},
	} {
		a, got := told(t, nil, callTo(c.format, c.query, c.body))
		if a.code != http.StatusBadRequest || !strings.Contains(a.detail, c.want) || got != "" {
			t.Errorf("%s: got %d %q %q, want 400 and %q", name, a.code, a.detail, got, c.want)
		}
	}
}

// Whatever comes, there is an answer, and nothing that looks like a phone number or a text is kept.
func fuzzFormat(f *testing.F, name string, bodies ...string) {
	for _, b := range bodies {
		f.Add("route=nova", b)
	}
	f.Add("route=nova&class=otp&network=GB&submitted=1795425924&count=sent", "{}")
	f.Add("", "\xff\xfe{")
	fetch := func(context.Context, string) ([]byte, error) { return nil, errors.New("nobody there") }
	keyed := map[string]Keys{}
	for _, format := range []string{"infobip", "jasmin", "kannel", "messagebird", "plivo", "sinch", "telnyx", "twilio", "vonage"} {
		keyed[format] = Keys{Secrets: []string{"s3cret"}}
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		for _, formats := range [][]Format{All(nil, fetch), All(keyed, fetch)} {
			h := newHandler(t, Options{Formats: formats, Take: func(_ context.Context, list []route.Observation) error {
				for _, o := range list {
					if o.Code != shortCode(o.Code) && o.Kind == route.KindReceipt && name != "kannel" || len(o.Message) > maxID || o.Time.After(now.Add(time.Minute)) {
						t.Errorf("took %+v", o)
					}
				}
				return nil
			}})
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r, err := http.NewRequest(method, "https://hooks.example.net/receipts/"+name, bytes.NewReader([]byte(body)))
				if err != nil {
					t.Fatal(err)
				}
				r.URL.RawQuery = query
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if strings.HasPrefix(body, "{") {
					r.Header.Set("Content-Type", "application/json")
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code >= 500 {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
		}
	})
}

func FuzzInfobip(f *testing.F) {
	fuzzFormat(f, "infobip", `{"results":[{"messageId":"a","status":{"groupName":"DELIVERED","id":5},"error":{"id":1,"name":"EC"}}]}`)
}
func FuzzJasmin(f *testing.F) {
	fuzzFormat(f, "jasmin", "id=j1&message_status=DELIVRD&level=2&connector=a&err=000", "id=j&message_status=99999999999")
}
func FuzzMessageBird(f *testing.F) {
	fuzzFormat(f, "messagebird", "id=mb1&status=delivered&statusErrorCode=1")
}
func FuzzPlivo(f *testing.F) { fuzzFormat(f, "plivo", "Status=delivered&MessageUUID=p1&ErrorCode=30") }
func FuzzSinch(f *testing.F) {
	fuzzFormat(f, "sinch", `{"batch_id":"b","status":"Failed","code":404}`, `{"batch_id":"b","statuses":[{"status":"Delivered","code":"0","count":1}]}`)
}
func FuzzTelnyx(f *testing.F) {
	fuzzFormat(f, "telnyx", `{"data":{"event_type":"message.sent","payload":{"id":"x","to":[{"status":"sent"}],"errors":[{"code":1}]}}}`)
}
func FuzzTwilio(f *testing.F) {
	fuzzFormat(f, "twilio", "MessageSid=SM1&MessageStatus=failed&ErrorCode=30003")
}
func FuzzVonage(f *testing.F) {
	fuzzFormat(f, "vonage", `{"message_uuid":"a","status":"rejected","error":{"title":1}}`, "messageId=v&status=failed&err-code=6")
}
func FuzzAWS(f *testing.F) {
	fuzzFormat(f, "aws", `{"Type":"Notification","Message":"{\"eventType\":\"TEXT_SENT\"}"}`)
}
