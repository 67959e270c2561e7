package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// completionTime is how long a shell waits for the names of streams.
	completionTime = time.Second
	// completionMax is how many it is offered.
	completionMax = 200
)

// completeFlag tells a shell what a setting's flag takes, where that is known.
func completeFlag(cmd *cobra.Command, s setting) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return s.words(), cobra.ShellCompDirectiveNoFileComp
	}
	switch {
	case s.key == "storage.data_dir":
		complete = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case strings.HasSuffix(s.key, "_path") && s.key != "http.stream_base_path", strings.HasSuffix(s.key, "_file"):
		return // a file, as shells do by themselves
	}
	_ = cmd.RegisterFlagCompletionFunc(s.flag, complete) // the flag is there: it was added just now
}

// words are what a setting may be, if those are few.
func (s setting) words() []string {
	kind := strings.TrimSuffix(s.value.kind, ",…")
	if !strings.Contains(kind, "|") {
		return nil
	}
	return strings.Split(kind, "|")
}

func completeProfile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return profiles(), cobra.ShellCompDirectiveNoFileComp
}

func completeTOML(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

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
					s.auth = variable(environ, streamAuthName)
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
