package controller

import (
	"encoding/json"
	"slices"
	"testing"

	"signalbox/controller/store"
	"signalbox/rules/route"
)

// toPager writes a letter with the id of each decision.
func toPager(decisions []route.Decision) []store.Letter {
	var out []store.Letter
	for i := range decisions {
		body, _ := json.Marshal(decisions[i].ID) // a text
		out = append(out, store.Letter{To: "pager", At: decisions[i].Time, Body: body})
	}
	return out
}

// wantLetters wants a letter for each decision of the journal, in its order, and no other; and says how many.
func wantLetters(t *testing.T, s *store.Store) int {
	t.Helper()
	found, _, err := s.Decisions(store.Query{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	posted, err := s.Letters("pager", 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var decided, told []string
	for i := range found {
		decided = append(decided, found[len(found)-1-i].ID)
	}
	for _, p := range posted {
		var id string
		if err := json.Unmarshal(p.Body, &id); err != nil {
			t.Fatal(err)
		}
		told = append(told, id)
	}
	if !slices.Equal(decided, told) {
		t.Errorf("decided %v, and told %v: want the same", decided, told)
	}
	return len(told)
}

func TestWhatIsToldIsCommittedWithWhatIsDecided(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c, w := healthy(t, s, 7)
	c.o.Announce = toPager
	s.fail(errDiskFull)
	w.dead["acme"] = true
	for range 24 {
		w.play(c)
	}
	if n := wantLetters(t, s.Store); n != 0 {
		t.Errorf("while nothing can be decided: got %d letters, want none", n)
	}
	s.fail(nil)
	until(t, w, c, 3, "acme demoted once there is room", func() bool { return phase(c, "acme") == route.Demoted })
	if n := wantLetters(t, s.Store); n == 0 {
		t.Error("got no letter of the demotion")
	}
}

func TestAStoreThatFailsIsSaidToSinceWhen(t *testing.T) {
	s := &flaky{Store: openStore(t, t.TempDir())}
	defer s.Close()
	c, w := healthy(t, s, 8)
	if since := c.StoreFailing(); !since.IsZero() {
		t.Errorf("while all is well: got %s", since)
	}
	s.fail(errDiskFull)
	w.dead["acme"] = true
	for range 24 {
		w.play(c)
	}
	since := c.StoreFailing()
	if since.IsZero() {
		t.Fatal("while the disk is full: got nothing")
	}
	if w.play(c); !c.StoreFailing().Equal(since) {
		t.Errorf("later: got %s, want %s still", c.StoreFailing(), since)
	}
	s.fail(nil)
	until(t, w, c, 3, "acme demoted once there is room", func() bool { return phase(c, "acme") == route.Demoted })
	if since := c.StoreFailing(); !since.IsZero() {
		t.Errorf("once there is room: got %s", since)
	}
	if got := c.World().Lanes[0].State("acme"); got == nil || got.Phase != route.Demoted {
		t.Errorf("the world: got %+v, want acme demoted", got)
	}
}
