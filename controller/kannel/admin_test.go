package kannel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// box answers as bearerbox 1.4.5 was seen to: 200 to everything. Against the real one, see examples/kannel.
type box struct {
	status  string
	asked   []string
	refuses bool
}

func (b *box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	command := strings.TrimPrefix(r.URL.Path, "/")
	b.asked = append(b.asked, command+" "+r.URL.Query().Get("smsc"))
	switch {
	case r.URL.Query().Get("password") != "admin":
		fmt.Fprint(w, "<?xml version=\"1.0\"?>\n<gateway>\nDenied</gateway>")
	case command == "status.xml":
		fmt.Fprint(w, b.status)
	case command == "graceful-restart":
		fmt.Fprint(w, "Restarting gracefully.....")
	case command == "stop-smsc" && !b.refuses:
		fmt.Fprintf(w, "SMSC `%s' shut down", r.URL.Query().Get("smsc"))
	case command == "stop-smsc":
		fmt.Fprintf(w, "Could not shut down smsc-id `%s'", r.URL.Query().Get("smsc"))
	case command == "start-smsc":
		fmt.Fprintf(w, "SMSC `%s' re-started", r.URL.Query().Get("smsc"))
	}
}

func boxed(t *testing.T, password string) (*box, *Actuator, string) {
	t.Helper()
	status, err := os.ReadFile("testdata/status.xml")
	if err != nil {
		t.Fatal(err)
	}
	b := &box{status: string(status)}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	path := copied(t)
	a, err := New(Options{Config: path, Admin: s.URL, Password: func() (string, error) { return password, nil }, Settle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return b, a, path
}

func TestLinksAreRead(t *testing.T) {
	_, a, _ := boxed(t, "admin")
	ask, _ := a.admin()
	links, err := ask.links(t.Context())
	if err != nil || len(links) != 2 {
		t.Fatalf("got %+v, %v", links, err)
	}
	if l := links[1]; l.ID != "bolt-uk" || l.Admin != "bolt-uk" || !l.Online() || l.Up < time.Second || l.Sent != 10 || l.Queued != 0 {
		t.Errorf("got %+v", l)
	}
}

func TestNothingIsWrittenWhereBearerboxDoesNotAnswer(t *testing.T) {
	out := []Lane{otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, true})}
	for name, a := range map[string]func() (*Actuator, string){
		"a wrong password": func() (*Actuator, string) { _, a, path := boxed(t, "wrong"); return a, path },
		"nobody there":     func() (*Actuator, string) { path := copied(t); return actuatorOf(t, path), path },
	} {
		t.Run(name, func(t *testing.T) {
			a, path := a()
			_, err := a.Apply(t.Context(), out)
			if err == nil || strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "password=") {
				t.Errorf("got %v, want why, and no password", err)
			}
			if name == "a wrong password" && !errors.Is(err, ErrDenied) {
				t.Errorf("got %v", err)
			}
			if got := labelLines(t, path); got != asWritten {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestApplyRestartsOnceForEachTable(t *testing.T) {
	b, a, path := boxed(t, "admin")
	restarts := func() (n int) {
		for _, s := range b.asked {
			if s == "graceful-restart " {
				n++
			}
		}
		return n
	}
	out := []Lane{otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, true})}
	done, err := a.Apply(t.Context(), out)
	if err != nil || len(done.Files) != 1 || done.Primary["otp"] != "bolt-uk" || restarts() != 1 {
		t.Fatalf("got %+v, %v, %d restarts", done, err, restarts())
	}
	if done, err = a.Apply(t.Context(), out); err != nil || len(done.Files) != 0 || restarts() != 1 {
		t.Errorf("the same again: got %+v, %v, %d restarts", done, err, restarts())
	}
	again, err := New(a.o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = again.Apply(t.Context(), out); err != nil || restarts() != 2 {
		t.Errorf("another process, which does not know what bearerbox has read: got %v, %d restarts", err, restarts())
	}
	if got, want := labelLines(t, path), "smsc=acme-uk allowed=acme-uk smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestALabelThatCannotBeWrittenKeepsNoOther(t *testing.T) {
	b, a, path := boxed(t, "admin")
	lanes := []Lane{{"bulk", []Route{{"core-uk", 10000, false}, {"acme-uk", 0, false}}}, otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, true})}
	for range 2 {
		done, err := a.Apply(t.Context(), lanes)
		if err == nil || !strings.Contains(err.Error(), `route core-uk: want a group = smsc with smsc-id = "core-uk"`) {
			t.Errorf("got %v, want it said what bulk lacks", err)
		}
		if _, bulk := done.Primary["bulk"]; bulk || done.Primary["otp"] != "bolt-uk" || !done.InForce {
			t.Errorf("got %+v, want otp in force and bulk as it was", done)
		}
		if got, want := labelLines(t, path), "smsc=acme-uk allowed=acme-uk smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if n := strings.Count(strings.Join(b.asked, ","), "graceful-restart"); n != 1 {
		t.Errorf("got %d restarts, want one: the second time nothing is new", n)
	}
	if _, err := a.Apply(t.Context(), lanes[:1]); err == nil {
		t.Error("nothing that can be written: got no error")
	}
}

func TestWhatBearerboxDoesAfterwardsIsLookedAt(t *testing.T) {
	link := func(id, status string, up time.Duration, queued int, sent uint64) Link {
		return Link{ID: id, Admin: id, Status: status, Up: up, Queued: queued, Sent: sent}
	}
	a := actuatorOf(t, copied(t))
	before := []Link{link("acme-uk", "online", time.Minute, 3, 100), link("bolt-uk", "online", time.Minute, 0, 50)}
	if got := missing(before, before[:1]); got != "bolt-uk" {
		t.Errorf("gone: got %q", got)
	}
	if got := rebound(before, []Link{link("acme-uk", "online", time.Second, 0, 0), link("bolt-uk", "connecting", 0, 0, 0)}); len(got) != 2 {
		t.Errorf("bound anew: got %q", got)
	}
	if got := rebound(before, before); got != nil {
		t.Errorf("as before: got %q", got)
	}
	if drained(before, []string{"acme-uk"}) || !drained(before, []string{"bolt-uk"}) {
		t.Error("want acme-uk to have messages waiting, and bolt-uk none")
	}
	after := []Link{link("acme-uk", "online", time.Minute, 0, 102), link("bolt-uk", "online", time.Minute, 0, 70)}
	if err := a.followed(before, after, []string{"acme-uk"}); err == nil || !strings.Contains(err.Error(), "link acme-uk sent 2 messages although it takes none") {
		t.Errorf("got %v", err)
	}
	if err := a.followed(before, after, nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestIsolateAndRejoin(t *testing.T) {
	b, a, _ := boxed(t, "admin")
	if err := a.Isolate(t.Context(), "acme-uk"); err != nil || b.asked[len(b.asked)-1] != "stop-smsc acme-uk" {
		t.Errorf("got %v, %q", err, b.asked)
	}
	if err := a.Rejoin(t.Context(), "acme-uk"); err != nil || b.asked[len(b.asked)-1] != "start-smsc acme-uk" {
		t.Errorf("got %v, %q", err, b.asked)
	}
	if err := a.Isolate(t.Context(), "core-uk"); err == nil || !strings.Contains(err.Error(), `want a link with smsc-id "core-uk", got none of acme-uk, bolt-uk`) {
		t.Errorf("got %v", err)
	}
	b.refuses = true
	if err := a.Isolate(t.Context(), "acme-uk"); err == nil || !strings.Contains(err.Error(), "Could not shut down") {
		t.Errorf("got %v, want what bearerbox says, although it says 200", err)
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	_, a, _ := boxed(t, "admin")
	a.o.Settle = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Apply(ctx, []Lane{otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, false})}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsThatCannotBeUsed(t *testing.T) {
	for _, o := range []Options{{}, {Config: "x", Admin: "127.0.0.1:13000", Password: PasswordFile("x")}, {Config: "x", Admin: "http://127.0.0.1:13000"}, {Admin: "http://127.0.0.1:13000", Password: PasswordFile("x")}} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "new kannel actuator: ") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}
