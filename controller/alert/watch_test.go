package alert

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/rules/route"
)

// types are the types of the events that the pager was told, without "signalbox.".
func (s *site) types() []string {
	out := []string{}
	for _, g := range s.pager.all() {
		var e struct{ Type string }
		_ = json.Unmarshal(g.body, &e) // what is none has no type
		out = append(out, strings.TrimPrefix(e.Type, "signalbox."))
	}
	return out
}

func (s *site) wantTypes(want ...string) {
	s.t.Helper()
	if got := s.types(); !slices.Equal(got, want) {
		s.t.Errorf("the pager was told of %v, want %v", got, want)
	}
}

// states puts routes into the one lane of the scene.
func (s *site) states(states ...route.State) {
	s.set(func(x *Scene) {
		x.World.Lanes = []route.LaneState{{Lane: route.Lane{Class: "otp", Network: "GB"}, Routes: states}}
	})
}

// pass lets the watch look at what was set.
func pass() {
	time.Sleep(lookEvery)
	synctest.Wait()
}

func lastRoute() route.State {
	return route.State{Route: "acme-uk", Phase: route.Active, Hold: &route.Hold{Rule: "r", Verdict: route.VerdictDemote, Guard: guardMinActive, Reason: route.GuardHeld, Since: time.Now(), Seen: time.Now(), Why: "0 routes would stay active"}}
}

func TestWhatNoDecisionTellsIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		pass()
		s.wantTypes()
		s.set(func(x *Scene) { x.PolicyError, x.PolicyAt = "the policy has 3 problems", time.Now() })
		pass()
		s.wantTypes("policy.rejected")
		s.mu.Lock()
		s.lagging = []Sender{{Name: "gw-1"}}
		s.mu.Unlock()
		s.states(lastRoute())
		pass()
		s.wantTypes("policy.rejected", "lane.trouble", "sender.lagging")
		time.Sleep(time.Hour) // what goes on is told once
		s.wantTypes("policy.rejected", "lane.trouble", "sender.lagging")
		s.mu.Lock()
		s.lagging = nil
		s.mu.Unlock()
		pass()
		s.wantTypes("policy.rejected", "lane.trouble", "sender.lagging", "sender.current")
		s.set(func(x *Scene) { x.PolicyError = "" })
		s.states()
		pass()
		s.wantTypes("policy.rejected", "lane.trouble", "sender.lagging", "sender.current", "guard.freed", "lane.calm", "policy.accepted")
	})
}

// Receivers drop what has an id that they have seen.
func TestASenderThatLagsAgainIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		lag := func(senders ...Sender) {
			s.mu.Lock()
			s.lagging = senders
			s.mu.Unlock()
			time.Sleep(10 * time.Minute)
			synctest.Wait()
		}
		old := Sender{Name: "gw-1", Since: time.Now()} // it says the same all the time
		for range 2 {
			lag(old)
			lag()
		}
		s.wantTypes("sender.lagging", "sender.current", "sender.lagging", "sender.current")
		seen := map[string]bool{}
		for _, g := range s.pager.all() {
			var e struct{ ID string }
			if err := json.Unmarshal(g.body, &e); err != nil || seen[e.ID] {
				t.Errorf("got %q again (%v), want an id of its own for each event", e.ID, err)
			}
			seen[e.ID] = true
		}
	})
}

func TestAnOverrideIsToldToExpireOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.set(func(x *Scene) {
			x.World.Overrides = []route.Override{{ID: "1-2-1", Kind: route.Drain, Class: "otp", Network: "GB", Route: "acme-uk", Actor: "ann", Reason: "maintenance", Since: time.Now(), Until: time.Now().Add(2 * time.Hour)}}
		})
		time.Sleep(2*time.Hour - expiresWithin - time.Minute)
		s.wantTypes()
		time.Sleep(2 * time.Minute)
		s.wantTypes("override.expiring")
		s.set(func(x *Scene) { x.World.Overrides = nil })
		pass()
		s.wantTypes("override.expiring")
	})
}

func TestARestartNeitherRepeatsNorForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.states(lastRoute())
		s.set(func(x *Scene) { x.PolicyError = "the policy has 3 problems" })
		pass()
		s.wantTypes("lane.trouble", "policy.rejected")
		s.stop()
		s.set(func(x *Scene) { x.PolicyError, x.StoreFailed = "", time.Now() }) // the one ends and the other begins while nobody looks
		s.start(onePager)
		pass()
		s.wantTypes("lane.trouble", "policy.rejected", "store.away", "policy.accepted")
	})
}

const twoPeers = `
version: 1
external_url: https://signalbox.example.net
alertmanager:
  urls: ["http://pager:80", "http://peer:80/am/"]
  labels: {site: cork}
`

// posted is what an Alertmanager was told in one request, by alertname.
func posted(t *testing.T, g got) map[string]postable {
	t.Helper()
	var all []postable
	if err := json.Unmarshal(g.body, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]postable{}
	for _, p := range all {
		out[p.Labels["alertname"]] = p
	}
	return out
}

func TestAlertmanagersAreToldEachMinuteOfWhatHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := newSite(t, twoPeers), &receiver{}
		defer s.net.serve("peer:80", peer)()
		defer s.stop()
		pass()
		began := time.Now()
		s.states(route.State{Route: "acme-uk", Phase: route.Demoted, Since: began, Text: "of 58 messages none came back", Decision: "1-43-1"})
		pass()
		for name, r := range map[string]*receiver{"the first": s.pager, "the second": peer} {
			all := r.all()
			p, there := posted(t, all[len(all)-1])["SignalboxRouteDemoted"]
			if !there || p.Labels["route"] != "acme-uk" || p.Labels["site"] != "cork" || p.Labels["severity"] != "warning" || p.Annotations["decision"] != "1-43-1" ||
				!p.StartsAt.Equal(began) || !p.EndsAt.After(time.Now().Add(4*time.Minute)) || p.GeneratorURL == "" {
				t.Errorf("%s peer: got %+v, want the demotion", name, p)
			}
		}
		n := len(s.pager.all())
		time.Sleep(10*time.Minute + time.Second)
		if got := len(s.pager.all()) - n; got != 10 {
			t.Errorf("in ten minutes: got %d requests, want 10", got)
		}
		s.states()
		pass()
		over := time.Now()
		for range 5 {
			all := s.pager.all()
			alerts := posted(t, all[len(all)-1])
			if p, there := alerts["SignalboxRouteDemoted"]; !there || p.EndsAt.After(over) {
				t.Errorf("got %+v (%t), want it resolved", p, there)
			}
			if w := alerts["SignalboxWatchdog"]; !w.EndsAt.After(time.Now()) {
				t.Errorf("got %+v, want the watchdog to hold", w)
			}
			time.Sleep(time.Minute - time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(2 * time.Minute)
		all := s.pager.all()
		if p, there := posted(t, all[len(all)-1])["SignalboxRouteDemoted"]; there {
			t.Errorf("after more than five minutes: still got %+v", p)
		}
	})
}

func TestOneDeadAlertmanagerIsNotInTheWayOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, twoPeers) // nobody listens at the second
		defer s.stop()
		pass()
		s.pager.answers(status(500))
		time.Sleep(time.Hour)
		if n := len(s.pager.all()); n < 55 || n > 70 {
			t.Errorf("one that fails: got %d requests in an hour, want about one a minute", n)
		}
		s.pager.answers(nil)
		s.states(route.State{Route: "acme-uk", Phase: route.Demoted, Since: time.Now()})
		time.Sleep(resendEvery + time.Second)
		all := s.pager.all()
		if _, there := posted(t, all[len(all)-1])["SignalboxRouteDemoted"]; !there {
			t.Error("once it works: want the demotion within a minute")
		}
		r := s.alerts.receivers()
		if r[0].Failures != 0 || r[1].Failures < 55 || r[1].LastAnswer != "connection refused" {
			t.Errorf("got %+v, want the first well and the second refused", r)
		}
		if got := s.alerts.history.newest(); len(got) != 4 { // how each began, the failure, and the recovery
			t.Errorf("got %d in the log of deliveries, want 4: %+v", len(got), got)
		}
	})
}

func TestManyAlertsGoInSeveralRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := newSite(t, twoPeers), &receiver{}
		defer s.net.serve("peer:80", peer)()
		defer s.stop()
		pass()
		n := len(peer.all())
		var many []route.State
		for i := range 1200 {
			many = append(many, route.State{Route: route.ID("r" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()), Phase: route.Demoted, Since: time.Now()})
		}
		s.states(many...)
		pass()
		seen := 0
		for _, g := range peer.all()[n:] {
			var all []postable
			if err := json.Unmarshal(g.body, &all); err != nil || len(all) > alertsMost {
				t.Errorf("got %d alerts in a request (%v), want at most %d", len(all), err, alertsMost)
			}
			seen += len(all)
		}
		if seen != 1201 {
			t.Errorf("got %d alerts, want 1200 and the watchdog", seen)
		}
	})
}

func TestATestOfReceivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, strings.Replace(twoPeers, "alertmanager:\n", "webhooks:\n  - {name: hook, url: \"http://hook:80/\", secret_file: secret}\nalertmanager:\n", 1))
		defer s.stop()
		hook := &receiver{answer: status(500)}
		defer s.net.serve("hook:80", hook)()
		s.decide(demotion(1))
		synctest.Wait()
		hook.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("thank\n\x1b[31myou")) })
		tried, err := s.alerts.Try(t.Context(), "")
		if err != nil || len(tried) != 3 {
			t.Fatalf("got %v, %v, want three", tried, err)
		}
		if x := tried[0]; x.Receiver != "hook" || x.Result != resultDelivered || x.Answer != "200 OK" || x.Said != "thank ?[31myou" {
			t.Errorf("got %+v", x)
		}
		if x := tried[1]; x.Receiver != "alertmanager/pager:80" || x.Result != resultDelivered {
			t.Errorf("got %+v", x)
		}
		if x := tried[2]; x.Receiver != "alertmanager/peer:80/am" || x.Result != resultFailed || x.Answer != "connection refused" {
			t.Errorf("got %+v", x)
		}
		synctest.Wait()
		if all := hook.all(); len(all) != 3 || all[2].headers.Get("webhook-id") != "1-1-1" {
			t.Errorf("got %d requests, want the failure, the test, and then at once what waited", len(all))
		}
		if _, err := s.alerts.Try(t.Context(), "hok"); err == nil || !strings.Contains(err.Error(), `got "hok" (did you mean "hook"?)`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestANoteThatCannotBeReadStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.stop()
		if err := s.box.Announce(nil, []Note{{"of another version", []byte(`[1]`)}, {"SignalboxStoreAway||||", []byte(`{"about":{"kind":"another"}}`)}}); err != nil {
			t.Fatal(err)
		}
		s.start(onePager)
		pass()
		s.wantTypes()
		s.wantLogged("what held was not understood")
		if notes, err := s.box.Notes(); err != nil || len(notes) != 0 {
			t.Errorf("got notes %v, %v, want none", notes, err)
		}
	})
}

func TestAfterAStartSendersHaveTimeToSayWhatTheyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		lag := func(senders ...Sender) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lagging = senders
		}
		lag(Sender{Name: "gw-1"}, Sender{Name: "gw-2"})
		pass()
		s.wantTypes("sender.lagging", "sender.lagging")
		s.stop()
		lag() // who starts knows no sender yet
		s.start(onePager)
		time.Sleep(sendersKnown / 2)
		lag(Sender{Name: "gw-2"}) // one says that it still does
		s.wantTypes("sender.lagging", "sender.lagging")
		time.Sleep(sendersKnown)
		s.wantTypes("sender.lagging", "sender.lagging", "sender.current")
	})
}
