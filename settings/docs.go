package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Document is docs/configuration.md, made from the table.
func Document() string {
	var b strings.Builder
	fmt.Fprintf(&b, docHead, profilesDoc())
	section := ""
	for _, s := range Table() {
		name, _, _ := strings.Cut(s.key, ".")
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n## %s\n\n| key | flag | environment | kind | default | meaning |\n|---|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s | %s |\n",
			s.key, code("--", s.flag), s.env(), strings.ReplaceAll(s.value.kind, "|", " or "), s.defaultDoc(), s.usage)
	}
	return b.String()
}

const docHead = `# Configuration

Made by ` + "`make docs`" + ` from the table in ` + "`settings/table.go`" + `; a test fails when the two differ.

Each setting has a dotted key, which is also its place in a TOML file, and a variable in the environment, ` + "`DS_SECTION__KEY`" + `;
nearly all have a flag. From the lowest layer to the one that wins:

1. the defaults below,
2. the built-in profile that ` + "`--profile`" + ` or ` + "`DS_PROFILE`" + ` names (` + "`default`" + ` when none is named),
3. ` + "`config/default.toml`, `config/PROFILE.toml` and `config/local.toml`" + ` in the working directory, where they are there,
4. the file that ` + "`--config`" + ` names, which must be there,
5. the environment,
6. flags.

` + "`mainstem config check`" + ` takes all that ` + "`serve`" + ` takes and starts nothing; ` + "`mainstem config show --sources`" + ` prints the outcome and
which layer set each. An empty variable counts as not set. An unknown key, flag or variable that begins with ` + "`DS_`" + ` stops the
start, with the nearest name that is known (what Kubernetes adds for a Service whose name begins with "ds" is passed over). All that is wrong
in any layer is reported in one run, a line each, marked ` + "`[load_config]`" + ` or ` + "`[validate_config]`" + `; nothing is opened or created then, and
the exit code is 1. Later failures of a start are marked ` + "`[bind_listener]`, `[open_storage]`, `[join_cluster]` or `[start_server]`" + `.

| profile | what it sets | what it asks for |
|---|---|---|
%s
In a file a text stands in quotes, a number and true or false do not, and a list is an array of texts or one text with commas.
A duration is written as Go writes it (` + "`500ms`, `30s`, `2m`" + `), a size as a number of bytes or with a unit
(` + "`65536`, `64KiB`, `10MiB`, `10MB`" + `). "(serve)" beside a default: ` + "`mainstem dev`" + ` does not have the
flag and passes over the variable.
`

func profilesDoc() string {
	var b strings.Builder
	for _, name := range profiles() {
		var sets []string
		for _, key := range slices.Sorted(maps.Keys(builtIn()[name])) {
			sets = append(sets, code("", key+" = "+builtIn()[name][key]))
		}
		asks := ""
		if inProduction(name) {
			asks = "no wildcard in `http.cors_origins`, unless `http.allow_wildcard_cors` is set"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, strings.Join(sets, ", "), asks)
	}
	return b.String()
}

// defaultDoc is the default as the document shows it.
func (s setting) defaultDoc() string {
	text := code("", s.std)
	if s.dev != "" {
		text += ", dev " + code("", s.dev)
	}
	if s.only != "" {
		text = strings.TrimPrefix(text+" ("+s.only+")", " ")
	}
	return text
}

func code(before, text string) string {
	if text == "" {
		return ""
	}
	return "`" + before + text + "`"
}
