package promql

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"signalbox/rules/route"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// site is a server that speaks the Prometheus API.
type site struct {
	url    string
	now    time.Time
	at     time.Time          // of the samples
	values map[string]float64 // by metric with its labels, as in the exposition format
	reply  http.HandlerFunc   // nil: what the values say
	asked  *http.Request      // the last one
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{now: noon, at: noon, values: map[string]float64{}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

var selector = regexp.MustCompile(`^(timestamp\()?([a-z_:]+)\)?$`)

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // what cannot be read has no query
	s.asked = r
	if s.reply != nil {
		s.reply(w, r)
		return
	}
	parts := selector.FindStringSubmatch(r.Form.Get("query"))
	result := []any{}
	for series, value := range s.values {
		name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		if parts == nil || name != parts[2] {
			continue
		}
		metric := map[string]string{"__name__": name}
		for _, l := range strings.Split(labels, ",") {
			k, v, _ := strings.Cut(l, "=")
			metric[k] = strings.Trim(v, `"`)
		}
		if parts[1] != "" {
			delete(metric, "__name__")
			value = float64(s.at.UnixMilli()) / 1000
		}
		result = append(result, map[string]any{"metric": metric, "value": []any{float64(s.now.Unix()), fmt.Sprint(value)}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
}

// add lets counters of a route grow.
func (s *site) add(counter string, n float64) {
	s.values["signalbox:route_"+counter+`:total{route="acme",class="otp",network="GB",instance="gw-1"}`] += n
}

func (s *site) pass(d time.Duration) {
	s.now = s.now.Add(d)
	s.at = s.now
}

func (s *site) collector(t testing.TB, change ...func(*Options)) *Collector {
	t.Helper()
	o := Options{Name: "mimir", URL: s.url, Now: func() time.Time { return s.now }, Known: func(id route.ID) bool { return id == "acme" }}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.warm = 0
	return c
}

// The first minute of a key is not told: its receipts are those of messages before, and would look too quick.
func TestTheFirstMinuteIsNotTold(t *testing.T) {
	s := newSite(t)
	c := s.collector(t)
	c.warm = time.Minute
	s.add("submitted", 1000)
	s.add("delivered", 900)
	told := 0
	for i := range 8 {
		if _, err := counted(t, c); err != nil {
			t.Fatal(err)
		}
		s.pass(15 * time.Second)
		s.add("submitted", 30)
		s.add("delivered", 30)
		observations, err := c.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range observations {
			if o.Kind != route.KindHeartbeat && (o.Time.Before(noon.Add(time.Minute)) || !o.Submitted.IsZero() && o.Submitted.Before(noon.Add(time.Minute))) {
				t.Errorf("round %d: told %+v", i, o)
			}
			told++
		}
	}
	if told < 8+4*30 {
		t.Errorf("got %d observations, want those after the first minute", told)
	}
}

// counted sums up what a collection gave.
func counted(t testing.TB, c *Collector) (text string, err error) {
	t.Helper()
	observations, err := c.Collect(t.Context())
	n := map[string]int{}
	for _, o := range observations {
		switch {
		case o.Kind == route.KindHeartbeat:
			n["heartbeat"]++
		case o.Kind == route.KindLost:
			n["lost track"]++
		case o.Kind == route.KindReceipt:
			n[o.Status.String()]++
		case o.Result == route.Accepted:
			n["submitted"]++
		default:
			n["refused "+o.Fault.String()]++
		}
		if o.Time.After(c.o.Now()) {
			t.Errorf("it is ahead of the clock: %+v", o)
		}
	}
	return fmt.Sprint(n), err
}

func TestCollectsWhatHasBeenCountedSince(t *testing.T) {
	s := newSite(t)
	c := s.collector(t)
	s.add("submitted", 1000)
	s.add("delivered", 900)
	if got, err := counted(t, c); err != nil || got != "map[heartbeat:1]" {
		t.Errorf("a first value is no increase: got %s, %v", got, err)
	}
	s.pass(15 * time.Second)
	s.add("submitted", 30)
	s.add("refused", 2)
	s.add("throttled", 3)
	s.add("delivered", 28)
	s.add("failed", 1)
	if got, err := counted(t, c); err != nil || got != "map[delivered:28 failed:1 heartbeat:1 refused capacity:3 refused route:2 submitted:30]" {
		// refused and failed appeared only now, so their first values are no increase
		if got != "map[delivered:28 heartbeat:1 submitted:30]" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if got, err := counted(t, c); err != nil || got != "map[heartbeat:1]" {
		t.Errorf("asked again before the next sample: got %s, %v", got, err)
	}
}

// Whatever is not a whole and fresh answer gives nothing, and no heartbeat, so that the route becomes unknown.
func TestNothingIsMadeOfHalfAnAnswer(t *testing.T) {
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	for name, c := range map[string]struct {
		spoil func(s *site)
		want  string
	}{
		"warnings": {func(s *site) {
			s.reply = text(`{"status":"success","warnings":["partial response: store-2 is away"],"data":{"resultType":"vector","result":[]}}`)
		}, "the answer may be partial: partial response: store-2 is away"},
		"an error":              {func(s *site) { s.reply = text(`{"status":"error","errorType":"execution","error":"out of memory"}`) }, "out of memory"},
		"503":                   {func(s *site) { s.reply = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) } }, "503"},
		"no JSON":               {func(s *site) { s.reply = text("<html>") }, "query delivered"},
		"an empty object":       {func(s *site) { s.reply = text("{}") }, "want a vector, got nothing"},
		"a matrix":              {func(s *site) { s.reply = text(`{"status":"success","data":{"resultType":"matrix","result":[]}}`) }, "want a vector, got a matrix"},
		"old samples":           {func(s *site) { s.at = s.now.Add(-time.Minute) }, "the newest sample is 1m old"},
		"samples of the future": {func(s *site) { s.at = s.now.Add(time.Hour) }, "the newest sample is"},
		"NaN": {func(s *site) {
			s.values[`signalbox:route_submitted:total{route="acme",class="otp",network="GB",instance="gw-1"}`] = nan()
		}, "want a count, got NaN"},
		"no series": {func(s *site) { clear(s.values) }, "no series of a known route"},
		"a network that is none": {func(s *site) {
			s.values[`signalbox:route_submitted:total{route="acme",class="otp",network="Britain"}`] = 1
		}, "want the labels class, and network"},
		"a hole of three minutes": {func(s *site) { s.pass(3 * time.Minute); s.add("submitted", 9999) }, "nothing was read for 3m15s"},
	} {
		s := newSite(t)
		col := s.collector(t)
		s.add("submitted", 100)
		s.add("delivered", 100)
		for range 2 {
			if _, err := counted(t, col); err != nil {
				t.Fatal(err)
			}
			s.pass(15 * time.Second)
			s.add("submitted", 30)
		}
		c.spoil(s)
		got, err := counted(t, col)
		if strings.Contains(got, "heartbeat") || name != "a network that is none" && got != "map[]" && got != "map[lost track:1]" || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %s, %v, want nothing and %q", name, got, err, c.want)
		}
	}
}

func nan() float64 { z := 0.0; return z / z }

// A gateway that restarts, or goes in a deploy, loses track of what was under way. That is told, so that it is not taken for
// silence; what is counted from then on counts.
func TestARestartIsNoLoss(t *testing.T) {
	for name, change := range map[string]func(s *site){
		"the counters begin anew": func(s *site) { clear(s.values); s.add("submitted", 20); s.add("delivered", 15) },
		"an instance is gone": func(s *site) {
			delete(s.values, `signalbox:route_submitted:total{route="acme",class="otp",network="GB",instance="gw-2"}`)
		},
		"it is an old answer": func(s *site) { s.at = s.now.Add(-time.Minute) },
	} {
		s := newSite(t)
		c := s.collector(t)
		s.add("submitted", 5000)
		s.add("delivered", 4800)
		s.values[`signalbox:route_submitted:total{route="acme",class="otp",network="GB",instance="gw-2"}`] = 12345
		for range 3 {
			if _, err := counted(t, c); err != nil {
				t.Fatal(err)
			}
			s.pass(15 * time.Second)
			s.add("submitted", 30)
			s.add("delivered", 25)
		}
		change(s)
		if got, _ := counted(t, c); got != "map[lost track:1]" {
			t.Errorf("%s: got %s, want what was under way to be told", name, got)
		}
		s.pass(15 * time.Second)
		s.add("submitted", 5)
		if got, err := counted(t, c); err != nil || !strings.Contains(got, "heartbeat:1") || strings.Contains(got, "lost") {
			t.Errorf("%s, and on: got %s, %v", name, got, err)
		}
		s.pass(15 * time.Second)
		s.add("submitted", 7)
		if got, err := counted(t, c); err != nil || got != "map[heartbeat:1 submitted:7]" {
			t.Errorf("%s, and on: got %s, %v", name, got, err)
		}
	}
}

func TestRoutesThatThePolicyDoesNotHaveAreNotRead(t *testing.T) {
	s := newSite(t)
	c := s.collector(t, func(o *Options) { o.Known = func(route.ID) bool { return false } })
	s.add("submitted", 5)
	if got, err := counted(t, c); got != "map[]" || err == nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestCallsCarryWhatTheServerAsksFor(t *testing.T) {
	s := newSite(t)
	c := s.collector(t, func(o *Options) {
		o.Headers, o.Params = map[string]string{"X-Scope-OrgID": "sms"}, map[string]string{"dedup": "true"}
	})
	s.add("submitted", 5)
	if _, err := counted(t, c); err != nil {
		t.Fatal(err)
	}
	if s.asked.Header.Get("X-Scope-OrgID") != "sms" || s.asked.Form.Get("dedup") != "true" {
		t.Errorf("got %v and %v", s.asked.Header, s.asked.Form)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for want, o := range map[string]Options{
		"want Name and URL": {},
		"at most 20s apart": {Name: "m", URL: "http://x", Interval: time.Minute},
		"want a query of delivered, failed, refused, submitted, throttled": {Name: "m", URL: "http://x", Queries: map[string]string{"sent": "x"}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Receipts are shared out over the messages that lack them; none goes to two, and what is more than all goes to its moment.
func TestQueueSharesReceiptsOut(t *testing.T) {
	q := queue{settled: 10_000, answered: 9_000, faded: noon, delay: 10 * time.Second}
	q.submit(noon, 10)
	q.submit(noon.Add(slot), 30)
	given := map[time.Duration]int{}
	tell := func(n int) {
		clear(given)
		for _, at := range q.answer(noon.Add(2*slot), n) {
			given[at.Sub(noon)]++
		}
	}
	for _, c := range []struct {
		n    int
		want string
	}{
		{12, "map[0s:3 5s:9]"},  // in proportion to what each lacks
		{24, "map[0s:6 5s:18]"}, // all that is usual
		{4, "map[0s:1 5s:3]"},   // and what is not
		{3, "map[10s:3]"},       // more receipts than messages
	} {
		if tell(c.n); fmt.Sprint(given) != c.want {
			t.Errorf("%d receipts: got %v, want %s", c.n, given, c.want)
		}
	}
	q.fade(noon.Add(longest + time.Second))
	if len(q.cohorts) != 1 || q.cohorts[0].at != noon.Add(slot) {
		t.Errorf("got %+v, want what is too old to be gone", q.cohorts)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"route":"acme","class":"otp","network":"GB"},"value":[1795425926,"5"]}]}}`)
	f.Add(`{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`)
	f.Add(`{"status":"success","warnings":[""],"data":null}`)
	f.Add("")
	f.Add("{}") // was a nil pointer once
	s := newSite(f)
	body := ""
	s.reply = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	f.Fuzz(func(t *testing.T, text string) {
		body = text
		c := s.collector(t)
		for range 2 {
			observations, err := c.Collect(t.Context())
			for _, o := range observations {
				if len(o.Source) > 64 || strings.Contains(o.Source, ":") {
					t.Errorf("got source %q", o.Source)
				}
			}
			if err == nil && len(observations) == 0 {
				t.Error("got nothing, and no reason")
			}
			s.pass(15 * time.Second)
		}
	})
}

// A collector goes on over a reload only where a new one would read the same: of TLS, what can be configured counts.
func TestReadsComparesAllThatIsConfigured(t *testing.T) {
	whole := func() Options {
		return Options{Name: "p", URL: "http://127.0.0.1:1", Headers: map[string]string{"X-Scope-OrgID": "a"}, Params: map[string]string{"dedup": "true"}, Queries: map[string]string{Submitted: "x"},
			TLS: &tls.Config{ServerName: "p.example", Certificates: []tls.Certificate{{Certificate: [][]byte{{1}}}}}}
	}
	c, err := New(whole())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"the name":          func(o *Options) { o.Name = "q" },
		"the URL":           func(o *Options) { o.URL = "http://127.0.0.1:2" },
		"a header":          func(o *Options) { o.Headers["X-Scope-OrgID"] = "b" },
		"a parameter":       func(o *Options) { o.Params["dedup"] = "false" },
		"a query":           func(o *Options) { o.Queries[Submitted] = "y" },
		"the interval":      func(o *Options) { o.Interval = 5 * time.Second },
		"the delay":         func(o *Options) { o.Delay = 5 * time.Second },
		"no TLS":            func(o *Options) { o.TLS = nil },
		"the server's name": func(o *Options) { o.TLS.ServerName = "q.example" },
		"a certificate":     func(o *Options) { o.TLS.Certificates[0].Certificate[0] = []byte{2} },
		"its authorities":   func(o *Options) { o.TLS.RootCAs = x509.NewCertPool() },
		"nonsense":          func(o *Options) { o.Interval = time.Hour },
	} {
		o := whole()
		if !c.Reads(o) {
			t.Fatal("the same options: want it to go on")
		}
		if change(&o); c.Reads(o) {
			t.Errorf("%s: want a new one", name)
		}
	}
}
