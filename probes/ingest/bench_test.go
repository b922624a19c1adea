package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/rules/route"
)

// repeated is a reader of the same lines for ever.
type repeated struct {
	lines []byte
	rest  []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = r.lines
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// traffic is a mix as senders have it: a submit and a receipt each, 300 keys.
func traffic(messages int) []byte {
	var b bytes.Buffer
	for i := range messages {
		r, class, network := fmt.Sprintf("route-%d", i%10), []string{"otp", "bulk"}[i%2], fmt.Sprintf("234-%02d", i%15)
		fmt.Fprintf(&b, `{"type":"submit","time":"2026-11-23T10:%02d:%02d.120Z","id":"m-%d","route":%q,"class":%q,"network":%q,"result":"accepted","latency":0.041,"generation":"1-42"}`+"\n",
			i/60%60, i%60, i, r, class, network)
		fmt.Fprintf(&b, `{"type":"receipt","time":%d.125,"id":"m-%d","route":%q,"status":"delivered","source":"gw-1"}`+"\n",
			1795428000+i%3600, i, r)
	}
	return b.Bytes()
}

func BenchmarkDecoder(b *testing.B) {
	lines := traffic(4096)
	d := NewDecoder(&repeated{lines: lines}, DecoderOptions{})
	var o route.Observation
	for range 10_000 { // meet the names
		if _, err := d.Next(&o); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(lines) / (2 * 4096)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(&o); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDecoderAllocatesNothingForLikeLines(t *testing.T) {
	d := NewDecoder(&repeated{lines: traffic(512)}, DecoderOptions{})
	var o route.Observation
	next := func() {
		if _, err := d.Next(&o); err != nil {
			t.Fatal(err)
		}
	}
	for range 2048 {
		next()
	}
	if n := testing.AllocsPerRun(1000, next); n != 0 {
		t.Errorf("got %v allocations an event, want 0", n)
	}
}

// message writes id number i without allocating.
func message(buf []byte, i uint64) string {
	buf = append(buf[:0], "m-0123456789abcdef-"...)
	for ; i > 0; i /= 16 {
		buf = append(buf, "0123456789abcdef"[i%16])
	}
	return alias(buf)
}

func benchJoiner(j *Joiner, from uint64, more func() bool) {
	start := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	emit := func(*route.Observation) {}
	buf := make([]byte, 0, 64)
	var o route.Observation
	for i := uint64(0); more(); i++ {
		at := start.Add(time.Duration(i) * 50 * time.Microsecond)
		o = route.Observation{Kind: route.KindSubmit, Time: at, Route: "acme-uk", Class: "otp", Network: "234-15", Message: message(buf, from+i/2)}
		if i%2 == 1 {
			o = route.Observation{Kind: route.KindReceipt, Time: at, Route: "acme-uk", Status: route.StatusDelivered, Message: o.Message}
		}
		j.Join(&o, emit)
	}
}

// Every second observation is a submit, every other one its receipt; the joiner is full from the start.
func BenchmarkJoiner(b *testing.B) {
	j := full(b, 2_000_000)
	b.ReportAllocs()
	benchJoiner(j, 1<<40, b.Loop)
}

func BenchmarkJoinerParallel(b *testing.B) {
	j := full(b, 2_000_000)
	var worker atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) { benchJoiner(j, worker.Add(1)<<40, pb.Next) })
}

func full(tb testing.TB, n int) *Joiner {
	j, err := NewJoiner(JoinerOptions{MaxMessages: n})
	if err != nil {
		tb.Fatal(err)
	}
	i := 0
	var o route.Observation
	buf := make([]byte, 0, 64)
	for ; i < n; i++ {
		o = route.Observation{Kind: route.KindSubmit, Time: time.Unix(1795428000, int64(i)*1000), Route: "acme-uk",
			Class: "otp", Network: route.Network([]string{"234-15", "234-10", "GB"}[i%3]), Message: message(buf, uint64(i))}
		j.Join(&o, func(*route.Observation) {})
	}
	return j
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memory is the heap that an open message costs.
func memory(tb testing.TB, n int) float64 {
	before := heap()
	j := full(tb, n)
	after := heap()
	open := j.Stats().Open
	runtime.KeepAlive(j)
	return float64(after-before) / float64(open)
}

func BenchmarkJoinerMemory(b *testing.B) {
	for _, n := range []int{100_000, 500_000, 1_000_000, 2_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bytes := 0.0
			for b.Loop() {
				bytes = memory(b, n)
			}
			b.ReportMetric(bytes, "B/message")
		})
	}
}

func TestJoinerMemory(t *testing.T) {
	for _, n := range []int{60_000, 200_000} {
		if got := memory(t, n); got > 64 {
			t.Errorf("%d messages: got %.1f bytes an open message, want at most 64", n, got)
		}
	}
}

// A batch of 10,000 lines a request, from as many callers as there are processors.
func BenchmarkHandler(b *testing.B) {
	h, _ := newHandler(b, Options{Sink: func(context.Context, []route.Observation) error { return nil }})
	body := submits(0, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := post(b, h, strings.NewReader(body)); a.Accepted != 10_000 {
				b.Errorf("got %s", a.body)
			}
		}
	})
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "events/s")
}

// What decoding and joining cost together, as in a handler.
func BenchmarkPipeline(b *testing.B) {
	j := full(b, 1_000_000)
	d := NewDecoder(&repeated{lines: traffic(100_000)}, DecoderOptions{})
	var o route.Observation
	batch := make([]route.Observation, 0, maxChunk)
	emit := func(o *route.Observation) {
		if len(batch) == cap(batch) {
			batch = batch[:0]
		}
		batch = append(batch, *o)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(&o); err != nil && err != io.EOF {
			b.Fatal(err)
		}
		j.Join(&o, emit)
	}
}
