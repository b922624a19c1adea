package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/route"
)

func newSenders() *cobra.Command {
	var output string
	var lagging bool
	c := &cobra.Command{
		Use:   "senders",
		Short: "Print who runs which table, and who lags",
		Long: `Asks a running signalbox which generation of the table each sender runs since when. A sender is current, behind
(it runs another generation than the one in force), refused (it will not take the one in force, and says why) or
silent (nothing was heard of it for an hour). With --lagging it prints only those that are behind for more than
two minutes or refused, and ends in 1 where there are any.`,
		Example: `  signalbox senders
  signalbox senders --lagging`,
		Args: takes(),
	}
	c.Flags().BoolVar(&lagging, "lagging", false, "only those that do not come along; any is exit code 1")
	addOutput(c, &output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		return printSenders(cmd.Context(), s, lagging, output, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return c
}

// sendersAnswer is what the server says of senders.
type sendersAnswer struct {
	Generation route.Generation `json:"generation"`
	Senders    []senderRow      `json:"senders"`
}

// senderRow is one of them.
type senderRow struct {
	Name       string           `json:"name"`
	Generation route.Generation `json:"generation"`
	Applied    bool             `json:"applied"`
	Why        string           `json:"why,omitempty"`
	Since      time.Time        `json:"since"`
	Seen       time.Time        `json:"seen"`
	Runs       route.Generation `json:"runs,omitzero"`
	RunsSince  time.Time        `json:"runs_since,omitzero"`
	Standing   string           `json:"standing"`
	Behind     float64          `json:"behind_seconds"`
}

// lags is the rule of the alert: refused, or behind for more than two minutes.
func (s *senderRow) lags() bool {
	return s.Standing == "refused" || s.Standing == "behind" && s.Behind > 120
}

func printSenders(ctx context.Context, c *client, lagging bool, output string, out, talk io.Writer) error {
	a, err := c.get(ctx, "/api/v1/senders", nil)
	if err != nil {
		return err
	}
	var all sendersAnswer
	if err := a.read(c, &all); err != nil {
		return err
	}
	late := 0
	shown := []senderRow{}
	for _, s := range all.Senders {
		if s.lags() {
			late++
		}
		if s.lags() || !lagging {
			shown = append(shown, s)
		}
	}
	all.Senders = shown
	if err := all.print(a, output, out, talk); err != nil {
		return err
	}
	if lagging && late > 0 {
		return no("signalbox senders shows all of them", fmt.Errorf("%d of the senders do not run generation %s", late, all.Generation))
	}
	return nil
}

func (l *sendersAnswer) print(a *answer, output string, out, talk io.Writer) error {
	switch {
	case output == "json":
		return json.NewEncoder(out).Encode(l)
	case len(l.Senders) == 0:
		_, err := fmt.Fprintln(talk, "signalbox: no sender that fits has told of itself")
		return err
	}
	if _, err := fmt.Fprintf(out, "generation %s is in force; times are UTC\n\n", l.Generation); err != nil {
		return err
	}
	rows := [][]string{{"SENDER", "RUNS", "SINCE", "STANDING", "BEHIND", "SEEN", "WHY"}}
	for i := range l.Senders {
		rows = append(rows, l.Senders[i].row(a.at))
	}
	return columns(out, "", rows)
}

func (s *senderRow) row(now time.Time) []string {
	runs, behind, why := "-", "-", ""
	if !s.RunsSince.IsZero() {
		runs = s.Runs.String()
	}
	if s.Behind > 0 {
		behind = span(time.Duration(s.Behind * float64(time.Second)))
	}
	if !s.Applied {
		why = fmt.Sprintf("refused %s: %s", s.Generation, orDash(s.Why))
	}
	return []string{s.Name, runs, since(s.RunsSince, now), s.Standing, behind, since(s.Seen, now), why}
}
