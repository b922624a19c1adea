package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// The exit codes.
const (
	exitDone  = 0
	exitNo    = 1 // the answer is no
	exitWrong = 2 // the question was wrong
)

// failure is an error with the exit code it ends in, and what to try next.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// wrong is a question that cannot be answered as it was put.
func wrong(hint string, err error) error { return &failure{exitWrong, err, hint} }

// no is a question whose answer is no.
func no(hint string, err error) error { return &failure{exitNo, err, hint} }

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code, hint := exitWrong, seeHelp(cmd)
	var f *failure
	if errors.As(err, &f) {
		code, hint = f.code, f.hint
	}
	fmt.Fprintf(stderr, "signalbox: %v\n", err)
	if hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	return code
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "signalbox",
		Short: "Route health and controlled failover for SMS",
		Long: `signalbox watches the health of SMS routes and publishes which of them senders are to use.
Policies in YAML decide when a route is demoted or promoted; every decision says why it was made, and
every one that was not made says what held it.`,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(stderr), newReplay(), newTest(), newPlan(), newCheck(), newSchema(), newVersion())
	root.AddCommand(newRoutes(), newSenders(), newExplain(), newHistory(), newMessage(), newPrices(), newAlert(), newDemo(), newToken())
	root.AddCommand(newOverrides(), newPin(), newUnpin(), newDrain(), newUndrain(), newFreeze(), newUnfreeze())
	root.AddCommand(newProposals(), newApprove(), newReject(), newKannel())
	return root
}

// seeHelp is the hint of last resort.
func seeHelp(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return "signalbox --help lists the commands"
	}
	return cmd.CommandPath() + " --help says what it takes"
}

// knownCommand refuses what is no command, and knows the one that was probably meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return wrong(seeHelp(cmd), fmt.Errorf("unknown command %q%s", args[0], meant(args[0], names)))
}

// meant suggests the candidate that a word was probably meant to be.
func meant(word string, candidates []string) string {
	if near := policy.Nearest(word, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// takes refuses arguments that are not as many as the names that stand for them. A name in brackets may be left out, and
// one that ends with dots may be repeated.
func takes(names ...string) cobra.PositionalArgs {
	least, most := 0, len(names)
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			least++
		}
		if strings.HasSuffix(name, "...") {
			most = 1 << 20
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return wrong(seeHelp(cmd), fmt.Errorf("%s: want %s, got %s", cmd.Name(), orNothing(names), orNothing(args)))
	}
}

func orNothing(words []string) string {
	if len(words) == 0 {
		return "no argument"
	}
	return strings.Join(words, " ")
}

// choice is a flag that takes one of a few words.
type choice[T ~string] struct {
	name string
	to   *T
	of   []T
}

// addChoice adds a flag that takes one of a few words.
func addChoice[T ~string](c *cobra.Command, to *T, name, usage string, otherwise T, of ...T) {
	*to = otherwise
	c.Flags().Var(&choice[T]{name, to, of}, name, usage)
	words := make([]string, len(of))
	for i, w := range of {
		words[i] = string(w)
	}
	_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// addOutput adds the flag that every reading command has.
func addOutput(c *cobra.Command, to *string) {
	addChoice(c, to, "output", "how to print the answer: text for people, json for programs", "text", "text", "json")
}

// addMode adds the flag that bounds what rules may do.
func addMode(c *cobra.Command, to *route.Mode) {
	addChoice(c, to, "mode", "the most that may be done with a verdict: observe, propose or act", route.Act, route.Observe, route.Propose, route.Act)
}

// String is the word in force.
func (c *choice[T]) String() string { return string(*c.to) }

// Type is what help shows as the value.
func (c *choice[T]) Type() string { return "WORD" }

// Set takes one of the words.
func (c *choice[T]) Set(s string) error {
	if slices.Contains(c.of, T(s)) {
		*c.to = T(s)
		return nil
	}
	return wrong("", fmt.Errorf("--%s: want %s, got %q", c.name, either(c.of), s))
}

// either lists words in the form "observe, propose or act".
func either[T ~string](words []T) string {
	text := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			text += " or "
		default:
			text += ", "
		}
		text += string(w)
	}
	return text
}

// flagError says what a flag has to say of itself, without the frame that the parser puts around it.
func flagError(cmd *cobra.Command, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return wrong(seeHelp(cmd), err)
}

// completePolicy completes the place of a policy: folders, and the files that it may be.
func completePolicy(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yml", "yaml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeEvents completes files of observations.
func completeEvents(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"ndjson", "gz", "zst"}, cobra.ShellCompDirectiveFilterFileExt
}

// addPolicy adds the flag that names the policy.
func addPolicy(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "policy", "", "the policy: a folder of YAML files, or one file")
	_ = c.RegisterFlagCompletionFunc("policy", completePolicy) // the flag is there
}
