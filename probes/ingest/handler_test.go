package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"signalbox/rules/route"
)

// sink keeps what it is given; while full it takes nothing.
type sink struct {
	mu   sync.Mutex // guards all
	got  []route.Observation
	most int
	err  error
	room int // where err is set: how many calls still succeed
}

func (s *sink) take(_ context.Context, batch []route.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		if s.room--; s.room < 0 {
			return s.err
		}
	}
	s.got = append(s.got, batch...)
	s.most = max(s.most, len(batch))
	return nil
}

func newHandler(t testing.TB, o Options) (*Handler, *sink) {
	t.Helper()
	s := &sink{}
	if o.Sink == nil {
		o.Sink = s.take
	}
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, s
}

type reply struct {
	Accepted     int           `json:"accepted"`
	Refused      []refusedLine `json:"refused"`
	RefusedTotal int           `json:"refused_total"`
	Type         string        `json:"type"`
	Title        string        `json:"title"`
	Status       int           `json:"status"`
	Detail       string        `json:"detail"`

	code   int
	header http.Header
	body   string
}

func post(t testing.TB, h http.Handler, body io.Reader, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/events", body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(t, h, r)
}

func do(t testing.TB, h http.Handler, r *http.Request) reply {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := reply{code: w.Code, header: w.Header(), body: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("got the body %q: %v", w.Body, err)
	}
	want := "application/json"
	if a.code != http.StatusOK {
		want = "application/problem+json"
		if a.Type == "" || a.Title != http.StatusText(a.code) || a.Status != a.code || a.Detail == "" {
			t.Errorf("got the problem %s, want type, title, status and detail", a.body)
		}
	}
	if got := a.header.Get("Content-Type"); got != want {
		t.Errorf("got an answer of type %s, want %s", got, want)
	}
	return a
}

const line1 = `{"type":"submit","time":1795435200,"id":"m-1","route":"acme-uk","class":"otp","network":"234-15"}` + "\n"
const line2 = `{"type":"receipt","time":1795435200.5,"id":"m-1","route":"acme-uk","status":"delivered"}` + "\n"

func submits(from, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(line1, "m-1", fmt.Sprint("m-", from+i), 1))
	}
	return b.String()
}

func TestHandlerTakesGoodLinesAndNamesBadOnes(t *testing.T) {
	h, s := newHandler(t, Options{})
	a := post(t, h, strings.NewReader(line1+"nonsense\n\n"+line2+strings.Replace(line1, "acme-uk", "", 1)))
	want := `{"accepted":2,"refused":[{"line":2,"why":"want a JSON object, got 'n' at byte 1"},{"line":5,"why":"route: want a route id, got \"\""}],"refused_total":2}`
	if a.code != 200 || strings.TrimSpace(a.body) != want {
		t.Errorf("got %d %s\nwant %s", a.code, a.body, want)
	}
	if len(s.got) != 2 || s.got[1].Kind != route.KindReceipt || !s.got[1].Final || s.got[1].Key() != s.got[0].Key() || s.got[1].Submitted != s.got[0].Time {
		t.Errorf("got %+v, want the submit and its receipt", s.got)
	}
	for _, o := range s.got {
		if o.Message != "" {
			t.Errorf("got the message id %q, want none kept", o.Message)
		}
	}
}

func TestHandlerAnswersAnEmptyBatch(t *testing.T) {
	h, _ := newHandler(t, Options{})
	if a := post(t, h, strings.NewReader("")); strings.TrimSpace(a.body) != `{"accepted":0,"refused":[],"refused_total":0}` {
		t.Errorf("got %s", a.body)
	}
}

func TestHandlerListsAHundredRefusals(t *testing.T) {
	h, _ := newHandler(t, Options{})
	if a := post(t, h, strings.NewReader(strings.Repeat("x\n", 250))); len(a.Refused) != 100 || a.RefusedTotal != 250 {
		t.Errorf("got %d listed of %d, want 100 of 250", len(a.Refused), a.RefusedTotal)
	}
}

