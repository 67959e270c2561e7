package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mainstem/cli"
	"mainstem/settings"
)

// run is main without a process of its own: it carries out one command line and
// returns the exit code.
func run(ctx context.Context, in cli.Invocation) int {
	in.Version = buildVersion()
	return cli.Run(ctx, rootCommand(in), in)
}

func rootCommand(in cli.Invocation) *cobra.Command {
	root := &cobra.Command{
		Use:   "mainstem",
		Short: "A clustered, replicated store of append-only streams",
		Long:  "Mainstem is a clustered, replicated store of append-only streams that speaks the Durable Streams protocol.",
	}
	root.AddCommand(devCommand(in), serveCommand(in), versionCommand(), docsCommand())
	root.AddCommand(cli.Commands(in)...)
	return root
}

func devCommand(in cli.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   settings.Dev,
		Short: "Run one node for development, without configuration",
		Long:  "Run one durable node on loopback. Without --data-dir its data lives in a temporary directory that is removed at exit.",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings.Load(settings.Dev, cmd.Flags(), in.Environ)
			if err != nil {
				return err
			}
			return runDev(cmd.Context(), cfg.Telling(), in.Stdout, in.Stderr)
		},
	}
	settings.AddFlags(cmd, settings.Dev)
	return cmd
}

func serveCommand(in cli.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   settings.Serve,
		Short: "Run a node, alone or in a cluster",
		Example: "  mainstem serve --data-dir /var/lib/mainstem\n" +
			"  mainstem serve --node-id a --data-dir /var/lib/mainstem --peer-addr 10.0.0.1:4438 --gossip-addr 10.0.0.1:4439 \\\n" +
			"    --join 10.0.0.1:4439,10.0.0.2:4439,10.0.0.3:4439 --bootstrap-expect 3",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings.Load(settings.Serve, cmd.Flags(), in.Environ)
			if err != nil {
				return err
			}
			return runServe(cmd.Context(), cfg.Telling(), in.Stderr)
		},
	}
	settings.AddFlags(cmd, settings.Serve)
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cli.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), versionLine()) },
	}
}

// docsCommand prints docs/configuration.md; make docs writes the file with it.
func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs",
		Short:  "Print docs/configuration.md",
		Hidden: true,
		Args:   cli.NoArgs,
		Run:    func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), settings.Document()) },
	}
}
