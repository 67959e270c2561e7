package main

import (
	"errors"
	"fmt"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// layer is one place from which settings come. A later layer wins.
type layer struct {
	values *koanf.Koanf
	name   func(setting) string // how this layer writes a setting
}

// load fills a config from flags over environment over defaults, and reports
// everything that is wrong with them, not the first thing only.
func load(command string, flags *pflag.FlagSet, environ []string) (config, error) {
	table := settings()
	env, unknown := loadEnv(table, environ)
	layers := []layer{
		{values: loadDefaults(table, command), name: func(s setting) string { return "default" }},
		{values: env, name: setting.env},
		{values: loadFlags(table, flags), name: func(s setting) string { return "--" + s.flag }},
	}
	problems := unknown
	merged, sources := koanf.New("."), map[string]string{}
	for _, l := range layers {
		problems = append(problems, resolveAliases(table, l)...)
		if err := merged.Merge(l.values); err != nil {
			problems = append(problems, err)
		}
		for _, s := range table {
			if l.values.Exists(s.key) {
				sources[s.key] = l.name(s)
			}
		}
	}
	var c config
	for _, s := range table {
		if !merged.Exists(s.key) {
			continue
		}
		if err := s.value.put(&c, merged.String(s.key)); err != nil {
			problems = append(problems, fmt.Errorf("%s (%s): %w", s.key, sources[s.key], err))
			_ = s.value.put(&c, s.fallback(command)) // so that the rules below judge the rest
		}
	}
	var errs []error
	for _, p := range problems {
		errs = append(errs, phaseLoad.in(p))
	}
	for _, p := range c.validate(command) {
		errs = append(errs, phaseValidate.in(p))
	}
	return c, errors.Join(errs...)
}

// loadDefaults is the lowest layer. Texts that are empty by default are left out.
func loadDefaults(table []setting, command string) *koanf.Koanf {
	defaults := map[string]any{}
	for _, s := range table {
		if text := s.fallback(command); text != "" {
			defaults[s.key] = text
		}
	}
	return fromMap(defaults)
}

// resolveAliases moves what a layer says under an older name to the present
// one, within the layer, so that a flag still wins over an older variable.
func resolveAliases(table []setting, l layer) (problems []error) {
	for _, s := range table {
		if s.alias == "" || !l.values.Exists(s.key) {
			continue
		}
		text := l.values.String(s.key)
		l.values.Delete(s.key)
		if l.values.Exists(s.alias) {
			problems = append(problems, fmt.Errorf("%s: both %s and %s are set; keep one", s.key, envName(s.alias), l.name(s)))
			continue
		}
		text, err := secondsToDuration(text)
		if err == nil {
			err = l.values.Set(s.alias, text)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s (%s): %w", s.key, l.name(s), err))
		}
	}
	return problems
}

func fromMap(values map[string]any) *koanf.Koanf {
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
		panic(err) // a map in memory cannot fail to load
	}
	return k
}
