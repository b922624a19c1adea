package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/controller/alert"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// hooked is one call of a webhook.
type hooked struct {
	headers http.Header
	body    []byte
}

// startHook serves a webhook that takes what it is told.
func startHook(t *testing.T) (url string, calls <-chan hooked) {
	t.Helper()
	had := make(chan hooked, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is cut off has no valid signature
		had <- hooked{r.Header.Clone(), body}
	}))
	t.Cleanup(s.Close)
	return s.URL, had
}

// valid reports whether a call has a valid signature, checked by hand as the specification says.
func (h hooked) valid() (bool, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.headers.Get("Webhook-Id"), h.headers.Get("Webhook-Timestamp"), h.body)
	return h.headers.Get("Webhook-Signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), err
}

func (h hooked) signed(t *testing.T) bool {
	t.Helper()
	ok, err := h.valid()
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// nextCall is the next call, within a minute.
func nextCall(t *testing.T, calls <-chan hooked) hooked {
	t.Helper()
	select {
	case h := <-calls:
		return h
	case <-time.After(time.Minute):
		t.Fatal("the webhook was not told within a minute")
		panic("unreachable")
	}
}

// alerting are settings of one webhook; the secret lies beside them.
func alerting(t *testing.T, dir, url string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "alerts.yml")
	writeText(t, filepath.Join(dir, "secret"), hookSecret+"\n")
	writeText(t, file, "version: 1\nwebhooks: [{name: pager, url: \""+url+"\", secret_file: secret}]\n")
	return file
}

// A demotion reaches a webhook with a valid signature, by the whole daemon.
func TestADemotionReachesAWebhook(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a round or two in real time")
	}
	sick := smsctest.Healthy()
	sick.BindStatus = smsctest.StatusBindFail
	acme, bolt := startCarrier(t, smsctest.Options{Behaviour: &sick}), startCarrier(t, smsctest.Options{})
	hook, calls := startHook(t)
	dir := t.TempDir()
	o := daemonOptions{policy: filepath.Join(dir, "policy.yml"), data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act,
		logger: slog.New(slog.DiscardHandler), probes: filepath.Join(dir, "probes.yml"), alerts: alerting(t, dir, hook)}
	writeText(t, o.policy, bindPolicy)
	writeText(t, o.probes, probing(map[string]string{"acme": acme.Addr(), "bolt": bolt.Addr()}))
	url := startWith(t, o)
	var e struct {
		ID, Type, Subject, Sequence string
		Data                        struct{ Decision route.Decision }
	}
	for e.Type != "signalbox.route.demoted" { // a guard may have held it first
		h := nextCall(t, calls)
		if !h.signed(t) || h.headers.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("got headers %v, want a valid signature", h.headers)
		}
		if err := json.Unmarshal(h.body, &e); err != nil || h.headers.Get("Webhook-Id") != e.ID {
			t.Fatalf("got %s, %v", h.body, err)
		}
	}
	if e.Subject != "acme" || e.Data.Decision.ID != e.ID || !strings.HasPrefix(e.ID, e.Sequence+"-") {
		t.Errorf("got %+v, want the demotion of acme with its decision", e)
	}
	getJSON(t, url+"/api/v1/decisions/"+e.ID, func(d route.Decision) bool { return d.ID == e.ID })
	report := getJSON(t, url+"/api/v1/alerts", func(r alert.Report) bool {
		return len(r.Alerts) > 1 && len(r.Deliveries) > 0 && r.Receivers[0].Waiting == 0
	})
	if d := report.Deliveries[len(report.Deliveries)-1]; d.Receiver != "pager" || d.Result != "delivered" || d.Answer != "200 OK" {
		t.Errorf("log of deliveries: got %+v", report.Deliveries)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"alert", "test", "--server", url, "pager"}, &out, io.Discard); code != exitDone || out.String() != "pager  delivered  200 OK\n" {
		t.Errorf("alert test: got %d %q", code, &out)
	}
	if h := nextCall(t, calls); !h.signed(t) || !strings.Contains(string(h.body), `"type":"signalbox.test"`) {
		t.Errorf("alert test: the webhook got %s", h.body)
	}
}

// startWith runs a daemon until the test ends.
func startWith(t *testing.T, o daemonOptions) (url string) {
	t.Helper()
	d, err := newDaemon(o)
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, d)
	return "http://" + d.address()
}

