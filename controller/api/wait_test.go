package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLongPoll(t *testing.T) {
	const next = 7 * time.Second // 1-43 is published then
	for name, tc := range map[string]struct {
		target  string
		headers []string
		code    int
		waits   time.Duration // at least; 0 is at once
		applied string
	}{
		"waits for the next one":              {"/routes", []string{"Prefer: wait=30", `If-None-Match: "1-42"`}, 200, next, "wait=30"},
		"to the end of the wait":              {"/routes", []string{"Prefer: wait=5", `If-None-Match: "1-42"`}, 304, 5 * time.Second, "wait=5"},
		"at most a minute":                    {"/routes", []string{"Prefer: wait=600", `If-None-Match: "1-42"`}, 200, next, "wait=60"},
		"nothing held: at once":               {"/routes", []string{"Prefer: wait=30"}, 200, 0, ""},
		"another one held: at once":           {"/routes", []string{"Prefer: wait=30", `If-None-Match: "1-41"`}, 200, 0, ""},
		"a newer one held: at once":           {"/routes", []string{"Prefer: wait=30", `If-None-Match: "1-99"`}, 200, 0, ""},
		"any held: at once":                   {"/routes", []string{"Prefer: wait=30", `If-None-Match: *`}, 304, 0, ""},
		"no wait: at once":                    {"/routes", []string{"Prefer: wait=0", `If-None-Match: "1-42"`}, 304, 0, ""},
		"among other preferences":             {"/routes", []string{`Prefer: respond-async;x=1, WAIT = "5"; foo`, `If-None-Match: "1-42"`}, 304, 5 * time.Second, "wait=5"},
		"in a second header":                  {"/routes", []string{"Prefer: handling=lenient", "Prefer: wait=5", `If-None-Match: "1-42"`}, 304, 5 * time.Second, "wait=5"},
		"preference that cannot be read":      {"/routes", []string{"Prefer: wait=soon", `If-None-Match: "1-42"`}, 304, 0, ""},
		"with a filter":                       {"/routes?class=otp", []string{"Prefer: wait=30", `If-None-Match: "1-42"`}, 200, next, "wait=30"},
		"head":                                {"/routes?head", []string{"Prefer: wait=30", `If-None-Match: "1-42"`}, 200, next, "wait=30"},
		"index: waits for the next one":       {"/routes?index=42&wait=30s", nil, 200, next, ""},
		"index, to the end of the wait":       {"/routes?index=42&wait=5s", nil, 200, 5 * time.Second, ""},
		"index with the tag, to the end":      {"/routes?index=42&wait=5s", []string{`If-None-Match: "1-42"`}, 304, 5 * time.Second, ""},
		"index, seconds without a unit":       {"/routes?index=42&wait=5", nil, 200, 5 * time.Second, ""},
		"index without wait waits":            {"/routes?index=42", nil, 200, next, ""},
		"index of a whole generation":         {"/routes?index=1-42&wait=5s", nil, 200, 5 * time.Second, ""},
		"index that went backwards: at once":  {"/routes?index=99&wait=30s", nil, 200, 0, ""},
		"index of an older one: at once":      {"/routes?index=41&wait=30s", nil, 200, 0, ""},
		"index 0: at once":                    {"/routes?index=0&wait=30s", nil, 200, 0, ""},
		"index and no wait: at once":          {"/routes?index=42&wait=0s", nil, 200, 0, ""},
		"wait with the tag, without an index": {"/routes?wait=5s", []string{`If-None-Match: "1-42"`}, 304, 5 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				time.AfterFunc(next, func() { w.tables.publish(encode(tableOf(43))) })
				start := time.Now()
				method := "GET"
				if strings.HasSuffix(tc.target, "?head") {
					method = "HEAD"
				}
				rec := w.do(method, tc.target, "", tc.headers...)
				took := time.Since(start)
				if longest := tc.waits + tc.waits/16; rec.Code != tc.code || took < tc.waits || took > longest {
					t.Errorf("got %d after %s, want %d after %s to %s", rec.Code, took, tc.code, tc.waits, longest)
				}
				want := "1-42"
				if tc.waits == next {
					want = "1-43"
				}
				wantTableHeaders(t, rec, want)
				if got := rec.Header().Get("Preference-Applied"); got != tc.applied {
					t.Errorf("preference applied: got %q, want %q", got, tc.applied)
				}
				if got := w.metric(t, "signalbox_http_waiting_requests"); got != 0 {
					t.Errorf("waiting: got %v, want 0", got)
				}
				time.Sleep(next) // let the publication pass
			})
		})
	}
}

func TestWaitsEndWithJitter(t *testing.T) {
	const d = 16 * time.Second
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		j := jittered(d)
		least, most = min(least, j), max(most, j)
	}
	if least < d || most > 17*time.Second || most-least < 500*time.Millisecond {
		t.Errorf("got %s to %s, want them spread over 16s to 17s", least, most)
	}
}

func TestWaitEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequest("GET", "/routes?index=42", nil).WithContext(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.handler.ServeHTTP(httptest.NewRecorder(), r)
		}()
		synctest.Wait()
		start := time.Now()
		cancel()
		<-done
		if took := time.Since(start); took != 0 {
			t.Errorf("got an end after %s, want at once", took)
		}
	})
}

func TestOnePublishWakesAThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		next := encode(tableOf(43))
		var wg sync.WaitGroup
		var mu sync.Mutex // guards bad
		bad := 0
		for range 1000 {
			wg.Go(func() {
				rec := w.get("/routes", "Prefer: wait=60", `If-None-Match: "1-42"`)
				if rec.Code != 200 || rec.Header().Get("ETag") != `"1-43"` || rec.Body.String() != string(next.Plain) {
					mu.Lock()
					bad++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		if got := w.metric(t, "signalbox_http_waiting_requests"); got != 1000 {
			t.Errorf("waiting: got %v, want 1000", got)
		}
		start := time.Now()
		w.tables.publish(next)
		wg.Wait()
		if took := time.Since(start); bad != 0 || took != 0 {
			t.Errorf("got %d wrong answers, after %s, want none and at once", bad, took)
		}
	})
}

func TestShutdownAnswersThoseWhoWait(t *testing.T) {
	w := newWorld(t)
	w.tables.entered = make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(w.handler)
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(l) })
	codes := make(chan int, 1)
	wg.Go(func() {
		resp, err := http.Get("http://" + l.Addr().String() + "/routes?index=42")
		if err != nil {
			t.Error(err)
			codes <- 0
			return
		}
		resp.Body.Close()
		codes <- resp.StatusCode
	})
	<-w.tables.entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got := <-codes; got != 200 {
		t.Errorf("got %d, want the table", got)
	}
	wg.Wait()
}
