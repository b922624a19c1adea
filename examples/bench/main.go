// Command bench measures the rules of this folder on simulated traffic, without any network:
//
//	go run ./examples/bench bursts      false demotions on 30 route-days of bursty healthy traffic
//
// What it prints is measured anew each time, and the same for the same seed.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"signalbox/examples/quickstart"
	"signalbox/rules/policy"
	"signalbox/rules/route"
	"signalbox/rules/scenario"
)

//go:embed rules.yml
var benchRules []byte

var (
	seed      = flag.Uint64("seed", 1, "of all chance")
	verbose   = flag.Bool("v", false, "show the first false demotion of each")
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

func towns() []*town {
	var all []*town
	for _, base := range []*town{
		{name: "steady 1/s", stream: scenario.Stream{Network: "234-15", Rate: 1, Diurnal: 0.6}, health: scenario.Healthy},
		{name: "batched 1/s", stream: scenario.Stream{Network: "234-15", Rate: 1, Diurnal: 0.6}, health: batching},
		{name: "campaigns", stream: campaigns(2*time.Hour, 0, 0, 0), health: batching},
		{name: "campaigns, lists", stream: campaigns(2*time.Hour, 0.2, 0.3, 0), health: batching},
		{name: "campaigns, lists, spread", stream: campaigns(2*time.Hour, 0.2, 0.3, 0.3), health: batching},
		{name: "batched 5/s", stream: scenario.Stream{Network: "234-15", Rate: 5, Diurnal: 0.6}, health: batching},
		{name: "small campaigns, lists", stream: scenario.Stream{Network: "234-15", Rate: 1, Diurnal: 0.6, Burst: scenario.Burst{Messages: 150, Over: 20 * time.Second, Every: 30 * time.Minute, Dead: 0.3, DeadLists: 0.2}}, health: batching},
		{name: "long campaigns, lists", stream: scenario.Stream{Network: "234-15", Rate: 0.2, Diurnal: 0.6, Burst: scenario.Burst{Messages: 10000, Over: 5 * time.Minute, Every: 2 * time.Hour, Dead: 0.3, DeadLists: 0.2}}, health: batching},
		{name: "campaigns, rare lists", stream: campaigns(2*time.Hour, 0.02, 0.3, 0.1), health: batching},
	} {
		for _, class := range []route.Class{"bulk", "otp"} {
			for _, shared := range []bool{false, true} {
				t := *base
				t.class, t.shared = class, shared
				t.files = []policy.File{{Name: "rules.yml", Data: benchRules}, {Name: "lanes.yml", Data: []byte(t.lanes())}}
				t.name = fmt.Sprintf("%s, %s, %s", base.name, class, map[bool]string{false: "order", true: "shares"}[shared])
				all = append(all, &t)
			}
		}
		t := *base
		t.class, t.files, t.name = "otp", quickRules(), base.name+", quickstart"
		all = append(all, &t)
	}
	return all
}

func main() {
	flag.Parse()
	for _, t := range towns() {
		if !strings.Contains(t.name, *only) {
			continue
		}
		if err := t.watch(os.Stdout, *seed); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
