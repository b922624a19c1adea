package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/rules/ledger"
	"signalbox/rules/route"
)

func newPrices() *cobra.Command {
	var output string
	var since, class, network string
	c := &cobra.Command{
		Use:   "prices",
		Short: "Print what messages cost by lane and day, and what changes of lanes made of it",
		Long: `Asks a running signalbox what the messages that routes accepted cost at list prices, by lane and UTC day, and what
changes of lanes cost or saved: what the messages under them cost by the routes that carried them, against
what they would have cost by the shares that the policy gives while all is well. Amounts are exact. A
message whose price is not known is counted and not priced; 35 days are kept.`,
		Example: `  signalbox prices --since 24h
  signalbox prices --class otp --network GB --output json`,
		Args: takes(),
	}
	f := c.Flags()
	f.StringVar(&since, "since", "", "days and changes of the last 24h, or since 2026-11-23T10:00:00Z; 7d where it is not given")
	f.StringVar(&class, "class", "", "lanes of this class")
	f.StringVar(&network, "network", "", "lanes within this network")
	addOutput(c, &output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		q := url.Values{}
		for name, value := range map[string]string{"since": since, "class": class, "network": network} {
			if value != "" {
				q.Set(name, value)
			}
		}
		a, err := s.get(cmd.Context(), "/api/v1/prices", q)
		if err != nil {
			return err
		}
		if output == "json" {
			return printLine(s, a, cmd.OutOrStdout())
		}
		var r ledger.Report
		if err := a.read(s, &r); err != nil {
			return err
		}
		return printPrices(cmd.OutOrStdout(), &r)
	}
	return c
}

func printPrices(w io.Writer, r *ledger.Report) error {
	if len(r.Days) == 0 {
		_, err := fmt.Fprintf(w, "no message has been counted since %s\n", r.Since)
		return err
	}
	rows := [][]string{{"day", "lane", "route", "messages", "spent", "changes made"}}
	for i := range r.Days {
		d := &r.Days[i]
		rows = append(rows, []string{string(d.Day), d.Lane.String(), "", fmt.Sprint(d.Messages), spentText(&d.Spent), changedText(&d.Changed)})
		for k := range d.Routes {
			x := &d.Routes[k]
			rows = append(rows, []string{"", "", string(x.Route), fmt.Sprint(x.Messages), spentText(&x.Spent) + unanswered(x), ""})
		}
	}
	rows = append(rows, []string{"total", "", "", fmt.Sprint(r.Total.Messages), spentText(&r.Total.Spent), changedText(&r.Total.Changed)})
	if err := columns(w, "", rows); err != nil || len(r.Changes) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w, "\nchanges"); err != nil {
		return err
	}
	rows = rows[:0]
	for i := range r.Changes {
		rows = append(rows, changeCells(&r.Changes[i]))
	}
	return columns(w, "  ", rows)
}

func changeCells(c *ledger.Change) []string {
	to := "still"
	if !c.To.IsZero() {
		to = span(c.To.Sub(c.From))
	}
	return []string{orDash(c.Decision), c.Lane.String(), orDash(string(c.Route)), moment(c.From), to, changedText(&c.Changed)}
}

func spentText(s *ledger.Spent) string {
	return orDash(strings.Join(append(amounts(s.Spent.List()), unpriced(s.Unpriced)...), ", "))
}

func unanswered(r *ledger.RouteDay) string {
	text := ""
	if r.Refused > 0 {
		text += fmt.Sprintf("; %d refused", r.Refused)
	}
	if r.TimedOut > 0 {
		text += fmt.Sprintf("; %d timed out, charged or not", r.TimedOut)
	}
	return text
}

// changedText is what changes made of the messages under them.
func changedText(c *ledger.Changed) string {
	if c.Messages == 0 {
		return "-"
	}
	return differenceText(c.Difference.List(), c.Messages, c.Unpriced)
}

func differenceText(more []route.Money, messages, without int64) string {
	var parts []string
	for _, m := range more {
		sign := "+"
		if m.Amount.IsNegative() {
			sign = ""
		}
		parts = append(parts, sign+m.String())
	}
	if len(parts) == 0 && without < messages {
		parts = append(parts, "no difference")
	}
	return strings.Join(append(parts, unpriced(without)...), ", ") + fmt.Sprintf(" over %d messages", messages)
}

func amounts(all []route.Money) []string {
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = m.String()
	}
	return out
}

func unpriced(n int64) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("price unknown of %d", n)}
}

// costRows are what a decision says of the changes that it ended.
func costRows(c *route.Cost) [][]string {
	if c == nil {
		return nil
	}
	return [][]string{
		{"changes", orDash(strings.Join(c.Changes, ", "))},
		{"since", moment(c.From) + " UTC"},
		{"made", differenceText(c.Amount, int64(c.Messages), int64(c.Unpriced))},
	}
}
