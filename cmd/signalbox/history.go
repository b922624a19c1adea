package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"signalbox/rules/route"
)

// historyQuery is what the command history was asked.
type historyQuery struct {
	route, class, network string
	since                 string
	limit                 int
	all                   bool
	output                string
}

func newHistory() *cobra.Command {
	var q historyQuery
	c := &cobra.Command{
		Use:   "history [ID]",
		Short: "Print decisions, those not taken too, or one of them whole",
		Long: `Asks a running signalbox for its journal and prints decisions, the newest last. "*" marks what was done, "-" what
was not done and why. With the ID of a decision it prints that one whole: what it was made from, what the
guards said, and what else there was. --output json prints one decision a line.`,
		Example: `  signalbox history --route acme-uk --since 2h
  signalbox history 1-43-1`,
		Args: takes("[ID]"),
	}
	f := c.Flags()
	f.StringVar(&q.route, "route", "", "decisions about this route")
	f.StringVar(&q.class, "class", "", "decisions in lanes of this class")
	f.StringVar(&q.network, "network", "", "decisions in lanes within this network")
	f.StringVar(&q.since, "since", "", "decisions of the last 2h, or since 2026-11-23T10:00:00Z")
	f.IntVar(&q.limit, "limit", 50, "how many at most: the newest")
	f.BoolVar(&q.all, "all", false, "all that are kept, whatever --limit says")
	addOutput(c, &q.output)
	_ = c.RegisterFlagCompletionFunc("route", completeRoutes) // the flag is there
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return q.one(cmd, s, args[0])
		}
		return q.list(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return c
}

// decisionsPage is the most that the server gives at once.
const decisionsPage = 1000

func (q *historyQuery) list(ctx context.Context, s *client, out, talk io.Writer) error {
	if q.limit < 1 {
		return wrong("--all prints all that are kept", fmt.Errorf("--limit: want a number above 0, got %d", q.limit))
	}
	found, more, err := q.fetch(ctx, s)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		if err := q.exists(ctx, s); err != nil {
			return err
		}
		fmt.Fprintln(talk, "signalbox: no decision yet that fits")
	}
	slices.Reverse(found)
	if err := q.print(found, out); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(talk, "signalbox: these are the newest %d; --all prints what came before them\n", len(found))
	}
	return nil
}

// fetch gets as many decisions as are wanted, newest first; more is whether there are others.
func (q *historyQuery) fetch(ctx context.Context, s *client) (found []route.Decision, more bool, err error) {
	v := url.Values{}
	for name, value := range map[string]string{"route": q.route, "class": q.class, "network": q.network, "since": q.since} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for {
		page := decisionsPage
		if !q.all {
			page = min(page, q.limit-len(found))
		}
		v.Set("limit", strconv.Itoa(page))
		a, err := s.get(ctx, "/api/v1/decisions", v)
		if err != nil {
			return nil, false, err
		}
		var got struct {
			Decisions []route.Decision `json:"decisions"`
			Next      string           `json:"next"`
		}
		if err := a.read(s, &got); err != nil {
			return nil, false, err
		}
		found = append(found, got.Decisions...)
		if got.Next == "" || !q.all && len(found) >= q.limit {
			return found, got.Next != "", nil
		}
		v.Set("before", got.Next)
	}
}

// exists refuses a route or a lane that the table does not have, once the journal has nothing about it.
func (q *historyQuery) exists(ctx context.Context, s *client) error {
	t, err := s.table(ctx)
	if err != nil || q.route == "" && q.class == "" && q.network == "" {
		return err
	}
	if q.route != "" && len(t.lanesOf(route.ID(q.route))) == 0 {
		return t.noRoute(q.route)
	}
	for i := range t.Lanes {
		l := &t.Lanes[i]
		if (q.class == "" || string(l.Class) == q.class) && (q.network == "" || route.Network(q.network).Contains(l.Network)) {
			return nil
		}
	}
	return no(showsLanes, fmt.Errorf("there is no lane %s/%s", orAny(q.class), orAny(q.network)))
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

func (q *historyQuery) print(found []route.Decision, out io.Writer) error {
	if q.output == "json" {
		e := json.NewEncoder(out)
		for i := range found {
			if err := e.Encode(&found[i]); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, len(found))
	for i := range found {
		rows[i] = decisionCells(&found[i])
	}
	return columns(out, "", rows)
}

// one prints one decision whole.
func (q *historyQuery) one(cmd *cobra.Command, s *client, id string) error {
	for _, name := range []string{"route", "class", "network", "since", "limit", "all"} {
		if cmd.Flags().Changed(name) {
			return wrong("signalbox history "+id, errors.New("--"+name+": want it without the ID of a decision"))
		}
	}
	a, err := s.get(cmd.Context(), "/api/v1/decisions/"+url.PathEscape(id), nil)
	if err != nil {
		return err
	}
	if q.output == "json" {
		return printLine(s, a, cmd.OutOrStdout())
	}
	var d route.Decision
	if err := a.read(s, &d); err != nil {
		return err
	}
	return printDecision(cmd.OutOrStdout(), &d)
}

func printDecision(w io.Writer, d *route.Decision) error {
	p := &printer{w: w}
	p.line("%s in %s: %s", d.Route, d.Lane, changed(d))
	p.line("%s", d.Text)
	p.section("decision", [][]string{
		{"id", d.ID},
		{"time", moment(d.Time) + " UTC"},
		{"rule", orDash(d.Rule)},
		{"verdict", fmt.Sprintf("%s (%s), in mode %s", d.Verdict, d.Reason, d.Mode)},
		{"enforced", yesNo(d.Enforced)},
		{"actor", actor(d.Actor)},
		{"traffic", orDash(d.Traffic)},
		{"price change", orDash(d.PriceChange)},
		{"generation", d.Generation.String()},
		{"policy", d.Policy},
	})
	p.section("ended", costRows(d.Cost))
	p.section("made from", inputRows(d.Inputs))
	p.section("guards", guardRows(d.Guards))
	p.section("other routes", alternativeRows(d.Alternatives))
	return p.err
}

func actor(a *string) string {
	if a == nil {
		return "the rule; no person"
	}
	return *a
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func alternativeRows(all []route.Alternative) [][]string {
	rows := make([][]string, len(all))
	for i, a := range all {
		rows[i] = []string{string(a.Route), a.Why}
	}
	return rows
}
