package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newRun(stderr io.Writer) *cobra.Command {
	var o daemonOptions
	var level, format, role string
	var far vantageOptions
	c := &cobra.Command{
		Use:   "run --policy DIR | --policy.git.url URL",
		Short: "Watch routes, decide, and serve the table",
		Long: `Runs signalbox: takes observations at /events and /receipts, judges every route every five seconds, decides
by the policy, keeps state in the data folder, and serves the table at /routes. SIGHUP or POST /-/reload
reads the policy, the settings of probes and of alerts and the tokens again; where one is bad, all stay as they were.

The policy lies in a folder, or in a git repository that is looked at every minute; there the commit is its
revision, and the last good commit is kept in the data folder for when the repository is away.

With --web.signing-key-file each table is signed, so that senders can refuse one that somebody put in its way.
openssl makes the key, and what senders need of it:

  openssl genpkey -algorithm ed25519 -out table.key && openssl pkey -in table.key -pubout -out table.pub

To change it, put the new key behind the old one in the file, restart, give senders the new public key, and then
take the old one out.

With --recording.dir it records what it observes and when it judges, for signalbox replay and plan. What it took
is handed to the system within two seconds, which a kill does not undo, and synced to the disk every 30. A disk
that is full or slow stops the recording, which is counted and said, and nothing else.`,
		Example: `  signalbox run --policy examples/quickstart/policy --data /var/lib/signalbox
  signalbox run --policy.git.url https://git.example.org/sms/policy.git --policy.git.keys allowed_signers`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.logger, err = newLogger(stderr, level, format); err != nil {
				return err
			}
			if role == roleProbe {
				far.file, far.data, far.logger = o.probes, o.data, o.logger
				return runVantage(cmd.Context(), far)
			}
			if err := onePolicy(cmd, o.policy, o.git); err != nil {
				return err
			}
			o.git.ctx = cmd.Context
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP) // from here on a hangup does not end the process
			d, err := newDaemon(o)
			if err != nil {
				return err
			}
			o.logger.Info("listening", "address", d.address())
			if err := runReloading(cmd.Context(), d, hangup); err != nil {
				return &failure{exitNo, err, ""}
			}
			o.logger.Info("stopped")
			return nil
		},
	}
	f := c.Flags()
	addPolicy(c, &o.policy)
	addGit(c, &o.git)
	f.StringVar(&o.data, "data", "signalbox-data", "the folder of the durable state; made where there is none")
	f.StringVar(&o.listen, "web.listen-address", "127.0.0.1:9465", "where to serve HTTP")
	f.BoolVar(&o.allowOpen, "web.allow-open", false, "listen beyond loopback although TLS or authentication is missing")
	addWeb(c, &o.web)
	addCredentials(c, &far.credentials)
	f.StringVar(&o.signingKey, "web.signing-key-file", "", "a file of Ed25519 private keys (PEM, PKCS #8) that sign the table")
	addMode(c, &o.mode)
	addRecording(c, &o.recording)
	addMessages(c, &o.messages)
	addProbes(c, &o.probes)
	addAlerts(c, &o.alerts)
	addChoice(c, &role, "role", "all, or probe: look at routes from another place and report to a controller", roleAll, roleAll, roleProbe)
	f.StringVar(&far.controller, "controller", defaultServer, "with --role probe: the URL of the controller")
	f.StringVar(&far.name, "vantage", "", "with --role probe: the name of this place")
	f.Uint64Var(&o.epoch, "epoch", 0, "begin a new epoch of tables, greater than the one that senders hold: after state was lost or restored")
	addChoice(c, &level, "log.level", "the least that is logged: debug, info, warn or error", "info", "debug", "info", "warn", "error")
	addChoice(c, &format, "log.format", "how it is logged: logfmt or json", "logfmt", "logfmt", "json")
	_ = c.MarkFlagDirname("data") // the flag is there
	return c
}

// The roles of a process.
const (
	roleAll   = "all"
	roleProbe = "probe"
)

// runVantage looks at routes from another place until ctx is done, and reads its settings again at each hangup.
func runVantage(ctx context.Context, o vantageOptions) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	v, err := newVantage(o)
	if err != nil {
		return err
	}
	return reloading(ctx, hangup, func(context.Context) error { return v.reload() }, v.run)
}

// newLogger takes words that the flags have checked.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	o := &slog.HandlerOptions{}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	o.Level = l
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// runReloading runs a daemon that reads its policy again at each hangup.
func runReloading(ctx context.Context, d *daemon, hangup <-chan os.Signal) error {
	return reloading(ctx, hangup, d.reloader.Reload, d.run)
}

// reloading runs something, and calls reload at each hangup meanwhile.
func reloading(ctx context.Context, hangup <-chan os.Signal, reload, run func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				_ = reload(ctx) // it has told of its error itself
			}
		}
	}()
	err := run(ctx)
	stop()
	<-ended
	return err
}
