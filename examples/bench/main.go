// Command bench measures the rules of this folder, and those of the quickstart, on simulated traffic:
//
//	go run ./examples/bench bursts   false demotions on 30 route-days of bursty healthy traffic
//	go run ./examples/bench cold     how long a black hole takes to be found, with a learned baseline and a told one
//	go run ./examples/bench probes   what a thousand routes take that are probed every ten seconds
//	go run ./examples/bench senders  how fast a change reaches five thousand senders that wait for it
//	go run ./examples/bench polling  polls a second beside nginx
//
// It asserts nothing. The same seed gives the same numbers.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"os"

	"signalbox/examples/quickstart"
	"signalbox/rules/policy"
)

//go:embed rules.yml
var benchRules []byte

var (
	seed      = flag.Uint64("seed", 1, "of all chance")
	verbose   = flag.Bool("v", false, "show every false demotion")
	routeDays = flag.Int("days", 30, "how long each is watched, over the routes that carry its traffic")
	only      = flag.String("only", "", "part of the names of those to run")
)

// quickRules are the files of the quickstart's policy.
func quickRules() []policy.File {
	var files []policy.File
	for _, name := range []string{"routes.yml", "rules.yml"} {
		data, err := quickstart.Policy.ReadFile("policy/" + name)
		if err != nil {
			panic(err) // they are part of the binary
		}
		files = append(files, policy.File{Name: name, Data: data})
	}
	return files
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] bursts|cold|probes|senders|polling")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "bursts":
		err = bursts(os.Stdout)
	case "cold":
		err = cold(os.Stdout)
	case "probes":
		err = looks(os.Stdout)
	case "senders":
		err = senders(os.Stdout)
	case "polling":
		err = polling(os.Stdout)
	case "senders-with": // a coding
		err = sendersWith(os.Stdout, flag.Arg(1))
	case "herd": // of senders
		err = runHerd(os.Stdin, os.Stdout, flag.Arg(1), flag.Arg(2))
	case "serve", "serve-bare": // for polling
		err = serveUntilEOF(os.Stdin, os.Stdout, flag.Arg(0) == "serve-bare")
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
