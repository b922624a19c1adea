package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"signalbox/controller/access"
)

func newToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make tokens that let callers in",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTokenNew())
	return c
}

// minted is a new token. The token itself is nowhere but here.
type minted struct {
	Token    string `json:"token"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	SHA256   string `json:"sha256"`
	NotAfter string `json:"not_after,omitempty"`
	Rate     string `json:"rate,omitempty"`
	Line     string `json:"line"` // of the tokens file
}

func newTokenNew() *cobra.Command {
	var role, rate, output string
	var lasting time.Duration
	c := &cobra.Command{
		Use:   "new NAME --role ROLE",
		Short: "Make a token, and the line that lets it in",
		Long: `Prints a new token once, and the line for the file of --web.tokens-file, which has only its hash. NAME is
what the token is bound to: a sender reports as it, the events of a source come from it, an operator's orders have it.

  sender    reads the table, says which one it runs, posts events
  source    posts events, receipts, what test phones get, and how probes stand
  viewer    reads everything, /metrics included
  operator  reads everything and gives orders
  admin     is an operator who may also reload

To change a token, add the new line beside the old one and reload, give the new token to its user, then take the
old line away and reload.`,
		Example: `  signalbox token new gw-1 --role sender
  signalbox token new prometheus --role viewer --expires 365d`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := access.CheckName(args[0]); err != nil {
				return wrong("", fmt.Errorf("token new: name: %w", err))
			}
			if role == "" {
				return wrong(seeHelp(cmd), fmt.Errorf("--role: want %s, got nothing", either(access.Roles)))
			}
			if rate != "" && !access.ParseRate(rate) {
				return wrong("", fmt.Errorf("--rate: want calls in a time, such as 50/s or 600/m, got %q", rate))
			}
			m := mint(args[0], role, rate, lasting, time.Now())
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
			}
			return m.print(cmd.OutOrStdout())
		},
	}
	addChoice(c, &role, "role", "what it may do: "+either(access.Roles), "", access.Roles...)
	c.Flags().StringVar(&rate, "rate", "", "the most calls in a time, such as 50/s (default 2000/s of a source, 100/s of others)")
	c.Flags().Var(&lastingFlag{"expires", &lasting}, "expires", "how long it is good for, in whole days, such as 90d (default for ever)")
	addOutput(c, &output)
	return c
}

// mint makes a token of 32 random bytes, with a beginning that scanners for leaked secrets can know.
func mint(name, role, rate string, lasting time.Duration, now time.Time) minted {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // it never fails
	m := minted{Token: "sbx_" + base64.RawURLEncoding.EncodeToString(raw[:]), Name: name, Role: role, Rate: rate}
	sum := sha256.Sum256([]byte(m.Token))
	m.SHA256 = hex.EncodeToString(sum[:])
	m.Line = fmt.Sprintf("{name: %s, role: %s, sha256: %q", name, role, m.SHA256)
	if lasting > 0 {
		m.NotAfter = now.UTC().Add(lasting).Format(time.DateOnly)
		m.Line += ", not_after: " + m.NotAfter
	}
	if rate != "" {
		m.Line += ", rate: " + rate
	}
	m.Line += "}"
	return m
}

func (m *minted) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "the token, shown this once:\n  %s\nits line for the file of --web.tokens-file, under tokens:\n  - %s\n", m.Token, m.Line)
	return err
}
