package main

import (
	"encoding/json"
	"fmt"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"signalbox/rules/policy"
	"signalbox/rules/scenario/story"
)

func newSchema() *cobra.Command {
	schemas := map[string]func() []byte{"policy": policy.Schema, "story": story.Schema}
	kinds := []string{"policy", "story"}
	return &cobra.Command{
		Use:       "schema [policy|story]",
		Short:     "Print the JSON Schema of policies or of stories, for editors",
		Args:      takes("[policy|story]"),
		ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			schema := schemas[kinds[0]]
			if len(args) > 0 {
				if schema = schemas[args[0]]; schema == nil {
					return wrong(seeHelp(cmd), fmt.Errorf("schema: want %s, got %q%s", either(kinds), args[0], meant(args[0], kinds)))
				}
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), string(schema()))
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
