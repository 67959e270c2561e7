package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command carries out one command line of this package's commands.
func command(t *testing.T, environ []string, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e strings.Builder
	in := Invocation{Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &o, Stderr: &e, Version: "v0"}
	root := &cobra.Command{Use: "mainstem"}
	root.AddCommand(Commands(in)...)
	code = Run(t.Context(), root, in)
	return o.String(), e.String(), code
}
