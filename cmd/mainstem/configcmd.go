package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// configCommand shows what a node would run with, without starting it.
func configCommand(in invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the settings that serve would start with",
	}
	cmd.AddCommand(configCheckCommand(in), configShowCommand(in))
	return cmd
}

func configCheckCommand(in invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report everything that is wrong with the settings; exit 0 if nothing is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(commandServe, cmd.Flags(), in.environ)
			if err != nil {
				return err
			}
			for _, note := range l.notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok (profile %s)\n", l.profile)
			return err
		},
	}
	addFlags(cmd, commandServe)
	return cmd
}

func configShowCommand(in invocation) *cobra.Command {
	var sources, asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the settings as serve would use them, secrets hidden",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(commandServe, cmd.Flags(), in.environ)
			if err != nil {
				return err
			}
			if asJSON {
				return l.writeJSON(cmd.OutOrStdout())
			}
			return l.write(cmd.OutOrStdout(), sources)
		},
	}
	addFlags(cmd, commandServe)
	cmd.Flags().BoolVar(&sources, "sources", false, "show which layer set each")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the sources")
	return cmd
}

// hidden stands where a secret is set.
const hidden = "(hidden)"

// shown is one setting for people.
type shown struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
	value  value
}

// toml is the value as a file gives it.
func (s shown) toml() string {
	_, err := strconv.ParseFloat(s.Value, 64)
	switch {
	case s.Value == "" || s.Value == hidden:
		return strconv.Quote(s.Value)
	case s.value.list:
		return `["` + strings.Join(strings.Split(s.Value, ","), `", "`) + `"]`
	case s.value.truth, s.value.number && err == nil:
		return s.Value
	default:
		return strconv.Quote(s.Value)
	}
}

func (l loaded) shown() []shown {
	var list []shown
	for _, s := range settings() {
		if s.alias != "" {
			continue
		}
		row := shown{Key: s.key, Value: l.texts[s.key], Source: l.sources[s.key], value: s.value}
		if s.secret && row.Value != "" {
			row.Value = hidden
		}
		if row.Source == "" {
			row.Source = "not set"
		}
		list = append(list, row)
	}
	return list
}

// write prints lines that are valid in a TOML file, but for hidden secrets.
func (l loaded) write(w io.Writer, sources bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range l.shown() {
		line := row.Key + " = " + row.toml()
		if sources {
			line += "\t# " + row.Source
		}
		if row.Value == "" {
			line = "# " + line
		}
		fmt.Fprintln(table, line)
	}
	return table.Flush()
}

func (l loaded) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"profile": l.profile, "settings": l.shown()})
}
