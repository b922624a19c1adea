package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/controller/sender"
)

// follow runs what signalbox kannel follow runs beside Kannel, until the test ends, and hands over what it applies.
func follow(t *testing.T, server *client, name string, log *safeBuffer) <-chan *sender.Table {
	t.Helper()
	applied := make(chan *sender.Table, 16)
	c, err := newKannelSender(server, name, slog.New(slog.NewTextHandler(log, nil)), func(_ context.Context, table *sender.Table) error {
		applied <- table
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); ended.Wait() })
	return applied
}

func TestKannelFollowsATableBehindDoors(t *testing.T) {
	a := newAuthority(t)
	s := newGuarded(t, func(s *guarded, _ *daemonOptions) {
		s.secure(a, "")
		s.write("tokens.yml", "tokens:\n  - "+s.lines["sender"]+"\n  - "+s.lines["viewer"]+"\n")
		s.write("sender.token", s.tokens["sender"]+"\n")
	})
	for from, who := range map[string]credentials{
		"a file":          {tokenFile: s.path("sender.token"), caFile: s.path("ca.crt")},
		"the environment": {caFile: s.path("ca.crt")},
	} {
		t.Run(from, func(t *testing.T) {
			t.Setenv(tokenEnv, s.tokens["sender"])
			server, err := newClient("--server", "https://"+s.d.address())
			if err != nil {
				t.Fatal(err)
			}
			if err := server.present(who); err != nil {
				t.Fatal(err)
			}
			log := &safeBuffer{}
			select {
			case table := <-follow(t, server, "sender-1", log):
				if table.Generation.String() != "1-1" {
					t.Errorf("got table %s, want 1-1", table.Generation)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("no table was put into force:\n%s", log)
			}
			eventually(t, "the table confirmed", func() bool {
				_, all := s.call(a.client(), "GET", "/api/v1/senders", s.tokens["viewer"], "")
				return strings.Contains(all, `"name":"sender-1","generation":"1-1","applied":true`)
			})
		})
	}
}

// bearerbox answers a graceful restart, and says of each question that two links are online.
func bearerbox(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status.xml" {
			fmt.Fprint(w, `<gateway><smscs><smsc><id>acme</id><admin-id>acme</admin-id><status>online 60s</status></smsc><smsc><id>bolt</id><admin-id>bolt</admin-id><status>online 60s</status></smsc></smscs></gateway>`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestALaneThatIsGoneKeepsNoOtherLabelOfKannel(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "kannel.conf")
	writeText(t, conf, "group = smsc\nsmsc-id = acme\nallowed-smsc-id = \"acme;otp;promo\"\npreferred-smsc-id = \"otp;promo\"\n\n"+
		"group = smsc\nsmsc-id = bolt\nallowed-smsc-id = \"bolt;otp;promo\"\n")
	t.Setenv("KANNEL_ADMIN_PASSWORD", "admin")
	s := &kannelSettings{Config: conf, Admin: bearerbox(t), PasswordEnv: "KANNEL_ADMIN_PASSWORD",
		Labels: map[string]kannelLabel{"otp": {"otp", "GB"}, "promo": {"promo", "GB"}}}
	a, err := s.actuator(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	table, err := sender.ReadTable([]byte(`{"generation":"1-7","lanes":[{"class":"otp","network":"GB","routes":[
		{"route":"bolt","share":10000,"phase":"active"},{"route":"acme","share":0,"phase":"demoted"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err = s.apply(t.Context(), a, table, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "label promo: the table has no lane for promo/GB") {
		t.Errorf("got %v, want it said that promo has no lane", err)
	}
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`allowed-smsc-id = "acme;promo"`, `preferred-smsc-id = "promo"`, `preferred-smsc-id = "otp"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %s, got\n%s", want, text)
		}
	}
}
