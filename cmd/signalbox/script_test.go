package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"signalbox/controller/api"
	"signalbox/controller/recording"
	"signalbox/controller/state"
	"signalbox/controller/store"
	"signalbox/probes/ingest"
	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

var update = flag.Bool("update", false, "write the golden texts of scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signalbox": main})
}

// Scripts run the program as people do; go test -run TestScript -update writes their golden texts anew. What they may
// use beyond testscript's own commands:
//
//	incident FILE        writes the recording of the incident; .gz and .zst compress it
//	record DIR           writes the incident as a daemon would have recorded it
//	serve DIR SECONDS [RECORDING] serves the incident under the policy DIR as it stands after so many seconds, at
//	                     SIGNALBOX_SERVER, with a recording or without one
//	serve-cold           serves a signalbox that has no table yet, at SIGNALBOX_SERVER
//	serve-other          serves what is no signalbox, at SIGNALBOX_SERVER
//	wait-ready           waits until the daemon at SIGNALBOX_SERVER is ready
//	post PATH STATUS [FILE] posts a file, or nothing, to the daemon, wants the status, and prints the answer
//	post-now FILE        posts events to the daemon, of which "@-5" stands for five seconds ago, and wants all taken
//	probes-fail ROUTE    posts three binds of a route that failed just now
//	wait-for TEXT ARGS…  runs signalbox until it prints the text
//	wait-recorded DIR N  waits until N lines of a recording can be read
//	wait-api PATH TEXT   waits until what the daemon at SIGNALBOX_SERVER answers has the text in it
//	serve-hook           serves a webhook at HOOK, where nobody listens before
//	wait-told TEXT       waits until the webhook was told something with the text in it, with a valid signature
//	certificates DIR     writes ca.crt, server.crt and server.key for loopback
//	keep-token FILE      writes the token of the last output, which is JSON, to a file, and its line to tokens.yml
//	exits CODE PROGRAM…  runs a program and wants it to end in the code
//	valid-json           wants the last output to be JSON
//	well-formed FILE     wants the file to be XML
//
// The folder policy has the policy of the incident. LISTEN is a free address, and SIGNALBOX_SERVER the URL of it, until a
// command serves elsewhere.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"incident":      writeIncident,
			"record":        recordIncident,
			"serve":         serveIncident,
			"serve-cold":    serveCold,
			"serve-other":   serveOther,
			"exits":         exits,
			"wait-ready":    waitReady,
			"certificates":  writeCertificates,
			"keep-token":    keepToken,
			"post":          post,
			"post-now":      postNow,
			"probes-fail":   probesFail,
			"wait-for":      waitFor,
			"wait-recorded": waitRecorded,
			"wait-api":      waitAPI,
			"serve-hook":    serveHook,
			"wait-told":     waitTold,
			"valid-json":    validJSON,
			"well-formed":   wellFormed,
		},
	})
}

func setUpScript(e *testscript.Env) error {
	if err := os.CopyFS(filepath.Join(e.WorkDir, "policy"), os.DirFS("testdata/policy")); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.Setenv("LISTEN", l.Addr().String())
	e.Setenv("SIGNALBOX_SERVER", "http://"+l.Addr().String())
	e.Values["hook"] = &scriptHook{}
	hook, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer hook.Close()
	e.Setenv("HOOK", "http://"+hook.Addr().String())
	e.Setenv("GOVERSION", runtime.Version())
	e.Setenv("PLATFORM", runtime.GOOS+"/"+runtime.GOARCH)
	e.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(e.WorkDir)) // wherever this is checked out, policies are in no checkout
	return l.Close()
}

// The incident: two routes carry three messages a second; from minute 3 to 7 nothing comes back from acme-uk.
var incidentBegins = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

const (
	incidentLasts = 14 * time.Minute
	holeBegins    = 3 * time.Minute
	holeEnds      = 7 * time.Minute
)

// eventLine is an observation as a source writes it.
type eventLine struct {
	at   time.Time
	text string
}

