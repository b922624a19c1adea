package main

import (
	"fmt"
	"io"
	"strings"

	"signalbox/rules/policy"
	"signalbox/rules/route"
)

// printOutlooks prints how fast and how often, as two tables.
func printOutlooks(w io.Writer, all []policy.Outlook) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(w, "how fast: from the fault to the demotion, in half of the cases..in 19 of 20, with guards waiting in full")
	rows := [][]string{{"rule", "lanes", "fault"}}
	for _, r := range policy.Rates {
		rows[0] = append(rows[0], policy.RateText(r))
	}
	for i := range all {
		rows = append(rows, delayRows(&all[i])...)
	}
	if err := columns(w, "  ", rows); err != nil {
		return err
	}
	for _, line := range causes(all) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintln(w, "how often: false demotions a month of a healthy route that carries 1 message/s, before guards")
	rows = [][]string{{"rule", "lanes", "a route", "a lane", "from"}}
	for i := range all {
		rows = append(rows, oftenRow(&all[i]))
	}
	return columns(w, "  ", rows)
}

// delayRows are the rows of a rule, one for each fault.
func delayRows(o *policy.Outlook) [][]string {
	var rows [][]string
	fault := ""
	for i := range o.Found {
		f := &o.Found[i]
		if f.Fault != fault {
			row := []string{"", "", f.Fault}
			if fault == "" {
				row = []string{o.Rule, lanesText(o.Lanes), f.Fault}
			}
			fault, rows = f.Fault, append(rows, row)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], f.String())
	}
	return rows
}

// causes say what cannot be told, and what the mode or a guard makes of it, each once.
func causes(all []policy.Outlook) []string {
	var out []string
	for i := range all {
		o := &all[i]
		if o.Note != "" {
			out = appendOnce(out, fmt.Sprintf("%s on %s: %s", o.Rule, lanesText(o.Lanes), o.Note))
		}
		for k := range o.Found {
			if f := &o.Found[k]; !f.Told && !f.Never {
				out = appendOnce(out, fmt.Sprintf("%s: not told: %s", o.Rule, f.Cause))
			}
		}
	}
	return out
}

func appendOnce(lines []string, line string) []string {
	for _, l := range lines {
		if l == line {
			return lines
		}
	}
	return append(lines, line)
}

func oftenRow(o *policy.Outlook) []string {
	f := &o.False
	if !f.Told {
		return []string{o.Rule, lanesText(o.Lanes), "not told", "not told", f.Cause}
	}
	lane := times(f.PerLane, f.Bound)
	if f.PerNetwork {
		lane += " × networks"
	}
	return []string{o.Rule, lanesText(o.Lanes), times(f.PerRoute, f.Bound), lane, f.From}
}

// times is a number of times a month.
func times(x float64, bound string) string {
	text := fmt.Sprintf("%.0f", x)
	switch {
	case x == 0:
		text = "0"
	case x < 0.001:
		text = fmt.Sprintf("%.0e", x)
	case x < 10:
		text = fmt.Sprintf("%.2g", x)
	}
	if bound != "" {
		return bound + " " + text
	}
	return text
}

// lanesText names the first few lanes of several.
func lanesText(lanes []route.Lane) string {
	const most = 2
	var names []string
	for i, l := range lanes {
		if i == most {
			return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), len(lanes)-most)
		}
		names = append(names, l.String())
	}
	return strings.Join(names, ", ")
}
