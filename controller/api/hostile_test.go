package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestUnknownPathsSayWhereToLook(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/nothing", "/routes/", "/api/v1/", "/api/v2/lanes", "/receipts/a/b", "/senders/", "/routes%2Flookup"} {
		p := wantProblem(t, w.get(path), 404, "not-found")
		if !slices.Contains(p.See, "/routes") || !slices.Contains(p.See, "/api/v1/lanes") {
			t.Errorf("%s: got %v, want paths to look at", path, p.See)
		}
	}
}

func TestWrongMethods(t *testing.T) {
	w := newWorld(t)
	for target, allow := range map[string]string{
		"POST /routes":             "GET, HEAD",
		"DELETE /routes":           "GET, HEAD",
		"OPTIONS /routes":          "GET, HEAD",
		"BREW /routes":             "GET, HEAD",
		"GET /senders/a":           "PUT",
		"GET /events":              "POST",
		"DELETE /receipts/kannel":  "GET, HEAD, POST",
		"GET /-/reload":            "POST",
		"PUT /api/v1/lanes/otp/GB": "GET, HEAD",
		"POST /api/v1/decisions":   "GET, HEAD",
	} {
		method, path, _ := strings.Cut(target, " ")
		rec := w.do(method, path, "")
		wantProblem(t, rec, 405, "method-not-allowed")
		if got := rec.Header().Get("Allow"); got != allow || rec.Header().Get("Signalbox-Generation") != "1-42" {
			t.Errorf("%s: got %q, want %q", target, got, allow)
		}
	}
	if got := w.metric(t, "signalbox_http_requests_total", "code=405", "handler=routes", "method=other"); got != 1 {
		t.Errorf("counted %v requests of a method that does not exist, want 1", got)
	}
}

func TestHugeURL(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/routes?class=" + strings.Repeat("a", maxURL), "/" + strings.Repeat("a", maxURL)} {
		p := wantProblem(t, w.get(target), 414, "too-long")
		if len(p.Instance) > 200 {
			t.Errorf("got an instance of %d bytes", len(p.Instance))
		}
	}
	if got := w.metric(t, "signalbox_http_requests_total", "code=414", "handler=unknown", "method=GET"); got != 2 {
		t.Errorf("counted %v, want 2", got)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	w.registry = prometheus.NewRegistry()
	o.Registerer = w.registry
	o.Events = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		panic("no such thing")
	})
	o.Receipts = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "half an")
		panic("answer")
	})
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/events", nil))
	wantProblem(t, rec, 500, "internal")
	if rec.Header().Get("Content-Encoding") != "" || rec.Header().Get("Signalbox-Generation") != "1-42" {
		t.Errorf("got %v, want only the headers of the problem", rec.Header())
	}
	if !strings.Contains(w.log.String(), "no such thing") || strings.Contains(rec.Body.String(), "no such thing") {
		t.Errorf("got log %q, answer %q, want the panic in the log alone", w.log, rec.Body)
	}
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("after half an answer: got %v, want the connection cut", p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/receipts/x", nil))
	}()
	if got := w.metric(t, "signalbox_http_panics_total"); got != 2 {
		t.Errorf("counted %v panics, want 2", got)
	}
	if got := w.metric(t, "signalbox_http_requests_total", "code=500", "handler=events", "method=POST"); got != 1 {
		t.Errorf("counted %v answers of 500, want 1", got)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.get("/routes")
	w.get("/routes", `If-None-Match: "1-42"`)
	w.get("/routes", "Prefer: wait=1", `If-None-Match: "1-41"`)
	w.do("HEAD", "/routes", "")
	w.get("/nothing")
	w.do("PUT", "/senders/a", `{"generation":"1-42","applied":true}`)
	for labels, want := range map[string]float64{
		"code=200 handler=routes method=GET":  2,
		"code=304 handler=routes method=GET":  1,
		"code=200 handler=routes method=HEAD": 1,
		"code=404 handler=unknown method=GET": 1,
		"code=204 handler=sender method=PUT":  1,
	} {
		if got := w.metric(t, "signalbox_http_requests_total", strings.Fields(labels)...); got != want {
			t.Errorf("%s: got %v, want %v", labels, got, want)
		}
	}
	if got := w.metric(t, "signalbox_http_request_duration_seconds", "handler=routes"); got != 4 {
		t.Errorf("timed %v requests of the table, want 4", got)
	}
}

