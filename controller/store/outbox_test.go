package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// to is a letter whose body is a number.
func to(name string, n int, at time.Time) Letter {
	return Letter{To: name, At: at, Body: strconv.AppendInt(nil, int64(n), 10)}
}

// waiting are the bodies of the letters that wait for a receiver.
func waiting(t testing.TB, s *Store, name string) []string {
	t.Helper()
	posted, err := s.Letters(name, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	bodies := []string{}
	for _, p := range posted {
		bodies = append(bodies, string(p.Body))
	}
	return bodies
}

func wantWaiting(t testing.TB, s *Store, name string, want ...string) {
	t.Helper()
	if got := waiting(t, s, name); !slices.Equal(got, want) {
		t.Errorf("letters to %s: got %v, want %v", name, got, want)
	}
}

func TestLettersAreCommittedWithTheirDecisionOrNotAtAll(t *testing.T) {
	s, path := fresher(t)
	c := changeTo(1)
	c.Letters = []Letter{to("pager", 1, noon), to("chat", 1, noon), to("pager", 2, noon)}
	commit(t, s, c)
	late := changeTo(3) // decided on 2, and 1 is stored
	late.Letters = []Letter{to("pager", 3, noon)}
	if err := s.Commit(late); !errors.Is(err, ErrStale) {
		t.Fatalf("got %v, want %v", err, ErrStale)
	}
	twice := changeTo(2)
	twice.Decisions[0].ID, twice.Letters = "1-1-1", []Letter{to("pager", 4, noon)} // it is in the journal already
	if err := s.Commit(twice); err == nil {
		t.Fatal("a decision was recorded twice")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	wantWaiting(t, s, "pager", "1", "2")
	wantWaiting(t, s, "chat", "1")
	wantWaiting(t, s, "page")
}

func TestABadLetterLeavesEverythingAsItWas(t *testing.T) {
	for name, bad := range map[string]Letter{"no receiver": to("", 1, noon), "a zero byte": to("a\x00b", 1, noon), "no JSON": {To: "pager", Body: []byte("{")}} {
		s, _ := fresher(t)
		c := changeTo(1)
		c.Letters = []Letter{to("pager", 1, noon), bad}
		if err := s.Commit(c); err == nil {
			t.Errorf("%s: it was committed", name)
		}
		if err := s.Announce([]Letter{to("pager", 1, noon), bad}, nil); err == nil {
			t.Errorf("%s: it was announced", name)
		}
		wantWaiting(t, s, "pager")
		if got := loaded(t, s); got.Table != nil {
			t.Errorf("%s: got a table, want nothing", name)
		}
	}
}

func TestLettersAreTakenOutInTheirOrder(t *testing.T) {
	s, _ := fresher(t)
	for n := range 300 { // more than a byte can number
		if err := s.Announce([]Letter{to("pager", n, noon.Add(time.Duration(n)*time.Second)), to("chat", n, noon)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	posted, err := s.Letters("pager", 0, 2)
	if err != nil || len(posted) != 2 || string(posted[0].Body) != "0" || string(posted[1].Body) != "1" {
		t.Fatalf("got %v, %v, want the oldest two", posted, err)
	}
	if next, err := s.Letters("pager", posted[1].Seq, 1); err != nil || len(next) != 1 || string(next[0].Body) != "2" {
		t.Errorf("after those: got %v, %v, want the third", next, err)
	}
	if err := s.Delivered("pager", posted[1].Seq); err != nil {
		t.Fatal(err)
	}
	if err := s.Delivered("pager", posted[0].Seq); err != nil {
		t.Errorf("taken out twice: %v", err)
	}
	w, err := s.Waiting("pager")
	if err != nil || w.Count != 298 || !w.Oldest.Equal(noon.Add(2*time.Second)) || w.Newest == 0 {
		t.Errorf("got %+v, %v, want 298 since the third", w, err)
	}
	if got := len(waiting(t, s, "chat")); got != 300 {
		t.Errorf("letters to the other: got %d, want 300", got)
	}
	if w, err := s.Waiting("nobody"); err != nil || w != (Waiting{}) {
		t.Errorf("to nobody: got %+v, %v", w, err)
	}
}

func TestDiscard(t *testing.T) {
	s, _ := fresher(t)
	var letters []Letter
	for n := range 10 {
		letters = append(letters, to("pager", n, noon.Add(time.Duration(n)*time.Minute)), to("chat", n, noon.Add(time.Duration(n)*time.Hour)), to("gone", n, noon))
	}
	if err := s.Announce(letters, nil); err != nil {
		t.Fatal(err)
	}
	d, err := s.Discard([]string{"pager", "chat"}, noon.Add(2*time.Minute), 5)
	want := Discarded{Old: map[string]int{"pager": 2, "chat": 1}, Excess: map[string]int{"pager": 3, "chat": 4}, Gone: map[string]int{"gone": 10}}
	if err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v, %v, want %+v", d, err, want)
	}
	wantWaiting(t, s, "pager", "5", "6", "7", "8", "9")
	wantWaiting(t, s, "chat", "5", "6", "7", "8", "9")
	wantWaiting(t, s, "gone")
}

func TestNotesStandUntilTheyAreForgotten(t *testing.T) {
	s, path := fresher(t)
	for _, notes := range [][]Note{{{"b", []byte(`{"n":1}`)}, {"a", []byte(`1`)}}, {{"b", []byte(`{"n":2}`)}, {"c", []byte(`3`)}}, {{"a", nil}, {"never", nil}}} {
		if err := s.Announce(nil, notes); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Announce([]Letter{to("pager", 1, noon)}, []Note{{"c", nil}, {"d", []byte("{")}}); err == nil {
		t.Error("a note that is no JSON was taken")
	}
	wantWaiting(t, s, "pager") // whole or not at all
	s.Close()
	got, err := open(t, path).Notes()
	if want := []Note{{"b", []byte(`{"n":2}`)}, {"c", []byte(`3`)}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// older makes a file of the first schema, as the version before wrote it, with the state of changeTo(1) in it.
func older(t testing.TB) string {
	t.Helper()
	s, path := fresher(t)
	commit(t, s, changeTo(1))
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket(bucketOutbox), tx.DeleteBucket(bucketNotes), tx.Bucket(bucketMeta).Put(keySchema, []byte("1")))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnOlderFileGainsTheOutbox(t *testing.T) {
	s := open(t, older(t))
	want := changeTo(1)
	if got := loaded(t, s); asJSON(t, got.World) != asJSON(t, want.World) || asJSON(t, got.Table) != asJSON(t, want.Table) {
		t.Errorf("got %s, want what the older version stored", asJSON(t, got))
	}
	next := changeTo(2)
	next.Letters = []Letter{to("pager", 1, noon)}
	commit(t, s, next)
	wantWaiting(t, s, "pager", "1")
	err := s.db.View(func(tx *bbolt.Tx) error {
		if got := string(tx.Bucket(bucketMeta).Get(keySchema)); got != strconv.Itoa(schema) {
			return fmt.Errorf("schema: got %s, want %d", got, schema)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnOlderFileThatCannotBeMigratedStaysAsItIs(t *testing.T) {
	path := older(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucketNotes); return err }) // it is in the way
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); err == nil {
		t.Fatal("it was opened")
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, copied} {
		db, err := bbolt.Open(p, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(func(tx *bbolt.Tx) error {
			if got := string(tx.Bucket(bucketMeta).Get(keySchema)); got != "1" || tx.Bucket(bucketOutbox) != nil {
				return fmt.Errorf("%s: got schema %s, want 1 and no outbox", p, got)
			}
			return nil
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	}
}
