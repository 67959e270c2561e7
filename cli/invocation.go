package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mainstem/phase"
	"mainstem/settings"
)

// Invocation is all that a run takes from outside, so that a test can be main.
type Invocation struct {
	Args           []string
	Environ        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string // of this program, as files that are written name it
}

// Run carries out one command line, of root and what is below it, until it is done
// or ctx ends, and returns the exit code: 0 for success; what failed is on
// in.Stderr by then.
func Run(ctx context.Context, root *cobra.Command, in Invocation) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(settings.ExplainFlag)
	root.SetArgs(in.Args)
	root.SetOut(in.Stdout)
	root.SetErr(in.Stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		phase.Report(in.Stderr, err)
		return exitCodeOf(err)
	}
	return 0
}

// Commands are all commands of this package.
func Commands(in Invocation) []*cobra.Command {
	return []*cobra.Command{
		streamCommand(in), listAlias(in), exportCommand(in), importCommand(in), subscriptionsCommand(in),
		clusterCommand(in), healthCommand(in), doctorCommand(in), debugCommand(in), backupCommand(in),
		recoverCommand(in), fsyncCommand(), benchCommand(in), configCommand(in), authCommand(),
	}
}

// NoArgs refuses words that are not flags, in the phase of reading the command line.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return phase.Load.In(fmt.Errorf("%s takes no arguments, got %q; flags begin with two dashes", cmd.CommandPath(), args))
	}
	return nil
}
