package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"signalbox/examples/quickstart"
	"signalbox/rules/route"
)

// demoOptions are the flags of the demo.
type demoOptions struct {
	data    string // "" is a temporary folder
	listen  string
	chosen  bool          // whether listen was asked for, so that no other address will do
	after   time.Duration // from the start to the incident
	lasting time.Duration // how long the incident lasts
	exit    bool          // whether to end with the story
	output  string
}

func newDemo() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch signalbox take a silent route out and let it back, in three minutes",
		Long: `Plays a site on this machine: three carriers that speak SMPP on loopback, a sender that asks signalbox for its
routes, and a signalbox with its HTTP interface and its state on disk. After a while the first carrier goes
silent: it accepts every message and sends no receipt. Nobody tells signalbox. What it notices, asks, decides
and publishes is told line by line, until the carrier is back.`,
		Example: "  signalbox demo\n  signalbox demo --exit --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.chosen = cmd.Flags().Changed("web.listen-address")
			if err := o.check(); err != nil {
				return err
			}
			return runDemo(cmd.Context(), o, newDemoPrinter(cmd.OutOrStdout(), o.output == "json"), demoCommands(cmd.Root()))
		},
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "an empty folder for state, policy and log, which is kept (default: a temporary one)")
	f.StringVar(&o.listen, "web.listen-address", "127.0.0.1:9465", "where to serve HTTP; unless said, any free port where this one is taken")
	f.DurationVar(&o.after, "incident-after", 20*time.Second, "when the first carrier goes silent")
	f.DurationVar(&o.lasting, "incident-for", 40*time.Second, "for how long")
	f.BoolVar(&o.exit, "exit", false, "end with the story, instead of staying up to be looked at")
	addOutput(c, &o.output)
	return c
}

func (o *demoOptions) check() error {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"--incident-after", o.after}, {"--incident-for", o.lasting}} {
		if d.value < time.Second || d.value > time.Hour {
			return wrong("", fmt.Errorf("%s: want 1s to 1h, got %s", d.flag, d.value))
		}
	}
	return nil
}

// demoCommands are the names of the commands that there are, so that the demo advises no other.
func demoCommands(root *cobra.Command) map[string]bool {
	names := map[string]bool{}
	for _, c := range root.Commands() {
		names[c.Name()] = true
	}
	return names
}

// demo is the site that is played. Whoever opens a part of it leaves it running in the group up.
type demo struct {
	o         demoOptions
	dir       string // data folder
	daemon    *daemon
	elsewhere bool // whether it does not listen where it would, for somebody else does
	carriers  []*demoCarrier
	print     *demoPrinter
	commands  map[string]bool
}

// runDemo plays the site until ctx is done or the story is over, and leaves nothing behind that was not asked for.
func runDemo(ctx context.Context, o demoOptions, print *demoPrinter, commands map[string]bool) (err error) {
	d := &demo{o: o, print: print, commands: commands}
	forget, err := d.makeFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget()) }()
	logFile, err := os.Create(filepath.Join(d.dir, "signalbox.log"))
	if err != nil {
		return wrong("--data names a folder that can be written", strip(err))
	}
	defer logFile.Close()

	// The servers outlive those who use them: a sender that unbinds wants an answer.
	servers, stop := context.WithCancel(context.WithoutCancel(ctx))
	up, running := errgroup.WithContext(servers)
	defer func() {
		stop()
		err = errors.Join(err, up.Wait())
	}()
	if err := d.open(running, up, slog.New(slog.NewTextHandler(logFile, nil))); err != nil {
		return err
	}
	players, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(running, end)() // a server that fails takes the players along
	return d.play(players)
}

// makeFolder makes the data folder with the policy in it, and returns what removes it where it is a temporary one.
func (d *demo) makeFolder() (forget func() error, err error) {
	forget = func() error { return nil }
	if d.dir = d.o.data; d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "signalbox-demo-"); err != nil {
			return nil, wrong("--data names a folder that can be written", strip(err))
		}
		forget = func() error { return os.RemoveAll(d.dir) }
	}
	if err := d.fillFolder(); err != nil {
		return nil, errors.Join(err, forget())
	}
	return forget, nil
}

func (d *demo) fillFolder() error {
	const hint = "--data names an empty folder, or one that is to be made"
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return wrong(hint, strip(err))
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return wrong(hint, strip(err))
	}
	if len(entries) > 0 {
		return wrong(hint, fmt.Errorf("--data: want an empty folder, got %s with %s in it", d.dir, entries[0].Name()))
	}
	files, err := fs.Sub(quickstart.Policy, "policy")
	if err == nil {
		err = os.CopyFS(d.policyDir(), files)
	}
	if err != nil {
		return fmt.Errorf("write policy: %w", strip(err))
	}
	return nil
}

func (d *demo) policyDir() string { return filepath.Join(d.dir, "policy") }

// open starts the carriers and the daemon in the group up, which run until ctx is done.
func (d *demo) open(ctx context.Context, up *errgroup.Group, logger *slog.Logger) error {
	for i := range demoSite {
		c, err := newDemoCarrier(&demoSite[i], uint64(i+1))
		if err != nil {
			return err
		}
		d.carriers = append(d.carriers, c)
		up.Go(func() error { return c.server.Run(ctx) })
	}
	var err error
	if d.daemon, err = d.newDaemon(logger); err != nil {
		return err
	}
	up.Go(func() error { return d.daemon.run(ctx) })
	return nil
}

// newDaemon opens a daemon where it was told to listen, or on any free port where that is taken and was nobody's wish.
func (d *demo) newDaemon(logger *slog.Logger) (*daemon, error) {
	listen := d.o.listen
	if d.elsewhere = !d.o.chosen && !isFree(listen); d.elsewhere {
		listen = "127.0.0.1:0"
	}
	return newDaemon(daemonOptions{policy: d.policyDir(), data: filepath.Join(d.dir, "state"), listen: listen, mode: route.Act, logger: logger})
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}

// url is where the daemon serves.
func (d *demo) url() string { return "http://" + d.daemon.address() }

// play runs the sender and the story until ctx is done or the story is over.
func (d *demo) play(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	for _, c := range d.carriers {
		if err := c.dial(ctx); err != nil {
			return unlessStopped(ctx, err)
		}
		defer c.hangUp()
	}
	web := newDemoWeb(d.url())
	defer web.close()
	report := &demoReporter{web: web}
	sender := &demoSender{web: web, report: report, carriers: d.carriers}
	story := newDemoStory(d, web, sender)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return report.run(ctx) })
	g.Go(func() error { return sender.run(ctx) })
	g.Go(func() error {
		defer end()
		return story.run(ctx)
	})
	return unlessStopped(ctx, g.Wait())
}

// unlessStopped is err, but nil where it is only the echo of being told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