// incident is the recording, the same bytes each time: what is normal, heartbeats, submits and receipts by time.
func incident() []byte {
	r := rand.New(rand.NewPCG(3, 14))
	var lines []eventLine
	add := func(at time.Duration, format string, args ...any) {
		lines = append(lines, eventLine{incidentBegins.Add(at), fmt.Sprintf(format, args...)})
	}
	for _, id := range []string{"acme-uk", "bolt-uk"} {
		add(0, `"type":"baseline","route":%q,"class":"otp","network":"234-15","delivered":0.95,"failed":0.02,"ages":[1,2,4,8,20],"cdf":[0.1,0.4,0.8,0.95,1],"messages":5000`, id)
	}
	for at := time.Duration(0); at <= incidentLasts; at += 10 * time.Second {
		add(at, `"type":"heartbeat","source":"gw-1","routes":["acme-uk","bolt-uk"]`)
	}
	for i := range int(3 * incidentLasts / time.Second) {
		at := time.Duration(i) * time.Second / 3
		id := "acme-uk"
		if i%3 == 2 {
			id = "bolt-uk"
		}
		add(at, `"type":"submit","source":"gw-1","id":"m-%d","route":%q,"class":"otp","network":"234-15"`, i, id)
		back := at + time.Duration(1000+r.IntN(7000))*time.Millisecond
		luck := r.Float64()
		if id == "acme-uk" && back >= holeBegins && at < holeEnds || luck > 0.97 {
			continue
		}
		status := "delivered"
		if luck > 0.95 {
			status = "failed"
		}
		add(back, `"type":"receipt","source":"gw-1","id":"m-%d","route":%q,"status":%q`, i, id, status)
	}
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].at.Before(lines[j].at) })
	var b bytes.Buffer
	for _, l := range lines {
		if !l.at.After(incidentBegins.Add(incidentLasts)) {
			fmt.Fprintf(&b, "{\"time\":%q,%s}\n", l.at.Format(time.RFC3339Nano), l.text)
		}
	}
	return b.Bytes()
}

func writeIncident(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: incident FILE")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	var w io.WriteCloser = f
	switch filepath.Ext(args[0]) {
	case ".gz":
		w = gzip.NewWriter(f)
	case ".zst":
		w, err = zstd.NewWriter(f)
		ts.Check(err)
	}
	_, err = w.Write(incident())
	ts.Check(errors.Join(err, w.Close()))
}

// recordIncident records the incident as a daemon would that takes everything at once.
func recordIncident(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: record DIR")
	}
	r, err := recording.New(recording.Options{Dir: ts.MkAbs(args[0])})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	ts.Check(incidentTo(r))
	cancel()
	ts.Check(<-ended)
}

// incidentTo hands the incident to a recorder.
func incidentTo(r *recording.Recorder) error {
	joiner, err := ingest.NewJoiner(ingest.JoinerOptions{})
	if err != nil {
		return err
	}
	r.Begin(route.Mark{Note: route.NoteStart, At: incidentBegins}, nil)
	d := ingest.NewDecoder(bytes.NewReader(incident()), ingest.DecoderOptions{})
	next := incidentBegins
	var batch []route.Observation
	for {
		var o route.Observation
		if _, err := d.Next(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		for ; next.Before(o.Time); next = next.Add(signal.Tick) {
			r.Took(batch, next)
			r.Mark(route.Mark{Note: route.NoteRound, At: next})
			batch = batch[:0]
		}
		joiner.Join(&o, func(o *route.Observation) { batch = append(batch, *o) })
	}
}

// toldIncident is the incident as a server tells it: all that is real, at a moment that does not move.
type toldIncident struct {
	*state.Model
	at     time.Time
	policy *policy.Policy
	world  route.World
	seen   decide.Seen
}

// Explain is the controller's.
func (s *toldIncident) Explain(id route.ID, l route.Lane) (any, bool) {
	return decide.Explain(s.policy, s.world, s.seen, l, id)
}

// Standings is the model's at that moment.
func (s *toldIncident) Standings(time.Time) []state.Sender { return s.Model.Standings(s.at) }

// haveSenders lets four senders tell of themselves.
func (s *toldIncident) haveSenders() error {
	inForce := s.Table().Table.Generation
	old := route.Generation{Epoch: inForce.Epoch, Number: inForce.Number - 1}
	said := func(name string, g route.Generation, why string, ago time.Duration) error {
		return s.PutSender(state.Sender{Name: name, Generation: g, Applied: why == "", Why: why, Seen: s.at.Add(-ago)})
	}
	return errors.Join(said("gw-1", old, "", 5*time.Minute), said("gw-1", inForce, "", 3*time.Minute),
		said("gw-2", old, "", 5*time.Minute), said("gw-2", old, "", 20*time.Second),
		said("gw-3", old, "", 5*time.Minute), said("gw-3", inForce, "no signature by a key that is known here", 10*time.Second),
		said("gw-4", old, "", 90*time.Minute))
}

// past is the incident as the planner sees it.
type past struct{ *toldIncident }

// Plan is the controller's.
func (s past) Plan(candidate *policy.Policy) (decide.Planned, error) {
	return decide.Plan(s.policy, candidate, s.world, s.seen, s.at.Add(signal.Tick), decide.Options{}), nil
}

// Policy is the one in force.
func (s past) Policy() *policy.Policy { return s.policy }

// clock says by the header Date what time it is.
func (s *toldIncident) clock(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.at.Format(http.TimeFormat))
		h.ServeHTTP(w, r)
	})
}

