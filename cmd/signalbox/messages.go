package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller"
	"signalbox/controller/api"
	"signalbox/controller/way"
	"signalbox/probes/ingest"
	"signalbox/rules/route"
)

// messagesOptions say what is remembered of messages.
type messagesOptions struct {
	kept   int
	age    time.Duration
	sample float64
}

// addMessages adds the flags of the messages that are remembered.
func addMessages(c *cobra.Command, o *messagesOptions) {
	o.age, o.sample = way.DefaultAge, 1
	f := c.Flags()
	f.IntVar(&o.kept, "messages.kept", way.DefaultKept, "how many submits are remembered for signalbox message, the newest; about 100 bytes each; 0 remembers none")
	f.Var(&lastingFlag{"messages.age", &o.age}, "messages.age", "how long a submit is remembered at most, up to 20d")
	f.Var(&sampleFlag{"messages.sample", &o.sample}, "messages.sample", "the share of message ids that are remembered, chosen by their hashes")
}

// open returns an empty window of messages. Options that are not set remember none.
func (o messagesOptions) open() (*way.Way, error) {
	if o == (messagesOptions{}) {
		o.sample = 1
	}
	w, err := way.New(way.Options{Kept: o.kept, Age: o.age, Sample: o.sample, Message: ingest.MessageHash, Route: ingest.RouteHash}, time.Now())
	if err != nil {
		return nil, wrong("signalbox run --help says what --messages.kept, --messages.age and --messages.sample take", err)
	}
	return w, nil
}

// sampleFlag is a flag that takes a share above 0 and up to 100 %.
type sampleFlag struct {
	name string
	to   *float64
}

// String is the share.
func (f *sampleFlag) String() string {
	if f.to == nil {
		return ""
	}
	return fmt.Sprintf("%g%%", *f.to*100)
}

// Type is what help shows as the value.
func (f *sampleFlag) Type() string { return "SHARE" }

// Set takes a share.
func (f *sampleFlag) Set(text string) error {
	number, ok := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(x > 0 && x <= 100) {
		return wrong("", fmt.Errorf("--%s: want a share above 0%% and up to 100%% such as 10%%, got %q", f.name, text))
	}
	*f.to = x / 100
	return nil
}

// traced finds the way of messages.
type traced struct{ way *way.Way }

// Find is the window's, at this moment.
func (t traced) Find(id string, by route.ID) ([]api.Attempt, any, error) {
	return t.way.Find(id, by, time.Now())
}

// priced tells what messages cost.
type priced struct{ control *controller.Controller }

// Prices is the controller's.
func (p priced) Prices(ctx context.Context, q api.PriceQuery) (any, error) {
	return p.control.Prices(ctx, q)
}
