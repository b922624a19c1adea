package sender

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// submit is the n-th submit.
func submit(n int) Event {
	return Event{Type: "submit", ID: fmt.Sprintf("m-%d", n), Route: "acme", Class: "otp", Network: "234-15", Result: "accepted",
		Latency: 41 * time.Millisecond, Generation: Generation{1, 42}}
}

func report(t *testing.T, c *Client, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := c.Report(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventsGoInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		c, _, _ := b.start(t, Options{Routes: []string{"acme", "bolt"}})
		report(t, c, submit(1), Event{Type: "receipt", ID: "m-1", Route: "acme", Status: "delivered", Time: time.Date(2026, 11, 23, 10, 0, 4, 100e6, time.UTC)},
			Event{Type: "conversion", ID: "m-0", Route: "acme", Class: "otp", Network: "GB", SubmitTime: time.Date(2026, 11, 23, 9, 59, 0, 0, time.UTC)})
		time.Sleep(2 * time.Second)
		posts := b.all("POST", "/events")
		if len(posts) != 1 || posts[0].header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("got %+v, want one post of lines", posts)
		}
		now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339Nano) // where a bubble's time begins
		want := `{"type":"submit","time":"` + now + `","id":"m-1","route":"acme","class":"otp","network":"234-15","result":"accepted","latency":0.041,"generation":"1-42","source":"gw-1"}
{"type":"receipt","time":"2026-11-23T10:00:04.1Z","id":"m-1","route":"acme","status":"delivered","source":"gw-1"}
{"type":"conversion","time":"` + now + `","id":"m-0","route":"acme","class":"otp","network":"GB","submit_time":"2026-11-23T09:59:00Z","source":"gw-1"}
`
		beat, ok := strings.CutPrefix(posts[0].body, want)
		if !ok || !strings.Contains(beat, `"type":"heartbeat"`) || !strings.Contains(beat, `"source":"gw-1","routes":["acme","bolt"]}`) {
			t.Errorf("got %s\nwant %s and a heartbeat", posts[0].body, want)
		}
		time.Sleep(5 * time.Minute)
		if n := len(b.all("POST", "/events")); n < 25 || n > 31 {
			t.Errorf("got %d posts in five minutes without events, want a heartbeat in about eleven seconds", n)
		}
		for i := range 2500 {
			report(t, c, submit(i))
		}
		time.Sleep(3 * time.Second)
		if got := c.Status(); got.Waiting != 0 || got.Sent != 2503 || got.Dropped != 0 || got.EventsRefused != 0 {
			t.Errorf("status: got %+v, want 2503 sent", got)
		}
		for _, p := range b.all("POST", "/events") {
			if n := strings.Count(p.body, "\n"); n > batchLines+1 {
				t.Errorf("got a batch of %d lines, want at most %d and a heartbeat", n, batchLines)
			}
		}
	})
}

func TestEventsWaitForSignalbox(t *testing.T) {
	for name, trouble := range map[string]func(*replica){
		"it is away":        func(r *replica) { r.down = true },
		"its queue is full": func(r *replica) { r.events = 429 },
		"it fails":          func(r *replica) { r.events = 503 },
		"a proxy is lost":   func(r *replica) { r.events = 404 },
		"the token is old":  func(r *replica) { r.events = 401 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox("a")
				b.set("a", trouble)
				c, log, _ := b.start(t, Options{})
				for i := range 3000 {
					report(t, c, submit(i))
				}
				time.Sleep(time.Hour)
				if s := c.Status(); s.Waiting != 3000 || s.Sent != 0 || strings.Count(log.String(), "events not taken") != 1 {
					t.Errorf("got %+v, said %s", s, log)
				}
				if n := len(b.all("POST", "/")); n > 200 {
					t.Errorf("got %d posts in an hour, want one in about 30 s", n)
				}
				b.set("a", func(r *replica) { *r = replica{} })
				time.Sleep(time.Minute)
				wantInOrder(t, b.taken(), 0, 3000)
			})
		})
	}
}

// wantInOrder wants the submits from one number up to, not including, another.
func wantInOrder(t *testing.T, lines []string, from, to int) {
	t.Helper()
	if len(lines) != to-from {
		t.Fatalf("got %d events, want %d", len(lines), to-from)
	}
	for i, l := range lines {
		if !strings.Contains(l, fmt.Sprintf(`"id":"m-%d"`, from+i)) {
			t.Fatalf("event %d: got %s, want m-%d", i, l, from+i)
		}
	}
}

func TestEventsThatAreRefusedAreCountedAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		c, log, _ := b.start(t, Options{})
		bad := submit(1)
		bad.Route = "bad-route"
		report(t, c, submit(0), bad, submit(2))
		time.Sleep(3 * time.Second)
		if s := c.Status(); s.Waiting != 0 || s.Sent != 2 || s.EventsRefused != 1 || !strings.Contains(log.String(), "want a route of the policy") {
			t.Errorf("got %+v, said %s", s, log)
		}
		b.set("a", func(r *replica) { r.events = 415 })
		report(t, c, submit(3))
		time.Sleep(3 * time.Second)
		if s := c.Status(); s.Waiting != 0 || s.Sent != 2 || s.EventsRefused != 2 {
			t.Errorf("a batch that nobody will ever take: got %+v", s)
		}
	})
}

func TestABatchThatIsTooLargeIsHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.most = 70 })
		c, _, _ := b.start(t, Options{})
		for i := range 500 {
			report(t, c, submit(i))
		}
		time.Sleep(time.Minute)
		wantInOrder(t, b.taken(), 0, 500)
	})
}

func TestAFullSpoolDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.down = true })
		size := len(b.lineOf(submit(1000)))
		c, _, _ := b.start(t, Options{SpoolBytes: 100 * size})
		for i := range 250 {
			report(t, c, submit(1000+i))
		}
		time.Sleep(time.Minute)
		if s := c.Status(); s.Waiting != 100 || s.Dropped != 150 {
			t.Errorf("got %+v, want 100 that wait and 150 dropped", s)
		}
		b.set("a", func(r *replica) { r.down = false })
		time.Sleep(time.Minute)
		wantInOrder(t, b.taken(), 1150, 1250)
	})
}

// lineOf is an event as it goes over the wire.
func (b *box) lineOf(e Event) string {
	c := &Client{o: Options{Name: "gw-1"}, spool: &spool{most: 1 << 20, full: make(chan struct{}, 1)}}
	if err := c.Report(e); err != nil {
		return err.Error()
	}
	return string(c.spool.lines[0])
}

func TestEventsOutliveTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events")
	o := Options{SpoolFile: file}
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		b.set("a", func(r *replica) { r.down = true })
		c, _, stop := b.start(t, o)
		for i := range 10 {
			report(t, c, submit(i))
		}
		time.Sleep(time.Minute)
		kept, err := os.ReadFile(file) // what a kill would leave
		if err != nil || strings.Count(string(kept), "\n") != 10 {
			t.Errorf("before the end: got %q (%v), want ten lines", kept, err)
		}
		report(t, c, submit(10))
		stop()
	})
	torn, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(torn, `{"type":"submit","ti`) // the machine went down in the middle of a line
	torn.Close()
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		c, log, stop := b.start(t, o)
		if s := c.Status(); s.Waiting != 11 || !strings.Contains(log.String(), "1 of its lines are damaged") {
			t.Errorf("got %+v, said %s", s, log)
		}
		report(t, c, submit(11))
		time.Sleep(10 * time.Second)
		wantInOrder(t, b.taken(), 0, 12)
		if kept, err := os.ReadFile(file); err != nil || len(kept) != 0 {
			t.Errorf("once all is taken: got %q (%v), want an empty file", kept, err)
		}
		stop()
	})
}

func TestTheLastEventsAreHandedOverAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox("a")
		c, _, stop := b.start(t, Options{})
		report(t, c, submit(0), submit(1))
		stop()
		wantInOrder(t, b.taken(), 0, 2)
	})
}

func TestTheSpoolsFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	s, err := openSpool(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 98) + "\n")
	most := int64(0)
	for i := range 500 {
		s.add(line)
		if i%3 == 0 {
			if err := s.save(); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(path); err == nil {
			most = max(most, info.Size())
		}
	}
	if most > 3*1000+300 || most < 2000 {
		t.Errorf("the file grew to %d bytes, want about three times 1000", most)
	}
	if err := s.rewrite(); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(path); err != nil || len(kept) != 990 {
		t.Errorf("got %d bytes (%v), want the ten lines that wait", len(kept), err)
	}
}

func TestBadEvents(t *testing.T) {
	c := newClient(t, Options{})
	change := func(do func(*Event)) Event {
		e := submit(1)
		do(&e)
		return e
	}
	for want, e := range map[string]Event{
		"id: want 1 to 256 bytes, got 0":                                                            change(func(e *Event) { e.ID = "" }),
		"route: want the route that the message went by, got none":                                  change(func(e *Event) { e.Route = "" }),
		"type: want submit, receipt or conversion, got \"sent\"":                                    change(func(e *Event) { e.Type = "sent" }),
		"want Class and Network of a submit":                                                        change(func(e *Event) { e.Network = "" }),
		"result: want accepted, refused or timeout, got \"ok\"":                                     change(func(e *Event) { e.Result = "ok" }),
		"status: want delivered, failed, expired, rejected, accepted, enroute or unknown, got \"\"": {Type: "receipt", ID: "m", Route: "a"},
		"code: want at most 32 bytes, got 33":                                                       change(func(e *Event) { e.Code = strings.Repeat("x", 33) }),
		"want Class, Network and SubmitTime together, or none of them":                              {Type: "conversion", ID: "m", Route: "a", Class: "otp"},
	} {
		if err := c.Report(e); err == nil || err.Error() != "report: "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if s := c.Status(); s.Waiting != 0 {
		t.Errorf("got %d events that wait, want none", s.Waiting)
	}
}

func TestALineHoldsNothingButItsFields(t *testing.T) {
	var fields map[string]any
	if err := json.Unmarshal([]byte(newBox().lineOf(Event{Type: "receipt", ID: "m-1", Route: "acme", Status: "failed", Code: "EC-11"})), &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "time")
	if got := fmt.Sprint(fields); got != "map[code:EC-11 id:m-1 route:acme source:gw-1 status:failed type:receipt]" {
		t.Errorf("got %s", got)
	}
}
