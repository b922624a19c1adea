package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/route"
)

// routesQuery is what the command routes was asked.
type routesQuery struct {
	class, network, key string
	watch               bool
	output              string
}

func newRoutes() *cobra.Command {
	var q routesQuery
	c := &cobra.Command{
		Use:   "routes",
		Short: "Print the table in force, or the route that one message gets",
		Long: `Asks a running signalbox for its table: each lane, the routes in the order to try, their shares, and why a route
is out. --class and --network name a message; then the answer is the lane that serves it, and with --key the
route that this key gets and why. --watch goes on, and prints each table as it comes into force.`,
		Example: `  signalbox routes
  signalbox routes --class otp --network 234-15 --key m-1
  signalbox routes --watch`,
		Args: takes(),
	}
	f := c.Flags()
	f.StringVar(&q.class, "class", "", "the traffic class of the message, such as otp")
	f.StringVar(&q.network, "network", "", `its network: "234-15", "GB" or "*"`)
	f.StringVar(&q.key, "key", "", "its key, by which senders choose among shares")
	f.BoolVar(&q.watch, "watch", false, "go on, and print each new generation")
	addOutput(c, &q.output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		return q.run(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return c
}

// query narrows the table, or names the message.
func (q *routesQuery) query() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"class": q.class, "network": q.network, "key": q.key} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func (q *routesQuery) run(ctx context.Context, s *client, out, talk io.Writer) error {
	named := q.class != "" && q.network != ""
	switch {
	case q.key != "" && q.watch:
		return wrong("signalbox routes --watch prints whole tables", errors.New("--key: want it without --watch"))
	case q.key != "" && !named:
		return wrong("signalbox routes --class otp --network GB --key "+q.key, errors.New("--key: want --class and --network beside it"))
	case named && !q.watch:
		return q.lookup(ctx, s, out)
	}
	a, err := s.get(ctx, "/routes", q.query())
	if err != nil {
		return err
	}
	if err := q.print(s, a, out); err != nil || !q.watch {
		return err
	}
	return q.follow(ctx, s, a.etag, out, talk)
}

// How long a watch waits for the next table at once, and after the server has gone away.
const (
	watchWait  = 30 * time.Second
	watchPause = 2 * time.Second
)

// follow prints each table that comes into force, until ctx is done. A server that goes away is waited for.
func (q *routesQuery) follow(ctx context.Context, s *client, etag string, out, talk io.Writer) error {
	for away := false; ; {
		a, err := s.ask(ctx, "/routes", q.query(), etag, watchWait)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errAway):
			if !away {
				fmt.Fprintf(talk, "signalbox: %v; waiting for it\n", err)
			}
			away = true
			pause(ctx, watchPause)
			continue
		case err != nil:
			return err
		case away:
			fmt.Fprintf(talk, "signalbox: %s answers again\n", s.name())
			away = false
		}
		if a.body == nil || a.etag == etag {
			continue
		}
		etag = a.etag
		if q.output == "text" {
			fmt.Fprintln(out)
		}
		if err := q.print(s, a, out); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (q *routesQuery) print(s *client, a *answer, out io.Writer) error {
	if q.output == "json" {
		return printLine(s, a, out)
	}
	var t route.Table
	if err := a.read(s, &t); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "generation %s, published %s, policy %s; times are UTC\n\n", t.Generation, since(t.PublishedAt, a.at), t.Policy); err != nil {
		return err
	}
	return columns(out, "", tableRows(&t, a.at))
}

// printLine prints JSON as it came, on one line.
func printLine(s *client, a *answer, out io.Writer) error {
	var b bytes.Buffer
	if err := json.Compact(&b, a.body); err != nil {
		return a.read(s, &struct{}{})
	}
	b.WriteByte('\n')
	_, err := out.Write(b.Bytes())
	return err
}

