package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newRun(stderr io.Writer) *cobra.Command {
	var o daemonOptions
	var mode, level, format string
	c := &cobra.Command{
		Use:   "run --policy DIR",
		Short: "Watch routes, decide, and serve the table",
		Long: `Runs signalbox: takes observations at /events and /receipts, judges every route every five seconds, decides
by the policy, keeps state in the data folder, and serves the table at /routes. SIGHUP or POST /-/reload
reads the policy again; a bad policy is refused whole and the old one stays.`,
		Example: "  signalbox run --policy examples/quickstart/policy --data /var/lib/signalbox",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.mode, err = parseMode(mode); err != nil {
				return err
			}
			if o.logger, err = newLogger(stderr, level, format); err != nil {
				return err
			}
			d, err := newDaemon(o)
			if err != nil {
				return err
			}
			o.logger.Info("listening", "address", d.address())
			go reloadOnHangup(cmd.Context(), d)
			return d.run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.policy, "policy", "", "the policy: a folder of YAML files, or one file")
	f.StringVar(&o.data, "data", "signalbox-data", "the folder of the durable state; made where there is none")
	f.StringVar(&o.listen, "web.listen-address", "127.0.0.1:9465", "where to serve HTTP")
	f.BoolVar(&o.open, "web.allow-open", false, "listen beyond loopback although nothing authenticates")
	f.StringVar(&mode, "mode", "act", "the most that may be done with a verdict: observe, propose or act")
	f.StringVar(&level, "log.level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log.format", "logfmt", "logfmt or json")
	_ = c.MarkFlagRequired("policy") // the flag is there: it was defined above
	return c
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	o := &slog.HandlerOptions{}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, wrong("", fmt.Errorf("--log.level: want debug, info, warn or error, got %q", level))
	}
	o.Level = l
	switch format {
	case "logfmt":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, wrong("", fmt.Errorf("--log.format: want logfmt or json, got %q", format))
}

// reloadOnHangup reads the policy again at each SIGHUP until ctx is done. What comes of it is logged and in /metrics.
func reloadOnHangup(ctx context.Context, d *daemon) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			_ = d.control.Reload(ctx) // it has told of its error itself
		}
	}
}