func TestHandlerRefusesUnknownRoutes(t *testing.T) {
	h, s := newHandler(t, Options{
		Known:   func(id route.ID) bool { return id == "acme-uk" },
		Suggest: func(id route.ID) route.ID { return map[route.ID]route.ID{"acme-ul": "acme-uk"}[id] },
	})
	a := post(t, h, strings.NewReader(line1+strings.ReplaceAll(line1, "acme-uk", "acme-ul")+strings.ReplaceAll(line1, "acme-uk", "zebra")+
		`{"type":"heartbeat","time":1795435200,"source":"gw-1","routes":["acme-ul","acme-uk"]}`+"\n"+
		`{"type":"heartbeat","time":1795435200,"source":"gw-1","routes":["zebra"]}`))
	want := []refusedLine{
		{2, `route: want a route of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		{3, `route: want a route of the policy, got "zebra"`},
		{4, `routes[0]: want a route of the policy, got "acme-ul" (did you mean "acme-uk"?)`},
		{5, `routes[0]: want a route of the policy, got "zebra"`},
	}
	if a.Accepted != 2 || !slices.Equal(a.Refused, want) {
		t.Errorf("got %s\nwant %v", a.body, want)
	}
	if last := s.got[len(s.got)-1]; last.Kind != route.KindHeartbeat || !slices.Equal(last.Routes, []route.ID{"acme-uk"}) {
		t.Errorf("got %+v, want the heartbeat of the known route", last)
	}
}

func TestHandlerRefusesEventsAheadOfItsClock(t *testing.T) {
	h, _ := newHandler(t, Options{})
	event := func(ahead time.Duration) string {
		return fmt.Sprintf(`{"type":"conversion","time":%d,"id":"m","route":"a"}`+"\n", noon.Add(ahead).Unix())
	}
	a := post(t, h, strings.NewReader(event(time.Minute)+event(3723*time.Second)+event(-24*time.Hour)+
		strings.Replace(event(0), `"id"`, `"class":"c","network":"*","submit_time":1795435300,"id"`, 1)))
	want := []refusedLine{
		{2, "time: want at most 1m0s ahead of the clock here, got 1h2m3s ahead (2026-11-23T12:00:00Z here)"},
		{4, "submit_time: want at most 1m0s ahead of the clock here, got 1m40s ahead (2026-11-23T12:00:00Z here)"},
	}
	if a.Accepted != 2 || !slices.Equal(a.Refused, want) {
		t.Errorf("got %s\nwant %v", a.body, want)
	}
}

func TestHandlerTakesTheSourceOfTheToken(t *testing.T) {
	h, s := newHandler(t, Options{Source: func(r *http.Request) string { return r.Header.Get("Token") }})
	for _, token := range []string{"gw-1", ""} {
		post(t, h, strings.NewReader(`{"type":"heartbeat","time":1795435200,"source":"gw-9","routes":["a"]}`), "Token", token)
	}
	if s.got[0].Source != "gw-1" || s.got[1].Source != "gw-9" {
		t.Errorf("got sources %q and %q, want gw-1 and the line's", s.got[0].Source, s.got[1].Source)
	}
}

func zipped(text string) io.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return &b
}

func zstded(t testing.TB, text string, o ...zstd.EOption) *bytes.Reader {
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(w.EncodeAll([]byte(text), nil))
}

// streamed is a zstd frame that does not tell its size, and so needs the whole window.
func streamed(t testing.TB, text string, o ...zstd.EOption) io.Reader {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, o...)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(text, "\n") {
		_, _ = io.WriteString(w, part+"\n")
		_ = w.Flush()
	}
	_ = w.Close()
	return &b
}

func TestHandlerReadsEncodingsAndTypes(t *testing.T) {
	h, _ := newHandler(t, Options{})
	for range 2 { // the second time with readers that were used before
		for name, c := range map[string]struct {
			body    io.Reader
			headers []string
		}{
			"plain":        {strings.NewReader(line1), nil},
			"identity":     {strings.NewReader(line1), []string{"Content-Encoding", "identity", "Content-Type", "application/x-ndjson"}},
			"gzip":         {zipped(line1), []string{"Content-Encoding", "gzip", "Content-Type", "application/json; charset=utf-8"}},
			"two gzips":    {io.MultiReader(zipped(line1[:50]), zipped(line1[50:])), []string{"Content-Encoding", "GZIP", "Content-Type", "application/jsonl"}},
			"zstd":         {zstded(t, line1), []string{"Content-Encoding", "zstd", "Content-Type", "text/plain"}},
			"zstd, 8 MiB":  {streamed(t, line1, zstd.WithWindowSize(8<<20)), []string{"Content-Encoding", "zstd"}},
			"empty zstd":   {zstded(t, ""), []string{"Content-Encoding", "zstd"}},
			"padded, gzip": {zipped(line1 + strings.Repeat(" ", 10<<20)[:0]), []string{"Content-Encoding", "gzip"}},
		} {
			if a := post(t, h, c.body, c.headers...); a.code != 200 || a.Accepted != 1 && name != "empty zstd" {
				t.Errorf("%s: got %d %s", name, a.code, a.body)
			}
		}
	}
}

func TestHandlerProblems(t *testing.T) {
	large := strings.Repeat(strings.Repeat(" ", 1023)+"\n", maxBody/1024) + line1
	wide := streamed(t, line1+strings.Repeat("x", 100)+"\n"+line1, zstd.WithWindowSize(32<<20))
	for name, c := range map[string]struct {
		body     io.Reader
		headers  []string
		code     int
		detail   string
		accepted int
	}{
		"known to be too large": {strings.NewReader(large), nil, 413, "16 MiB) as received", 0},
		"turns out too large":   {io.MultiReader(strings.NewReader(line1), strings.NewReader(large)), nil, 413, "16 MiB) as received", 1},
		"gzip bomb":             {zipped(line1 + strings.Repeat("\n", 64<<20)), []string{"Content-Encoding", "gzip"}, 413, "16 MiB) as decompressed", 1},
		"zstd bomb":             {zstded(t, line1+strings.Repeat("\n", 64<<20)), []string{"Content-Encoding", "zstd"}, 413, "16 MiB) as decompressed", 1},
		"large compressed":      {io.MultiReader(zipped(line1), strings.NewReader(large)), []string{"Content-Encoding", "gzip"}, 400, "gzip", 1},
		"zstd window":           {wide, []string{"Content-Encoding", "zstd"}, 413, "window of at most 8388608", 0},
		"not gzip":              {strings.NewReader(line1), []string{"Content-Encoding", "gzip"}, 400, "gzip", 0},
		"not zstd":              {strings.NewReader(line1), []string{"Content-Encoding", "zstd"}, 400, "magic", 0},
		"half a gzip":           {io.LimitReader(zipped(submits(0, 1000)), 100), []string{"Content-Encoding", "gzip"}, 400, "unexpected EOF", -1},
		"other encoding":        {strings.NewReader(line1), []string{"Content-Encoding", "br"}, 415, `Content-Encoding: want gzip, zstd or identity, got "br"`, 0},
		"two encodings":         {strings.NewReader(line1), []string{"Content-Encoding", "gzip, gzip"}, 415, `got "gzip, gzip"`, 0},
		"other type":            {strings.NewReader(line1), []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, `Content-Type: want application/x-ndjson, got "application/x-www-form-urlencoded"`, 0},
		"no type":               {strings.NewReader(line1), []string{"Content-Type", "/"}, 415, `Content-Type`, 0},
	} {
		h, s := newHandler(t, Options{})
		a := post(t, h, c.body, c.headers...)
		if a.code != c.code || !strings.Contains(a.Detail, c.detail) {
			t.Errorf("%s: got %d %s, want %d %s", name, a.code, a.body, c.code, c.detail)
		}
		if c.accepted >= 0 && a.Accepted != c.accepted || len(s.got) != a.Accepted {
			t.Errorf("%s: got %d accepted and %d handed over, want %d", name, a.Accepted, len(s.got), c.accepted)
		}
	}
}

func TestHandlerTakesSixteenMebibytes(t *testing.T) {
	h, _ := newHandler(t, Options{})
	body := line1 + strings.Repeat(strings.Repeat(" ", 1023)+"\n", maxBody/1024-1) + strings.Repeat(" ", 1024-len(line1))
	if len(body) != maxBody {
		t.Fatal(len(body))
	}
	for _, c := range []struct {
		body    io.Reader
		headers []string
	}{{strings.NewReader(body), nil}, {zipped(body), []string{"Content-Encoding", "gzip"}}} {
		if a := post(t, h, c.body, c.headers...); a.code != 200 {
			t.Errorf("got %d %s", a.code, a.body)
		}
	}
}

func TestHandlerWantsPOST(t *testing.T) {
	h, _ := newHandler(t, Options{})
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS"} {
		if a := do(t, h, httptest.NewRequest(method, "/events", nil)); a.code != 405 || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: got %d, Allow %q", method, a.code, a.header.Get("Allow"))
		}
	}
}

func TestHandlerHandsOverInChunks(t *testing.T) {
	h, s := newHandler(t, Options{})
	a := post(t, h, strings.NewReader(submits(0, 10_000)))
	if a.Accepted != 10_000 || len(s.got) != 10_000 || s.most > 4096 {
		t.Errorf("got %d accepted, %d handed over, at most %d at once", a.Accepted, len(s.got), s.most)
	}
}

func TestFullSinkLosesNothing(t *testing.T) {
	h, s := newHandler(t, Options{})
	s.err, s.room = ErrFull, 2
	batch := submits(0, 5000)
	a := post(t, h, strings.NewReader(batch))
	if a.code != 429 || a.header.Get("Retry-After") == "" || a.Accepted != 3*maxChunk {
		t.Errorf("got %d %s, want 429 and %d accepted", a.code, a.body, 3*maxChunk)
	}
	for range 3 { // while it owes, it takes nothing more
		if a := post(t, h, strings.NewReader(batch)); a.code != 429 || a.Accepted != 0 {
			t.Errorf("got %d %s, want 429 and nothing accepted", a.code, a.body)
		}
		if err := h.Take(t.Context(), []route.Observation{{Kind: route.KindProbe, Time: noon}}); !errors.Is(err, ErrFull) {
			t.Errorf("got %v, want %v", err, ErrFull)
		}
	}
	s.err = nil
	if a := post(t, h, strings.NewReader(batch)); a.code != 200 || a.Accepted != 5000 {
		t.Errorf("got %d %s", a.code, a.body)
	}
	count := map[route.Kind]int{}
	for _, o := range s.got {
		count[o.Kind]++
	}
	if count[route.KindSubmit] != 5000 || count[route.KindDuplicate] != 3*maxChunk {
		t.Errorf("got %v, want each of 5000 submits once, and the rest as duplicates", count)
	}
}

func TestSinkThatFails(t *testing.T) {
	h, s := newHandler(t, Options{})
	s.err = errors.New("closing")
	if a := post(t, h, strings.NewReader(line1)); a.code != 503 || !strings.Contains(a.Detail, "closing") {
		t.Errorf("got %d %s", a.code, a.body)
	}
}

func TestTakeJoinsWithEvents(t *testing.T) {
	h, s := newHandler(t, Options{})
	post(t, h, strings.NewReader(line1))
	receipt := route.Observation{Kind: route.KindReceipt, Status: route.StatusFailed, Time: noon, Route: "acme-uk", Message: "m-1"}
	for range 2 {
		if err := h.Take(t.Context(), []route.Observation{receipt}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.got) != 3 || s.got[1].Class != "otp" || !s.got[1].Final || s.got[1].Message != "" || s.got[2].Kind != route.KindDuplicate {
		t.Errorf("got %+v", s.got)
	}
}

func TestHandlerInParallel(t *testing.T) {
	h, s := newHandler(t, Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 5 {
				post(t, h, zipped(submits(100_000*w+1000*i, 1000)), "Content-Encoding", "gzip")
			}
		})
	}
	wg.Wait()
	if len(s.got) != 40_000 {
		t.Errorf("got %d observations, want 40000", len(s.got))
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	h, _ := newHandler(t, Options{Registerer: reg, Known: func(id route.ID) bool { return id != "b" }})
	post(t, h, strings.NewReader(line1+line1+line2+strings.Replace(line2, "delivered", "failed", 1)+
		strings.Replace(line1, "m-1", "m-2", 1)+strings.Replace(line1, "acme-uk", "b", 1)+"x\n"))
	want := `
# HELP signalbox_events_duplicate_total Observations that had been counted before.
# TYPE signalbox_events_duplicate_total counter
signalbox_events_duplicate_total 1
# HELP signalbox_events_refused_total Observations refused, by reason.
# TYPE signalbox_events_refused_total counter
signalbox_events_refused_total{reason="clock"} 0
signalbox_events_refused_total{reason="field"} 0
signalbox_events_refused_total{reason="length"} 0
signalbox_events_refused_total{reason="route"} 1
signalbox_events_refused_total{reason="syntax"} 1
signalbox_events_refused_total{reason="type"} 0
# HELP signalbox_events_total Observations taken, by type.
# TYPE signalbox_events_total counter
signalbox_events_total{type="baseline"} 0
signalbox_events_total{type="conversion"} 0
signalbox_events_total{type="heartbeat"} 0
signalbox_events_total{type="probe"} 0
signalbox_events_total{type="receipt"} 2
signalbox_events_total{type="submit"} 3
# HELP signalbox_messages_evicted_total Messages forgotten before their final status, for their number or age.
# TYPE signalbox_messages_evicted_total counter
signalbox_messages_evicted_total 0
# HELP signalbox_messages_open Messages accepted and without a final status.
# TYPE signalbox_messages_open gauge
signalbox_messages_open 1
# HELP signalbox_receipts_contradicting_total Receipts with another final status than the first one.
# TYPE signalbox_receipts_contradicting_total counter
signalbox_receipts_contradicting_total 1
# HELP signalbox_receipts_unmatched_total Receipts and conversions whose submit was never seen.
# TYPE signalbox_receipts_unmatched_total counter
signalbox_receipts_unmatched_total 0
`
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	got.WriteByte('\n')
	for _, f := range families {
		if f.GetName() == "signalbox_events_batch_bytes" {
			if n := f.Metric[0].Histogram.GetSampleCount(); n != 1 {
				t.Errorf("got %d batches, want 1", n)
			}
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != want {
		t.Errorf("got %s\nwant %s", &got, want)
	}
	if _, err := New(Options{Sink: (&sink{}).take, Registerer: reg}); err == nil {
		t.Error("got no error for metrics that are registered twice")
	}
}

func TestNewRefusesImpossibleOptions(t *testing.T) {
	for name, o := range map[string]Options{"no sink": {}, "negative": {Sink: (&sink{}).take, MaxAhead: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// A body that comes too slowly ends by the server's deadline, and what came before counts.
func TestSlowBodiesEnd(t *testing.T) {
	h, s := newHandler(t, Options{})
	server := httptest.NewUnstartedServer(h)
	server.Config.ReadTimeout = 100 * time.Millisecond
	server.Start()
	defer server.Close()
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = io.WriteString(w, line1) }()
	resp, err := http.Post(server.URL+"/events", "application/x-ndjson", r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout || len(s.got) != 1 {
		t.Errorf("got %d and %d observations, want 408 and the one that came", resp.StatusCode, len(s.got))
	}
}

// A posted receipt of a test message of ours is accepted, and counts nowhere; only receipts are asked about.
func TestHandlerLeavesOutWhatIsOurs(t *testing.T) {
	var asked []string
	h, s := newHandler(t, Options{Own: func(o *route.Observation, known func(*route.Observation) bool) bool {
		asked = append(asked, fmt.Sprint(o.Message, " ", known(o)))
		return !known(o) && strings.HasPrefix(o.Message, "p-")
	}})
	at := noon.Format(time.RFC3339)
	line := func(what string) string { return strings.ReplaceAll(what, "AT", at) + "\n" }
	r := post(t, h, strings.NewReader(
		line(`{"type":"submit","time":"AT","id":"m-1","route":"acme","class":"otp","network":"GB","result":"accepted"}`)+
			line(`{"type":"submit","time":"AT","id":"p-2","route":"acme","class":"otp","network":"GB","result":"accepted"}`)+
			line(`{"type":"receipt","time":"AT","id":"m-1","route":"acme","status":"delivered"}`)+
			line(`{"type":"receipt","time":"AT","id":"p-1","route":"acme","status":"delivered"}`)+
			line(`{"type":"receipt","time":"AT","id":"p-2","route":"acme","status":"delivered"}`)))
	if r.code != http.StatusOK || r.Accepted != 5 {
		t.Errorf("got %d %s", r.code, r.body)
	}
	if want := []string{"m-1 true", "p-1 false", "p-2 true"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q, want %q", asked, want)
	}
	if len(s.got) != 4 {
		t.Errorf("handed over: got %+v, want all but the receipt of p-1", s.got)
	}
	if stats := h.o.Joiner.Stats(); stats.Early != 0 {
		t.Errorf("got %+v, want no receipt that waits for a submit", stats)
	}
}
