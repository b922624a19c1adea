package store

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestSecondProcessIsRefused(t *testing.T) {
	_, path := fresher(t)
	_, err := Open(Options{Path: path, Timeout: 50 * time.Millisecond})
	wantHint(t, err, ErrLocked, "fuser")
}

func wantHint(t *testing.T, err, want error, hint string) {
	t.Helper()
	var open *OpenError
	if !errors.Is(err, want) || !errors.As(err, &open) || !strings.Contains(open.Hint(), hint) {
		t.Errorf("got %v, want %v and a hint with %q", err, want, hint)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"not a store at all":     func([]byte) []byte { return []byte(strings.Repeat("hello ", 5000)) },
		"a few bytes":            func(b []byte) []byte { return b[:100] },
		"cut short":              func(b []byte) []byte { return b[:4*os.Getpagesize()] },
		"both heads overwritten": func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"pages overwritten":      func(b []byte) []byte { clear(b[2*os.Getpagesize():]); return b },
		"a flipped bit in a state": func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), `"phase":"demoted"`, `"phase":"demotee"`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := fresher(t)
			commit(t, s, changeTo(1), changeTo(2), changeTo(3))
			s.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := openAndLoad(path); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
		})
	}
}

func openAndLoad(path string) error {
	s, err := Open(Options{Path: path, Timeout: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Load()
	return err
}

func TestOtherFilesAreRefused(t *testing.T) {
	put := func(bucket, key, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			return b.Put([]byte(key), []byte(value))
		}
	}
	for name, tc := range map[string]struct {
		fill func(*bbolt.Tx) error
		want error
		hint string
	}{
		"of a newer version": {put("meta", "schema", strconv.Itoa(schema+1)), ErrNewer, "version"},
		"of another program": {put("somebody", "k", "v"), ErrDamaged, "backup"},
		"without a schema":   {put("meta", "k", "v"), ErrDamaged, "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			db, err := bbolt.Open(path, 0o600, nil)
			if err == nil {
				err = errors.Join(db.Update(tc.fill), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(Options{Path: path})
			wantHint(t, err, tc.want, tc.hint)
		})
	}
}

func TestOpenSaysWhatWasAttempted(t *testing.T) {
	if _, err := Open(Options{}); err == nil {
		t.Error("no path: got no error")
	}
	path := filepath.Join(t.TempDir(), "nowhere", "state.db")
	if _, err := Open(Options{Path: path}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("no folder: got %v, want one that names %s", err, path)
	}
}

// TestFullDiskChangesNothing lets the file grow no further, as a full disk would, and then again.
func TestFullDiskChangesNothing(t *testing.T) {
	s, path := fresher(t)
	commit(t, s, changeTo(1))
	before := asJSON(t, loaded(t, s))
	big := changeTo(2)
	big.Baselines[0].Data = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)

	giveBack := limitFileSize(t, path)
	for range 3 {
		if err := s.Commit(big); err == nil || errors.Is(err, ErrStale) || errors.Is(err, ErrUnsure) {
			giveBack()
			t.Fatalf("no space: got %v, want the system's error", err)
		}
	}
	giveBack()
	if got := asJSON(t, loaded(t, s)); got != before {
		t.Errorf("after the failure: got %s, want %s", got, before)
	}
	commit(t, s, big, changeTo(3))
	s.Close()
	if got := loaded(t, open(t, path)).World.Generation; got != gen(3) {
		t.Errorf("after space returned: got %s, want 1-3", got)
	}
}

// limitFileSize keeps files of this process from growing beyond the size of path, until the result is called.
func limitFileSize(t *testing.T, path string) func() {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(info.Size()), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
		signal.Reset(syscall.SIGXFSZ)
	}
}
