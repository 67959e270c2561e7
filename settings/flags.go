package settings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mainstem/phase"
)

// flagText keeps what was typed. It is judged together with everything else in
// load, so that all that is wrong is reported in one run.
type flagText struct {
	setting setting
	text    string
	typed   bool
}

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.setting.value.kind }

// Set keeps the last value, or all of them for a list.
func (f *flagText) Set(text string) error {
	if f.setting.value.list && f.typed {
		text = f.text + "," + text
	}
	f.text, f.typed = text, true
	return nil
}

// AddFlags gives cmd the flags of the settings that a command has.
func AddFlags(cmd *cobra.Command, command string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().String(configFlag, "", "TOML file with settings, over those of ./config")
	cmd.Flags().String(profileFlag, "", "built-in profile, and the file of that name in ./config: "+strings.Join(profiles(), ", ")+" ("+profileName+")")
	_ = cmd.RegisterFlagCompletionFunc(configFlag, completeTOML) // both flags are there
	_ = cmd.RegisterFlagCompletionFunc(profileFlag, completeProfile)
	for _, s := range Table() {
		if s.flag != "" && s.appliesTo(command) {
			cmd.Flags().Var(&flagText{setting: s, text: s.fallback(command)}, s.flag, s.usage+" ("+s.env()+")")
			if s.value.truth { // the flag alone says yes
				cmd.Flags().Lookup(s.flag).NoOptDefVal = "true"
			}
			completeFlag(cmd, s)
		}
	}
	cmd.SetFlagErrorFunc(ExplainFlag)
}

// ExplainFlag names the nearest flag for one that does not exist.
func ExplainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		if near := nearest("--"+unknown.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		} else {
			err = fmt.Errorf("%w; %s --help lists those there are", err, cmd.CommandPath())
		}
	}
	return phase.Load.In(err)
}

// loadFlags is the layer of the flags that were typed.
func loadFlags(table []setting, flags *pflag.FlagSet) layer {
	l := layer{texts: map[string]string{}, name: func(s setting) string { return "--" + s.flag }}
	for _, s := range table {
		if s.flag == "" {
			continue
		}
		if f := flags.Lookup(s.flag); f != nil && f.Changed {
			l.texts[s.key] = f.Value.String()
		}
	}
	return l
}