// tableRows are the routes of all lanes, one lane after the other. Each row names its lane, so that a search for one finds
// all of it.
func tableRows(t *route.Table, now time.Time) [][]string {
	rows := [][]string{{"LANE", "ROUTE", "SHARE", "PHASE", "SINCE", "PRICE", "WHY"}}
	for i := range t.Lanes {
		l := &t.Lanes[i]
		if i > 0 {
			rows = append(rows, nil)
		}
		for j := range l.Routes {
			e := &l.Routes[j]
			at := time.Time{}
			if e.Since != nil {
				at = *e.Since
			}
			rows = append(rows, []string{l.Lane().String(), string(e.Route), share(e.Share), phase(e.Phase, e.Admin), since(at, now), orDash(e.Price), entryWhy(e)})
		}
	}
	return rows
}

func entryWhy(e *route.Entry) string {
	switch {
	case e.Reason != nil:
		return because(e.Reason)
	case e.Share == 0 && e.Phase == route.Active:
		return "standby"
	}
	return ""
}

// because is a reason with the decision to ask history about.
func because(b *route.Because) string {
	var parts []string
	for _, s := range []string{b.Rule, b.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	text := strings.Join(parts, ": ")
	if b.Decision != "" {
		text += " [" + b.Decision + "]"
	}
	return text
}

// lookup is what the server says about one message.
type lookup struct {
	Generation route.Generation `json:"generation"`
	Lane       route.Lane       `json:"lane"`
	Mode       route.Mode       `json:"mode"`
	RetryAfter route.Duration   `json:"retry_after"`
	Slot       *int             `json:"slot"`
	Route      route.ID         `json:"route"`
	Walk       []struct {
		Route  route.ID    `json:"route"`
		Share  int         `json:"share"`
		From   int         `json:"from"`
		To     int         `json:"to"`
		Phase  route.Phase `json:"phase"`
		Admin  route.Admin `json:"admin"`
		Chosen bool        `json:"chosen"`
		Reason string      `json:"reason"`
	} `json:"walk"`
	Order []route.ID `json:"order"`
	Why   string     `json:"why"`
}

func (q *routesQuery) lookup(ctx context.Context, s *client, out io.Writer) error {
	a, err := s.get(ctx, "/routes/lookup", q.query())
	if err != nil {
		return err
	}
	if q.output == "json" {
		return printLine(s, a, out)
	}
	var l lookup
	if err := a.read(s, &l); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s\n%s\ntry: %s\n\n", q.gets(&l), l.Why, l.tries()); err != nil {
		return err
	}
	return columns(out, "", l.rows())
}

// gets is the answer in a line.
func (q *routesQuery) gets(l *lookup) string {
	asked := q.class + "/" + q.network
	switch {
	case q.key == "":
		return fmt.Sprintf("%s is served by lane %s of generation %s", asked, l.Lane, l.Generation)
	case l.Route == "":
		return fmt.Sprintf("%s on %s gets no route in generation %s", q.key, asked, l.Generation)
	}
	return fmt.Sprintf("%s on %s gets %s in generation %s", q.key, asked, l.Route, l.Generation)
}

func (l *lookup) tries() string {
	if len(l.Order) == 0 {
		return "nothing, no route is active"
	}
	ids := make([]string, len(l.Order))
	for i, id := range l.Order {
		ids[i] = string(id)
	}
	text := strings.Join(ids, ", then ")
	if len(ids) > 1 && l.RetryAfter > 0 {
		text += fmt.Sprintf(", each after a refusal or %s without an answer", l.RetryAfter)
	}
	return text
}

func (l *lookup) rows() [][]string {
	rows := [][]string{{"", "ROUTE", "SHARE", "SLOTS", "PHASE", "WHY"}}
	for i := range l.Walk {
		w := &l.Walk[i]
		chosen, slots := "", "none"
		if w.Chosen {
			chosen = ">"
		}
		if w.Share > 0 {
			slots = fmt.Sprintf("%d to %d", w.From, w.To-1)
		}
		rows = append(rows, []string{chosen, string(w.Route), share(w.Share), slots, phase(w.Phase, w.Admin), w.Reason})
	}
	return rows
}
