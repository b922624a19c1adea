package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"signalbox/rules/route"
)

// printWatches prints how the probes of a route stand, each step of the last look on a line.
func printWatches(w io.Writer, watches []route.Watch, now time.Time) error {
	if len(watches) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nprobes"); err != nil {
		return err
	}
	for i := range watches {
		if err := printWatch(w, &watches[i], now); err != nil {
			return err
		}
	}
	return nil
}

func printWatch(w io.Writer, p *route.Watch, now time.Time) error {
	head := p.Way
	if p.Vantage != "" {
		head += " from " + p.Vantage
	}
	if p.Last != nil {
		head += fmt.Sprintf(", %s ago", route.Duration(max(0, now.Sub(p.Last.Time)).Truncate(time.Second)))
	}
	switch {
	case p.Stopped != "":
		head += ", stopped: " + p.Stopped
	case p.Error != "":
		head += ", could not look: " + p.Error
	}
	if _, err := fmt.Fprintln(w, "  "+head); err != nil || p.Last == nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range p.Last.Steps {
		state := "ok"
		if !s.OK {
			state = "failed"
		}
		said := s.Said
		if s.Code != "" {
			said += " (" + s.Code + ")"
		}
		fmt.Fprintf(table, "    %s\t%s\t%s\t%s\n", s.Name, state, tookText(s.Took.D()), said)
	}
	if p.Last.Hint != "" {
		fmt.Fprintf(table, "    hint: %s\n", p.Last.Hint)
	}
	return table.Flush()
}

// tookText is how long a step took, in two or three digits.
func tookText(d time.Duration) string {
	unit := time.Microsecond
	switch {
	case d >= time.Second:
		unit = 100 * time.Millisecond
	case d >= time.Millisecond:
		unit = time.Millisecond
	}
	return route.Duration(d.Round(unit)).String()
}
