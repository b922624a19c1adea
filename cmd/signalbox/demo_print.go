package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// demoEvent is one thing that happened, for people and for programs.
type demoEvent struct {
	Elapsed float64   `json:"elapsed"` // seconds since the start of the demo
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // what kind: start, traffic, evidence, guard, demoted, …
	Text    string    `json:"text"`
	More    []string  `json:"more,omitempty"` // what else there is to say, a line each
	Data    any       `json:"data,omitempty"` // the numbers behind it
}

// demoPrinter prints events, as text for people or as JSON, one object a line.
type demoPrinter struct {
	w      io.Writer
	json   bool
	colour bool
	began  time.Time
}

func newDemoPrinter(w io.Writer, json bool) *demoPrinter {
	return &demoPrinter{w: w, json: json, colour: !json && isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", began: time.Now()}
}

// isTerminal reports whether w is a character device. The null device is one too, where nobody minds.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// elapsed is how long the demo has run.
func (p *demoPrinter) elapsed() time.Duration { return time.Since(p.began) }

// print prints an event that happens now.
func (p *demoPrinter) print(e demoEvent) error {
	now := time.Now()
	e.Time, e.Elapsed = now.UTC(), math.Round(now.Sub(p.began).Seconds()*1000)/1000
	if p.json {
		enc := json.NewEncoder(p.w)
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	}
	_, err := io.WriteString(p.w, p.text(&e))
	return err
}

// The columns of the text: seconds, what kind of event, and what there is to say.
const (
	demoWidth  = 100
	demoIndent = 17
)

var demoColours = map[string]string{
	"incident": "\x1b[1;31m", "demoted": "\x1b[1;31m", "stopped": "\x1b[1;31m",
	"evidence": "\x1b[33m", "guard": "\x1b[33m", "unknown": "\x1b[33m",
	"healed": "\x1b[1;32m", "recovery": "\x1b[32m", "ramp": "\x1b[1;32m", "promoted": "\x1b[1;32m",
	"table": "\x1b[1;36m", "summary": "\x1b[1m", "try": "\x1b[1m",
}

// text is the event in lines of at most demoWidth columns.
func (p *demoPrinter) text(e *demoEvent) string {
	var b strings.Builder
	head := fmt.Sprintf("%4ds  %-*s", int(e.Elapsed), demoIndent-8, e.Event)
	if c := demoColours[e.Event]; p.colour && c != "" {
		head = fmt.Sprintf("%4ds  %s%-*s\x1b[0m", int(e.Elapsed), c, demoIndent-8, e.Event)
	}
	for i, line := range append([]string{e.Text}, e.More...) {
		for j, part := range demoWrap(line, demoWidth-demoIndent) {
			if i+j > 0 {
				head = strings.Repeat(" ", demoIndent-1)
			}
			b.WriteString(strings.TrimRight(head+" "+part, " ") + "\n")
		}
	}
	return b.String()
}

// demoWrap breaks a line between words so that no part is wider than width, unless a single word is. Parts after the
// first are indented as deep as the line, and deeper where it is a row of two columns.
func demoWrap(line string, width int) []string {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	hang := indent
	if row := strings.LastIndex(line[indent:], "  "); row >= 0 {
		hang += row + 2
	}
	rest := line
	var parts []string
	for utf8.RuneCountInString(rest) > width {
		at := demoBreak(rest, width)
		if at < 0 {
			break
		}
		parts = append(parts, rest[:at])
		rest = strings.Repeat(" ", hang) + strings.TrimLeft(rest[at:], " ")
	}
	return append(parts, rest)
}

// demoBreak is where a line is to be broken: its last space within width, or the first one after; -1 where breaking
// would not shorten it.
func demoBreak(line string, width int) int {
	columns, at := 0, -1
	indent := len(line) - len(strings.TrimLeft(line, " "))
	for i, r := range line {
		if columns > width && at >= 0 {
			break
		}
		if r == ' ' && i > indent {
			at = i
		}
		columns++
	}
	return at
}

// demoBar shows how far a value has got towards its threshold.
func demoBar(value, threshold float64) string {
	const cells = 20
	n := 0
	if threshold > 0 && value > 0 {
		n = int(math.Min(cells, cells*value/threshold))
	}
	return strings.Repeat("█", n) + strings.Repeat("░", cells-n)
}