// tellIncident replays the incident for so long, and keeps what it led to as the daemon does.
func tellIncident(p *policy.Policy, journal *store.Store, lasts time.Duration) (*toldIncident, error) {
	var failed error
	var was route.Generation
	model := state.New()
	keep := func(o decide.Outcome) {
		failed = errors.Join(failed, journal.Commit(store.Change{Was: was, World: o.World, Table: o.Table, Decisions: o.Decisions}))
		was = o.World.Generation
		if o.Table != nil {
			encoded, err := state.Encode(o.Table)
			failed = errors.Join(failed, err, model.Publish(encoded))
		}
	}
	replay := scenario.NewReplay(p, signal.Options{}, route.Act, keep)
	joiner, err := ingest.NewJoiner(ingest.JoinerOptions{})
	if err != nil {
		return nil, err
	}
	d := ingest.NewDecoder(bytes.NewReader(incident()), ingest.DecoderOptions{})
	end := incidentBegins.Add(lasts)
	for {
		var o route.Observation
		if _, err := d.Next(&o); err == io.EOF || o.Time.After(end) {
			break
		} else if err != nil {
			return nil, err
		}
		joiner.Join(&o, replay.Observe)
	}
	last := replay.Engine().Round(end, false)
	keep(last)
	return &toldIncident{Model: model, at: end, policy: p, world: last.World, seen: decide.Seen{Signals: last.Signals, Wide: last.Wide}}, failed
}

func serveIncident(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: serve DIR SECONDS [RECORDING]")
	}
	lasts, err := time.ParseDuration(args[1] + "s")
	ts.Check(err)
	p, err := loadPolicy(ts.MkAbs(args[0]))
	ts.Check(err)
	p.Revision = "git:3f2a91c"
	journal, err := store.Open(store.Options{Path: filepath.Join(ts.Getenv("WORK"), "served-"+args[1]+".db")})
	ts.Check(err)
	ts.Defer(func() { journal.Close() })
	s, err := tellIncident(p, journal, lasts)
	ts.Check(err)
	if s.Table().Table.Generation.Number > 1 {
		ts.Check(s.haveSenders())
	}
	plans := &planner{control: past{s}, within: planWithin}
	if len(args) == 3 {
		plans.recording = ts.MkAbs(args[2])
	}
	handler, err := api.New(api.Options{Tables: s, Senders: s, Journal: journal, Explainer: s, Planner: plans})
	ts.Check(err)
	serveAt(ts, s.clock(handler))
}

func serveCold(ts *testscript.TestScript, neg bool, args []string) {
	handler, err := api.New(api.Options{Tables: state.New()})
	ts.Check(err)
	serveAt(ts, handler)
}

func serveOther(ts *testscript.TestScript, neg bool, args []string) {
	serveAt(ts, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

// exits is exec for a program that is to fail: testscript's own says that it failed, but not how.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENTS...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if got := "0"; errors.As(err, &exit) || err == nil {
		if exit != nil {
			got = strconv.Itoa(exit.ExitCode())
		}
		if got == args[0] {
			return
		}
		ts.Fatalf("got exit code %s, want %s", got, args[0])
	}
	ts.Check(err)
}

func serveAt(ts *testscript.TestScript, h http.Handler) {
	server := httptest.NewServer(h)
	ts.Defer(server.Close)
	ts.Setenv("SIGNALBOX_SERVER", server.URL)
}

