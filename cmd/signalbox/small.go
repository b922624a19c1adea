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
		Args:  takes(),
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
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": versionName(), "revision": version.GetRevision(), "go": version.GoVersion})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "signalbox %s (revision %s, %s, %s/%s)\n", versionName(), version.GetRevision(), version.GoVersion, version.GoOS, version.GoArch)
			return err
		},
	}
	addOutput(c, &output)
	return c
}

// versionName is the release, or "devel" where the binary is none.
func versionName() string {
	if version.Version == "" {
		return "devel"
	}
	return version.Version
}
