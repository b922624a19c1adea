package recording

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox/rules/route"
)

// traffic is a batch of submits and receipts as the loop takes it.
func traffic(at time.Time) []route.Observation {
	batch := make([]route.Observation, 256)
	for i := range batch {
		o := route.Observation{Kind: route.KindSubmit, Time: at.Add(time.Duration(i) * time.Millisecond), Route: route.ID(fmt.Sprintf("route-%d", i%20)), Class: "otp", Network: "234-15",
			Source: "gw-1", Latency: 41 * time.Millisecond, Hash: uint64(i+1) * 0x9e3779b97f4a7c15}
		if i%2 == 1 {
			o.Kind, o.Status, o.Final, o.Submitted, o.Latency = route.KindReceipt, route.StatusDelivered, true, o.Time.Add(-5*time.Second), 0
		}
		batch[i] = o
	}
	return batch
}

// BenchmarkWrite is the work of the recorder's own goroutine for one observation, from the batch to the file.
func BenchmarkWrite(b *testing.B) {
	name := filepath.Join(b.TempDir(), "segment")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	s, err := newSegment(f, name, at, 1)
	if err != nil {
		b.Fatal(err)
	}
	batch := traffic(at)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%len(batch) == 0 {
			at = at.Add(256 * time.Millisecond)
			for i := range batch {
				batch[i].Time, batch[i].Hash = batch[i].Time.Add(256*time.Millisecond), batch[i].Hash*6364136223846793005+1
			}
		}
		if err := s.batch(batch[n%256:n%256+1], at); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(s.size())/float64(n), "file-B/op")
}

// BenchmarkTook is what recording costs the loop for one observation.
func BenchmarkTook(b *testing.B) {
	r, err := New(Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	batch := traffic(at)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%256 == 0 {
			r.Took(batch, at)
			e := <-r.queue
			r.waiting.Add(-int64(len(e.batch)))
			r.pool.Put(&e.batch)
		}
	}
}
