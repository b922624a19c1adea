package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

// forgedPolicy takes a route out whose codes nobody enters.
const forgedPolicy = `
version: 1
routes:
  acme: {provider: acme, networks: [GB]}
  bolt: {provider: bolt, networks: [GB]}
classes: {otp: {mode: act, within: 30s}}
lanes: [{class: otp, network: GB, order: [acme, bolt]}]
rules:
  - name: codes-not-entered
    class: [otp]
    demote: {when: conversion.evidence >= 12.0}
    promote: {when: conversion.recovered >= 4.6}
guards: {corroborate: {class: [otp]}}
`

// postLines posts events to a running signalbox.
func postLines(t *testing.T, url string, lines []string) {
	t.Helper()
	response, err := http.Post(url+"/events", "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body) // what is missing shows below
	var said struct {
		Accepted int
		Refused  []struct{ Why string }
	}
	if err := json.Unmarshal(body, &said); err != nil || len(said.Refused) > 0 {
		t.Fatalf("got %s, %v", body, err)
	}
}

// A carrier forges a receipt DELIVRD for each message that it swallows. Its receipts look perfect, and it is demoted all the
// same, because nobody enters the codes.
func TestForgedReceiptsAreFoundByConversions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a round or two in real time")
	}
	url := startSeeing(t, forgedPolicy, "")
	end := time.Now().UTC()
	start, forged := end.Add(-20*time.Minute), end.Add(-3*time.Minute)
	chance := rand.New(rand.NewPCG(1, 2))
	var lines []event
	say := func(at time.Time, format string, args ...any) {
		lines = append(lines, event{at, fmt.Sprintf(format, args...)})
	}
	for _, id := range []string{"acme", "bolt"} {
		say(start.Add(-time.Second), `{"type":"baseline","time":%q,"route":%q,"class":"otp","network":"GB","delivered":0.95,"failed":0.02,"conversion":0.8,"ages":[2,5,10,20,30,60],"cdf":[0.3,0.7,0.9,0.97,0.99,1],"conversion_cdf":[0,0.1,0.4,0.8,0.95,1],"messages":5000}`,
			start.Add(-time.Second).Format(time.RFC3339Nano), id)
	}
	for at := start; at.Before(end); at = at.Add(10 * time.Second) {
		say(at, `{"type":"heartbeat","time":%q,"source":"gw-1","routes":["acme","bolt"]}`, at.Format(time.RFC3339Nano))
	}
	n := 0
	for at := start; at.Before(end); at = at.Add(250 * time.Millisecond) {
		for _, id := range []string{"acme", "bolt"} {
			n++
			message := fmt.Sprint("m-", n)
			say(at, `{"type":"submit","time":%q,"id":%q,"route":%q,"class":"otp","network":"GB","result":"accepted","source":"gw-1"}`, at.Format(time.RFC3339Nano), message, id)
			swallowed := id == "acme" && at.After(forged)
			if took := time.Duration(1000+chance.IntN(6000)) * time.Millisecond; (swallowed || chance.Float64() < 0.95) && at.Add(took).Before(end) {
				say(at.Add(took), `{"type":"receipt","time":%q,"id":%q,"route":%q,"status":"delivered","source":"gw-1"}`, at.Add(took).Format(time.RFC3339Nano), message, id)
			}
			if took := time.Duration(6000+chance.IntN(20000)) * time.Millisecond; !swallowed && chance.Float64() < 0.8 && at.Add(took).Before(end) {
				say(at.Add(took), `{"type":"conversion","time":%q,"id":%q,"route":%q,"source":"gw-1"}`, at.Add(took).Format(time.RFC3339Nano), message, id)
			}
		}
	}
	postLines(t, url, inOrder(lines))
	getJSON(t, url+"/routes", isDemoted("acme"))
	decisions := getJSON(t, url+"/api/v1/decisions", func(d struct{ Decisions []route.Decision }) bool { return len(d.Decisions) > 0 })
	if d := decisions.Decisions[0]; d.Route != "acme" || d.Rule != "codes-not-entered" || !d.Enforced {
		t.Errorf("got %+v", d)
	}
}

