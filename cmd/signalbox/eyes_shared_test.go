package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/probes/smpp"
	"signalbox/probes/smsctest"
	"signalbox/rules/route"
)

// A probe shares the account of a gateway, as a transmitter, which gets no receipts. The SMSC hands those of its messages to
// the gateway, which posts them to /events like all others: they are the probe's, and count nowhere else.
func TestReceiptsOfProbesComeBackByTheGatewaysEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or two in real time")
	}
	behaviour := smsctest.Healthy()
	behaviour.Delay = smsctest.LogNormal(50*time.Millisecond, 0)
	carrier := startCarrier(t, smsctest.Options{Behaviour: &behaviour, SystemID: "shared", Password: "s3cret"})
	t.Setenv("SHARED", "s3cret")
	url := startSeeing(t, bindPolicy, fmt.Sprintf(`
version: 1
defaults: {every: 1s, recheck: 500ms, timeout: 2s}
numbers: {uk: {number: "447700900001", network: GB}}
budget: {messages: 100}
routes:
  acme:
    smpp: {address: %q, system_id: shared, password: {env: SHARED}}
    message: {every: 1s, numbers: [uk], from: Probe, receipt: 20s}
`, carrier.Addr()))
	gateway, err := smpp.Dial(t.Context(), smpp.Options{Addr: carrier.Addr(), SystemID: "shared", Password: "s3cret", Bind: smpp.Transceiver})
	if err != nil {
		t.Fatal(err)
	}
	posted := make(chan int)
	go func() {
		n := 0
		defer func() { posted <- n }()
		for d := range gateway.Deliveries() {
			r, err := smpp.ParseReceipt(d)
			if err != nil {
				t.Errorf("the gateway got what is no receipt: %v", err)
				continue
			}
			postLines(t, url, []string{fmt.Sprintf(`{"type":"receipt","time":%q,"id":%q,"route":"acme","status":%q}`, d.Received.UTC().Format(time.RFC3339Nano), r.ID, r.State)})
			n++
		}
	}()
	type probed struct{ Probes []route.Watch }
	step := func(p probed, name string) *route.Step {
		for _, w := range p.Probes {
			if w.Way == "smpp-message" && w.Last != nil {
				for i := range w.Last.Steps {
					if w.Last.Steps[i].Name == name {
						return &w.Last.Steps[i]
					}
				}
			}
		}
		return nil
	}
	got := getJSON(t, url+"/api/v1/probes?route=acme", func(p probed) bool { return step(p, "receipt") != nil })
	if s := step(got, "receipt"); !s.OK || s.Said != "delivered" {
		t.Errorf("got %+v, want it delivered", s)
	}
	if err := gateway.Close(); err != nil {
		t.Error(err)
	}
	if n := <-posted; n == 0 {
		t.Error("the gateway posted no receipt: this test shows nothing")
	}
	for _, series := range []string{`signalbox_events_total{type="receipt"}`, "signalbox_receipts_unmatched_total"} {
		if n := metricOf(t, url, series); n != 0 {
			t.Errorf("%s: got %v, want 0: it is no receipt of a sender", series, n)
		}
	}
}

// An account's webhook counts what its provider calls sent as submits. A probe's message is none of the senders': what counts
// of it, if it was told before anybody knew whose it is, has its receipt too.
func TestMessagesOfProbesAreNoSubmitsWithoutReceipts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second or two in real time")
	}
	var signalbox string // set before the first probe
	hook := func(event, status, id string) {
		postTo(signalbox+"/receipts/telnyx?route=acme&class=otp&network=GB&count=sent", fmt.Sprintf(`{"data":{"event_type":%q,"payload":{"id":%q,"to":[{"status":%q}]}}}`, event, id, status))
	}
	var n atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		id := fmt.Sprint("p-", n.Add(1))
		if n.Load()%2 == 0 {
			hook("message.sent", "sent", id) // it overtakes the answer
		}
		fmt.Fprintf(w, `{"id":%q}`, id)
		go func() {
			hook("message.sent", "sent", id)
			hook("message.finalized", "delivered", id)
		}()
	}))
	t.Cleanup(provider.Close)
	signalbox = startSeeing(t, bindPolicy, fmt.Sprintf(`
version: 1
numbers: {uk: {number: "447700900001", network: GB}}
budget: {messages: 6}
routes: {acme: {http: {every: 200ms, method: POST, url: %q, message_id: $.id, message: {numbers: [uk], receipt: 20s}}}}
`, provider.URL))
	looks := `signalbox_probe_looks_total{outcome="ok",route="acme",way="http"}`
	awaitThat(t, "six messages are sent, and looked at to their receipts", func() bool {
		got, _ := seriesOf(t, signalbox, looks)
		return n.Load() == 6 && got == 6
	})
	awaitThat(t, "no message of a sender is open", func() bool { return metricOf(t, signalbox, "signalbox_messages_open") == 0 })
	if got := metricOf(t, signalbox, `signalbox_events_total{type="receipt"}`); got < 3 {
		t.Errorf("receipts that count: got %v, want at least those of the three messages that were told of before", got)
	}
}
