package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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
// counts as not set, because templates leave such behind. A name that no setting
// has is a problem that names the nearest one that exists.
func loadEnv(table []setting, environ []string) layer {
	keys := make(map[string]string, len(table))
	names := []string{profileName}
	for _, s := range table {
		keys[s.env()] = s.key
		names = append(names, s.env())
	}
	l := layer{texts: map[string]string{}, name: setting.env}
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || readElsewhere(name) || serviceLink.MatchString(name) {
			continue
		}
		if key, known := keys[name]; !known {
			l.problems = append(l.problems, unknownName(name, names))
		} else if text != "" {
			l.texts[key] = text
		}
	}
	slices.SortFunc(l.problems, compareErrors)
	return l
}

func unknownName(name string, names []string) error {
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%s is not known; did you mean %s?", name, near)
	}
	return fmt.Errorf("%s is not known; docs/configuration.md lists what is", name)
}

func compareErrors(a, b error) int { return strings.Compare(a.Error(), b.Error()) }

// Variable returns a variable of the environment, "" when it is not set.
func Variable(environ []string, name string) string {
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// URLName is the variable that tells commands which node to ask. It is no setting of
// a node.
const URLName = "DS_URL"
