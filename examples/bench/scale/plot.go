package main

import (
	"bytes"
	"fmt"
	"math"
)

// plot draws round time and memory against live keys, as SVG.
func plot(results []result) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 300" font-family="sans-serif" font-size="11">`)
	fmt.Fprintln(&b, `<rect width="760" height="300" fill="white"/>`)
	panel(&b, 50, "ms of one core for a round; dotted: the worst of a minute", results,
		func(r result) float64 { return ms(r.round) }, func(r result) float64 { return ms(r.worst) }, "%.0f")
	panel(&b, 430, "MB that the book holds", results, func(r result) float64 { return float64(r.bytes) / 1e6 }, nil, "%.0f")
	fmt.Fprintln(&b, `</svg>`)
	return b.Bytes()
}

// Where a panel stands and how big it is.
const (
	top, bottom = 40.0, 250.0
	panelWidth  = 290.0
)

// panel draws a line, and perhaps a dotted one, from left on.
func panel(b *bytes.Buffer, left float64, title string, results []result, y, dotted func(result) float64, label string) {
	most, live := 0.0, 0.0
	for _, r := range results {
		most, live = math.Max(most, y(r)), math.Max(live, float64(r.live))
		if dotted != nil {
			most = math.Max(most, dotted(r))
		}
	}
	at := func(r result, v float64) (float64, float64) {
		return left + panelWidth*float64(r.live)/live, bottom - (bottom-top)*v/most
	}
	fmt.Fprintf(b, `<text x="%.0f" y="22" font-size="13">%s</text>`+"\n", left, title)
	fmt.Fprintf(b, `<path d="M%.0f %.0fV%.0fH%.0f" fill="none" stroke="black"/>`+"\n", left, top, bottom, left+panelWidth)
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" text-anchor="end">live keys</text>`+"\n", left+panelWidth, bottom+32)
	if dotted != nil {
		line(b, results, func(r result) (float64, float64) { return at(r, dotted(r)) }, ` stroke-dasharray="2 3"`)
	}
	line(b, results, func(r result) (float64, float64) { return at(r, y(r)) }, "")
	for _, r := range results {
		px, py := at(r, y(r))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3"/><text x="%.1f" y="%.1f" text-anchor="end">`+label+`</text>`+"\n", px, py, px-5, py-5, y(r))
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n", px, bottom+16, thousands(r.live))
	}
}

func line(b *bytes.Buffer, results []result, at func(result) (float64, float64), style string) {
	fmt.Fprint(b, `<polyline fill="none" stroke="black"`, style, ` points="`)
	for _, r := range results {
		x, y := at(r)
		fmt.Fprintf(b, "%.1f,%.1f ", x, y)
	}
	fmt.Fprintln(b, `"/>`)
}

// thousands is a number as it stands under an axis.
func thousands(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%dk", (n+500)/1000)
	}
	return fmt.Sprint(n)
}
