package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

func newPin() *cobra.Command {
	return newHoldRoute(route.Pin, "pin ROUTE", "Keep a route where it is, whatever rules say", `Orders that no rule moves a route: what rules would have done is recorded and not done. It shows what would change and asks
before it is done. signalbox unpin takes it back.`, `  signalbox pin acme-uk --class otp --network GB --for 2h --reason "the carrier is being watched by hand"`)
}

func newDrain() *cobra.Command {
	return newHoldRoute(route.Drain, "drain ROUTE", "Take traffic off a route", `Orders that a route gets no traffic and is nobody's fallback. It shows what would change, and what the guards would say of
it, and asks before it is done. Where no usable route would be left, it is refused unless --leave-no-usable-route
says so in as many words. signalbox undrain takes it back.`, `  signalbox drain acme-uk --for 2h --reason "maintenance at the carrier"
  signalbox drain acme-uk --network 234-15 --until 2026-11-23T12:00:00Z --reason "ticket 4711" --dry-run`)
}

// newHoldRoute makes a command that puts an order on a route in force.
func newHoldRoute(kind route.OverrideKind, use, short, long, example string) *cobra.Command {
	var o ordering
	var l lasting
	var in where
	var replaces string
	var last bool
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: takes("ROUTE"), ValidArgsFunction: completeRoutes}
	in.add(c)
	l.add(c)
	c.Flags().StringVar(&replaces, "replace", "", "the id of the order in force that this one takes the place of")
	r := request{method: "POST", path: "/api/v1/overrides"}
	if kind == route.Drain {
		c.Flags().BoolVar(&last, "leave-no-usable-route", false, "drain it although no usable route is left in a lane: its messages then go by the least bad one, drained or not")
		r.passes = "--leave-no-usable-route drains it all the same: messages of that lane then go by the least bad route, drained or not"
	}
	addOrdering(c, &o)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{"kind": kind, "route": args[0], "class": in.class, "network": in.network, "reason": o.reason, "actor": o.who(), "replaces": replaces}
		if last {
			body["accept"] = []string{"min_active"}
		}
		return o.set(cmd, r, body, &l, fmt.Sprintf("%s %s %s", kind, args[0], in.words()))
	}
	return c
}

func newFreeze() *cobra.Command {
	var o ordering
	var l lasting
	var in where
	var changes policy.Freeze
	var replaces string
	c := &cobra.Command{
		Use:   "freeze",
		Short: "Let rules change nothing for a while",
		Long: `Orders that rules change nothing in the lanes named: what they would have done is recorded and not done. --changes
promotions lets demotions go on. signalbox unfreeze takes it back.`,
		Example: `  signalbox freeze --for 30m --reason "we are moving the receipt listener"
  signalbox freeze --class otp --network GB --changes promotions --for 8h --reason "nobody is awake to see it"`,
		Args: takes(),
	}
	in.add(c)
	l.add(c)
	addChoice(c, &changes, "changes", "what is held: promotions, demotions, or changes for both", policy.FreezeChanges, freezes...)
	c.Flags().StringVar(&replaces, "replace", "", "the id of the order in force that this one takes the place of")
	addOrdering(c, &o)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		body := map[string]any{"kind": route.Freeze, "changes": changes, "class": in.class, "network": in.network, "reason": o.reason, "actor": o.who(), "replaces": replaces}
		return o.set(cmd, request{method: "POST", path: "/api/v1/overrides"}, body, &l, fmt.Sprintf("freeze %s %s", changes, in.words()))
	}
	return c
}

// set puts an order in force.
func (o *ordering) set(cmd *cobra.Command, r request, body map[string]any, l *lasting, what string) error {
	if err := o.needsReason(); err != nil {
		return err
	}
	until, err := l.put(body)
	if err != nil {
		return err
	}
	s, err := o.connect()
	if err != nil {
		return err
	}
	r.body, r.asks = body, what+" "+until+": "+o.reason
	return o.give(cmd, s, r)
}

func newUnpin() *cobra.Command {
	return newRelease(route.Pin, "unpin ROUTE", "Take a pin back")
}

func newUndrain() *cobra.Command {
	return newRelease(route.Drain, "undrain ROUTE", "Take a drain back")
}

func newUnfreeze() *cobra.Command {
	return newRelease(route.Freeze, "unfreeze [ID]", "Take a freeze back")
}

// newRelease makes a command that takes an order back: that of a route, or one by its id.
func newRelease(kind route.OverrideKind, use, short string) *cobra.Command {
	var o ordering
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long: short + `: the one in force, or, where several are, the one whose id is given. signalbox overrides lists them. It shows what would
change and asks before it is done.`,
		Args: takes(map[bool]string{true: "[ID]", false: "ROUTE"}[kind == route.Freeze]),
	}
	if kind != route.Freeze {
		c.ValidArgsFunction = completeRoutes
	}
	addOrdering(c, &o)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := o.connect()
		if err != nil {
			return err
		}
		named := ""
		if len(args) > 0 {
			named = args[0]
		}
		x, err := s.overrideToEnd(cmd.Context(), kind, named)
		if err != nil {
			return err
		}
		query := url.Values{"actor": {o.who()}, "reason": {o.reason}}
		return o.give(cmd, s, request{method: "DELETE", path: "/api/v1/overrides/" + x.ID, query: query, asks: "end: " + namesOverride(x, time.Now())})
	}
	return c
}

// overrideToEnd is the override of a kind that a name means: its route, or its id.
func (c *client) overrideToEnd(ctx context.Context, kind route.OverrideKind, named string) (*route.Override, error) {
	all, err := c.overrides(ctx)
	if err != nil {
		return nil, err
	}
	var found []route.Override
	for _, x := range all {
		if x.Kind == kind && (named == "" || string(x.Route) == named || x.ID == named) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return nil, no("signalbox overrides lists what is in force", fmt.Errorf("no %s is in force%s", kind, about(named)))
	case 1:
		return &found[0], nil
	}
	text := ""
	for i := range found {
		text += fmt.Sprintf("\n  %s  %s", found[i].ID, namesOverride(&found[i], time.Now()))
	}
	return nil, wrong("give the id of one", errors.New("several are in force:"+text))
}

func about(named string) string {
	if named == "" {
		return ""
	}
	return " on " + named
}

func (c *client) overrides(ctx context.Context) ([]route.Override, error) {
	a, err := c.get(ctx, "/api/v1/overrides", nil)
	if err != nil {
		return nil, err
	}
	var got inForce
	return got.Overrides, a.read(c, &got)
}

// inForce is what the server answers of orders in force.
type inForce struct {
	Overrides []route.Override `json:"overrides"`
}

func newOverrides() *cobra.Command {
	return newListing("overrides", "List operators' orders in force",
		`Asks a running signalbox for the orders in force: pins, drains and freezes, who gave them, why, and when they end.`,
		func(w io.Writer, got *inForce, now time.Time) error { return printOverrides(w, got.Overrides, now) })
}

func printOverrides(w io.Writer, all []route.Override, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no order is in force: rules decide everywhere")
		return err
	}
	rows := make([][]string, len(all))
	for i := range all {
		rows[i] = []string{all[i].ID, namesOverride(&all[i], now)}
	}
	return columns(w, "", rows)
}
