package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"signalbox/controller/kannel"
	"signalbox/controller/sender"
	"signalbox/rules/route"
)

func newKannel() *cobra.Command {
	c := &cobra.Command{
		Use:   "kannel",
		Short: "Let the table move the messages of a Kannel whose senders cannot read it",
		Long: `Runs beside a Kannel. Senders send with smsc= a label, such as otp, and know of no route; signalbox kannel follow reads
the table and writes into kannel.conf which links take that label: allowed-smsc-id for the routes that are in, and
preferred-smsc-id for the one with the greatest share. bearerbox reads it again without a link being bound anew, and no
receipt is lost. Shares and trickles cannot be told to Kannel: all messages go by the preferred link while it is online,
and a route that is out gets none, so that it comes back by its probes.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newKannelFollow(), newKannelPlan(), newKannelIsolate(), newKannelRejoin())
	return c
}

// kannelSettings is the file that says which Kannel it is and what its labels mean.
type kannelSettings struct {
	Config       string                 `yaml:"config"`
	Admin        string                 `yaml:"admin"`
	PasswordFile string                 `yaml:"password_file"`
	PasswordEnv  string                 `yaml:"password_env"`
	Labels       map[string]kannelLabel `yaml:"labels"`
	Links        map[string]string      `yaml:"links"`
}

// kannelLabel is the lane that the messages of a label belong to.
type kannelLabel struct {
	Class   string `yaml:"class"`
	Network string `yaml:"network"`
}

// readKannel reads the settings; an error names the line, or the field.
func readKannel(path string) (*kannelSettings, error) {
	if path == "" {
		return nil, wrong("examples/kannel/actuator.yml is one, with comments", errors.New("--settings: want the file that says which Kannel it is"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, wrong("", fmt.Errorf("--settings: %w", err))
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	var s kannelSettings
	if err := d.Decode(&s); err != nil {
		return nil, wrong("examples/kannel/actuator.yml is one, with comments", fmt.Errorf("%s: %s", path, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n  ", " "), "yaml: ")))
	}
	return &s, s.check(path)
}

func (s *kannelSettings) check(path string) error {
	say := func(field, want string) error { return wrong("", fmt.Errorf("%s: %s: want %s", path, field, want)) }
	switch {
	case s.Config == "":
		return say("config", "the path of kannel.conf")
	case s.Admin == "":
		return say("admin", "the URL of bearerbox's administration, such as http://127.0.0.1:13000")
	case (s.PasswordFile == "") == (s.PasswordEnv == ""):
		return say("password_file", "this or password_env, where the admin-password is to be found")
	case len(s.Labels) == 0:
		return say("labels", "at least one label, such as otp: {class: otp, network: GB}")
	}
	for label, l := range s.Labels {
		if _, err := route.ParseNetwork(l.Network); l.Class == "" || err != nil || strings.ContainsAny(label, ";\" ") {
			return say("labels."+label, "a name without spaces and semicolons, and a class and a network such as {class: otp, network: GB}")
		}
	}
	return nil
}

func (s *kannelSettings) actuator(log *slog.Logger) (*kannel.Actuator, error) {
	password := kannel.PasswordFile(s.PasswordFile)
	if s.PasswordEnv != "" {
		password = func() (string, error) {
			if p := os.Getenv(s.PasswordEnv); p != "" {
				return p, nil
			}
			return "", fmt.Errorf("want %s in the environment", s.PasswordEnv)
		}
	}
	a, err := kannel.New(kannel.Options{Config: s.Config, Admin: s.Admin, Password: password, Links: s.Links, Logger: log})
	if err != nil {
		return nil, wrong("", err)
	}
	return a, nil
}

// lanes are what a table says of the labels, in their order. The error is of the labels whose lane the table does not have;
// the others are there all the same.
func (s *kannelSettings) lanes(t *sender.Table) ([]kannel.Lane, error) {
	labels := make([]string, 0, len(s.Labels))
	for label := range s.Labels {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	var out []kannel.Lane
	var missing []error
	for _, label := range labels {
		at := s.Labels[label]
		l := t.Lane(at.Class, at.Network)
		if l == nil {
			missing = append(missing, fmt.Errorf("label %s: the table has no lane for %s/%s", label, at.Class, at.Network))
			continue
		}
		lane := kannel.Lane{Label: label}
		for i := range l.Routes {
			lane.Routes = append(lane.Routes, linkRoute(&l.Routes[i]))
		}
		out = append(out, lane)
	}
	return out, errors.Join(missing...)
}

// linkRoute is a route of the table as Kannel's links need it.
func linkRoute(e *sender.Entry) kannel.Route {
	out := e.Phase == string(route.Demoted) || e.Admin == string(route.AdminDrained) || e.Admin == string(route.AdminUnregistered)
	return kannel.Route{ID: e.Route, Share: e.Share, Out: out}
}

func newKannelFollow() *cobra.Command {
	var settings, name string
	c := &cobra.Command{
		Use:   "follow --settings FILE",
		Short: "Put each table into force in Kannel",
		Long: `Follows the table until it is stopped. A table that is in force in Kannel is confirmed to signalbox; one that could not be
put into force is refused, with why, and tried again. Whatever happens to signalbox, Kannel stays as it is. Where
signalbox asks for tokens, --name is the name that a token of the role sender is bound to.`,
		Example: `  signalbox kannel follow --settings examples/kannel/actuator.yml`,
		Args:    takes(),
	}
	addKannelSettings(c, &settings)
	c.Flags().StringVar(&name, "name", "", "what this Kannel is called as a sender (default: kannel@ and the name of this machine)")
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		s, err := readKannel(settings)
		if err != nil {
			return err
		}
		server, err := connect()
		if err != nil {
			return err
		}
		a, err := s.actuator(log)
		if err != nil {
			return err
		}
		client, err := newKannelSender(server, name, log, func(ctx context.Context, t *sender.Table) error { return s.apply(ctx, a, t, log) })
		if err != nil {
			return wrong("", err)
		}
		return client.Run(cmd.Context())
	}
	return c
}

func newKannelSender(server *client, name string, log *slog.Logger, apply func(context.Context, *sender.Table) error) (*sender.Client, error) {
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("--name: want one, as this machine has none: %w", err)
		}
		name = "kannel@" + host
	}
	o, err := server.asSender()
	if err != nil {
		return nil, err
	}
	o.Name, o.Apply, o.Logger = name, apply, log
	return sender.New(o)
}

// apply puts a table into force. A label whose lane the table does not have keeps its links as they are, and is the error;
// the others follow.
func (s *kannelSettings) apply(ctx context.Context, a *kannel.Actuator, t *sender.Table, log *slog.Logger) error {
	lanes, missing := s.lanes(t)
	if len(lanes) == 0 {
		return missing
	}
	done, err := a.Apply(ctx, lanes)
	for _, w := range done.Warnings {
		log.Warn(w, "generation", t.Generation.String())
	}
	if done.InForce && len(done.Files) > 0 {
		log.Info("kannel reconfigured", "generation", t.Generation.String(), "files", strings.Join(done.Files, " "), "preferred", primaries(done.Primary))
	}
	return errors.Join(missing, err)
}

// primaries are the preferred links by label.
func primaries(by map[string]string) string {
	labels := make([]string, 0, len(by))
	for l := range by {
		labels = append(labels, l+"="+by[l])
	}
	slices.Sort(labels)
	return strings.Join(labels, " ")
}

func addKannelSettings(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "settings", "", "the file that says which Kannel it is, and which lane each label means")
	_ = c.RegisterFlagCompletionFunc("settings", completePolicy) // the flag is there
}

func newKannelPlan() *cobra.Command {
	var settings string
	c := &cobra.Command{
		Use:   "plan --settings FILE",
		Short: "Say what the table would change in kannel.conf, and change nothing",
		Args:  takes(),
	}
	addKannelSettings(c, &settings)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := readKannel(settings)
		if err != nil {
			return err
		}
		server, err := connect()
		if err != nil {
			return err
		}
		return s.plan(cmd.Context(), server, cmd.OutOrStdout())
	}
	return c
}

func (s *kannelSettings) plan(ctx context.Context, server *client, out io.Writer) error {
	answer, err := server.get(ctx, "/routes", nil)
	if err != nil {
		return err
	}
	t, err := sender.ReadTable(answer.body)
	if err != nil {
		return no("", fmt.Errorf("%s: %w", server.name(), err))
	}
	lanes, err := s.lanes(t)
	if err != nil {
		return no("", err)
	}
	a, err := s.actuator(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	would, err := a.Plan(lanes)
	if err != nil {
		return no("", err)
	}
	p := &printer{w: out}
	p.line("table %s: preferred %s", t.Generation, primaries(would.Primary))
	for _, f := range would.Files {
		p.line("would change %s", f)
	}
	if len(would.Files) == 0 {
		p.line("%s says so already", s.Config)
	}
	for _, w := range would.Warnings {
		p.line("warning: %s", w)
	}
	return p.err
}

func newKannelIsolate() *cobra.Command {
	return newKannelLink("isolate ROUTE", "Unbind a route's links at once, in an emergency", "isolate it", kannel.Warning, (*kannel.Actuator).Isolate)
}

func newKannelRejoin() *cobra.Command {
	return newKannelLink("rejoin ROUTE", "Bind a route's links again that were isolated", "bind it again", "start-smsc begins the counters of the link anew", (*kannel.Actuator).Rejoin)
}

// newKannelLink makes a command that does something to the links of a route at once.
func newKannelLink(use, short, what, warning string, do func(*kannel.Actuator, context.Context, string) error) *cobra.Command {
	var settings string
	var yes bool
	c := &cobra.Command{
		Use: use, Short: short, Args: takes("ROUTE"),
		Long: short + `. This goes around signalbox and its table, and is no way to fail over: ` + warning + `.`,
	}
	addKannelSettings(c, &settings)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before it is done")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := readKannel(settings)
		if err != nil {
			return err
		}
		a, err := s.actuator(slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "signalbox: warning: %s\n", warning)
		if !yes {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", args[0], what)
			if err := confirm(cmd); err != nil {
				return err
			}
		}
		if err := do(a, cmd.Context(), args[0]); err != nil {
			return no("", err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "done: %s %s\n", strings.Fields(use)[0], args[0])
		return err
	}
	return c
}
