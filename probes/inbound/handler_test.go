package inbound

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// got is what was told of a message.
type got struct{ from, text string }

func handler(t testing.TB, f Format) (*Handler, *[]got) {
	t.Helper()
	f.Name, f.Secret = "phones", "s3cret"
	var told []got
	set, err := NewSet([]Format{f}, func(d string) bool { return d == "447700900001" })
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{Set: set, Message: func(from, text string, _ time.Time) bool {
		told = append(told, got{from, text})
		return strings.Contains(text, "TOKEN")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h, &told
}

func call(h http.Handler, method, target, contentType, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var (
	jsonFormat = Format{From: "$.data.payload.from.number", To: "$.data.payload.to[0].number", Text: "$.data.payload.text"}
	formFormat = Format{From: "From", To: "To", Text: "Body"}
)

func TestMessagesToTestNumbersAreTold(t *testing.T) {
	const telnyx = `{"data":{"payload":{"from":{"number":"ACME"},"to":[{"number":"+447700900001"}],"text":"hello TOKEN"}}}`
	for name, c := range map[string]struct {
		format            Format
		method, query     string
		contentType, body string
		header            []string
		status            int
		outcome           string
		told              bool
	}{
		"JSON":                     {jsonFormat, "POST", "?key=s3cret", "application/json", telnyx, nil, 200, awaited, true},
		"a bearer token":           {jsonFormat, "POST", "", "application/json", telnyx, []string{"Authorization", "Bearer s3cret"}, 200, awaited, true},
		"a form":                   {formFormat, "POST", "?key=s3cret", "application/x-www-form-urlencoded", "From=ACME&To=%2B447700900001&Body=hello+TOKEN", nil, 200, awaited, true},
		"a query":                  {formFormat, "GET", "?key=s3cret&From=ACME&To=447700900001&Body=TOKEN", "", "", nil, 200, awaited, true},
		"nobody waits for it":      {formFormat, "GET", "?key=s3cret&From=ACME&To=447700900001&Body=hello", "", "", nil, 200, stranger, true},
		"another number":           {formFormat, "GET", "?key=s3cret&From=ACME&To=447700900999&Body=TOKEN", "", "", nil, 200, stranger, false},
		"no secret":                {jsonFormat, "POST", "", "application/json", telnyx, nil, 403, forbidden, false},
		"a wrong secret":           {jsonFormat, "POST", "?key=guess", "application/json", telnyx, nil, 403, forbidden, false},
		"a wrong bearer":           {jsonFormat, "POST", "?key=s3cret", "application/json", telnyx, []string{"Authorization", "Bearer guess"}, 403, forbidden, false},
		"no JSON":                  {jsonFormat, "POST", "?key=s3cret", "application/json", "{", nil, 400, malformed, false},
		"no text in it":            {jsonFormat, "POST", "?key=s3cret", "application/json", "{}", nil, 400, malformed, false},
		"a number where a list is": {jsonFormat, "POST", "?key=s3cret", "application/json", `{"data":5}`, nil, 400, malformed, false},
		"a bad form":               {formFormat, "POST", "?key=s3cret", "application/x-www-form-urlencoded", "%zz", nil, 400, malformed, false},
		"far too long":             {jsonFormat, "POST", "?key=s3cret", "application/json", strings.Repeat(" ", maxBody+1), nil, 413, malformed, false},
		"another method":           {jsonFormat, "DELETE", "?key=s3cret", "application/json", telnyx, nil, 400, malformed, false},
	} {
		h, told := handler(t, c.format)
		w := call(h, c.method, "/inbound/phones"+c.query, c.contentType, c.body, c.header...)
		if w.Code != c.status || (len(*told) == 1) != c.told {
			t.Errorf("%s: got %d %s, told %v; want %d", name, w.Code, w.Body, *told, c.status)
		}
		if c.told && (*told)[0].from != "ACME" {
			t.Errorf("%s: got from %q", name, (*told)[0].from)
		}
		if n := testutil.ToFloat64(h.calls.WithLabelValues(c.outcome)); n != 1 {
			t.Errorf("%s: counted %v as %s, want 1", name, n, c.outcome)
		}
		if strings.Contains(w.Body.String(), "s3cret") || strings.Contains(w.Body.String(), "TOKEN") {
			t.Errorf("%s: the answer tells too much: %s", name, w.Body)
		}
	}
}

func TestUnknownWebhooksAreNotThere(t *testing.T) {
	h, _ := handler(t, formFormat)
	if w := call(h, "GET", "/inbound/other?key=s3cret", "", ""); w.Code != 404 {
		t.Errorf("got %d", w.Code)
	}
}

func TestFormatsThatCannotWork(t *testing.T) {
	for want, f := range map[string]Format{
		"want a name, a secret": {Name: "x", From: "a", Text: "b"},
		"text: want a JSONPath": {Name: "x", Secret: "s", From: "a", Text: "$["},
	} {
		if _, err := NewSet([]Format{f}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("nobody to tell: got no error")
	}
}

func FuzzInbound(f *testing.F) {
	f.Add("application/json", `{"data":{"payload":{"text":"x"}}}`)
	f.Add("application/x-www-form-urlencoded", "From=a&Body=b")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		for _, format := range []Format{jsonFormat, formFormat} {
			h, _ := handler(t, format)
			if w := call(h, "POST", "/inbound/phones?key=s3cret", contentType, body); w.Code >= 500 {
				t.Errorf("got %d", w.Code)
			}
		}
	})
}

// Only a webhook that there is lets its calls in without a token: it has a secret, and refuses all without it.
func TestOnlyWebhooksThatThereAreProveTheirCalls(t *testing.T) {
	h, told := handler(t, formFormat)
	for target, want := range map[string]bool{"/inbound/phones": true, "/inbound/others": false, "/inbound/": false} {
		if got := h.Signed(httptest.NewRequest("GET", target, nil).URL); got != want {
			t.Errorf("%s: got %t, want %t", target, got, want)
		}
	}
	if w := call(h, "GET", "/inbound/phones?token=s3cret&From=ACME&To=447700900001&Body=TOKEN", "", ""); w.Code != http.StatusForbidden || len(*told) != 0 {
		t.Errorf("without the secret: got %d and %v", w.Code, *told)
	}
}