// waitReady asks again and again, as there is nothing that would tell.
func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, ts.Getenv("SIGNALBOX_SERVER")+"/-/ready", nil)
		ts.Check(err)
		if resp, err := trusting.Do(r); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s was not ready in time", ts.Getenv("SIGNALBOX_SERVER"))
		case <-poll.C:
		}
	}
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: post PATH STATUS [FILE]")
	}
	kind, body := "", ""
	if len(args) == 3 {
		body = ts.ReadFile(args[2])
		kind = "application/json"
		if strings.HasSuffix(args[2], ".ndjson") {
			kind = "application/x-ndjson"
		}
	}
	resp, err := http.Post(ts.Getenv("SIGNALBOX_SERVER")+args[0], kind, strings.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if !strings.HasPrefix(resp.Status, args[1]) {
		ts.Fatalf("got %s, want %s", resp.Status, args[1])
	}
}

var longAgo = regexp.MustCompile(`"@-(\d+)"`)

// postNow posts events whose times are told by how long ago they are.
func postNow(ts *testscript.TestScript, neg bool, args []string) {
	now := time.Now()
	body := longAgo.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(s string) string {
		d, err := time.ParseDuration(longAgo.FindStringSubmatch(s)[1] + "s")
		ts.Check(err)
		return strconv.Quote(now.Add(-d).UTC().Format(time.RFC3339Nano))
	})
	resp, err := http.Post(ts.Getenv("SIGNALBOX_SERVER")+"/events", "application/x-ndjson", strings.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(text), `"refused_total":0`) {
		ts.Fatalf("got %s %s", resp.Status, text)
	}
}

// probesFail posts three binds that failed just now.
func probesFail(ts *testscript.TestScript, neg bool, args []string) {
	body := ""
	for i := range 3 {
		at := float64(time.Now().UnixMilli()-int64(3-i)) / 1000
		body += fmt.Sprintf(`{"type":"probe","time":%.3f,"route":%q,"probe":"bind","ok":false,"code":"0x0e"}`+"\n", at, args[0])
	}
	resp, err := http.Post(ts.Getenv("SIGNALBOX_SERVER")+"/events", "application/x-ndjson", strings.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(text), `"accepted":3`) {
		ts.Fatalf("got %s %s", resp.Status, text)
	}
}

