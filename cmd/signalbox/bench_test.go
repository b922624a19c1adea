package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The stream of BenchmarkReplay: routes at a rate, for a time, with receipts, conversions and heartbeats.
const (
	benchRoutes  = 20
	benchRate    = 50 // messages a second and route
	benchSeconds = 300
)

// benchPolicy is ten lanes of two routes with one rule on deliveries and one on conversions.
func benchPolicy() string {
	var b strings.Builder
	b.WriteString("version: 1\nroutes:\n")
	for i := range benchRoutes {
		fmt.Fprintf(&b, "  r%02d: {provider: p%02d, networks: [\"*\"]}\n", i, i)
	}
	b.WriteString("classes:\n  otp: {mode: act, within: 30s}\nlanes:\n")
	for i := 0; i < benchRoutes; i += 2 {
		fmt.Fprintf(&b, "  - {class: otp, network: 262-%02d, order: [r%02d, r%02d]}\n", i+1, i, i+1)
	}
	b.WriteString(`rules:
  - name: receipts-collapse
    class: ["*"]
    demote: {when: delivery.evidence >= 12.0 && delivery.messages >= 5.0}
    promote: {when: delivery.recovered >= 4.6}
  - name: conversions-collapse
    class: ["*"]
    demote: {when: conversion.evidence >= 12.0}
    promote: {when: conversion.recovered >= 4.6}
`)
	return b.String()
}

// line is one event at its moment.
type line struct {
	at   float64
	text string
}

// benchEvents writes the stream in the order of time and returns how many lines it has.
func benchEvents(w io.Writer) (int, error) {
	random := rand.New(rand.NewPCG(1, 2))
	const start = 1_767_571_200
	var due []line
	out := bufio.NewWriter(w)
	n := 0
	ids := make([]string, benchRoutes)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", fmt.Sprintf("r%02d", i))
	}
	for second := range benchSeconds {
		if second%10 == 0 {
			due = append(due, line{float64(second), fmt.Sprintf(`{"type":"heartbeat","time":%d,"source":"gw","routes":[%s]}`, start+second, strings.Join(ids, ","))})
		}
		for r := range benchRoutes {
			for i := range benchRate {
				at := float64(second) + (float64(i)+random.Float64())/benchRate
				id := fmt.Sprintf("%d-%d-%d", r, second, i)
				due = append(due, line{at, fmt.Sprintf(`{"type":"submit","time":%.3f,"id":%q,"route":"r%02d","class":"otp","network":"262-%02d","result":"accepted"}`, start+at, id, r, r-r%2+1)})
				if random.Float64() < 0.95 {
					delay := 4.5 * math.Exp(0.75*random.NormFloat64())
					due = append(due, line{at + delay, fmt.Sprintf(`{"type":"receipt","time":%.3f,"id":%q,"route":"r%02d","status":"delivered","code":"000"}`, start+at+delay, id, r)})
				}
			}
		}
	}
	slices.SortStableFunc(due, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range due {
		if l.at < benchSeconds {
			n++
			if _, err := out.WriteString(l.text + "\n"); err != nil {
				return n, err
			}
		}
	}
	return n, out.Flush()
}

// BenchmarkReplay replays a recorded stream from a file on one core: reading, decoding, joining, counting and judging.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	policy, events := filepath.Join(dir, "policy.yml"), filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(policy, []byte(benchPolicy()), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(events)
	if err != nil {
		b.Fatal(err)
	}
	n, err := benchEvents(f)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began := time.Now()
	for b.Loop() {
		if code := run(b.Context(), []string{"replay", "--policy", policy, events}, io.Discard, os.Stderr); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
	total := float64(n) * float64(b.N)
	b.ReportMetric(total/time.Since(began).Seconds(), "events/s")
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/total, "ns/event")
}
