package controller

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/controller/store"
	"signalbox/rules/route"
)

// crashes is how often the child is killed.
const crashes = 50

// TestMain runs the child of a test that kills it where it is asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SIGNALBOX_TEST_ORDERS_DIR"); dir != "" {
		ordersChild(dir)
		return
	}
	if dir := os.Getenv("SIGNALBOX_TEST_CRASH_DIR"); dir != "" {
		crashChild(dir)
		return
	}
	os.Exit(m.Run())
}

// crashChild decides as fast as it can, in simulated time, over a store in dir until it is killed. It says of every
// table that senders would see which generation it has, its hash, and the state behind it.
func crashChild(dir string) {
	t := &fatal{}
	s := openStore(t, dir)
	c := newController(t, s)
	c.o.Announce = toPager
	at := c.engine.World.At
	if at.IsZero() {
		at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	}
	w := newWorld(uint64(os.Getpid()), at.Truncate(5*time.Second).Add(5*time.Second))
	c.last = time.Time{}
	c.observe(w.baselines(), w.now)
	fmt.Println("ready")
	last := ""
	for round := 0; ; round++ {
		w.dead["acme"] = round%40 > 15
		c.last = time.Time{} // simulated time does not pass as the monotonic clock does
		w.play(c)
		line := report(c)
		if known := strings.Fields(line); strings.Join(append(known[:3:3], known[4]), " ") != last { // but for the moment
			fmt.Println(line)
			last = strings.Join(append(known[:3:3], known[4]), " ")
		}
	}
}

// fatal is what the helpers need of a test, in a process that is none.
type fatal struct{ testing.TB }

func (*fatal) Helper() {}

func (*fatal) Fatal(args ...any) {
	fmt.Println(append([]any{"fatal"}, args...)...)
	os.Exit(1)
}

// report is what must survive: the table that senders see and the clocks behind it.
func report(c *Controller) string {
	table := c.o.Model.Table()
	return fmt.Sprintf("%s %s %s %d %s", table.Table.Generation, digest(table.Plain), strings.Join(clocks(c.engine.World), ","), c.engine.World.At.Unix(), held(c.engine.World))
}

// held is how long each condition with a for: has been known and true.
func held(w route.World) string {
	out := "held:"
	for _, l := range w.Lanes {
		for _, s := range l.Routes {
			for _, k := range s.Clocks {
				if k.Verdict == route.VerdictDemote {
					out += fmt.Sprintf("%s/%s=%s;", s.Route, k.Rule, k.Held)
				}
			}
		}
	}
	return out
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// clocks are the hold-downs and the phases of a state, a word for each route that is not as in the beginning. A for: clock
// alone is none of them: one may have begun, and be stored, after what was told last.
func clocks(w route.World) []string {
	out := []string{"clocks:"}
	for _, l := range w.Lanes {
		for _, s := range l.Routes {
			if s.Phase == route.Active && s.HoldUntil.IsZero() {
				continue
			}
			out = append(out, fmt.Sprintf("%s:%s:%d:%d:%d", s.Route, s.Phase, s.Step, s.Relapses, s.HoldUntil.Unix()))
		}
	}
	return out
}

func TestKillAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	seen, generations, waiting := route.Generation{}, 0, 0
	for i := range crashes {
		lines := killed(t, dir, time.Duration(random.IntN(150))*time.Millisecond)
		generations += len(lines)
		for _, line := range lines {
			g, err := route.ParseGeneration(strings.Fields(line)[0])
			if err != nil {
				t.Fatalf("crash %d: the child said %q", i, line)
			}
			if seen.Newer(g) {
				t.Fatalf("crash %d: generation fell from %s to %s", i, seen, g)
			}
			seen = g
		}
		if len(lines) > 0 {
			if compareStored(t, dir, lines[len(lines)-1]) {
				waiting++
			}
		}
	}
	t.Logf("%d kills, %d states seen, last generation %s, %d kills while a for: clock ran", crashes, generations, seen, waiting)
	if waiting == 0 {
		t.Error("no kill found a for: clock running")
	}
	if seen.Number < 10 {
		t.Errorf("only %d generations in %d runs: the kills hit nothing", seen.Number, crashes)
	}
}

// killed runs the child, kills it a while after it has begun to decide, and returns what it had said.
func killed(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "SIGNALBOX_TEST_CRASH_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if scan.Text() == "ready" {
			time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		}
		if strings.HasPrefix(scan.Text(), "fatal") {
			t.Fatal(scan.Text())
		}
		if strings.Count(scan.Text(), " ") == 4 {
			lines = append(lines, scan.Text())
		}
	}
	_ = cmd.Wait() // it was killed
	return lines
}

// compareStored opens the store as a restart would and compares it with what senders had seen: the same table, or a
// later one that was durable and not yet told; and a state of the same generation. It reports whether a for: clock that
// was running was among what it compared.
func compareStored(t *testing.T, dir, line string) (ran bool) {
	t.Helper()
	fields := strings.Fields(line)
	g, err := route.ParseGeneration(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	saved, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	wantLetters(t, s)
	if g.Newer(saved.World.Generation) || saved.Table == nil || saved.Table.Generation != saved.World.Generation {
		t.Fatalf("senders had seen %s; the store has state %s", g, saved.World.Generation)
	}
	if saved.World.Generation != g {
		return false
	}
	plain, err := json.Marshal(saved.Table)
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(plain); got != fields[1] {
		t.Errorf("table %s: got %s after the kill, want %s", g, got, fields[1])
	}
	same := fmt.Sprint(saved.World.At.Unix()) == fields[3]
	if same && held(saved.World) != fields[4] {
		t.Errorf("for: clocks of %s: got %s after the kill, want %s", g, held(saved.World), fields[4])
	}
	if got := strings.Join(clocks(saved.World), ","); got != fields[2] {
		t.Errorf("clocks of %s: got %s after the kill, want %s", g, got, fields[2])
	}
	return same && strings.Contains(fields[4], "=")
}
