package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"mainstem/auth"
	"mainstem/phase"
)

// authCommand helps to make credentials.
func authCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Make credentials"}
	cmd.AddCommand(newKeyCommand())
	return cmd
}

func newKeyCommand() *cobra.Command {
	var name string
	var scopes, streams []string
	cmd := &cobra.Command{
		Use:     "new-key",
		Short:   "Make an API key and the lines for the file of auth.api_keys_path",
		Long:    "Make an API key. The key goes to standard error, once and nowhere else; the lines for the file, which hold only its hash, to standard output.",
		Example: "  mainstem auth new-key --name app --scopes read,append --streams 'chat/**' >> keys.toml",
		Args:    NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, entry, err := auth.NewEntry(name, scopes, streams)
			if err != nil {
				return phase.Load.In(err)
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), entry); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), key)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whom the key is for, as logs and refusals name it")
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "some of read, append, create, delete, admin")
	cmd.Flags().StringSliceVar(&streams, "streams", []string{"**"}, "patterns of streams: * is one segment, ** any number")
	return cmd
}
