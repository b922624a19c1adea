package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"signalbox/examples/quickstart"
	"signalbox/probes/smsctest"
	"signalbox/rules/decide"
	"signalbox/rules/route"
)

// demoText prints with a story that has not begun, and returns what it printed, without the seconds.
func demoText(t *testing.T, tell func(*demoStory) error) string {
	t.Helper()
	var out strings.Builder
	c, err := newDemoCarrier(&demoSite[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	defer c.server.Run(stopped) // closes what it opened
	s := newDemoStory(&demo{print: newDemoPrinter(&out, false), carriers: []*demoCarrier{c}}, nil, nil)
	s.now = decide.Explanation{State: route.State{Phase: route.Active, HoldUntil: demoMoment.Add(30 * time.Second)}, Rules: []decide.RuleView{{
		Demote:  decide.ClauseView{Inputs: []route.Input{{Signal: demoEvidence, Threshold: 12.0}}},
		Promote: decide.ClauseView{Inputs: []route.Input{{Signal: demoRecovery, Threshold: 4.6}}},
	}}}
	if err := tell(s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var demoMoment = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func demoDecision() *route.Decision {
	return &route.Decision{ID: "1-2-1", Time: demoMoment, Lane: demoLane, Route: "acme", From: route.Active, To: route.Demoted,
		Verdict: route.VerdictDemote, Rule: "receipts-collapse", Reason: route.RuleMatched, Enforced: true, PriceChange: "+5.8%",
		Text: "of 314 messages since 10:00:20 whose receipts should be back, 9 came back delivered; at most 7% will, baseline 95%",
		Guards: []route.GuardResult{
			{Guard: "common_cause", Result: "pass", Why: "bolt is proven better"},
			{Guard: "corroborate", Result: "pass", Why: "conversions fail too"},
		},
		Alternatives: []route.Alternative{{Route: "bolt", Why: "next in order"}}}
}

func TestDemoTellsADemotion(t *testing.T) {
	got := demoText(t, func(s *demoStory) error { return s.decided(demoDecision()) })
	want := `   0s  demoted   acme: active → demoted by receipts-collapse, decision 1-2-1
                 because    of 314 messages since 10:00:20 whose receipts should be back, 9 came
                            back delivered; at most 7% will, baseline 95%
                 guards     common_cause pass  bolt is proven better
                            corroborate  pass  conversions fail too
                 instead    bolt: next in order; price +5.8%
                 stays out  at least 30s, and until it has shown that it is well
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDemoTellsWhatAGuardAsks(t *testing.T) {
	d := demoDecision()
	d.Enforced, d.Reason = false, route.GuardHeld
	d.Guards[1] = route.GuardResult{Guard: "corroborate", Result: "hold", Why: "conversions cannot tell yet", Frees: "35s more of silence"}
	got := demoText(t, func(s *demoStory) error { return s.decided(d) })
	want := `   0s  guard     receipts-collapse asks to demote acme; held by corroborate:
                 question   Are messages lost, or only receipts late? Do people still type codes in?
                 answer     conversions cannot tell yet
                 freed by   35s more of silence
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDemoTellsEvidence(t *testing.T) {
	got := demoText(t, func(s *demoStory) error {
		s.now.Signals.Delivery = route.Delivery{Evidence: 4.8, Messages: 29, Delivered: 8, Failed: 1}
		return s.accusation()
	})
	want := "   0s  evidence  acme ████████░░░░░░░░░░░░ 4.8 of 12; 9 of 29 due receipts are back\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDemoTellsATable(t *testing.T) {
	table := &route.Table{Generation: route.Generation{Epoch: 1, Number: 2}, Lanes: []route.LaneTable{{Class: "otp", Network: "GB", Routes: []route.Entry{
		{Route: "bolt", Share: 9500, Phase: route.Active}, {Route: "core", Phase: route.Active}, {Route: "acme", Share: 500, Phase: route.Demoted}}}}}
	got := demoText(t, func(s *demoStory) error { return s.published(table) })
	if want := "   0s  table     1-2 for otp/GB: bolt 95%, core standby, acme 5% (demoted)\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDemoLinesFitTheScreenAndLoseNoWord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		words := make([]string, 1+r.IntN(40))
		for i := range words {
			words[i] = strings.Repeat("é", 1+r.IntN(15))
		}
		e := &demoEvent{Event: "evidence", Text: strings.Join(words, " "), More: []string{"because    " + strings.Join(words, " ")}}
		text := (&demoPrinter{}).text(e)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > demoWidth {
				t.Fatalf("line of %d columns, want at most %d:\n%s", n, demoWidth, text)
			}
		}
		want := slices.Concat([]string{"0s", "evidence"}, words, []string{"because"}, words)
		if got := strings.Fields(text); !slices.Equal(got, want) {
			t.Fatalf("got words %q, want %q", got, want)
		}
	}
}

func TestDemoBar(t *testing.T) {
	for _, c := range []struct {
		value, threshold float64
		full             int
	}{{0, 12, 0}, {-1, 12, 0}, {6, 12, 10}, {12, 12, 20}, {700, 12, 20}, {5, 0, 0}} {
		if got := demoBar(c.value, c.threshold); strings.Count(got, "█") != c.full || utf8.RuneCountInString(got) != 20 {
			t.Errorf("bar of %v towards %v: got %q, want %d of 20 cells", c.value, c.threshold, got, c.full)
		}
	}
}

func TestDemoTimes(t *testing.T) {
	for nats, want := range map[float64]string{12: "160,000", 4.6: "99", 7: "1,100", 14: "1,200,000"} {
		if got := demoTimes(nats); got != want {
			t.Errorf("e^%v: got %q, want %q", nats, got, want)
		}
	}
}

func TestDemoPrintsJSONLines(t *testing.T) {
	var out bytes.Buffer
	p := newDemoPrinter(&out, true)
	if err := p.print(demoEvent{Event: "table", Text: "a && b", Data: map[string]int{"n": 1}}); err != nil {
		t.Fatal(err)
	}
	var e demoEvent
	if err := json.Unmarshal(out.Bytes(), &e); err != nil || e.Event != "table" || e.Text != "a && b" || e.Time.IsZero() {
		t.Errorf("got %+v, %v from %s", e, err, &out)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 || bytes.Contains(out.Bytes(), []byte(`\u0026`)) {
		t.Errorf("want one line without escapes for HTML, got %q", &out)
	}
}

func TestDemoSenderTriesOnlyActiveRoutesAfterItsOwn(t *testing.T) {
	lane := &route.LaneTable{Routes: []route.Entry{
		{Route: "bolt", Share: 9500, Phase: route.Active}, {Route: "core", Phase: route.Active}, {Route: "acme", Share: 500, Phase: route.Demoted}}}
	for _, key := range []string{"demo-1", "demo-2", "demo-3", "demo-4", "demo-5"} {
		want := []route.ID{"bolt", "core"}
		if lane.Routes[lane.Pick(key)].Route == "acme" {
			want = []route.ID{"acme", "bolt", "core"}
		}
		if got := demoTries(lane, key); !slices.Equal(got, want) {
			t.Errorf("key %s: got %v, want %v", key, got, want)
		}
	}
}

// What signalbox is told to be normal has to be what the carriers do, or it would find them ill while they are well.
func TestDemoBaselinesAreWhatTheCarriersDo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, plan := range demoSite {
		c := &demoCarrier{demoPlan: plan}
		b := c.baseline()
		if err := b.Check(); err != nil {
			t.Errorf("%s: %v", c.id, err)
		}
		delay := smsctest.LogNormal(c.median, demoSpread)
		const n = 20_000
		for i, age := range b.Ages {
			receipts, typed := 0, 0
			for range n / 10 {
				took := delay(r).Seconds()
				if took <= age {
					receipts++
				}
				if took+typing().Seconds() <= age {
					typed++
				}
			}
			for what, pair := range map[string][2]float64{"receipts": {float64(receipts), b.CDF[i]}, "conversions": {float64(typed), b.ConversionCDF[i]}} {
				if got := pair[0] / (n / 10); got-pair[1] > 0.06 || pair[1]-got > 0.06 {
					t.Errorf("%s, %s by %.1fs: drawn %.3f, told %.3f", c.id, what, age, got, pair[1])
				}
			}
		}
	}
}

func TestDemoLeavesNothingBehindWheneverItIsStopped(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const end = "delivers again" // with it the incident is over
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond, time.Minute} {
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithTimeout(context.Background(), after)
		o := demoOptions{listen: "127.0.0.1:0", after: 100 * time.Millisecond, lasting: 100 * time.Millisecond}
		out := stopsAt{text: end, stop: cancel}
		err := runDemo(ctx, o, newDemoPrinter(&out, false), nil)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("stopped after %s: got %v, want nil", after, err)
		}
		left, err := os.ReadDir(os.TempDir())
		if err != nil || len(left) > 0 {
			t.Errorf("stopped after %s: temporary folder has %v, %v, want nothing", after, left, err)
		}
		demoGoroutines(t, before)
		if after == time.Minute && !strings.Contains(out.String(), end) {
			t.Errorf("stopped after %s: want the incident and its end told, got\n%s", after, out.String())
		}
	}
}

// stopsAt keeps what is written, and stops the writer once it has written a text.
type stopsAt struct {
	told bytes.Buffer
	text string
	stop func()
}

func (s *stopsAt) String() string { return s.told.String() }

func (s *stopsAt) Write(p []byte) (int, error) {
	n, err := s.told.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

// demoGoroutines waits until no more goroutines are left than before.
func demoGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("goroutines: got %d, want %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
}

func TestDemoTakesNoFolderThatIsInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := runDemo(t.Context(), demoOptions{data: dir, listen: "127.0.0.1:0"}, newDemoPrinter(io.Discard, false), nil)
	if err == nil || !strings.Contains(err.Error(), "want an empty folder") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestQuickstartPolicyIsSound(t *testing.T) {
	p, err := loadPolicy(root + "/examples/quickstart/policy")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Advice() {
		t.Errorf("advice: %s", a)
	}
	for i := range demoSite {
		if p.Route(demoSite[i].id) == nil || p.Lane(demoLane) == nil || p.Lane(demoLane).Order[i] != demoSite[i].id {
			t.Errorf("carrier %d of the demo, %s, is not route %d of lane %s", i, demoSite[i].id, i, demoLane)
		}
	}
	files, err := fs.Glob(quickstart.Policy, "policy/*.yml")
	if read, err2 := readPolicy(root + "/examples/quickstart/policy"); err != nil || err2 != nil || len(files) != len(read) {
		t.Errorf("embedded: got %v, %v, want the %d files that check reads, %v", files, err, len(read), err2)
	}
}
