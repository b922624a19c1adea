package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"signalbox/probes/ingest"
	"signalbox/rules/decide"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

func newReplay() *cobra.Command {
	var path, output string
	var mode route.Mode
	var stats bool
	c := &cobra.Command{
		Use:   "replay --policy DIR EVENTS.ndjson[.gz|.zst]...",
		Short: "Print every decision that recorded observations would have led to",
		Long: `Reads observations, one JSON object a line, in the order of the files, and prints every decision that the
policy would have made, one JSON object a line, in the time of the observations and as fast as the machine
can. The same files and the same policy give the same bytes. "-" reads standard input.`,
		Example:           "  signalbox replay --policy examples/quickstart/policy events.ndjson.gz",
		Args:              takes("EVENTS..."),
		ValidArgsFunction: completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadPolicy(path)
			if err != nil {
				return err
			}
			w := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
			r := &replayer{in: cmd.InOrStdin(), out: w, text: output == "text"}
			r.replay = scenario.NewReplay(p, signal.Options{}, mode, r.print)
			if err := r.files(args); err != nil {
				return errors.Join(err, w.Flush())
			}
			r.talk(cmd.ErrOrStderr(), stats)
			return w.Flush()
		},
	}
	addPolicy(c, &path)
	addMode(c, &mode)
	addChoice(c, &output, "output", "how to print decisions: json, one a line, or text", "json", "text", "json")
	c.Flags().BoolVar(&stats, "stats", false, "say on standard error what was read and how fast")
	return c
}

// replayer reads files into a replay and prints what it decides.
type replayer struct {
	replay  *scenario.Replay
	joiner  *ingest.Joiner
	in      io.Reader // standard input
	out     *bufio.Writer
	text    bool
	err     error
	events  int
	refused int
	first   *ingest.Refusal
	unknown map[route.ID]int // observations of routes that the policy does not have
	printed int              // decisions
	took    time.Duration
}

func (r *replayer) files(names []string) error {
	var err error
	if r.joiner, err = ingest.NewJoiner(ingest.JoinerOptions{}); err != nil {
		return err
	}
	r.unknown = map[route.ID]int{}
	began := time.Now()
	for _, name := range names {
		if err := r.file(name); err != nil {
			return wrong("", fmt.Errorf("replay %s: %w", name, cause(err)))
		}
	}
	r.replay.End()
	r.took = time.Since(began)
	return r.err
}

func (r *replayer) file(name string) error {
	in, closeIn, err := openEvents(name, r.in)
	if err != nil {
		return err
	}
	defer closeIn()
	d := ingest.NewDecoder(in, ingest.DecoderOptions{})
	var o route.Observation
	for r.err == nil {
		_, err := d.Next(&o)
		var refusal *ingest.Refusal
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &refusal):
			r.refuse(refusal)
		case err != nil:
			return err
		default:
			r.events++
			if r.known(&o) {
				r.joiner.Join(&o, r.replay.Observe)
			}
		}
	}
	return nil
}

func (r *replayer) refuse(f *ingest.Refusal) {
	if r.refused++; r.refused == 1 {
		first := *f
		r.first = &first
	}
}

// known reports whether the policy has the route that an observation is about; the daemon refuses the others too.
func (r *replayer) known(o *route.Observation) bool {
	if o.Route == "" || r.replay.Engine().Policy.Route(o.Route) != nil {
		return true
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

func (r *replayer) print(o decide.Outcome) {
	for i := range o.Decisions {
		d := &o.Decisions[i]
		r.printed++
		if r.text {
			_, r.err = fmt.Fprintln(r.out, decisionLine(d))
		} else if data, err := json.Marshal(d); err != nil {
			r.err = err
		} else {
			_, r.err = r.out.Write(append(data, '\n'))
		}
		if r.err != nil {
			return
		}
	}
}

// talk says what the decisions do not: lines that were left out, and the speed.
func (r *replayer) talk(w io.Writer, stats bool) {
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

// routes are the routes of the policy.
func (r *replayer) routes() []string {
	p := r.replay.Engine().Policy
	ids := make([]string, len(p.Routes))
	for i := range p.Routes {
		ids[i] = string(p.Routes[i].ID)
	}
	return ids
}
