package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"

	"go.etcd.io/bbolt"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func gen(n uint64) route.Generation { return route.Generation{Epoch: 1, Number: n} }

// changeTo is a change from generation n-1 to n that leaves its number in every part of the state.
func changeTo(n uint64, lanes ...route.Lane) Change {
	if len(lanes) == 0 {
		lanes = []route.Lane{{Class: "otp", Network: "GB"}, {Class: "bulk", Network: "*"}}
	}
	id := gen(n).String() + "-1"
	c := Change{Was: gen(n - 1), Table: &route.Table{Generation: gen(n), PublishedAt: noon, Policy: "git:3f2a91c"}}
	if n == 1 {
		c.Was = route.Generation{}
	}
	c.World = route.World{Generation: gen(n), Ordinal: 1, Policy: "git:3f2a91c", At: noon.Add(time.Duration(n) * time.Second)}
	for _, l := range lanes {
		c.World.Lanes = append(c.World.Lanes, route.LaneState{Lane: l, Routes: []route.State{{Route: "acme-uk", Phase: route.Demoted, Decision: id}}})
		c.Table.Lanes = append(c.Table.Lanes, route.LaneTable{Class: l.Class, Network: l.Network, Mode: route.Act,
			Routes: []route.Entry{{Route: "acme-uk", Share: route.FullShare, Phase: route.Active}}})
	}
	c.Decisions = []route.Decision{{ID: id, Time: c.World.At, Generation: gen(n), Lane: lanes[0], Route: "acme-uk", Reason: route.RuleMatched}}
	c.Baselines = []Baseline{{Key: route.Key{Route: "acme-uk", Class: "otp", Network: "GB"}, Data: fmt.Appendf(nil, `{"n":%d}`, n)}}
	return c
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(Options{Path: path, NoSync: true, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresher(t testing.TB) (*Store, string) {
	path := filepath.Join(t.TempDir(), "state.db")
	return open(t, path), path
}

func commit(t testing.TB, s *Store, changes ...Change) {
	t.Helper()
	for _, c := range changes {
		if err := s.Commit(c); err != nil {
			t.Fatal(err)
		}
	}
}

func loaded(t testing.TB, s *Store) Saved {
	t.Helper()
	saved, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNewStoreIsEmptyAndPrivate(t *testing.T) {
	s, path := fresher(t)
	if got := loaded(t, s); got.Table != nil || got.World.Generation != (route.Generation{}) || len(got.Baselines) != 0 {
		t.Errorf("a new store: got %+v, want nothing", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want -rw-------", info.Mode(), err)
	}
}

func TestStateSurvivesReopening(t *testing.T) {
	s, path := fresher(t)
	commit(t, s, changeTo(1), changeTo(2))
	before := asJSON(t, loaded(t, s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := asJSON(t, loaded(t, s)); got != before {
		t.Errorf("after reopening: got %s, want %s", got, before)
	}
	want := changeTo(2)
	got := loaded(t, s)
	if asJSON(t, got.World) != asJSON(t, want.World) || asJSON(t, got.Table) != asJSON(t, want.Table) || asJSON(t, got.Baselines) != asJSON(t, want.Baselines) {
		t.Errorf("got %s, want what was committed: %s", asJSON(t, got), asJSON(t, want))
	}
}

func TestCommitRefuses(t *testing.T) {
	with := func(edit func(*Change)) Change {
		c := changeTo(3)
		edit(&c)
		return c
	}
	for name, tc := range map[string]struct {
		change Change
		stale  bool
	}{
		"decided on an older generation":           {with(func(c *Change) { c.Was = gen(1) }), true},
		"decided on a newer generation":            {with(func(c *Change) { c.Was, c.World.Generation, c.Table.Generation = gen(3), gen(4), gen(4) }), true},
		"decided on another epoch":                 {with(func(c *Change) { c.Was.Epoch = 0 }), true},
		"generation that falls":                    {with(func(c *Change) { c.World.Generation, c.Table.Generation = gen(1), gen(1) }), true},
		"epoch that falls":                         {with(func(c *Change) { c.World.Generation.Epoch, c.Table.Generation.Epoch = 0, 0 }), true},
		"table of another generation":              {with(func(c *Change) { c.Table.Generation = gen(9) }), false},
		"new generation without a table":           {with(func(c *Change) { c.Table = nil }), false},
		"new table of the same generation":         {with(func(c *Change) { c.World.Generation, c.Table.Generation = gen(2), gen(2) }), false},
		"empty table":                              {with(func(c *Change) { c.Table.Lanes = nil }), false},
		"lane twice":                               {with(func(c *Change) { c.World.Lanes = append(c.World.Lanes, c.World.Lanes[0]) }), false},
		"lane without a class":                     {with(func(c *Change) { c.World.Lanes[0].Lane.Class = "" }), false},
		"decision id of another form":              {with(func(c *Change) { c.Decisions[0].ID = "first" }), false},
		"decision that is in the journal":          {with(func(c *Change) { c.Decisions[0].ID = "1-2-1" }), false},
		"baseline that is not JSON":                {with(func(c *Change) { c.Baselines[0].Data = []byte("{") }), false},
		"number that JSON does not have":           {with(func(c *Change) { c.World.Lanes[0].Routes[0].Accused.Arrival = nan() }), false},
		"decision with a number that JSON has not": {with(func(c *Change) { c.Decisions[0].Inputs = []route.Input{{Value: nan()}} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := fresher(t)
			commit(t, s, changeTo(1), changeTo(2))
			before := asJSON(t, loaded(t, s))
			err := s.Commit(tc.change)
			if err == nil || errors.Is(err, ErrStale) != tc.stale {
				t.Errorf("got %v, want an error, stale: %t", err, tc.stale)
			}
			if got := asJSON(t, loaded(t, s)); got != before {
				t.Errorf("after the refusal: got %s, want %s", got, before)
			}
			if ds, _, err := s.Decisions(Query{}); err != nil || len(ds) != 2 {
				t.Errorf("journal after the refusal: got %d decisions, %v, want 2", len(ds), err)
			}
			commit(t, s, changeTo(3))
		})
	}
}

func nan() float64 { var zero float64; return zero / zero }

func TestNewEpochMayBeginAgain(t *testing.T) {
	s, _ := fresher(t)
	commit(t, s, changeTo(1), changeTo(2))
	c := changeTo(1)
	c.Was = gen(2)
	c.World.Generation.Epoch, c.Table.Generation.Epoch, c.Decisions[0].ID = 2, 2, "2-1-1"
	commit(t, s, c)
	if got := loaded(t, s).World.Generation.String(); got != "2-1" {
		t.Errorf("got generation %s, want 2-1", got)
	}
}

func TestCommitWithinAGenerationKeepsTheTable(t *testing.T) {
	s, _ := fresher(t)
	commit(t, s, changeTo(1))
	c := changeTo(1)
	c.Was, c.Table, c.World.Ordinal, c.Decisions[0].ID = gen(1), nil, 2, "1-1-2"
	commit(t, s, c)
	if got := loaded(t, s); got.World.Ordinal != 2 || got.Table == nil || got.Table.Generation != gen(1) {
		t.Errorf("got ordinal %d, table %v, want 2 and the table of 1-1", got.World.Ordinal, got.Table)
	}
}

func TestCommitWritesWhatDiffers(t *testing.T) {
	s, _ := fresher(t)
	commit(t, s, changeTo(1))
	same := changeTo(1)
	same.Was, same.Table, same.Decisions = gen(1), nil, nil
	writes := s.db.Stats()
	commit(t, s, same)
	now := s.db.Stats()
	if got := now.TxStats.GetWrite() - writes.TxStats.GetWrite(); got != 0 {
		t.Errorf("an unchanged state: got %d writes, want none", got)
	}

	one := same
	one.World.Lanes = slices.Clone(same.World.Lanes)
	one.World.Lanes[1].Changes = []time.Time{noon}
	b, err := encode(&one)
	if err != nil {
		t.Fatal(err)
	}
	var wrote []string
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, p := range b.puts {
			did, err := p.apply(tx)
			if err != nil {
				return err
			}
			if did {
				wrote = append(wrote, strings.ReplaceAll(string(p.key), "\x00", "/"))
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(wrote, []string{"bulk/*"}) {
		t.Errorf("one lane changed: wrote %q, %v, want bulk/* alone", wrote, err)
	}
}

func TestLanesLeaveAndKeepTheirOrder(t *testing.T) {
	s, _ := fresher(t)
	a, b, c := route.Lane{Class: "z", Network: "GB"}, route.Lane{Class: "a", Network: "GB"}, route.Lane{Class: "m", Network: "*"}
	commit(t, s, changeTo(1, a, b, c), changeTo(2, c, a))
	var got []route.Lane
	for _, l := range loaded(t, s).World.Lanes {
		got = append(got, l.Lane)
	}
	if !slices.Equal(got, []route.Lane{c, a}) {
		t.Errorf("got lanes %v, want %v", got, []route.Lane{c, a})
	}
}

func TestEmptyBaselineForgets(t *testing.T) {
	s, _ := fresher(t)
	commit(t, s, changeTo(1))
	c := changeTo(2)
	c.Baselines[0].Data = nil
	commit(t, s, c)
	if got := loaded(t, s).Baselines; len(got) != 0 {
		t.Errorf("got %v, want no baseline", got)
	}
}

func TestBackupIsAStore(t *testing.T) {
	s, path := fresher(t)
	commit(t, s, changeTo(1), changeTo(2))
	var buf bytes.Buffer
	if err := s.Backup(&buf); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(filepath.Dir(path), "copy.db")
	if err := os.WriteFile(copied, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := asJSON(t, loaded(t, open(t, copied))), asJSON(t, loaded(t, s)); got != want {
		t.Errorf("the copy: got %s, want %s", got, want)
	}
}

// BenchmarkCommit measures one commit to the disk: a table of 100 lanes, one of which changed, with one decision. It is
// measured alone, with what two webhooks are to be told, and while a third takes letters as fast as they can be noted.
func BenchmarkCommit(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchCommit(b, 0, false) })
	b.Run("two-letters", func(b *testing.B) { benchCommit(b, 2, false) })
	b.Run("two-letters-while-draining", func(b *testing.B) { benchCommit(b, 2, true) })
}

func benchCommit(b *testing.B, letters int, draining bool) {
	s, err := Open(Options{Path: filepath.Join(b.TempDir(), "state.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if draining {
		defer drain(b, s)()
	}
	var lanes []route.Lane
	for i := range 100 {
		lanes = append(lanes, route.Lane{Class: "otp", Network: route.Network(fmt.Sprintf("%03d-15", 100+i))})
	}
	first := changeTo(1, lanes...)
	commit(b, s, first)
	body := asJSON(b, strings.Repeat("x", 2000))
	var took []time.Duration
	for n := uint64(2); b.Loop(); n++ {
		c := changeTo(n, lanes...)
		states := c.World.Lanes
		c.World.Lanes = append(slices.Clone(first.World.Lanes[:99]), states[99])
		for i := range letters {
			c.Letters = append(c.Letters, Letter{To: fmt.Sprintf("hook-%d", i), At: noon, Body: []byte(body)})
		}
		start := time.Now()
		commit(b, s, c)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// drain takes letters out, one by one, until the returned function ends it.
func drain(b *testing.B, s *Store) (stop func()) {
	var backlog []Letter
	for n := range 10_000 {
		backlog = append(backlog, to("slow", n, noon))
	}
	if err := s.Announce(backlog, nil); err != nil {
		b.Fatal(err)
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for seq := uint64(1); ; seq++ {
			select {
			case <-ended:
				return
			default:
			}
			if err := s.Delivered("slow", seq); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

func TestCommitThatTheDiskDidNotConfirm(t *testing.T) {
	s, _ := fresher(t)
	broken := errors.New("fdatasync: input/output error")
	first, second := changeTo(1), changeTo(2)
	commit(t, s, first)
	for c, want := range map[*Change]bool{&first: true, &second: false} {
		b, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.settle(b, broken); errors.Is(err, ErrUnsure) != want || !errors.Is(err, broken) {
			t.Errorf("generation %s: got %v, want unsure: %t", c.World.Generation, err, want)
		}
	}
}
