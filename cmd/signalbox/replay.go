package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

func newReplay() *cobra.Command {
	var q replayQuery
	c := &cobra.Command{
		Use:   "replay --policy DIR (EVENTS.ndjson[.gz|.zst]... | RECORDING_DIR)",
		Short: "Print every decision that recorded observations would have led to",
		Long: `Reads observations, one JSON object a line, in the order of the files, and prints every decision that the
policy would have made, one JSON object a line, in the time of the observations and as fast as the machine
can. The same files and the same policy give the same bytes. "-" reads standard input.

Of the folder that signalbox run --recording.dir filled, it reads the recording: it judges when the daemon
judged, and under the daemon's policy and --mode decides what the daemon decided. A recording that begins
later than the daemon did is replayed from a state in which every route is active.

With --against it prints only what another policy would have decided otherwise: which routes each of the two
moved when, and for each time in which their tables differ, how many messages were submitted, how many of
them the other table sends by another route, and what that costs.`,
		Example: `  signalbox replay --policy examples/quickstart/policy events.ndjson.gz
  signalbox replay --policy policy --since 24h --output text /var/lib/signalbox/recording
  signalbox replay --policy policy --against candidate /var/lib/signalbox/recording`,
		Args:              takes("EVENTS..."),
		ValidArgsFunction: completeEvents,
	}
	addPolicy(c, &q.policy)
	addMode(c, &q.mode)
	c.Flags().StringVar(&q.against, "against", "", "print what this other policy would have decided otherwise")
	_ = c.RegisterFlagCompletionFunc("against", completePolicy) // the flag is there
	addChoice(c, &q.output, "output", "how to print decisions: json, one a line, or text; with --against text, unless json is asked for", "json", "text", "json")
	c.Flags().BoolVar(&q.stats, "stats", false, "say on standard error what was read and how fast")
	bounds := addWindow(c)
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if q.window, err = bounds(time.Now()); err != nil {
			return err
		}
		if cmd.Flags().Changed("against") {
			return q.comparison(cmd, args)
		}
		return q.decisions(cmd, args)
	}
	return c
}

// replayQuery is what the command replay was asked.
type replayQuery struct {
	policy  string
	against string // the other policy; "" where there is none
	mode    route.Mode
	output  string
	stats   bool
	window  window
}

// decisions prints what one policy would have decided.
func (q *replayQuery) decisions(cmd *cobra.Command, args []string) error {
	p, err := loadPolicy(q.policy)
	if err != nil {
		return err
	}
	out := &journalPrinter{out: bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16), text: q.output == "text", since: q.window.since}
	replay := scenario.NewReplay(p, signal.Options{}, q.mode, out.print)
	r := &reading{to: replay, policies: []*policy.Policy{p}, in: cmd.InOrStdin(), window: q.window, stop: out.failed}
	if err := errors.Join(r.read(args), out.err); err != nil {
		return errors.Join(err, out.out.Flush())
	}
	r.talk(cmd.ErrOrStderr(), q.stats)
	return out.out.Flush()
}

// journalPrinter prints decisions.
type journalPrinter struct {
	out   *bufio.Writer
	text  bool
	since time.Time // earlier ones are not printed
	err   error
}

func (p *journalPrinter) failed() error { return p.err }

func (p *journalPrinter) print(o decide.Outcome) {
	for i := range o.Decisions {
		if d := &o.Decisions[i]; p.err == nil && !d.Time.Before(p.since) {
			p.err = p.decision(d)
		}
	}
}

func (p *journalPrinter) decision(d *route.Decision) error {
	if p.text {
		_, err := fmt.Fprintln(p.out, decisionLine(d))
		return err
	}
	data, err := json.Marshal(d)
	if err == nil {
		_, err = p.out.Write(append(data, '\n'))
	}
	return err
}