// waitFor runs signalbox again and again, as a round comes every five seconds.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.After(30 * time.Second); ; {
		var out bytes.Buffer
		cmd := exec.Command("signalbox", args[1:]...)
		cmd.Env = append(os.Environ(), "SIGNALBOX_SERVER="+ts.Getenv("SIGNALBOX_SERVER"), "PATH="+ts.Getenv("PATH"))
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Path, _ = exec.LookPath("signalbox")
		_ = cmd.Run() // what it prints says more
		if strings.Contains(out.String(), args[0]) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("got %s, want it to say %s", out.String(), args[0])
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waitRecorded asks again and again, as the recording says nothing.
func waitRecorded(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for deadline := time.After(20 * time.Second); ; {
		found, err := recording.Segments(ts.MkAbs(args[0]))
		ts.Check(err)
		n := 0
		for _, s := range found {
			r, err := recording.Open(s.Path)
			ts.Check(err)
			data, err := io.ReadAll(r)
			ts.Check(errors.Join(err, r.Close()))
			n += bytes.Count(data, []byte("\n"))
		}
		if n >= want {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%d lines were recorded in time, want %d", n, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func validJSON(ts *testscript.TestScript, neg bool, args []string) {
	if !json.Valid([]byte(ts.ReadFile("stdout"))) {
		ts.Fatalf("got no JSON")
	}
}

// stage publishes tables one by one, each once somebody waits for it.
type stage struct {
	*state.Model
	next chan *state.Published
}

// Wait publishes the next table first, where there is one.
func (s *stage) Wait(ctx context.Context, have route.Generation, d time.Duration) *state.Published {
	select {
	case p := <-s.next:
		if err := s.Publish(p); err != nil {
			panic(err)
		}
	default:
	}
	return s.Model.Wait(ctx, have, d)
}

func published(t *testing.T, number uint64, share int) *state.Published {
	t.Helper()
	g := route.Generation{Epoch: 1, Number: number}
	p, err := state.Encode(&route.Table{Generation: g, PublishedAt: incidentBegins, Policy: "git:3f2a91c", Lanes: []route.LaneTable{{Class: "otp", Network: "GB", Mode: route.Act,
		Routes: []route.Entry{{Route: "acme-uk", Share: share, Phase: route.Active}, {Route: "bolt-uk", Share: route.FullShare - share, Phase: route.Active}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reader is where a watch prints; it ends the watch once it has seen enough.
type reader struct {
	bytes.Buffer
	enough string
	stop   func()
}

// Write keeps what is printed.
func (r *reader) Write(b []byte) (int, error) {
	n, err := r.Buffer.Write(b)
	if strings.Contains(r.String(), r.enough) {
		r.stop()
	}
	return n, err
}

func TestWatchPrintsEachGenerationOnce(t *testing.T) {
	s := &stage{Model: state.New(), next: make(chan *state.Published, 2)}
	if err := s.Publish(published(t, 41, 6000)); err != nil {
		t.Fatal(err)
	}
	s.next <- published(t, 42, 0)
	s.next <- published(t, 43, 10000)
	handler, err := api.New(api.Options{Tables: s})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := &reader{enough: `"1-43"`, stop: cancel}
	if code := run(ctx, []string{"routes", "--watch", "--output", "json", "--server", server.URL}, out, io.Discard); code != exitDone {
		t.Errorf("got exit code %d, want %d", code, exitDone)
	}
	var got []string
	for d := json.NewDecoder(&out.Buffer); ; {
		var table route.Table
		if err := d.Decode(&table); err != nil {
			break
		}
		got = append(got, table.Generation.String())
	}
	if want := "1-41 1-42 1-43"; strings.Join(got, " ") != want {
		t.Errorf("got generations %v, want %s", got, want)
	}
}

func TestTruthOfAPart(t *testing.T) {
	for _, c := range []struct {
		value     any
		operator  string
		threshold any
		want      string
	}{
		{31.2, ">=", 12.0, "true"},
		{11.9, ">=", 12.0, "false"},
		{12.0, ">", 12.0, "false"},
		{3.0, "==", 3.0, "true"},
		{3.0, "!=", 3.0, "false"},
		{nil, ">=", 12.0, "unknown"},
		{math.NaN(), ">=", 12.0, ""},
		{"9s", "<", "1m", "true"},
		{"2026-03-02T03:00:00Z", "<", "2026-03-02T03:00:00.5Z", "true"},
		{"active", "==", "demoted", "false"},
		{true, "==", true, "true"},
		{"gold", "matches", "g.*", ""},
		{"gold", "<", 3.0, ""},
	} {
		if got := truthOf(&route.Input{Value: c.value, Operator: c.operator, Threshold: c.threshold}); got != c.want {
			t.Errorf("%v %s %v: got %q, want %q", c.value, c.operator, c.threshold, got, c.want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{share(10000), "100%"}, {share(50), "0.5%"}, {share(1), "0.01%"}, {share(3333), "33.33%"}, {share(0), "0%"},
		{percent(0), "0%"}, {percent(0.004), "0.4%"}, {percent(0.0996), "10%"}, {percent(0.58), "58%"}, {percent(0.995), "99.5%"}, {percent(1), "100%"},
		{number(0), "0"}, {number(31.24), "31.2"}, {number(4.6), "4.6"}, {number(12345.6), "12346"}, {number(0.01234), "0.0123"},
		{span(90 * time.Second), "1m30s"}, {span(76*time.Hour + 59*time.Minute), "3d4h"}, {span(3661 * time.Second), "1h1m"}, {span(1500 * time.Microsecond), "1ms"}, {span(0), "0s"},
		{value(nil), "unknown"}, {value("30s"), "30s"}, {value(true), "true"},
		{since(time.Time{}, incidentBegins), "-"},
		{since(incidentBegins, incidentBegins.Add(-300*time.Millisecond)), "03:00:00 (0s ago)"},
		{since(incidentBegins, incidentBegins.Add(25*time.Hour)), "2026-03-02 03:00:00 (1d1h ago)"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// trusting asks servers with any certificate, whether they are ready and nothing else.
var trusting = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func writeCertificates(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: certificates DIR")
	}
	ca, cert, key, err := loopbackPair()
	ts.Check(err)
	for name, data := range map[string][]byte{"ca.crt": ca, "server.crt": cert, "server.key": key} {
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name), data, 0o600))
	}
}

func keepToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep-token FILE")
	}
	var m minted
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &m))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(m.Token+"\n"), 0o600))
	f, err := os.OpenFile(ts.MkAbs("tokens.yml"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	ts.Check(err)
	_, err = f.WriteString("  - " + m.Line + "\n")
	ts.Check(errors.Join(err, f.Close()))
}
