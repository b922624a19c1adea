package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/decide"
)

// planQuery is what the command plan was asked.
type planQuery struct {
	since    string
	output   string
	exitCode bool
}

func newPlan() *cobra.Command {
	var q planQuery
	c := &cobra.Command{
		Use:   "plan DIR",
		Short: "Say what a policy would change in a running signalbox",
		Long: `Sends a policy, a folder of YAML files or one file, to a running signalbox and prints what it would change there:
lanes and routes that come, go or change; conditions that say something else of the signals as they are now;
what the next round would move, and which guard would hold it; and, where signalbox keeps a recording, what
both policies would have decided over it, and what that means for messages and money. Nothing is changed. The
text is made to be pasted where the policy is reviewed. Exits with 1 where the policy has problems.`,
		Example:           "  signalbox plan policy --server http://127.0.0.1:9465 --since 7d",
		Args:              takes("DIR"),
		ValidArgsFunction: completePolicy,
	}
	f := c.Flags()
	f.StringVar(&q.since, "since", "24h", "replay what was recorded in the last 24h, or since 2026-11-23T10:00:00Z")
	f.BoolVar(&q.exitCode, "exit-code", false, "exit with 1 where anything would change")
	addOutput(c, &q.output)
	connect := addServer(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := connect()
		if err != nil {
			return err
		}
		return q.plan(cmd.Context(), s, args[0], cmd.OutOrStdout())
	}
	return c
}

func (q *planQuery) plan(ctx context.Context, s *client, path string, out io.Writer) error {
	files, err := candidateFiles(path)
	if err != nil {
		return err
	}
	if _, err := ago("since", q.since, time.Now()); err != nil {
		return err
	}
	answered, err := s.post(ctx, "/api/v1/policy/plan", url.Values{"since": {q.since}}, map[string]any{"files": files}, planWithin+askWithin)
	if err != nil {
		return err
	}
	var a planAnswer
	if err := answered.read(s, &a); err != nil {
		return err
	}
	if q.output == "json" {
		_, err = out.Write(answered.body)
	} else {
		err = a.print(out, path)
	}
	if err == nil && q.exitCode && a.changes() {
		return no("", errors.New("the policy would change something"))
	}
	return err
}

// candidateFile is a file of a policy as it is sent.
type candidateFile struct {
	Name string `json:"name"`
	Data string `json:"data"`
}

// candidateFiles reads a policy to be sent. Whether it is one, the server says: it may know more, or less, than we do.
func candidateFiles(path string) ([]candidateFile, error) {
	files, err := readPolicy(path)
	if err != nil {
		return nil, wrong("a policy is a folder of YAML files, or one file", fmt.Errorf("read policy: %w", strip(err)))
	}
	out := make([]candidateFile, len(files))
	for i, f := range files {
		out[i] = candidateFile{f.Name, string(f.Data)}
	}
	return out, nil
}

// changes reports whether anything is different, now or over the recording.
func (a *planAnswer) changes() bool {
	return a.Planned.Changes() || a.Recording != nil && (len(a.Recording.Moves) > 0 || len(a.Recording.Stretches) > 0)
}

func (a *planAnswer) print(w io.Writer, path string) error {
	p := &a.Planned
	fmt.Fprintf(w, "--- generation %s  %s\n+++ %s  %s\n", p.Generation, p.Policy, path, p.Candidate)
	if !p.Changes() {
		fmt.Fprintln(w, "\nNothing changes now: senders see the same table, and every condition says the same.")
	}
	for i := range p.Lanes {
		if err := printPlannedLane(w, &p.Lanes[i]); err != nil {
			return err
		}
	}
	if err := printVerdicts(w, p.Verdicts); err != nil {
		return err
	}
	printNext(w, p)
	return a.printRecording(w)
}

