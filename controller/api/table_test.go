package api

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestConditionalRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		want    int
	}{
		"nothing held":                {nil, 200},
		"the generation in force":     {[]string{`"1-42"`}, 304},
		"weak form":                   {[]string{`W/"1-42"`}, 304},
		"an older one":                {[]string{`"1-41"`}, 200},
		"a newer one":                 {[]string{`"1-43"`}, 200},
		"another epoch":               {[]string{`"2-42"`}, 200},
		"a part of it":                {[]string{`"1-4"`}, 200},
		"a list with it":              {[]string{`"1-40", W/"1-42" ,"1-43"`}, 304},
		"a list without spaces":       {[]string{`"1-40","1-42"`}, 304},
		"a list without it":           {[]string{`"1-40", "1-41"`}, 200},
		"a tag that has a comma":      {[]string{`"a,b", "1-42"`}, 304},
		"its text inside another tag": {[]string{`"x,1-42,"`}, 200},
		"several headers":             {[]string{`"1-40"`, `"1-42"`}, 304},
		"any":                         {[]string{`*`}, 304},
		"without quotes":              {[]string{`1-42`}, 200},
		"open quotes":                 {[]string{`"1-42`}, 200},
		"rubbish":                     {[]string{`,,,"",W/,`}, 200},
		"rubbish, then it":            {[]string{`,, "", "1-42"`}, 304},
		"empty":                       {[]string{``}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, method := range []string{"GET", "HEAD"} {
				r := httptest.NewRequest(method, "/routes", nil)
				r.Header["If-None-Match"] = tc.headers
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, r)
				if rec.Code != tc.want {
					t.Errorf("%s: got %d, want %d", method, rec.Code, tc.want)
				}
				wantTableHeaders(t, rec, "1-42")
				if (method == "HEAD" || rec.Code == 304) != (rec.Body.Len() == 0) {
					t.Errorf("%s: got %d with %d bytes", method, rec.Code, rec.Body.Len())
				}
			}
		})
	}
}

func wantTableHeaders(t *testing.T, rec *httptest.ResponseRecorder, generation string) {
	t.Helper()
	_, index, _ := strings.Cut(generation, "-")
	for name, want := range map[string]string{
		"ETag":                 `"` + generation + `"`,
		"Signalbox-Generation": generation,
		"Signalbox-Index":      index,
		"Cache-Control":        "max-age=1, stale-if-error=604800",
		"Vary":                 "Accept-Encoding",
	} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestTableIsTheBytesThatWerePublished(t *testing.T) {
	w := newWorld(t)
	p := w.tables.Table()
	for name, tc := range map[string]struct {
		accept []string
		want   string
	}{
		"nothing said":             {nil, ""},
		"gzip":                     {[]string{"gzip"}, "gzip"},
		"old name of gzip":         {[]string{"x-gzip"}, "gzip"},
		"zstd":                     {[]string{"zstd"}, "zstd"},
		"browser":                  {[]string{"gzip, deflate, br, zstd"}, "zstd"},
		"capitals and tabs":        {[]string{"GZIP\t; Q=1.0"}, "gzip"},
		"unknown ones":             {[]string{"br, deflate"}, ""},
		"weights":                  {[]string{"gzip;q=0.9, zstd;q=0.8"}, "gzip"},
		"weights to three digits":  {[]string{"gzip;q=0.001, zstd;q=0.002"}, "zstd"},
		"refused":                  {[]string{"gzip;q=0, zstd;q=0.000"}, ""},
		"plain is liked better":    {[]string{"identity;q=1, gzip;q=0.5"}, ""},
		"plain is liked less":      {[]string{"identity;q=0.5, gzip;q=1"}, "gzip"},
		"anything":                 {[]string{"*"}, "zstd"},
		"anything but zstd":        {[]string{"*, zstd;q=0"}, "gzip"},
		"anything, plain better":   {[]string{"*;q=0.1, identity"}, ""},
		"nothing at all":           {[]string{"*;q=0"}, ""},
		"nothing but gzip":         {[]string{"gzip, *;q=0"}, "gzip"},
		"several headers":          {[]string{"br", "gzip"}, "gzip"},
		"weight beyond one":        {[]string{"gzip;q=1.5"}, ""},
		"weight that is no number": {[]string{"gzip;q=high"}, ""},
		"empty":                    {[]string{""}, ""},
		"rubbish":                  {[]string{";;,,=,q=1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/routes", nil)
			r.Header["Accept-Encoding"] = tc.accept
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			wantTableHeaders(t, rec, "1-42")
			if got := rec.Header().Get("Content-Encoding"); rec.Code != 200 || got != tc.want {
				t.Fatalf("got %d in %q, want 200 in %q", rec.Code, got, tc.want)
			}
			if got := rec.Header().Get("Content-Length"); got != strconv.Itoa(rec.Body.Len()) {
				t.Errorf("content length: got %s, want %d", got, rec.Body.Len())
			}
			if got := unpack(t, tc.want, rec.Body.Bytes()); !bytes.Equal(got, p.Plain) {
				t.Errorf("got %s, want %s", got, p.Plain)
			}
		})
	}
}

