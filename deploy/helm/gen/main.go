package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The places of everything, below the root of the checkout.
const (
	chartDir     = "deploy/helm/mainstem"
	settingsPath = "docs/configuration.md"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// copied are files that the chart takes over as they are, by their names in it:
// helm reads nothing outside of a chart.
func copied() map[string]string {
	return map[string]string{
		"files/mainstem.rules.yml": "deploy/prometheus/mainstem.rules.yml",
		"files/mainstem.json":      "deploy/grafana/mainstem.json",
	}
}

// run writes all files below the root of a checkout.
func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, chartDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// generate returns the contents of the files by their names in the chart.
func generate(root string) (map[string][]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, chartDir, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the values: %w", err)
	}
	table, err := os.ReadFile(filepath.Join(root, settingsPath))
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	settings, err := parseSettings(string(table))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", settingsPath, err)
	}
	values, err := parseValues(source)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	schema, err := renderSchema(values, settings)
	if err != nil {
		return nil, err
	}
	var readme bytes.Buffer
	writeReadme(&readme, values)
	files := map[string][]byte{"values.schema.json": schema, "README.md": readme.Bytes()}
	for name, from := range copied() {
		if files[name], err = os.ReadFile(filepath.Join(root, from)); err != nil {
			return nil, fmt.Errorf("read what the chart takes over: %w", err)
		}
	}
	return files, nil
}

func renderSchema(values *value, settings schema) ([]byte, error) {
	s, err := values.schema(settings)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "Values of the chart mainstem"
	s["properties"].(schema)["global"] = schema{"type": "object"} // of a chart that this one is part of
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the schema: %w", err)
	}
	return append(out, '\n'), nil
}

// writeReadme writes the chart's page, with a row for each value.
func writeReadme(w io.Writer, values *value) {
	fmt.Fprint(w, readmeHead)
	values.eachLeaf(func(v *value) {
		fmt.Fprintf(w, "| `%s` | %s | `%s` | %s |\n", v.path, v.kind(), v.defaultJSON(), v.about)
	})
}

const readmeHead = "# The Helm chart\n\n" +
	"Made by `make docs` from values.yaml; a test fails when the two differ.\n\n" +
	"`helm install mainstem deploy/helm/mainstem` gives three nodes that found one cluster, each with a volume of its own. What it does on\n" +
	"upgrades, how to scale, and what is decided for ever: [docs/kubernetes.md](../../../docs/kubernetes.md). Settings of the program go below\n" +
	"`config`, by their keys in [docs/configuration.md](../../../docs/configuration.md); a key that is not there is refused.\n\n" +
	"| value | kind | default | meaning |\n|---|---|---|---|\n"
