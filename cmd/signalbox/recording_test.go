package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/controller"
	"signalbox/controller/recording"
	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/probes/ingest"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

const recordedPolicy = `{"version":1,
"routes":{"A":{"provider":"a","networks":["*"],"trickle":"20%","price":{"*":"0.0300 EUR"}},"B":{"provider":"b","networks":["*"],"trickle":"20%","price":{"*":"0.0410 EUR"}}},
"classes":{"otp":{"mode":"act","within":"30s"}},"lanes":[{"class":"otp","network":"262-01","order":["A","B"]}],
"rules":[{"name":"receipts-collapse","class":["*"],"demote":{"when":"delivery.evidence >= 12.0","for":"10s"},
  "promote":{"when":"delivery.recovered >= 4.6","ramp":["25%","100%"],"step":"30s"},"hold_down":{"base":"1m"}},
 {"name":"bind-lost","class":["*"],"demote":{"when":"probe[\"bind\"].failures >= 3"},"promote":{"when":"probe[\"bind\"].successes >= 3"},"hold_down":{"base":"30s"}}],
"guards":{"common_cause":{"share":"60%","wait":"0s"},"settle":"5s","velocity":{"changes":100,"in":"1m"}}}`

// site is a daemon without its network: the same parts, in the time of a test.
type site struct {
	t        *testing.T
	dir      string
	events   http.Handler
	store    *store.Store
	stop     context.CancelFunc
	ended    sync.WaitGroup
	recorder *recording.Recorder
	logged   bytes.Buffer
}

