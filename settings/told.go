package settings

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"mainstem/operator"
)

// hidden stands where a secret is set.
const hidden = "(hidden)"

// shown is one setting for people.
type shown struct {
	operator.Setting
	value value
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

func (l Loaded) shown() []shown {
	var list []shown
	for _, s := range Table() {
		if s.alias != "" {
			continue
		}
		row := shown{operator.Setting{Key: s.key, Value: l.texts[s.key], Source: l.sources[s.key]}, s.value}
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

// Write prints lines that are valid in a TOML file, but for hidden secrets.
func (l Loaded) Write(w io.Writer, sources bool) error {
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

// WriteJSON prints the settings with their sources.
func (l Loaded) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"profile": l.Profile, "settings": l.shown()})
}

// Told are the settings as operators may see them, and what they may not.
type Told struct {
	Profile  string
	Settings []operator.Setting
	secrets  []string
}

// Telling is the config of a node, which tells of it.
func (l Loaded) Telling() Config {
	c := l.Config
	c.Told = l.Tell()
	return c
}

// Tell is what may be told of the settings, and what is to be hidden wherever it
// turns up.
func (l Loaded) Tell() Told {
	t := Told{Profile: l.Profile}
	for _, row := range l.shown() {
		row.Value = WithoutCredentials(row.Value)
		t.Settings = append(t.Settings, row.Setting)
	}
	for _, s := range Table() {
		text := l.texts[s.key]
		if !s.secret || text == "" {
			continue
		}
		t.secrets = append(t.secrets, text)
		if !s.value.list {
			continue
		}
		for part := range strings.SplitSeq(text, ",") { // NAME=VALUE of a header
			if _, value, named := strings.Cut(part, "="); named && len(value) >= secretBytesMin {
				t.secrets = append(t.secrets, value)
			}
		}
	}
	return t
}

// secretBytesMin keeps words as short as "1" from being hidden in every line.
const secretBytesMin = 6

// Hiding replaces secrets in text, and in text that is written as JSON.
func (t Told) Hiding() *strings.Replacer {
	var pairs []string
	for _, s := range t.secrets {
		pairs = append(pairs, s, hidden)
		if quoted, err := json.Marshal(s); err == nil && string(quoted[1:len(quoted)-1]) != s {
			pairs = append(pairs, string(quoted[1:len(quoted)-1]), hidden)
		}
	}
	return strings.NewReplacer(pairs...)
}

// WithoutCredentials hides what a URL among the settings may carry of a password or
// a key.
func WithoutCredentials(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return text
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += hidden + "@"
	}
	shown += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		shown += "?" + hidden
	}
	return shown
}
