package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"signalbox/rules/route"
)

// loop is the loop of a daemon as far as a recorder sees it.
type loop struct {
	*Recorder
	t      *testing.T
	logged bytes.Buffer
	n      uint64
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

func newLoop(t *testing.T, o Options) *loop {
	t.Helper()
	l := &loop{t: t}
	o.Logger = slog.New(slog.NewTextHandler(&l.logged, nil))
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l.Recorder = r
	return l
}

func (l *loop) run() {
	ctx, stop := context.WithCancel(l.t.Context())
	l.stop = stop
	l.Begin(route.Mark{Note: route.NoteStart, At: time.Now()}, nil)
	l.ended.Go(func() {
		if err := l.Run(ctx); err != nil {
			l.t.Error(err)
		}
	})
}

func (l *loop) end() {
	l.stop()
	l.ended.Wait()
}

// observe takes n observations.
func (l *loop) observe(n int) {
	batch := make([]route.Observation, n)
	for i := range batch {
		l.n++
		batch[i] = route.Observation{Kind: route.KindSubmit, Time: time.Now(), Route: "acme", Class: "otp", Network: "GB", Hash: l.n * 0x9e3779b97f4a7c15}
	}
	l.Took(batch, time.Now())
}

// rounds judges every five seconds for a time, after so many observations each.
func (l *loop) rounds(lasts time.Duration, observations int) {
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		l.observe(observations)
		time.Sleep(5 * time.Second)
		l.Mark(route.Mark{Note: route.NoteRound, At: time.Now()})
		if l.Due() {
			l.Begin(route.Mark{Note: route.NoteCarried, At: time.Now()}, []route.Observation{{Kind: route.KindBaseline, Time: time.Now(), Route: "acme", Class: "otp", Network: "GB",
				Baseline: &route.Baseline{Delivered: 0.9, Ages: []float64{1, 2}, CDF: []float64{0.5, 1}, Messages: 1000}}})
		}
		synctest.Wait()
	}
}

// lines are what can be read of a segment.
func lines(t testing.TB, path string) (out []string, torn error) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		t.Fatalf("%s: got half a line at the end", path)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), r.Torn()
}

func segments(t testing.TB, dir string) []Segment {
	t.Helper()
	found, err := Segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func count(ls []string, what string) int {
	n := 0
	for _, l := range ls {
		n += strings.Count(l, what)
	}
	return n
}

func TestWhatWasFlushedIsReadWhereverTheFileEnds(t *testing.T) {
	dir := t.TempDir()
	var sizes []int64 // of the file after each round
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{Dir: dir})
		l.run()
		for range 5 {
			l.rounds(5*time.Second, 5)
			info, err := os.Stat(segments(t, dir)[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, info.Size())
		}
		l.end()
	})
	whole := segments(t, dir)[0]
	want, torn := lines(t, whole.Path)
	if torn != nil || count(want, `"type":"submit"`) != 25 || count(want, `"note":"round"`) != 5 {
		t.Fatalf("got %d lines, torn %v", len(want), torn)
	}
	data, err := os.ReadFile(whole.Path)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), filepath.Base(whole.Path))
	for n := range data {
		if err := os.WriteFile(short, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got, torn := lines(t, short)
		flushed := 0
		for flushed < len(sizes) && sizes[flushed] <= int64(n) {
			flushed++
		}
		if got[0] == "" {
			got = nil
		}
		if !slices.Equal(got, want[:len(got)]) || count(got, `"note":"round"`) < flushed {
			t.Fatalf("of the first %d bytes: got %d lines with %d rounds, want at least %d rounds", n, len(got), count(got, `"note":"round"`), flushed)
		}
		if n > 0 && torn == nil {
			t.Fatalf("of the first %d bytes: got no word that the segment is torn", n)
		}
	}
}

func TestAFullDiskStopsTheRecordingAndNothingElse(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{Dir: dir, Segment: 30 * time.Second, Registerer: prometheus.NewRegistry()})
		full := true
		l.open = func(name string) (*os.File, error) {
			if full {
				return os.OpenFile("/dev/full", os.O_WRONLY, 0)
			}
			return create(name)
		}
		l.run()
		l.rounds(2*time.Minute, 100)
		if n := testutil.ToFloat64(l.metrics.dropped); n < 2000 {
			t.Errorf("got %v observations counted as dropped, want about 2400", n)
		}
		full = false
		l.rounds(time.Minute, 100)
		full = true // in the middle of a file this time: the next one cannot be begun
		l.rounds(time.Minute, 100)
		full = false
		l.rounds(time.Minute, 100)
		l.end()
		if n := testutil.ToFloat64(l.metrics.dropped) + testutil.ToFloat64(l.metrics.recorded); n != float64(l.n) {
			t.Errorf("got %v observations recorded or dropped, want all %d", n, l.n)
		}
		text := l.logged.String()
		if strings.Count(text, "recording stopped") != 2 || strings.Count(text, "recording resumed") != 2 || !strings.Contains(text, "no space left on device") {
			t.Errorf("got the log\n%s\nwant each failure and each return once", text)
		}
	})
	var all []string
	for _, s := range segments(t, dir) {
		ls, torn := lines(t, s.Path)
		if torn != nil {
			t.Errorf("%s: %v", s.Path, torn)
		}
		all = append(all, ls...)
	}
	if n := count(all, `"note":"gap"`); n != 2 {
		t.Errorf("got %d gaps told in the recording, want 2", n)
	}
}

