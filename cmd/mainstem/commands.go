package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mainstem/phase"
	"mainstem/settings"
)

// invocation is all that a run takes from outside, so that a test can be main.
type invocation struct {
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run carries out one command line until it is done or ctx ends, and returns
// the exit code: 0 for success; what failed is on stderr by then.
func run(ctx context.Context, in invocation) int {
	root := rootCommand(in)
	root.SetArgs(in.args)
	root.SetOut(in.stdout)
	root.SetErr(in.stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		phase.Report(in.stderr, err)
		return exitCodeOf(err)
	}
	return 0
}

func rootCommand(in invocation) *cobra.Command {
	root := &cobra.Command{
		Use:           "mainstem",
		Short:         "A clustered, replicated store of append-only streams",
		Long:          "Mainstem is a clustered, replicated store of append-only streams that speaks the Durable Streams protocol.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(settings.ExplainFlag)
	root.AddCommand(devCommand(in), serveCommand(in), versionCommand(), docsCommand(), clusterCommand(in), configCommand(in), authCommand(), streamCommand(in), exportCommand(in), importCommand(in), listAlias(in), healthCommand(in), recoverCommand(in), subscriptionsCommand(in), benchCommand(in), backupCommand(in), fsyncCommand(), doctorCommand(in), debugCommand(in))
	return root
}

func devCommand(in invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   settings.Dev,
		Short: "Run one node for development, without configuration",
		Long:  "Run one durable node on loopback. Without --data-dir its data lives in a temporary directory that is removed at exit.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings.Load(settings.Dev, cmd.Flags(), in.environ)
			if err != nil {
				return err
			}
			return runDev(cmd.Context(), cfg.Telling(), in)
		},
	}
	settings.AddFlags(cmd, settings.Dev)
	return cmd
}

func serveCommand(in invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   settings.Serve,
		Short: "Run a node, alone or in a cluster",
		Example: "  mainstem serve --data-dir /var/lib/mainstem\n" +
			"  mainstem serve --node-id a --data-dir /var/lib/mainstem --peer-addr 10.0.0.1:4438 --gossip-addr 10.0.0.1:4439 \\\n" +
			"    --join 10.0.0.1:4439,10.0.0.2:4439,10.0.0.3:4439 --bootstrap-expect 3",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings.Load(settings.Serve, cmd.Flags(), in.environ)
			if err != nil {
				return err
			}
			return runServe(cmd.Context(), cfg.Telling(), in)
		},
	}
	settings.AddFlags(cmd, settings.Serve)
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), versionLine()) },
	}
}

// docsCommand prints docs/configuration.md; make docs writes the file with it.
func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs",
		Short:  "Print docs/configuration.md",
		Hidden: true,
		Args:   noArgs,
		Run:    func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), settings.Document()) },
	}
}

// noArgs refuses words that are not flags, in the phase of reading the command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return phase.Load.In(fmt.Errorf("%s takes no arguments, got %q; flags begin with two dashes", cmd.CommandPath(), args))
	}
	return nil
}
