package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mainstem/settings"
)

const (
	// completionTime is how long a shell waits for the names of streams.
	completionTime = time.Second
	// completionMax is how many it is offered.
	completionMax = 200
)

// completeNames makes the words of commands that work on a stream its name: the
// first word, or all of rm.
func (s *streamer) completeNames(commands []*cobra.Command, environ []string) {
	for _, cmd := range commands {
		switch name := cmd.Name(); name {
		case "create", "ls":
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		default:
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
				if len(args) > 0 && name != "rm" {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				if s.auth == "" { // no command runs, which would do it
					s.auth = settings.Variable(environ, streamAuthName)
				}
				return s.completeStreams(cmd, begun)
			}
		}
	}
}

// completeStreams offers the names of streams, of a server that lists them.
func (s *streamer) completeStreams(cmd *cobra.Command, begun string) (names []string, _ cobra.ShellCompDirective) {
	c, err := s.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	for stream, err := range c.List(ctx, begun, completionMax) {
		if err != nil || len(names) == completionMax {
			break // without names there is nothing to offer, and nobody to tell
		}
		names = append(names, stream.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
