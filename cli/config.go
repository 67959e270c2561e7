package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"mainstem/settings"
)

// configCommand shows what a node would run with, without starting it.
func configCommand(in Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the settings that serve would start with",
	}
	cmd.AddCommand(configCheckCommand(in), configShowCommand(in))
	return cmd
}

func configCheckCommand(in Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report everything that is wrong with the settings; exit 0 if nothing is",
		Args:  NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := settings.Load(settings.Serve, cmd.Flags(), in.Environ)
			if err != nil {
				return err
			}
			for _, note := range l.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok (profile %s)\n", l.Profile)
			return err
		},
	}
	settings.AddFlags(cmd, settings.Serve)
	return cmd
}

func configShowCommand(in Invocation) *cobra.Command {
	var sources, asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the settings as serve would use them, secrets hidden",
		Args:  NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := settings.Load(settings.Serve, cmd.Flags(), in.Environ)
			if err != nil {
				return err
			}
			if asJSON {
				return l.WriteJSON(cmd.OutOrStdout())
			}
			return l.Write(cmd.OutOrStdout(), sources)
		},
	}
	settings.AddFlags(cmd, settings.Serve)
	cmd.Flags().BoolVar(&sources, "sources", false, "show which layer set each")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the sources")
	return cmd
}
