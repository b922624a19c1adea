package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"signalbox/controller/recording"
	"signalbox/probes/ingest"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// window is the time that is replayed; zero moments bound nothing.
type window struct{ since, until time.Time }

// addWindow adds the flags that bound what is replayed; the function it returns reads them.
func addWindow(c *cobra.Command) func(now time.Time) (window, error) {
	since := c.Flags().String("since", "", "print what was decided in the last 2h, or since 2026-11-23T10:00:00Z; a recording is read from the segment before")
	until := c.Flags().String("until", "", "stop 1h ago, or at 2026-11-23T12:00:00Z")
	return func(now time.Time) (w window, err error) {
		if w.since, err = ago("since", *since, now); err != nil {
			return w, err
		}
		if w.until, err = ago("until", *until, now); err != nil {
			return w, err
		}
		if !w.until.IsZero() && !w.since.Before(w.until) {
			return w, wrong("", fmt.Errorf("--until: want a moment after --since, got %q", *until))
		}
		return w, nil
	}
}

// ago reads a moment, or how long ago it was; zero where the flag is empty.
func ago(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := route.ParseDuration(s); err == nil {
		return now.Add(-d.D()).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, wrong("", fmt.Errorf("--%s: want how long ago, such as 2h, or a moment such as 2026-11-23T10:00:00Z, got %q", flag, s))
	}
	return at.UTC(), nil
}

// feed takes what is replayed: Observe what was posted, Take what a recording has.
type feed interface {
	Observe(*route.Observation)
	Take(*route.Observation, route.Mark)
	End()
}

// reading reads observations into a feed.
type reading struct {
	to       feed
	policies []*policy.Policy // observations of routes that none of them has are left out
	in       io.Reader        // standard input
	window   window
	stop     func() error // asked now and then; an error ends the reading
	live     bool         // the recording goes on: its last segment ends in the middle because it has not ended
	joiner   *ingest.Joiner

	events  int
	refused int
	first   *ingest.Refusal
	unknown map[route.ID]int // observations of routes that no policy has
	words   []string         // what is to be said of the recording
	took    time.Duration
}

// read reads files of observations in their order, or recordings.
func (r *reading) read(names []string) error {
	segments, recorded, err := r.segments(names)
	if err != nil {
		return err
	}
	if recorded {
		names = nil
	}
	if r.joiner, err = ingest.NewJoiner(ingest.JoinerOptions{}); err != nil {
		return err
	}
	r.unknown = map[route.ID]int{}
	began := time.Now()
	for i, s := range segments {
		if err := r.segment(s.Path, r.live && i == len(segments)-1); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := r.file(name); err != nil {
			return err
		}
	}
	r.to.End()
	r.took = time.Since(began)
	return nil
}

// segments are those of the recordings that the names stand for; recorded is whether they stand for recordings. These and
// other files do not mix: the ones are judged when they were judged before, the others in the time of their observations.
func (r *reading) segments(names []string) (all []recording.Segment, recorded bool, err error) {
	recordings := 0
	for _, name := range names {
		found, is, err := recordedIn(name)
		if err != nil {
			return nil, false, err
		}
		if is {
			recordings++
		}
		all = append(all, recording.Between(found, r.window.since, r.window.until)...)
	}
	if recordings > 0 && recordings < len(names) {
		return nil, false, wrong("replay them one after the other", errors.New("replay: want either recordings or files of events, got both"))
	}
	return all, recordings > 0, nil
}

// recordedIn are the segments that a name stands for: a folder of them, or one.
func recordedIn(name string) (found []recording.Segment, is bool, err error) {
	if s, ok := recording.Named(name); ok {
		return []recording.Segment{s}, true, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return nil, false, nil // opening it says what is wrong
	}
	found, err = recording.Segments(name)
	if err != nil {
		return nil, true, wrong("", fmt.Errorf("replay %s: %w", name, cause(err)))
	}
	if len(found) == 0 {
		return nil, true, wrong("signalbox run --recording.dir DIR makes one", fmt.Errorf("replay %s: %w", name, errNoSegments))
	}
	return found, true, nil
}

// errNoSegments is what is wrong with a folder that is no recording.
var errNoSegments = errors.New("want the segments of a recording, such as 20261123T100000Z-000001.ndjson.zst, got none")

