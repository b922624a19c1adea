// Scale measures what a book takes of one core and of memory: of keys at one rate each, then of a thousand routes to a
// hundred networks in three classes, of which a few have traffic. It prints what it saw and draws it; it asserts nothing.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"signalbox/rules/route"
)

// traffic is how the live keys of a big site are busy: most are not.
var traffic = []flow{{0.70, 1.0 / 60}, {0.25, 0.2}, {0.045, 1}, {0.0045, 10}, {0.0005, 50}}

// shares of the keys that have traffic.
var shares = []float64{0.01, 0.02, 0.05, 0.10, 0.20}

func main() {
	history := flag.Duration("history", 80*time.Minute, "for how long the keys have had traffic; cohorts are held for 7h10m")
	svg := flag.String("svg", "", "file that the plot is written to")
	only := flag.Float64("live", 0, "share of the keys that have traffic, instead of all of them")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	rates(os.Stdout, *history)
	if *only > 0 {
		shares = []float64{*only}
	}
	results := worlds(os.Stdout, *history)
	if *svg == "" {
		return
	}
	if err := os.WriteFile(*svg, plot(results), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// rates measures keys at one rate each.
func rates(out io.Writer, history time.Duration) {
	fmt.Fprintf(out, "keys with traffic for %-9s bytes/key  µs/judged key  bytes/key  µs/judged key\n", route.Duration(history))
	fmt.Fprintln(out, "messages a second of each     own told baselines      learned or pooled ones")
	for _, f := range []struct {
		rate     float64
		networks int
	}{{1.0 / 60, 900}, {0.2, 500}, {1, 400}, {10, 150}, {50, 80}} {
		fmt.Fprintf(out, "%-25.3g", f.rate)
		for _, told := range []bool{true, false} {
			s := size{routes: 1, networks: f.networks, classes: []route.Class{"otp"}, live: 1, mix: []flow{{1, f.rate}}, told: told, history: history}
			r := measured(build(s))[0]
			fmt.Fprintf(out, "%12.0f  %13.1f", r.perKey(), float64(r.round.Microseconds())/float64(r.judged))
		}
		fmt.Fprintln(out)
	}
}

// worlds measures big ones, by how many keys of them are live.
func worlds(out io.Writer, history time.Duration) []result {
	fmt.Fprintln(out, "\n     keys     live  messages/s  ms/round  µs/live key  worst of a minute      MB  bytes/live key")
	var all []*world
	for _, live := range shares {
		all = append(all, build(size{routes: 1000, networks: 100, classes: []route.Class{"otp", "transactional", "bulk"}, live: live, mix: traffic, told: true, history: history}))
	}
	results := measured(all...)
	for _, r := range results {
		perKey := float64(r.round.Microseconds()) / float64(r.live)
		fmt.Fprintf(out, "%9d%9d%12.0f%10.1f%13.1f%19.1f%8.1f%16.0f\n", r.keys, r.live, r.messages, ms(r.round), perKey, ms(r.worst), float64(r.bytes)/1e6, r.perKey())
	}
	return results
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
