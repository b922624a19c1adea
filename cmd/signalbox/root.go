package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
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

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	code, hint := exitWrong, "signalbox --help lists the commands, signalbox COMMAND --help their flags"
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
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newRun(stderr), newReplay(), newCheck(), newSchema(), newVersion())
	return root
}
