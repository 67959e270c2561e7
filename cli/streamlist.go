package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// listPage is how many streams are asked for at once.
const listPage = 1000

func (s *streamer) listCommand() *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use: "ls [PREFIX]", Aliases: []string{"list"}, Short: "List the streams whose names begin with PREFIX, or all", Args: words(0, 1),
		Long: "List the streams whose names begin with PREFIX, or all, a name a line. Only those that may be read are listed. This is an addition\n" +
			"of Mainstem that other servers of the protocol do not have. --output-json prints a line of JSON for each.",
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := ""
			if len(args) > 0 {
				prefix = args[0]
			}
			return s.list(cmd, prefix, long)
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "with content type, closure, creation and where it ends")
	return cmd
}

func (s *streamer) list(cmd *cobra.Command, prefix string, long bool) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	encoder, table := json.NewEncoder(s.out), tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	rows := 0
	for stream, err := range c.List(cmd.Context(), prefix, listPage) {
		if err != nil {
			return err
		}
		switch {
		case s.asJSON:
			err = encoder.Encode(stream)
		case long:
			state := "open"
			if stream.Closed {
				state = "closed"
			}
			_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", stream.Name, stream.ContentType, state, stream.CreatedAt, stream.Next)
		default:
			_, err = fmt.Fprintln(s.out, stream.Name)
		}
		if rows++; err == nil && rows%listPage == 0 { // a table of millions is not held in memory
			err = table.Flush()
		}
		if err != nil {
			return err
		}
	}
	return table.Flush()
}

// listAlias is mainstem list [--json], as the Rust crate has it.
func listAlias(in Invocation) *cobra.Command {
	s := &streamer{in: in.Stdin, out: in.Stdout, notes: in.Stderr}
	cmd := s.listCommand()
	cmd.Use, cmd.Aliases, cmd.Short = "list [PREFIX]", nil, "The same as stream ls"
	s.flags(cmd, in)
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "the same as --output-json")
	return cmd
}