func TestTheOldestGoesFirst(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       Options
		rounds  time.Duration
		perTurn int
		most    int64 // bytes
		oldest  time.Duration
		least   int // segments
	}{
		{"by size", Options{Size: MinSize}, 20 * time.Minute, 1000, MinSize, 0, 8},
		{"by age", Options{Age: time.Hour, Segment: 10 * time.Minute}, 5 * time.Hour, 3, MinSize, time.Hour + 12*time.Minute, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dir = t.TempDir()
			other := filepath.Join(c.o.Dir, "README")
			if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				l := newLoop(t, c.o)
				l.run()
				for end := time.Now().Add(c.rounds); time.Now().Before(end); {
					l.rounds(time.Minute, c.perTurn)
					sum := int64(0)
					for _, s := range segments(t, c.o.Dir) {
						sum += s.Size
					}
					if sum > c.most {
						t.Fatalf("got %d bytes on disk, want at most %d", sum, c.most)
					}
				}
				found := segments(t, c.o.Dir)
				if age := time.Since(found[0].Begins); c.oldest > 0 && age > c.oldest {
					t.Errorf("got a segment from %s ago, want none", age)
				}
				if len(found) < c.least || found[0].Number == 1 {
					t.Errorf("got %d segments from number %d on, want at least %d and not the first", len(found), found[0].Number, c.least)
				}
				for i := range found {
					if i > 0 && found[i].Number != found[i-1].Number+1 {
						t.Errorf("got a hole before segment %d", found[i].Number)
					}
				}
				l.end()
			})
			if _, err := os.Stat(other); err != nil {
				t.Errorf("another file was removed: %v", err)
			}
		})
	}
}

func TestTheLoopNeverWaits(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(t, Options{Dir: dir, Queue: 500})
		l.Begin(route.Mark{Note: route.NoteStart, At: time.Now()}, nil)
		for range 5000 { // nobody writes yet; a call that waited would end the test in a deadlock
			l.observe(10)
			l.Mark(route.Mark{Note: route.NoteRound, At: time.Now()})
		}
		if n := testutil.ToFloat64(l.metrics.dropped); n != 50_000-500 {
			t.Errorf("got %v dropped, want all but 500", n)
		}
		l.run()
		synctest.Wait()
		l.observe(10)
		l.end()
	})
	ls, _ := lines(t, segments(t, dir)[0].Path)
	if n := count(ls, `"type":"submit"`); n != 510 || count(ls, `"note":"gap"`) != 1 {
		t.Errorf("got %d observations and %d gaps, want 510 and 1", n, count(ls, `"note":"gap"`))
	}
}

func TestARestartGoesOnInAnotherFile(t *testing.T) {
	dir := t.TempDir()
	for n := 1; n <= 3; n++ {
		synctest.Test(t, func(t *testing.T) {
			l := newLoop(t, Options{Dir: dir})
			l.run()
			l.rounds(10*time.Second, 1)
			l.end()
		})
		found := segments(t, dir)
		if len(found) != n || found[n-1].Number != n {
			t.Fatalf("got segments %v, want %d of them", found, n)
		}
	}
}

func TestSegmentsBetweenMoments(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }
	var all []Segment
	for hour := 1; hour <= 4; hour++ {
		all = append(all, Segment{Begins: at(hour), Number: hour})
	}
	half := 30 * time.Minute
	for _, c := range []struct {
		name         string
		since, until time.Time
		want         string
	}{
		{"all", time.Time{}, time.Time{}, "1234"},
		{"since before the first", at(0), time.Time{}, "1234"},
		{"since the middle of one", at(2).Add(half), time.Time{}, "234"},
		{"since the beginning of one", at(2), time.Time{}, "234"},
		{"since after the last", at(9), time.Time{}, "4"},
		{"until the middle of one", time.Time{}, at(2).Add(half), "12"},
		{"until the beginning of one", time.Time{}, at(2), "1"},
		{"until before the first", time.Time{}, at(0), ""},
		{"both in one", at(2).Add(half), at(2).Add(half + 1), "2"},
	} {
		got := ""
		for _, s := range Between(all, c.since, c.until) {
			got += fmt.Sprint(s.Number)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNamesOfSegments(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 8, 7, 0, time.UTC)
	name := fileName("dir", at, 12)
	if s, ok := Named(name); !ok || !s.Begins.Equal(at) || s.Number != 12 || s.Path != name || name != "dir/20260302T090807Z-000012.ndjson.zst" {
		t.Errorf("got %+v from %s", s, name)
	}
	if a, b := fileName("", at, 999_999), fileName("", at.Add(time.Second), 1_000_000); a >= b {
		t.Errorf("got %s after %s", a, b)
	}
	for _, other := range []string{"", "events.ndjson.zst", "20260302T090807Z-12.ndjson.zst", "20260302T090807Z-000012.ndjson", "20260302T090807Z-00001x.ndjson.zst", "20261302T090807Z-000012.ndjson.zst", "20260302T090807Z-99999999999.ndjson.zst"} {
		if _, ok := Named(other); ok {
			t.Errorf("%q: got the name of a segment", other)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no folder": {}, "a file for a folder": {Dir: file}, "too small": {Dir: t.TempDir(), Size: 1000}, "negative": {Dir: t.TempDir(), Age: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := Open(filepath.Join(filepath.Dir(file), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for a segment that is not there", err)
	}
}

func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	s, err := newSegment(must(create(filepath.Join(dir, "a"))), filepath.Join(dir, "a"), time.Now(), 1)
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		if err := errors.Join(s.mark(route.Mark{Note: route.NoteRound, At: time.Now()}), s.flush()); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(s.name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(slices.Clone(good), make([]byte, 4096)...))
	f.Add([]byte("no zstd at all"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.CopyN(io.Discard, r, 1<<22); err != nil && err != io.EOF {
			t.Errorf("got %v, want whatever can be read and no error", err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