func printPlannedLane(w io.Writer, l *decide.PlannedLane) error {
	fmt.Fprintf(w, "\nlane %s %s", l.Lane, l.Change)
	if l.Heir != "" {
		fmt.Fprintf(w, ": %s", l.Heir)
	}
	fmt.Fprintln(w)
	var rows [][]string
	if l.Was != nil && l.Is != nil {
		if l.Was.Mode != l.Is.Mode {
			rows = append(rows, []string{"~", "mode", string(l.Was.Mode), "→ " + string(l.Is.Mode)})
		}
		if l.Was.RetryAfter != l.Is.RetryAfter {
			rows = append(rows, []string{"~", "retry_after", l.Was.RetryAfter.String(), "→ " + l.Is.RetryAfter.String()})
		}
	}
	for i := range l.Routes {
		rows = append(rows, plannedRow(&l.Routes[i]))
	}
	return columns(w, "", rows)
}

// plannedRow is a route before and after.
func plannedRow(r *decide.PlannedRoute) []string {
	switch {
	case r.Was == nil:
		return []string{"+", string(r.Route), planned(r.Is)}
	case r.Is == nil:
		return []string{"-", string(r.Route), planned(r.Was)}
	case *r.Was == *r.Is:
		return []string{" ", string(r.Route), planned(r.Is)}
	}
	return []string{"~", string(r.Route), planned(r.Was), "→ " + planned(r.Is)}
}

// planned is a place in a lane in words.
func planned(p *decide.PlannedPlace) string {
	return fmt.Sprintf("%d. %s %s", p.Try, share(p.Share), phase(p.Phase, p.Admin))
}

func printVerdicts(w io.Writer, all []decide.PlannedVerdict) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nconditions to demote that say something else now")
	rows := make([][]string, len(all))
	for i := range all {
		v := &all[i]
		rows[i] = []string{"~", v.Lane.String(), string(v.Route), v.Rule, asked(v.Was) + " → " + asked(v.Is), verdictText(v)}
	}
	return columns(w, "", rows)
}

// asked is what a condition says; a policy may not have it.
func asked(truth string) string {
	if truth == "" {
		return "not asked"
	}
	return truth
}

// verdictText is a condition with the values of its parts.
func verdictText(v *decide.PlannedVerdict) string {
	text := v.When
	if v.Is == "true" && v.For > 0 {
		text += ", for " + v.For.String()
	}
	for i := range v.Inputs {
		in := &v.Inputs[i]
		sep := ", "
		if i == 0 {
			sep = "; "
		}
		text += sep + in.Signal + " is " + value(in.Value)
	}
	return text
}

// printNext prints what the next round would do otherwise, and what both policies would do.
func printNext(w io.Writer, p *decide.Planned) {
	if len(p.Next) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe next round, if the signals stay as they are")
	signs := map[string]string{decide.Both: " ", decide.OnlyCandidate: "+", decide.OnlyInForce: "-"}
	for i := range p.Next {
		d := &p.Next[i].Decision
		fmt.Fprintf(w, "%s %s  %s  %s  %s: %s\n", signs[p.Next[i].By], d.Lane, d.Route, changed(d), d.Rule, d.Text)
		for _, g := range d.Guards {
			if g.Result != "pass" {
				fmt.Fprintf(w, "    %s %s: %s\n", g.Guard, g.Result, g.Why)
			}
		}
	}
}

func (a *planAnswer) printRecording(w io.Writer) error {
	c := a.Recording
	switch {
	case c == nil:
		fmt.Fprintf(w, "\nNothing is said of the past: %s.\n", a.RecordingWhy)
	case len(c.Moves) == 0 && len(c.Stretches) == 0:
		fmt.Fprintf(w, "\nOver the recording from %s to %s, of %s submitted, both decide the same.\n", moment(c.Total.From), moment(c.Total.To), plural(c.Messages, "message"))
		printAlarms(w, c)
	default:
		fmt.Fprintln(w, "\nover the recording")
		printDifferences(w, c)
	}
	for _, said := range a.Said {
		fmt.Fprintf(w, "%s\n", said)
	}
	return nil
}