func TestSettingsOfAlertsAreReadAgainWholeOrNotAtAll(t *testing.T) {
	hook, calls := startHook(t)
	dir := t.TempDir()
	o := daemonOptions{policy: filepath.Join(dir, "policy.json"), data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act,
		logger: slog.New(slog.DiscardHandler), alerts: alerting(t, dir, hook)}
	writeText(t, o.policy, lawsPolicy)
	url := startWith(t, o)
	receivers := func(name string) {
		t.Helper()
		getJSON(t, url+"/api/v1/alerts", func(r alert.Report) bool { return len(r.Receivers) == 1 && r.Receivers[0].Name == name })
	}
	receivers("pager")
	writeText(t, o.alerts, "version: 1\nwebhooks: [{name: other, url: nowhere, secret_file: secret}]\n")
	if code, body := reloadAt(t, url); code != http.StatusUnprocessableEntity || !strings.Contains(body, "alerts.yml:2:31: webhooks[0].url: want a URL that begins with") {
		t.Errorf("got %d %s, want the problem and its place", code, body)
	}
	receivers("pager")
	alerting(t, dir, hook)
	writeText(t, o.policy, `{"version":1}`) // nor do good settings come into force with a bad policy
	writeText(t, o.alerts, "version: 1\nwebhooks: [{name: other, url: \""+hook+"\", secret_file: secret}]\n")
	if code, _ := reloadAt(t, url); code != http.StatusUnprocessableEntity {
		t.Errorf("with a bad policy: got %d", code)
	}
	receivers("pager")
	if h := nextCall(t, calls); !h.signed(t) || !strings.Contains(string(h.body), "signalbox.policy.rejected") {
		t.Errorf("got %s, want the webhook to be told of the policy", h.body)
	}
	writeText(t, o.policy, lawsPolicy)
	if code, body := reloadAt(t, url); code != http.StatusOK {
		t.Errorf("got %d %s", code, body)
	}
	receivers("other")
}

func reloadAt(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Post(url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestADaemonThatTellsNobodySaysSo(t *testing.T) {
	dir := t.TempDir()
	o := daemonOptions{policy: filepath.Join(dir, "policy.json"), data: filepath.Join(dir, "data"), listen: "127.0.0.1:0", mode: route.Act, logger: slog.New(slog.DiscardHandler)}
	writeText(t, o.policy, lawsPolicy)
	url := startWith(t, o)
	getJSON(t, url+"/api/v1/alerts", func(r alert.Report) bool { return r.Receivers != nil && len(r.Receivers) == 0 })
	var out, complaint bytes.Buffer
	if code := run(t.Context(), []string{"alert", "test", "--server", url}, &out, &complaint); code != exitWrong || !strings.Contains(complaint.String(), "runs without --alerts.file") {
		t.Errorf("got %d %s", code, &complaint)
	}
}

// The example says what it says, once there are the secrets that it names.
func TestTheExampleOfAlertsLoads(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(root + "/examples/alerts/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "alerts.yml")
	writeText(t, file, string(text))
	if _, err := alert.Load(file); err == nil {
		t.Error("without its secrets: want a problem for each")
	}
	writeText(t, filepath.Join(dir, "pager-secret"), hookSecret)
	writeText(t, filepath.Join(dir, "chat-url"), "https://chat.example.net/T0/B0\n")
	t.Setenv("CHAT_SECRET", hookSecret+" "+hookSecret)
	setup, err := alert.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(setup.Receivers(), " "); got != "pager chat alertmanager/am-1.example.net:9093 alertmanager/am-2.example.net:9093" {
		t.Errorf("got %s", got)
	}
}

func TestStatusOfAlertsForPeople(t *testing.T) {
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	r := alert.Report{
		Receivers: []alert.Receiver{
			{Name: "pager", Kind: "webhook", Waiting: 3, Oldest: ago(time.Hour), LastTry: ago(25 * time.Minute), LastAnswer: "500 Internal Server Error", Failures: 3, NextTry: noon.Add(95 * time.Minute)},
			{Name: "chat", Kind: "webhook", Waiting: 1, Oldest: ago(2 * time.Minute), LastTry: ago(2 * time.Minute), LastAnswer: "410 Gone", Disabled: true, GivenUp: 1},
			{Name: "alertmanager/am-1:9093", Kind: "alertmanager", LastTry: ago(20 * time.Second), LastAnswer: "connection refused", Failures: 2},
		},
		Alerts: []alert.Alert{{Labels: map[string]string{"severity": "warning"}, Since: ago(time.Hour), Summary: "acme-uk in otp/GB is demoted"}},
		Deliveries: []alert.Attempt{{Time: ago(25 * time.Minute), Receiver: "pager", Event: "1-43-1", Type: alert.RouteDemoted, Result: "failed", Answer: "500 Internal Server Error"},
			{Time: ago(time.Hour), Receiver: "alertmanager/am-1:9093", Result: "delivered", Answer: "200 OK"}, {Time: ago(2 * time.Hour)}},
	}
	var out bytes.Buffer
	if err := printReport(&out, &r, 2, noon); err != nil {
		t.Fatal(err)
	}
	want := `RECEIVER                WAITING  OLDEST             LAST TRY            ANSWER
pager                   3        11:00:00 (1h ago)  11:35:00 (25m ago)  500 Internal Server Error; 3 failures in a row, next in 1h35m
chat                    1        11:58:00 (2m ago)  11:58:00 (2m ago)   410 Gone; disabled until a reload; 1 event given up
alertmanager/am-1:9093  -        -                  11:59:40 (20s ago)  connection refused; 2 failures in a row

SEVERITY  SINCE              HOLDS NOW
warning   11:00:00 (1h ago)  acme-uk in otp/GB is demoted

DELIVERY            RECEIVER                EVENT                 RESULT
11:35:00 (25m ago)  pager                   route.demoted 1-43-1  failed: 500 Internal Server Error
11:00:00 (1h ago)   alertmanager/am-1:9093  all that holds        delivered: 200 OK
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
