package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/decide"
	"signalbox/rules/route"
)

func newExplain() *cobra.Command {
	var class, network, output string
	c := &cobra.Command{
		Use:   "explain ROUTE",
		Short: "Say why a route is where it is, and why it is not elsewhere",
		Long: `Asks a running signalbox about a route in a lane: where it is and why, what has to happen for it to move, what is
known of it, each rule's conditions with the value of every part, and what the guards would say. A "?" marks
what is unknown, which is neither good nor bad. --class and --network may be left out where the route is in
one lane only.`,
		Example: `  signalbox explain acme-uk
  signalbox explain acme-uk --class otp --network GB`,
		Args:              takes("ROUTE"),
		ValidArgsFunction: completeRoutes,
	}
	c.Flags().StringVar(&class, "class", "", "the traffic class of the lane, such as otp")
	c.Flags().StringVar(&network, "network", "", `its network: "234-15", "GB" or "*"`)
	addOutput(c, &output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		a, err := s.explain(cmd.Context(), args[0], class, network)
		if err != nil {
			return err
		}
		if output == "json" {
			return printLine(s, a, cmd.OutOrStdout())
		}
		var e decide.Explanation
		if err := a.read(s, &e); err != nil {
			return err
		}
		if err := printExplanation(cmd.OutOrStdout(), &e); err != nil {
			return err
		}
		var seen struct{ Probes []route.Watch }
		if err := a.read(s, &seen); err != nil {
			return err
		}
		return printWatches(cmd.OutOrStdout(), seen.Probes, a.at)
	}
	return c
}

// explain asks about a route in a lane, or in its only one.
func (c *client) explain(ctx context.Context, id, class, network string) (*answer, error) {
	if class == "" || network == "" {
		t, err := c.table(ctx)
		if err != nil {
			return nil, err
		}
		l, err := t.only(id, class, network)
		if err != nil {
			return nil, err
		}
		class, network = string(l.Class), string(l.Network)
	}
	return c.get(ctx, "/api/v1/explain", url.Values{"route": {id}, "class": {class}, "network": {network}})
}

// table is the table in force, to find lanes in.
type table struct{ route.Table }

func (c *client) table(ctx context.Context) (*table, error) {
	a, err := c.get(ctx, "/routes", nil)
	if err != nil {
		return nil, err
	}
	t := &table{}
	return t, a.read(c, &t.Table)
}

// placed is a route in a lane.
type placed struct {
	route.Lane
	entry *route.Entry
}

// lanesOf are the lanes that have the route, in the order of the table.
func (t *table) lanesOf(id route.ID) []placed {
	var found []placed
	for i := range t.Lanes {
		for j := range t.Lanes[i].Routes {
			if e := &t.Lanes[i].Routes[j]; e.Route == id {
				found = append(found, placed{t.Lanes[i].Lane(), e})
			}
		}
	}
	return found
}

// only is the lane of the route, where there is one of the class and network given.
func (t *table) only(id, class, network string) (route.Lane, error) {
	all := t.lanesOf(route.ID(id))
	if len(all) == 0 {
		return route.Lane{}, t.noRoute(id)
	}
	found := slices.DeleteFunc(slices.Clone(all), func(p placed) bool {
		return class != "" && string(p.Class) != class || network != "" && string(p.Network) != network
	})
	if len(found) == 1 {
		return found[0].Lane, nil
	}
	first := all[0]
	hint := fmt.Sprintf("signalbox explain %s --class %s --network %s", id, first.Class, first.Network)
	if len(found) == 0 {
		return route.Lane{}, no(hint, fmt.Errorf("%s is in no lane %s/%s, but in:\n%s", id, orAny(class), orAny(network), laneLines(all)))
	}
	return route.Lane{}, wrong(hint, fmt.Errorf("%s is in %d lanes, want --class and --network of one:\n%s", id, len(found), laneLines(found)))
}

