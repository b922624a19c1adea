package main

import (
	"context"
	"log/slog"
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
