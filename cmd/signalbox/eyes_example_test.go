package main

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/route"
)

// The example is one that works: everything that it names can be built.
func TestTheExampleOfSettingsLoads(t *testing.T) {
	for _, name := range []string{"ACME_PASSWORD", "BOLT_PASSWORD", "NOVA_KEY", "TELNYX_PUBLIC_KEY", "KANNEL_DLR_KEY", "PHONES_KEY", "TENANT", "KANNEL_STATUS_PASSWORD"} {
		t.Setenv(name, "secret")
	}
	e, err := newEyes(eyesOptions{file: "../../examples/probes/probes.yml", data: t.TempDir(), logger: slog.New(slog.DiscardHandler), known: func(route.ID) bool { return true }}, prometheus.NewRegistry())
	if err == nil {
		t.Fatalf("without a sink: got %v", e)
	}
	e, err = newEyes(eyesOptions{file: "../../examples/probes/probes.yml", data: t.TempDir(), logger: slog.New(slog.DiscardHandler), sink: discard, known: func(route.ID) bool { return true }}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]bool{}
	for _, w := range e.Watches() {
		ways[string(w.Route)+" "+w.Way] = true
	}
	for _, want := range []string{"acme-uk smpp", "acme-uk smpp-message", "bolt-uk smpp", "bolt-uk smpp-message", "nova-uk http"} {
		if !ways[want] {
			t.Errorf("no probe %s: got %v", want, ways)
		}
	}
	if now := e.current(); now.receipts == nil || now.inbound == nil || now.settings.Receipts.Routes["smppcc-1"] != "acme-uk" {
		t.Errorf("webhooks: got %+v", now)
	}
}

func discard(context.Context, []route.Observation) error { return nil }