// segment reads one file of a recording; open is whether it is still written.
func (r *reading) segment(name string, open bool) error {
	s, err := recording.Open(name)
	if r.live && errors.Is(err, fs.ErrNotExist) {
		return nil // the oldest went meanwhile
	}
	if err != nil {
		return wrong("", fmt.Errorf("replay %s: %w", name, cause(err)))
	}
	defer s.Close()
	d := ingest.NewDecoder(s, ingest.DecoderOptions{Recorded: true})
	err = r.lines(name, d, func(o *route.Observation) bool { return r.take(o, d.Mark()) })
	if torn := s.Torn(); torn != nil && !open {
		r.words = append(r.words, fmt.Sprintf("%s ends in the middle (%v), as after a kill; what came before was read", name, torn))
	}
	return err
}

// take hands over what a recording has, and reports whether to go on.
func (r *reading) take(o *route.Observation, m route.Mark) bool {
	switch {
	case !r.window.until.IsZero() && !m.At.Before(r.window.until):
		return false
	case m.Note == route.NoteGap:
		r.words = append(r.words, fmt.Sprintf("at %s the recording misses %s, which the disk did not take; what is decided after it may differ from what was", m.At.Format(time.RFC3339), plural(int(m.Missing), "line")))
	case m.Note > route.NoteCarried || r.known(o):
		r.to.Take(o, m)
	}
	return true
}

func (r *reading) file(name string) error {
	in, closeIn, err := openEvents(name, r.in)
	if err != nil {
		return wrong("", fmt.Errorf("replay %s: %w", name, cause(err)))
	}
	defer closeIn()
	d := ingest.NewDecoder(in, ingest.DecoderOptions{})
	return r.lines(name, d, func(o *route.Observation) bool {
		if r.known(o) && (r.window.until.IsZero() || o.Time.Before(r.window.until)) {
			r.joiner.Join(o, r.to.Observe)
		}
		return true
	})
}

// lines reads lines up to the end, or until take answers false. Refused ones are counted.
func (r *reading) lines(name string, d *ingest.Decoder, take func(*route.Observation) bool) error {
	var o route.Observation
	for {
		if r.events%4096 == 0 && r.stop != nil {
			if err := r.stop(); err != nil {
				return err
			}
		}
		_, err := d.Next(&o)
		var refusal *ingest.Refusal
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &refusal):
			r.refuse(refusal)
		case err != nil:
			return wrong("", fmt.Errorf("replay %s: %w", name, cause(err)))
		default:
			r.events++
			if !take(&o) {
				return nil
			}
		}
	}
}

func (r *reading) refuse(f *ingest.Refusal) {
	if r.refused++; r.refused == 1 {
		first := *f
		r.first = &first
	}
}

// known reports whether a policy has the route that an observation is about; the daemon refuses the others too.
func (r *reading) known(o *route.Observation) bool {
	if o.Route == "" {
		return true
	}
	for _, p := range r.policies {
		if p.Route(o.Route) != nil {
			return true
		}
	}
	r.unknown[o.Route]++
	return false
}

// openEvents opens a file of observations, plain or compressed by the ending of its name; "-" is standard input.
func openEvents(name string, stdin io.Reader) (io.Reader, func(), error) {
	if name == "-" {
		return stdin, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case strings.HasSuffix(name, ".gz"):
		z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<18))
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		return z, func() { z.Close(); f.Close() }, nil
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		return z, func() { z.Close(); f.Close() }, nil
	}
	return f, func() { f.Close() }, nil
}

// talk says what decisions do not: what was left out, and the speed.
func (r *reading) talk(w io.Writer, stats bool) {
	for _, word := range r.words {
		fmt.Fprintf(w, "signalbox: %s\n", word)
	}
	if r.first != nil {
		fmt.Fprintf(w, "signalbox: %s refused; the first: %v\n", plural(r.refused, "line"), r.first)
	}
	for _, id := range sortedIDs(r.unknown) {
		fmt.Fprintf(w, "signalbox: %s of route %q left out: the policy does not have it%s\n", plural(r.unknown[id], "observation"), id, meant(string(id), r.routes()))
	}
	if stats {
		fmt.Fprintf(w, "signalbox: %d events in %s: %.0f events/s\n", r.events, r.took.Round(time.Millisecond), float64(r.events)/r.took.Seconds())
	}
}

// routes are the routes of the policies.
func (r *reading) routes() []string {
	var ids []string
	for _, p := range r.policies {
		for i := range p.Routes {
			ids = append(ids, string(p.Routes[i].ID))
		}
	}
	return ids
}
