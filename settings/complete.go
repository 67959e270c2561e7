package settings

import (
	"strings"

	"github.com/spf13/cobra"
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
