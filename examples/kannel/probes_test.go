//go:build integration

package kannel_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/rules/route"
)

// signalbox looks at both carriers by itself while Kannel sends: at acme-uk by an account of its own, at bolt-uk by Kannel's.
// Its ladder and its messages are what they are, no receipt of Kannel's is lost to it, and a carrier that swallows is taken
// out as ever.
func TestProbesBesideLiveSenders(t *testing.T) {
	t.Parallel()
	s := startSite(t, "--probes.file", "probes.yml")
	s.startSender(t, 12)
	await(t, "both routes can be judged", func() bool { return s.known(t, acme) && s.known(t, bolt) })
	await(t, "probes have sent three messages by each route", func() bool { return s.probed(t, acme) >= 3 && s.probed(t, bolt) >= 3 })
	s.sendMore(t, 100)
	s.wantLadder(t, acme)
	s.wantLadder(t, bolt)

	order(t, s.acme, "swallow")
	swallowed := time.Now()
	demoted := s.awaitPhase(t, route.Demoted)
	t.Logf("demoted %s after the first message was swallowed", time.Since(swallowed).Round(time.Second))
	s.wantDemotion(t, demoted)
	s.wantLadder(t, acme) // it accepts as ever

	s.sender.Process.Signal(syscall.SIGUSR2)
	s.wantNothingLost(t)
	own := account(t, s.acme, "probe")
	if own.Receipts != 0 || own.Transmitters == 0 || own.ByTransmitter != own.Accepted || own.Accepted == 0 {
		t.Errorf("the probe's own account: got %+v, want a transmitter that gets no receipt", own)
	}
	shared := account(t, s.bolt, "kannel")
	if shared.Transmitters == 0 || shared.ByTransmitter == 0 || shared.Unclaimed != 0 {
		t.Errorf("Kannel's account: got %+v, want the probe's transmitter on it, and each receipt handed to Kannel", shared)
	}
	t.Logf("probes: %d messages by an account of their own, %d by Kannel's", own.Accepted, shared.ByTransmitter)
}

// watches are how the probes of a route stand, by their way.
func (s *site) watches(t *testing.T, id route.ID) map[string]route.Watch {
	t.Helper()
	out := map[string]route.Watch{}
	for _, w := range read[struct{ Probes []route.Watch }](t, s.signalbox+"/api/v1/probes?route="+string(id)).Probes {
		out[w.Way] = w
	}
	return out
}

// probed is how many messages a probe has sent by a route.
func (s *site) probed(t *testing.T, id route.ID) int {
	t.Helper()
	series := `signalbox_probe_looks_total{outcome="ok",route="` + string(id) + `",way="smpp-message"} `
	for line := range strings.Lines(get(t, s.signalbox+"/metrics")) {
		if value, is := strings.CutPrefix(line, series); is {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// wantLadder wants each step of the last looks at a route to have gone well.
func (s *site) wantLadder(t *testing.T, id route.ID) {
	t.Helper()
	watches := s.watches(t, id)
	for way, want := range map[string]string{"smpp": "bind enquire", "smpp-message": "submit"} {
		w := watches[way]
		if w.Last == nil || w.Stopped != "" || w.Error != "" {
			t.Errorf("%s %s: got %+v", id, way, w)
			continue
		}
		var went []string
		for _, step := range w.Last.Steps {
			if went = append(went, step.Name); !step.OK {
				t.Errorf("%s %s: got %+v", id, way, step)
			}
		}
		if got := strings.Join(went, " "); !strings.HasSuffix(got, want) {
			t.Errorf("%s %s: got the steps %s, want %s", id, way, got, want)
		}
	}
}
