package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"signalbox/controller/recording"
	"signalbox/rules/route"
)

// recordingOptions say what is recorded; nothing where dir is empty.
type recordingOptions struct {
	dir  string
	size int64
	age  time.Duration
}

// addRecording adds the flags of the recording.
func addRecording(c *cobra.Command, o *recordingOptions) {
	o.size, o.age = recording.DefaultSize, recording.DefaultAge
	f := c.Flags()
	f.StringVar(&o.dir, "recording.dir", "", "record what is observed in this folder, for signalbox replay; nothing is recorded without it")
	f.Var((*bytesFlag)(&o.size), "recording.size", "what the recording may take on disk; the oldest goes first")
	f.Var((*ageFlag)(&o.age), "recording.age", "how long the recording is kept")
	_ = c.MarkFlagDirname("recording.dir") // the flag is there
}

// open returns a recorder, or nil where nothing is to be recorded.
func (o recordingOptions) open(log *slog.Logger, r prometheus.Registerer) (*recording.Recorder, error) {
	if o.dir == "" {
		return nil, nil
	}
	rec, err := recording.New(recording.Options{Dir: o.dir, Size: o.size, Age: o.age, Logger: log, Registerer: r})
	if err != nil {
		return nil, wrong("--recording.dir names a folder that can be written", fmt.Errorf("recording: %w", err))
	}
	return rec, nil
}

// bytesFlag is a flag of bytes, such as 10GB.
type bytesFlag int64

var byteUnits = []struct {
	name string
	size float64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}}

// String is the size in the largest unit that it is a whole number of.
func (b *bytesFlag) String() string {
	for _, u := range byteUnits {
		if n := float64(*b) / u.size; n >= 1 && n == math.Trunc(n) {
			return strconv.FormatFloat(n, 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type is what help shows as the value.
func (b *bytesFlag) Type() string { return "SIZE" }

// Set takes a size.
func (b *bytesFlag) Set(s string) error {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if size := n * u.size; err == nil && size >= recording.MinSize && size <= math.MaxInt64/2 {
			*b = bytesFlag(size)
			return nil
		}
	}
	return wrong("", fmt.Errorf("--recording.size: want a size of at least 1MiB such as 500MB, 10GB or 1TB, got %q", s))
}

// ageFlag is a flag of a duration in the form of policies, such as 30d.
type ageFlag time.Duration

// String is the duration.
func (a *ageFlag) String() string { return route.Duration(*a).String() }

// Type is what help shows as the value.
func (a *ageFlag) Type() string { return "AGE" }

// Set takes a duration.
func (a *ageFlag) Set(s string) error {
	d, err := route.ParseDuration(s)
	if err != nil || d.D() < time.Minute {
		return wrong("", fmt.Errorf("--recording.age: want a duration of at least 1m such as 12h or 30d, got %q", s))
	}
	*a = ageFlag(d)
	return nil
}
