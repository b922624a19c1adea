package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
	"signalbox/rules/signal"
)

// comparison prints what two policies would have decided differently.
func (q *replayQuery) comparison(cmd *cobra.Command, args []string) error {
	p, err := loadPolicy(q.policy)
	if err != nil {
		return err
	}
	if q.against == "" {
		return wrong("", fmt.Errorf("--against: want a folder of YAML files, or one file, got nothing"))
	}
	other, err := loadPolicy(q.against)
	if err != nil {
		return err
	}
	x := scenario.NewAgainst(p, other, signal.Options{}, q.mode, q.window.since)
	r := &reading{to: x, policies: []*policy.Policy{p, other}, in: cmd.InOrStdin(), window: q.window}
	if err := r.read(args); err != nil {
		return err
	}
	c := x.Result()
	w := bufio.NewWriter(cmd.OutOrStdout())
	if q.output == "json" && cmd.Flags().Changed("output") {
		err = json.NewEncoder(w).Encode(c)
	} else {
		printComparison(w, &c, q.policy, q.against)
	}
	r.talk(cmd.ErrOrStderr(), q.stats)
	if err != nil {
		return err
	}
	return w.Flush()
}

// printComparison prints what differs in the order of time: moves, and the stretches that begin by then; nothing where
// nothing does.
func printComparison(w io.Writer, c *scenario.Comparison, mine, other string) {
	if len(c.Moves) == 0 && len(c.Stretches) == 0 {
		return
	}
	fmt.Fprintf(w, "--- %s  %s\n+++ %s  %s\n", mine, c.Policy, other, c.Against)
	printDifferences(w, c)
}

// printDifferences prints what differs, and what it comes to.
func printDifferences(w io.Writer, c *scenario.Comparison) {
	stretches := c.Stretches
	for i := range c.Moves {
		d := &c.Moves[i]
		for len(stretches) > 0 && stretches[0].From.Before(firstOf(d)) {
			printStretch(w, &stretches[0])
			stretches = stretches[1:]
		}
		printDiffering(w, d)
	}
	for i := range stretches {
		printStretch(w, &stretches[i])
	}
	printAlarms(w, c)
	t := &c.Total
	fmt.Fprintf(w, "\nfrom %s to %s, of %s submitted: %s\n", moment(t.From), moment(t.To), plural(c.Messages, "message"), meaning(t))
}

// printAlarms prints how often each rule demoted.
func printAlarms(w io.Writer, c *scenario.Comparison) {
	if len(c.Alarms) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, a := range c.Alarms {
		fmt.Fprintf(w, "%s: %s, %d by the other\n", a.Rule, plural(a.Policy, "demotion"), a.Against)
	}
}

func firstOf(d *scenario.Differing) time.Time {
	if d.Policy == nil || d.Against != nil && d.Against.Time.Before(d.Policy.Time) {
		return d.Against.Time
	}
	return d.Policy.Time
}

// printDiffering prints a change of a route, and when each policy made it.
func printDiffering(w io.Writer, d *scenario.Differing) {
	fmt.Fprintf(w, "\n%s  %s  %s → %s%s\n", d.Lane, d.Route, d.From, d.To, apart(d))
	for _, side := range []struct {
		sign string
		move *scenario.Move
	}{{"-", d.Policy}, {"+", d.Against}} {
		if side.move == nil {
			fmt.Fprintf(w, "%s  never\n", side.sign)
			continue
		}
		fmt.Fprintf(w, "%s  %s  %s%s: %s\n", side.sign, moment(side.move.Time), side.move.Rule, only(side.move), side.move.Text)
	}
}

// apart says how much later or earlier the other policy moved the route.
func apart(d *scenario.Differing) string {
	if d.Policy == nil || d.Against == nil {
		return ""
	}
	by := d.Against.Time.Sub(d.Policy.Time)
	switch {
	case by > 0:
		return ", " + span(by) + " later"
	case by < 0:
		return ", " + span(-by) + " earlier"
	}
	return ", at the same time"
}

// only says where a move was not made but proposed or observed.
func only(m *scenario.Move) string {
	switch {
	case m.Enforced:
		return ""
	case m.Reason == route.Proposed:
		return ", only proposed"
	}
	return ", only observed"
}

func printStretch(w io.Writer, s *scenario.Stretch) {
	lane := s.Lane.String()
	switch {
	case s.Against != nil:
		lane += " (by the other " + s.Against.String() + ")"
	case s.Only == "policy":
		lane += " (not served by the other)"
	case s.Only != "":
		lane += " (served by the other alone)"
	}
	fmt.Fprintf(w, "\n%s  from %s to %s: ", lane, moment(s.From), moment(s.To))
	if s.Messages == 0 {
		fmt.Fprintln(w, "no message submitted")
		return
	}
	fmt.Fprintf(w, "%s submitted, %s\n", plural(s.Messages, "message"), meaning(s))
}

// meaning says what a stretch means for messages and money.
func meaning(s *scenario.Stretch) string {
	if s.Moved.IsZero() {
		return "0 by other routes"
	}
	text := messages(s.Moved) + " by other routes"
	var costs []string
	for _, p := range s.Cost {
		costs = append(costs, money(p))
	}
	priced := s.Moved.GreaterThan(s.Unpriced)
	switch {
	case len(costs) > 0:
		text += ", " + strings.Join(costs, ", ")
	case priced:
		text += ", for the same price"
	}
	if !s.Unpriced.IsZero() {
		text += ", price unknown of " + messages(s.Unpriced)
	}
	return text
}

// messages is a number of messages, to a tenth.
func messages(n decimal.Decimal) string { return n.Round(1).String() }

// money is a difference of money with its sign, to a hundredth, or exactly where it is less than that.
func money(p scenario.Money) string {
	sign := "+"
	if p.Amount.IsNegative() {
		sign = "-"
	}
	amount := p.Amount.Abs()
	if rounded := amount.Round(2); !rounded.IsZero() {
		return sign + rounded.StringFixed(2) + " " + p.Currency
	}
	return sign + amount.String() + " " + p.Currency
}