// talk sends bytes to a real server and returns its answer to the first request.
func talk(t *testing.T, address, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(w.handler)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	const host = " HTTP/1.1\r\nHost: x\r\n"
	for name, tc := range map[string]struct {
		request string
		want    int
	}{
		"good":                    {"GET /routes" + host + "\r\n", 200},
		"huge header":             {"GET /routes" + host + "X: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", 431},
		"many headers":            {"GET /routes" + host + strings.Repeat("X: aaaaaaaaaa\r\n", 3000) + "\r\n", 431},
		"huge list of tags":       {"GET /routes" + host + "If-None-Match: " + strings.Repeat(`"a",`, 3000) + `"1-42"` + "\r\n\r\n", 304},
		"huge list of codings":    {"GET /routes" + host + "Accept-Encoding: " + strings.Repeat("a;q=0.1,", 1500) + "\r\n\r\n", 200},
		"huge preferences":        {"GET /routes" + host + "Prefer: " + strings.Repeat("wait=x,", 1500) + "\r\n\r\n", 200},
		"URL that is too long":    {"GET /routes?" + strings.Repeat("a", maxURL) + host + "\r\n", 414},
		"bad escape in path":      {"GET /api/v1/lanes/%zz/GB" + host + "\r\n", 400},
		"bad escape in query":     {"GET /routes?class=%zz" + host + "\r\n", 400},
		"dots":                    {"GET /senders/../routes" + host + "\r\n", 307},
		"escaped dots":            {"GET /api/v1/decisions/%2e%2e%2f%2e%2e" + host + "\r\n", 404},
		"another protocol":        {"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400},
		"large body":              {"PUT /senders/a" + host + "Content-Length: 1000000\r\n\r\n" + strings.Repeat(" ", 1000000), 413},
		"chunked large body":      {"PUT /senders/a" + host + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat(" ", 1024)+"\r\n", 100) + "0\r\n\r\n", 413},
		"body where none is read": {"GET /routes" + host + "Content-Length: 5\r\n\r\nhello", 200},
	} {
		t.Run(name, func(t *testing.T) {
			if got := talk(t, l.Addr().String(), tc.request).StatusCode; got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestServerLeavesRoomForWaits(t *testing.T) {
	s := Server(http.NotFoundHandler())
	longest := maxWait + maxWait/16
	if s.WriteTimeout <= longest || s.ReadTimeout <= longest || s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout == 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %v", fmt.Sprint(s.WriteTimeout, s.ReadTimeout, s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes))
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"short":                        "short",
		"\xff":                         "?",
		strings.Repeat("é", 100):       strings.Repeat("é", 64) + "…",
		"a" + strings.Repeat("é", 100): "a" + strings.Repeat("é", 63) + "…",
	} {
		if got := clip(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add(`W/"1-42", *`, "gzip;q=0.5, *;q=0", "wait=30, a=b;c")
	f.Add(`"`, "q=;=,", `wait="`)
	pg := newPage(encode(tableOf(42)))
	f.Fuzz(func(t *testing.T, tags, codings, preferences string) {
		matches([]string{tags}, `"1-42"`)
		if c := pg.choose([]string{codings}); pg.bodies[c].bytes == nil {
			t.Errorf("%q: chose a coding without bytes", codings)
		}
		if d, ok := preferredWait([]string{preferences}); d < 0 || d > 0 && !ok {
			t.Errorf("%q: got %s, %t", preferences, d, ok)
		}
	})
}
