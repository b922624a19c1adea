package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller/alert"
)

func newAlert() *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "Say who is told, what holds now, and try it",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newAlertStatus(), newAlertCheck(), newAlertTest())
	return c
}

func newAlertCheck() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with the settings of alerts, or who would be told",
		Long: `Reads the settings of alerts and all that they name, such as files of secrets, as the daemon does with
--alerts.file, and prints every problem with its file, line and column, or who would be told what. It reaches
no network: signalbox alert test does.`,
		Example: "  signalbox alert check alerts.yml",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			setup, err := loadAlerts(args[0])
			if err != nil {
				return err
			}
			return printReceivers(cmd.OutOrStdout(), output, setup.List())
		},
		ValidArgsFunction: completePolicy,
	}
	addOutput(c, &output)
	return c
}

// loadAlerts reads settings of alerts that a person asks about; their problems are a no.
func loadAlerts(file string) (*alert.Setup, error) {
	setup, err := readAlerts(file)
	var problems alert.Problems
	switch {
	case errors.As(err, &problems):
		return nil, no("examples/alerts/alerts.yml is a whole file, with comments", err)
	case err != nil:
		return nil, wrong("the settings of alerts are one YAML file", err)
	}
	return setup, nil
}

func printReceivers(w io.Writer, output string, all []alert.Listed) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(all)
	}
	rows := [][]string{}
	for _, r := range all {
		what := "everything that holds, each minute"
		if r.Kind == "webhook" {
			what = r.Format + ", " + signedWith(r.Secrets) + ", all events"
			if r.Events != nil {
				what = r.Format + ", " + signedWith(r.Secrets) + ", " + strings.Join(r.Events, " ")
			}
		}
		rows = append(rows, []string{r.Name, what})
	}
	return columns(w, "", rows)
}

func signedWith(secrets int) string {
	if secrets == 0 {
		return "not signed"
	}
	return "signed by " + plural(secrets, "secret")
}

func newAlertTest() *cobra.Command {
	var file, output string
	c := &cobra.Command{
		Use:   "test [NAME]",
		Short: "Send a test to all receivers or to one, and print what they answer",
		Long: `Sends a real test event to each webhook, signed as all events are, and to each Alertmanager an alert named
SignalboxTest that resolves by itself after a minute; with NAME only to the receiver of that name. A running
signalbox sends it, and then also what waits for a webhook that answers well; with --alerts.file it is sent
from here. Exits with 1 where a receiver did not take it.`,
		Example: `  signalbox alert test pager
  signalbox alert test --alerts.file alerts.yml`,
		Args: takes("[NAME]"),
	}
	server := addServer(c)
	addAlerts(c, &file)
	addOutput(c, &output)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		tried, err := tryAlerts(cmd.Context(), file, name, server)
		if err != nil {
			return err
		}
		return printTried(cmd.OutOrStdout(), output, tried)
	}
	return c
}

// tryWithin is how long a test by a server may take: each receiver has 20 s, all at once.
const tryWithin = 30 * time.Second

// tryAlerts sends a test, from here where a file is named.
func tryAlerts(ctx context.Context, file, name string, server func() (*client, error)) ([]alert.Attempt, error) {
	if file != "" {
		setup, err := loadAlerts(file)
		if err != nil {
			return nil, err
		}
		tried, err := setup.Try(ctx, name, nil)
		if err != nil {
			return nil, wrong("signalbox alert check "+file+" lists the receivers", err)
		}
		return tried, nil
	}
	c, err := server()
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if name != "" {
		query.Set("receiver", name)
	}
	a, err := c.post(ctx, "/api/v1/alerts/test", query, struct{}{}, tryWithin)
	if err != nil {
		return nil, err
	}
	var told struct {
		Tried []alert.Attempt `json:"tried"`
	}
	return told.Tried, a.read(c, &told)
}

// printTried prints what receivers answered; that one did not take the test is a no.
func printTried(w io.Writer, output string, tried []alert.Attempt) error {
	bad := 0
	rows := [][]string{}
	for _, t := range tried {
		if t.Result != "delivered" {
			bad++
		}
		text := t.Answer
		if t.Said != "" {
			text += ": " + t.Said
		}
		rows = append(rows, []string{t.Receiver, t.Result, text})
	}
	var err error
	if output == "json" {
		err = json.NewEncoder(w).Encode(tried)
	} else {
		err = columns(w, "", rows)
	}
	if err == nil && bad > 0 {
		return no("", fmt.Errorf("%d of %s did not take the test", bad, plural(len(tried), "receiver")))
	}
	return err
}
