package settings

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"mainstem/phase"
)

// layer is one place from which settings come. A later layer wins.
type layer struct {
	texts    map[string]string    // by key
	name     func(setting) string // how this layer writes a setting
	problems []error              // what it says that is no setting
	older    map[string]setting   // by key: the older name under which it was set
}

// wrote is how this layer wrote what it says of a setting.
func (l layer) wrote(s setting) string {
	if older, so := l.older[s.key]; so {
		s = older
	}
	return l.name(s)
}

// Loaded is a config with where each part of it came from.
type Loaded struct {
	Config
	texts   map[string]string // by key, as they were written
	sources map[string]string // by key: the layer, as a person would name it
	Profile string
}

// Load fills a config for a command from defaults, the profile, files, the
// environment and flags, each over the one before, and reports everything that is
// wrong in any of them, not the first thing only.
func Load(command string, flags *pflag.FlagSet, environ []string) (Loaded, error) {
	table := Table()
	l := Loaded{texts: map[string]string{}, sources: map[string]string{}}
	layers := []layer{loadDefaults(table, command)}
	files, profile, problems := loadFiles(table, flags, environ)
	l.Profile = profile
	layers = append(layers, loadProfile(table, profile))
	layers = append(layers, files...)
	layers = append(layers, loadEnv(table, environ), loadFlags(table, flags))
	for _, from := range layers {
		problems = append(problems, from.problems...)
		problems = append(problems, from.resolveAliases(table)...)
		l.Notes = append(l.Notes, from.notes(table)...)
		problems = append(problems, l.put(table, from)...)
	}
	var errs []error
	for _, p := range problems {
		errs = append(errs, phase.Load.In(p))
	}
	for _, p := range l.validate(command, profile) {
		errs = append(errs, phase.Validate.In(p))
	}
	return l, errors.Join(errs...)
}

// put takes over what a layer says. What is not valid leaves the field as the
// layers below set it, so that the rules between settings judge the rest.
func (l *Loaded) put(table []setting, from layer) (problems []error) {
	for _, s := range table {
		text, said := from.texts[s.key]
		if !said || s.alias != "" {
			continue
		}
		if err := s.value.put(&l.Config, text); err != nil {
			problems = append(problems, fmt.Errorf("%s (%s): %w", s.key, from.wrote(s), err))
			continue
		}
		l.texts[s.key], l.sources[s.key] = text, from.wrote(s)
	}
	return problems
}

// loadDefaults is the lowest layer. Texts that are empty by default are left out.
func loadDefaults(table []setting, command string) layer {
	l := layer{texts: map[string]string{}, name: func(setting) string { return "default" }}
	for _, s := range table {
		if text := s.fallback(command); text != "" {
			l.texts[s.key] = text
		}
	}
	return l
}

// resolveAliases moves what a layer says under an older name to the present
// one, within the layer, so that a flag still wins over an older variable.
func (l *layer) resolveAliases(table []setting) (problems []error) {
	byKey := map[string]setting{}
	l.older = map[string]setting{}
	for _, s := range table {
		byKey[s.key] = s
	}
	for _, s := range table {
		text, said := l.texts[s.key]
		if s.alias == "" || !said {
			continue
		}
		delete(l.texts, s.key)
		if _, both := l.texts[s.alias]; both {
			problems = append(problems, fmt.Errorf("%s: both %s and %s are set; keep one", s.key, l.wrote(byKey[s.alias]), l.name(s)))
			continue
		}
		text, err := s.value.rewrite(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s (%s): %w", s.key, l.name(s), err))
			continue
		}
		l.texts[s.alias], l.older[s.alias] = text, s
	}
	return problems
}
