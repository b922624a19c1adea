package main

import (
	"encoding/json"
	"fmt"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"signalbox/rules/policy"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policies, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), string(policy.Schema()))
			return err
		},
	}
}

func newVersion() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": version.Version, "revision": version.GetRevision(), "go": version.GoVersion})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.Print("signalbox"))
			return err
		},
	}
	c.Flags().StringVar(&output, "output", "text", "text or json")
	return c
}