// start starts a daemon over a folder.
func start(t *testing.T, dir string) *site {
	t.Helper()
	s := &site{t: t, dir: dir}
	log := slog.New(slog.NewTextHandler(&s.logged, nil))
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if s.store, err = store.Open(store.Options{Path: filepath.Join(dir, "state.db")}); err != nil {
		t.Fatal(err)
	}
	if s.recorder, err = recording.New(recording.Options{Dir: filepath.Join(dir, "recording"), Segment: 7 * time.Minute, Logger: log}); err != nil {
		t.Fatal(err)
	}
	control, err := controller.New(controller.Options{Store: s.store, Model: state.New(), Recorder: s.recorder, Logger: log,
		Load: func() (*policy.Policy, error) {
			return policy.Parse([]policy.File{{Name: "policy.json", Data: []byte(recordedPolicy)}})
		}})
	if err != nil {
		t.Fatal(err)
	}
	if s.events, err = ingest.New(ingest.Options{Sink: control.Take, Known: control.Known}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	s.ended.Go(func() { _ = control.Run(ctx) })
	s.ended.Go(func() { _ = s.recorder.Run(ctx) })
	return s
}

func (s *site) end() {
	s.stop()
	s.ended.Wait()
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *site) post(lines string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(lines))
	r.Header.Set("Content-Type", "application/x-ndjson")
	s.events.ServeHTTP(w, r)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"line"`) {
		s.t.Fatalf("got %d: %s", w.Code, w.Body)
	}
}

// killed copies what a daemon left on disk at this moment, as where it was killed now.
func (s *site) killed(to string) {
	synctest.Wait()
	if err := os.CopyFS(to, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
}

// gateway sends through the routes and tells of it: late, in batches, receipts before their submits now and then.
type gateway struct {
	random *rand.Rand
	began  time.Time
	n      int
	later  []line
}

// next are the lines to tell of the last quarter of a second.
func (g *gateway) next() string {
	at := time.Since(g.began)
	var out strings.Builder
	tell := func(delay time.Duration, format string, args ...any) {
		text := fmt.Sprintf(`{"time":%q,"source":"gw",`+format+"}\n", append([]any{time.Now().Add(delay).Format(time.RFC3339Nano)}, args...)...)
		g.later = append(g.later, line{(at + delay + time.Duration(g.random.IntN(900))*time.Millisecond).Seconds(), text})
	}
	if g.n == 0 {
		for _, id := range []string{"A", "B"} {
			tell(0, `"type":"baseline","route":%q,"class":"otp","network":"262-01","delivered":0.946,"failed":0.024,"messages":5000,"ages":[1,2,4,8,20],"cdf":[0.1,0.4,0.8,0.95,1]`, id)
		}
	}
	if g.n%40 == 0 {
		tell(0, `"type":"heartbeat","routes":["A","B"]`)
		ok := !(at > 18*time.Minute && at < 20*time.Minute)
		tell(0, `"type":"probe","route":"B","probe":"bind","ok":%v,"latency":0.25`, ok)
	}
	for _, id := range []string{"A", "B"} {
		g.n++
		g.message(at, id, tell)
	}
	slices.SortStableFunc(g.later, func(a, b line) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for len(g.later) > 0 && g.later[0].at <= at.Seconds() {
		out.WriteString(g.later[0].text)
		g.later = g.later[1:]
	}
	return out.String()
}

func (g *gateway) message(at time.Duration, id string, tell func(time.Duration, string, ...any)) {
	silent := id == "A" && at > 4*time.Minute && at < 8*time.Minute
	switch luck := g.random.Float64(); {
	case luck > 0.97:
		tell(0, `"type":"submit","id":"m-%d","route":%q,"class":"otp","network":"262-01","result":"refused","code":"0x58"`, g.n, id)
		return
	case luck > 0.96:
		tell(0, `"type":"submit","id":"m-%d","route":%q,"class":"otp","network":"262-01","result":"accepted","latency":0.1`, g.n, id)
		tell(100*time.Millisecond, `"type":"submit","id":"m-%d","route":%q,"class":"otp","network":"262-01","result":"refused","code":"ESME_RTHROTTLED"`, g.n, id)
		return
	}
	tell(0, `"type":"submit","id":"m-%d","route":%q,"class":"otp","network":"262-01","latency":0.0%d`, g.n, id, 1+g.random.IntN(9))
	status := "delivered"
	if g.random.Float64() > 0.95 {
		status = "failed"
	}
	if !silent {
		back := time.Duration(500+g.random.IntN(6000)) * time.Millisecond
		tell(back-400*time.Millisecond, `"type":"receipt","id":"m-%d","route":%q,"status":"enroute"`, g.n, id)
		tell(back, `"type":"receipt","id":"m-%d","route":%q,"status":%q,"code":"\"%d"`, g.n, id, status, g.random.IntN(9))
		tell(back, `"type":"receipt","id":"m-%d","route":%q,"status":%q`, g.n, id, status) // once more
	}
}

// TestAReplayOfTheRecordingDecidesWhatTheDaemonDecided runs a daemon over an incident, kills it in the middle, four
// times, and compares what it decided with what its recording leads to.
func TestAReplayOfTheRecordingDecidesWhatTheDaemonDecided(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	kills := []time.Duration{4*time.Minute + 12*time.Second, 6*time.Minute + 3*time.Second, 9*time.Minute + 4100*time.Millisecond, 19*time.Minute + 1300*time.Millisecond}
	last := filepath.Join(root, fmt.Sprint(len(kills)), "recording")
	var want []route.Decision
	synctest.Test(t, func(t *testing.T) {
		s := start(t, filepath.Join(root, "0"))
		g := &gateway{random: rand.New(rand.NewPCG(1, 2)), began: time.Now()}
		for n := 1; time.Since(g.began) < 25*time.Minute; time.Sleep(250 * time.Millisecond) {
			if lines := g.next(); lines != "" {
				s.post(lines)
			}
			if len(kills) > 0 && time.Since(g.began) >= kills[0] {
				next := filepath.Join(root, fmt.Sprint(n))
				s.killed(next)
				s.end() // what the dead one still does is in another folder
				time.Sleep(7 * time.Second)
				s = start(t, next)
				kills, n = kills[1:], n+1
			}
		}
		found, _, err := s.store.Decisions(store.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(found)
		want = found
		s.end()
	})
	got, words := replayRecording(t, recordedPolicy, last)
	if all(got) != all(want) || len(want) < 6 || !strings.Contains(all(want), "recovering>active") {
		t.Errorf("got %d decisions:\n%s\nwant %d:\n%s", len(got), all(got), len(want), all(want))
	}
	if text := against(t, recordedPolicy, recordedPolicy, last); text != "" {
		t.Errorf("the policy against itself: got %s", text)
	}
	slow := strings.Replace(recordedPolicy, `"for":"10s"`, `"for":"40s"`, 1)
	if text := against(t, recordedPolicy, slow, last); !strings.Contains(text, "otp/262-01  A  active → demoted, 30s later\n") {
		t.Errorf("a slower policy: got %s", text)
	}
	if n := strings.Count(words, "ends in the middle"); n != 4 {
		t.Errorf("got %d words about segments that end in the middle, want 4:\n%s", n, words)
	}
}

// TestAReplayOfTheLastHoursBeginsWarm replays a recording from its middle on, where nobody tells what is normal.
func TestAReplayOfTheLastHoursBeginsWarm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, dir)
		g := &gateway{random: rand.New(rand.NewPCG(1, 2)), began: time.Now().Add(11 * time.Minute)}
		for ; time.Since(g.began) < 7*time.Minute; time.Sleep(250 * time.Millisecond) {
			s.post(g.next())
		}
		s.end()
	})
	recorded := filepath.Join(dir, "recording")
	want, _ := replayRecording(t, recordedPolicy, recorded)
	late, words := replayRecording(t, recordedPolicy, recorded, "--since", "2000-01-01T00:08:00Z")
	if all(made(want)) == "" || all(made(late)) != all(made(want)) || words != "" {
		t.Errorf("got %s\nwant %s\nsaid %q", all(made(late)), all(made(want)), words)
	}
	if none, _ := replayRecording(t, recordedPolicy, recorded, "--until", "2000-01-01T00:14:00Z"); len(made(none)) > 0 {
		t.Errorf("got %s before anything happened", all(none))
	}
}

// against is what the command says of two policies over a recording.
func against(t *testing.T, text, other, dir string) string {
	t.Helper()
	files := t.TempDir()
	for name, text := range map[string]string{"a.json": text, "b.json": other} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"replay", "--policy", filepath.Join(files, "a.json"), "--against", filepath.Join(files, "b.json"), dir}, &stdout, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	return stdout.String()
}

// made are the decisions that changed something.
func made(ds []route.Decision) []route.Decision {
	return slices.DeleteFunc(slices.Clone(ds), func(d route.Decision) bool { return !d.Enforced })
}

// all are decisions in a line each.
func all(ds []route.Decision) string {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&b, "%s %s %s %s %s>%s %s %v %s: %s\n", d.ID, d.Time.Format("15:04:05"), d.Lane, d.Route, d.From, d.To, d.Reason, d.Enforced, d.Rule, d.Text)
	}
	return b.String()
}

// replayRecording is what the command decides over a recording, and what it says beside it.
func replayRecording(t *testing.T, text, dir string, flags ...string) ([]route.Decision, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"replay", "--policy", path, dir}, flags...), &stdout, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var out []route.Decision
	for d := json.NewDecoder(&stdout); ; {
		var decision route.Decision
		if err := d.Decode(&decision); errors.Is(err, io.EOF) {
			return out, stderr.String()
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, decision)
	}
}
