package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// crashFile, in the environment, makes the test binary a child that commits to the file until it is killed.
const crashFile = "SIGNALBOX_STORE_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		commitForEver(path)
	}
	os.Exit(m.Run())
}

// commitForEver prints each generation number once it is committed.
func commitForEver(path string) {
	s, err := Open(Options{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	saved, err := s.Load()
	for n := saved.World.Generation.Number + 1; err == nil; n++ {
		c := changeTo(n)
		c.Letters = []Letter{{To: "pager", At: noon, Body: strconv.AppendUint(nil, n, 10)}}
		if err = s.Commit(c); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKillLosesNothingThatWasCommitted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	path := filepath.Join(t.TempDir(), "state.db")
	for round := range 20 {
		seen := crash(t, path, time.Duration(rand.IntN(40_000))*time.Microsecond)
		checkAfterCrash(t, path, round, seen)
		if t.Failed() {
			return
		}
	}
}

// crash runs a child until it has committed once and for so long after, kills it, and returns the last generation it told.
func crash(t *testing.T, path string, after time.Duration) (seen uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if seen == 0 {
			kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
			defer kill.Stop()
		}
		if seen, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Wait()
	if seen == 0 {
		t.Fatal("the child committed nothing")
	}
	return seen
}

func checkAfterCrash(t *testing.T, path string, round int, seen uint64) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	saved := loaded(t, s)
	g := saved.World.Generation
	if g.Number < seen {
		t.Errorf("round %d: got generation %d, want at least %d, which was committed", round, g.Number, seen)
	}
	want := changeTo(g.Number)
	if asJSON(t, saved) != asJSON(t, Saved{World: want.World, Table: want.Table, Baselines: want.Baselines}) {
		t.Errorf("round %d: got %s, want the state of one generation", round, asJSON(t, saved))
	}
	ds, _, err := s.Decisions(Query{Limit: 1})
	if err != nil || len(ds) != 1 || ds[0].Generation != g {
		t.Errorf("round %d: got newest decision %v, %v, want one of %s", round, ds, err, g)
	}
	if n := countDecisions(t, s); uint64(n) != g.Number {
		t.Errorf("round %d: got %d decisions, want %d", round, n, g.Number)
	}
	letters := waiting(t, s, "pager")
	for i, body := range letters {
		if body != strconv.Itoa(i+1) {
			t.Errorf("round %d: letter %d is of generation %s", round, i+1, body)
		}
	}
	if uint64(len(letters)) != g.Number {
		t.Errorf("round %d: got %d letters, want one for each of %d decisions", round, len(letters), g.Number)
	}
}

func countDecisions(t *testing.T, s *Store) int {
	t.Helper()
	ds, _, err := s.Decisions(Query{Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return len(ds)
}