func unpack(t *testing.T, encoding string, b []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCodingThatIsNotToBeHad(t *testing.T) {
	w := newWorld(t)
	p := encode(tableOf(43))
	p.Zstd, p.Gzip = nil, nil
	w.tables.publish(p)
	if got := w.get("/routes", "Accept-Encoding: gzip, zstd"); got.Header().Get("Content-Encoding") != "" || got.Code != 200 {
		t.Errorf("got %d in %q, want the plain table", got.Code, got.Header().Get("Content-Encoding"))
	}
}

func TestNotWarm(t *testing.T) {
	w := newWorld(t)
	w.tables.publish(nil)
	for _, target := range []string{"/routes", "/routes?class=otp", "/routes?index=1&wait=30s", "/routes/lookup?class=otp&network=GB"} {
		rec := w.get(target, "Prefer: wait=30", `If-None-Match: "0-0"`)
		wantProblem(t, rec, http.StatusServiceUnavailable, "not-warm")
		if rec.Header().Get("Retry-After") == "" || rec.Header().Get("Signalbox-Generation") != "" {
			t.Errorf("%s: got %v, want Retry-After and no generation", target, rec.Header())
		}
	}
	wantProblem(t, w.get("/-/ready"), http.StatusServiceUnavailable, "not-ready")
	if rec := w.get("/-/healthy"); rec.Code != 200 {
		t.Errorf("healthy: got %d, want 200", rec.Code)
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	for target, want := range map[string]string{
		"/routes?class=otp":             `"class":"otp"`,
		"/routes?network=FR":            `"network":"FR"`,
		"/routes?class=bulk&network=FR": `"class":"bulk"`,
		"/routes?class=*&network=*":     `"class":"*"`,
		"/routes?class=%2A&network=%2A": `"class":"*"`,
		"/routes?class=&network=&x=y":   `"class":"bulk"`,
	} {
		rec := w.get(target)
		wantTableHeaders(t, rec, "1-42")
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: got %d %s, want %s", target, rec.Code, rec.Body, want)
		}
		if rec := w.get(target, `If-None-Match: "1-42"`); rec.Code != 304 {
			t.Errorf("%s: got %d, want 304", target, rec.Code)
		}
	}
	rec := w.get("/routes?class=otp&network=FR")
	wantProblem(t, rec, http.StatusNotFound, "no-lane")
	if rec.Header().Get("Signalbox-Generation") != "1-42" {
		t.Errorf("no lane: got generation %q, want 1-42", rec.Header().Get("Signalbox-Generation"))
	}
}

func TestBadTableQueries(t *testing.T) {
	w := newWorld(t)
	for target, parameter := range map[string]string{
		"/routes?network=gb":                              "network",
		"/routes?network=234":                             "network",
		"/routes?network=GB&network=FR":                   "network",
		"/routes?class=a&class=b":                         "class",
		"/routes?class=" + strings.Repeat("x", maxName+1): "class",
		"/routes?class=a%00b":                             "class",
		"/routes?index=abc":                               "index",
		"/routes?index=-1":                                "index",
		"/routes?index=1&index=2":                         "index",
		"/routes?index=42&wait=long":                      "wait",
		"/routes?wait=-5s":                                "wait",
		"/routes?class=%zz":                               "query",
		"/routes?class=%":                                 "query",
		"/routes?a;b=c":                                   "query",
	} {
		p := wantProblem(t, w.get(target), http.StatusBadRequest, "bad-parameter")
		if p.Parameter != parameter || !strings.HasPrefix(p.Detail, parameter+": ") {
			t.Errorf("%s: got %q, %q, want it to name %s", target, p.Parameter, p.Detail, parameter)
		}
	}
}

// discard is a writer that keeps nothing but its header map.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func benchmarkTable(b *testing.B, target string, headers ...string) {
	w := newWorld(b)
	r := httptest.NewRequest("GET", target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	d := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(d.h)
		w.handler.ServeHTTP(d, r)
	}
}

func BenchmarkUnchanged(b *testing.B) { benchmarkTable(b, "/routes", `If-None-Match: "1-42"`) }
func BenchmarkFull(b *testing.B)      { benchmarkTable(b, "/routes") }
func BenchmarkFullZstd(b *testing.B) {
	benchmarkTable(b, "/routes", "Accept-Encoding: gzip, deflate, br, zstd")
}
func BenchmarkNewerAtOnce(b *testing.B) {
	benchmarkTable(b, "/routes", "Prefer: wait=30", `If-None-Match: "1-41"`)
}

func TestServingTheTableAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.tables.publish(w.tables.Table())
	for name, headers := range map[string]http.Header{
		"unchanged": {"If-None-Match": {`"1-42"`}},
		"full":      {"Accept-Encoding": {"gzip, zstd;q=0.5"}},
	} {
		r := httptest.NewRequest("GET", "/routes", nil)
		r.Header = headers
		d := &discard{h: http.Header{}}
		got := testing.AllocsPerRun(100, func() {
			clear(d.h)
			w.handler.ServeHTTP(d, r)
		})
		if got > 1 { // the race detector makes pools forget
			t.Errorf("%s: got %.0f allocations, want none", name, got)
		}
	}
}
