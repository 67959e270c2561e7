package main

import (
	"fmt"
	"strings"
)

// configurationDoc is docs/configuration.md, made from the table.
func configurationDoc() string {
	var b strings.Builder
	b.WriteString(docHead)
	section := ""
	for _, s := range settings() {
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

Made by ` + "`make docs`" + ` from the table in ` + "`cmd/mainstem/settings.go`" + `; a test fails when the two differ.

Each setting has a dotted key and a variable in the environment, ` + "`DS_SECTION__KEY`" + `; nearly all have a flag. Flags win over
the environment, the environment over the defaults. An empty variable counts as not set. A variable that begins with
` + "`DS_`" + ` and is not in this table stops the start, with the nearest name that is (what Kubernetes adds for a Service whose
name begins with "ds" is passed over). All that is wrong is reported in one run, a line each, marked ` + "`[load_config]`" + ` or
` + "`[validate_config]`" + `; nothing is opened or created then, and the exit code is 1. Later failures of a start are marked
` + "`[bind_listener]`, `[open_storage]`, `[join_cluster]` or `[start_server]`" + `.

A duration is written as Go writes it (` + "`500ms`, `30s`, `2m`" + `), a size as a number of bytes or with a unit
(` + "`65536`, `64KiB`, `10MiB`, `10MB`" + `). "(serve)" beside a default: ` + "`mainstem dev`" + ` does not have the
flag and passes over the variable.
`

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
