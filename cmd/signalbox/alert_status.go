package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller/alert"
)

func newAlertStatus() *cobra.Command {
	var output string
	var last int
	c := &cobra.Command{
		Use:   "status",
		Short: "Print who is told, what waits, what holds now, and the last deliveries",
		Long: `Asks a running signalbox how its receivers stand: how many events wait for each webhook, what it answered
last and when it is tried again; which alerts hold now; and the last deliveries, newest first.`,
		Example: "  signalbox alert status --last 50",
		Args:    takes(),
	}
	server := addServer(c)
	addOutput(c, &output)
	c.Flags().IntVar(&last, "last", 10, "how many deliveries to print, of the 200 that are remembered")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := server()
		if err != nil {
			return err
		}
		a, err := client.get(cmd.Context(), "/api/v1/alerts", nil)
		if err != nil {
			return err
		}
		if output == "json" {
			_, err := cmd.OutOrStdout().Write(a.body)
			return err
		}
		var r alert.Report
		if err := a.read(client, &r); err != nil {
			return err
		}
		return printReport(cmd.OutOrStdout(), &r, last, a.at)
	}
	return c
}

// printReport prints receivers, what holds, and the last deliveries.
func printReport(w io.Writer, r *alert.Report, last int, now time.Time) error {
	if len(r.Receivers) == 0 {
		_, err := fmt.Fprintln(w, "nobody is told: signalbox runs without --alerts.file, or its settings name no receiver")
		return err
	}
	rows := [][]string{{"RECEIVER", "WAITING", "OLDEST", "LAST TRY", "ANSWER"}}
	for _, x := range r.Receivers {
		rows = append(rows, []string{x.Name, waitingOf(&x), since(x.Oldest, now), since(x.LastTry, now), answerOf(&x, now)})
	}
	rows = append(rows, []string{}, []string{"SEVERITY", "SINCE", "HOLDS NOW"})
	for _, x := range r.Alerts {
		rows = append(rows, []string{x.Labels["severity"], since(x.Since, now), x.Summary})
	}
	rows = append(rows, []string{}, []string{"DELIVERY", "RECEIVER", "EVENT", "RESULT"})
	for _, x := range r.Deliveries[:min(max(last, 0), len(r.Deliveries))] {
		rows = append(rows, []string{since(x.Time, now), x.Receiver, eventOf(&x), x.Result + ": " + x.Answer})
	}
	return eachTable(w, rows)
}

// eachTable prints rows in columns that are as wide as each part between empty rows needs.
func eachTable(w io.Writer, rows [][]string) error {
	from := 0
	for i := range rows {
		if len(rows[i]) == 0 || i == len(rows)-1 {
			if err := columns(w, "", rows[from:i+1]); err != nil {
				return err
			}
			from = i + 1
		}
	}
	return nil
}

func waitingOf(r *alert.Receiver) string {
	if r.Kind != "webhook" {
		return "-"
	}
	return strconv.Itoa(r.Waiting)
}

// answerOf is the last answer, and what comes of it.
func answerOf(r *alert.Receiver, now time.Time) string {
	text := r.LastAnswer
	switch {
	case text == "":
		text = "never tried yet"
	case r.Disabled:
		text += "; disabled until a reload"
	case r.Failures > 0 && !r.NextTry.IsZero():
		text += fmt.Sprintf("; %s in a row, next in %s", plural(r.Failures, "failure"), span(max(0, r.NextTry.Sub(now)).Truncate(time.Second)))
	case r.Failures > 0:
		text += "; " + plural(r.Failures, "failure") + " in a row"
	}
	if r.GivenUp > 0 {
		text += "; " + plural(r.GivenUp, "event") + " given up"
	}
	return text
}

func eventOf(x *alert.Attempt) string {
	if x.Event == "" {
		return "all that holds"
	}
	return string(x.Type) + " " + x.Event
}
