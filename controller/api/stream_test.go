package api

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/rules/route"
)

// fakeFeed tells what a test adds.
type fakeFeed struct {
	mu   sync.Mutex // guards the others
	news []News
	more chan struct{}
}

func (f *fakeFeed) add(ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		n := News{ID: id, Kind: "generation"}
		if strings.Count(id, "-") == 2 {
			n.Kind, n.Decision = "decision", &route.Decision{ID: id, Route: "acme-uk"}
		}
		f.news = append(f.news, n)
	}
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

func (f *fakeFeed) Follow(after string) ([]News, bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = make(chan struct{})
	}
	for i := range f.news {
		if f.news[i].ID == after {
			return f.news[i+1:], false, f.more
		}
	}
	return f.news, true, f.more
}

func (f *fakeFeed) Latest() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.news) == 0 {
		return ""
	}
	return f.news[len(f.news)-1].ID
}

// listening serves a world on a real listener.
func listening(t *testing.T, w *world) (address string, shutdown func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(w.handler)
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Serve(l) })
	shutdown = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		ended.Wait()
	})
	t.Cleanup(shutdown)
	return l.Addr().String(), shutdown
}

// follows opens a stream and returns a function that reads its next event: its id, its kind and its data.
func follows(t *testing.T, address, last string) (next func() [3]string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("got %d as %s", resp.StatusCode, kind)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() (e [3]string) {
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				e[0] = value
			case "event":
				e[1] = value
			case "data":
				e[2] = value
			case "":
				return e
			}
		}
		return [3]string{"", "end", ""}
	}
}

func TestAStreamTellsWhatHappens(t *testing.T) {
	w := newWorld(t)
	w.feed.add("1-42-7")
	address, shutdown := listening(t, w)
	next := follows(t, address, "")
	if e := next(); e != [3]string{"1-42-7", "generation", `"1-42"`} {
		t.Errorf("first: got %q, want the table in force", e)
	}
	w.feed.add("1-43", "1-43-1")
	if e := next(); e != [3]string{"1-43", "generation", `"1-43"`} {
		t.Errorf("got %q", e)
	}
	if e := next(); e[0] != "1-43-1" || e[1] != "decision" || !strings.HasPrefix(e[2], `{"id":"1-43-1"`) {
		t.Errorf("got %q", e)
	}
	back := follows(t, address, "1-43")
	if e := back(); e[0] != "1-43-1" {
		t.Errorf("back after 1-43: got %q, want what it missed", e)
	}
	lost := follows(t, address, "1-40-1")
	if e := lost(); e[1] != "missed" {
		t.Errorf("back after what is not kept: got %q, want it said", e)
	}
	if e := lost(); e[0] != "1-42-7" {
		t.Errorf("then: got %q, want what is kept", e)
	}
	shutdown()
	if e := next(); e[1] != "end" {
		t.Errorf("as the server stops: got %q, want the end of the stream", e)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.handler.(*api).streams.open.Store(maxStreams)
	rec := w.get("/api/v1/stream")
	wantProblem(t, rec, 503, "streams-full")
	if n := w.handler.(*api).streams.open.Load(); n != maxStreams {
		t.Errorf("got %d counted, want %d", n, maxStreams)
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	w := newWorld(t)
	address, _ := listening(t, w)
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	hangUp()
	resp.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); w.handler.(*api).streams.open.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is still open")
		}
	}
}

// keys are Doors whose answer changes.
type keys struct {
	mu  sync.Mutex // guards the others
	who Caller
	err error
}

func (k *keys) Admit(*http.Request) (Caller, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.who, k.err
}

func (k *keys) set(who Caller, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.who, k.err = who, err
}

func TestAStreamEndsWithTheRightToIt(t *testing.T) {
	viewer := Caller{Name: "wall", Role: "viewer"}
	for name, tc := range map[string]struct {
		who  Caller
		err  error
		ends bool
	}{
		"its token is gone":        {Caller{}, &turned{reason: "unknown"}, true},
		"it is a sender's now":     {Caller{Name: "wall", Role: "sender"}, nil, true},
		"it calls too often":       {Caller{}, &turned{reason: "rate", after: time.Second}, false},
		"it is an operator's now":  {Caller{Name: "wall", Role: "operator"}, nil, false},
		"doors fail in other ways": {Caller{}, context.DeadlineExceeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keys{who: viewer}
			w, _ := guardedWorld(t, func(o *Options) { o.Doors = k })
			w.handler.(*api).streams.beat = time.Millisecond
			w.feed.add("1-42-7")
			address, _ := listening(t, w)
			next := follows(t, address, "")
			next()
			for range 3 {
				if e := next(); e[1] == "end" {
					t.Fatal("it ended while it might stay")
				}
			}
			k.set(tc.who, tc.err)
			ended := false
			for range 200 {
				if e := next(); e[1] == "end" {
					ended = true
					break
				}
			}
			if ended != tc.ends {
				t.Errorf("got an end: %t, want %t", ended, tc.ends)
			}
		})
	}
}
