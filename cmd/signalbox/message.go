package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller/api"
	"signalbox/controller/way"
	"signalbox/rules/route"
)

func newMessage() *cobra.Command {
	var output, by string
	c := &cobra.Command{
		Use:   "message ID",
		Short: "Print the way of a message: its routes, why they, and what came back",
		Long: `Asks a running signalbox which way a message went: each submit with its answer, the table that the sender used (or
that was in force, where it did not say) and what that said of the route, the decisions behind it, and the
receipts. It knows the newest messages, as many as signalbox run --messages.kept says, by hashes of their
ids; no number and no text.`,
		Example: `  signalbox message m-4711
  signalbox message m-4711 --route acme-uk --output json`,
		Args: takes("ID"),
	}
	c.Flags().StringVar(&by, "route", "", "only by this route: other messages of other routes may have the same id")
	_ = c.RegisterFlagCompletionFunc("route", completeRoutes) // the flag is there
	addOutput(c, &output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		q := url.Values{}
		if by != "" {
			q.Set("route", by)
		}
		a, err := s.get(cmd.Context(), "/api/v1/messages/"+url.PathEscape(args[0]), q)
		if err != nil {
			return err
		}
		if output == "json" {
			return printLine(s, a, cmd.OutOrStdout())
		}
		var m wayOfMessage
		if err := a.read(s, &m); err != nil {
			return err
		}
		return m.print(cmd.OutOrStdout())
	}
	return c
}

// wayOfMessage is the server's answer.
type wayOfMessage struct {
	ID       string       `json:"id"`
	Attempts []wayAttempt `json:"attempts"`
	Window   way.Window   `json:"window"`
}

type wayAttempt struct {
	api.Attempt
	Decisions []struct {
		ID   string      `json:"id"`
		At   time.Time   `json:"time"`
		By   route.ID    `json:"route"`
		From route.Phase `json:"from"`
		To   route.Phase `json:"to"`
		Rule string      `json:"rule"`
		Text string      `json:"text"`
	} `json:"decisions"`
}

func (m *wayOfMessage) print(w io.Writer) error {
	p := &printer{w: w}
	for i := range m.Attempts {
		if i > 0 {
			p.line("%s", "")
		}
		m.Attempts[i].print(p)
	}
	return p.err
}

func (x *wayAttempt) print(p *printer) {
	p.line("%s by %s, %s/%s: %s", precise(x.Time), x.Route, x.Class, x.Network, x.result())
	rows := [][]string{{"table", x.table()}}
	if t := x.Table; t != nil && t.Entry != nil {
		rows = append(rows, []string{"said", x.said()})
	}
	for _, d := range x.Decisions {
		rows = append(rows, []string{"decision", fmt.Sprintf("%s  %s  %s %s → %s  %s", d.ID, moment(d.At), d.By, d.From, d.To, ruleAndText(d.Rule, d.Text))})
	}
	for i := range x.Receipts {
		rows = append(rows, []string{"receipt", cameBack(&x.Receipts[i])})
	}
	if x.Converted != nil {
		rows = append(rows, []string{"conversion", cameBack(x.Converted)})
	}
	if len(x.Receipts) == 0 && x.Result == "accepted" {
		rows = append(rows, []string{"receipt", "none yet"})
	}
	if x.Forgotten {
		rows = append(rows, []string{"", "its final status had not come when it was forgotten; later receipts are missing here"})
	}
	if p.err == nil {
		p.err = columns(p.w, "  ", rows)
	}
}

func (x *wayAttempt) result() string {
	text := x.Result
	if x.Result == "unseen" {
		text = "known from its receipts alone"
	}
	if x.Code != "" {
		text += " " + x.Code
	}
	if x.Fault != "" {
		text += ", fault of " + x.Fault
	}
	if x.Latency != nil {
		text += " after " + span(x.Latency.D())
	}
	return text
}

func (x *wayAttempt) table() string {
	t := x.Table
	switch {
	case t == nil:
		return "no lane served it"
	case t.NotKept != "" && t.Assumed:
		return "not kept: " + t.NotKept
	case t.NotKept != "":
		return t.Generation.String() + " as the sender said; not kept: " + t.NotKept
	}
	text := t.Generation.String() + " as the sender said"
	if t.Assumed {
		text = t.Generation.String() + " was in force; the sender did not say which it used"
	}
	if t.Entry == nil {
		return fmt.Sprintf("%s: lane %s did not have the route", text, t.Lane)
	}
	return fmt.Sprintf("%s: lane %s, so since %s", text, t.Lane, moment(t.Published))
}

func (x *wayAttempt) said() string {
	e := x.Table.Entry
	text := fmt.Sprintf("%s, %s", share(e.Share), phase(e.Phase, e.Admin))
	if e.Price != "" {
		text += ", " + e.Price
	}
	if e.Reason != nil {
		text += ": " + ruleAndText(e.Reason.Rule, e.Reason.Text) + " (" + e.Reason.Decision + ")"
	}
	return text
}

func ruleAndText(rule, text string) string {
	return strings.TrimPrefix(rule+": "+text, ": ")
}

// cameBack is a receipt or a conversion in a line.
func cameBack(a *api.Answer) string {
	text := fmt.Sprintf("%s  %s after %s", precise(a.Time), a.Status, span(a.Age.D()))
	if a.Code != "" {
		text += ", " + a.Code
	}
	if a.Counts {
		text += "; it counts"
	}
	return text
}

// precise is a time for people to the millisecond, in UTC.
func precise(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }
