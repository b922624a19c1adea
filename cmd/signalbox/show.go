package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"signalbox/rules/route"
)

// columns prints rows with their cells aligned. The last cell of a row takes what room it needs; a row without cells is
// an empty line.
func columns(w io.Writer, indent string, rows [][]string) error {
	widths := widthsOf(rows)
	var b strings.Builder
	for _, row := range rows {
		line := indent
		for i, cell := range row {
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func widthsOf(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i := range len(row) - 1 {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// moment is a time for people, in UTC; "-" where there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// since is a moment and how long ago it was: without its day while that is less than one.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	ago := max(0, now.Sub(t)).Truncate(time.Second)
	if ago < 24*time.Hour {
		return t.UTC().Format("15:04:05") + " (" + span(ago) + " ago)"
	}
	return moment(t) + " (" + span(ago) + " ago)"
}

// span is a duration as coarse as people say it: 3d4h, 1h30m, 4m12s, 250ms.
func span(d time.Duration) string {
	unit := time.Millisecond
	switch {
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	case d >= time.Second:
		unit = time.Second
	}
	return route.Duration(d.Truncate(unit)).String()
}

// share is a share of a lane as a percentage, with the digits that it needs.
func share(tenThousandths int) string {
	return strconv.FormatFloat(float64(tenThousandths)/(route.FullShare/100), 'f', -1, 64) + "%"
}

// percent is a ratio as a percentage: whole from ten on, with a decimal below and where it is not quite all.
func percent(ratio float64) string {
	digits := 0
	if p := 100 * ratio; p > 0 && p < 9.95 || p > 99 && p < 100 {
		digits = 1
	}
	return strconv.FormatFloat(100*ratio, 'f', digits, 64) + "%"
}

// number has as many digits as people read.
func number(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// value is what a part of a condition was, or was compared with.
func value(v any) string {
	switch x := v.(type) {
	case nil:
		return "unknown"
	case float64:
		return number(x)
	case string:
		return x
	}
	return fmt.Sprint(v)
}

// orDash is what to show where there may be nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// phase is where a route stands, with an operator's word on it.
func phase(p route.Phase, a route.Admin) string {
	text := string(p)
	if p == "" {
		text = string(route.Active)
	}
	if a != "" && a != route.AdminAuto {
		text += ", " + string(a)
	}
	return text
}

// changed is what a decision did, or what it did not do and why.
func changed(d *route.Decision) string {
	switch {
	case d.Reason == route.OverrideSet:
		return "an order"
	case d.Reason == route.OverrideEnded:
		return "an order's end"
	case d.Enforced && d.From == d.To:
		return "still " + string(d.To)
	case d.Enforced:
		return string(d.From) + " → " + string(d.To)
	case d.From == d.To:
		return "stays " + string(d.From) + ": " + string(d.Reason)
	}
	return "stays " + string(d.From) + ", not " + string(d.To) + ": " + string(d.Reason)
}

// mark sets apart what was done from what was not.
func mark(d *route.Decision) string {
	if d.Enforced {
		return "*"
	}
	return "-"
}

// decisionCells is one decision in one row for people.
func decisionCells(d *route.Decision) []string {
	why := d.Text
	if d.Rule != "" {
		why = d.Rule + ": " + d.Text
	}
	return []string{mark(d), moment(d.Time), d.ID, d.Lane.String(), string(d.Route), changed(d), why}
}

// decisionLine is one decision in one line for people, in columns that fit most of them.
func decisionLine(d *route.Decision) string {
	c := decisionCells(d)
	return fmt.Sprintf("%s %s  %-8s  %-8s  %-10s  %-42s  %s", c[0], c[1], c[2], c[3], c[4], c[5], c[6])
}

func unknownMark(truth string) string {
	if truth == truthUnknown {
		return "?"
	}
	return " "
}

// inputRows are the parts of a condition: what each was, what it was compared with, and what came of it.
func inputRows(inputs []route.Input) [][]string {
	rows := make([][]string, len(inputs))
	for i := range inputs {
		in := &inputs[i]
		truth := truthOf(in)
		rows[i] = []string{unknownMark(truth), in.Signal, value(in.Value), in.Operator, value(in.Threshold), truth, restsOn(in)}
	}
	return rows
}

func restsOn(in *route.Input) string {
	if in.Value == nil {
		return ""
	}
	var parts []string
	if in.Messages > 0 {
		parts = append(parts, number(in.Messages)+" messages")
	}
	if in.Age > 0 {
		parts = append(parts, span(in.Age.D())+" old")
	}
	return strings.Join(parts, ", ")
}

// The truths of a part.
const (
	truthTrue    = "true"
	truthFalse   = "false"
	truthUnknown = "unknown"
)

// truthOf compares as the condition did; it is "" for comparisons of other kinds, such as "matches".
func truthOf(in *route.Input) string {
	if in.Value == nil {
		return truthUnknown
	}
	c, ordered := compare(in.Value, in.Threshold)
	if !ordered {
		return ""
	}
	holds, known := map[string]bool{"==": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[in.Operator]
	switch {
	case !known:
		return ""
	case holds:
		return truthTrue
	}
	return truthFalse
}

// compare orders two values of a condition; ordered is false where they cannot be.
func compare(a, b any) (c int, ordered bool) {
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			return order(x, y), x == x && y == y
		}
	case bool:
		if y, ok := b.(bool); ok {
			return order(truthRank(x), truthRank(y)), true
		}
	case string:
		if y, ok := b.(string); ok {
			return compareText(x, y), true
		}
	}
	return 0, false
}

// compareText compares durations and times as what they are.
func compareText(a, b string) int {
	if x, err := route.ParseDuration(a); err == nil {
		if y, err := route.ParseDuration(b); err == nil {
			return order(float64(x), float64(y))
		}
	}
	if x, err := time.Parse(time.RFC3339Nano, a); err == nil {
		if y, err := time.Parse(time.RFC3339Nano, b); err == nil {
			return x.Compare(y)
		}
	}
	return strings.Compare(a, b)
}

func order(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func truthRank(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func guardRows(all []route.GuardResult) [][]string {
	rows := make([][]string, len(all))
	for i, g := range all {
		why := g.Why
		if g.Frees != "" {
			why += "; what would free it: " + g.Frees
		}
		rows[i] = []string{g.Result, g.Guard, why}
	}
	return rows
}

func sortedIDs[V any](m map[route.ID]V) []route.ID {
	ids := make([]route.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare)
	return ids
}
