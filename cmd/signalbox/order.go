package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller"
	"signalbox/rules/decide"
	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// actorEnv names who gives orders, where --actor does not.
const actorEnv = "SIGNALBOX_ACTOR"

// ordering are the flags that every order has, and where it goes.
type ordering struct {
	actor, reason string
	yes, dry      bool
	output        string
	connect       func() (*client, error)
}

// addOrdering adds the flags that every order has.
func addOrdering(c *cobra.Command, o *ordering) {
	f := c.Flags()
	f.StringVar(&o.reason, "reason", "", "why; it stands in the journal and in the table")
	f.StringVar(&o.actor, "actor", "", "who orders it, where no token says so; "+actorEnv+" says it too (default: your login)")
	f.BoolVar(&o.yes, "yes", false, "do not ask before it is done")
	f.BoolVar(&o.dry, "dry-run", false, "show what it would change, and do nothing")
	addOutput(c, &o.output)
	o.connect = addServer(c)
}

// who gives the order.
func (o *ordering) who() string {
	if o.actor != "" {
		return o.actor
	}
	if name := os.Getenv(actorEnv); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// request is an order as it is sent: the same request shows what it would change, with dry_run.
type request struct {
	method, path string
	query        url.Values
	body         any
	asks         string // what is asked before it is done
	passes       string // the flag that passes over a guard that refuses it
}

// give shows what an order would change, asks, and gives it on the table that was shown.
func (o *ordering) give(cmd *cobra.Command, s *client, r request) error {
	for {
		shown, err := s.order(cmd.Context(), r, true, route.Generation{})
		if err != nil {
			return hinted(err, r.passes)
		}
		if o.dry {
			return o.print(cmd.OutOrStdout(), shown, r.asks)
		}
		if !o.yes {
			if o.output == "text" {
				if err := printOrdered(cmd.OutOrStdout(), shown, r.asks); err != nil {
					return err
				}
			}
			if err := confirm(cmd); err != nil {
				return err
			}
		}
		done, err := s.order(cmd.Context(), r, false, shown.Generation)
		if moved(err) && !o.yes {
			fmt.Fprintln(cmd.ErrOrStderr(), "signalbox: the table has changed while you looked; this is what the order would do now")
			continue
		}
		if err != nil {
			return hinted(err, r.passes)
		}
		if !o.yes && o.output == "text" {
			return printDone(cmd.OutOrStdout(), done)
		}
		return o.print(cmd.OutOrStdout(), done, r.asks)
	}
}

func (o *ordering) print(w io.Writer, done *controller.Ordered, asks string) error {
	if o.output == "json" {
		return json.NewEncoder(w).Encode(done)
	}
	if err := printOrdered(w, done, asks); err != nil || !done.Done {
		return err
	}
	return printDone(w, done)
}

// printOrdered prints what an order changes.
func printOrdered(w io.Writer, o *controller.Ordered, asks string) error {
	p := &printer{w: w}
	p.line("%s", asks)
	for i := range o.Lanes {
		if p.err == nil {
			p.err = printPlannedLane(w, &o.Lanes[i])
		}
	}
	if len(o.Lanes) == 0 {
		p.line("%s", "senders see the same table")
	}
	for _, x := range o.Warnings {
		p.line("warning: %s in %s: %s", x.Guard, x.Lane, x.Why)
	}
	return p.err
}

func printDone(w io.Writer, o *controller.Ordered) error {
	p := &printer{w: w}
	for i := range o.Decisions {
		d := &o.Decisions[i]
		p.line("done: %s, %s; the table is %s", d.ID, d.Reason, o.Generation)
	}
	return p.err
}

// confirm asks whoever is there. Where nobody answers, it wants --yes.
func confirm(cmd *cobra.Command) error {
	fmt.Fprint(cmd.ErrOrStderr(), "do it? [y/N] ")
	said, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	word := strings.ToLower(strings.TrimSpace(said))
	if err != nil && word == "" {
		fmt.Fprintln(cmd.ErrOrStderr())
		return wrong("--yes does it without asking; --dry-run only shows it", errors.New("nobody is there to say yes; nothing was done"))
	}
	if word != "y" && word != "yes" {
		return no("", errors.New("nothing was done"))
	}
	return nil
}

// order sends an order, on the table of a generation where it is not zero.
func (c *client) order(ctx context.Context, r request, dry bool, saw route.Generation) (*controller.Ordered, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	to := c.base.JoinPath(r.path)
	query := url.Values{}
	for k, v := range r.query {
		query[k] = v
	}
	if dry {
		query.Set("dry_run", "true")
	}
	to.RawQuery = query.Encode()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, wrong("", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, to.String(), body)
	if err != nil {
		return nil, wrong("", err)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if saw != (route.Generation{}) {
		req.Header.Set("If-Match", `"`+saw.String()+`"`)
	}
	a, err := c.do(req, askWithin)
	if err != nil {
		return nil, err
	}
	var done controller.Ordered
	return &done, a.read(c, &done)
}

// errMoved marks an order that was given on a table that is no longer in force, and errGuard one that a guard refused.
var (
	errMoved = errors.New("the table has changed")
	errGuard = errors.New("refused")
)

func moved(err error) bool { return errors.Is(err, errMoved) }

// hinted adds the flag that passes over a guard to the refusal of an order.
func hinted(err error, passes string) error {
	var f *failure
	if passes != "" && errors.Is(err, errGuard) && errors.As(err, &f) && f.hint != "" {
		f.hint = passes
	}
	return err
}

// lasting is when an order ends.
type lasting struct {
	lasts time.Duration
	until string
	noEnd bool
}

func (l *lasting) add(c *cobra.Command) {
	f := c.Flags()
	f.Var(&lastingFlag{"for", &l.lasts}, "for", "for how long")
	f.StringVar(&l.until, "until", "", "until when, such as 2026-11-23T12:00:00Z")
	f.BoolVar(&l.noEnd, "no-end", false, "until somebody ends it")
}

// put writes the end into the body of an order, and returns it in words.
func (l *lasting) put(body map[string]any) (words string, err error) {
	ways := 0
	if l.lasts > 0 {
		ways++
		body["for"], words = route.Duration(l.lasts).String(), "for "+route.Duration(l.lasts).String()
	}
	if l.until != "" {
		ways++
		at, err := time.Parse(time.RFC3339, l.until)
		if err != nil {
			return "", wrong("", fmt.Errorf("--until: want a moment such as 2026-11-23T12:00:00Z, got %q", l.until))
		}
		body["until"], words = at, "until "+moment(at)+" UTC"
	}
	if l.noEnd {
		ways++
		body["no_end"], words = true, "until somebody ends it"
	}
	if ways != 1 {
		return "", wrong("--for 2h ends it by itself", errors.New("want one of --for, --until and --no-end"))
	}
	return words, nil
}

// where is which lanes an order is about.
type where struct{ class, network string }

func (w *where) add(c *cobra.Command) {
	c.Flags().StringVar(&w.class, "class", "*", `in lanes of this class; "*" is every class`)
	c.Flags().StringVar(&w.network, "network", "*", `in lanes within this network; "*" is every network`)
}

// words are the lanes in words.
func (w *where) words() string {
	switch {
	case w.class == "*" && w.network == "*":
		return "in every lane"
	case w.network == "*":
		return "in every lane of " + w.class
	case w.class == "*":
		return "in every lane within " + w.network
	}
	return "in " + w.class + "/" + w.network
}

// needsReason refuses an order without a reason before anything is asked.
func (o *ordering) needsReason() error {
	if strings.TrimSpace(o.reason) == "" {
		return wrong("", errors.New("--reason: want why, in a few words; it stands in the journal"))
	}
	return nil
}

// freezes are what a freeze may hold.
var freezes = []policy.Freeze{policy.FreezePromotions, policy.FreezeDemotions, policy.FreezeChanges}

// namesOverride describes an override that is in force.
func namesOverride(o *route.Override, now time.Time) string {
	about := string(o.Route)
	if o.Kind == route.Freeze {
		about = o.Changes
	}
	until := "until somebody ends it"
	if !o.Until.IsZero() {
		until = "for " + span(o.Until.Sub(now)) + " more"
	}
	return fmt.Sprintf("%s %s %s, %s, by %s: %s", o.Kind, about, (&where{string(o.Class), string(o.Network)}).words(), until, o.Actor, o.Reason)
}

// waitingProposal is a proposal as the server tells it.
type waitingProposal struct {
	decide.Waiting
	Decision *route.Decision     `json:"decision"`
	Now      *controller.Ordered `json:"now"`
	Refused  *struct {
		Guard string `json:"guard"`
		Why   string `json:"why"`
		Frees string `json:"frees"`
	} `json:"refused"`
}
