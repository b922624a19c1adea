package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/probes/settings"
	"signalbox/rules/policy"
)

// checkOptions are the flags of check.
type checkOptions struct {
	output   string
	simulate time.Duration
	limit    time.Duration
	seed     uint64
	assumes  policy.Assumptions
	probes   string // file of the settings of probes; "" is none
}

func newCheck() *cobra.Command {
	o := checkOptions{limit: 2 * time.Minute, assumes: policy.Assumptions{ProbeFailures: 0.01}}
	c := &cobra.Command{
		Use:   "check [DIR] [--probes.file FILE]",
		Short: "Say what is wrong with a policy and with the settings of probes, what might be, and how it will behave",
		Long: `Parses a policy, a folder of YAML files or one file, and prints every problem with its file, line and column,
and what was wanted; then advice on what is legal but hardly meant; then, of each rule, how fast it finds
faults and how often it would demote a route on which all is well. Exits with 1 where there are problems.

The times run from the fault to the demotion: in half of the cases where no guard waits, and in 19 of 20
with the guards waiting in full. They and the false demotions were measured with a simulated carrier, whose
messages do not depend on each other and whose baseline is known; real traffic is rougher. What was not
measured is not told. With --simulate, the policy's own rules and guards judge a simulated site of its
lanes and routes on which all is well, and every demotion is false.

With --probes.file the settings of probes are read too, beside a policy or alone. Nothing is looked at, and a
secret that is not here is advice: it may be where signalbox runs. Beside a policy the times of rules about
probes are those of the slowest probe of their kind, and advice names routes and kinds that nobody looks at.`,
		Example: `  signalbox check examples/quickstart/policy
  signalbox check --simulate 30d policy
  signalbox check --probes.file probes.yml policy`,
		Args:              takes("[DIR]"),
		ValidArgsFunction: completePolicy,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1:
				return check(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], &o)
			case o.probes == "":
				return wrong(seeHelp(cmd), errors.New("check: want DIR or --probes.file FILE, got neither"))
			}
			return check(cmd.OutOrStdout(), cmd.ErrOrStderr(), "", &o)
		},
	}
	addOutput(c, &o.output)
	addProbes(c, &o.probes)
	f := c.Flags()
	f.Var(&lastingFlag{"simulate", &o.simulate}, "simulate", "also simulate so much time on a healthy site, such as 30d")
	f.Var(&lastingFlag{"simulate-limit", &o.limit}, "simulate-limit", "stop the simulation when it has taken so long")
	f.Uint64Var(&o.seed, "seed", 1, "of the simulation: the same one gives the same answer")
	f.Var(&lastingFlag{"probe-interval", &o.assumes.ProbeInterval}, "probe-interval", "time from one probe to the next (default 10s, and 1m for receipt and handset)")
	f.Var(&lastingFlag{"probe-timeout", &o.assumes.ProbeTimeout}, "probe-timeout", "after which a probe has failed (default 5s, and 1m for receipt and handset)")
	f.Var(&shareFlag{"probe-failures", &o.assumes.ProbeFailures}, "probe-failures", "share of probes that fail though all is well")
	return c
}

// checked is what check found, as JSON.
type checked struct {
	Revision   string           `json:"revision,omitempty"`
	Problems   []policy.Problem `json:"problems"`
	Advice     []policy.Problem `json:"advice"`
	Outlook    []policy.Outlook `json:"outlook,omitempty"`
	Simulation *simulated       `json:"simulation,omitempty"`

	policy *policy.Policy     // nil where none was asked for, or it has problems
	probes *settings.Settings // likewise
}

// check checks a policy, "" for none, and the settings of probes where the options name them.
func check(w, talk io.Writer, path string, o *checkOptions) error {
	out := checked{Problems: []policy.Problem{}, Advice: []policy.Problem{}}
	if err := out.checkPolicy(path); err != nil {
		return err
	}
	if err := out.checkProbes(o.probes); err != nil {
		return err
	}
	out.compare(o)
	if p := out.policy; p != nil {
		out.Outlook = p.Outlooks(o.assumes)
		if o.simulate > 0 {
			out.Simulation = simulate(talk, p, o)
		}
	}
	if o.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(out); err != nil {
			return err
		}
	} else if err := out.print(w); err != nil {
		return err
	}
	if n := len(out.Problems); n > 0 {
		return &failure{exitNo, fmt.Errorf("%s: %s", strings.Join(named(path, o.probes), " and "), plural(n, "problem")), ""}
	}
	return nil
}

// named are those of some names that are not empty.
func named(names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// checkPolicy notes what is wrong with a policy, and what might be.
func (c *checked) checkPolicy(path string) error {
	if path == "" {
		return nil
	}
	p, err := loadPolicy(path)
	var problems policy.Problems
	switch {
	case errors.As(err, &problems):
		c.Problems = problems
	case err != nil:
		return err
	default:
		c.policy, c.Revision = p, p.Revision
		c.Advice = append(append(c.Advice, p.Advice()...), p.Outdated(time.Now())...)
	}
	return nil
}

func (c *checked) print(w io.Writer) error {
	for _, problem := range c.Problems {
		fmt.Fprintln(w, problem)
	}
	for _, advice := range c.Advice {
		fmt.Fprintf(w, "advice: %s\n", advice)
	}
	if s := c.probes; s != nil {
		defer func() { fmt.Fprintln(w, probesText(s)) }()
	}
	p := c.policy
	if p == nil {
		return nil
	}
	if err := printOutlooks(w, c.Outlook); err != nil {
		return err
	}
	if c.Simulation != nil {
		if err := c.Simulation.print(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "ok: %s, %s, %s, revision %s\n", plural(len(p.Routes), "route"), plural(len(p.Lanes), "lane"), plural(len(p.Rules), "rule"), p.Revision)
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
