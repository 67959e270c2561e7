package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// envPrefix begins every variable that is ours: DS_SECTION__KEY.
const envPrefix = "DS_"

// envName turns a dotted key into the name of its variable.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

// serviceLink matches what Kubernetes puts into the environment of every pod
// for a Service whose name begins with "ds". Those are nobody's typing errors.
var serviceLink = regexp.MustCompile(`^DS(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$`)

// loadEnv reads the environment as a layer of settings. An empty variable
// counts as not set, because templates leave such behind. Names that no setting
// has are returned as errors that name the nearest one that exists.
func loadEnv(table []setting, environ []string) (*koanf.Koanf, []error) {
	keys := make(map[string]string, len(table))
	names := make([]string, 0, len(table))
	for _, s := range table {
		keys[s.env()] = s.key
		names = append(names, s.env())
	}
	var unknown []error
	layer := koanf.New(".")
	err := layer.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, text string) (string, any) {
			key, known := keys[name]
			if !known && name != urlName && !serviceLink.MatchString(name) {
				unknown = append(unknown, unknownName(name, names))
			}
			if text == "" {
				return "", nil
			}
			return key, text
		},
	}), nil)
	if err != nil { // the provider itself returns none
		unknown = append(unknown, fmt.Errorf("read the environment: %w", err))
	}
	return layer, unknown
}

func unknownName(name string, names []string) error {
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%s is not known; did you mean %s?", name, near)
	}
	return fmt.Errorf("%s is not known; docs/configuration.md lists what is", name)
}
