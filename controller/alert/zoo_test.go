package alert

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/rules/route"
)

func TestAGoodReceiverIsToldOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.decide(demotion(1), demotion(2))
		s.decide(demotion(3))
		synctest.Wait()
		s.wantIDs("1-1-1", "1-2-1", "1-3-1")
		s.wantWaiting(0)
		s.wantCounted(resultDelivered, 3)
		g := s.pager.all()[0]
		at, err := strconv.ParseInt(g.headers.Get("webhook-timestamp"), 10, 64)
		if err != nil || g.headers.Get("webhook-id") != "1-1-1" || g.headers.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("got headers %v", g.headers)
		}
		secrets, _ := parseSecrets(secretText) // the setup has read it
		if want := signature(secrets, "1-1-1", time.Unix(at, 0), g.body); g.headers.Get("webhook-signature") != want {
			t.Errorf("got signature %s, want %s", g.headers.Get("webhook-signature"), want)
		}
	})
}

// TestBadReceiversLoseNothing has receivers fail in every way for a while, and then work.
func TestBadReceiversLoseNothing(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		bad    func(http.ResponseWriter, *http.Request)
		answer string        // that is told of it
		least  time.Duration // in which it is not called again
		most   time.Duration // after which everything is delivered, from when it works
	}{
		"hangs":                  {hang, "no answer within 20s", 5 * time.Second, 3 * time.Hour},
		"redirects":              {status(302, "Location", "http://elsewhere:80/"), "302 Found, and redirects are not followed", 5 * time.Second, 3 * time.Hour},
		"fails":                  {status(500), "500 Internal Server Error", 5 * time.Second, 3 * time.Hour},
		"does not know the path": {status(404), "404 Not Found", 5 * time.Second, 3 * time.Hour},
		"throttles":              {status(429, "Retry-After", "590"), "429 Too Many Requests", 590 * time.Second, 11 * time.Minute},
		"is under maintenance":   {status(503, "Retry-After", "590"), "503 Service Unavailable", 590 * time.Second, 11 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, onePager)
				s.pager.answers(c.bad)
				elsewhere := &receiver{}
				defer s.net.serve("elsewhere:80", elsewhere)()
				s.decide(demotion(1), demotion(2), demotion(3))
				time.Sleep(time.Hour) // dead for an hour
				tries := s.pager.all()
				if len(tries) < 2 {
					t.Fatalf("got %d tries in an hour, want several", len(tries))
				}
				for i := 1; i < len(tries); i++ {
					if gap := tries[i].at.Sub(tries[i-1].at); gap < c.least {
						t.Errorf("got %s between two tries, want at least %s", gap, c.least)
					}
				}
				if r := s.alerts.receivers()[0]; r.LastAnswer != c.answer || r.Failures != len(tries) || r.Waiting != 3 || r.NextTry.IsZero() {
					t.Errorf("got %+v, want %q after %d failures, and 3 that wait", r, c.answer, len(tries))
				}
				for _, id := range s.pager.ids() {
					if id != "1-1-1" {
						t.Errorf("was told %s before the first was taken", id)
					}
				}
				failed := len(tries)
				s.pager.answers(nil)
				time.Sleep(c.most)
				if got := s.pager.ids()[failed:]; strings.Join(got, " ") != "1-1-1 1-2-1 1-3-1" {
					t.Errorf("once it works: was told %v, want all in order", got)
				}
				s.wantWaiting(0)
				s.wantCounted(resultGivenUp, 0)
				if len(elsewhere.all()) > 0 {
					t.Error("a redirect was followed")
				}
			})
		})
	}
}

func TestANewEventTriesADeadReceiverSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(500))
		s.decide(demotion(1))
		time.Sleep(time.Hour) // the next try would come an hour and a half later
		s.pager.answers(nil)
		failed := len(s.pager.all())
		s.decide(demotion(2))
		synctest.Wait()
		if got := strings.Join(s.pager.ids()[failed:], " "); got != "1-1-1 1-2-1" {
			t.Errorf("got %s at once, want both, in order", got)
		}
	})
}

func TestAReceiverThatWantsPeaceHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(429, "Retry-After", "600"))
		s.decide(demotion(1))
		synctest.Wait()
		for n := range 9 {
			time.Sleep(time.Minute)
			s.decide(demotion(n + 2)) // also with news
		}
		synctest.Wait()
		s.wantIDs("1-1-1")
	})
}

func TestGoneDisablesUntilAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(410))
		s.decide(demotion(1))
		time.Sleep(10 * time.Hour)
		s.decide(demotion(2))
		synctest.Wait()
		s.wantIDs("1-1-1")
		s.wantCounted(resultGone, 1)
		s.wantLogged("webhook disabled")
		if r := s.alerts.receivers()[0]; !r.Disabled || r.Waiting != 2 {
			t.Errorf("got %+v, want it disabled, and both to wait", r)
		}
		s.pager.answers(nil)
		s.alerts.Use(s.setup(onePager))
		time.Sleep(time.Second)
		s.wantIDs("1-1-1", "1-1-1", "1-2-1")
		if r := s.alerts.receivers()[0]; r.Disabled {
			t.Errorf("after a reload: got %+v", r)
		}
	})
}

func TestAReceiverThatStaysDeadIsGivenUpLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(500))
		s.decide(demotion(1))
		time.Sleep(giveUpAfter - time.Minute)
		s.wantWaiting(1)
		s.wantCounted(resultGivenUp, 0)
		if n := len(s.pager.all()); n < 9 || n > 11 {
			t.Errorf("got %d tries, want the 10 of the schedule, give or take the jitter", n)
		}
		time.Sleep(2 * time.Minute)
		s.wantWaiting(0)
		s.wantCounted(resultGivenUp, 1)
		s.wantLogged("alerts given up")
		if r := s.alerts.receivers()[0]; r.GivenUp != 1 {
			t.Errorf("got %+v, want one given up", r)
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(410))
		s.decide(demotion(1))
		var many []route.Decision
		for n := range lettersMost + 5 {
			many = append(many, demotion(n+2))
		}
		s.decide(many...)
		time.Sleep(2 * time.Minute)
		s.wantWaiting(lettersMost)
		s.wantCounted(resultDropped, 6)
		posted, err := s.box.Letters("pager", 0, 1)
		var e Event
		if err == nil {
			err = json.Unmarshal(posted[0].Body, &e)
		}
		if err != nil || e.ID != "1-7-1" {
			t.Errorf("got %s (%v) as the oldest, want the oldest to have gone", e.ID, err)
		}
	})
}

func TestARestartGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(500))
		s.decide(demotion(1), demotion(2))
		time.Sleep(time.Minute)
		s.stop()
		failed := len(s.pager.all())
		s.pager.answers(nil)
		s.start(onePager)
		synctest.Wait()
		if got := strings.Join(s.pager.ids()[failed:], " "); got != "1-1-1 1-2-1" {
			t.Errorf("got %s, want both, in order", got)
		}
		s.wantWaiting(0)
	})
}

func TestAReceiverThatIsStoppedAtIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		s.decide(demotion(1))
		synctest.Wait() // it hangs
		s.stop()
		s.wantWaiting(1)
		s.pager.answers(nil)
		s.start(onePager)
		synctest.Wait()
		s.wantIDs("1-1-1", "1-1-1")
		s.wantWaiting(0)
	})
}

func TestADeadReceiverIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, strings.ReplaceAll(onePager, "webhooks:", `webhooks:
  - {name: dead, url: "http://dead:80/", secret_file: secret}
  - {name: silent, url: "http://silent:80/", secret_file: secret}`))
		silent := &receiver{answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
		defer s.net.serve("silent:80", silent)()
		s.decide(demotion(1))
		s.decide(demotion(2)) // it writes to the outbox, and returns while the others hang
		synctest.Wait()
		s.wantIDs("1-1-1", "1-2-1")
		s.stop()
		for _, name := range []string{"dead", "silent"} {
			if w, err := s.box.Waiting(name); err != nil || w.Count != 2 {
				t.Errorf("%s: got %+v, %v, want both to wait", name, w, err)
			}
		}
	})
}

func TestAWebhookIsToldOnlyWhatItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, strings.Replace(onePager, "secret_file: secret", "secret_file: secret, events: [route.promoted, proposal.*]", 1))
		up, waits := demotion(2), demotion(3)
		up.From, up.To, up.Reason, up.Verdict = route.Recovering, route.Active, route.RuleCleared, route.VerdictPromote
		waits.Enforced, waits.Reason = false, route.Proposed
		s.decide(demotion(1), up, waits)
		synctest.Wait()
		s.wantIDs("1-2-1", "1-3-1")
	})
}

func TestWithoutWebhooksNothingIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, "version: 1\n")
		if letters := s.alerts.Announce([]route.Decision{demotion(1)}); letters != nil {
			t.Errorf("got %v, want nothing", letters)
		}
	})
}

func TestAFullDiskIsToldAboutAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.decide(demotion(1))
		synctest.Wait()
		s.box.fill(true)
		s.set(func(x *Scene) { x.StoreFailed = time.Now() })
		time.Sleep(lookEvery)
		synctest.Wait()
		ids := s.pager.ids()
		if len(ids) != 2 || !strings.HasPrefix(ids[1], "store-away-") {
			t.Fatalf("got %v, want the demotion and the store", ids)
		}
		time.Sleep(time.Hour)
		s.wantIDs(ids...) // once each
		s.box.fill(false)
		s.set(func(x *Scene) { x.StoreFailed = time.Time{} })
		time.Sleep(time.Minute)
		got := s.pager.ids()
		if len(got) != 3 || !strings.HasPrefix(got[2], "store-back-") {
			t.Errorf("got %v, want it to be over", got)
		}
		s.wantWaiting(0)
	})
}

func TestReceiversThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.pager.answers(status(500))
		s.decide(demotion(1))
		synctest.Wait()
		s.alerts.Use(s.setup(strings.Replace(onePager, "name: pager", "name: other", 1)))
		time.Sleep(time.Second)
		s.wantWaiting(0)
		s.wantLogged("letters discarded")
	})
}

func TestALetterThatCannotBeReadIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		if err := s.box.Announce([]Letter{{To: "pager", At: time.Now(), Body: []byte(`["of another version"]`)}}, nil); err != nil {
			t.Fatal(err)
		}
		s.decide(demotion(1))
		synctest.Wait()
		s.wantIDs("1-1-1")
		s.wantWaiting(0)
		s.wantCounted(resultDropped, 1)
		s.wantLogged("letter not understood")
	})
}

// TestADeliveryThatCannotBeNotedIsNotRepeated delivers while the outbox cannot note it: each once, until a restart.
func TestADeliveryThatCannotBeNotedIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, onePager)
		s.box.fill(true)
		s.decide(demotion(1), demotion(2))
		time.Sleep(time.Hour)
		s.wantIDs("1-1-1", "1-2-1")
		s.wantLogged("delivery not noted")
		s.box.fill(false)
		s.decide(demotion(3))
		synctest.Wait()
		s.wantIDs("1-1-1", "1-2-1", "1-3-1")
		s.wantWaiting(0)
	})
}

func TestAClockThatIsAheadGivesNothingUp(t *testing.T) {
	began := time.Now()
	s := &team{began: began, wall: began.Round(0)}
	if s.settled(began.Add(settleIn-1)) || !s.settled(began.Add(settleIn)) {
		t.Error("want nothing given up for ten minutes after a start, and then")
	}
	if d := s.ahead(began.Add(time.Hour)); d != 0 {
		t.Errorf("a clock that goes: got %s ahead", d)
	}
	s.wall = s.wall.Add(-80 * time.Hour) // as if the wall clock had been set 80 hours ahead since
	if d := s.ahead(began.Add(time.Hour)); d != 80*time.Hour {
		t.Errorf("set ahead: got %s, want 80h", d)
	}
	s.wall = began.Round(0).Add(time.Hour)
	if d := s.ahead(began.Add(time.Hour)); d != 0 {
		t.Errorf("set back: got %s, want no doubt", d)
	}
}
