package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"signalbox/rules/policy"
)

func newCheck() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "check DIR",
		Short: "Say what is wrong with a policy, and what might be",
		Long: `Parses a policy, a folder of YAML files or one file, and prints every problem with its file, line and column,
and what was wanted; then advice on what is legal but hardly meant. Exits with 1 where there are problems.`,
		Example:           "  signalbox check examples/quickstart/policy",
		Args:              takes("DIR"),
		ValidArgsFunction: completePolicy,
		RunE: func(cmd *cobra.Command, args []string) error {
			return check(cmd.OutOrStdout(), args[0], output)
		},
	}
	addOutput(c, &output)
	return c
}

// checked is what check found, as JSON.
type checked struct {
	Revision string           `json:"revision,omitempty"`
	Problems []policy.Problem `json:"problems"`
	Advice   []policy.Problem `json:"advice"`
}

func check(w io.Writer, path, output string) error {
	out := checked{Problems: []policy.Problem{}, Advice: []policy.Problem{}}
	p, err := loadPolicy(path)
	var problems policy.Problems
	switch {
	case errors.As(err, &problems):
		out.Problems = problems
	case err != nil:
		return err
	default:
		out.Revision, out.Advice = p.Revision, append(out.Advice, p.Advice()...)
	}
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(out); err != nil {
			return err
		}
	} else {
		out.print(w, p)
	}
	if n := len(out.Problems); n > 0 {
		return &failure{exitNo, fmt.Errorf("%s: %s", path, plural(n, "problem")), ""}
	}
	return nil
}

func (c *checked) print(w io.Writer, p *policy.Policy) {
	for _, problem := range c.Problems {
		fmt.Fprintln(w, problem)
	}
	for _, advice := range c.Advice {
		fmt.Fprintf(w, "advice: %s\n", advice)
	}
	if p != nil {
		fmt.Fprintf(w, "ok: %s, %s, %s, revision %s\n", plural(len(p.Routes), "route"), plural(len(p.Lanes), "lane"), plural(len(p.Rules), "rule"), p.Revision)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