// event is a line of /events and its time.
type event struct {
	at   time.Time
	line string
}

func inOrder(events []event) []string {
	sortEvents(events)
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = e.line
	}
	return lines
}

// handsetPolicy believes nothing but what a phone shows.
const handsetPolicy = `
version: 1
routes:
  acme: {provider: acme, networks: [GB]}
  bolt: {provider: bolt, networks: [GB]}
classes: {otp: {mode: act}}
lanes: [{class: otp, network: GB, order: [acme, bolt]}]
rules:
  - name: not-on-the-phone
    class: [otp]
    demote: {when: 'probe["handset"].failures >= 3'}
    promote: {when: 'probe["handset"].successes >= 3'}
`

// Two providers send each message's receipt at once, delivered. One of them delivers.
func TestForgedReceiptsAreFoundByHandsets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some rounds in real time")
	}
	t.Setenv("PHONES_KEY", "s3cret")
	var signalbox string // set before the first probe: its providers are asked by nothing else
	provider := func(id string, honest bool) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m struct{ To, Text string }
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.To != "447700900001" {
				t.Errorf("got %+v, %v", m, err)
			}
			message := id + "-" + strings.TrimPrefix(m.Text, "Test ")
			fmt.Fprintf(w, `{"id":%q}`, message)
			go func() {
				receipt := fmt.Sprintf(`{"data":{"event_type":"message.finalized","payload":{"id":%q,"to":[{"status":"delivered"}]}}}`, message)
				postTo(signalbox+"/receipts/telnyx?route="+id, receipt)
				if honest {
					shown, _ := json.Marshal(map[string]string{"from": "Probe", "to": "+447700900001", "text": m.Text}) // of texts it cannot fail
					postTo(signalbox+"/inbound/phones?key=s3cret", string(shown))
				}
			}()
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	settings := `
version: 1
numbers: {uk: {number: "447700900001", network: GB}}
budget: {messages: 1000}
inbound: {phones: {secret: {env: PHONES_KEY}, from: $.from, to: $.to, text: $.text}}
routes:
`
	for id, honest := range map[string]bool{"acme": false, "bolt": true} {
		settings += fmt.Sprintf("  %s: {http: {every: 1s, method: POST, url: %q, body: '{\"to\":{{json .Number}},\"text\":{{json .Text}}}', message_id: $.id, message: {numbers: [uk], from: Probe, receipt: 1s, handset: 1s}}}\n", id, provider(id, honest))
	}
	signalbox = startSeeing(t, handsetPolicy, settings)
	getJSON(t, signalbox+"/routes", isDemoted("acme"))
	type explained struct{ Probes []route.Watch }
	why := getJSON(t, signalbox+"/api/v1/explain?route=acme&class=otp&network=GB", func(e explained) bool { return len(e.Probes) == 1 && e.Probes[0].Last != nil })
	said := map[string]bool{}
	for _, s := range why.Probes[0].Last.Steps {
		said[s.Name] = s.OK
	}
	if !said["receipt"] || said["handset"] {
		t.Errorf("acme: got %+v, want a receipt and no message on the phone", why.Probes[0].Last.Steps)
	}
	bolt := getJSON(t, signalbox+"/api/v1/lanes/otp/GB", func(l struct {
		Routes []struct {
			Route   route.ID
			Signals *route.Signals
		}
	}) bool {
		return len(l.Routes) == 2
	})
	for _, r := range bolt.Routes {
		if r.Route == "bolt" && (r.Signals == nil || r.Signals.Probes["handset"].Successes == 0) {
			t.Errorf("bolt: got %+v", r.Signals)
		}
	}
}

func postTo(url, body string) {
	response, err := http.Post(url, "application/json", bytes.NewReader([]byte(body)))
	if err == nil { // the test may have ended
		response.Body.Close()
	}
}

func sortEvents(events []event) {
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
}