// laneLines lists lanes with where the route stands in them.
func laneLines(all []placed) string {
	var b strings.Builder
	rows := make([][]string, len(all))
	for i, p := range all {
		rows[i] = []string{p.Lane.String(), share(p.entry.Share), phase(p.entry.Phase, p.entry.Admin)}
	}
	_ = columns(&b, "", rows) // a Builder never fails
	return strings.TrimSuffix(b.String(), "\n")
}

func (t *table) noRoute(id string) error {
	return no(showsLanes, fmt.Errorf("no lane has a route %q%s", id, meant(id, t.routes())))
}

// routes are the ids of all routes, each once.
func (t *table) routes() []string {
	var ids []string
	for i := range t.Lanes {
		for _, e := range t.Lanes[i].Routes {
			ids = append(ids, string(e.Route))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// completeWithin bounds how long completion waits for a server.
const completeWithin = time.Second

// completeRoutes completes the ids of routes, where a server answers.
func completeRoutes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	server, err := cmd.Flags().GetString("server")
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := serverOf(cmd, server)
	if err == nil {
		err = c.present(credentialsOf(cmd))
	}
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	t, err := c.table(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.routes(), cobra.ShellCompDirectiveNoFileComp
}

// printer prints until the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) rows(indent string, rows [][]string) {
	if p.err == nil {
		p.err = columns(p.w, indent, rows)
	}
}

// section prints rows under a title, where there are any.
func (p *printer) section(title string, rows [][]string) {
	if len(rows) > 0 {
		p.line("\n%s", title)
		p.rows("  ", rows)
	}
}

func printExplanation(w io.Writer, e *decide.Explanation) error {
	p := &printer{w: w}
	p.line("%s in %s is %s", e.Route, e.Lane, e.Text)
	p.line("next: %s", e.Next)
	p.section("place", placeRows(e))
	p.section("signals", signalRows(&e.Signals))
	if len(e.Rules) > 0 {
		p.line("\nrules")
	}
	for i := range e.Rules {
		p.rule(&e.Rules[i])
	}
	p.section(guardTitle(e), guardRows(e.Guards))
	return p.err
}

func placeRows(e *decide.Explanation) [][]string {
	rows := [][]string{
		{"phase", phase(e.State.Phase, e.Entry.Admin)},
		{"share", share(e.Entry.Share)},
		{"since", since(e.State.Since, e.At)},
		{"price", orDash(e.Entry.Price)},
		{"traffic", rate(&e.Signals)},
	}
	if e.State.Relapses > 0 {
		rows = append(rows, []string{"relapses", fmt.Sprint(e.State.Relapses)})
	}
	if e.Decision != "" {
		rows = append(rows, []string{"decision", e.Decision})
	}
	return append(rows, []string{"judged", moment(e.At) + " UTC, policy " + e.Policy})
}

func rate(s *route.Signals) string {
	if !s.Delivery.Known {
		return "unknown"
	}
	return fmt.Sprintf("%.1f/s over the last minute", s.Rate)
}

// rule prints a rule with both of its conditions. The way back means nothing while the rule keeps nothing out, so that its
// being false then must not look like trouble.
func (p *printer) rule(r *decide.RuleView) {
	keeps := ""
	if r.Holds {
		keeps = ", which keeps it out"
	}
	p.line("  %s%s", r.Rule, keeps)
	p.clause("demote", &r.Demote)
	if r.Holds {
		p.clause("promote", &r.Promote)
		return
	}
	p.line("      promote is not asked: %s", r.Promote.When)
}

func (p *printer) clause(verdict string, c *decide.ClauseView) {
	held := ""
	if c.For > 0 {
		held = fmt.Sprintf(" for %s of %s", span(c.Held.D()), c.For)
	}
	p.line("    %s %s is %s%s: %s", unknownMark(c.Truth), verdict, c.Truth, held, c.When)
	p.rows("      ", inputRows(c.Inputs))
}

// guardTitle says which change the guards were asked about.
func guardTitle(e *decide.Explanation) string {
	switch e.State.Phase {
	case route.Active:
		return "guards, were it to be demoted now"
	case route.Demoted:
		return "guards, were it to be promoted now"
	}
	return "guards of its next change"
}
