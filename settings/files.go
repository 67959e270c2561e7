package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	gotoml "github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

const (
	configFlag = "config"
	// configDir is where files are looked for, in the working directory. They
	// need not be there.
	configDir = "config"
)

// loadFiles is the layers of the TOML files, lowest first: what all nodes share,
// the profile's, this machine's, and the one that --config names, which must be
// there.
func loadFiles(table []setting, flags *pflag.FlagSet, environ []string) (layers []layer, profile string, problems []error) {
	profile, source := chosenProfile(flags, environ)
	ofProfile := filepath.Join(configDir, profile+".toml")
	if filepath.Base(ofProfile) != profile+".toml" {
		problems = append(problems, fmt.Errorf("profile (%s): %q is no name of a file in ./%s", source, profile, configDir))
		profile, ofProfile = defaultProfile, ""
	}
	for _, path := range []string{filepath.Join(configDir, "default.toml"), ofProfile, filepath.Join(configDir, "local.toml")} {
		if path == "" || slices.ContainsFunc(layers, func(l layer) bool { return l.name(setting{}) == path }) {
			continue
		}
		l, err := loadFile(table, path)
		if errors.Is(err, fs.ErrNotExist) {
			if _, known := builtIn()[profile]; path == ofProfile && !known {
				problems = append(problems, unknownProfile(profile, source, path))
			}
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		layers = append(layers, l)
	}
	if f := flags.Lookup(configFlag); f != nil && f.Changed {
		l, err := loadFile(table, f.Value.String())
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s: %w", configFlag, err))
		} else {
			layers = append(layers, l)
		}
	}
	return layers, profile, problems
}

// loadFile reads one file as a layer.
func loadFile(table []setting, path string) (layer, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return layer{}, err
	}
	k := koanf.New(".")
	if err := k.Load(rawbytes.Provider(content), toml.Parser()); err != nil {
		var at *gotoml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return layer{}, fmt.Errorf("%s:%d:%d: %s", path, row, column, strings.TrimPrefix(at.Error(), "toml: "))
		}
		return layer{}, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return fileLayer(table, path, k), nil
}

func fileLayer(table []setting, path string, k *koanf.Koanf) layer {
	l := layer{texts: map[string]string{}, name: func(setting) string { return path }}
	byKey, keys := map[string]setting{}, make([]string, 0, len(table))
	for _, s := range table {
		byKey[s.key] = s
		keys = append(keys, s.key)
	}
	for _, key := range k.Keys() { // sorted
		s, known := byKey[key]
		if !known {
			l.problems = append(l.problems, unknownKey(path, key, keys))
			continue
		}
		text, err := s.value.fromFile(k.Get(key))
		if err != nil {
			l.problems = append(l.problems, fmt.Errorf("%s (%s): %w", key, path, err))
			continue
		}
		if text != "" || s.value.list { // an empty list says something
			l.texts[key] = text
		}
	}
	return l
}

func unknownKey(path, key string, keys []string) error {
	if near := nearest(key, keys); near != "" {
		return fmt.Errorf("%s (%s) is not known; did you mean %s?", key, path, near)
	}
	return fmt.Errorf("%s (%s) is not known; docs/configuration.md lists what is", key, path)
}

// fromFile is a value of a TOML file as text. A value of the wrong type is an
// error, so that `"false"` and `30` are not guessed at.
func (v value) fromFile(given any) (string, error) {
	switch g := given.(type) {
	case string:
		if v.truth || v.number && v.kind != "bytes" {
			return "", fmt.Errorf("%q is a text; want %s without quotes", g, v.kind)
		}
		return g, nil
	case int64:
		if v.number {
			return strconv.FormatInt(g, 10), nil
		}
	case float64:
		if v.number {
			return strconv.FormatFloat(g, 'g', -1, 64), nil
		}
	case bool:
		if v.truth {
			return strconv.FormatBool(g), nil
		}
	case []any:
		if v.list {
			return joinTexts(g)
		}
	}
	return "", fmt.Errorf("%v has the wrong type; want %s", given, v.wanted())
}

// wanted is the type of value that a file may give.
func (v value) wanted() string {
	switch {
	case v.truth, v.number && v.kind != "bytes":
		return v.kind
	case v.number:
		return `a number of bytes, or a text like "64KiB"`
	case v.list:
		return "an array of texts (" + v.kind + ")"
	default:
		return "a text in quotes (" + v.kind + ")"
	}
}

func joinTexts(list []any) (string, error) {
	texts := make([]string, 0, len(list))
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return "", fmt.Errorf("%v in the array has the wrong type; want texts in quotes", item)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), nil
}
