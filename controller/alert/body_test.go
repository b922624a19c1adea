package alert

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// TestSignatureOfTheSpecification is the example that the Standard Webhooks libraries are tested by.
func TestSignatureOfTheSpecification(t *testing.T) {
	secrets, err := parseSecrets(secretText)
	if err != nil {
		t.Fatal(err)
	}
	got := signature(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	other := "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	for text, want := range map[string]int{secretText: 1, " " + secretText + "\n": 1, secretText + "\n" + other: 2,
		"": 0, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": 0, "whsec_c2hvcnQ=": 0, "whsec_!": 0, secretText + " " + other + " " + secretText: 0} {
		got, err := parseSecrets(text)
		if len(got) != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %d secrets, %v, want %d", text, len(got), err, want)
		}
		if err != nil && strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
	both, _ := parseSecrets(secretText + " " + other) // as above
	one, two := signature(both[:1], "a", noon, nil), signature(both[1:], "a", noon, nil)
	if got := signature(both, "a", noon, nil); got != one+" "+two {
		t.Errorf("while one takes the other's place: got %s, want both", got)
	}
}

func golden(t *testing.T, got []byte, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &a); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func fixed() *Event {
	d := demotion(43)
	d.Time = noon
	e := Tell(&d)[0]
	e.Decision = nil
	return &e
}

func TestCloudEvent(t *testing.T) {
	s := &Settings{Source: "signalbox-eu", ExternalURL: "https://signalbox.example.net/"}
	golden(t, cloudEventBody(s, "", fixed()), `{"specversion":"1.0","id":"1-43-1","source":"signalbox-eu","type":"signalbox.route.demoted","subject":"acme-uk","time":"2026-11-25T12:00:00Z",
		"datacontenttype":"application/json","sequence":"1-43","data":{"summary":"acme-uk demoted in otp/GB by receipts-collapse","text":"of 58 messages since 09:59:40 none came back",
		"severity":"warning","over":false,"class":"otp","network":"GB","route":"acme-uk","url":"https://signalbox.example.net/api/v1/explain?class=otp&network=GB&route=acme-uk"}}`)
}

func TestAlertmanagerPayload(t *testing.T) {
	e := fixed()
	golden(t, alertmanagerBody(&Settings{}, "pager", e), `{"version":"4","groupKey":"{}:{alertname=\"SignalboxRouteDemoted\", class=\"otp\", network=\"GB\", route=\"acme-uk\", severity=\"warning\"}",
		"truncatedAlerts":0,"status":"firing","receiver":"pager","externalURL":"",
		"groupLabels":{"alertname":"SignalboxRouteDemoted","class":"otp","network":"GB","route":"acme-uk","severity":"warning"},
		"commonLabels":{"alertname":"SignalboxRouteDemoted","class":"otp","network":"GB","route":"acme-uk","severity":"warning"},
		"commonAnnotations":{"summary":"acme-uk demoted in otp/GB by receipts-collapse","event":"signalbox.route.demoted","description":"of 58 messages since 09:59:40 none came back"},
		"alerts":[{"status":"firing","labels":{"alertname":"SignalboxRouteDemoted","class":"otp","network":"GB","route":"acme-uk","severity":"warning"},
		"annotations":{"summary":"acme-uk demoted in otp/GB by receipts-collapse","event":"signalbox.route.demoted","description":"of 58 messages since 09:59:40 none came back"},
		"startsAt":"2026-11-25T12:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"`+fingerprint(e.About.labels(nil))+`"}]}`)
	up := decision(route.Recovering, route.Active, route.VerdictPromote, true, route.RuleCleared)
	var resolved hookPayload
	back := Tell(&up)[0]
	back.Time = noon
	if err := json.Unmarshal(alertmanagerBody(&Settings{}, "pager", &back), &resolved); err != nil {
		t.Fatal(err)
	}
	if a := resolved.Alerts[0]; resolved.Status != "resolved" || a.Status != "resolved" || !a.EndsAt.Equal(noon) || a.Fingerprint != fingerprint(e.About.labels(nil)) {
		t.Errorf("promoted: got %+v, want it to resolve the same alert", resolved)
	}
}

func TestIdentityIsNotTheGeneration(t *testing.T) {
	a, b := demotion(1), demotion(2)
	b.Policy, b.Rule, b.Text = "git:other", "another", "another text"
	if x, y := Tell(&a)[0].About, Tell(&b)[0].About; x != y || fingerprint(x.labels(nil)) != fingerprint(y.labels(nil)) {
		t.Errorf("got %+v and %+v, want one identity", x, y)
	}
	labels := Tell(&a)[0].About.labels(map[string]string{"site": "cork"})
	if want := map[string]string{"alertname": "SignalboxRouteDemoted", "route": "acme-uk", "class": "otp", "network": "GB", "severity": "warning", "site": "cork"}; fmt.Sprint(labels) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", labels, want)
	}
}

func TestALongEventIsCutToWhatReceiversTake(t *testing.T) {
	d := demotion(1)
	d.Text = strings.Repeat("<ü\n", 20_000)
	for range 300 {
		d.Guards = append(d.Guards, route.GuardResult{Guard: "velocity", Result: "hold", Why: strings.Repeat("x", 100)})
		d.Alternatives = append(d.Alternatives, route.Alternative{Route: "bolt-uk", Why: strings.Repeat("y", 100)})
	}
	e := Tell(&d)[0]
	h := &hook{name: "pager"}
	for _, h.format = range []string{FormatCloudEvents, FormatAlertmanager} {
		body := h.render(&Settings{}, &e).body
		if len(body) > bodyMost || !json.Valid(body) || !strings.Contains(string(body), "1-1-1") {
			t.Errorf("%s: got %d bytes, want at most %d, with the id", h.format, len(body), bodyMost)
		}
	}
	if len(d.Guards) != 300 || len(e.Decision.Guards) != 300 {
		t.Error("the event itself was cut")
	}
}
