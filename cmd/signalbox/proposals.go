package main

import (
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func newProposals() *cobra.Command {
	return newListing("proposals", "List what waits for a person's approval",
		`Asks a running signalbox for the changes that rules propose and that wait for a person: what is proposed and why, what
approving it would change now, or which guard would refuse it, and when it expires.`,
		func(w io.Writer, got *proposed, now time.Time) error { return printProposals(w, got.Proposals, now) })
}

// proposed is what the server answers of proposals.
type proposed struct {
	Proposals []waitingProposal `json:"proposals"`
}

func printProposals(w io.Writer, all []waitingProposal, now time.Time) error {
	p := &printer{w: w}
	if len(all) == 0 {
		p.line("%s", "no proposal waits")
	}
	for i := range all {
		x := &all[i]
		if i > 0 {
			p.line("%s", "")
		}
		p.line("%s  %s in %s: %s → %s, by rule %s; expires in %s", x.ID, x.Route, x.Lane, x.From, x.To, x.Rule, span(x.ExpiresAt.Sub(now)))
		if x.Decision != nil {
			p.line("%s", x.Decision.Text)
		}
		if x.Refused != nil {
			p.line("%s would refuse it now: %s; what frees it: %s", x.Refused.Guard, x.Refused.Why, orDash(x.Refused.Frees))
		}
		if x.Now != nil {
			for k := range x.Now.Lanes {
				if p.err == nil {
					p.err = printPlannedLane(w, &x.Now.Lanes[k])
				}
			}
		}
	}
	return p.err
}

func newApprove() *cobra.Command {
	var accept []string
	c := newAnswer("approve", "Approve a proposal: it is done at once", `Approves what a rule proposed. The guards are asked again, as the lane may have changed since; where one holds it, it is
named with what would free it, and --override-guard NAME passes over it. Nobody passes over min_active.`, &accept)
	c.Flags().StringArrayVar(&accept, "override-guard", nil, "approve it although this guard holds it now; may be repeated")
	return c
}

func newReject() *cobra.Command {
	return newAnswer("reject", "Reject a proposal: it is not asked again for the same trouble", `Rejects what a rule proposed. The rule does not ask again before the trouble is over and comes back.`, nil)
}

// newAnswer makes a command that answers a proposal.
func newAnswer(verb, short, long string, accept *[]string) *cobra.Command {
	var o ordering
	c := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Long:    long + " signalbox proposals lists what waits.",
		Example: fmt.Sprintf(`  signalbox %s 1-43-1 --reason "the carrier confirms it"`, verb),
		Args:    takes("ID"),
	}
	addOrdering(c, &o)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := o.connect()
		if err != nil {
			return err
		}
		body := map[string]any{"actor": o.who(), "reason": o.reason}
		r := request{method: "POST", path: "/api/v1/proposals/" + url.PathEscape(args[0]) + "/" + verb, body: body, asks: verb + " " + args[0] + orNoReason(o.reason)}
		if accept != nil {
			body["accept"] = *accept
			r.passes = "--override-guard NAME approves it all the same"
		}
		return o.give(cmd, s, r)
	}
	return c
}

func orNoReason(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
