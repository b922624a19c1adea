package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox/controller/recording"
	"signalbox/probes/ingest"
	"signalbox/rules/route"
	"signalbox/rules/signal"
)

// BenchmarkReplayRecording replays the stream of BenchmarkReplay from a recording, under one policy and under two, on one
// core; it tells how many bytes an event takes on disk.
func BenchmarkReplayRecording(b *testing.B) {
	dir := b.TempDir()
	policy, folder := filepath.Join(dir, "policy.yml"), filepath.Join(dir, "recording")
	if err := os.WriteFile(policy, []byte(benchPolicy()), 0o600); err != nil {
		b.Fatal(err)
	}
	var events bytes.Buffer
	n, err := benchEvents(&events)
	if err != nil {
		b.Fatal(err)
	}
	if err := recordEvents(folder, &events); err != nil {
		b.Fatal(err)
	}
	size := int64(0)
	segments, err := recording.Segments(folder)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range segments {
		size += s.Size
	}
	for name, args := range map[string][]string{"one": nil, "two": {"--against", policy}} {
		b.Run(name, func(b *testing.B) {
			began := time.Now()
			for b.Loop() {
				if code := run(b.Context(), append([]string{"replay", "--policy", policy, folder}, args...), io.Discard, os.Stderr); code != exitDone {
					b.Fatalf("exit code %d", code)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/time.Since(began).Seconds(), "events/s")
			b.ReportMetric(float64(size)/float64(n), "file-B/event")
		})
	}
}

// recordEvents records lines as a daemon would that gets them every quarter of a second.
func recordEvents(folder string, events io.Reader) error {
	r, err := recording.New(recording.Options{Dir: folder, Queue: 1 << 20})
	if err != nil {
		return err
	}
	joiner, err := ingest.NewJoiner(ingest.JoinerOptions{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer cancel()
	d := ingest.NewDecoder(events, ingest.DecoderOptions{})
	var at time.Time
	var batch []route.Observation
	for {
		var o route.Observation
		if _, err := d.Next(&o); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if at.IsZero() {
			at = o.Time.Truncate(signal.Tick)
			r.Begin(route.Mark{Note: route.NoteStart, At: at}, nil)
		}
		for ; at.Before(o.Time); at = at.Add(250 * time.Millisecond) {
			r.Took(batch, at)
			batch = batch[:0]
			if at.Equal(at.Truncate(signal.Tick)) {
				r.Mark(route.Mark{Note: route.NoteRound, At: at})
			}
		}
		joiner.Join(&o, func(o *route.Observation) { batch = append(batch, *o) })
	}
	r.Took(batch, at)
	cancel()
	return <-ended
}
